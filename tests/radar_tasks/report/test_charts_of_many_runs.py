"""Charts of a study: seeds as one curve, colours by what varies, what decides; against numbers worked out by hand."""

from dataclasses import replace

import pytest

from radar_metrics.panel_correlation import Kind, PanelCorrelation
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.decisions import ITSELF, DecisionAccuracy, Decisions, DecisionStudy
from radar_tasks.analysis.development.bottleneck import Bottleneck
from radar_tasks.analysis.development.curve_points import CurvePoint
from radar_tasks.analysis.development.factor_effects import FactorLevel
from radar_tasks.analysis.outside_correlations import OutsideCorrelation
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.run_factors import Configuration, configurations
from radar_tasks.errors import ResultsError
from radar_tasks.report import charts
from radar_tasks.report.charts.bottleneck import bottleneck
from radar_tasks.report.charts.correlations import correlation_chart
from radar_tasks.report.charts.decision_accuracy import decision_chart
from radar_tasks.report.charts.factors import factor_curves
from radar_tasks.report.charts.phase import phase_plane
from radar_tasks.report.charts.run_curves import OTHER, by_configuration, curve_groups
from radar_tasks.report.charts.training_axis import TrainingAxis

BASE = Configuration("base (2 runs)", ("base-1", "base-2"), "")
WIDE = Configuration("wide", ("wide",), "width")


def points(run, perception, reasoning):
    """At steps 0, 100, ...; chance is a half for perception and a quarter for reasoning."""
    ends = (("perception", perception, 0.5), ("reasoning", reasoning, 0.25))
    return [
        CurvePoint(run, ability, 100 * k, value, value - 0.01, value + 0.01, chance, ability, 200)
        for ability, values, chance in ends
        for k, value in enumerate(values)
    ]


STUDY = [
    *points("base-1", [0.5, 0.75], [0.25, 0.40]),
    *points("base-2", [0.5, 0.95], [0.25, 0.70]),
    *points("wide", [0.5, 1.0], [0.25, 0.25]),
]


def drawn(panel):
    return {(datum["series"], datum["step"]): datum for datum in panel.data}


def test_seeds_are_one_curve_from_the_lowest_to_the_highest():
    figure = charts.abilities_over_steps(STUDY, configurations=[BASE, WIDE])
    perception, reasoning = figure.panels
    assert {name for name, _ in drawn(perception)} == {"base (2 runs)", "wide"}
    base = drawn(perception)["base (2 runs)", 100]
    assert (base["value"], base["low"], base["high"]) == (pytest.approx(0.85), 0.75, 0.95)
    wide = drawn(reasoning)["wide", 100]
    assert (wide["value"], wide["low"], wide["high"]) == (0.25, 0.24, 0.26)  # one run keeps its own interval
    assert "lowest to the highest" in figure.subtitle
    assert "lowest to the highest" not in charts.abilities_over_steps(STUDY).subtitle


def test_where_a_seed_has_no_checkpoint_there_is_no_mean():
    data = [
        {"run": run, "x": x, "value": 0.5, "low": 0.4, "high": 0.6}
        for run, x in (("base-1", 1), ("base-1", 2), ("base-2", 2))
    ]
    assert [(datum["series"], datum["x"]) for datum in by_configuration(data, [BASE])] == [("base (2 runs)", 2)]
    assert [datum["run"] for datum in by_configuration(data, [])] == ["base-1", "base-1", "base-2"]


def test_seeds_without_a_checkpoint_in_common_stay_runs():
    later = [replace(point, step=point.step + 50) for point in points("base-2", [0.5, 0.95], [0.25, 0.70])]
    of_study = [point for point in STUDY if point.run != "base-2"]
    for made in (of_study, [*of_study, *later]):  # the other seed is not there, or at other steps
        figure = charts.abilities_over_steps(made, configurations=[BASE, WIDE])
        assert {name for name, _ in drawn(figure.panels[0])} == {point.run for point in made}
        assert "Seeds" not in figure.subtitle
    plane = phase_plane([*of_study, *later], [BASE, WIDE])
    assert {datum["series"] for datum in plane.panels[0].data} == {"base-1", "base-2", "wide"}
    assert "Seeds" not in plane.subtitle
    others = [Configuration(f"width-{k}", (f"width-{k}",), "width") for k in range(9)]
    groups = curve_groups(["mix-1", "mix-2", *(of.name for of in others)],
                          [*others, Configuration("mix (2 runs)", ("mix-1", "mix-2"), "mix")])  # fmt: skip
    assert groups["mix-1"] == groups["mix-2"] == "mix"


def test_runs_that_have_no_place_on_the_axis_are_said_and_no_empty_picture_is_drawn():
    untrained = [point for point in STUDY if point.step == 0]
    with pytest.raises(ResultsError, match="no place on a logarithmic axis"):
        charts.abilities_over_steps(untrained, axis=TrainingAxis(log=True))
    assert charts.abilities_over_steps(untrained).panels


def test_more_curves_than_colours_are_coloured_by_what_they_vary():
    many = [Configuration(f"{factor}-{k}", (), factor) for factor in ("width", "mix") for k in range(4)]
    alone = Configuration("odd", ("odd",), "")
    names = ["odd", *(of.name for of in reversed(many)), BASE.name]
    groups = curve_groups(names, [BASE, *many, alone])
    assert groups[BASE.name] == BASE.name
    assert groups["odd"] == OTHER
    assert {groups[of.name] for of in many} == {"width", "mix"}
    # The first configuration's colour is the first one, whatever is drawn; what nothing is said of comes last.
    assert list(dict.fromkeys(groups.values())) == [BASE.name, "width", "mix", OTHER]
    assert next(iter(curve_groups(names[:-1], [BASE, *many]).values())) == BASE.name
    few = names[:3]
    assert curve_groups(few, [BASE, *many]) == {name: name for name in few}


def test_configurations_stand_by_what_they_vary():
    class Result:
        def __init__(self, name):
            self.experiment = self.path = name
            self.place = f"{name}/step-00100"

    class Run:
        def __init__(self, name):
            self.name, self.results = name, [Result(name)]

    said = {"base-1": [("width", "1"), ("mix", "a")], "base-2": [("width", "1"), ("mix", "a")], "rich": [("mix", "b")]}
    said |= {"wide": [("width", "2")], "both": [("width", "2"), ("mix", "b")]}
    rows = [
        RunDescription(run=run, factor=f, level=level)
        for f in ("width", "mix")
        for run, of in said.items()
        for g, level in of
        if g == f
    ]
    made = configurations([Run(name) for name in ("base-1", "odd", "rich", "wide", "base-2", "both")], rows)
    assert [(of.name, of.varies) for of in made] == [
        ("base (2 runs)", ""),
        ("wide", "width"),
        ("both", "width, mix"),
        ("rich", "mix"),
        ("odd", ""),
    ]
    assert made[0].runs == ("base-1", "base-2")


def test_the_plane_of_both_is_chance_centred_and_has_seeds_as_their_mean():
    figure = phase_plane(STUDY, [BASE, WIDE])
    at = {(d["series"], d["step"]): (d["perception"], d["reasoning"]) for d in figure.panels[0].data}
    # (.75 + .95) / 2 is .85, (.85 - .5) / .5 = .7; (.40 + .70) / 2 is .55, (.55 - .25) / .75 = .4
    assert at["base (2 runs)", 100] == pytest.approx((0.7, 0.4))
    assert at["wide", 100] == pytest.approx((1.0, 0.0))
    assert phase_plane([point for point in STUDY if point.ability == "perception"]) is None


def test_a_factor_has_a_panel_an_ability_and_a_curve_a_level():
    one = Interval(0.0, 0.0, 0.0)
    levels = [
        FactorLevel("width", level, runs, 100, one, one, one, one, None, over_seeds=True)
        for level, runs in (("64", ("base-1", "base-2")), ("128", ("wide",)))
    ]
    figure = factor_curves(STUDY, levels)
    assert [panel.title for panel in figure.panels] == ["Perception by width", "Reasoning by width"]
    assert drawn(figure.panels[0])["64", 100]["value"] == pytest.approx(0.85)
    labels = [
        row["label"] for rows in figure.panels[0].chart.to_dict()["datasets"].values() for row in rows if "label" in row
    ]
    assert set(labels) == {"64", "128", "chance"}


def test_many_runs_have_a_cell_a_source_the_lowest_source_first():
    runs = ["base-1", "base-2", "wide", "rich"]
    rows = [
        Bottleneck(run, "perception", source, value + 0.1 * (run == "base-2"), 0, 1, 0.5, 0.5, None, None)
        for run in runs
        for source, value in (("high", 0.9), ("low", 0.2))
    ]
    figure = bottleneck(rows, [BASE, WIDE])
    cells = {(datum["source"], datum["run"]): datum["value"] for datum in figure.panels[0].data}
    assert cells["low", "base (2 runs)"] == pytest.approx(0.25)
    assert cells["low", "rich"] == pytest.approx(0.2)
    spec = figure.panels[0].chart.to_dict()["layer"][0]["encoding"]
    assert spec["y"]["sort"] == ["low", "high"]
    assert spec["x"]["sort"] == ["base (2 runs)", "wide", "rich"]


def test_decisions_are_drawn_for_metrics_that_tell_pairs_apart_and_the_others_are_named():
    def row(metric, ability, pairs):
        steps = tuple(DecisionAccuracy(at, 200, Interval(0.5, 0.2, 0.8)) for at in (0.0, 100.0)) if pairs else ()
        return Decisions(metric, ability, ability, ITSELF, pairs, 10 - pairs, 2.0, 5.0, steps, ())

    rows = [
        row(metric, ability, pairs)
        for metric, pairs in (("sds", 4), ("margin", 0))
        for ability in ("perception", "reasoning")
    ]
    figure = decision_chart(
        DecisionStudy({"a": ("a-1", "a-2"), "b": ("b",)}, "step", (0.0, 100.0), 0.0, tuple(rows), ())
    )
    assert [panel.title for panel in figure.panels] == [
        "Pairs told apart",
        "Signal to seed noise",
        "sds, as at its end",
    ]
    assert figure.subtitle.startswith("2 configurations in 3 runs.")
    assert figure.subtitle.endswith("No pair is told apart by margin.")
    assert [datum["pairs"] for datum in figure.panels[0].data] == [4, 4, 0, 0]


def test_losses_are_turned_so_that_right_is_better_and_rivals_are_open():
    def row(metric, r, rival=False, higher=True):
        found = PanelCorrelation(Kind.pooled, Interval(r, r - 0.1, r + 0.2), 40, 2, 5)
        return OutsideCorrelation("tuned", metric, rival, higher, found, None)

    figure = correlation_chart([row("sds", 0.6), row("log step", 0.3, rival=True), row("nll", -0.5, higher=False)])
    dots = {datum["metric"]: datum for datum in figure.panels[0].data}
    assert list(figure.panels[0].chart.to_dict()["layer"][1]["encoding"]["y"]["sort"]) == ["log step", "sds", "−nll"]
    assert (dots["−nll"]["value"], dots["−nll"]["low"], dots["−nll"]["high"]) == pytest.approx((0.5, 0.3, 0.6))
    assert [dots[name]["is_open"] for name in ("sds", "log step", "−nll")] == [False, True, False]
    assert "40 points of 2 training runs and 5 sources" in figure.subtitle


def test_every_chart_of_a_crowd_is_valid():
    crowd = [p for k in range(12) for p in points(f"run-{k}", [0.5, 0.6 + 0.02 * k], [0.25, 0.3 + 0.02 * k])]
    for figure in (charts.abilities_over_steps(crowd), charts.sources_over_steps(crowd), phase_plane(crowd)):
        assert figure.chart().to_dict()["$schema"]  # Altair validates against the schema of Vega-Lite
        assert figure.legend == ("run-0", OTHER)
