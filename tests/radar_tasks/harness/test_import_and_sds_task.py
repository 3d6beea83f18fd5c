"""The same questions as an imported source and through `SDSTask` score the same."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from PIL import Image

from radar_tasks import paths
from radar_tasks.sources.benchmark import BenchmarkSettings, BenchmarkSource
from radar_tasks.store.preparation import prepare

CHECKPOINT = max(paths.checkpoints().glob("step-*"))

BASE = """
task: bench_base
dataset_path: parquet
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_visual: !function utils.visual
doc_to_text: question
doc_to_choice: options
doc_to_target: !function utils.target
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
GROUP = """
group: bench_sds
task:
  - {task: bench_base, class: !function radar_tasks.harness.lmms_eval_task.SDSTask}
"""
UTILS = """
def visual(doc): return list(doc["images"])
def target(doc): return "ABCD".index(doc["answer"])
"""


def picture(rng: np.random.Generator) -> dict:
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(out, "PNG")
    return {"bytes": out.getvalue(), "path": None}


def test_an_imported_benchmark_scores_as_the_task_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    rng = np.random.default_rng(5)
    options = (["red", "dark blue"], ["one", "two", "three", "four"], ["left of it", "right", "above"], ["yes", "no"])
    rows = [
        {
            "id": f"q{k}",
            "question": f"The {['colour', 'number', 'place', 'answer'][k]} is",
            "options": options[k],
            "answer": "ABCD"[k % len(options[k])],
            "images": [picture(rng) for _ in range([1, 1, 2, 0][k])],
        }
        for k in range(4)
    ]
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("id", "question", "answer")),
            ("options", pa.list_(pa.string())),
            ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
        ],
        metadata={
            "huggingface": '{"info": {"features": {"id": {"dtype": "string", "_type": "Value"}, '
            '"question": {"dtype": "string", "_type": "Value"}, "answer": {"dtype": "string", "_type": "Value"}, '
            '"options": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}, '
            '"images": {"feature": {"_type": "Image"}, "_type": "List"}}}}'
        },
    )
    file = tmp_path / "bench.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema), file)
    (tmp_path / "tasks").mkdir()
    for name, text in (("base.yaml", BASE.format(file=file)), ("sds.yaml", GROUP), ("utils.py", UTILS)):
        (tmp_path / "tasks" / name).write_text(text)
    prepare([BenchmarkSource("bench", str(file), BenchmarkSettings())], False, lambda source, count: None)

    found = simple_evaluate(
        model="radar_hf",
        model_args=f"pretrained={CHECKPOINT},dtype=float32",
        tasks=["radar_bench", "bench_sds"],
        task_manager=TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False),
        bootstrap_iters=0,
    )
    imported, task = (
        {sample["sds"]["q_id"]: sample["sds"] for sample in found["samples"][name]}
        for name in ("radar_bench", "bench_base")
    )
    assert set(imported) == set(task) == {"q0", "q1", "q2", "q3"}
    for q_id, record in imported.items():
        assert record["options"] == task[q_id]["options"]
        assert record["logprob"] == pytest.approx(task[q_id]["logprob"], abs=1e-6)
        assert record["score"] == pytest.approx(task[q_id]["score"], abs=1e-6)
        assert record["image_id"] != ""
    results = found["results"]
    assert results["radar_bench"]["sds,none"] == pytest.approx(results["bench_base"]["sds,none"], abs=1e-6)
    assert len({round(record["score"], 6) for record in imported.values()}) == 4
