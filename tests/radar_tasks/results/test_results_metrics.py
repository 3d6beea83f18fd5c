"""The table of all metrics against sums written out by hand, and averages that are never partial."""

import math

import numpy as np
import pytest
from fake_runs import ABILITIES, simulate, write_run

from radar_tasks.results import load_run
from radar_tasks.results.metrics import METRICS, metric_table, option_probabilities, per_question, value, why_absent


def softmax(scores):
    weights = [math.exp(s - max(scores)) for s in scores]
    return [w / sum(weights) for w in weights]


def by_hand(records):
    """Every metric that is a plain mean over questions or a pooled ratio, with loops."""
    out = {name: [] for name in ("sds", "sds_logit", "sds_sum", "sds_bytes", "acc", "margin", "brier", "nll")}
    nats = tokens = size = 0
    for r in records:
        a, n = r["answer"], range(len(r["options"]))
        sums = [r["logprob"][k] * r["tokens"][k] for k in n]
        p = softmax(r["logprob"])
        out["sds"].append(p[a])
        out["sds_logit"].append(softmax(r["logit"])[a])
        out["sds_sum"].append(softmax(sums)[a])
        out["sds_bytes"].append(softmax([sums[k] / r["bytes"][k] for k in n])[a])
        out["acc"].append(float(max(n, key=lambda k: r["logprob"][k]) == a))
        out["margin"].append(r["logprob"][a] - max(r["logprob"][k] for k in n if k != a))
        out["brier"].append(sum((p[k] - (k == a)) ** 2 for k in n))
        out["nll"].append(-r["logprob"][a])
        if "logprob_blind" in r:
            blind = r["logprob_blind"]
            less = [r["logprob"][k] - blind[k] for k in n]
            out.setdefault("sds_pmi", []).append(softmax(less)[a])
            out.setdefault("acc_pmi", []).append(float(max(n, key=lambda k: less[k]) == a))
            out.setdefault("sds_blind", []).append(softmax(blind)[a])
            out.setdefault("visual_gain", []).append(p[a] - softmax(blind)[a])
        nats, tokens, size = nats - sums[a], tokens + r["tokens"][a], size + r["bytes"][a]
    means = {name: sum(values) / len(values) for name, values in out.items()}
    chance = sum(1 / len(r["options"]) for r in records) / len(records)
    return {
        **means,
        "sds_centred": (means["sds"] - chance) / (1 - chance),
        "ppl_acc": means["acc"],
        "perplexity": math.exp(nats / tokens),
        "bits_per_byte": nats / math.log(2) / size,
    }


def with_blind(records):
    """As `prior=blind` has it: what each option scores without the picture, somewhat like with it."""
    rng = np.random.default_rng(7)
    for record in records:
        record["logprob_blind"] = [min(0.0, 0.5 * s + float(rng.normal(-1, 0.5))) for s in record["logprob"]]
        record["logit_blind"] = [s + 20 for s in record["logprob_blind"]]
    return records


def test_every_metric_of_a_source(tmp_path):
    records = with_blind(simulate("spatial", 50, skill=0.4, options=(2, 3, 4)))
    row = metric_table(load_run(write_run(tmp_path, "m", {"spatial": records})))[0]
    assert set(row.values) == set(METRICS) - {"sds_free"}
    for name, expected in by_hand(records).items():
        assert row.values[name] == pytest.approx(expected), name


def test_a_source_with_categories_is_their_mean_and_the_plain_mean_is_there_too(tmp_path):
    records = simulate("mmbench", 31, skill=0.4)
    samples = load_run(write_run(tmp_path, "m", {"mmbench": records})).sources["mmbench"]
    groups = {}
    for record in records:
        groups.setdefault(record["category"], []).append(record["score"])
    assert value(samples, "sds") == pytest.approx(np.mean([np.mean(g) for g in groups.values()]))
    assert value(samples, "sds", by_question=True) == pytest.approx(np.mean([r["score"] for r in records]))
    assert len({len(g) for g in groups.values()}) > 1  # else the two would be equal


def test_metrics_whose_scores_are_not_there_are_absent(tmp_path):
    records = simulate("spatial", 8, skill=0.4, logit=False, tokens=False)
    samples = load_run(write_run(tmp_path, "m", {"spatial": records}, scoring={})).sources["spatial"]
    assert value(samples, "sds_logit") is None
    assert value(samples, "perplexity") is None
    assert per_question(samples, "sds_bytes") is None
    assert value(samples, "sds") is not None


def test_an_average_needs_every_source(tmp_path):
    perception = [source for source, ability in ABILITIES.items() if ability == "perception"]
    records = {source: simulate(source, 9, skill=0.4) for source in [*perception, "spatial"]}
    rows = {row.name: row for row in metric_table(load_run(write_run(tmp_path / "a", "m", records)))}
    assert rows["perception"].values["sds"] == pytest.approx(np.mean([rows[s].values["sds"] for s in perception]))
    assert rows["perception"].questions == 45
    assert "reasoning" not in rows
    del records["mmbench"]
    names = [row.name for row in metric_table(load_run(write_run(tmp_path / "b", "m", records)))]
    assert "perception" not in names


def test_probabilities_of_options(tmp_path):
    records = simulate("spatial", 5, skill=0.4, options=(3,))
    samples = load_run(write_run(tmp_path, "m", {"spatial": records})).sources["spatial"]
    for made, record in zip(option_probabilities(samples), records, strict=True):
        np.testing.assert_allclose(made, softmax(record["logprob"]))


def test_what_options_say_by_themselves_is_taken_away_where_they_repeat(tmp_path):
    """A closed vocabulary, scores that are half a liking for words and half an answer."""
    rng, words = np.random.default_rng(0), ["red", "blue", "green"]
    liked = dict(zip(words, (0.0, 2.0, -2.0), strict=True))
    records = simulate("spatial", 60, skill=0.4, options=(3,))
    for record in records:
        record["options"] = [words[k] for k in rng.permutation(3)]
        scores = [liked[word] + 0.7 * (k == record["answer"]) - 9 for k, word in enumerate(record["options"])]
        record["logprob"] = scores
        record["score"] = softmax(scores)[record["answer"]]
        record["bytes"] = [len(word) for word in record["options"]]
    samples = load_run(write_run(tmp_path, "m", {"spatial": records})).sources["spatial"]
    expected = math.exp(0.7) / (math.exp(0.7) + 2)
    assert value(samples, "sds_free") == pytest.approx(expected, abs=0.02)
    assert value(samples, "sds") != pytest.approx(expected, abs=0.02)
    assert 0.8 < value(samples, "prior_share") < 1
    assert why_absent(samples, "sds_pmi") == "the run does not hold logprob_blind"


def test_open_options_have_no_prior_of_their_own(tmp_path):
    records = simulate("spatial", 50, skill=0.4)
    samples = load_run(write_run(tmp_path, "m", {"spatial": records})).sources["spatial"]
    assert value(samples, "sds_free") is None
    assert "too few of them repeat" in why_absent(samples, "sds_free")
    assert "too few of them repeat" in why_absent(samples, "prior_share")
    assert why_absent(samples, "sds") == ""
