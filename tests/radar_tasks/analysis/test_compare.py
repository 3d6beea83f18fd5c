"""Paired comparison: known differences, intervals against a slow bootstrap, and every reason to refuse."""

import numpy as np
import pytest
from fake_runs import ABILITIES, simulate, write_run

from radar_tasks.analysis.compare import compare
from radar_tasks.analysis.compare_published import compare_published
from radar_tasks.errors import ResultsError
from radar_tasks.published import published_model, published_models
from radar_tasks.results import load_run

RESAMPLES = 2_000


def rng():
    return np.random.default_rng(0)


def pair(folder, sources, second=None, **more):
    """Two runs on the same sources; `second` changes how the second is written."""
    first = load_run(write_run(folder / "a", "A", sources[0], **more))
    return first, load_run(write_run(folder / "b", "B", sources[1], **{**more, **(second or {})}))


def simple(folder, n=60, gain=0.5, **more):
    skills = (0.2, 0.2 + gain)
    return pair(folder, [{"spatial": simulate("spatial", n, skill=s, seed=k)} for k, s in enumerate(skills)], **more)


def row(made, name, metric="sds"):
    return next(r for r in made.rows if r.name == name and r.metric == metric)


def test_a_difference_with_its_interval_against_a_plain_bootstrap(tmp_path):
    first, second = simple(tmp_path)
    made = row(compare(first, second, rng(), resamples=RESAMPLES), "spatial")
    a, b = (np.array([r["score"] for r in simulate("spatial", 60, skill=s, seed=k)]) for k, s in enumerate((0.2, 0.7)))
    difference = (b - a).reshape(-1, 2).sum(axis=1)  # two questions an image
    draws = np.random.default_rng(1)
    means = [draws.choice(difference, len(difference)).mean() / 2 for _ in range(RESAMPLES)]
    assert made.difference == pytest.approx((b - a).mean())
    assert made.interval.estimate == pytest.approx(made.difference)
    width = np.quantile(means, 0.975) - np.quantile(means, 0.025)
    assert made.interval.high - made.interval.low == pytest.approx(width, rel=0.15)
    assert made.p_value == pytest.approx(1 / (RESAMPLES + 1))
    assert made.detectable == pytest.approx(2.8 * width / (2 * 1.96), rel=0.15)
    assert made.questions == 60


def test_a_run_against_itself_shows_nothing(tmp_path):
    first, _ = simple(tmp_path)
    comparison = compare(first, first, rng(), resamples=200)
    made = row(comparison, "spatial")
    assert not comparison.visual_gain
    assert (made.difference, made.p_value, made.detectable) == (0, 1, None)


def test_abilities_average_sources_and_holm_corrects_across_them(tmp_path):
    names = [source for source, ability in ABILITIES.items() if ability == "reasoning"]
    first, second = pair(
        tmp_path,
        [{s: simulate(s, 30, skill=0.3 + gain * k / 3, seed=gain) for k, s in enumerate(names)} for gain in (0, 1)],
    )
    made = compare(first, second, rng(), metrics=["sds"], resamples=RESAMPLES)
    sources, average = [row(made, s) for s in names], row(made, "reasoning")
    assert average.is_average
    assert average.difference == pytest.approx(np.mean([r.difference for r in sources]))
    assert average.questions == 120
    assert average.p_holm is None
    for r in sources:
        assert r.p_holm >= r.p_value
    assert max(r.p_holm for r in sources) <= 1


def test_sources_with_categories_weigh_categories_alike(tmp_path):
    sides = [{"mmbench": simulate("mmbench", 31, skill=s, seed=k)} for k, s in enumerate((0.1, 0.9))]
    made = row(compare(*pair(tmp_path, sides), rng(), resamples=500), "mmbench")
    means = []
    for side in sides:
        groups = {}
        for record in side["mmbench"]:
            groups.setdefault(record["category"], []).append(record["score"])
        means.append(np.mean([np.mean(group) for group in groups.values()]))
    assert (made.first, made.second) == pytest.approx(means)
    assert made.interval.estimate == pytest.approx(means[1] - means[0])


def test_the_blind_twin_in_either_order_gives_the_visual_gain(tmp_path):
    records = {"spatial": simulate("spatial", 40, skill=1.0)}
    seeing = load_run(write_run(tmp_path / "a", "A", records))
    blind = load_run(
        write_run(tmp_path / "b", "A", {"spatial": simulate("spatial", 40, skill=0.0, seed=1)}, scoring={"blind": True})
    )
    for order in ((seeing, blind), (blind, seeing)):
        made = compare(*order, rng(), resamples=200)
        assert made.visual_gain
        assert (made.first, made.second) == ("A (blind)", "A")
        assert row(made, "spatial").difference > 0.1


def test_a_blind_run_of_other_weights_is_no_twin(tmp_path):
    first, second = simple(tmp_path, second={"scoring": {"blind": True, "weights": "0" * 16}})
    with pytest.raises(ResultsError, match="images: shown against blind"):
        compare(first, second, rng())


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"checksums": {"spatial": "0" * 64}}, "data of spatial: sample, 60 questions, .* against .* 000000000000"),
        ({"scoring": {"prompt_format": "official"}}, "prompt_format: plain against official"),
        ({"limit": 60}, "limit: not given against 60"),
    ],
)
def test_what_differs_is_named_and_refused_unless_told(tmp_path, second, message):
    first, other = simple(tmp_path, second=second)
    with pytest.raises(ResultsError, match=message):
        compare(first, other, rng())
    made = compare(first, other, rng(), allow_different=True, resamples=200)
    assert len(made.different) == 1


def test_unmatched_questions_are_counted_and_refused_unless_told(tmp_path):
    records = simulate("spatial", 60, skill=0.4)
    first, second = pair(tmp_path, [{"spatial": records[:50]}, {"spatial": records[20:]}])
    with pytest.raises(ResultsError, match="questions of spatial: 20 only in the first, 10 only in the second"):
        compare(first, second, rng())
    made = compare(first, second, rng(), allow_different=True, resamples=200)
    assert made.unmatched == {"spatial": (20, 10)}
    assert row(made, "spatial").questions == 30


def test_settings_of_the_model_are_said_and_not_refused(tmp_path):
    first, second = simple(tmp_path, second={"scoring": {"dtype": "bfloat16"}})
    assert [str(setting) for setting in compare(first, second, rng(), resamples=200).noted] == [
        "dtype: float32 against bfloat16"
    ]


def test_no_source_in_common_and_sources_of_one_side(tmp_path):
    records = {s: simulate(s, 8, skill=0.4) for s in ("spatial", "seephys")}
    first, second = pair(tmp_path, [records, {"spatial": records["spatial"]}])
    assert compare(first, second, rng(), resamples=200).alone == ("seephys (only A)",)
    other = load_run(write_run(tmp_path / "c", "C", {"seephys": records["seephys"]}))
    with pytest.raises(ResultsError, match="no source in common: spatial against seephys"):
        compare(second, other, rng())


def test_metrics_that_a_run_lacks_or_that_have_no_questions(tmp_path):
    first = load_run(write_run(tmp_path / "a", "A", {"spatial": simulate("spatial", 8, skill=0.4)}))
    stock = {"spatial": simulate("spatial", 8, skill=0.4, logit=False)}
    second = load_run(write_run(tmp_path / "b", "B", stock))
    with pytest.raises(ResultsError, match="B has no sds_logit on spatial"):
        compare(first, second, rng(), metrics=["sds_logit"])
    with pytest.raises(ResultsError, match="'perplexity' cannot be compared question by question"):
        compare(first, second, rng(), metrics=["perplexity"])


def test_one_image_only_gives_a_difference_without_an_interval(tmp_path):
    sides = [{"spatial": simulate("spatial", 4, skill=s, seed=k, per_image=4)} for k, s in enumerate((0.1, 0.5))]
    made = row(compare(*pair(tmp_path, sides), rng()), "spatial")
    assert made.interval is None
    assert "one cluster only" in made.note


def test_published_rows_have_a_difference_and_no_interval(tmp_path):
    names = [source for source, ability in ABILITIES.items() if ability == "reasoning"]
    run = load_run(write_run(tmp_path, "A", {s: simulate(s, 9, skill=0.4) for s in names}))
    model = published_model("Qwen2-VL-2B")
    made = compare_published(model, run)
    reasoning = row(made, "reasoning", "sds_logit")
    assert reasoning.first == 0.561
    assert reasoning.interval is None
    assert row(made, "mathvista", "acc_logit").first == 0.688
    assert not any(r.name == "mmbench" for r in made.rows)
    with pytest.raises(ResultsError, match="sds is not published"):
        compare_published(model, run, ["sds"])
    with pytest.raises(ResultsError, match=r"there are LLaVA-OV-proj-0\.5B"):
        published_model("Qwen9")


def test_all_published_averages_are_the_means_of_their_sources():
    """A mistyped number in the shipped table would show here: the paper rounds to three digits."""
    for model in published_models().values():
        for metric, values in model.values.items():
            for ability in ("perception", "reasoning"):
                sources = [values[s] for s, a in ABILITIES.items() if a == ability]
                assert values[ability] == pytest.approx(np.mean(sources), abs=0.0016), (model.name, metric)
