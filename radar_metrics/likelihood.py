"""How likely the right answer is, whatever the distractors: answer loss, perplexity, bits per byte.

All take mean log-probabilities per token (natural log) of ragged options, `tokens` and `n_bytes` as counts in option
order, and raise MetricError naming the question.

Perplexity-ranking accuracy, which the RADAR paper (arXiv 2602.12892) compares with SDS, ranks the options of a question
by perplexity exp(-mean log-prob) and takes the lowest. That function is decreasing, so the order is the order of the
mean log-probabilities: it *is* `radar_metrics.discrimination.accuracy` of them (`acc`) and has no function here.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import Options, check_options, positive_counts
from radar_metrics.ragged import FloatArray, Names, Scores, question_name

ROUNDING = 1e-4
"""Log-softmax in float32 can leave a sure token so far above 0."""


def answer_loss(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> FloatArray:
    """(N,) minus the mean log-probability of the right answer, in nats per token; >= 0, lower is better.

    Raises:
        MetricError: a log-probability is above 0 (these are raw logits), or see `options.check_options`.
    """
    return _loss(check_options(scores, answers, q_ids), q_ids)


def nll(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> float:
    """Mean over questions of `answer_loss`, in nats per token: every question counts the same, however long."""
    return float(answer_loss(scores, answers, q_ids).mean())


def perplexity(
    scores: Scores,
    answers: ArrayLike,
    tokens: Scores,
    q_ids: Names | None = None,
) -> float:
    """Perplexity of the right answers, exp(sum_i T_i loss_i / sum_i T_i); >= 1, lower is better.

    The exponent is the loss pooled over all tokens, as a language model's perplexity is defined; a mean of the
    questions' perplexities would be ruled by the worst question.

    Raises:
        MetricError: the pooled loss is too large for its exponential to be a number.
    """
    options = check_options(scores, answers, q_ids)
    count = _of_answer(tokens, options, "token", q_ids)
    loss = float((_loss(options, q_ids) * count).sum() / count.sum())
    try:
        return math.exp(loss)
    except OverflowError as error:
        raise MetricError(f"a pooled loss of {loss:.4g} nats per token has no finite perplexity") from error


def bits_per_byte(
    scores: Scores,
    answers: ArrayLike,
    tokens: Scores,
    n_bytes: Scores,
    q_ids: Names | None = None,
) -> float:
    """Bits needed for a UTF-8 byte of the right answers, sum_i T_i loss_i / (ln 2 * sum_i bytes_i); lower is better.

    Pooled over questions. It does not depend on the tokenizer and compares models of different vocabularies.
    """
    options = check_options(scores, answers, q_ids)
    nats = (_loss(options, q_ids) * _of_answer(tokens, options, "token", q_ids)).sum()
    return float(nats / (math.log(2) * _of_answer(n_bytes, options, "byte", q_ids).sum()))


def _loss(options: Options, q_ids: Names | None) -> FloatArray:
    above = np.flatnonzero(options.of_answer > ROUNDING)
    if len(above):
        i = int(above[0])
        raise MetricError(
            f"{question_name(i, q_ids)}, option {options.answers[i]}: log-probability {options.of_answer[i]:.4g} is "
            "above 0; a likelihood needs log-probabilities, not raw logits"
        )
    return np.maximum(-options.of_answer, 0.0)


def _of_answer(counts: Scores, options: Options, what: str, q_ids: Names | None) -> FloatArray:
    flat = positive_counts(counts, options.scores.counts, what, q_ids)
    return np.asarray(flat[options.answer_places])
