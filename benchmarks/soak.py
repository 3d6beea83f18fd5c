"""A long run on a small model: memory, throughput and open files of one process, as questions go by.

    python benchmarks/soak.py --questions 10000 --json rows.json

Every question has a picture and texts of its own, made when it is read, and goes the whole way: PNG, image processor,
tokenizer, model. Ends with status 1 if memory or open files still grow after the first hundred.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from radar_tasks import paths
from radar_tasks.questions import Question

SETTLED = 100
"""Questions after which everything that is there only once is there."""

GROWTH = 1.02
"""Memory at the end may be this many times that after the first hundred questions."""


class MadeQuestions(Sequence[Question]):
    """Questions that exist only while they are scored."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @property
    def image_ids(self) -> list[str]:
        """As a harness's requests give them, without reading a picture."""
        return [f"p{index}" for index in range(self._count)]

    def __getitem__(self, index: Any) -> Any:
        draw = np.random.default_rng(index)
        picture = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (28, 28, 3), dtype=np.uint8)).save(picture, "PNG")
        digits = "".join(map(str, draw.integers(0, 10, size=int(draw.integers(4, 30)))))
        return Question(
            q_id=f"q{index}", text=(f"What follows {digits}?",), images=(picture.getvalue(),),
            options=(f"the number {index}", f"the number {index + 1}"), answer=0, ability="perception", task="made",
            source="made", category="", image_id=f"p{index}",
        )  # fmt: skip


def main() -> int:
    """Runs, prints a table, and says whether it was flat."""
    options = _options()
    from radar_tasks.scoring import Scorer
    from radar_tasks.scoring.checkpoints import checkpoint_options, load

    scorer = Scorer(load(checkpoint_options({"pretrained": str(max(paths.checkpoints().glob("step-*")))})))
    process = psutil.Process()
    every = max(1, options.questions // 20)
    rows: list[dict[str, float]] = []
    print(f"{'questions':>9} {'MiB':>8} {'open files':>10} {'threads':>8} {'questions/s':>12}")
    began = time.perf_counter()
    for count, _ in enumerate(scorer.score(MadeQuestions(options.questions)), 1):
        if count % every and count != SETTLED:
            continue
        now = time.perf_counter()
        since = rows[-1] if rows else {"questions": 0, "at": began}
        row = {
            "questions": count,
            "mib": process.memory_info().rss / 2**20,
            "files": process.num_fds(),
            "threads": process.num_threads(),
            "rate": (count - since["questions"]) / (now - since["at"]),
            "at": now,
        }
        rows.append(row)
        print(f"{count:9} {row['mib']:8.1f} {row['files']:10} {row['threads']:8} {row['rate']:12.1f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    settled = next(row for row in rows if row["questions"] >= SETTLED)
    after = rows[rows.index(settled) + 1 :]
    grown, files = after[-1]["mib"] / settled["mib"], after[-1]["files"] - settled["files"]
    third = max(1, len(after) // 3)
    first, last = (statistics.median(row["rate"] for row in part) for part in (after[:third], after[-third:]))
    print(
        f"from {settled['questions']} to {after[-1]['questions']} questions: memory x {grown:.3f}, {files:+} open files"
    )
    print(f"questions/s, median of the last third of these rows over that of the first: x {last / first:.2f}")
    return int(grown > GROWTH or files > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=10_000, help="at least 200")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
