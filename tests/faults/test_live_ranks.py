"""Ranks that train one model together measure it: the same numbers as one process, nobody waits, nothing is changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import cases

SCRIPT = Path(__file__).with_name("live_training.py")
QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

PIECE = 20
"""Runs of a soak by the same processes."""

TWO = [
    "fsdp1/qwen2_vl/5", "fsdp1/gemma3/5", "fsdp2/llava_onevision/5", "fsdp2/gemma3/1", "fsdp2_prefetch/qwen2_vl/5",
    "fsdp2_leaves/qwen2_vl/5", "fsdp1_leaves/llava_onevision/5",
    "fsdp2_compiled/qwen2_vl/5", "fsdp2_peft/qwen2_vl/5", "ddp/llava_onevision/5", "tp/qwen2_vl/5",
    "tp/llava_onevision/5", "tp/gemma3/5",
]  # fmt: skip
FOUR = [
    "fsdp2/qwen2_vl/13", "fsdp2/gemma3/2", "fsdp1/llava_onevision/13", "hybrid/qwen2_vl/13", "hybrid/llava_onevision/1",
    "hybrid/gemma3/5", "hf_fsdp/llava_onevision/2",
]  # fmt: skip


def launch(ranks, folder, *arguments, timeout=400, script=SCRIPT):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)]
    return subprocess.run(
        [sys.executable, *launcher, str(script), *map(str, (folder, *arguments))],
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def told(ranks, folder, *arguments, **settings):
    """What each rank wrote down."""
    done = launch(ranks, folder, *arguments, **settings)
    assert done.returncode == 0, done.stderr[-6000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]


@pytest.mark.timeout(500)
@pytest.mark.parametrize(("ranks", "tried"), [(2, TWO), (4, FOUR)])
def test_every_way_of_wrapping_gives_the_scores_of_one_process(tmp_path, ranks, tried):
    """13 questions do not divide by four; with one or two some ranks have none. A tensor-parallel pair shares."""
    of_rank = told(ranks, tmp_path, "scores", *tried)
    for case in tried:
        assert of_rank[0][case]["worst"] < 1e-5, case
        assert of_rank[0][case]["way"] == "shared"
        assert all(other[case]["numbers"] == of_rank[0][case]["numbers"] for other in of_rank)
        groups = {"tp": 1, "hybrid": ranks // 2}.get(case.split("/")[0], ranks)
        assert of_rank[0][case]["shares"] == groups, case
        # No rank ever has all weights, unless the training gives all to each, or shards the model as one unit, as
        # transformers' own plan for LLaVA-OneVision does.
        whole = case.startswith(("ddp", "hf_fsdp"))
        shares = [share for other in of_rank if (share := other[case]["held"])]  # a rank without questions runs nothing
        assert shares, case
        assert all((share < 1) != whole for share in shares), case


@pytest.mark.timeout(500)
def test_training_ends_at_the_same_bits_with_and_without_measurements(tmp_path):
    """Weights, optimizer and random states after 20 steps with dropout; some measurements between two backwards."""
    tried = [
        "fsdp1/llava_onevision",
        "fsdp2/qwen2_vl",
        "fsdp2_prefetch/gemma3",
        "fsdp2_compiled/qwen2_vl",
        "tp/qwen2_vl",
    ]
    of_rank = told(2, tmp_path, "untouched", *tried)
    assert of_rank == [dict.fromkeys(tried, True)] * 2


@pytest.mark.timeout(500)
def test_a_fault_in_one_rank_is_everybodys_knowledge(tmp_path):
    tried = ["fsdp1/llava_onevision", "fsdp2/qwen2_vl", "fsdp2_leaves/qwen2_vl", "ddp/gemma3", "tp/qwen2_vl"]
    first, last = told(2, tmp_path, "faults", *tried)
    for case in tried:
        assert last[case]["out_of_memory"]["seen"] > 0
        assert last[case]["out_of_memory"]["batch_size"] < 8
        assert first[case]["changed"] < 1e-6  # memory that ran out changes no number
        assert first[case]["broken"] == "CheckpointError: rank 1 of 2: RuntimeError: a broken kernel"
        assert len(first[case]["refused"]) == 1
        assert "aspect ratio" in first[case]["refused"][0]
        assert first[case]["left"] == 12
        for name in ("changed", "broken", "refused", "left", "after"):
            assert first[case][name] == last[case][name], name
    assert first["fsdp2/qwen2_vl"]["out_of_memory"]["batch_size"] == 8
    together = first["tp/qwen2_vl"]["out_of_memory"], last["tp/qwen2_vl"]["out_of_memory"]
    assert together[0]["seen"] == 0
    assert together[0]["batch_size"] == together[1]["batch_size"]  # ranks that ask the same questions halve together


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("ranks", "tried"),
    [(2, ["fsdp1/llava_onevision", "fsdp2_prefetch/qwen2_vl", "tp/qwen2_vl"]), (4, ["hybrid/qwen2_vl"])],
)
def test_memory_for_what_ranks_put_together_may_be_short_on_one(tmp_path, ranks, tried):
    """Before the operation among ranks and after it; nobody begins one that another does not come to."""
    of_rank = told(ranks, tmp_path, "gathering", *tried, timeout=800)
    assert all(other == of_rank[0] for other in of_rank)
    for case in tried:
        for of in of_rank[0][case]:
            # Where the rank has one question only it cannot take a smaller batch, and at the end it has none.
            without_less = "does not fit into the memory" in of["reason"] or "OutOfMemoryError: " in of["reason"]
            error = of["reason"].endswith("RuntimeError: a broken kernel")
            assert not of["reason"] or without_less or error, (case, of)
            assert max(of["changed"], of["again"]) < 1e-6, (case, of)
        assert sum(not of["reason"] for of in of_rank[0][case]) >= 5


@pytest.mark.timeout(500)
def test_nothing_that_a_rank_meets_alone_decides_how_its_group_goes_on(tmp_path):
    first, last = told(2, tmp_path, "lone", "qwen2_vl")
    reasons = {name: (of.pop("reason"), last[name].pop("reason")) for name, of in first.items()}
    unreadable = reasons.pop("an unreadable question")
    assert unreadable[0] == unreadable[1]
    assert unreadable[0].startswith("CheckpointError: rank 1 of 2: ")
    assert unreadable[0].endswith("it cannot be read")
    assert set(reasons.values()) == {("", "")}
    fallbacks = {name: (of.pop("fallback"), last[name].pop("fallback")) for name, of in first.items()}
    assert first == last
    assert all(of["changed"] < 1e-6 for of in first.values())
    assert {name for name, of in first.items() if of["batch_size"] < 8} == {
        "memory before a sum",
        "memory after the last sum",
    }
    assert {name for name, of in first.items() if of["scoring"] == "independent"} == {
        "a way that fails",
        "other numbers",
    }
    assert fallbacks["a way that fails"] == (
        "rank 1 of this tensor-parallel group has met an error",
        "NotImplementedError: no cache here",
    )


@pytest.mark.timeout(500)
def test_the_callback_measures_what_accelerate_has_sharded(tmp_path):
    """Before the first step, at steps 2 and 6; at step 4 one rank has an error, and training goes on."""
    tried = ["1/qwen2_vl", "2/gemma3"]
    first, last = told(2, tmp_path, "callback", *tried)
    assert first == last
    for case in tried:
        assert first[case]["measured"] == 3
        assert first[case]["first"] < 1e-5
        assert first[case]["broken"] == ["rank 1 of 2: RuntimeError: a broken kernel"]


def test_a_rank_that_does_not_come_is_named(tmp_path):
    launch(2, tmp_path, "apart", "elsewhere", 4, "fsdp2")
    said = json.loads((tmp_path / "0.json").read_text())
    assert said["reason"].startswith("RanksApartError: rank 0 was waiting for the others before")
    assert "rank 1 has not said where it is" in said["reason"]
    assert said["seconds"] < 60


@pytest.mark.parametrize("way", ["fsdp2", "tp"])
def test_a_rank_that_is_stuck_in_a_layer_is_named_with_the_place(tmp_path, way):
    done = launch(2, tmp_path, "apart", "inside", 4, way)
    assert done.returncode != 0
    said = json.loads((tmp_path / "0.json").read_text())["reason"]
    assert "rank 1 has not moved since it was in model.language_model.layers.1" in said
    assert "radar: rank 1 was in model.language_model.layers.1" in done.stderr
    assert "time.sleep" in done.stderr or "lambda" in done.stderr  # where it was, line by line


def test_a_slow_rank_is_waited_for_however_long_its_share_takes(tmp_path):
    """Where every rank has all weights, the one that is done first waits longer than `patience`, 10 seconds here."""
    first, last = told(2, tmp_path, "apart", "slowly", 10, "ddp")
    assert (first["reason"], last["reason"]) == ("", "")
    assert first["seconds"] > 12


@pytest.mark.parametrize(("way", "place"), [("fsdp2", "putting "), ("tp", "in a sum over the ranks of its group in ")])
def test_an_operation_that_fails_on_one_rank_when_others_have_begun_it_ends_them_with_the_reason(tmp_path, way, place):
    """They cannot be told otherwise; and long before `patience` is over, which is 300 seconds here."""
    done = launch(2, tmp_path, "apart", "operation", 300, way, timeout=250)
    assert done.returncode != 0
    assert f"radar: rank 1 has met an error {place}" in done.stderr
    assert "RuntimeError: the network is gone. Rank 0 was " in done.stderr
    said = json.loads((tmp_path / "1.json").read_text())["reason"]
    assert said.startswith(f"RanksApartError: rank 1 has met an error {place}")
    assert said.endswith("the other ranks have begun this operation, and are ended")


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize(("ranks", "runs"), [(2, cases(4)), (4, cases(1))])
def test_random_faults_never_make_ranks_wait_for_each_other(tmp_path, ranks, runs):
    """`RADAR_FUZZ` times so many runs, each with a random way, family, number of questions and fault."""
    for first in range(0, runs, PIECE):
        last = min(first + PIECE, runs)
        of_rank = told(ranks, tmp_path, "soak", first, last, timeout=120 * PIECE)
        assert all(other == of_rank[0] for other in of_rank)
        assert sum(of_rank[0].values()) == last - first
