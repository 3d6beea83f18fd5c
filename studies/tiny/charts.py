"""Every picture of docs/study.md, from the packed results alone.

    python studies/tiny/charts.py studies/tiny/results studies/tiny/finetuned --output docs/images/study

Each is a chart that a `radar` command draws as well: `radar plot --chart NAME --runs runs.csv`, and `radar agreement
--outside accuracy.csv --chart FILE` for fine-tuning. A picture whose runs are not there is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from packed_study import TUNED, Study, study_of
from pretrain import PLAN, read_plan
from tables import can_be_made

from radar_tasks.cli._development import develop
from radar_tasks.errors import ResultsError
from radar_tasks.report.chart_files import save
from radar_tasks.report.charts.correlations import correlation_chart
from radar_tasks.report.charts.training_axis import TrainingAxis
from radar_tasks.report.figures import figure

CHARTS = {"phase": 460, "factors": 300, "scaling": 400, "bottleneck": 620, "decisions": 300}
"""Names of `radar plot --chart`, with the width of a panel in pixels."""


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


def draw_fine_tuning(study: Study, output: Path) -> None:
    """What goes with accuracy after fine-tuning."""
    if can_be_made(study, "fine_tuning"):
        rows = [row for row in study.tuned if row.column == TUNED]
        save(correlation_chart(rows), output / "fine_tuning.svg", width=210)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the packed results")
    parser.add_argument("finetuned", type=Path, help="folder of the tables of fine-tuning")
    parser.add_argument("--output", type=Path, default=Path("docs/images/study"), help="folder for the pictures")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    draw_development(options.results, options.output)
    draw_fine_tuning(study_of(options.results, options.finetuned, read_plan(PLAN)), options.output)


if __name__ == "__main__":
    main()
