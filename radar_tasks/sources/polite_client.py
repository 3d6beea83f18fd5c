"""A client for public servers: it says who it is, asks one thing at a time, waits when told to, and never asks twice.

Every answer is kept in a folder, so an interrupted run goes on where it stopped and a second one asks nothing.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from radar_tasks.errors import DataError
from radar_tasks.files import write_whole

PAUSE = 0.2
"""Seconds between the beginnings of two requests."""

TRIES = 6
"""Attempts before giving up; the pause doubles from one to the next, unless the server says how long to wait."""

LONGEST_WAIT = 120
"""Seconds that a server can make us wait for the next attempt."""


class PoliteClient:
    """Fetches JSON and files.

    Args:
        folder: where answers are kept.
        pause: see `PAUSE`.
    """

    def __init__(self, folder: Path, pause: float = PAUSE) -> None:
        self._folder = folder
        self._pause = pause
        self._next = 0.0
        # Wikimedia asks for a name and a way to reach whoever runs the program.
        contact = os.environ.get("RADAR_CONTACT", "no contact given")
        version = importlib.metadata.version("lmms-eval-radar")
        headers = {"User-Agent": f"lmms-eval-radar/{version} ({contact}) httpx/{httpx.__version__}"}
        self._client = httpx.Client(headers=headers, follow_redirects=True, timeout=httpx.Timeout(60, connect=20))

    def json(self, url: str, parameters: Mapping[str, str]) -> Any:
        """The JSON that a server answers. Raises `DataError` if it cannot be had."""
        data = self._kept(str(httpx.URL(url, params=dict(parameters))), 16 * 2**20, api=True)
        return json.loads(data)

    def file(self, url: str, max_bytes: int) -> bytes:
        """A file of at most so many bytes. Raises `DataError` if it cannot be had."""
        return self._kept(url, max_bytes, api=False)

    def _kept(self, url: str, max_bytes: int, api: bool) -> bytes:
        if not url.startswith(("https://", "http://")):
            raise DataError(f"{url[:200]} is no address to fetch from")
        name = hashlib.sha256(url.encode()).hexdigest()
        path = self._folder / name[:2] / name
        if not path.is_file():
            write_whole(path, self._fetched(url, max_bytes, api))
        return path.read_bytes()

    def _fetched(self, url: str, max_bytes: int, api: bool) -> bytes:
        problem = ""
        for attempt in range(TRIES):
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = time.monotonic() + self._pause
            wait = self._pause * 2 ** (attempt + 1)
            try:
                with self._client.stream("GET", url) as response:
                    data = _body(response, url, max_bytes)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
                raise DataError(f"{url[:200]}: {error}") from None
            else:
                status = response.status_code
                busy = status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS) or status >= 500
                told = _refusal(data) if api and not busy else ""
                if not busy and status != httpx.codes.OK:
                    raise DataError(f"{url[:200]}: the server answers {status} {response.reason_phrase}")
                if not busy and not told:
                    return data
                if told not in ("", "maxlag", "ratelimited"):
                    raise DataError(f"{url[:200]}: the server refuses: {told}")
                problem = told or f"the server answers {status} {response.reason_phrase}"
                wait = _seconds_to_wait(response, wait)
            self._next = time.monotonic() + min(wait, LONGEST_WAIT)
        raise DataError(f"{url[:200]}: {problem}, {TRIES} times in a row. What was received is kept; run it again.")


def _body(response: httpx.Response, url: str, max_bytes: int) -> bytes:
    data = b""
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > max_bytes:
            raise DataError(f"{url[:200]} is larger than {max_bytes:,} bytes")
    return data


def _refusal(data: bytes) -> str:
    """The code of an error that comes with status 200, as MediaWiki tells that it is busy; "" for an answer."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return "an answer that is no JSON"
    error = answer.get("error", {}) if isinstance(answer, dict) else {}
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def _seconds_to_wait(response: httpx.Response, otherwise: float) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdigit() else otherwise
