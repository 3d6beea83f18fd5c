"""Any multiple-choice task of lmms-eval with SDS (see `radar_tasks.harness.sds_task`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmms_eval.api.task import ConfigurableTask

from radar_tasks.harness import aggregation
from radar_tasks.harness.responses import read_response
from radar_tasks.harness.sds_task import Records, with_sds

_METRICS = ("sds", "sds_logit", "acc", "acc_logit", "nll")


def process_results(document: Mapping[str, Any], results: Sequence[Any]) -> Records:
    """The printed metrics of one question from the responses to its options.

    Raises:
        RadarError: a response is no log-likelihood.
    """
    responses = [read_response(r, f"question {document['q_id']!r}, option {k}") for k, r in enumerate(results)]
    records = aggregation.of_question(document, responses)
    return {name: records[name] for name in _METRICS if name in records}


SDSTask = with_sds(ConfigurableTask, process_results, {name: (aggregation.mean, name != "nll") for name in _METRICS})
