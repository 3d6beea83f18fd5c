"""Every Eval Ever, schema 0.3.0: one JSON a run with its aggregates, one JSONL beside it with single questions.

    data/radar/<developer>/<model>/<uuid>.json
    data/radar/<developer>/<model>/<uuid>_samples.jsonl

The instance file holds a line per question for the headline metric (`sds`, or `sds_bytes` where a run has no token
means); its metadata keep the scores of all options, from which the other metrics can be made.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radar_metrics.options import FloatArray
from radar_tasks.errors import ResultsError
from radar_tasks.export.values import (
    DISTRIBUTION,
    MEANINGS,
    Value,
    chosen_options,
    values_of,
)
from radar_tasks.files import write_whole
from radar_tasks.results import CheckpointResult, SourceSamples
from radar_tasks.results.metrics import per_question
from radar_tasks.results.origin import named

SCHEMA_VERSION = "0.3.0"
COLLECTION = "radar"
_MEANINGS = MEANINGS | {"sds_bytes": "Soft Discrimination Score, by log-probability per UTF-8 byte"}
_KINDS = {"acc": "accuracy", "acc_logit": "accuracy", "nll": "negative_log_likelihood"}


@dataclass(frozen=True)
class Publisher:
    """Who says so: the schema asks for it.

    Attributes:
        organisation: that made the results.
        relationship: to the model: `first_party`, `third_party`, `collaborative` or `other`.
    """

    organisation: str
    relationship: str = "third_party"


@dataclass(frozen=True)
class Record:
    """One run as the schema has it: the aggregate, and the text of the instance file."""

    aggregate: dict[str, Any]
    instances: str
    path: str


def write_record(run: CheckpointResult, folder: Path, publisher: Publisher, model_id: str = "") -> Path:
    """Writes both files of a run below a folder and returns the aggregate's path. Raises as `record`."""
    made = record(run, publisher, model_id)
    write_whole(folder / made.aggregate["detailed_evaluation_results"]["file_path"], made.instances)
    write_whole(folder / made.path, json.dumps(made.aggregate, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return folder / made.path


def record(run: CheckpointResult, publisher: Publisher, model_id: str = "") -> Record:
    """Both files of a run. The same run gives the same files.

    Args:
        run: the checkpoint.
        publisher: who made the results.
        model_id: `owner/name` as on the Hub; the experiment and the checkpoint's name by default.

    Raises:
        ResultsError: the model's id is not `owner/name`.
    """
    model = model_id or _default_id(run)
    developer, _, name = model.partition("/")
    if not developer or not name or "/" in name:
        raise ResultsError(f"{model!r} is not a model id: give it as --model-id OWNER/NAME.")
    values = [value for value in values_of(run) if value.metric in _MEANINGS]
    evaluation_id = f"radar/{model}/{run.date}"
    unique = _uuid(evaluation_id, *(f"{v.name}{v.data_checksum}{v.metric}{v.value!r}" for v in values))
    base = f"data/{COLLECTION}/{developer}/{name}/{unique}"
    lines = [
        json.dumps(line, ensure_ascii=False, allow_nan=False)
        for samples in run.sources.values()
        for line in _instances(samples, evaluation_id, model)
    ]
    text = "".join(f"{line}\n" for line in lines)
    aggregate = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id,
        "evaluation_timestamp": values[0].date,
        "retrieved_timestamp": str(int(run.written)),
        "source_metadata": {
            "source_name": "RADAR",
            "source_type": "evaluation_run",
            "source_organization_name": publisher.organisation,
            "evaluator_relationship": publisher.relationship,
        },
        "eval_library": {
            "name": run.harness,
            "version": run.harness_version,
            "additional_details": {"plugin": DISTRIBUTION, "plugin_version": values[0].radar_version},
        },
        "model_info": _model_info(run, model),
        "evaluation_results": [_result(value, run) for value in values],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": f"{base}_samples.jsonl",
            "hash_algorithm": "sha256",
            "checksum": hashlib.sha256(text.encode("utf-8")).hexdigest(),
            "total_rows": len(lines),
        },
    }
    return Record(aggregate, text, f"{base}.json")


def _default_id(run: CheckpointResult) -> str:
    parts = [_part(part) for part in run.experiment.rstrip("/").split("/") if _part(part)]
    if run.step is None:
        return "/".join(parts[-2:]) if len(parts) > 1 else f"local/{_part(run.name)}"
    return f"{parts[-1] if parts else 'local'}/{_part(run.name)}"


def _part(text: str) -> str:
    """A text that may be a folder's name on every system."""
    kept = "".join(c if c.isalnum() or c in "-_.@" else "-" for c in text)
    return kept.strip(".- ")


def _model_info(run: CheckpointResult, model: str) -> dict[str, Any]:
    details = {name: _text(value) for name, value in named(run.scoring).items() if value is not None}
    return {
        "name": run.name,
        "id": model,
        "inference_engine": {"name": "transformers", "version": str(run.scoring.get("transformers", "unknown"))},
        "additional_details": {
            **details,
            "experiment": run.experiment,
            "step": str(run.step),
            "deployment_type": "self_deployed",
            "model_availability": "unknown",
        },
    }


def _result(value: Value, run: CheckpointResult) -> dict[str, Any]:
    bounded = value.metric != "nll"
    uncertainty: dict[str, Any] = {"num_samples": value.questions}
    if value.standard_error is not None:
        uncertainty["standard_error"] = {"value": value.standard_error, "method": "analytic, clustered by image"}
    return {
        "evaluation_result_id": _result_id(value.name, value.metric),
        "evaluation_name": f"radar_{value.name.replace(' ', '_')}",
        "source_data": _source_data(value, run),
        "evaluation_timestamp": value.date,
        "metric_config": {
            "evaluation_description": _MEANINGS[value.metric],
            "metric_id": f"radar.{value.metric}",
            "metric_name": value.metric,
            "metric_kind": _KINDS.get(value.metric, "soft_discrimination_score"),
            "metric_unit": "proportion" if bounded else "nats per token",
            "lower_is_better": not value.higher_is_better,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0 if bounded else "Infinity",
        },
        "score_details": {
            "score": value.value,
            "details": {
                "questions": str(value.questions),
                "data_checksum_sha256": value.data_checksum,
                "radar_version": value.radar_version,
                "ability": value.ability,
                "is_average_over_sources": str(value.is_average).lower(),
                "images_withheld": value.withheld or "no",
            },
            "uncertainty": uncertainty,
        },
    }


def _source_data(value: Value, run: CheckpointResult) -> dict[str, Any]:
    about = {} if value.is_average else run.data[value.name]
    details = {"checksum_sha256": value.data_checksum, "questions": str(value.questions)}
    about = named(about)
    details |= {name: _text(about[name]) for name in ("task", "origin", "stand_in", "skipped") if name in about}
    return {"dataset_name": value.name, "source_type": "other", "additional_details": details}


def _instances(samples: SourceSamples, evaluation_id: str, model: str) -> list[dict[str, Any]]:
    metric = "sds" if samples.logprob is not None else "sds_bytes"
    scores, credit = per_question(samples, metric), per_question(samples, metric.replace("sds", "acc"))
    chosen = chosen_options(samples)
    if scores is None or credit is None:
        raise ResultsError(f"{samples.source}: neither mean nor summed log-probabilities are in the samples.")
    return [
        _instance(samples, k, chosen[k], (evaluation_id, model, metric), (scores, credit)) for k in range(len(samples))
    ]


def _instance(
    samples: SourceSamples, k: int, chosen: int, names: tuple[str, str, str], scored: tuple[FloatArray, FloatArray]
) -> dict[str, Any]:
    evaluation_id, model, metric = names
    options, answer, prompt = samples.options[k], int(samples.answer[k]), samples.prompts[k]
    reference = [options[answer]]
    identity = json.dumps({"raw": prompt, "reference": reference}, sort_keys=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id,
        "model_id": model,
        "evaluation_name": f"radar_{samples.source}",
        "evaluation_result_id": _result_id(samples.source, metric),
        "sample_id": str(samples.q_id[k]),
        "sample_hash": hashlib.sha256(identity.encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": prompt, "reference": reference, "choices": list(options)},
        "output": {"raw": [options[chosen]]},
        "messages": None,
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": options[chosen],
                "extraction_method": "option with the highest log-probability",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(scored[0][k]), "is_correct": bool(scored[1][k] == 1.0), "num_turns": 1},
        "metadata": {
            "metric": metric,
            "category": str(samples.category[k]),
            "image_id": str(samples.image_id[k]),
            **{name: json.dumps(column[k].tolist()) for name, column in _columns(samples).items()},
        },
    }


def _columns(samples: SourceSamples) -> dict[str, Any]:
    names = ("logprob", "logit", "tokens", "bytes")
    return {name: getattr(samples, name) for name in names if getattr(samples, name) is not None}


def _result_id(name: str, metric: str) -> str:
    return f"radar_{name.replace(' ', '_')}.{metric}"


def _text(value: Any) -> str:
    """A detail as the schema has it, a text: JSON where it is more than a text."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _uuid(*identity: str) -> str:
    """A version 4 UUID made from what the record says, so that exporting twice gives one file."""
    return str(uuid.UUID(bytes=hashlib.sha256("\n".join(identity).encode()).digest()[:16], version=4))
