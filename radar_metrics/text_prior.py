"""What the options' text alone says, and what is left when it is taken away: the prior of a language model.

A model that sees nothing still prefers some options to others: common words, short titles, "2" to "7". While an ability
is absent, that is nearly all that its scores hold. Two estimates of it:

* the same question without its picture (`prior=blind`), b_j for option j. The scores s_j - b_j are pointwise mutual
  information, log p(option | picture, question) - log p(option | question), a token: PMI_DC of Holtzman et al.,
  "Surface Form Competition", arXiv 2104.08315, whose "domain" is here the question itself; `sds_pmi`, `acc_pmi`;
* for closed vocabularies, in which the same few options stand under many questions, the mean score of the option's text
  under the other pictures' questions; `sds_free`. It needs no second forward, and is calibration by content in the
  manner of Zhao et al., "Calibrate Before Use", arXiv 2102.09690, with other questions in place of a content-free one.

Both leave a model that knows nothing at chance, 1/M, and take a constant that belongs to an option's text wholly away.
All arguments and errors as in `radar_metrics.discrimination`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import checked_scores
from radar_metrics.ragged import Names, Ragged, Scores, question_name

LEAST_REPEATS = 5
"""Under so many questions on other pictures a text must stand for its mean to be taken for its prior."""


def without_prior(scores: Scores, prior: Scores, q_ids: Names | None = None) -> Ragged:
    """Scores less what the text says: s_j - b_j, in the unit of the scores.

    The softmax of these in place of s_j is `sds_pmi` (of the blind twin) or `sds_free` (of `option_text_prior`), their
    ranking `acc_pmi`.

    Raises:
        MetricError: the two are not of the same options.
    """
    seen, blind = checked_scores(scores, q_ids), checked_scores(prior, q_ids)
    _require_same_options(seen, blind, q_ids)
    return seen.with_values(seen.values - blind.values)


def option_text_prior(
    scores: Scores,
    options: Sequence[Sequence[str]],
    pictures: ArrayLike,
    q_ids: Names | None = None,
    least: int = LEAST_REPEATS,
) -> Ragged:
    """The prior of each option from the other pictures: the mean score of its text under questions on them.

    prior_ij = mean of s_kl over all k, l with text_kl = text_ij and picture_k != picture_i. A question's own picture
    says nothing about its prior (cross-fitting with one fold a picture), and answers are not looked at.

    Args:
        scores: of N questions.
        options: (N,) the texts of each question's options.
        pictures: (N,) names of the questions' pictures.
        q_ids: (N,) names for error messages.
        least: questions on other pictures under which a text has to stand.

    Raises:
        MetricError: a text stands under too few other pictures' questions; the message names it. That is so for every
            source whose options are open (titles, numbers): there is no such prior then.
    """
    checked = checked_scores(scores, q_ids)
    if len(options) != len(checked) or [len(of) for of in options] != checked.counts.tolist():
        raise MetricError("the options' texts do not fit their scores: one text per option is needed")
    texts = list(itertools.chain.from_iterable(options))
    number = {name: k for k, name in enumerate(dict.fromkeys(texts))}
    # So many different texts cannot all repeat often enough: true of all open sources, and quickly seen.
    if len(number) * (least + 1) > len(texts):
        raise MetricError(
            f"{len(number)} different options among {len(texts)}: too few of them repeat for a prior of their own"
        )
    text = np.array([number[name] for name in texts])
    _, picture = np.unique(np.asarray(pictures), return_inverse=True)
    _, together = np.unique(text * (picture.max() + 1) + picture[checked.question], return_inverse=True)
    values = checked.values.astype(np.float64)
    others = np.bincount(text)[text] - np.bincount(together)[together]
    if others.min() < least:
        k = int(others.argmin())
        raise MetricError(
            f"{question_name(int(checked.question[k]), q_ids)}: the option {texts[k]!r} stands under {others[k]} "
            f"question(s) on other pictures, at least {least} are needed for a prior of its own"
        )
    totals = np.bincount(text, values)[text] - np.bincount(together, values)[together]
    return checked.with_values(totals / others)


def prior_share(scores: Scores, prior: Scores, q_ids: Names | None = None) -> float:
    """Part of the variance of option scores within a question that a prior explains, in [0, 1].

    r^2 = (sum d e)^2 / (sum d^2 sum e^2) over all options of all questions, d and e being the scores and the prior less
    their mean over the question's options: the squared correlation within questions, so that neither the level of a
    question nor the scale of the prior counts. Near 1 while a model does not look at the picture; 0 for a prior that
    says nothing.

    Raises:
        MetricError: scores or prior do not vary within any question, or are not of the same options.
    """
    seen, blind = checked_scores(scores, q_ids), checked_scores(prior, q_ids)
    _require_same_options(seen, blind, q_ids)
    d, e = seen.centred().values, blind.centred().values
    variances = float(d @ d) * float(e @ e)
    if variances == 0:
        raise MetricError("all options of a question score the same, or have the same prior: there is nothing to share")
    return min(float(d @ e) ** 2 / variances, 1.0)


def _require_same_options(first: Ragged, second: Ragged, q_ids: Names | None) -> None:
    if len(first) != len(second):
        raise MetricError(f"{len(first)} questions with their picture and {len(second)} without: the same are needed")
    if not np.array_equal(first.offsets, second.offsets):
        i = int(np.flatnonzero(first.counts != second.counts)[0])
        raise MetricError(
            f"{question_name(i, q_ids)}: {first.counts[i]} scores with the picture and {second.counts[i]} without"
        )
