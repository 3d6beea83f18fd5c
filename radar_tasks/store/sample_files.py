"""The files of the embedded sample, `radar_mini`, as the package ships them.

    python -m radar_tasks.store.sample_files FOLDER

writes the shipped questions again: their checksums are equal.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from radar_tasks.sources.sample import SEED, make_sample
from radar_tasks.store.manifest import Origin
from radar_tasks.store.writer import SourceWriter


def write_sample(folder: Path) -> None:
    """Write one parquet file a leaf into `folder`."""
    for source, questions in make_sample().items():
        with SourceWriter(folder / f"{source}.parquet") as writer:
            for question in questions:
                writer.add(question)
            writer.finish(Origin(kind="sample", location="radar_tasks.sources.sample", fingerprint=str(SEED)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the embedded sample, radar_mini, again.")
    parser.add_argument("folder", type=Path, help="where the parquet files go")
    write_sample(parser.parse_args().folder)


if __name__ == "__main__":
    main()
