"""Where results come from, in a form that may be published: releases, times in UTC, names and no local paths.

lmms-eval 0.7.3 writes as its version the branch and commit of whatever git repository lies around its installation, and
dates files by the clock of Singapore without saying so. Files that this project writes say release and UTC
(`radar_tasks.harness.patches.results_files`); older files are read for what they meant.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SINGAPORE = timezone(timedelta(hours=8))
"""The zone of lmms-eval's `--timezone` where none is given; fixed, so that no table of zones is needed for it."""

_RELEASE = re.compile(r"v?\d+\.\d+[\w.+-]*")
_STAMP = re.compile(r"(\d{8}_\d{6})(?:-\d+)?")
_LOCAL = re.compile(r"^(?:/|~|\.{1,2}(?:/|$)|[A-Za-z]:[\\/]|file:)")


def release_of(results: Mapping[str, Any]) -> str:
    """The release of the harness that wrote a results file, `unknown` where it wrote no release."""
    written = str(results.get("lmms_eval_version") or results.get("lm_eval_version") or "")
    return written if _RELEASE.fullmatch(written) else "unknown"


def date_of(results: Mapping[str, Any], stamp: str) -> str:
    """When a results file was made, UTC as ISO 8601; the stamp of its name where nothing says it.

    Args:
        results: the file's content.
        stamp: the date in its name.
    """
    written = results.get("date")
    if isinstance(written, (int, float)) and not isinstance(written, bool):  # lm-eval: seconds since 1970
        try:
            return _iso(datetime.fromtimestamp(written, timezone.utc))
        except (ValueError, OverflowError, OSError):
            return stamp
    if isinstance(written, str):
        try:
            zoned = datetime.fromisoformat(written.replace("Z", "+00:00"))
        except ValueError:
            zoned = None
        if zoned is not None and zoned.tzinfo is not None:
            return _iso(zoned.astimezone(timezone.utc))
    zone = _zone(results)
    if (match := _STAMP.fullmatch(stamp)) and zone is not None:
        with contextlib.suppress(ValueError):
            local = datetime.strptime(match[1], "%Y%m%d_%H%M%S").replace(tzinfo=zone)
            return _iso(local.astimezone(timezone.utc))
    return stamp


def is_local(text: str) -> bool:
    """Whether a text is a path of some machine: from the root, home or a dot, or of more parts than a Hub name."""
    return bool(_LOCAL.match(text)) or (len(text.split("/")) > 2 and "://" not in text)


def named(value: Any) -> Any:
    """A value with the last part of each local path in it instead of the path: what may be published of settings."""
    if isinstance(value, Mapping):
        return {key: named(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [named(inner) for inner in value]
    if isinstance(value, str) and " " not in value and is_local(value):
        return PurePosixPath(value.replace("\\", "/")).name
    return value


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """The last part of each path, or as many parts as tell all apart."""
    every = dict.fromkeys(paths)
    for parts in range(1, 20):
        short = {path: "/".join(path.rstrip("/").split("/")[-parts:]) for path in every}
        if len(set(short.values())) == len(every):
            return short
    return {path: path for path in every}


def experiment_names(paths: Iterable[str]) -> dict[str, str]:
    """By path what to call an experiment: Hub names and short relative paths as they are, of a local path its end."""
    every = list(dict.fromkeys(paths))
    short = short_names([path for path in every if is_local(path)])
    names = {path: short.get(path, path).strip("/") or path for path in every}
    return names if len(set(names.values())) == len(every) else {path: path for path in every}


def _zone(results: Mapping[str, Any]) -> tzinfo | None:
    """The zone of lmms-eval's stamps: Singapore, or the user's `--timezone`; None where that is not known here."""
    config = results.get("config")
    given = config.get("resolved_cli_args") if isinstance(config, Mapping) else None
    name = given.get("timezone") if isinstance(given, Mapping) else None
    if name in (None, "Asia/Singapore"):
        return SINGAPORE
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
