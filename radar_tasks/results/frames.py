"""Results as pandas frames, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radar_tasks.results.metrics import metric_table
from radar_tasks.results.model import CheckpointResult

if TYPE_CHECKING:
    import pandas as pd


class CheckpointResults(list[CheckpointResult]):
    """Results of several checkpoints, in order."""

    def to_frame(self) -> pd.DataFrame:
        """A row per checkpoint and source (or average), with what it is and every metric as a column; NaN where one
        cannot be had. The single questions of a source: `results[0].sources["mmbench"].to_frame()`."""
        import pandas as pd  # half a second that only those pay who ask for a frame

        tables = []
        for result in self:
            table = metric_table(result).to_frame()
            about = {
                "experiment": result.experiment,
                "checkpoint": result.name,
                "step": result.step,
                "withheld": result.withheld,
                "date": result.date,
            }
            for place, (name, value) in enumerate(about.items()):
                table.insert(place, name, value)
            tables.append(table)
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
