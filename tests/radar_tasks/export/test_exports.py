"""Exports against the validators of those who read them."""

import csv
import hashlib
import io
import json
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
import yaml
from fake_runs import ABILITIES, simulate, write_run
from huggingface_hub import parse_eval_result_entries

from radar_tasks.errors import ResultsError
from radar_tasks.export import value_tables
from radar_tasks.export.eval_results import to_yaml
from radar_tasks.export.every_eval_ever import Publisher, record, write_record
from radar_tasks.export.values import Value, values_of
from radar_tasks.results import load_run
from radar_tasks.results.metrics import metric_table

SCHEMAS = Path(__file__).parents[2] / "data" / "every_eval_ever"
SOURCES = ("wiki_animal", "wiki_plant", "spatial")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    records = {source: simulate(source, 12, 0.7, options=(2, 3)) for source in SOURCES}
    records["wiki_animal"][0]["options"][0] = '=HYPERLINK("x") | & _ % 日本 </script>'
    return load_run(write_run(folder, "step-00200", records))


@pytest.fixture(scope="module")
def values(run):
    return values_of(run)


def expected(run, source, metric):
    """A metric as the harness printed it, or made anew from the samples by a loop."""
    samples = run.sources[source]
    scores = {"sds": samples.logprob, "sds_logit": samples.logit}[metric]
    total = 0.0
    for row, answer in zip(scores, samples.answer, strict=True):
        shifted = [2.718281828459045 ** (value - max(row)) for value in row]
        total += shifted[answer] / sum(shifted)
    return total / len(samples)


def test_every_value_names_its_metric_questions_data_and_version(run, values):
    for value in values:
        assert value.questions == 12
        assert value.data_checksum == run.data[value.name]["checksum"]
        assert value.radar_version
        assert value.harness_version == "0.7.3"
    numbers = {(value.name, value.metric): value.value for value in values}
    for source in SOURCES:
        for metric in ("sds", "sds_logit"):
            assert numbers[source, metric] == pytest.approx(expected(run, source, metric))
        assert numbers[source, "sds"] != numbers[source, "sds_logit"]


def test_csv_and_parquet_hold_the_same_rows(values):
    lines = list(csv.DictReader(io.StringIO(value_tables.to_csv(values))))
    rows = pq.read_table(io.BytesIO(value_tables.to_parquet(values))).to_pylist()
    assert len(lines) == len(rows) == len(values)
    for line, row, value in zip(lines, rows, values, strict=True):
        assert float(line["value"]) == row["value"] == value.value
        assert line["metric"] == row["metric"] == value.metric
        assert int(line["questions"]) == row["questions"] == 12
        assert line["data_checksum"] == row["data_checksum"]


def test_a_spreadsheet_runs_no_text_as_a_formula(values):
    from dataclasses import replace

    text = value_tables.to_csv([replace(values[0], run="=1+1")])
    assert next(csv.DictReader(io.StringIO(text)))["run"] == "'=1+1"


def test_markdown_has_a_table_a_metric_that_names_it(values):
    text = value_tables.to_markdown(values, ["sds", "sds_logit"])
    assert text.count("| --- |") == 2
    heads = [line for line in text.splitlines() if line.startswith("**")]
    assert [head.split("**")[1] for head in heads] == ["sds", "sds_logit"]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert "wiki\\_animal (12)" in text
    assert values[0].data_checksum[:12] in text


def test_latex_escapes_and_balances(values):
    from dataclasses import replace

    text = value_tables.to_latex([replace(value, run="50%_$&#{}~^\\") for value in values], ["sds"])
    assert text.count(r"\begin{tabular}{lrrr}") == text.count(r"\end{tabular}") == 1
    assert r"50\%\_\$\&\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in body} == {3}


def test_latex_has_label_caption_and_packages_and_fits_a_page():
    made = [
        a_value(run=f"step-{step:05d}", name=f"source {k}", value=(step + k) / 1000)
        for step in range(50)
        for k in range(11)
    ]
    text = value_tables.to_latex(made, ["sds"])
    assert text.startswith("% \\usepackage{booktabs}\n% \\usepackage{adjustbox}")
    heads = [line for line in text.splitlines() if line.startswith("\\begin{tabular}")]
    assert max(line.count("r") for line in heads) - 2 <= value_tables.COLUMNS  # "tabular" has two
    labels = [line for line in text.splitlines() if line.startswith("\\label")]
    assert len(labels) == len(set(labels)) == len(heads) == text.count(r"\caption{") == 4
    assert text.count("max width=\\textwidth") == 4
    body = [line for line in text.splitlines() if line.endswith(r"\\") and line.startswith("step-")]
    numbers = [cell.split()[0] for line in body for cell in line.removesuffix(r"\\").split(" & ")[1:]]
    assert sorted(numbers) == sorted(f"{value.value:.3f}" for value in made)  # every value, once


def test_few_runs_with_many_sources_have_sources_as_rows():
    made = [a_value(run=run, name=f"source {k}", value=k / 10) for run in ("a", "b") for k in range(9)]
    text = value_tables.to_latex(made, ["sds"])
    assert text.count(r"\begin{tabular}{lrr}") == 1
    assert r"source & a & b \\" in text
    assert r"source 7 (10) & 0.700 $\pm$0.010 & 0.700 $\pm$0.010 \\" in text


def a_value(run, name, value):
    return Value(
        *(run, "exp", 1, name, False, "perception", "sds", value, 0.01, True, 10, "0" * 64, False),
        *("plain", "", "lmms-eval", "0.7.3", "0.1.0", "2026-11-23"),
    )


def test_averages_have_the_error_of_a_mean_of_independent_sources(tmp_path):
    records = {source: simulate(source, 30, 0.7, seed=3) for source in ABILITIES}
    values = {(v.name, v.metric): v for v in values_of(load_run(write_run(tmp_path, "model", records)))}
    for ability in ("perception", "reasoning"):
        members = [source for source, of in ABILITIES.items() if of == ability]
        errors = [values[source, "sds"].standard_error for source in members]
        average = values[ability, "sds"]
        assert average.is_average
        assert average.standard_error == pytest.approx(sum(e**2 for e in errors) ** 0.5 / len(errors))
        assert average.value == pytest.approx(sum(values[s, "sds"].value for s in members) / len(members))
        assert values[ability, "ece"].standard_error is None
    assert "±" in value_tables.to_markdown(list(values.values()), ["sds"]).split("perception")[1].splitlines()[2]


def test_values_are_those_of_the_table_of_metrics(run, values):
    table = {row.name: row for row in metric_table(run)}
    assert {(v.name, v.metric): v.value for v in values} == {
        (name, metric): pytest.approx(number, rel=1e-12)
        for name, row in table.items()
        for metric, number in row.values.items()
    }


def test_a_metric_that_is_not_there_is_named(values):
    with pytest.raises(ResultsError, match="none of the metrics bleu"):
        value_tables.to_markdown(values, ["bleu"])


def test_eval_results_are_read_back_by_the_hub_library(values):
    entries = parse_eval_result_entries(yaml.safe_load(to_yaml(values, "owner/m3-bench")))
    tasks = [entry.task_id for entry in entries]
    assert len(tasks) == len(set(tasks)) == len(SOURCES) * 5
    by_task = {entry.task_id: entry for entry in entries}
    for value in values:
        if value.metric in {"sds", "sds_logit", "acc", "acc_logit", "nll"}:
            entry = by_task[f"{value.name}.{value.metric}"]
            assert entry.value == pytest.approx(value.value, abs=1e-6)
            assert entry.dataset_id == "owner/m3-bench"
            assert entry.date == "2026-11-23T02:11:12Z"
            for said in (f"{value.metric}: ", "12 questions", value.data_checksum, value.radar_version):
                assert said in entry.notes


def test_every_eval_ever_holds_to_its_schemas(run, tmp_path):
    path = write_record(run, tmp_path, Publisher("Somebody"))
    aggregate = json.loads(path.read_text())
    jsonschema.validate(aggregate, json.loads((SCHEMAS / "eval.schema.json").read_text()))
    detail = aggregate["detailed_evaluation_results"]
    instances = tmp_path / detail["file_path"]
    assert instances == path.with_name(f"{path.stem}_samples.jsonl")
    assert hashlib.sha256(instances.read_bytes()).hexdigest() == detail["checksum"]
    schema = jsonschema.Draft7Validator(json.loads((SCHEMAS / "instance_level_eval.schema.json").read_text()))
    lines = [json.loads(line) for line in instances.read_text().splitlines()]
    assert len(lines) == detail["total_rows"] == 36
    for line in lines:
        schema.validate(line)
        assert line["evaluation_id"] == aggregate["evaluation_id"]
        assert line["model_id"] == aggregate["model_info"]["id"] == "exp1/step-00200"


def test_every_eval_ever_has_one_result_a_metric_and_its_instances_add_up_to_it(run):
    made = record(run, Publisher("Somebody"))
    results = {result["evaluation_result_id"]: result for result in made.aggregate["evaluation_results"]}
    assert len(results) == len(made.aggregate["evaluation_results"])
    assert {"radar_spatial.sds", "radar_spatial.sds_logit"} <= set(results)
    for result in results.values():
        assert result["score_details"]["details"]["data_checksum_sha256"]
        assert result["score_details"]["uncertainty"]["num_samples"] == 12
        assert result["metric_config"]["lower_is_better"] == result["evaluation_result_id"].endswith("nll")
    lines = [json.loads(line) for line in made.instances.splitlines()]
    for source in SOURCES:
        scores = [
            line["evaluation"]["score"] for line in lines if line["evaluation_result_id"] == f"radar_{source}.sds"
        ]
        assert sum(scores) / len(scores) == pytest.approx(results[f"radar_{source}.sds"]["score_details"]["score"])
    right = [line for line in lines if line["evaluation"]["is_correct"]]
    assert 0 < len(right) < len(lines)
    assert all((line["output"]["raw"] == line["input"]["reference"]) == (line in right) for line in lines)


def test_the_same_run_gives_the_same_record_and_a_model_id_must_be_one(run):
    assert record(run, Publisher("x")).path == record(run, Publisher("x")).path
    assert record(run, Publisher("x"), "Qwen/Qwen2-VL-2B").aggregate["model_info"]["id"] == "Qwen/Qwen2-VL-2B"
    with pytest.raises(ResultsError, match="not a model id"):
        record(run, Publisher("x"), "no-owner")


def test_a_stock_model_has_no_logit_metrics_and_exports_all_the_same(tmp_path):
    records = {"spatial": simulate("spatial", 8, 0.7, logit=False, tokens=False)}
    run = load_run(write_run(tmp_path, "model", records, scoring={}))
    assert not [value for value in values_of(run) if "logit" in value.metric]
    aggregate = record(run, Publisher("Somebody")).aggregate
    jsonschema.validate(aggregate, json.loads((SCHEMAS / "eval.schema.json").read_text()))
