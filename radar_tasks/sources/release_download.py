"""Fetching the official release: resumed where it broke off, and believed only after a look at what has come."""

from __future__ import annotations

import hashlib
import os
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx

from radar_tasks.errors import DataError

RELEASE_URL = "https://www.dropbox.com/scl/fi/8fgfhzn3sopq9oo0hfl96/M3-Bench.zip?rlkey=22lg2k3cf1cb6mqt1ziq71o0g&dl=1"
"""The share that the official README links (Nieysh/RADAR), with `dl=1`: the file and not a page about it."""

TRIES = 5
"""Attempts in a row that bring no new byte before giving up."""

CHUNK = 2**20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes that are there and, where the server tells it, of all."""


def release_url() -> str:
    """Where the release lies: `RADAR_RELEASE_URL`, else the published address."""
    return os.environ.get("RADAR_RELEASE_URL") or RELEASE_URL


def download(url: str, target: Path, progress: Progress, sha256: str | None = None, pause: float = 1.0) -> Path:
    """Fetch a zip; a transfer that breaks off goes on where it stopped, also in the next call.

    Args:
        url: http or https.
        target: the file to be; until it is whole and checked it is called `<target>.part`.
        progress: see `Progress`.
        sha256: what the file's checksum must be, if known.
        pause: seconds before the second try, doubled before each further one.

    Returns:
        `target`. If it is there already, nothing is fetched.

    Raises:
        DataError: the server cannot be reached, sends something else than a zip, or other bytes than it promised.
    """
    if target.is_file():
        return _checked(target, target, url, sha256)
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    fruitless, most = 0, _size(part)
    while True:
        try:
            total = _fetch(url, part, progress)
            if total is None or _size(part) == total:
                break
            problem = f"{_size(part):,} of {total:,} bytes came"
        except (httpx.TransportError, httpx.StreamError) as error:
            problem = str(error) or type(error).__name__
        except OSError as error:
            raise DataError(f"{part} cannot be written: {error}. What was received is kept; run it again.") from error
        fruitless, most = (0, _size(part)) if _size(part) > most else (fruitless + 1, most)
        if fruitless == TRIES:
            raise DataError(f"{url}: {problem}, {TRIES} times in a row. What was received is kept; run it again.")
        time.sleep(pause * 2**fruitless if fruitless else 0)
    return _checked(part, target, url, sha256)


def _fetch(url: str, part: Path, progress: Progress) -> int | None:
    """One request, appended to what is there; the size of the whole file as the server gives it.

    A tag kept beside the part says of which version it is: that of another file, or of another address, starts anew.
    """
    have = _size(part)
    tag_file = part.with_name(part.name + ".tag")
    tag = tag_file.read_text(encoding="utf-8") if have and tag_file.is_file() else None
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges of the file itself
    if tag:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    timeout = httpx.Timeout(60, connect=20)
    try:
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=timeout) as response:
            if response.headers.get("content-range") == f"bytes */{have}":
                return have  # nothing was missing any more
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink()
            _refuse_unusable(response, url)
            start, total = _range(response)
            if start not in (0, have):
                raise httpx.ReadError(f"asked for byte {have} on, the server sends from {start} on")
            tag_file.write_text(_version_tag(response), encoding="utf-8")
            with part.open("ab" if start else "wb") as file:
                # As it comes: with a chunk size httpx holds back what does not fill one, and a break loses it.
                for chunk in response.iter_raw():
                    file.write(chunk)
                    progress(file.tell(), total)
            return total
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
        raise DataError(f"{url}: {error}") from error


def _refuse_unusable(response: httpx.Response, url: str) -> None:
    status = response.status_code
    answer = f"the server answers {status} {response.reason_phrase}"
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in (408, 416, 429):
        raise httpx.ReadError(answer)  # another try may go better
    if status not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        raise DataError(f"{url}: {answer}")
    if response.headers.get("content-type", "").startswith("text/"):
        raise DataError(
            f"{url}: the server sends {response.headers['content-type']} instead of a zip. Open the address in a "
            "browser; if it has moved, set RADAR_RELEASE_URL, or give the file to `radar data prepare`."
        )


def _version_tag(response: httpx.Response) -> str:
    """What `If-Range` can be asked with: a strong entity tag, else the date, else nothing."""
    tag: str = response.headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("last-modified", "")


def _range(response: httpx.Response) -> tuple[int, int | None]:
    """Where the body starts within the file, and the file's size if the server tells it."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if match is None:
            raise httpx.ReadError("the server does not say which part it sends")
        return int(match[1]), int(match[2])
    length = response.headers.get("content-length")
    return 0, int(length) if length and length.isdigit() else None


def _checked(file: Path, target: Path, url: str, sha256: str | None) -> Path:
    """Move a file that is what it should be to `target`; one that is not is removed, as going on would not help."""
    problem = None
    if not zipfile.is_zipfile(file):
        problem = f"is not a whole zip file ({_size(file):,} bytes)"
    elif sha256 and (found := _sha256(file)) != sha256.lower():
        problem = f"has the SHA-256 {found} instead of {sha256}"
    if problem:
        file.unlink()
        raise DataError(f"what came from {url} {problem}; it was removed. Run it again, or check the address.")
    file.replace(target)
    target.with_name(target.name + ".part.tag").unlink(missing_ok=True)
    return target


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
