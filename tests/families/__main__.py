"""`make families`: measures every family, remembers what is measured, and writes docs/families.md.

python -m families [--only TYPE ...] [--questions N] [--work FOLDER] [--page FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path

import tiny_models

from families.measurement import Measured, measured_elsewhere, quiet
from families.page import faults, page

ROOT = Path(__file__).parents[2]
SOURCES = ("radar_tasks/scoring", "tests/tiny_models", "tests/families")


def main() -> int:
    """Exit status 1 if a family is scored wrong or ends in a traceback."""
    parser = argparse.ArgumentParser(
        prog="families", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="TYPE", help="these types; the page is not written")
    parser.add_argument("--questions", type=int, default=2, help="a group; there are four groups")
    parser.add_argument(
        "--work", type=Path, default=ROOT / "demo" / "families", help="folder of what is measured already"
    )
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "families.md")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    chosen = parser.parse_args()
    families = chosen.only or [*tiny_models.FAMILIES, *tiny_models.NOT_MADE]
    measured = dict(_measured(families, chosen.questions, chosen.work, chosen.workers))
    wrong = {family: found for family in families if (found := faults(measured[family]))}
    for family, found in wrong.items():
        for fault in found:
            print(f"{family}: {fault}")
    scored = sum(not found.refused for found in measured.values())
    print(
        f"{scored} types are scored, {len(wrong)} of them not as they should be; {len(measured) - scored} are refused."
    )
    if not chosen.only:
        versions = {name: version(name).split("+")[0] for name in ("transformers", "torch")}
        chosen.page.write_text(page(measured, 4 * chosen.questions, versions))
        print(f"wrote {chosen.page.relative_to(ROOT)}")
    return bool(wrong)


def _measured(families: list[str], count: int, work: Path, workers: int) -> Iterator[tuple[str, Measured]]:
    """Every family; what is remembered of the same sources and libraries is not measured again."""
    work.mkdir(parents=True, exist_ok=True)
    key = _key(count)
    todo = []
    for family in families:
        file = work / f"{family}.json"
        stored = json.loads(file.read_text()) if file.is_file() else {}
        if stored.get("key") == key:
            yield family, Measured(**{**stored["measured"], "groups": tuple(stored["measured"]["groups"])})
        else:
            todo.append(family)
    start = time.monotonic()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=quiet) as pool:
        running = {pool.submit(measured_elsewhere, family, count): family for family in todo}
        for number, future in enumerate(as_completed(running), 1):
            family, found = running[future], future.result()
            (work / f"{family}.json").write_text(
                json.dumps({"key": key, "measured": dataclasses.asdict(found)}, indent=1)
            )
            left = (time.monotonic() - start) / number * (len(todo) - number)
            print(f"{number}/{len(todo)} {family}: {_word(found)}; about {left / 60:.0f} min left", flush=True)
            yield family, found


def _word(found: Measured) -> str:
    if found.refused:
        return "refused"
    return "; ".join(faults(found)) or f"right, auto takes {found.auto}"


def _key(count: int) -> str:
    digest = hashlib.sha256(f"{count} {version('transformers')} {version('torch')}".encode())
    for folder in SOURCES:
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{file.relative_to(ROOT)}".encode() + file.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
