"""The same questions for language models without eyes: RADAR as tasks of lm-eval, and any of its tasks with SDS.

    lm_eval run --model hf --model_args pretrained=… --include_path $(radar path lm_eval) --tasks radar_text_perception

lm-eval gives the summed log-probability of an option and not the number of its tokens. So the headline is `sds_bytes`,
which the other harness's samples give as well: `radar compare` sets a vision model beside its backbone by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import datasets
import numpy as np
from lm_eval.api.task import ConfigurableTask

from radar_metrics.discrimination import rank_credit
from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.errors import RadarError
from radar_tasks.harness import aggregation
from radar_tasks.harness.documents import Documents
from radar_tasks.harness.sds_task import Records, SDSOfOptions
from radar_tasks.store import open_source

_COLUMNS = ("q_id", "image_id", "category", "options", "answer")


class RadarTextTask(ConfigurableTask):  # type: ignore[misc]
    """One source, its images withheld. Its YAML names the source (`dataset_name`), the metrics and their reduction.

    Raises:
        DataError: the source is not in the store; the message says how to get it.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._documents = Documents.of(open_source(config["dataset_name"]))
        super().__init__(config={key: value for key, value in config.items() if key not in ("class", "include")})

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **unused: Any) -> None:
        """Take the questions from the store, in the order that makes the first N of them a stratified part."""
        rows = [
            {"prompt": prompt_of(header["text"]), **{name: header[name] for name in _COLUMNS}}
            for header in self._documents
        ]
        self.dataset = {"test": datasets.Dataset.from_list(rows)}

    def dump_config(self) -> dict[str, Any]:
        """The task's configuration, with what the results say about the data."""
        return {**super().dump_config(), "radar": self._documents.provenance}


def prompt_of(pieces: Sequence[str]) -> str:
    """The text of a question without its images."""
    return " ".join(piece.strip() for piece in pieces if piece.strip())


def process_results(document: Mapping[str, Any], results: Sequence[tuple[float, bool]]) -> Records:
    """The metrics of one question from `(summed log-probability, is greedy)` of each option.

    Returns:
        One record per metric. The one under `sds_bytes` carries all that was measured, as `sds` does in lmms-eval, with
        `logprob_sum` in place of `logprob` and `tokens`.

    Raises:
        RadarError: a log-probability is not finite.
    """
    q_id, options, answer = document["q_id"], list(document["options"]), document["answer"]
    sums = [float(total) for total, _ in results]
    if not all(map(math.isfinite, sums)):
        raise RadarError(f"question {q_id!r}: the model's log-probabilities are {sums}; check its weights.")
    sizes = [len(option.encode()) for option in options]
    by_byte = [total / size for total, size in zip(sums, sizes, strict=True)]
    groups = {"image_id": document["image_id"], "category": document["category"]}
    measured = {"q_id": q_id, "options": options, "answer": answer, "logprob_sum": sums, "bytes": sizes}
    return {
        "sds_bytes": {"score": float(answer_probability([by_byte], [answer], [q_id])[0]), **groups, **measured},
        "acc_bytes": {"score": float(rank_credit([by_byte], [answer], [q_id])[0]), **groups},
        "bits_per_byte": {"bits": -sums[answer] / math.log(2), "bytes": sizes[answer]},
    }


mean = aggregation.mean
mean_over_categories = aggregation.mean_over_categories


def pooled_bits(records: Sequence[Mapping[str, float]]) -> float:
    """Bits for a byte of the right answers, pooled over questions."""
    return float(np.sum([r["bits"] for r in records]) / np.sum([r["bytes"] for r in records]))


class SDSTask(SDSOfOptions, ConfigurableTask):  # type: ignore[misc]
    """Any multiple-choice task of lm-eval as its YAML has it, scored by SDS (see `radar_tasks.harness.sds_task`)."""

    METRICS: ClassVar = {"sds_bytes": (mean, True), "acc_bytes": (mean, True), "bits_per_byte": (pooled_bits, False)}

    def records(self, document: Mapping[str, Any], results: Sequence[Any]) -> Records:
        """See `process_results`."""
        # Tasks with `acc_mutual_info` also ask for the options without the question; those come last.
        return process_results(document, results[: len(document["options"])])

    def _texts_only(self) -> Sequence[Mapping[str, Any]]:
        documents: Sequence[Mapping[str, Any]] = ConfigurableTask.eval_docs.fget(self)
        return documents
