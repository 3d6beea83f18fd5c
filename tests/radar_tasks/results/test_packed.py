"""Packed files: the numbers of the folders they came from, texts once, no path of a machine, and nothing believed."""

import hashlib
import json
import random
import re
import subprocess
import sys
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_runs import simulate, write_curve, write_run

from radar_tasks.errors import ResultsError
from radar_tasks.results import find_runs, load_run
from radar_tasks.results.metrics import METRICS, metric_table, per_question
from radar_tasks.results.packed import pack, read_packed
from radar_tasks.results.unpacked import unpack

SECRET = "/home/somebody/secret/exp1"


def same(first, second):
    assert [(r.name, r.step, r.label, r.date, r.harness, r.withheld) for r in first] == [
        (r.name, r.step, r.label, r.date, r.harness, r.withheld) for r in second
    ]
    for a, b in zip(first, second, strict=True):
        assert list(a.sources) == list(b.sources)
        assert a.metrics == b.metrics
        for x, y in zip(metric_table(a), metric_table(b), strict=True):
            assert (x.name, x.questions, x.is_average, list(x.values)) == (
                y.name,
                y.questions,
                y.is_average,
                list(y.values),
            )
            for metric in x.values:
                np.testing.assert_allclose(y.values[metric], x.values[metric], rtol=1e-6, atol=5e-7, err_msg=metric)
        for source, samples in a.sources.items():
            other = b.sources[source]
            for name in ("q_id", "image_id", "category", "answer"):
                np.testing.assert_array_equal(getattr(samples, name), getattr(other, name))
            assert (samples.options, samples.prompts) == (other.options, other.prompts)
            assert (samples.by_category, samples.leaf, samples.task) == (other.by_category, other.leaf, other.task)
            for metric in METRICS:
                if METRICS[metric].per_question and (values := per_question(samples, metric)) is not None:
                    np.testing.assert_allclose(per_question(other, metric), values, rtol=2e-6, atol=2e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two trainings, one with a blind twin; a stock model without logits and tokens; another part of the questions."""
    folder = tmp_path_factory.mktemp("results")
    skills = {"mmbench": [0.2, 0.6, 1.0], "spatial": [0.1, 0.2, 0.3]}
    for k, step in enumerate((100, 200, 300)):
        sources = {s: simulate(s, 30, v[k], seed=step, options=(2, 3, 4)) for s, v in skills.items()}
        write_run(folder / f"a{step}", f"step-{step:05d}", sources, experiment=SECRET)
    write_curve(folder / "exp2", [100, 200], {"spatial": [0.5, 0.9]}, n=30)
    blind = {"spatial": simulate("spatial", 30, 0.0, seed=9)}
    write_run(
        folder / "blind", "step-00200", blind, experiment=SECRET, scoring={"blind": True, "adapter": "/srv/x/lora"}
    )
    stock = {"spatial": simulate("spatial", 30, 0.4, logit=False, tokens=False)}
    write_run(folder / "stock", "stock-model", stock, scoring={}, experiment="some")
    write_run(folder / "part", "step-00100", {"spatial": simulate("spatial", 12, 0.4)}, experiment="x/exp3", limit=12)
    return folder


@pytest.fixture(scope="module")
def packed(folder, tmp_path_factory):
    file = tmp_path_factory.mktemp("packed") / "run.parquet"
    pack(find_runs([folder]), file)
    return file


def test_a_packed_file_says_what_the_folder_says(folder, packed):
    same(find_runs([folder]), find_runs([packed]))


def test_texts_stand_there_once_and_scores_are_float32(folder, packed):
    table = pq.read_table(packed)
    # mmbench and spatial with 2 to 4 options, spatial with 2 (with tokens, and a stock model's without), and the part
    assert len(table) == 30 + 30 + 30 + 30 + 12
    scores = [field for field in table.schema if field.name.endswith((" logprob", " logit"))]
    assert len(scores) == 15  # two a result, and the stock model has no logit
    assert {field.type.value_type for field in scores} == {pa.float32()}


def test_checkpoints_share_the_texts_in_memory(packed):
    runs = [run for run in find_runs([packed]) if run.path == "exp1" or "exp1" in run.experiment]
    assert len({id(run.sources["mmbench"].options) for run in runs if "mmbench" in run.sources}) == 1


def test_it_holds_no_path_of_the_machine(packed):
    whole = (
        packed.read_bytes()
        + json.dumps(
            {k.decode(): v.decode("utf-8", "replace") for k, v in pq.read_schema(packed).metadata.items()}
        ).encode()
    )
    for text in (b"/home", b"secret", b"/srv", b"somebody", str(packed.parent).encode()):
        assert text not in whole


def test_lm_eval_results_are_packed_as_well(tmp_path):
    records = simulate("spatial", 8, 0.5, logit=False, tokens=False)
    lines = []
    for k, record in enumerate(records):
        record["logprob_sum"] = [3 * x for x in record.pop("logprob")]
        by_byte = np.array(record["logprob_sum"]) / record["bytes"]
        record["score"] = float(np.exp(by_byte[record["answer"]]) / np.exp(by_byte).sum())
        lines.append(json.dumps({"sds_bytes": record, "arguments": {"gen_args_0": {"arg_0": f"prompt {k}"}}}) + "\n")
    data = {"source": "spatial", "ability": "reasoning", "task": "t", "checksum": "c"}
    results = {
        "results": {"radar_text_spatial": {"sds_bytes,none": float(np.mean([r["score"] for r in records]))}},
        "configs": {"radar_text_spatial": {"radar": {"data": data}}},
        "config": {"model_args": "pretrained=org/llm", "limit": None},
        "lm_eval_version": "0.4.13",
        "date": 1795400000.0,
    }
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "results_2026-11-23T10-11-12.345.json").write_text(json.dumps(results))
    (tmp_path / "in" / "samples_radar_text_spatial_2026-11-23T10-11-12.345.jsonl").write_text("".join(lines))
    before = find_runs([tmp_path / "in"])
    assert before[0].sources["spatial"].prompts[3] == "prompt 3"
    pack(before, tmp_path / "run.parquet")
    same(before, find_runs([tmp_path / "run.parquet"]))
    unpack(tmp_path / "run.parquet", tmp_path / "out")
    same(before, find_runs([tmp_path / "out"]))


def test_rounding_that_would_show_keeps_a_column_whole(tmp_path):
    records = simulate("spatial", 6, 0.5)
    close = records[2]
    close["logprob"] = [-1.0, -1.0 - 1e-12]  # one is better, and not in float32
    close["answer"], close["score"] = 0, 0.5
    file = write_run(tmp_path / "in", "step-00100", {"spatial": records})
    pack([load_run(file)], tmp_path / "run.parquet")
    kinds = {field.name: field.type for field in pq.read_schema(tmp_path / "run.parquet")}
    assert kinds["0 step-00100 logprob"] == pa.list_(pa.float64())
    assert kinds["0 step-00100 logit"] == pa.list_(pa.float32())
    same([load_run(file)], read_packed(tmp_path / "run.parquet"))


def test_unpacking_gives_results_folders_again(folder, packed, tmp_path):
    written = unpack(packed, tmp_path / "out")
    again = find_runs([tmp_path / "out"])
    assert sorted(run.file for run in again) == sorted(written)
    same(find_runs([packed]), again)
    with pytest.raises(ResultsError, match="is there already"):
        unpack(packed, tmp_path / "out")


def test_what_cannot_be_packed_is_told_and_leaves_nothing(folder, tmp_path):
    with pytest.raises(ResultsError, match=r"ends with \.parquet"):
        pack(find_runs([folder]), tmp_path / "run.json")
    with pytest.raises(ResultsError, match="no results to pack"):
        pack([], tmp_path / "run.parquet")
    assert list(tmp_path.iterdir()) == []


def radar(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "radar_tasks.cli", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [["analyze"], ["leaderboard", "--format", "csv"], ["agreement", "--format", "csv"], ["export", "--format", "csv"]],
    ids=lambda command: command[0],
)
def test_commands_say_the_same_of_both(command, tmp_path):
    skills = {"wiki_animal": [0.2, 0.6, 1.0], "spatial": [0.1, 0.2, 0.3]}
    write_curve(tmp_path / "exp1", [100, 200, 300], skills, n=40)
    radar("results", "pack", tmp_path / "exp1", "--output", tmp_path / "run.parquet", cwd=tmp_path)
    said = []
    for place in (tmp_path / "exp1", tmp_path / "run.parquet"):
        out = tmp_path / "out.csv"
        more = ["--output", out] if command[0] == "export" else []
        text = radar(*command[:1], place, *command[1:], *more, cwd=tmp_path)
        said.append(out.read_text() if more else text)
    numbers = [[float(x) for x in re.findall(r"-?\d*\.\d+", text)] for text in said]
    np.testing.assert_allclose(numbers[0], numbers[1], atol=1e-6, rtol=1e-6)
    words = [re.sub(r"-?\d*\.\d+(e-\d+)?", "#", text) for text in said]
    assert words[0] == words[1]


def test_compare_and_samples_take_packed_files(tmp_path):
    sides = []
    for k, name in enumerate(("step-00100", "step-00200")):
        file = write_run(tmp_path / name, name, {"spatial": simulate("spatial", 30, 0.3 + k, seed=k)})
        pack([load_run(file)], tmp_path / f"{name}.parquet")
        sides.append((file, tmp_path / f"{name}.parquet"))
    folders, files = zip(*sides, strict=True)
    assert radar("compare", *folders, cwd=tmp_path) == radar("compare", *files, cwd=tmp_path)
    radar("samples", *files, "--output", tmp_path / "page.html", cwd=tmp_path)
    assert "spatial answer" in (tmp_path / "page.html").read_text()


# What comes from elsewhere


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    file = write_run(folder, "step-00100", {"spatial": simulate("spatial", 6, 0.5, options=(2, 3))})
    pack([load_run(file)], folder / "run.parquet")
    return folder / "run.parquet"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_a_file_cut_short(small, tmp_path, share):
    file = tmp_path / "run.parquet"
    data = small.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ResultsError, match="run.parquet cannot be read as packed results"):
        find_runs([file])


def test_a_changed_byte_anywhere_changes_no_number(small, tmp_path):
    data = small.read_bytes()
    before = read_packed(small)
    choose = random.Random(0)
    for place in choose.sample(range(len(data)), 400):
        file = tmp_path / "run.parquet"
        file.write_bytes(data[:place] + bytes([data[place] ^ (1 << choose.randrange(8))]) + data[place + 1 :])
        try:
            after = read_packed(file)
        except ResultsError:
            continue
        same(before, after)


def test_other_parquet_files(tmp_path):
    pq.write_table(pa.table({"q_id": ["a"]}), tmp_path / "data.parquet")
    with pytest.raises(ResultsError, match="was not written by `radar results pack`"):
        find_runs([tmp_path / "data.parquet"])
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ResultsError, match="cannot be read as packed results"):
        find_runs([tmp_path / "text.parquet"])


def forged(small, into, columns=lambda table: table, about=lambda about: None):
    """The small file with other columns or another description, its checksum right."""
    table = columns(pq.read_table(small))
    said = json.loads(zlib.decompress(pq.read_metadata(small).metadata[b"radar.results.zlib"]))
    about(said)
    text = json.dumps(said).encode()
    metadata = {b"radar.results.zlib": zlib.compress(text), **checksum_of(text)}
    pq.write_table(table.replace_schema_metadata(metadata), into)
    return into


def checksum_of(text):
    return {b"radar.results.sha256": hashlib.sha256(text).hexdigest().encode()}


def test_a_file_of_an_earlier_version_says_the_same_uncompressed(small, tmp_path):
    text = zlib.decompress(pq.read_metadata(small).metadata[b"radar.results.zlib"])
    metadata = {b"radar.results": text, **checksum_of(text)}
    pq.write_table(
        pq.read_table(small).replace_schema_metadata(metadata),
        tmp_path / "old.parquet",
        row_group_size=len(pq.read_table(small)),
    )
    rows = pq.ParquetFile(small).metadata.num_row_groups
    assert rows == 1
    same(read_packed(small), read_packed(tmp_path / "old.parquet"))


def test_a_description_that_is_no_compressed_text_is_told(small, tmp_path):
    metadata = {b"radar.results.zlib": b"nothing", **checksum_of(b"")}
    pq.write_table(pq.read_table(small).replace_schema_metadata(metadata), tmp_path / "bad.parquet")
    with pytest.raises(ResultsError, match="cannot be read"):
        read_packed(tmp_path / "bad.parquet")


def put(name, value):
    """A change of the first cell of a column."""

    def change(table):
        place = table.schema.names.index(name)
        cells = table[name].to_pylist()
        cells[0] = value(cells[0])
        return table.set_column(place, table.schema.field(name), pa.array(cells, table.schema.field(name).type))

    return change


LOGPROB = "0 step-00100 logprob"


@pytest.mark.parametrize(
    "columns",
    [
        put("answer", lambda answer: 7),
        put("answer", lambda answer: -1),
        put("answer", lambda answer: None),
        put("q_id", lambda q_id: "q0001"),
        put("q_id", lambda q_id: None),
        put("options", lambda options: options[:1]),
        put("options", lambda options: [None, *options[1:]]),
        put("options", lambda options: None),
        put("prompt", lambda prompt: None),
        put("source", lambda source: "mmbench"),
        put("bytes", lambda counts: [0, *counts[1:]]),
        put("bytes", lambda counts: [*counts, 1]),
        put("tokens", lambda counts: [-1, *counts[1:]]),
        put("tokens", lambda counts: None),
        put(LOGPROB, lambda scores: [float("nan"), *scores[1:]]),
        put(LOGPROB, lambda scores: [float("-inf"), *scores[1:]]),
        put(LOGPROB, lambda scores: [0.5, *scores[1:]]),
        put(LOGPROB, lambda scores: [*scores, -1.0]),
        put(LOGPROB, lambda scores: [None, *scores[1:]]),
        put(LOGPROB, lambda scores: None),
        put("0 step-00100 logit", lambda scores: [float("inf"), *scores[1:]]),
        lambda table: table.drop_columns([LOGPROB]),
        lambda table: table.drop_columns(["image_id"]),
        lambda table: table.slice(0, 5),
        lambda table: table.set_column(1, "q_id", pa.array(range(6))),
        lambda table: table.set_column(table.schema.names.index(LOGPROB), LOGPROB, pa.array([1.0] * 6)),
    ],
)
def test_columns_that_break_a_rule(small, tmp_path, columns):
    with pytest.raises(ResultsError, match="run.parquet"):
        find_runs([forged(small, tmp_path / "run.parquet", columns=columns)])


@pytest.mark.parametrize(
    "about",
    [
        lambda said: said.update(version=2),
        lambda said: said.update(blocks=[6, 6]),
        lambda said: said.update(blocks=[10**12]),
        lambda said: said.update(blocks=[]),
        lambda said: said.update(checkpoints=[]),
        lambda said: said["checkpoints"][0].pop("name"),
        lambda said: said["checkpoints"][0].update(name=""),
        lambda said: said["checkpoints"][0].update(step="many"),
        lambda said: said["checkpoints"][0].update(data={}),
        lambda said: said["checkpoints"][0].update(metrics={"radar_spatial": {"sds": ["x", None]}}),
        lambda said: said["checkpoints"][0].update(sources=[]),
        lambda said: said["checkpoints"][0]["sources"][0].update(block=1),
        lambda said: said["checkpoints"][0]["sources"][0].update(block=-1),
        lambda said: said["checkpoints"][0]["sources"][0].update(source="mmbench"),
        lambda said: said["checkpoints"][0]["sources"][0].update(ability="taste"),
        lambda said: said["checkpoints"][0]["sources"][0].update(scores=["answer"]),
        lambda said: said["checkpoints"][0]["sources"][0].update(scores=["logit"]),
        lambda said: said["checkpoints"][0]["sources"][0].update(leaf="../../x"),
        lambda said: said["checkpoints"][0]["sources"].append(said["checkpoints"][0]["sources"][0]),
    ],
)
def test_descriptions_that_break_a_rule(small, tmp_path, about):
    with pytest.raises(ResultsError, match="run.parquet"):
        find_runs([forged(small, tmp_path / "run.parquet", about=about)])


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "..", ".hidden", "a/b", "nul\0l", "x" * 4000])
def test_unpacking_stays_in_its_folder(small, tmp_path, name):
    def rename(table):
        columns = [column.replace("step-00100", name) for column in table.schema.names]
        return table.rename_columns(columns)

    def about(said):
        said["checkpoints"][0].update(name=name, date="../../../escaped")

    file = forged(small, tmp_path / "run.parquet", rename, about)
    written = unpack(file, tmp_path / "in" / "out")
    assert all(path.resolve().is_relative_to(tmp_path / "in" / "out") for path in written)
    assert not [path for path in tmp_path.rglob("*escaped*") if "out" not in path.parts]
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"out"}


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity"])
def test_a_spread_that_is_no_number_is_absent(tmp_path, written):
    """Of one question numpy gives a standard error of NaN, and a harness writes it so."""
    file = write_run(tmp_path / "r", "step-00100", {"spatial": simulate("spatial", 3, 1.0)})
    results = json.loads(file.read_text())
    error = results["results"]["radar_spatial"]["sds_stderr_clustered,none"]
    results["results"]["radar_spatial"]["sds_stderr_clustered,none"] = "PLACE"
    file.write_text(json.dumps(results).replace('"PLACE"', written))
    run = load_run(file)
    assert run.metrics["radar_spatial"]["sds"][1] is None
    pack([run], tmp_path / "p.parquet")
    assert find_runs([tmp_path / "p.parquet"])[0].metrics == run.metrics
    file.write_text(json.dumps(results).replace('"PLACE"', str(error)))
    assert load_run(file).metrics["radar_spatial"]["sds"][1] == error


def test_what_is_no_file_is_not_called_damaged(tmp_path):
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "nowhere.parquet", "is not there")):
        with pytest.raises(ResultsError, match=said):
            unpack(place, tmp_path / "out")
    assert not (tmp_path / "out").exists()
