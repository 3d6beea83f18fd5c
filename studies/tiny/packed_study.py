"""The study as it is packed: its runs, what differs between them, and every analysis that tables and sentences share.

An analysis is made once, by the functions behind the `radar` command that the page names, with that command's seed.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from abilities import CONTROL
from pretrain import fine_tuned, kept_steps

from radar_tasks.analysis.compare_trainings import TrainingComparison, compare_trainings, training_sides
from radar_tasks.analysis.decisions import DecisionStudy, decisions
from radar_tasks.analysis.development.asymmetry import Lead, asymmetry_of, lead_of
from radar_tasks.analysis.development.curves import TrainingCurves, training_curves
from radar_tasks.analysis.development.factor_effects import FactorEffect, FactorLevel, factor_effects
from radar_tasks.analysis.development.growth import Growth, growth_of
from radar_tasks.analysis.development.onsets import OnsetDetection, emerging_metrics, onset_detections
from radar_tasks.analysis.forecast.backtest import BackTest, back_test, last_thirds
from radar_tasks.analysis.forecast.forecast_tables import Larger, forecast_tables
from radar_tasks.analysis.forecast.margin_tracks import run_track
from radar_tasks.analysis.outside_column import read_outside
from radar_tasks.analysis.outside_correlations import OutsideCorrelation, outside_correlations
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.report.text_tables import comma_separated
from radar_tasks.results import CheckpointResult, TrainingRun, find_runs

DECIDING = ("sds", "sds_pmi", "acc", "margin", "nll")
PARAMETERS = {64: 264_592, 96: 613_264, 128: 959_264, 192: 2_084_016}
"""Weights of a model by its width."""
PAIRED = ("tiny_larger_near", "tiny_larger_far", "tiny_sum_without_carry", "tiny_sum_with_carry")
"""What documents of the kind `pair` teach, which the onset runs withhold."""
BASE = ("base-1", "base-2", "base-3")
"""The seeds of the base configuration, which the others are compared with."""
TUNED = "free"
"""The form of fine-tuning that was learnt, whose accuracy decisions are held against; with letters, which were not,
nothing goes."""


@dataclass(frozen=True)
class Study:
    """Packed results with the plan that made them.

    Attributes:
        files: a packed file of each run that is there, by its name, in the plan's order.
        finetuned: folder of the tables of fine-tuning; need not exist.
        plan: the plan.
    """

    files: Mapping[str, Path]
    finetuned: Path
    plan: Mapping[str, Any]
    _curves: dict[tuple[str, str], TrainingCurves] = field(default_factory=dict, repr=False)

    @cached_property
    def results(self) -> dict[str, list[CheckpointResult]]:
        """The results of each run."""
        return {name: find_runs([file]) for name, file in self.files.items()}

    @cached_property
    def trainings(self) -> dict[str, TrainingRun]:
        """The runs with more than one checkpoint."""
        found = training_runs([result for of in self.results.values() for result in of], at_least=2)[0]
        by_name = {training.name: training for training in found}
        return {name: by_name[name] for name in self.files if name in by_name}

    @cached_property
    def fine_tunings_here(self) -> int:
        """How many fine-tunings of the plan have rows in the table."""
        file = self.finetuned / "finetuned.csv"
        rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ()
        made = {(row["run"], int(row["step"]), int(row["seed"])) for row in rows}
        return len(made.intersection(fine_tuned(self.plan)))

    @property
    def alike(self) -> list[str]:
        """Runs that are measured at steps of the base configuration, so that they can be laid beside it."""
        steps = set(self.plan["kept"])
        return [name for name in self.trainings if set(kept_steps(self.plan, name)) <= steps]

    @property
    def full_length(self) -> list[str]:
        """Those of them that end where the base configuration does."""
        return [name for name in self.alike if max(kept_steps(self.plan, name)) == self.plan["steps"]]

    @property
    def configurations(self) -> dict[str, list[str]]:
        """Runs that differ in their seed alone, by the name of the first, as far as they can be laid side by side."""
        made: dict[str, list[str]] = {}
        for name in self.alike:
            first = next((one for one in made if self._without_seed(one) == self._without_seed(name)), name)
            made.setdefault(first, []).append(name)
        return made

    def _without_seed(self, name: str) -> dict[str, Any]:
        return {what: value for what, value in self.plan["runs"][name].items() if what != "seed"}

    @property
    def descriptions(self) -> list[RunDescription]:
        """What differs between the runs, as `--runs` takes it."""
        rows = csv.DictReader(runs_file(self.plan).splitlines())
        return [RunDescription(**{name: cell for name, cell in row.items() if cell}) for row in rows]

    def curves(self, name: str, metric: str = "sds") -> TrainingCurves:
        """The curves of one run."""
        if (name, metric) not in self._curves:
            (made,), _ = training_curves(self.results[name], np.random.default_rng(0), metric)
            self._curves[name, metric] = made
        return self._curves[name, metric]

    @cached_property
    def base_growth(self) -> dict[str, dict[str, Growth]]:
        """How SDS grew in the seeds of the base configuration, by run and source or ability."""
        return {
            name: {row.source: row for row in growth_of(self.curves(name))} for name in BASE if name in self.trainings
        }

    @cached_property
    def leads(self) -> dict[str, tuple[Lead, float]]:
        """Perception's lead over training in each run, and at its end."""
        found = {name: asymmetry_of(self.curves(name)) for name in self.trainings}
        return {
            name: (lead_of(name, made), float(made.curve.values[-1]))
            for name, made in found.items()
            if made is not None
        }

    @cached_property
    def factors(self) -> tuple[list[FactorLevel], list[FactorEffect]]:
        """Levels of what differs between the runs, and their effects."""
        of = [self.trainings[name] for name in self.alike]
        levels, effects, _ = factor_effects(of, self.descriptions, np.random.default_rng(0))
        return levels, effects

    @cached_property
    def onsets(self) -> list[OnsetDetection]:
        """What each metric says of the planted onsets, and of the control, in every run.

        The control is not left out where a metric says that it was learnt: that metric would have no false alarms then.
        """
        runs = self.plan["runs"]
        asked: dict[str, dict[str, float | None]] = {}
        for name in self.trainings:
            planted = runs[name].get("mix") == "no_pair"
            asked[name] = dict.fromkeys(PAIRED, float(*runs[name]["later"])) if planted else {}
            asked[name][CONTROL] = None
        trainings = list(self.trainings.values())
        return onset_detections(trainings, asked, emerging_metrics(trainings), np.random.default_rng(0))

    def compared(self, first: Sequence[str], second: Sequence[str]) -> TrainingComparison:
        """Runs against runs, as `radar compare FIRST... vs SECOND...` does it."""
        found = [("/".join(names), [r for name in names for r in self.results[name]]) for names in (first, second)]
        (one, other), _ = training_sides(found)
        return compare_trainings(one, other, np.random.default_rng(0))

    @cached_property
    def decided(self) -> DecisionStudy:
        """`radar decide` of the runs of full length, also held against accuracy after fine-tuning."""
        file = self.finetuned / "accuracy.csv"
        of = [result for name in self.full_length for result in self.results[name]]
        return decisions(
            [self.trainings[name] for name in self.full_length],
            np.random.default_rng(0),
            descriptions=self.descriptions,
            metrics=DECIDING,
            outside=replace(read_outside(file, of), columns=(TUNED,)) if file.is_file() else None,
        )

    @cached_property
    def tuned(self) -> list[OutsideCorrelation]:
        """`radar agreement --outside` of the fine-tuned configurations."""
        names = self.plan["fine_tuning"]["configurations"]
        found = [result for name in names for result in self.results[name]]
        outside, mir, losses = (
            read_outside(self.finetuned / file, found) for file in ("accuracy.csv", "mir.csv", "losses.csv")
        )
        return outside_correlations([self.trainings[name] for name in names], outside, DECIDING, [mir, losses])

    @cached_property
    def forecasts(self) -> list[BackTest]:
        """The back-test of `radar forecast --size parameters`: the last third of every run, and the largest model."""
        of = [self.trainings[name] for name in self.full_length]
        return forecast_tables(of, larger=Larger("parameters", None), descriptions=self.descriptions).back_test

    @cached_property
    def forecasts_alone(self) -> list[BackTest]:
        """The last third of every run from that run alone."""
        tracks = [run_track(self.trainings[name]) for name in self.full_length]
        return back_test([held for track in tracks for held in last_thirds([track])], "last third, the run alone")


def study_of(results: Path, finetuned: Path, plan: Mapping[str, Any]) -> Study:
    """The runs of a plan that are packed in a folder."""
    files = {name: results / f"{name}.parquet" for name in plan["runs"]}
    return Study({name: file for name, file in files.items() if file.is_file()}, finetuned, plan)


def documents_of(plan: Mapping[str, Any], run: Mapping[str, Any]) -> int:
    """How many different documents a run reads."""
    return int(run.get("pool", int(run.get("steps", plan["steps"])) * int(plan["batch"])))


def runs_file(plan: Mapping[str, Any]) -> str:
    """What `--runs` of `radar` commands takes, as CSV: what each run varies, and the parameters of each width.

    Seeds of the base configuration stand at the base level of everything; a run that differs in its length or on its
    way is at no level.
    """
    runs = {name: run for name, run in plan["runs"].items() if "later" not in run and "pictures" not in run}
    whole = {name: run for name, run in runs.items() if "steps" not in run}
    strategies = {"frozen": "projector only", "everything": "projector, then everything"}
    levels = {
        "width": ("128", {name: str(run["width"]) for name, run in whole.items() if "width" in run}),
        "documents": (
            str(plan["steps"] * plan["batch"]),
            {name: str(run["pool"]) for name, run in whole.items() if "pool" in run},
        ),
        "mix": ("base", {name: run["mix"] for name, run in whole.items() if "mix" in run}),
        "strategy": (
            "everything trained",
            {name: level for part, level in strategies.items() for name, run in runs.items() if part in run},
        ),
    }
    base = [name for name, run in runs.items() if set(run) == {"seed"}]
    rows = [
        [name, factor, level, str(PARAMETERS[int(level)]) if factor == "width" else ""]
        for factor, (of_base, varied) in levels.items()
        for name, level in {**dict.fromkeys(base, of_base), **varied}.items()
    ]
    return comma_separated(["run", "factor", "level", "parameters"], rows)
