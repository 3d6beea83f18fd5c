"""The store: one parquet file a source under the data home, its manifest inside it.

A source is one file so that there is nothing that can disagree: replacing it is one rename, and whoever holds the old
one open goes on reading it. `open_source` finds the embedded sample (`mini_*`) too, which needs no preparation.
"""

from radar_tasks.paths import data_home
from radar_tasks.store.home import (
    OtherVersionError,
    open_source,
    open_version,
    sample_names,
    source_names,
    source_path,
    stored_names,
)
from radar_tasks.store.manifest import Manifest, Origin, Skipped
from radar_tasks.store.table import QuestionTable
from radar_tasks.store.writer import SourceWriter

__all__ = [
    "Manifest",
    "Origin",
    "OtherVersionError",
    "QuestionTable",
    "Skipped",
    "SourceWriter",
    "data_home",
    "open_source",
    "open_version",
    "sample_names",
    "source_names",
    "source_path",
    "stored_names",
]
