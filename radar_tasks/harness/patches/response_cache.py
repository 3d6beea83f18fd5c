"""lmms-eval's response cache (`--use_cache`), made to survive a kill and to know what it has been asked about.

As it is in lmms-eval, responses are stored only after the model has answered the very last request, and what a killed
run has stored lies in a folder of its own (`runs/<id>/rank_<r>.db`) that no later run looks into. A key knows the model
by the arguments of the command line, a question by its task, number and texts. Here, for this project's model,

* every question is stored as soon as its batch is scored, by lmms-eval's own code;
* a run first collects what earlier runs have left, whatever their number of processes was;
* keys hold what the model is (its weights and settings, whatever its path), so that other weights under the same path
  are never answered for, and a copy at another place is;
* keys hold the pictures of a question where the task's own description does not stand for them;
* keys hold the release of lmms-eval. It takes the commit of the git repository around its files, which for an installed
  one is the user's project: a commit there between two runs would lose everything.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import socket
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from radar_tasks.errors import ResultsError
from radar_tasks.harness.patches.patch import Patch, replace
from radar_tasks.harness.ranks import ending_job

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance


MERGED = ".merged"
"""lmms-eval's mark of a run whose responses are in the common database; its age says which of them."""


class ScoresOneByOne(ABC):
    """A model that says what it is, and hands over every question as soon as it is scored."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """What decides about its scores; equal texts mean equal scores of a question."""

    @property
    def needs_others(self) -> bool:
        """Whether no rank can score alone, so that each must be asked, be it for nothing."""
        return False

    @abstractmethod
    def as_scored(self, requests: list[Instance]) -> Iterator[tuple[list[Instance], list[Any]]]:
        """Requests of a question with their responses, a question at a time, in any order."""


def install() -> None:
    """Make lmms-eval's cache keep what a killed run has scored."""
    # The plugin is loaded while lmms-eval imports its models; what is used here is imported by then.
    from lmms_eval import utils
    from lmms_eval.caching import response_cache
    from lmms_eval.caching.response_cache import ResponseCache

    replace(ResponseCache, "create", _after_recovery)
    replace(ResponseCache, "execute", _storing_at_once)
    replace(response_cache, "_extract_content_hash", _with_pictures)
    replace(utils, "get_lmms_eval_cache_version", _version_of)


def _after_recovery(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_after_recovery(cache_root: str, *, world_size: int = 1, global_rank: int = 0, **more: Any) -> Any:
        folder = Path(cache_root).resolve()
        _on_first_rank(world_size, global_rank, lambda: recover(folder.parent if folder.suffix == ".db" else folder))
        return create(cache_root, world_size=world_size, global_rank=global_rank, **more)

    return create_after_recovery


def _storing_at_once(execute: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def execute_storing(self: Any, lm: Any, reqtype: str, requests: list[Instance]) -> list[Any]:
        if isinstance(lm, ScoresOneByOne) and reqtype == "loglikelihood":
            self._model_fingerprint_hash = hashlib.sha256(lm.identity.encode()).hexdigest()[:16]
            storing = _Storing(functools.partial(execute, self), lm)
            execute(self, storing, reqtype, requests)
            if lm.needs_others and not storing.asked:  # the cache knows all of this rank's, and not all of the others'
                storing.loglikelihood([])
        # What is stored comes from the database now; other models are asked as usual.
        return execute(self, lm, reqtype, requests)

    return execute_storing


def _with_pictures(content_hash: Callable[[Any], str]) -> Callable[[Any], str]:
    def content_hash_with_pictures(instance: Any) -> str:
        # The request's class brings the task's with it, which is imported by the time that there is a request.
        from radar_tasks.harness.requests import OptionRequest

        texts = content_hash(instance)
        if not isinstance(instance, OptionRequest) or not instance.document.content_key:
            return texts
        return f"{texts}-{instance.document.content_key}"

    return content_hash_with_pictures


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
        lm: the model.
    """

    def __init__(self, execute: Callable[..., list[Any]], lm: ScoresOneByOne) -> None:
        self._execute = execute
        self._lm = lm
        self.asked = False

    def loglikelihood(self, requests: list[Instance]) -> list[Any]:
        self.asked = True
        with ending_job():
            for answered, responses in self._lm.as_scored(requests):
                try:
                    self._execute(_Answered(responses), "loglikelihood", answered)
                except (OSError, sqlite3.Error) as error:
                    raise ResultsError(
                        f"The response cache of --use_cache cannot be written ({error}). What is in it is kept: "
                        "free some space and start again."
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
    import lmms_eval  # only its place is asked for

    is_checkout = (Path(lmms_eval.__file__).parents[1] / ".git").exists()

    def version() -> str:
        return commit() if is_checkout else importlib.metadata.version("lmms-eval")

    return version


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


PATCH = Patch(
    seen_in="0.7.3",
    changes="responses of radar_hf are cached a question at a time, under keys that know its weights and the pictures",
    install=install,
)
