"""Soft Discrimination Score (SDS): how clearly a model prefers the right option, as a probability.

Source: "RADAR: Revealing Asymmetric Development of Abilities in MLLM Pre-training", arXiv 2602.12892, Eq. 3 to 5.

The functions take one score per option and do not know where it came from. The metric's name is decided by what the
caller passes (T_j tokens in option j, means over them as in Eq. 3):

=============  =========================================  =======================================================
metric         score s_j of option j                      properties
=============  =========================================  =======================================================
``sds``        mean log-probability, (1/T_j) sum log p    unchanged when a constant is added to all logits of a
               (nats per token)                           position; comparable across models; the default here.
                                                          allenai's DataDecide: norm_correct_prob_per_token
``sds_logit``  mean raw logit, (1/T_j) sum F              the paper's; moves when a constant is added to all logits
                                                          of one option's position
``sds_sum``    summed log-probability                     favours short options
``sds_bytes``  log-probability per UTF-8 byte             comparable across tokenizers
=============  =========================================  =======================================================

When every option is one token, ``sds`` equals ``sds_logit``: both options are read from the same position, whose
log-normaliser is one constant for all options, and the softmax below removes it.
"""

from numpy.typing import ArrayLike

from radar_metrics.options import check_options, option_counts
from radar_metrics.ragged import FloatArray, Names, Scores


def answer_probability(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> FloatArray:
    """Probability of the right option of each question, Eq. 4.

    Invariant to the order of the options and to adding a constant to all options of a question. Stable for any
    finite score.

    Args:
        scores: `radar_metrics.ragged.Ragged`, or one 1-D array (M_i,) a question, higher is better; M_i may differ, at
            least 2.
        answers: (N,) index of the right option.
        q_ids: (N,) names for error messages.

    Returns:
        (N,) float64 in [0, 1]; 1/M_i when all options score the same.

    Raises:
        MetricError: see `radar_metrics.options.check_options`; names the question and option.
    """
    options = check_options(scores, answers, q_ids)
    return options.scores.softmax().at(options.answers)


def sds(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> float:
    """Soft Discrimination Score, Eq. 5: mean over questions of the probability of the right option.

    In [0, 1], higher is better; `chance` for a model that cannot tell the options apart. Arguments and errors as
    `answer_probability`.
    """
    return float(answer_probability(scores, answers, q_ids).mean())


def chance(scores: Scores, q_ids: Names | None = None) -> float:
    """SDS of a model that scores all options alike: mean of 1/M_i, 0.5 with one distractor a question."""
    return float((1.0 / option_counts(scores, q_ids)).mean())
