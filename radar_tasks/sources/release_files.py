"""Files of a release, from a folder or from within a zip, which is never unpacked to disk."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from radar_tasks.errors import DataError

MAX_RATIO = 250
"""A zip's file larger than a megabyte and compressed more than this is taken for a bomb."""

MAX_FILES = 1_000_000
"""Fifty times as many as the release holds; a folder or zip with more is something else."""


class Files(Protocol):
    """A tree of files, read only. Names are relative, with forward slashes.

    Attributes:
        location: folder or archive, as the user gave it.
    """

    location: str

    def names(self) -> Iterable[str]:
        """All files."""

    def __contains__(self, name: object) -> bool: ...

    def stamp(self, name: str) -> str:
        """Size and date, or size and checksum: changes when the file does."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """A whole file. Raises `DataError` if it is larger than `max_bytes` or cannot be read."""


def open_files(location: Path) -> Files:
    """A folder or a zip as `Files`. Raises `DataError` if it is neither, or a zip that is damaged or hostile."""
    if location.is_dir():
        return FolderFiles(location)
    if location.is_file():
        return ZipFiles(location)
    raise DataError(f"{location} is neither a folder nor a file")


class FolderFiles:
    """The files below a folder; links in it are followed, it is the user's own."""

    def __init__(self, folder: Path) -> None:
        self.location = str(folder)
        self._folder = folder
        self._names = set(_files_below(folder))

    def names(self) -> Iterable[str]:
        return self._names

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def stamp(self, name: str) -> str:
        status = (self._folder / name).stat()
        return f"{status.st_size} {status.st_mtime_ns}"

    def read(self, name: str, max_bytes: int) -> bytes:
        path = self._folder / name
        try:
            # A pipe would be waited for, and a device never ends.
            if not stat.S_ISREG(path.stat().st_mode):
                raise DataError(f"{path} is not a regular file")
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
        return _within(data, max_bytes, str(path))


class ZipFiles:
    """The files of a zip, checked as a whole when it is opened.

    Raises:
        DataError: it is damaged, encrypted, or holds paths that climb out, absolute paths, links or bombs.
    """

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeError) as error:
            raise DataError(f"{path} is not a whole zip file: {error}") from error
        entries = self._zip.infolist()
        problems = [f"{entry.filename!r}: {problem}" for entry in entries for problem in _entry_problems(entry)]
        entries = [entry for entry in entries if entry.filename]  # zipfile itself fails on one without a name
        if len(entries) > MAX_FILES:
            problems.append(f"{len(entries):,} files, more than {MAX_FILES:,}")
        self._entries = {entry.filename: entry for entry in entries if not entry.is_dir()}
        if len(self._entries) < sum(not entry.is_dir() for entry in entries):
            problems.append("several files of one name")
        if problems:
            self._zip.close()
            more = f" (and {len(problems) - 10} more)" if len(problems) > 10 else ""
            raise DataError(f"{path} is refused, nothing was read: " + "; ".join(problems[:10]) + more)

    def names(self) -> Iterable[str]:
        return self._entries

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def stamp(self, name: str) -> str:
        entry = self._entries[name]
        return f"{entry.file_size} {entry.CRC}"

    def read(self, name: str, max_bytes: int) -> bytes:
        where = f"{name} in {self.location}"
        try:
            with self._zip.open(self._entries[name]) as file:
                data = file.read(max_bytes + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{where} cannot be read: {error}") from error
        except Exception as error:  # bz2 and lzma have errors of their own
            raise DataError(f"{where} is damaged: {type(error).__name__}: {error}") from error
        return _within(data, max_bytes, where)


def _files_below(folder: Path) -> Iterator[str]:
    seen: set[tuple[int, int]] = set()
    count = 0
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_unreadable):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:  # a link back to where we have been
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        count += len(names)
        if count > MAX_FILES:
            raise DataError(f"{folder} holds more than {MAX_FILES:,} files: give the folder of the release itself")
        for name in names:
            yield (Path(parent).relative_to(folder) / name).as_posix()


def _entry_problems(entry: zipfile.ZipInfo) -> list[str]:
    problems = [] if entry.filename else ["an entry without a name"]
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or entry.filename[1:2] == ":":
        problems.append("an absolute path")
    if ".." in path.parts or "\\" in entry.filename:
        problems.append("a path that can climb out of its folder")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        problems.append("a link or a special file")
    if entry.flag_bits & 0x1:
        problems.append("encrypted")
    if entry.file_size > 2**20 and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        problems.append(f"{entry.file_size:,} bytes out of {entry.compress_size:,}: a zip bomb")
    return problems


def _within(data: bytes, max_bytes: int, where: str) -> bytes:
    if len(data) > max_bytes:
        raise DataError(f"{where} is larger than {max_bytes:,} bytes")
    return data


def _unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
