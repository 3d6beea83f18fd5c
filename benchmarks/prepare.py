"""Preparing a release of the published size: time, peak memory, and what reading from the store costs.

    python benchmarks/prepare.py [--questions 15894] [--zip]

Makes a synthetic release (random pictures of 60-120 KB, as many questions per source as published, or the same share of
`--questions`) in a temporary folder, prepares it in a process of its own, and removes everything.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from radar_tasks.sources.catalogue import PUBLISHED, Published
from radar_tasks.sources.release import ENDING

PREPARE = """
import resource, sys, time
from pathlib import Path
from radar_tasks.sources.release import release_sources
from radar_tasks.store.preparation import prepare
start = time.perf_counter()
manifests = prepare(release_sources(Path(sys.argv[1])), False, lambda source, count: None)
print(sum(m.questions for m in manifests), sum(m.image_bytes for m in manifests), time.perf_counter() - start,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

READ = """
import random, resource, time
from radar_tasks.store import open_source
start = time.perf_counter()
table = open_source("wiki_animal")
headers = table.headers()
opened = time.perf_counter()
for place in random.Random(0).choices(range(len(table)), k=500): table[place]
at_random = time.perf_counter()
for question in table: pass
print(opened - start, (at_random - opened) / 500, (time.perf_counter() - at_random) / len(table),
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def pictures(count: int = 40) -> list[bytes]:
    """Pictures like photographs in what they weigh: 60-120 KB at 500-1,000 pixels a side."""
    rng = np.random.default_rng(0)
    made: list[bytes] = []
    while len(made) < count:
        width, height = rng.integers(500, 1000, 2)
        coarse = Image.fromarray(rng.integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((int(width), int(height)), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        encoded = io.BytesIO()
        Image.fromarray(noisy).save(encoded, "JPEG", quality=70)
        if 60_000 < encoded.tell() < 120_000:
            made.append(encoded.getvalue())
    return made


def write_source(folder: Path, source: Published, count: int, made: list[bytes]) -> None:
    """One task folder in the release's layout, every question with a picture of its own."""
    home = folder / source.folder
    marked = source.name == "mmmu_pro"
    prefix, inner = {"mmbench": ("MMBench_a_b", "a_b/"), "mmmu_pro": ("MMMU_Pro_A", "A/")}.get(source.name, ("X", ""))
    (home / "images" / inner).mkdir(parents=True)
    ending = {"mmmu_pro": "_image_1.png", "seephys": "_0.png"}.get(source.name, ".jpg")
    questions = {}
    for number in range(count):
        comment = f"{source.name} {number}".encode()  # a segment that makes each file another one
        data = made[number % len(made)]
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (home / "images" / f"{inner}{number}{ending}").write_bytes(data[:2] + segment + data[2:])
        questions[str(number)] = {
            "question": "The image shows" + " <image 1>" * marked,
            "answer": f"a thing {number}",
            "distraction": [f"another thing {number}"],
            "img_num": 1,
            "ori_options": "[]",
        }
    (home / f"{prefix}_{count}{ENDING}").write_text(json.dumps(questions))


def main() -> None:
    """Make, prepare, read, report, remove."""
    parser = argparse.ArgumentParser(description=__doc__)
    published = sum(source.count for source in PUBLISHED.values())
    parser.add_argument("--questions", type=int, default=published)
    parser.add_argument("--zip", action="store_true", help="prepare from a zip instead of a folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="radar-prepare-") as name:
        folder = Path(name) / "release"
        made = pictures()
        for source in PUBLISHED.values():
            write_source(folder, source, max(1, source.count * options.questions // published), made)
        location = zipped(folder) if options.zip else folder
        environment = {**os.environ, "RADAR_HOME": str(Path(name) / "home"), "OMP_NUM_THREADS": "1"}

        def run(code: str) -> list[float]:
            command = [sys.executable, "-c", code, str(location)]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            return [float(value) for value in done.stdout.split()]

        questions, size, seconds, peak = run(PREPARE)
        print(
            f"prepare: {questions:,.0f} questions, {size / 1e9:.2f} GB of images from a {location.suffix or 'folder'}"
        )
        print(f"  {seconds:.0f} s, {questions / seconds:.0f} questions/s, peak memory {peak / 1024:.0f} MiB")
        opening, at_random, in_order, peak = run(READ)
        print(
            f"read one source: open and headers {opening * 1e3:.0f} ms, a question at random {at_random * 1e3:.2f} ms,"
        )
        print(f"  in order {in_order * 1e3:.2f} ms, peak memory {peak / 1024:.0f} MiB")


def zipped(folder: Path) -> Path:
    """The release as a zip beside its folder."""
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as target:
        for file in folder.rglob("*.*"):
            target.write(file, file.relative_to(folder))
    return archive


if __name__ == "__main__":
    main()
