"""Results and samples files, and files that describe runs: whatever is in them, a run or an error of ours."""

import json
from contextlib import suppress

import pytest
import yaml
from fake_runs import simulate, write_run
from fuzz.mutations import damaged, spoiled, values
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from radar_tasks.analysis.run_descriptions import read_descriptions
from radar_tasks.errors import RadarError
from radar_tasks.harness.responses import read_response
from radar_tasks.results import find_runs, load_run


def template(folder):
    file = write_run(
        folder, "step-00100", {"spatial": simulate("spatial", 4, 1.0), "mmbench": simulate("mmbench", 3, 1.0)}
    )
    return file, file.parent / file.name.replace("_results.json", "_samples_radar_spatial.jsonl")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return template(tmp_path_factory.mktemp("spoiled"))


RESULTS, SAMPLES = (
    file.read_bytes() for file in template(__import__("pathlib").Path(__import__("tempfile").mkdtemp()))
)
LINES = [json.loads(line) for line in SAMPLES.splitlines()]


def loads_or_tells(file):
    with suppress(RadarError):
        run = load_run(file)
        assert run.sources
        for samples in run.sources.values():
            assert len(samples.q_id) == len(samples.answer) == len(samples.options)
        assert find_runs([file.parent])


@settings(max_examples=cases(250), deadline=None)
@given(spoiled(json.loads(RESULTS)))
def test_spoiled_results(place, results):
    place[0].write_text(json.dumps(results))
    place[1].write_bytes(SAMPLES)
    loads_or_tells(place[0])


@settings(max_examples=cases(250), deadline=None)
@given(spoiled(LINES))
def test_spoiled_samples(place, lines):
    place[0].write_bytes(RESULTS)
    place[1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    loads_or_tells(place[0])


@settings(max_examples=cases(150), deadline=None)
@given(st.tuples(damaged(RESULTS), st.just(SAMPLES)) | st.tuples(st.just(RESULTS), damaged(SAMPLES)))
def test_damaged_bytes(place, contents):
    for file, content in zip(place, contents, strict=True):
        file.write_bytes(content)
    loads_or_tells(place[0])


ROWS = [{"run": "final", "experiment": "exp1", "step": 1000}, {"run": "exp1", "images": 595000.0, "group": "1B"}]


@settings(max_examples=cases(200), deadline=None)
@given(
    st.one_of(
        spoiled(ROWS).map(lambda rows: (".yaml", yaml.safe_dump(rows, allow_unicode=True).encode())),
        damaged(yaml.safe_dump(ROWS).encode()).map(lambda data: (".yaml", data)),
        damaged(b"run,experiment,step,images\nfinal,exp1,1000,\nexp1,,,595000\n").map(lambda data: (".csv", data)),
        st.binary(max_size=60).map(lambda data: (".yml", data)),
    )
)
def test_descriptions_of_runs(tmp_path_factory, case):
    ending, data = case
    file = tmp_path_factory.getbasetemp() / f"runs{ending}"
    file.write_bytes(data)
    with suppress(RadarError):
        assert all(row.run for row in read_descriptions(file))


@settings(max_examples=cases(200), deadline=None)
@given(values | st.text() | values.map(json.dumps) | values.map(repr) | st.tuples(st.floats(), st.booleans()).map(repr))
def test_responses_of_any_model(response):
    with suppress(RadarError):
        assert isinstance(read_response(response, "leaf, question 'q', option 1")["logprob"], float | int)
