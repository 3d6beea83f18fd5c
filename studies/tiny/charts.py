"""Every picture of docs/study.md, from the packed results alone.

    python studies/tiny/charts.py studies/tiny/results studies/tiny/finetuned --output docs/images/study

Each is a chart that a `radar` command draws as well: `radar plot --chart NAME --runs runs.csv`, and `radar agreement
--outside accuracy.csv --chart FILE` for fine-tuning. A picture whose runs are not there is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pretrain import PLAN, read_plan

from radar_tasks.analysis.outside_column import read_outside
from radar_tasks.analysis.outside_correlations import outside_correlations
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.cli._development import develop
from radar_tasks.errors import ResultsError
from radar_tasks.report.chart_files import save
from radar_tasks.report.charts.correlations import correlation_chart
from radar_tasks.report.charts.training_axis import TrainingAxis
from radar_tasks.report.figures import figure
from radar_tasks.results import find_runs

CHARTS = {"phase": 460, "factors": 300, "scaling": 400, "bottleneck": 620, "decisions": 300}
"""Names of `radar plot --chart`, with the width of a panel in pixels."""
DECIDING = ("sds", "sds_pmi", "acc", "margin", "nll")
FREE = "free"
"""The column of answers without options: letters were not learnt, so that nothing goes with them."""


def draw_development(results: Path, output: Path) -> None:
    """What all runs say of their development."""
    made = develop([str(file) for file in sorted(results.glob("*.parquet"))], PLAN.parent / "runs.csv", "sds", None, 0)
    for name, width in CHARTS.items():
        try:
            drawn = figure(name, made.tables, TrainingAxis(log=True))
        except ResultsError as problem:  # a part of the study
            print(problem)
            continue
        save(drawn, output / f"{name}.svg", width=width)


def draw_fine_tuning(results: Path, finetuned: Path, output: Path) -> None:
    """What goes with accuracy after fine-tuning."""
    files = [results / f"{name}.parquet" for name in read_plan(PLAN)["fine_tuning"]["configurations"]]
    found = [result for file in files if file.is_file() for result in find_runs([file])]
    if not found:
        return
    after, mir, losses = (read_outside(finetuned / name, found) for name in ("accuracy.csv", "mir.csv", "losses.csv"))
    rows = outside_correlations(training_runs(found)[0], after, DECIDING, [mir, losses])
    save(correlation_chart([row for row in rows if row.column == FREE]), output / "fine_tuning.svg", width=210)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the packed results")
    parser.add_argument("finetuned", type=Path, help="folder of the tables of fine-tuning")
    parser.add_argument("--output", type=Path, default=Path("docs/images/study"), help="folder for the pictures")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    draw_development(options.results, options.output)
    draw_fine_tuning(options.results, options.finetuned, options.output)


if __name__ == "__main__":
    main()
