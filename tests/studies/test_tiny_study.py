"""The study's parts end to end on a very small plan, what it asks, and its page from the packed results."""

import csv
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from transformers import AutoProcessor

from radar_tasks import paths
from radar_tasks.results import find_runs
from radar_tasks.results.metrics import value

TINY = Path(__file__).parents[2] / "studies" / "tiny"
sys.path[:0] = [str(TINY)]
from abilities import ABILITIES, questions_of  # noqa: E402
from cards import cards  # noqa: E402
from packed_study import PARAMETERS, runs_file, study_of  # noqa: E402
from pretrain import fine_tuned, read_plan  # noqa: E402
from prior import score  # noqa: E402
from report import PAGES, folded, made_parts, renewed  # noqa: E402
from sentences import runs_here  # noqa: E402
from study import QUICK_RUNS, make_study, quick_plan  # noqa: E402

from radar_tasks.sources.sample import QUESTIONS  # noqa: E402
from radar_tasks.sources.sample_pictures import load_digits  # noqa: E402

pytestmark = pytest.mark.timeout(3600)
MARK = re.compile(r"<!-- ((?:table|text) \w+) -->")

SMALL = {
    "steps": 4,
    "batch": 4,
    "kept": [0, 2, 4],
    "tokenizer_seed": 20260212,
    "log_every": 2,
    "in_order": True,
    "questions_each": 4,
    "mixes": {"base": {"single": 1, "digit": 1}, "group_tripled": {"group": 1}},
    "runs": {"base-1": {"seed": 1}, "groups-tripled": {"seed": 1, "later": {2: "group_tripled"}}},
    "fine_tuning": {"configurations": ["base-1"], "steps": 2, "seeds": {"base-1": [1]}},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    (out / "plan.yaml").write_text(yaml.safe_dump(SMALL))
    make_study(out, out / "plan.yaml")
    return out


@pytest.mark.parametrize("file", sorted((TINY / "results").glob("*.parquet")), ids=lambda file: file.stem)
def test_what_a_shipped_result_prints_is_what_its_samples_say(file):
    """Unpacked it would be refused otherwise. To mend a file: `pack(list(map(shipped, find_runs([file]))), file)`."""
    for result in find_runs([file]):
        leaves = {samples.leaf: samples for samples in result.sources.values()}
        for leaf, printed in result.metrics.items():
            for metric, (number, _) in printed.items():
                assert value(leaves[leaf], metric) == pytest.approx(number, abs=1e-9), (result.name, leaf, metric)


def test_the_study_ends_with_a_packed_file_a_run_and_its_tables(small):
    for run in SMALL["runs"]:
        results = find_runs([small / "results" / f"{run}.parquet"])
        assert [result.step for result in results] == SMALL["kept"]
        assert {len(samples) for result in results for samples in result.sources.values()} == {4}
        assert len(results[0].sources) == len(ABILITIES) + 1
        assert all(samples.logprob_blind is not None for samples in results[0].sources.values())
    told = (small / "tables" / "final.md").read_text()
    assert "| base-1 | 4 |" in told
    assert "| groups-tripled | 4 |" in told


def test_until_the_change_both_runs_are_the_same_and_not_after(small):
    first, changed = (find_runs([small / "results" / f"{run}.parquet"]) for run in SMALL["runs"])
    same = [
        all(np.array_equal(a.sources[s].logprob.values, b.sources[s].logprob.values) for s in a.sources)
        for a, b in zip(first, changed, strict=True)
    ]
    assert same == [True, True, False]


def test_what_is_finished_is_not_made_again(small):
    before = {file: file.stat().st_mtime_ns for file in small.rglob("*.safetensors")}
    packed = {file: file.stat().st_mtime_ns for file in small.glob("results/*.parquet")}
    make_study(small, small / "plan.yaml")
    assert {file: file.stat().st_mtime_ns for file in small.rglob("*.safetensors")} == before
    assert {file: file.stat().st_mtime_ns for file in small.glob("results/*.parquet")} == packed


def test_the_prior_is_asked_of_every_question_of_a_leaf(small, tmp_path):
    score([small / "runs" / "base-1" / "step-00004"], ["mini_side"], tmp_path, {})
    (result,) = find_runs([tmp_path])
    assert len(result.sources["mini_side"]) == QUESTIONS
    assert result.sources["mini_side"].logprob_blind is not None


def test_the_quick_plan_is_a_tenth_of_the_plan():
    plan = read_plan()
    quick = quick_plan(plan)
    assert quick["steps"] * 10 == plan["steps"]
    assert set(quick["runs"]) == set(QUICK_RUNS)
    assert quick["kept"][0] == 0
    assert quick["kept"][-1] == quick["steps"]
    for run in quick["runs"].values():
        for part in ("language", "tower", "everything"):
            if part in run:
                giver, step = run[part].split("/step-")
                assert int(step) == max(quick["runs"][giver].get("kept", quick["kept"]))


@pytest.mark.parametrize("part", ABILITIES, ids=lambda part: part.name)
def test_the_text_of_a_question_says_nothing_of_its_answer(part):
    """For the same text and options every option is right about equally often, at every place."""
    questions = list(questions_of(part, ABILITIES.index(part), load_digits("test"), 200))
    places = Counter(question.answer for question in questions)
    assert max(places.values()) - min(places.values()) <= 1
    right = Counter(question.options[question.answer] for question in questions)
    possible = Counter(option for question in questions for option in question.options)
    for option, times in possible.items():
        if times >= 20:
            share, chance = right[option] / times, 1 / part.options
            assert abs(share - chance) < 4 * (chance * (1 - chance) / times) ** 0.5


def test_every_ability_of_the_plan_is_asked_in_its_order():
    plan = read_plan()["abilities"]
    for ability in ("perception", "reasoning"):
        assert [part.name for part in ABILITIES if part.ability == ability] == plan[ability]


def test_only_what_stands_between_marks_is_renewed():
    page = "a\n<!-- table final -->\nold\n<!-- end -->\nb\n<!-- text side -->\n<!-- end -->\n"
    made = {"table final": "\n| new |\n\n", "text side": "\nSo.\n\n"}
    assert renewed(page, made) == (
        "a\n<!-- table final -->\n\n| new |\n\n<!-- end -->\nb\n<!-- text side -->\n\nSo.\n\n<!-- end -->\n"
    )
    assert renewed(renewed(page, made), made) == renewed(page, made)
    with pytest.raises(KeyError, match="text side"):
        renewed(page, {"table final": ""})


def test_long_sentences_are_folded_and_a_list_stays_one():
    assert folded(f"- {'word ' * 40}\n- short") == "\n".join(
        [f"- {'word ' * 23}".rstrip(), f"  {'word ' * 17}".rstrip(), "- short"]
    )


@pytest.mark.parametrize("width", PARAMETERS)
def test_models_have_the_parameters_that_tables_give_them(width):
    sys.path.append(str(TINY.parents[1] / "examples" / "tiny_pretraining"))
    try:
        from model import make_model
    finally:
        sys.path.pop()
    processor = AutoProcessor.from_pretrained(paths.checkpoints() / "step-00000")
    assert make_model(processor, width).num_parameters() == PARAMETERS[width]


def test_the_file_of_runs_is_that_of_the_plan():
    assert (TINY / "runs.csv").read_text(encoding="utf-8") == runs_file(read_plan())


def test_what_differs_between_runs_is_said_of_those_that_differ_in_it_alone():
    """Seeds of one configuration stand at the same levels; the base configuration at the base level of every factor."""
    rows = list(csv.DictReader(runs_file(read_plan()).splitlines()))
    levels = {run: {(r["factor"], r["level"]) for r in rows if r["run"] == run} for run in read_plan()["runs"]}
    assert levels["base-1"] == levels["base-2"] == levels["base-3"]
    assert levels["spatial-rich-1"] == levels["spatial-rich-2"] == {("mix", "spatial_rich")}
    assert levels["width-064"] == {("width", "64")}
    assert levels["pool-1-64"] == {("documents", "800")}
    assert levels["unfrozen"] == {("strategy", "projector, then everything")}
    assert not any(levels[run] for run in ("onset-0283", "groups-tripled", "side-wide", "text-only"))
    assert {factor for of in levels.values() for factor, _ in of} == {factor for factor, _ in levels["base-1"]}


@pytest.fixture(scope="module")
def shipped():
    return study_of(TINY / "results", TINY / "finetuned", read_plan())


def test_runs_that_differ_in_their_seed_alone_are_one_configuration(shipped):
    of = shipped.configurations
    assert of["base-1"] == ["base-1", "base-2", "base-3"]
    assert of["width-064"] == ["width-064"]
    assert "side-wide" not in of  # measured at other steps
    assert set(shipped.alike) - set(shipped.full_length) <= {"projector-only", "unfrozen"}


def test_all_fine_tunings_are_claimed_where_all_of_them_have_rows(shipped, tmp_path):
    every = [",".join(map(str, one)) for one in fine_tuned(read_plan())]
    for kept, said in ((every, "and all fine-tunings."), (every[1:], "and 54 of 55"), ([], "and 0 of 55")):
        (tmp_path / "finetuned.csv").write_text("\n".join(["run,step,seed", *kept]), encoding="utf-8")
        assert said in runs_here(replace(shipped, finetuned=tmp_path))


def test_what_pages_say_of_the_study_is_what_its_results_give(shipped):
    """Tables and sentences with numbers in all pages, and the cards of the models."""
    made = made_parts(shipped)
    used = set()
    for page in PAGES:
        text = (TINY.parents[1] / page).read_text(encoding="utf-8")
        assert renewed(text, made) == text, f"{page} is behind: run studies/tiny/report.py --pages"
        used |= set(MARK.findall(text))
    assert used == set(made)
    assert cards(shipped) == (TINY / "cards.md").read_text(encoding="utf-8")


def test_the_demo_writes_the_page_of_the_study(tmp_path):
    command = [sys.executable, "-m", "radar_tasks.cli", "demo", "--study", "--output", str(tmp_path)]
    subprocess.run(command, check=True, timeout=1800)
    assert "base-1" in (tmp_path / "study.html").read_text(encoding="utf-8")
