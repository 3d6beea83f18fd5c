"""Every metric of a run from its samples: per question where it is a mean over questions, pooled where it is not.

=============  ======  ==========================================================================================
metric         better  what
=============  ======  ==========================================================================================
sds            higher  probability of the right option, mean log-probability per token (the headline)
sds_logit      higher  the same from mean raw logits: the paper's
sds_sum        higher  from summed log-probabilities: favours short options
sds_bytes      higher  from log-probabilities per UTF-8 byte: comparable across tokenizers, lm-eval has it too
sds_centred    higher  (SDS - chance) / (1 - chance)
acc            higher  right option scores highest; acc_logit, acc_bytes for those scores
ppl_acc        higher  right option has the lowest perplexity: by definition the same as acc
margin         higher  log-probability of the right option minus that of the best distractor, nats per token
brier          lower   sum over options of (p - y)^2
ece            lower   expected calibration error of the top option
nll            lower   answer loss, nats per token
perplexity     lower   exp of the loss pooled over all answer tokens
bits_per_byte  lower   bits for a byte of the right answers
sds_pmi        higher  as sds, from scores less those without the picture; acc_pmi likewise (both need `prior=…`)
sds_blind      higher  sds without the picture: what the text alone gives
visual_gain    higher  sds minus sds_blind: what the picture adds
sds_free       higher  as sds, from scores less the mean of the option's text under other pictures (closed vocabularies)
prior_share    lower   part of the variance of scores within a question that the prior explains: of the question without
                       its picture, or where that was not asked of the options' texts
=============  ======  ==========================================================================================

A metric whose scores a run does not hold is absent, never 0. A source whose headline is the mean over categories
(MMBench, MMMU-Pro) has it so here for every mean; `value(..., by_question=True)` gives the plain mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics import discrimination, likelihood, text_prior
from radar_metrics.errors import MetricError
from radar_metrics.ragged import FloatArray, Names, Ragged, Scores
from radar_metrics.soft_discrimination import answer_probability, chance
from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.questions import Ability
from radar_tasks.results.model import CheckpointResult, SourceSamples, TrainingRun
from radar_tasks.results.suites import Average, averages_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Metric:
    """How a metric is made.

    Attributes:
        name: as in the results.
        higher_is_better: its direction.
        scores: what it is made from, in words of `SourceSamples`: all of these must be there.
        per_question: (N,) numbers whose mean it is; None for a pooled metric.
        pooled: the number of a pooled metric; None for a mean.
        cannot_be_had: why these questions do not allow it although the scores are there, "" where they do.
    """

    name: str
    higher_is_better: bool
    scores: tuple[str, ...]
    per_question: Callable[[SourceSamples], FloatArray] | None = None
    pooled: Callable[[SourceSamples], float] | None = None
    cannot_be_had: Callable[[SourceSamples], str] = lambda samples: ""  # noqa: ARG005


@dataclass(frozen=True)
class SourceMetrics:
    """The metrics of one source, or of the average of an ability.

    Attributes:
        name: the source, or the average's name (`perception`).
        ability: perception or reasoning.
        is_average: whether it is the unweighted mean over an ability's sources.
        questions: number of questions, over all sources of an average.
        values: by metric; what cannot be had is absent.
    """

    name: str
    ability: Ability
    is_average: bool
    questions: int
    values: dict[str, float]


class MetricTable(list[SourceMetrics]):
    """The metrics of one run: its sources, then the averages."""

    def to_frame(self) -> pd.DataFrame:
        """A row per source or average, a column per metric; NaN where one cannot be had."""
        import pandas as pd  # half a second that only those pay who ask for a frame

        about = [
            {"source": row.name, "ability": row.ability, "is_average": row.is_average, "questions": row.questions}
            for row in self
        ]
        values = [{metric: row.values.get(metric, np.nan) for metric in METRICS} for row in self]
        return pd.DataFrame([{**names, **numbers} for names, numbers in zip(about, values, strict=True)])


def metric_table(run: CheckpointResult) -> MetricTable:
    """Every metric of every source of a run, then of the abilities whose sources are all there."""
    rows = [_source_row(samples) for samples in run.sources.values()]
    by_source = {row.name: row for row in rows}
    return MetricTable(rows + [_average_row(average, by_source) for average in averages_of(run.sources.values())])


def metric_tables(training: TrainingRun) -> list[dict[str, SourceMetrics]]:
    """The metrics of each checkpoint of a training by source and average."""
    return [{row.name: row for row in metric_table(result)} for result in training.results]


def question_matrix(training: TrainingRun, source: str, metric: str) -> FloatArray | None:
    """(S, N) numbers of single questions; None for a pooled metric or where a checkpoint lacks the scores."""
    if METRICS[metric].per_question is None:
        return None
    rows = []
    for result in training.results:
        numbers = per_question(result.sources[source], metric)
        if numbers is None:
            return None
        rows.append(numbers)
    return np.stack(rows)


def per_question(samples: SourceSamples, metric: str) -> FloatArray | None:
    """(N,) numbers of a metric that is a mean over questions; None where the run does not hold its scores.

    Raises:
        KeyError: an unknown metric, or a pooled one, which has no value of one question.
    """
    made = METRICS[metric]
    if made.per_question is None:
        raise KeyError(metric)
    return made.per_question(samples) if available(samples, metric) else None


def scores_missing(name: str, metric: str, sources: Iterable[str]) -> str:
    """The message for a run that lacks the scores which a metric is made from."""
    return f"{name} has no {metric} on {', '.join(sources)}: the scores that it is made from are not in its samples."


def require_mean_over_questions(metric: str) -> None:
    """Raises `ResultsError` for a metric that is unknown or has no value of one question."""
    if metric not in METRICS or METRICS[metric].per_question is None:
        known = [name for name, made in METRICS.items() if made.per_question]
        near = did_you_mean(metric, known)
        raise ResultsError(f"{metric!r} is not a mean over questions; these are: {', '.join(known)}.{near}")


def value(samples: SourceSamples, metric: str, by_question: bool = False) -> float | None:
    """A metric of one source, None where the run does not hold its scores.

    Args:
        samples: the source.
        metric: a name of `METRICS`.
        by_question: the mean over questions (Eq. 5) also where the headline is the mean over categories.
    """
    made = METRICS[metric]
    if made.pooled is not None:
        return made.pooled(samples) if available(samples, metric) else None
    values = per_question(samples, metric)
    return None if values is None else float(values @ question_weights(samples, by_question))


def question_weights(samples: SourceSamples, by_question: bool = False) -> FloatArray:
    """(N,) weight of each question in its source's headline; they sum to 1."""
    n = len(samples)
    if by_question or not samples.by_category:
        return np.full(n, 1.0 / n)
    _, category, sizes = np.unique(samples.category, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (len(sizes) * sizes[category]))


def available(samples: SourceSamples, metric: str) -> bool:
    """Whether the run holds the scores that a metric is made from, and its questions allow it."""
    return not why_absent(samples, metric)


def available_everywhere(metrics: Iterable[str], parts: Iterable[SourceSamples]) -> list[str]:
    """Those of the metrics that can be had of each of these sources."""
    every = list(parts)
    return [metric for metric in metrics if all(available(samples, metric) for samples in every)]


def why_absent(samples: SourceSamples, metric: str) -> str:
    """Why a metric of a source cannot be had, "" where it can."""
    made = METRICS[metric]
    if missing := [name for name in made.scores if getattr(samples, name) is None]:
        return f"the run does not hold {', '.join(missing)}"
    return made.cannot_be_had(samples)


def option_probabilities(samples: SourceSamples, by_bytes: bool = False) -> Ragged:
    """Probability of each option of each question as in `sds`, or as in `sds_bytes`.

    Raises:
        KeyError: the run does not hold the scores for it.
    """
    return (_bytes_scores(samples) if by_bytes else _required(samples.logprob, "logprob")).softmax()


def _source_row(samples: SourceSamples) -> SourceMetrics:
    values = {name: number for name in METRICS if (number := value(samples, name)) is not None}
    return SourceMetrics(samples.source, samples.ability, False, len(samples), values)


def _average_row(average: Average, rows: dict[str, SourceMetrics]) -> SourceMetrics:
    members = [rows[source] for source in average.sources]
    shared = [name for name in METRICS if all(name in row.values for row in members)]
    values = {name: float(np.mean([row.values[name] for row in members])) for name in shared}
    return SourceMetrics(average.name, average.ability, True, sum(row.questions for row in members), values)


_PerQuestion = Callable[[Scores, ArrayLike, "Names | None"], FloatArray]


def _required(scores: Ragged | None, name: str) -> Ragged:
    """Scores that `available` was asked for."""
    if scores is None:
        raise KeyError(name)
    return scores


def _mean(name: str, higher: bool, column: str, function: _PerQuestion) -> Metric:
    def numbers(samples: SourceSamples) -> FloatArray:
        return function(_required(getattr(samples, column), column), samples.answer, samples.q_id)

    return Metric(name, higher, (column,), per_question=numbers)


def _bytes_scores(samples: SourceSamples) -> Ragged:
    sums = _required(samples.logprob_sum, "logprob_sum")
    return sums.with_values(sums.values / samples.bytes.values)


def _mean_of_bytes(name: str, function: _PerQuestion) -> Metric:
    def numbers(samples: SourceSamples) -> FloatArray:
        return function(_bytes_scores(samples), samples.answer, samples.q_id)

    return Metric(name, True, ("logprob_sum",), per_question=numbers)


def _centred(samples: SourceSamples) -> FloatArray:
    scores = _required(samples.logprob, "logprob")
    return discrimination.chance_centred(answer_probability(scores, samples.answer, samples.q_id), chance(scores))


def _ece(samples: SourceSamples) -> float:
    scores = _required(samples.logprob, "logprob")
    return discrimination.expected_calibration_error(scores, samples.answer, samples.q_id)


def _perplexity(samples: SourceSamples) -> float:
    scores, tokens = _required(samples.logprob, "logprob"), _required(samples.tokens, "tokens")
    return likelihood.perplexity(scores, samples.answer, tokens, samples.q_id)


def _bits_per_byte(samples: SourceSamples) -> float:
    """Sums over one "token" an option: what the likelihood needs is the sum, however many tokens it came from."""
    sums = _required(samples.logprob_sum, "logprob_sum")
    once = sums.with_values(np.ones(len(sums.values)))
    return likelihood.bits_per_byte(sums, samples.answer, once, samples.bytes, samples.q_id)


_WITH_BLIND = ("logprob", "logprob_blind")


def _less_blind(samples: SourceSamples, function: _PerQuestion) -> FloatArray:
    blind = _required(samples.logprob_blind, "logprob_blind")
    scores = text_prior.without_prior(_required(samples.logprob, "logprob"), blind, samples.q_id)
    return function(scores, samples.answer, samples.q_id)


def _visual_gain(samples: SourceSamples) -> FloatArray:
    seen, blind = _required(samples.logprob, "logprob"), _required(samples.logprob_blind, "logprob_blind")
    both = (answer_probability(scores, samples.answer, samples.q_id) for scores in (seen, blind))
    return next(both) - next(both)


def _text_prior(samples: SourceSamples) -> Ragged:
    scores = _required(samples.logprob, "logprob")
    return text_prior.option_text_prior(scores, samples.options, samples.image_id, samples.q_id)


def _free(samples: SourceSamples) -> FloatArray:
    scores = text_prior.without_prior(_required(samples.logprob, "logprob"), _text_prior(samples), samples.q_id)
    return answer_probability(scores, samples.answer, samples.q_id)


def _no_text_prior(samples: SourceSamples) -> str:
    try:
        _text_prior(samples)
    except MetricError as error:
        return str(error)
    return ""


def _prior_share(samples: SourceSamples) -> float:
    prior = samples.logprob_blind if samples.logprob_blind is not None else _text_prior(samples)
    return text_prior.prior_share(_required(samples.logprob, "logprob"), prior, samples.q_id)


def _no_prior(samples: SourceSamples) -> str:
    try:
        _prior_share(samples)
    except MetricError as error:
        return str(error)
    return ""


_ALL = (
    _mean("sds", True, "logprob", answer_probability),
    _mean("sds_logit", True, "logit", answer_probability),
    _mean("sds_sum", True, "logprob_sum", answer_probability),
    _mean_of_bytes("sds_bytes", answer_probability),
    Metric("sds_centred", True, ("logprob",), per_question=_centred),
    _mean("acc", True, "logprob", discrimination.rank_credit),
    _mean("acc_logit", True, "logit", discrimination.rank_credit),
    _mean_of_bytes("acc_bytes", discrimination.rank_credit),
    _mean("ppl_acc", True, "logprob", discrimination.rank_credit),
    _mean("margin", True, "logprob", discrimination.answer_margin),
    _mean("brier", False, "logprob", discrimination.quadratic_loss),
    Metric("ece", False, ("logprob",), pooled=_ece),
    _mean("nll", False, "logprob", likelihood.answer_loss),
    Metric("perplexity", False, ("logprob", "tokens"), pooled=_perplexity),
    Metric("bits_per_byte", False, ("logprob_sum",), pooled=_bits_per_byte),
    Metric("sds_pmi", True, _WITH_BLIND, per_question=lambda samples: _less_blind(samples, answer_probability)),
    Metric("acc_pmi", True, _WITH_BLIND, per_question=lambda samples: _less_blind(samples, discrimination.rank_credit)),
    _mean("sds_blind", True, "logprob_blind", answer_probability),
    Metric("visual_gain", True, _WITH_BLIND, per_question=_visual_gain),
    Metric("sds_free", True, ("logprob",), per_question=_free, cannot_be_had=_no_text_prior),
    Metric("prior_share", False, ("logprob",), pooled=_prior_share, cannot_be_had=_no_prior),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric, in the order of the tables."""
