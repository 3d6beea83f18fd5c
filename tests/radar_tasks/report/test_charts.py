"""Charts from typed rows: what they say, how labels stand, and that every format comes out."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.compare_trainings import MatchedPoint, Stretch, TrainingComparison, TrainingDifference
from radar_tasks.analysis.development.asymmetry import LeadPoint
from radar_tasks.analysis.development.bottleneck import Bottleneck
from radar_tasks.analysis.development.curve_points import CurvePoint
from radar_tasks.analysis.development.intervention import InterventionPoint
from radar_tasks.analysis.development.scaling import ScalingLine, ScalingPoint
from radar_tasks.analysis.development.stability import SubsetPoint
from radar_tasks.analysis.leaderboard import AbilityAverage
from radar_tasks.analysis.metric_quality import MetricQuality
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.errors import RadarError
from radar_tasks.report import chart_files, charts, theme
from radar_tasks.report.charts.asymmetry import asymmetry
from radar_tasks.report.charts.bottleneck import bottleneck
from radar_tasks.report.charts.comparison import comparison
from radar_tasks.report.charts.curve_panel import push_apart
from radar_tasks.report.charts.intervention import intervention
from radar_tasks.report.charts.leaderboard import leaderboard
from radar_tasks.report.charts.metric_quality import metric_comparison
from radar_tasks.report.charts.scaling import scaling
from radar_tasks.report.charts.stability import stability
from radar_tasks.report.charts.training_axis import training_axis
from radar_tasks.report.wording import verdict_words
from radar_tasks.results import CheckpointResult

HOSTILE = "</script><img src=x onerror=alert(1)> & \"quotes\" 'x' \u202e\u2028"


def curve(run="exp1", ability="perception", source="wiki_animal", rise=0.1, chance=0.5):
    return [
        CurvePoint(
            run=run,
            ability=ability,
            source=source,
            step=100 * k,
            value=0.5 + rise * k,
            low=0.48 + rise * k,
            high=0.52 + rise * k,
            chance=chance,
            questions=1200,
        )
        for k in range(4)
    ]


def texts(figure):
    """Every label that the figure's panels draw."""
    datasets = [rows for panel in figure.panels for rows in panel.chart.to_dict()["datasets"].values()]
    return [row["label"] for rows in datasets for row in rows if "label" in row]


def both():
    return curve() + curve(ability="reasoning", source="spatial", rise=0.01)


def of_run(name):
    return [replace(row, run=name) for row in both()]


def test_numbers_at_the_ends_of_many_curves_are_left_to_the_table():
    few, many = (
        charts.sources_over_steps([p for k in range(count) for p in of_run(f"exp{k}") if p.source == "wiki_animal"])
        for count in (3, 6)
    )
    assert "0.80" in texts(few)
    assert texts(many) == ["chance"]
    crowd = charts.abilities_over_steps([p for k in range(9) for p in of_run(f"exp{k}")])
    assert crowd.legend == ("exp0", "other runs")
    assert set(texts(crowd)) == {f"exp{k}" for k in range(9)}


def compared(second="exp2", n=3):
    points = tuple(MatchedPoint(100.0 * k, 0.5, 0.6, 0.1 * k, 0.1 * k - 0.05, 0.1 * k + 0.05) for k in range(n))
    whole = Interval(0.1, 0.05, 0.15)
    stretch = Stretch(100.0, 200.0, "second", Interval(0.15, 0.1, 0.2))
    rows = tuple(
        TrainingDifference(ability, ability, 100, points, (stretch,), whole, whole)
        for ability in ("perception", "reasoning")
    )
    steps = tuple(point.at for point in points)
    return TrainingComparison("exp1", second, ("exp1",), (second,), "sds", "step", steps, False, rows)


def test_runs_against_the_first_are_all_drawn_and_told_in_words():
    figure = comparison([compared(f"exp{k}") for k in range(2, 12)])
    assert len(figure.panels) == 2
    assert {"exp2", "exp10", "exp11"} <= set(texts(figure))
    assert verdict_words(compared()).startswith(
        "perception: exp2 better from step 100 to 200, +0.150 [+0.100, +0.200];"
    )
    early = Stretch(0.0, 0.0, "first", Interval(-0.1, -0.2, -0.05))
    several = replace(compared().rows[0], stretches=(early, *compared().rows[0].stretches))
    said = verdict_words(replace(compared(), rows=(several,)))
    assert said == "perception: exp2 better from step 100 to 200, +0.150 [+0.100, +0.200] (also exp1 0)."
    flat = replace(compared().rows[0], stretches=(), mean=Interval(0.0, -0.1, 0.1))
    assert verdict_words(replace(compared(), rows=(flat,))) == "perception: not told apart (up to ±0.250 possible)."
    slow = replace(flat, mean=Interval(-0.02, -0.03, -0.01))
    assert "exp1 better on average over training, -0.020" in verdict_words(replace(compared(), rows=(slow,)))


def test_one_run_has_both_abilities_in_one_panel_with_their_names_at_the_ends():
    figure = charts.abilities_over_steps(both())
    assert len(figure.panels) == 1
    assert sorted(texts(figure)) == ["Perception 0.80", "Reasoning 0.53", "chance"]
    assert "exp1" in figure.title
    assert "1,200 questions" in figure.subtitle


def test_several_runs_have_a_panel_an_ability_and_their_own_names():
    figure = charts.abilities_over_steps(both() + of_run("exp2"))
    assert [panel.title for panel in figure.panels] == ["Perception", "Reasoning"]
    assert {"exp1 0.80", "exp2 0.80"} <= set(texts(figure))


def test_rows_of_ones_own_are_taken_as_mappings_with_the_fields_that_the_docs_name():
    fields = ("run", "ability", "step", "value", "low", "high", "chance")
    rows = [{name: asdict(row)[name] for name in fields} for row in both()]
    assert texts(charts.abilities_over_steps(rows)) == texts(charts.abilities_over_steps(both()))
    without_chance = [{name: row[name] for name in fields if name != "chance"} for row in rows]
    assert "chance" not in texts(charts.abilities_over_steps(without_chance))


def test_chance_lines_of_different_heights_say_whose_they_are():
    rows = curve() + curve(ability="reasoning", source="spatial", chance=0.25)
    assert {"chance, perception", "chance, reasoning"} <= set(texts(charts.abilities_over_steps(rows)))


def test_labels_that_would_overlap_are_moved_apart_and_the_others_stay():
    labels = [{"value": value} for value in (0.50, 0.505, 0.9)]
    push_apart(labels, "value", 0.05)
    places = sorted(label["value"] for label in labels)
    assert places[1] - places[0] >= 0.05 - 1e-6
    assert places[0] == pytest.approx(0.4775)
    assert places[2] == 0.9


def test_a_metric_without_chance_has_no_chance_line():
    assert not any(
        "chance" in text for text in texts(charts.abilities_over_steps([replace(row, chance=None) for row in both()]))
    )


def test_sources_share_their_axes():
    figure = charts.sources_over_steps(both())
    domains = {str(panel.chart.to_dict()["layer"][2]["encoding"]["y"]["scale"]["domain"]) for panel in figure.panels}
    assert [panel.title for panel in figure.panels] == ["wiki_animal", "spatial"]
    assert len(domains) == 1


def every_figure():
    lead = [LeadPoint(row.run, row.step, row.value, row.low, row.high) for row in curve()]
    changes = [InterventionPoint(row.ability, row.step, row.value, row.low, row.high) for row in both()]
    metrics = [
        MetricQuality(metric, "perception", "exp1", growth_to_noise=3.0, monotonicity=0.5) for metric in ("sds", "acc")
    ]
    models = [
        AbilityAverage("a", "perception", 0.6, 0.55, 0.65, published=False, chance=0.5),
        AbilityAverage("b", "perception", 0.6, None, None, published=True, chance=0.5),
    ]
    points = [
        ScalingPoint("images", "perception", "", f"r{k}", 100, 10.0**k, 0.5 + k / 10, 0.45 + k / 10, 0.55 + k / 10)
        for k in (1, 2, 3)
    ]
    lines = [ScalingLine("images", "perception", "", (10, 1000), (0.6, 0.8), Interval(0.1, 0.05, 0.15), 1.0, 3)]
    subsets = [
        SubsetPoint("exp1", ability, size, s, t, 0.5 + s / 10, 0.6)
        for ability in ("perception", "reasoning")
        for size in (50, 100)
        for s in (0, 1)
        for t in (1, 2)
    ]
    lacks = [
        Bottleneck(r.run, r.ability, r.source, r.value, r.low, r.high, 0.5, 0.5, None, None)
        for r in both()
        if r.step == 300
    ]
    return [
        charts.abilities_over_steps(both()),
        charts.abilities_over_steps([row for row in both() if row.step == 300]),
        charts.sources_over_steps(both()),
        asymmetry(lead),
        intervention(changes, "targeted", "general"),
        metric_comparison(metrics),
        leaderboard(models),
        bottleneck(lacks),
        scaling(points, lines),
        stability(subsets),
    ]


def test_every_figure_is_valid_and_has_titles_on_its_axes():
    for figure in every_figure():
        spec = figure.chart().to_dict()  # Altair validates against the schema of Vega-Lite
        assert spec["title"]["text"]
        titled = str(spec)
        assert "Training step" in titled or "log scale" in titled or "'title': 'S" in titled or "Range over" in titled


@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<svg")])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pictures_come_out_in_every_format(tmp_path, ending, magic, mode):
    path = tmp_path / f"chart{ending}"
    chart_files.save(charts.abilities_over_steps(of_run(HOSTILE)), path, mode)
    assert path.read_bytes().startswith(magic)
    if ending == ".svg":
        assert b"<img" not in path.read_bytes()


def test_other_endings_are_refused_and_a_picture_is_kept_when_writing_fails(tmp_path):
    with pytest.raises(RadarError, match=r"\.png, \.svg, \.pdf"):
        chart_files.save(charts.abilities_over_steps(both()), tmp_path / "chart.gif")


def contrast(first, second):
    """WCAG 2's contrast ratio of two colours."""

    def luminance(colour):
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_what_is_drawn_can_be_read(mode):
    ground = theme.BACKGROUND[mode]
    assert contrast(theme.INK[mode]["text"], ground) > 7
    assert contrast(theme.INK[mode]["muted"], ground) > 4.5
    assert contrast(theme.INK[mode]["chance"], ground) > 4.5
    for colour in theme.CATEGORY[mode][:2]:
        assert contrast(colour, ground) > 3.5


def test_amounts_of_checkpoints_come_from_their_rows_or_from_their_share_of_the_run():
    results = [checkpoint(step) for step in (0, 100, 200, 400)]
    rows = [RunDescription(run="exp1", images=4000), RunDescription(run="step-00100", images=1500)]
    axis = training_axis("images", False, results, rows)
    assert [axis.place("exp1", step) for step in (0, 100, 200, 400)] == [0, 1500, 2000, 4000]
    assert training_axis("images=8", False, results).place("exp1", 300) == 2400
    with pytest.raises(RadarError, match="gives no images to exp1/step-00000"):
        training_axis("images", False, results, rows[1:])


def checkpoint(step):
    name = f"step-{step:05d}"
    return CheckpointResult(
        name, "checkpoints/exp1", step, Path(name), "20261123_101112", "lmms-eval", {}, {}, {}, {}, {}
    )


def test_a_logarithmic_axis_leaves_step_0_out_and_keeps_the_others():
    figure = charts.abilities_over_steps(both(), axis=charts.TrainingAxis(log=True))
    assert {datum["step"] for datum in figure.panels[0].data} == {100, 200, 300}
    assert "Step 0 has no place" in figure.subtitle
    assert "Step 0" not in charts.abilities_over_steps(both()).subtitle
    encoding = figure.panels[0].chart.to_dict()["layer"][2]["encoding"]["x"]
    assert encoding["scale"]["type"] == "log"


def test_names_that_are_too_long_for_labels_stand_in_a_legend():
    long = "qwen2vl-2b-pretrain-mix-a-lr3e4-bs512"
    figure = charts.abilities_over_steps(both() + of_run(long))
    assert figure.legend == ("exp1", long)
    assert max(map(len, texts(figure))) <= 7
    assert long in str(figure.chart().to_dict())
    short = charts.abilities_over_steps(both() + of_run("exp2"))
    assert short.legend == ()


def test_a_picture_has_the_size_and_the_title_that_are_asked_for():
    figure = charts.abilities_over_steps(both())
    plain, small = figure.chart().to_dict(), figure.chart(width=120, height=90, title=False).to_dict()
    assert (small["concat"][0]["width"], small["concat"][0]["height"]) == (120, 90)
    assert plain["concat"][0]["width"] == 620
    assert "title" not in small
