"""The numbers of one question, of one source and of one ability, from what the model said about each option."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from radar_metrics.discrimination import rank_credit
from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.harness.responses import Response
from radar_tasks.results import SourceSamples, samples_of
from radar_tasks.results.metrics import METRICS, per_question, question_weights, value
from radar_tasks.results.standard_errors import HALF_WIDTH, standard_error

Record = dict[str, Any]
MEASURED = ("logit", "tokens", "logprob_blind", "logit_blind")
"""What a response may say of an option beside its log-probability, and a record keeps."""

AbilityMean = Callable[[Sequence[float], Sequence[int], bool], "float | str"]


def of_question(document: Mapping[str, Any], responses: Sequence[Response]) -> dict[str, Record]:
    """The metrics of one question that its responses allow; a metric that cannot be had is absent, never 0.

    Returns:
        One record per metric, with its `score` and the `image_id` and `category` it is grouped by. The one under `sds`
        also carries everything measured, so that any other metric can be made from the samples file without a model:
        `q_id`, `options`, `answer` (index), `logprob` and `logit` (means over an option's tokens, in option order),
        `tokens` and `bytes` (counts), and with `prior=…` also `logprob_blind` and `logit_blind`, without the picture.
    """
    logprob = [response["logprob"] for response in responses]
    groups = {"image_id": document["image_id"], "category": document["category"]}
    measured = {
        "logprob": logprob,
        **{name: [r[name] for r in responses] for name in MEASURED if all(name in r for r in responses)},
        "bytes": [len(option.encode()) for option in document["options"]],
    }
    scores = {
        "sds": _probability(logprob, document),
        "acc": _credit(logprob, document),
        "nll": -logprob[document["answer"]],
    }
    if "logit" in measured:
        scores["sds_logit"] = _probability(measured["logit"], document)
        scores["acc_logit"] = _credit(measured["logit"], document)
    records: dict[str, Record] = {name: {"score": score, **groups} for name, score in scores.items()}
    for name in ("sds", "acc"):
        # For sources whose headline is the mean over categories, the paper's Eq. 5 stands beside it. The harness
        # looks for standard errors under a key that only these records have.
        records[f"{name}_by_question"] = {**records[name], "by_question": scores[name]}
    about = {"q_id": document["q_id"], "options": list(document["options"]), "answer": document["answer"]}
    records["sds"] = {**records["sds"], **about, **measured}
    return records


def _probability(scores: Sequence[float], document: Mapping[str, Any]) -> float:
    return float(answer_probability([scores], [document["answer"]], [document["q_id"]])[0])


def _credit(scores: Sequence[float], document: Mapping[str, Any]) -> float:
    return float(rank_credit([scores], [document["answer"]], [document["q_id"]])[0])


def of_source(records: Sequence[Record], data: dict[str, Any], leaf: str, by_category: bool) -> dict[str, Any]:
    """What the results file keeps of a source beside the printed numbers: `metrics`, all that can be had; `chance` and
    `sds_half_width` (of its 95 % interval, where there is one); `categories`, the metrics of each where there are
    several."""
    samples = samples_of(records, data, leaf, by_category)
    probabilities = np.array([1 / len(options) for options in samples.options])
    summary: dict[str, Any] = {
        "metrics": _metrics(samples),
        "chance": float(probabilities @ question_weights(samples)),
    }
    if (error := standard_error(samples, per_question(samples, "sds"))) is not None:
        summary["sds_half_width"] = HALF_WIDTH * error
    names = sorted(set(samples.category.tolist()))
    if len(names) > 1:
        summary["categories"] = {name: _category(samples, name) for name in names}
    return summary


def _metrics(samples: SourceSamples) -> dict[str, float]:
    return {name: number for name in METRICS if (number := value(samples, name)) is not None}


def _category(samples: SourceSamples, name: str) -> dict[str, Any]:
    rows = np.flatnonzero(samples.category == name)
    return {"questions": len(rows), **_metrics(samples.take(rows))}


def mean(records: Sequence[Record]) -> float:
    """Mean over questions (Eq. 5)."""
    return float(np.mean([record["score"] for record in records]))


def mean_over_categories(records: Sequence[Record]) -> float:
    """Unweighted mean over categories of the mean over a category's questions, as the official scripts report MMBench
    and MMMU-Pro."""
    return float(np.mean([mean(members) for members in _by_category(records).values()]))


def _by_category(records: Sequence[Record]) -> dict[str, list[Record]]:
    categories: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        categories[record["category"]].append(record)
    return dict(sorted(categories.items()))


def mean_of(sources: int) -> AbilityMean:
    """The average of an ability, the unweighted mean over exactly so many sources, as in the paper.

    Where a source is missing there is no average, rather than another one. lmms-eval calls the result with the
    sources' values, their numbers of questions and a weight flag; only the values count. (A function, since lmms-eval
    turns any dataclass in a group's configuration into a dictionary.)
    """

    def mean_over_sources(values: Sequence[float], sizes: Sequence[int], weight_by_size: bool) -> float | str:  # noqa: ARG001
        return sum(values) / len(values) if len(values) == sources else "N/A"

    return mean_over_sources


mean_of_4 = mean_of(4)
mean_of_5 = mean_of(5)
