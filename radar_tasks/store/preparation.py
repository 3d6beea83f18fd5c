"""From readers to the store: everything or nothing, going on where an interrupted run stopped."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from radar_tasks.errors import DataError
from radar_tasks.paths import data_home
from radar_tasks.sources.pictures import shape_notes
from radar_tasks.sources.source_reader import STAND_IN, Rejected, SourceReader
from radar_tasks.store.home import source_path
from radar_tasks.store.manifest import Manifest, Origin, Skipped
from radar_tasks.store.table import QuestionTable
from radar_tasks.store.writer import SourceWriter

SHOWN_PROBLEMS = 200
"""So many are told in full; a release unpacked to the wrong place has thousands of one kind."""

Progress = Callable[[str, int], None]
"""Called with the source and the number of questions just read."""

Note = Callable[[str], None]
"""Called with what is worth knowing without being a fault: a picture that some models refuse."""


def prepare(
    readers: Sequence[SourceReader], skip_bad: bool, progress: Progress, note: Note | None = None
) -> list[Manifest]:
    """Read, check and store sources; return their manifests.

    Each source is first written to a staging folder. Only when all are there they take their places, one rename each,
    so until then the store is what it was. A source that an interrupted run has staged is not read again if its files
    are the same.

    Args:
        readers: the sources.
        skip_bad: leave broken questions out and record them in the manifest, instead of refusing.
        progress: see `Progress`.
        note: see `Note`.

    Raises:
        DataError: questions are broken; the message lists all of them, over all sources. The store is left as it was.
    """
    staging = data_home() / "staging"
    staged: dict[Path, Manifest] = {}
    problems: list[Rejected] = []
    try:
        for reader in readers:
            path = staging / f"{reader.source}.parquet"
            manifest = _staged_before(path, reader, skip_bad)
            if manifest is None:
                path.unlink(missing_ok=True)
                manifest, bad = _stage(path, reader, skip_bad, progress, note)
                problems += bad
            else:
                progress(reader.source, len(reader))
            if manifest is not None:
                staged[path] = manifest
        if problems:
            raise DataError(_all_problems(problems, skip_bad))
        for path, manifest in staged.items():
            destination = source_path(manifest.source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            path.replace(destination)
    except OSError as error:
        raise DataError(f"the store in {data_home()} cannot be written: {error}. It is as it was.") from error
    return list(staged.values())


def _staged_before(path: Path, reader: SourceReader, skip_bad: bool) -> Manifest | None:
    if not path.is_file():
        return None
    try:
        manifest = QuestionTable(path).manifest
    except DataError:
        return None
    same = (manifest.origin.fingerprint, manifest.version) == (reader.fingerprint(), _version())
    return manifest if same and (skip_bad or not manifest.skipped) else None


def _stage(
    path: Path, reader: SourceReader, skip_bad: bool, progress: Progress, note: Note | None
) -> tuple[Manifest | None, list[Rejected]]:
    rejected: list[Rejected] = []
    too_many_images = 0
    stand_in = False
    left_out: Counter[str] = Counter()
    with SourceWriter(path) as writer:
        for item in reader.read():
            if not isinstance(item, Rejected):
                writer.add(item)
                stand_in = stand_in or item.rule.startswith(STAND_IN)
                if note is not None:
                    for text in shape_notes(item):
                        note(f"{reader.source}, {text}")
            elif item.too_many_images:
                too_many_images += 1
            elif item.left_out:
                left_out[item.left_out] += 1
            else:
                rejected.append(item)
            progress(reader.source, 1)
        if rejected and not (skip_bad and len(writer)):
            return None, rejected
        origin = Origin(kind=reader.kind, location=reader.location, fingerprint=reader.fingerprint())
        skipped = [Skipped(q_id=bad.q_id, file=bad.file, reasons=bad.reasons) for bad in rejected]
        return writer.finish(origin, skipped, too_many_images, stand_in, left_out), []


def _all_problems(problems: Sequence[Rejected], skip_bad: bool) -> str:
    lines = [f"  {_place(bad)}: {'; '.join(bad.reasons)}" for bad in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  … and {len(problems) - SHOWN_PROBLEMS} more")
    remedy = "Repair them, or leave them out with --skip-bad; the manifest then says which."
    if skip_bad:
        remedy = "No sound question would be left of a source: repair them."
    return "\n".join([f"{len(problems)} of the questions are broken, and the store is left as it was:", *lines, remedy])


def _place(bad: Rejected) -> str:
    """File and question. A table's question is called by the number of its row, which need not be said twice."""
    return bad.file if not bad.q_id or bad.file.endswith(f"row {bad.q_id}") else f"{bad.file}, question {bad.q_id!r}"


def _version() -> str:
    return importlib.metadata.version("lmms-eval-radar")
