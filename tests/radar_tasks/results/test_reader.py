"""Reading results: the table, which run counts, and every kind of damaged file."""

import json

import numpy as np
import pytest
from fake_runs import simulate, write_curve, write_run

from radar_tasks.errors import ResultsError
from radar_tasks.results import find_runs, load_run, step_of


@pytest.fixture
def run_file(tmp_path):
    return write_run(tmp_path, "step-00200", {"mmbench": simulate("mmbench", 12, skill=0.5, options=(2, 3))})


def samples_file(run_file, source="mmbench"):
    return next(run_file.parent.glob(f"*_samples_radar_{source}.jsonl"))


def change(file, line, edit):
    lines = file.read_text().splitlines(keepends=True)
    lines[line] = edit(lines[line])
    file.write_text("".join(lines))


def edit_record(edit):
    def apply(line):
        whole = json.loads(line)
        edit(whole["sds"])
        return json.dumps(whole) + "\n"

    return apply


def test_samples_become_columns_in_the_order_of_the_q_ids(tmp_path):
    records = simulate("mmbench", 12, skill=0.5, options=(2, 3))
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(12)]
    samples = load_run(write_run(tmp_path, "m", {"mmbench": shuffled})).sources["mmbench"]
    assert samples.q_id.tolist() == [record["q_id"] for record in records]
    assert samples.by_category
    assert samples.ability == "perception"
    for i, record in enumerate(records):
        assert samples.answer[i] == record["answer"]
        assert samples.logprob[i].tolist() == record["logprob"]
        assert samples.logit[i].tolist() == record["logit"]
        expected = np.array(record["logprob"]) * record["tokens"]
        np.testing.assert_allclose(samples.logprob_sum[i], expected)
    taken = samples.take([3, 1])
    assert taken.q_id.tolist() == ["q0003", "q0001"]
    assert taken.options[0] == records[3]["options"]
    assert len(samples) == 12


def test_what_a_stock_model_does_not_give_is_absent(tmp_path):
    records = simulate("spatial", 4, skill=0.5, logit=False, tokens=False)
    samples = load_run(write_run(tmp_path, "stock", {"spatial": records}, scoring={})).sources["spatial"]
    assert samples.logit is None
    assert samples.tokens is None
    assert samples.logprob_sum is None


def test_a_run_knows_its_name_step_and_experiment(tmp_path):
    write_curve(tmp_path / "exp1", [100, 20], {"spatial": [0.1, 0.2]}, n=4)
    runs = find_runs([tmp_path])
    assert [(run.name, run.step) for run in runs] == [("step-00020", 20), ("step-00100", 100)]
    assert {run.experiment for run in runs} == {"checkpoints/exp1"}


def test_a_revision_is_a_step_too(tmp_path):
    records = {"spatial": simulate("spatial", 4, skill=0.5)}
    run = load_run(write_run(tmp_path, "m", records, model_args={"revision": "step1000"}))
    assert (run.name, run.step, run.experiment) == ("m@step1000", 1000, "m")
    assert run.path == "checkpoints/exp1/m"


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *[("step-00200", 200), ("checkpoint-500", 500), ("global_step1000", 1000), ("iter_0001", 1), ("0400", 400)],
        *[("model-000400", 400), ("iteration-5", 5), ("epoch1-step20", 20)],
        *[("Qwen2-VL-7B", None), ("Llama-3", None), ("InternVL3.5-1B-Pretrained", None), ("final", None)],
    ],
)
def test_steps_in_names(name, step):
    assert step_of(name) == step


def test_the_newest_complete_result_counts_and_others_are_named(tmp_path):
    def write(date, skill):
        return write_run(tmp_path, "m", {"spatial": simulate("spatial", 6, skill=skill)}, date=date)

    oldest, middle, newest = (write(f"2026010{day}_000000", day / 10) for day in (1, 2, 3))
    next(newest.parent.glob("20260103*.jsonl")).write_text("")
    run = load_run(tmp_path)
    assert run.file == middle
    assert any(str(oldest) in note for note in run.left_out)
    assert any("not complete" in note and "20260103" in note for note in run.left_out)
    assert load_run(oldest).file == oldest


def test_a_blind_twin_in_the_same_folder_is_another_run(tmp_path):
    records = {"spatial": simulate("spatial", 6, skill=0.2)}
    write_run(tmp_path, "m", records, date="20260101_000000")
    write_run(tmp_path, "m", records, date="20260102_000000", scoring={"blind": True}, model_args={"blind": True})
    assert [run.label for run in find_runs([tmp_path])] == ["m", "m (blind)"]
    with pytest.raises(ResultsError, match="holds 2 runs"):
        load_run(tmp_path)


def test_a_run_without_one_of_its_sources_has_the_others(run_file):
    results = json.loads(run_file.read_text())
    results["configs"]["radar_spatial"] = {"radar": {"data": {"source": "spatial", "missing": True, "questions": 0}}}
    run_file.write_text(json.dumps(results))
    assert list(load_run(run_file).sources) == ["mmbench"]


def test_cut_short_in_the_middle_of_a_line(run_file):
    file = samples_file(run_file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ResultsError, match=r"mmbench.jsonl, line 12 .*cut short"):
        load_run(run_file)


def test_cut_short_between_lines(run_file):
    file = samples_file(run_file)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:7]))
    with pytest.raises(ResultsError, match="cut short: 7 questions of 12"):
        load_run(run_file)


@pytest.mark.parametrize("name", ["logprob", "logit"])
def test_a_line_with_nan_names_file_and_line(run_file, name):
    change(samples_file(run_file), 4, edit_record(lambda record: record[name].__setitem__(1, float("nan"))))
    with pytest.raises(ResultsError, match=rf"mmbench.jsonl, line 5: sds.{name}.1: .*finite"):
        load_run(run_file)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r.update(answer=7), "the answer is option 7, there are"),
        (lambda r: r["tokens"].append(1), "values of tokens for"),
        (lambda r: r["tokens"].__setitem__(0, 0), "greater than 0"),
        (lambda r: r.pop("logprob"), "neither logprob nor logprob_sum"),
        (lambda r: r.update(q_id="q0001"), "line 3: question 'q0001' comes twice"),
    ],
)
def test_a_line_that_breaks_a_rule(run_file, edit, message):
    change(samples_file(run_file), 2, edit_record(edit))
    with pytest.raises(ResultsError, match=message):
        load_run(run_file)


def put(name, option, value):
    return lambda record: record[name].__setitem__(option, value)


def turn_answer(record):
    record["answer"] = 1 - record["answer"] if record["answer"] < 2 else 0


def turn_answer_and_score(record):
    turn_answer(record)
    weights = np.exp(np.array(record["logprob"]) - max(record["logprob"]))
    record["score"] = float(weights[record["answer"]] / weights.sum())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("logprob", 0, 0.3), r"line 3: sds: logprob of option 0 is 0.3; a log-probability is not above 0"),
        (put("logprob", 1, 2e-4), r"line 3: sds: logprob of option 1 is 0.0002"),
        (put("logprob", 1, 1e300), r"line 3: sds: logprob of option 1"),
        (
            lambda r: r.update(logprob_sum=[-1.0, 3.0, -1.0][: len(r["options"])]),
            "line 3: sds: logprob_sum of option 1",
        ),
        (turn_answer, r"line 3: the score is .*, and by the options' scores the answer, option \d, has .* was changed"),
        (put("logprob", 0, -40.0), r"line 3: the score is .* was changed after scoring"),
        (lambda r: r.update(score=r["score"] + 1e-4), r"line 3: the score is .* was changed after scoring"),
        (lambda r: r["logprob"].reverse(), r"line 3: the score is .* was changed after scoring"),
        # changed so that the line agrees with itself: the harness's printed mean tells
        (turn_answer_and_score, r"its 12 questions give sds 0\.\d+, and .*_results.json says 0\.\d+: one of the two"),
    ],
)
def test_numbers_that_cannot_be_what_was_scored(run_file, edit, message):
    change(samples_file(run_file), 2, edit_record(edit))
    with pytest.raises(ResultsError, match=rf"(?s)mmbench.jsonl(, |: ){message}"):
        load_run(run_file)


def test_printed_numbers_that_are_not_the_samples_are_refused(run_file):
    results = json.loads(run_file.read_text())
    results["results"]["radar_mmbench"]["sds,none"] += 1e-4
    run_file.write_text(json.dumps(results))
    with pytest.raises(ResultsError, match="was changed after scoring"):
        load_run(run_file)


def test_what_rounding_leaves_is_no_change(run_file):
    """A sure token may have a log-probability a little above 0, and numbers may have been printed with seven digits."""

    def sure(record):
        record["logprob"][record["answer"]] = 5e-5
        weights = np.exp(np.array(record["logprob"]))
        record["score"] = round(float(weights[record["answer"]] / weights.sum()), 7)

    change(samples_file(run_file), 2, edit_record(sure))
    lines = [json.loads(line)["sds"] for line in samples_file(run_file).read_text().splitlines()]
    results = json.loads(run_file.read_text())
    results["results"]["radar_mmbench"]["sds,none"] = float(np.mean([record["score"] for record in lines]))
    run_file.write_text(json.dumps(results))
    assert len(load_run(run_file).sources["mmbench"]) == 12


def test_files_without_printed_scores_are_read(run_file):
    for line in range(12):
        change(samples_file(run_file), line, edit_record(lambda record: record.pop("score")))
    results = json.loads(run_file.read_text())
    results["results"]["radar_mmbench"] = {}
    run_file.write_text(json.dumps(results))
    assert len(load_run(run_file).sources["mmbench"]) == 12


@pytest.mark.parametrize(
    "write",
    [
        lambda lines: "\r\n".join(lines) + "\r\n",
        "\n".join,
        lambda lines: "\n".join(line.replace('"tokens": [1', '"tokens": [1.0') for line in lines) + "\n",
        lambda lines: "\n".join(line.replace('"logprob": [-', '"logprob": [ -') for line in lines) + "\n",
        lambda lines: (
            "\n".join(line.replace('"input": "Question', '"input": "\\u0051uestion') for line in lines) + "\n"
        ),
        lambda lines: (
            "\n".join(line.replace('"doc_id": 0,', '"doc_id": 0, "x": [{"sds": null}],') for line in lines) + "\n"
        ),
    ],
)
def test_other_ways_to_write_the_same(run_file, write):
    before = load_run(run_file).sources["mmbench"]
    file = samples_file(run_file)
    file.write_bytes(write(file.read_text().splitlines()).encode())
    after = load_run(run_file).sources["mmbench"]
    assert after.q_id.tolist() == before.q_id.tolist()
    assert after.prompts == before.prompts
    assert np.array_equal(after.logprob.values, before.logprob.values)
    assert np.array_equal(after.tokens.values, before.tokens.values)


@pytest.mark.parametrize(
    "line",
    ["null", " null", "{}null", "{} null", "[]", "1", '"x"', "{}", "[" * 100_000, '{"sds": null}', "\x00", "{", ""],
)
def test_a_line_that_is_no_record_is_named_and_ends_nothing(run_file, line):
    change(samples_file(run_file), 2, lambda _: line + "\n")
    with pytest.raises(ResultsError, match=r"mmbench.jsonl, line 3"):
        load_run(run_file)


def test_a_score_that_only_some_questions_have(run_file):
    change(samples_file(run_file), 2, edit_record(lambda record: record.pop("logit")))
    with pytest.raises(ResultsError, match=r"logit is missing for 1 of 12 questions, e\.g\. 'q0002'"):
        load_run(run_file)


def test_lines_of_another_task(run_file):
    change(samples_file(run_file), 0, lambda line: '{"doc_id": 0, "acc": 1.0}\n')
    with pytest.raises(ResultsError, match="line 1: there is no `sds` record"):
        load_run(run_file)


def test_a_missing_samples_file(run_file):
    samples_file(run_file).unlink()
    with pytest.raises(ResultsError, match="is missing: the run needs --log_samples"):
        load_run(run_file)


def test_results_that_are_no_json_or_nobody_s(tmp_path, run_file):
    run_file.write_text(run_file.read_text()[:300])
    with pytest.raises(ResultsError, match="cut short"):
        load_run(run_file)
    run_file.write_text(json.dumps({"results": {"mme": {}}, "configs": {"mme": {}}}))
    with pytest.raises(ResultsError, match="no RADAR task"):
        load_run(tmp_path)


@pytest.mark.parametrize("what", ["nothing there", "an empty folder", "another file"])
def test_paths_without_results(tmp_path, what):
    path = {"nothing there": tmp_path / "no", "an empty folder": tmp_path, "another file": tmp_path / "a.json"}[what]
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ResultsError, match=r"does not exist|no results in|not a results file"):
        find_runs([path])
