"""RADAR's tasks in lm-eval, from YAML to a table beside a vision model's, with a language model made of arithmetic."""

import json
import math

import numpy as np
import pytest
import yaml
from fake_runs import write_run
from lm_eval.api.model import LM
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from radar_metrics import answer_probability
from radar_tasks import paths
from radar_tasks.analysis.compare import compare
from radar_tasks.errors import RadarError
from radar_tasks.harness.lm_eval_task import process_results, prompt_of
from radar_tasks.results import load_run
from radar_tasks.results.metrics import metric_table
from radar_tasks.store import open_source

LIMIT = 9


def score(context, option):
    """A log-probability that depends on the option's bytes alone and on nothing random."""
    return -sum(option.encode()) / 200 - 0.3 * len(option)


class Arithmetic(LM):
    def loglikelihood(self, requests):
        assert all(option.startswith(" ") for _, option in (request.args for request in requests))
        return [(score(*request.args), False) for request in requests]

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError

    generate_until = loglikelihood_rolling


@pytest.fixture(scope="module")
def manager():
    return TaskManager(include_path=str(paths.task_configs("lm_eval")), include_defaults=False)


@pytest.fixture(scope="module")
def output(manager, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    tracker = EvaluationTracker(output_path=str(folder))
    results = simple_evaluate(
        model=Arithmetic(), tasks=["radar_text_mini_perception"], task_manager=manager, limit=LIMIT, bootstrap_iters=0
    )
    samples = results.pop("samples")
    tracker.general_config_tracker.log_experiment_args("hf", "pretrained=some/backbone", "", "", False)
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, lines in samples.items():
        tracker.save_results_samples(task_name=task, samples=lines)
    return folder


def test_every_source_and_group_of_the_other_harness_is_there_for_text(manager):
    ours = {"radar": "radar_text", "radar_mini": "radar_text_mini"}
    for folder, text_folder in ours.items():
        for file in (paths.task_configs("lmms_eval") / folder).glob("*.yaml"):
            if file.stem in ours:
                continue  # groups of groups
            name = file.stem.replace("radar_", "radar_text_", 1)
            assert name in manager.all_tasks, name
            there = yaml.safe_load((paths.task_configs("lm_eval") / text_folder / f"{name}.yaml").read_text())
            here = yaml.safe_load(file.read_text())
            assert there.get("dataset_name") == here.get("dataset_name")
            if "group" in here:
                assert there["task"] == [task.replace("radar_", "radar_text_", 1) for task in here["task"]]


def test_the_numbers_are_those_of_the_questions(output):
    run = load_run(output)
    assert run.label == "backbone (text only)"
    rows = {row.name: row for row in metric_table(run)}
    table = open_source("mini_colour")
    probabilities = []
    for q_id in run.sources["mini_colour"].q_id:
        asked = table[table.index_of(str(q_id))]
        by_byte = [score("", f" {option}") / len(option.encode()) for option in asked.options]
        weights = np.exp(by_byte)
        probabilities.append(weights[asked.answer] / weights.sum())
    assert len(probabilities) == LIMIT
    assert rows["mini_colour"].values["sds_bytes"] == pytest.approx(np.mean(probabilities))
    assert run.metrics["radar_text_mini_colour"]["sds_bytes"][0] == pytest.approx(np.mean(probabilities))
    assert "sds" not in rows["mini_colour"].values
    average = rows["mini perception"].values["sds_bytes"]
    assert run.metrics["radar_text_mini_perception"]["sds_bytes"][0] == pytest.approx(average)


def test_a_vision_model_stands_beside_its_backbone(output, tmp_path):
    text = load_run(output)
    samples = text.sources["mini_colour"]
    checksum = text.data["mini_colour"]["checksum"]
    logprobs = [(-np.arange(1.0, 1 + len(options))).tolist() for options in samples.options]
    records = [
        {
            "score": float(answer_probability([logprobs[i]], [int(samples.answer[i])])[0]),
            "q_id": str(samples.q_id[i]),
            "image_id": str(samples.image_id[i]),
            "category": "",
            "options": samples.options[i],
            "answer": int(samples.answer[i]),
            "logprob": logprobs[i],
            "logit": [0.0] * len(samples.options[i]),
            "tokens": [1] * len(samples.options[i]),
            "bytes": samples.bytes[i].tolist(),
        }
        for i in range(len(samples))
    ]
    vision = write_run(tmp_path, "vlm", {"mini_colour": records}, checksums={"mini_colour": checksum}, limit=LIMIT)
    made = compare(text, load_run(vision), np.random.default_rng(0), resamples=200)
    assert [row.metric for row in made.rows if row.name == "mini_colour"] == ["sds_bytes", "acc_bytes"]
    assert not made.visual_gain


def test_prompts_without_images():
    assert prompt_of(("The image shows",)) == "The image shows"
    assert prompt_of(("", "Which one?", " A. ", "")) == "Which one? A."


def test_scores_that_are_not_finite_name_the_question():
    document = {"q_id": "q1", "image_id": "i", "category": "", "options": ["a", "b"], "answer": 0}
    with pytest.raises(RadarError, match=r"question 'q1': .*nan"):
        process_results(document, [(math.nan, False), (-1.0, False)])


def test_three_lines_turn_a_task_of_others_into_one_with_sds(tmp_path):
    rows = [
        {"id": "a", "question": "The sky is", "choices": ["blue", "made of old cheese"], "label": 0},
        {"id": "b", "question": "Grass is", "choices": ["purple", "green"], "label": 1},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "public.yaml").write_text(
        f"task: public\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path}/rows.jsonl}}}}\n"
        'output_type: multiple_choice\ntest_split: test\ndoc_to_text: "{{question}}"\ndoc_to_choice: "{{choices}}"\n'
        "doc_to_target: label\n"
    )
    (tmp_path / "sds.yaml").write_text(
        "group: public_sds\ntask:\n  - {task: public, class: !function radar_tasks.harness.lm_eval_task.SDSTask}\n"
    )
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    made = simple_evaluate(model=Arithmetic(), tasks=["public_sds"], task_manager=manager, bootstrap_iters=0)
    expected = []
    for row in rows:
        weights = np.exp([score("", f" {choice}") / len(choice) for choice in row["choices"]])
        expected.append(weights[row["label"]] / weights.sum())
    assert made["results"]["public"]["sds_bytes,none"] == pytest.approx(np.mean(expected))
