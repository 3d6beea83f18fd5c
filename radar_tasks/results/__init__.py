"""Results files as one table: the bridge between scoring and every analysis."""

from radar_tasks.results.reader import CheckpointResult, SourceSamples, find_runs, load_run, samples_of, step_of

__all__ = ["CheckpointResult", "SourceSamples", "find_runs", "load_run", "samples_of", "step_of"]
