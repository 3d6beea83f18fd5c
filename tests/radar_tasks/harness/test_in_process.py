"""lmms-eval in this process: prepared data, golden numbers, stock models, missing sources."""

import json
from pathlib import Path

import pytest
from release import make_release

from radar_tasks import paths
from radar_tasks.errors import DataError
from radar_tasks.harness.evaluation import Harness
from radar_tasks.results import load_run
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.sources.release import release_sources
from radar_tasks.store.preparation import prepare

PARITY = Path(__file__).parents[2] / "data" / "parity"
CHECKPOINT = max(paths.checkpoints().glob("step-*"))


def prepared(release):
    prepare(release_sources(release), skip_bad=False, progress=lambda *_: None)


def evaluated(tasks, output, model_args, limit=None):
    """The results file of a run, as the harness wrote it, and the run."""
    Harness(tasks).evaluate(model_args, output, limit=limit)
    run = load_run(output)
    return json.loads(run.file.read_text()), run


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    return tmp_path


MODELS = {
    "qwen2_vl": {"pretrained": "qwen2_vl/model"},
    "internvl_chat": {"pretrained": "internvl_chat/model"},
    "llava_onevision_projector": {
        "pretrained": "llava_onevision_projector/model/projector",
        "model_base": "llava_onevision_projector/model/base_llm",
        "vision_tower": "llava_onevision_projector/model/siglip-tiny-patch14-384",
    },
}
LEAVES = {
    "Wiki_animal_identification": "wiki_animal",
    "spatial_reasoning": "spatial",
    "mathematical_reasoning": "mathvista",
    "physical_reasoning": "seephys",
}


@pytest.mark.parametrize("family", MODELS)
def test_the_official_numbers_come_out_of_the_ordinary_path(family, home):
    """Accuracy and SDS as the official script reports them, to 4 digits, for every source whose options are text."""
    prepared(PARITY / "data")
    expected = json.loads((PARITY / family / "expected.json").read_text())
    model = {name: str(PARITY / value) for name, value in MODELS[family].items()}
    tasks = [f"radar_{source}" for source in ("mmbench", *LEAVES.values())]
    results, _ = evaluated(tasks, home / "out", {**model, "dtype": "float32", "prompt_format": "official"})
    reported = {
        LEAVES[Path(file["file"]).parts[0]]: (file["accuracy"], file["avg_prob"])
        for file in expected["files"]
        if Path(file["file"]).parts[0] in LEAVES
    }
    per_file = expected["totals"]["general_visual_question_answering"]["per_file"].values()
    reported["mmbench"] = tuple(sum(f[key] for f in per_file) / len(per_file) for key in ("accuracy", "avg_prob"))
    for source, (accuracy, probability) in reported.items():
        leaf = results["results"][f"radar_{source}"]
        assert round(leaf["acc_logit,none"], 4) == round(accuracy, 4), source
        assert round(leaf["sds_logit,none"], 4) == round(probability, 4), source


def test_a_release_gives_the_nine_columns_both_averages_and_the_categories(home):
    make_release(home / "release", wiki=4)
    prepared(home / "release")
    results, run = evaluated(["radar"], home / "out", {"pretrained": str(CHECKPOINT), "dtype": "float32"})
    assert set(run.sources) == set(PUBLISHED)
    for ability in ("perception", "reasoning"):
        members = [results["results"][f"radar_{name}"] for name, about in PUBLISHED.items() if about.ability == ability]
        for metric in ("sds", "sds_logit", "acc", "acc_logit", "nll"):
            mean = sum(member[f"{metric},none"] for member in members) / len(members)
            assert results["results"][f"radar_{ability}"][f"{metric},none"] == pytest.approx(mean, abs=1e-12)
    mmbench = results["configs"]["radar_mmbench"]["radar"]
    assert len(mmbench["categories"]) == 3
    headline = sum(category["sds"] for category in mmbench["categories"].values()) / 3
    assert results["results"]["radar_mmbench"]["sds,none"] == pytest.approx(headline, abs=1e-12)
    assert mmbench["metrics"]["sds"] == pytest.approx(headline, abs=1e-12)


def test_missing_data_is_said_before_anything_is_loaded(home, monkeypatch):
    monkeypatch.delenv("RADAR_ALLOW_MISSING", raising=False)
    with pytest.raises(DataError, match=r"(?s)spatial.*radar data.*radar_mini"):
        Harness(["radar_spatial"]).evaluate({"pretrained": str(CHECKPOINT)}, home / "out")
    assert not (home / "out").exists()


def test_an_ability_with_a_source_missing_has_no_average_even_if_that_is_allowed(home, monkeypatch):
    release = home / "release"
    make_release(release, wiki=2)
    for kind in ("animal", "plant", "attraction"):
        for file in sorted((release / f"Wiki_{kind}_identification").rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    prepared(release)
    monkeypatch.setenv("RADAR_ALLOW_MISSING", "1")
    results, run = evaluated(["radar_perception"], home / "out", {"pretrained": str(CHECKPOINT)}, limit=3)
    assert set(run.sources) == {"mmbench", "wiki_celebrity"}
    assert results["results"]["radar_perception"]["sds,none"] == "N/A"
    assert isinstance(results["results"]["radar_mmbench"]["sds,none"], float)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_stock_model_that_answers_with_its_mean_loss_is_understood(as_text):
    from lmms_eval.api.model import lmms
    from lmms_eval.evaluator import simple_evaluate

    class Stock(lmms):
        """Likes long options; mean loss, lower is better."""

        device = "cpu"

        def loglikelihood(self, requests):
            answers = [(1.0 / len(request.args[1]), False) for request in requests]
            assert all(request.args[2](None) for request in requests)  # each has its pictures
            return [str(answer) for answer in answers] if as_text else answers

        def generate_until(self, requests):
            raise AssertionError

        generate_until_multi_round = generate_until

    harness = Harness(["radar_mini_colour"])
    results = simple_evaluate(
        model=Stock(), tasks=harness.tasks, task_manager=harness._manager, limit=20, bootstrap_iters=0
    )
    leaf = results["results"]["radar_mini_colour"]
    assert "sds_logit,none" not in leaf
    for sample in results["samples"]["radar_mini_colour"]:
        record = sample["sds"]
        assert record["logprob"] == [-1.0 / (len(option) + 1) for option in record["options"]]
        longest = max(record["options"], key=len)
        ties = [len(option) for option in record["options"]].count(len(longest))
        right = len(record["options"][record["answer"]]) == len(longest)
        assert sample["acc"]["score"] == (1 / ties if right else 0)
