"""Results files as one table: the bridge between scoring and every analysis."""

from radar_tasks.results.reader import Run, SourceSamples, find_runs, load_run, samples_of, step_of

__all__ = ["Run", "SourceSamples", "find_runs", "load_run", "samples_of", "step_of"]
