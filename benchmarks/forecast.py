"""What forecasts are worth: the published InternVL-3.5 models, and the runs of the study.

    python benchmarks/forecast.py [--results RESULTS ...] [--runs studies/tiny/runs.csv]

First table: InternVL-3.5 pre-trained of 1, 2, 4 and 8 billion parameters continued to 14, source by source, beside
what the paper gives for 14. There are no single questions: the law is one of each score's log-odds, with one exponent
for all sources, the one with the least squares on the four known sizes. Second table, where results are given: the
back-test of `radar forecast`, with all runs at hand, and with each run alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from radar_metrics.forecast import growth, line_ahead, present_slope
from radar_tasks.analysis.forecast.backtest import BackTest, back_test, last_thirds
from radar_tasks.analysis.forecast.forecast_tables import Larger, forecast_tables
from radar_tasks.analysis.forecast.margin_tracks import run_track
from radar_tasks.analysis.run_descriptions import read_descriptions
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.published import published_models
from radar_tasks.questions import ABILITIES
from radar_tasks.report.text_tables import markdown
from radar_tasks.results import find_runs
from radar_tasks.sources.catalogue import PUBLISHED

KNOWN, TARGET = (1.0, 2.0, 4.0, 8.0), 14.0
DECAYS = np.arange(0.0, 2.01, 0.05)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", nargs="*", type=Path, default=[], help="results of finished training runs")
    parser.add_argument("--runs", type=Path, help="file that gives runs their `parameters`, for the largest size")
    options = parser.parse_args()
    print(published())
    if options.results:
        print(of_the_study(options.results, options.runs))


def published() -> str:
    """InternVL-3.5: mean absolute errors over sources."""
    models = published_models()
    sources = list(PUBLISHED)
    rows = []
    for metric in ("sds_logit", "acc_logit"):
        known, truth = (
            np.array(
                [[models[f"InternVL3.5-{size:g}B-Pretrained"].values[metric][s] for s in sources] for size in sizes]
            )
            for sizes in (KNOWN, (TARGET,))
        )
        decay = min(DECAYS, key=lambda one: _squares(known, one))
        slope = present_slope(KNOWN, logit(known), decay, np.inf)
        made = {
            "power law": expit(logit(known[-1]) + slope * growth(TARGET / KNOWN[-1], decay)),
            "copying 8B": known[-1],
            "line in log size": line_ahead(KNOWN, known, TARGET),
        }
        for ability in ABILITIES:
            of = [PUBLISHED[source].ability == ability for source in sources]
            errors = [f"{np.abs(values - truth[0])[of].mean():.4f}" for values in made.values()]
            rows.append([f"{metric}, {ability}", *errors, f"{decay:.2f}"])
    return markdown(["InternVL-3.5, 1-8B to 14B", *made, "exponent"], rows)


def _squares(known: np.ndarray, decay: float) -> float:
    """Residual sum of squares of all sources' log-odds about the law with this exponent."""
    gains = growth(np.array(KNOWN) / KNOWN[-1], decay)
    basis = np.stack([np.ones_like(gains), gains], axis=1)
    return float(np.linalg.lstsq(basis, logit(known), rcond=None)[1].sum())


def of_the_study(results: list[Path], descriptions: Path | None) -> str:
    """The back-test with all runs, with each run alone, and of the largest size."""
    trainings = training_runs(find_runs(results))[0]
    larger = Larger("parameters", None) if descriptions else None
    together = forecast_tables(trainings, larger=larger, descriptions=read_descriptions(descriptions) if larger else ())
    tracks = [run_track(training) for training in trainings]
    alone = back_test([held for track in tracks for held in last_thirds([track])], "last third, alone")
    rows = [_cells(row) for row in [*together.back_test, *alone]]
    head = ["held out", "metric", "ability", "of", "forecasts", "runs", "missed", "copying", "line", "covered", "width"]
    return markdown(head, rows)


def _cells(row: BackTest) -> list[str]:
    missed = [f"{number:.4f}" for number in (row.missed, row.copying_missed, row.line_missed)]
    covered = "–" if row.coverage is None else f"{row.coverage:.0%}"
    of = "mean of sources" if row.of_ability else "each source"
    width = "–" if row.width is None else f"{row.width:.3f}"
    return [row.held_out, row.metric, row.ability, of, str(row.forecasts), str(row.runs), *missed, covered, width]


if __name__ == "__main__":
    main()
