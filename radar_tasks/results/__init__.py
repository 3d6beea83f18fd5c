"""Results files as one table: the bridge between scoring and every analysis."""

from radar_tasks.results.model import CheckpointResult, SourceSamples, TrainingRun
from radar_tasks.results.reader import find_runs, load_run, samples_of, step_of

__all__ = ["CheckpointResult", "SourceSamples", "TrainingRun", "find_runs", "load_run", "samples_of", "step_of"]
