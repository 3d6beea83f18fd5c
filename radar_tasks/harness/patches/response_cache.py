"""lmms-eval's response cache (`--use_cache`), made to survive a kill.

As it is in lmms-eval 0.7.3, responses are stored only after the model has answered the very last request, and what a
killed run has stored lies in a folder of its own (`runs/<id>/rank_<r>.db`) that no later run looks into. Here

* every question is stored as soon as its batch is scored, by lmms-eval's own code and under its own keys;
* a run first brings home what others have left, whatever their number of processes was;
* keys hold the release of lmms-eval. It takes the commit of the git repository around its files, which for an installed
  one is the user's project: a commit there between two runs would lose everything.

lmms-eval has no door for this, so `install` wraps the two methods through which its evaluator uses the cache, and the
function that tells its version.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from radar_tasks.errors import ResultsError
from radar_tasks.harness.ranks import ending_job

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance

MERGED = ".merged"
"""lmms-eval's mark of a run whose responses are in the common database; its age says which of them."""


def install() -> None:
    """Make lmms-eval's cache keep what a killed run has scored; calling it again changes nothing."""
    from lmms_eval import utils
    from lmms_eval.caching.response_cache import ResponseCache

    if getattr(ResponseCache.execute, "stores_at_once", False):
        return
    create, execute = ResponseCache.create, ResponseCache.execute
    utils.get_lmms_eval_cache_version = _version_of(utils.get_lmms_eval_cache_version)

    @functools.wraps(create)
    def create_after_recovery(cache_root: str, *, world_size: int = 1, global_rank: int = 0, **more: Any) -> Any:
        folder = Path(cache_root).resolve()
        _on_first_rank(world_size, global_rank, lambda: recover(folder.parent if folder.suffix == ".db" else folder))
        return create(cache_root, world_size=world_size, global_rank=global_rank, **more)

    @functools.wraps(execute)
    def execute_storing(self: Any, lm: Any, reqtype: str, requests: list[Instance]) -> list[Any]:
        if reqtype == "loglikelihood" and hasattr(lm, "as_scored"):
            execute(self, _Storing(functools.partial(execute, self), lm), reqtype, requests)
        responses: list[Any] = execute(self, lm, reqtype, requests)
        return responses

    execute_storing.stores_at_once = True  # type: ignore[attr-defined]
    ResponseCache.create = create_after_recovery
    ResponseCache.execute = execute_storing


def recover(folder: Path) -> None:
    """Bring what interrupted runs have scored into the common database of a cache.

    Args:
        folder: the cache's; need not exist. Runs that are still going on may be read, they lose nothing.
    """
    from lmms_eval.caching.response_cache import ResponseCache

    _remove_lock_of_the_dead(folder / "runs" / ".merge.lock")
    for run in sorted(folder.glob("runs/*/")):
        shards = [shard for shard in run.glob("rank_*.db") if _changed_since_merge(shard)]
        for shard in shards:
            try:
                ResponseCache.merge_shards([str(shard)], str(folder / "cache.db"))
            except sqlite3.Error as error:  # killed while it made the file, or a damaged disk: those are scored again
                logger.warning(f"{shard} cannot be read and is left out: {error}")
        if shards:
            (run / MERGED).touch()
    _bring_in_journal(folder / "cache.db")


class _Storing:
    """Stands for the model before the cache: hands every scored question to the cache at once, and nothing back.

    Args:
        execute: the cache's, `(model, request type, requests)`.
        lm: the model, with `as_scored`.
    """

    def __init__(self, execute: Callable[..., list[Any]], lm: Any) -> None:
        self._execute = execute
        self._lm = lm

    def loglikelihood(self, requests: list[Instance]) -> list[Any]:
        with ending_job():
            for answered, responses in self._lm.as_scored(requests):
                try:
                    self._execute(_Answered(responses), "loglikelihood", answered)
                except (OSError, sqlite3.Error) as error:
                    raise ResultsError(
                        f"The response cache of --use_cache cannot be written ({error}). What it holds is kept: make "
                        "room and start again."
                    ) from error
        return []


class _Answered:
    """A model that has its answers already."""

    def __init__(self, responses: Sequence[Any]) -> None:
        self._responses = responses

    def loglikelihood(self, requests: Sequence[Instance]) -> Sequence[Any]:
        return self._responses


def _version_of(commit: Callable[[], str]) -> Callable[[], str]:
    """What tells one lmms-eval from another: its release, or, where its files are its own repository, the commit."""
    import lmms_eval

    is_checkout = (Path(lmms_eval.__file__).parents[1] / ".git").exists()
    return commit if is_checkout else functools.partial(importlib.metadata.version, "lmms-eval")


def _on_first_rank(world_size: int, rank: int, action: Callable[[], None]) -> None:
    """Run it on rank 0, and let the others wait for that."""
    if rank == 0:
        action()
    if world_size > 1:
        from torch import distributed

        if distributed.is_initialized():
            distributed.barrier()


def _bring_in_journal(database: Path) -> None:
    """Runs read the common database without SQLite's journal beside it, which a kill while merging leaves behind."""
    if database.exists():
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _changed_since_merge(shard: Path) -> bool:
    """Whether a rank has written after its run was merged; runs of one launcher may share a folder."""
    mark = shard.with_name(MERGED)
    written = [file.stat().st_mtime_ns for file in (shard, shard.with_name(f"{shard.name}-wal")) if file.exists()]
    return not mark.exists() or max(written) > mark.stat().st_mtime_ns


def _remove_lock_of_the_dead(lock: Path) -> None:
    """A process killed while it merged leaves its lock, and lmms-eval would never merge again."""
    owner = lock / "owner.json"
    try:
        about = json.loads(owner.read_text(encoding="utf-8"))
        if about["hostname"] != socket.gethostname():
            return
        os.kill(int(about["pid"]), 0)
    except ProcessLookupError:
        owner.unlink(missing_ok=True)
        lock.rmdir()
    except (OSError, ValueError, KeyError, TypeError):
        return  # there is none, or it is somebody else's
