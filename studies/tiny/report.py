"""Every table of docs/study.md, from the packed results alone.

    python studies/tiny/report.py RESULTS FINETUNED --output TABLES    # a Markdown file a table
    python studies/tiny/report.py studies/tiny/results studies/tiny/finetuned --into docs/study.md

The second form renews the tables that stand in a page between `<!-- table NAME -->` and `<!-- end -->`. What a `radar`
command prints is taken as it prints it; the others are made of the same functions. A table whose runs are not there is
left out, so that a part of the study can be looked at.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from abilities import ABILITIES, CONTROL
from pretrain import PLAN, kept_steps, read_plan

from radar_tasks.analysis.compare_trainings import compare_trainings, training_sides
from radar_tasks.analysis.development.asymmetry import asymmetry_of, lead_of
from radar_tasks.analysis.development.curves import DevelopmentCurve, TrainingCurves, training_curves
from radar_tasks.analysis.development.factor_effects import factor_effects
from radar_tasks.analysis.development.growth import Growth, growth_of
from radar_tasks.analysis.development.onsets import onset_detections, onset_qualities, onset_table
from radar_tasks.analysis.forecast.forecast_tables import Larger, forecast_tables
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.files import write_whole
from radar_tasks.report.text_tables import comma_separated, markdown
from radar_tasks.report.wording import lag_words, signed_interval, step_words, verdict_words
from radar_tasks.results import CheckpointResult, find_runs
from radar_tasks.results.metrics import available

METRICS = ("sds", "sds_pmi", "sds_free", "acc")
"""Those that have a chance level and so say when an ability emerges."""
DECIDING = ("sds", "sds_pmi", "acc", "margin", "nll")
PARAMETERS = {64: 264_592, 96: 613_264, 128: 959_264, 192: 2_084_016}
"""Weights of a model by its width."""
PAIRED = ("tiny_larger_near", "tiny_larger_far", "tiny_sum_without_carry", "tiny_sum_with_carry")
"""What documents of the kind `pair` teach, which the onset runs withhold."""
COMPARED = (
    ("base-1", "base-2", "base-3"),
    ("spatial-rich-1", "spatial-rich-2"),
    ("digit-poor-1", "digit-poor-2"),
    ("group-rich-1", "group-rich-2"),
)
"""Configurations with several seeds; the first is what the others are compared with."""


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

    @cached_property
    def results(self) -> dict[str, list[CheckpointResult]]:
        """The results of each run."""
        return {name: find_runs([file]) for name, file in self.files.items()}

    @property
    def full_length(self) -> list[str]:
        """The runs that keep what the base configuration keeps: those that can be laid side by side."""
        return [name for name in self.files if "kept" not in self.plan["runs"][name]]

    @property
    def descriptions(self) -> list[RunDescription]:
        """What differs between the runs, as `--runs` takes it."""
        return [RunDescription(**row) for row in csv.DictReader(runs_file(self.plan).splitlines())]

    def needs(self, table: str) -> Sequence[str]:
        """The runs without which there is no table."""
        return self.plan["fine_tuning"]["configurations"] if table == "fine_tuning" else NEEDS.get(table, ())

    @cached_property
    def metrics(self) -> list[str]:
        """Those of `METRICS` that can be had; `sds_free` needs many questions."""
        samples = [s for results in self.results.values() for result in results for s in result.sources.values()]
        return [metric for metric in METRICS if all(available(part, metric) for part in samples)]

    def curves(self, metric: str) -> dict[str, TrainingCurves]:
        """The curves of every run with more than one checkpoint."""
        if metric not in self._curves:
            made = {}
            for name, results in self.results.items():
                if len(results) > 1:
                    (made[name],), _ = training_curves(results, np.random.default_rng(0), metric)
            self._curves[metric] = made
        return self._curves[metric]

    @cached_property
    def _curves(self) -> dict[str, dict[str, TrainingCurves]]:
        return {}

    def growth(self, metric: str) -> dict[str, dict[str, Growth]]:
        """By run and source or ability."""
        return {name: {row.source: row for row in growth_of(curves)} for name, curves in self.curves(metric).items()}


def final(study: Study) -> str:
    """Every run at its last checkpoint."""
    rows = []
    for name, curves in study.curves("sds").items():
        cells = [_last(curves.abilities[ability]) for ability in ("perception", "reasoning")]
        control = curves.sources[CONTROL]
        rows.append([name, f"{curves.steps[-1]:,}", *cells, _last(control)])
    return markdown(["run", "steps", "perception", "reasoning", "`side` of the sample (chance .500)"], rows)


def development(study: Study) -> str:
    """Perception against reasoning in every run (RQ1)."""
    rows = []
    for name, curves in study.curves("sds").items():
        if (found := asymmetry_of(curves)) is None:
            continue
        lead = lead_of(name, found)
        emerged = [
            step_words(step, lead.first_step, "never") for step in (lead.perception_emergence, lead.reasoning_emergence)
        ]
        rows.append([name, signed_interval(lead.area), *emerged, lag_words(lead)])
    return markdown(["run", "mean lead of perception", "perception emerges", "reasoning emerges", "lag"], rows)


def abilities(study: Study) -> str:
    """When each ability emerges in the seeds of the base configuration, and where it ends."""
    growth = {name: rows for name, rows in study.growth("sds").items() if name in COMPARED[0]}
    table = []
    for part in ABILITIES:
        rows = [of[part.source] for of in growth.values()]
        table.append(
            [
                part.name,
                part.ability,
                f"{rows[0].chance:.3f}",
                ", ".join(_step(row.emergence) for row in rows),
                ", ".join(f"{row.last:.3f}" for row in rows),
            ]
        )
    return markdown(["ability", "kind", "chance", f"emerges in {', '.join(growth)}", "SDS at the end"], table)


def onsets(study: Study) -> str:
    """How long after the first documents each metric says that an ability has emerged (RQ2)."""
    table = []
    for name, run in study.plan["runs"].items():
        if "later" not in run or not name.startswith("onset") or name not in study.files:
            continue
        (onset,) = run["later"]
        for metric in study.metrics:
            rows = [study.growth(metric)[name][source] for source in PAIRED]
            table.append([name, str(onset), metric, *(_delay(row, onset) for row in rows)])
    return markdown(["run", "onset", "metric", *(source.removeprefix("tiny_") for source in PAIRED)], table)


def side(study: Study) -> str:
    """`side` and its relatives in the run that was to bring them up, and in base-1."""
    names = [name for name in ("base-1", "side-wide") if name in study.files]
    sources = (CONTROL, "tiny_side_left", "tiny_side_right")
    curves = study.curves("sds")
    rows = [[name, f"{curves[name].steps[-1]:,}", *(_last(curves[name].sources[s]) for s in sources)] for name in names]
    return markdown(["run", "steps", *sources], rows)


def intervention(study: Study) -> str:
    """groups-tripled minus base-1 at the last shared step (RQ3)."""
    made = _compared(study, ["base-1"], ["groups-tripled"])
    rows = [
        [row.name.removeprefix("tiny_"), signed_interval(row.last), signed_interval(row.mean)]
        for row in made.rows
        if row.of_ability or "count" in row.name or "most" in row.name
    ]
    return markdown(["ability", "difference at the end", "mean over training"], rows)


def verdicts(study: Study) -> str:
    """Every mix against the base configuration, seeds a side."""
    sides = [[name for name in names if name in study.files] for names in COMPARED]
    rows = []
    for names in sides[1:]:
        if names:
            made = _compared(study, sides[0], names)
            rows.append([made.second, verdict_words(made)])
    return markdown(["configuration", f"against {', '.join(sides[0])}"], rows)


def decisions(study: Study) -> str:
    """What `radar decide` says of the runs of full length: how early a metric orders configurations as the end does."""
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder, "runs.csv")
        described.write_text(runs_file(study.plan), encoding="utf-8")
        metrics = [word for metric in DECIDING for word in ("--metric", metric)]
        told = _radar("decide", *_paths(study), "--runs", str(described), *metrics, "--format", "markdown")
    # It also says how metrics decide as one another, and on fewer questions: a page would be full of it.
    about, *parts = re.split(r"(?m)^(?=\*\*)", told)
    return about + "".join(part for part in parts if "as by its own end, by step" in part)


def forecast(study: Study) -> str:
    """The back-test of `radar forecast`: the last third of every run, and the largest model, held out."""
    trainings = training_runs([r for name in study.full_length for r in study.results[name]])[0]
    made = forecast_tables(trainings, larger=Larger("parameters", None), descriptions=study.descriptions)
    rows = [
        [
            row.held_out,
            row.metric,
            row.ability,
            "mean of sources" if row.of_ability else "each source",
            str(row.forecasts),
            f"{row.missed:.4f}",
            f"{row.copying_missed:.4f}",
            f"{row.line_missed:.4f}",
            "–" if row.coverage is None else f"{row.coverage:.0%}",
        ]
        for row in made.back_test
    ]
    head = ["held out", "metric", "ability", "of", "forecasts", "missed by", "copying", "line", "90 % intervals held"]
    return markdown(head, rows)


def fine_tuning(study: Study) -> str:
    """What `radar agreement` says of metrics and the accuracy after fine-tuning."""
    files = [str(study.files[name]) for name in study.plan["fine_tuning"]["configurations"]]
    metrics = [word for metric in DECIDING for word in ("--metric", metric)]
    outside = ["--outside", str(study.finetuned / "accuracy.csv"), "--losses", str(study.finetuned / "losses.csv")]
    told = _radar("agreement", *files, *outside, *metrics, "--on", "all sources", "--format", "markdown")
    start = told.find("**Correlation")  # before it stands how well metrics do without anything from outside
    return told[max(start, 0) :]


def factors(study: Study) -> str:
    """What each thing that differs does to perception, to reasoning, and to the lead of one over the other (RQ1)."""
    trainings = training_runs([r for name in study.full_length for r in study.results[name]])[0]
    levels, effects, _ = factor_effects(trainings, study.descriptions, np.random.default_rng(0))
    rows = [
        [row.factor, row.level, str(len(row.runs)), *map(signed_interval, (row.perception, row.reasoning, row.lead))]
        for row in levels
    ]
    head = ["factor", "level", "runs", "perception", "reasoning", "lead"]
    of_levels = markdown(head, rows)
    rows = [
        [
            row.factor,
            "ten times as much" if row.is_slope else f"{row.level} against {row.against}",
            row.quantity,
            signed_interval(row.effect),
            f"{row.p_value:.3f}",
            "yes" if row.over_seeds else "no",
        ]
        for row in effects
        if row.quantity in {"perception", "reasoning", "lead"}
    ]
    head = ["factor", "change", "of", "effect", "p", "spread of seeds in it"]
    return of_levels + "\n" + markdown(head, rows)


def emergence(study: Study) -> str:
    """How late and how falsely each metric says that something has emerged: planted onsets and controls (RQ2)."""
    runs = study.plan["runs"]
    planted = {
        name: dict.fromkeys(PAIRED, float(*runs[name]["later"]))
        for name in study.files
        if runs[name].get("mix") == "no_pair"
    }
    untaught = {
        name: {CONTROL: np.inf}
        for name, curves in study.curves("sds").items()
        if _ends_at_chance(curves.sources[CONTROL])
    }
    asked = {name: planted.get(name, {}) | untaught.get(name, {}) for name in {**planted, **untaught}}
    trainings = training_runs([r for name in asked for r in study.results[name]])[0]
    return markdown(
        *onset_table(onset_qualities(onset_detections(trainings, asked, study.metrics, np.random.default_rng(0))))
    )


SECTIONS: dict[str, Callable[[Study], str]] = {
    made.__name__: made
    for made in (
        final,
        development,
        factors,
        abilities,
        onsets,
        emergence,
        side,
        intervention,
        verdicts,
        decisions,
        fine_tuning,
        forecast,
    )
}
"""Table by the name that docs/study.md calls it."""
NEEDS = {
    "factors": ("base-1", "width-064"),
    "abilities": ("base-1",),
    "onsets": ("onset-0566",),
    "emergence": ("onset-0566",),
    "side": ("base-1", "side-wide"),
    "intervention": ("base-1", "groups-tripled"),
    "verdicts": ("base-1", "spatial-rich-1"),
    "decisions": ("base-1", "width-064"),
    "forecast": ("base-1", "width-064", "width-096"),
}
"""Runs without which there is no table."""


def runs_file(plan: Mapping[str, Any]) -> str:
    """What `--runs` of `radar` commands takes, as CSV: parameters and different documents of each run, and what it
    varies (seeds of the base configuration stand at the base level of everything)."""
    base = {
        "parameters": str(PARAMETERS[128]),
        "documents": str(plan["steps"] * plan["batch"]),
        "mix": "base",
        "strategy": "all parts",
        "pairs from step": "start",
        "groups": "as ever",
    }
    varied = {
        name: {
            **({"parameters": str(PARAMETERS[run["width"]])} if "width" in run else {}),
            **({"documents": str(run["pool"])} if "pool" in run else {}),
            **({"mix": run["mix"]} if "mix" in run and "later" not in run else {}),
            **({"strategy": name} if name in {"text-only", "projector-only", "unfrozen"} else {}),
            **({"pairs from step": str(*run["later"])} if "later" in run and run.get("mix") == "no_pair" else {}),
            **({"groups": f"tripled from {min(run['later'])}"} if "later" in run and "mix" not in run else {}),
        }
        for name, run in plan["runs"].items()
    }
    rows = [
        [name, factor, level, PARAMETERS[run.get("width", 128)], run.get("pool", _documents(plan, run))]
        for name, run in plan["runs"].items()
        for factor, level in (varied[name] or base).items()
    ]
    return comma_separated(
        ["run", "factor", "level", "parameters", "documents"], [[str(cell) for cell in row] for row in rows]
    )


def _documents(plan: Mapping[str, Any], run: Mapping[str, Any]) -> int:
    return int(run.get("steps", plan["steps"])) * int(plan["batch"])


def cards(study: Study) -> str:
    """A model card of every configuration: what it is, what it read, what it can do, and what it is not for."""
    perception, reasoning = (
        {name: _last(curves.abilities[ability]) for name, curves in study.curves("sds").items()}
        for ability in ("perception", "reasoning")
    )
    plan = study.plan
    parts = [
        "# Model cards of the tiny study\n",
        "Made by `studies/tiny/report.py`. All are Qwen2-VL models trained from nothing or from one another, on drawn\n"
        "pictures of 48 x 48 pixels and handwritten digits, by `examples/tiny_pretraining/train.py` as the plan says.\n"
        "They are for studying measurements. They know five colours, four shapes, ten digits and the sentences about\n"
        "them; nothing they say is about any other picture. Weights are not shipped: `make study` makes them.\n",
    ]
    for name, run in plan["runs"].items():
        mixes = [
            run.get("mix", "base"),
            *(f"{m} from step {s}" for s, m in run.get("later", {}).items()),
        ]
        started = [f"{part} of `{run[part]}`" for part in ("language", "tower", "everything") if part in run]
        facts = [
            ("parameters", f"{PARAMETERS[run.get('width', 128)]:,}, width {run.get('width', 128)}"),
            ("seed", str(run["seed"])),
            ("steps", f"{run.get('steps', plan['steps']):,} of {plan['batch']} documents"),
            ("documents", f"{run.get('pool', _documents(plan, run)):,} different ones, mix {', '.join(mixes)}"),
            ("pictures", "yes" if run.get("pictures", True) else "none: texts alone"),
            ("starts from", ", ".join(started) or "nothing"),
            ("trained", "all but " + " and ".join(run["frozen"]) if "frozen" in run else "all parts"),
            ("checkpoints", ", ".join(f"{step:,}" for step in kept_steps(plan, name))),
            (
                "SDS at the end",
                f"perception {perception[name]}, reasoning {reasoning[name]}" if name in perception else "–",
            ),
        ]
        parts.append(f"## {name}\n\n" + "\n".join(f"- {what}: {said}" for what, said in facts) + "\n")
    return "\n".join(parts)


def tables(study: Study) -> dict[str, str]:
    """Every table whose runs are there, as Markdown."""
    return {
        name: make(study).rstrip("\n") + "\n"
        for name, make in SECTIONS.items()
        if all(run in study.files for run in study.needs(name))
    }


def renewed(page: str, made: Mapping[str, str]) -> str:
    """A page with its tables made again; raises `KeyError` for a mark of a table that is not made."""
    return re.sub(
        r"(<!-- table (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{made[found[2]]}\n{found[3]}",
        page,
        flags=re.DOTALL,
    )


def study_of(results: Path, finetuned: Path, plan: Mapping[str, Any]) -> Study:
    """The runs of a plan that are packed in a folder."""
    files = {name: results / f"{name}.parquet" for name in plan["runs"]}
    return Study({name: file for name, file in files.items() if file.is_file()}, finetuned, plan)


def _paths(study: Study) -> list[str]:
    return [str(study.files[name]) for name in study.full_length]


def _compared(study: Study, first: Sequence[str], second: Sequence[str]) -> Any:
    found = [("/".join(names), [r for name in names for r in study.results[name]]) for names in (first, second)]
    (one, other), _ = training_sides(found)
    return compare_trainings(one, other, np.random.default_rng(0))


def _radar(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "radar_tasks.cli", *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def _last(curve: DevelopmentCurve) -> str:
    low, high = _at_the_end(curve)
    return f"{curve.curve.values[-1]:.3f} [{low:.3f}, {high:.3f}]"


def _at_the_end(curve: DevelopmentCurve) -> tuple[float, float]:
    """95% interval at the last checkpoint."""
    low, high = np.quantile(curve.curve.replicates[:, -1], (0.025, 0.975))
    return low, high


def _ends_at_chance(curve: DevelopmentCurve) -> bool:
    low, high = _at_the_end(curve)
    return curve.chance is not None and low <= curve.chance <= high


def _step(step: float | None) -> str:
    return "never" if step is None else f"{step:,.0f}"


def _delay(row: Growth, onset: int) -> str:
    return "never" if row.emergence is None else f"{row.emergence - onset:+,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the packed results")
    parser.add_argument("finetuned", type=Path, help="folder of the tables of fine-tuning")
    parser.add_argument("--output", type=Path, help="folder for the tables")
    parser.add_argument("--into", type=Path, help="a page whose tables are renewed")
    parser.add_argument("--cards", type=Path, help="a file for the model cards")
    parser.add_argument("--plan", type=Path, default=PLAN, help="another plan than the committed one")
    options = parser.parse_args()
    plan = read_plan(options.plan)
    study = study_of(options.results, options.finetuned, plan)
    made = tables(study)
    if options.output is not None:
        for name, table in made.items():
            write_whole(options.output / f"{name}.md", table)
        write_whole(options.output / "runs.csv", runs_file(plan))
        write_whole(options.output / "cards.md", cards(study))
    if options.cards is not None:
        write_whole(options.cards, cards(study))
    if options.into is not None:
        write_whole(options.into, renewed(options.into.read_text(encoding="utf-8"), made))


if __name__ == "__main__":
    main()
