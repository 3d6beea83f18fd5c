"""What the text alone says, against slow references, planted priors and questions that say nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radar_metrics import MetricError, Ragged, answer_probability
from radar_metrics.text_prior import option_text_prior, prior_share, without_prior

WORDS = ("red", "blue", "green", "white", "black")


def vocabulary(rng, questions=200, words=WORDS, pictures=None, least=2):
    """Questions with options from a closed vocabulary: texts, answers, pictures."""
    sizes = rng.integers(least, len(words) + 1, questions)
    texts = [[words[k] for k in rng.permutation(len(words))[:size]] for size in sizes]
    answers = np.array([rng.integers(size) for size in sizes])
    names = [f"p{k}" for k in (range(questions) if pictures is None else rng.integers(pictures, size=questions))]
    return texts, answers, names


def slow_prior(scores, texts, pictures):
    prior = []
    for i, of in enumerate(texts):
        row = []
        for text in of:
            others = [
                scores[k][j]
                for k, there in enumerate(texts)
                for j, other in enumerate(there)
                if other == text and pictures[k] != pictures[i]
            ]
            row.append(sum(others) / len(others))
        prior.append(row)
    return prior


@pytest.mark.parametrize("pictures", [None, 40])
def test_the_prior_of_an_option_is_its_mean_under_other_pictures(pictures):
    rng = np.random.default_rng(1)
    texts, _, names = vocabulary(rng, 120, pictures=pictures)
    scores = [rng.normal(-3, 1, len(of)).tolist() for of in texts]
    prior = option_text_prior(scores, texts, names)
    for got, expected in zip(prior, slow_prior(scores, texts, names), strict=True):
        assert got == pytest.approx(expected, abs=1e-12)


def test_a_constant_of_an_option_s_text_is_taken_away_wholly():
    """A drift of the prior: every score of one text moves by the same."""
    rng = np.random.default_rng(2)
    texts, answers, names = vocabulary(rng)
    scores = Ragged.of([rng.normal(-3, 1, len(of)) for of in texts])
    blind = Ragged.of([rng.normal(-4, 1, len(of)) for of in texts])
    drift = np.concatenate([[2.5 * (text == "red") for text in of] for of in texts])
    drifted, blind_too = scores.with_values(scores.values + drift), blind.with_values(blind.values + drift)
    assert np.abs(answer_probability(drifted, answers) - answer_probability(scores, answers)).max() > 0.1
    before, after = without_prior(scores, blind), without_prior(drifted, blind_too)
    assert after.values == pytest.approx(before.values, abs=1e-9)
    before = without_prior(scores, option_text_prior(scores, texts, names))
    after = without_prior(drifted, option_text_prior(drifted, texts, names))
    assert after.values == pytest.approx(before.values, abs=1e-9)


def test_a_model_that_only_reads_is_at_chance():
    """Scores that are a text's alone: sds is what the answers' texts happen to be, the others are 1/M exactly."""
    rng = np.random.default_rng(3)
    texts, answers, names = vocabulary(rng)
    liked = dict(zip(WORDS, rng.normal(0, 2, len(WORDS)), strict=True))
    scores = [[liked[text] for text in of] for of in texts]
    chance = np.array([1 / len(of) for of in texts])
    free = without_prior(scores, option_text_prior(scores, texts, names))
    assert answer_probability(free, answers) == pytest.approx(chance, abs=1e-12)
    assert answer_probability(without_prior(scores, scores), answers) == pytest.approx(chance, abs=1e-12)
    assert prior_share(scores, option_text_prior(scores, texts, names)) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("measured", ["pmi", "free"])
def test_answers_drawn_at_random_are_not_told_from_chance(measured):
    """The null: whatever the scores, |z| < 2 in 93 to 97 % of 4,000 trials of an ability that is not there."""
    rng = np.random.default_rng(4)
    texts, _, names = vocabulary(rng, 150)
    scores = [rng.normal(-3, 1, len(of)) + [0.5 * WORDS.index(text) for text in of] for of in texts]
    prior = (
        option_text_prior(scores, texts, names) if measured == "free" else [rng.normal(-3, 1, len(s)) for s in scores]
    )
    less = without_prior(scores, prior)
    chance = np.array([1 / len(of) for of in texts])
    probabilities = [row / row.sum() for row in (np.exp(of - of.max()) for of in less)]
    width = max(map(len, probabilities))
    table = np.array([np.pad(row, (0, width - len(row))) for row in probabilities])
    draws = np.stack([rng.integers(len(of), size=4000) for of in texts])
    chosen = np.take_along_axis(table, draws, axis=1) - chance[:, None]
    z = chosen.mean(axis=0) / (chosen.std(axis=0, ddof=1) / math.sqrt(len(texts)))
    assert 0.93 < (np.abs(z) < 2).mean() < 0.97


def test_an_ability_behind_a_strong_prior_is_seen():
    rng = np.random.default_rng(5)
    texts, answers, names = vocabulary(rng, 300)
    liked = dict(zip(WORDS, (0, 3, -3, 1, -1), strict=True))
    scores = [
        [liked[text] + 0.8 * (j == answer) for j, text in enumerate(of)]
        for of, answer in zip(texts, answers, strict=True)
    ]
    free = without_prior(scores, option_text_prior(scores, texts, names))
    blind = without_prior(scores, [[liked[text] for text in of] for of in texts])
    chance = np.array([1 / len(of) for of in texts])
    z = {
        name: (answer_probability(s, answers) - chance).mean() / (answer_probability(s, answers) - chance).std()
        for name, s in {"sds": scores, "free": free, "pmi": blind}.items()
    }
    assert z["pmi"] > 3 * z["sds"]
    assert z["free"] > 3 * z["sds"]


@given(st.lists(st.lists(st.floats(-50, 0), min_size=2, max_size=5), min_size=1, max_size=20), st.data())
def test_prior_share_against_a_slow_reference(scores, data):
    prior = [[data.draw(st.floats(-50, 0)) for _ in row] for row in scores]
    d = [x - sum(row) / len(row) for row in scores for x in row]
    e = [x - sum(row) / len(row) for row in prior for x in row]
    dd, ee = math.fsum(x * x for x in d), math.fsum(x * x for x in e)
    if min(dd, ee) < 1e-6:
        return
    expected = math.fsum(x * y for x, y in zip(d, e, strict=True)) ** 2 / (dd * ee)
    got = prior_share(scores, prior)
    assert got == pytest.approx(expected, abs=1e-9)
    assert 0 <= got <= 1
    moved = [[3 * x + k for x in row] for k, row in enumerate(prior)]  # neither level nor scale of a prior counts
    assert prior_share(scores, moved) == pytest.approx(got, abs=1e-6)


def test_where_there_is_no_such_prior():
    open_texts = [[f"title {k}", f"title {k + 100}"] for k in range(50)]
    with pytest.raises(MetricError, match="100 different options among 100: too few of them repeat"):
        option_text_prior([[0.0, -1.0]] * 50, open_texts, [str(k) for k in range(50)])
    texts = [["a", "b"]] * 12 + [["a", "c"]] * 6
    pictures = [str(k) for k in range(12)] + ["same"] * 6
    with pytest.raises(MetricError, match=r"question 'q12': the option 'c' stands under 0 question\(s\) on other"):
        option_text_prior([[0.0, -1.0]] * 18, texts, pictures, [f"q{k}" for k in range(18)])
    with pytest.raises(MetricError, match="nothing to share"):
        prior_share([[1.0, 1.0]], [[0.0, 2.0]])
    with pytest.raises(MetricError, match="question 'q': 2 scores with the picture and 3 without"):
        without_prior([[0.0, 1.0]], [[0.0, 1.0, 2.0]], ["q"])
    with pytest.raises(MetricError, match="1 questions with their picture and 2 without"):
        prior_share([[0.0, 1.0]], [[0.0, 1.0]] * 2)
    with pytest.raises(MetricError, match="one text per option"):
        option_text_prior([[0.0, 1.0]], [["a", "b", "c"]], ["p"])
