"""A model under DeepSpeed ZeRO is measured: DeepSpeed is no dependency, so this runs where it is installed beside.

docs/reliability.md says how to install it beside and what came out.
"""

import pytest
from faults.test_live_ranks import told

pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: pip install deepspeed")

WAYS = ["zero1/qwen2_vl", "zero2/qwen2_vl", "zero3/qwen2_vl", "zero3/llava_onevision", "zero3/gemma3"]


@pytest.mark.timeout(900)
def test_scores_are_those_of_one_process(tmp_path):
    tried = [f"{way}/5" for way in WAYS]
    first, last = told(2, tmp_path, "scores", *tried, timeout=800)
    for case in tried:
        assert first[case]["worst"] < 1e-5, case
        assert (first[case]["way"], first[case]["shares"]) == ("shared", 2)
        assert first[case]["numbers"] == last[case]["numbers"]


@pytest.mark.timeout(900)
def test_training_ends_at_the_same_bits_with_and_without_measurements(tmp_path):
    of_rank = told(2, tmp_path, "untouched", *WAYS, timeout=800)
    assert of_rank == [dict.fromkeys(WAYS, True)] * 2


@pytest.mark.timeout(900)
def test_a_fault_in_one_rank_is_everybodys_knowledge(tmp_path):
    tried = [way for way in WAYS if way.startswith("zero3")]
    first, last = told(2, tmp_path, "faults", *tried, timeout=800)
    for case in tried:
        found, other = first[case], last[case]
        assert (found["out_of_memory"]["batch_size"], found["left"]) == (8, 12), case
        assert other["out_of_memory"]["batch_size"] < 8
        assert found["changed"] < 1e-6
        assert found["broken"] == other["broken"] == "CheckpointError: rank 1 of 2: RuntimeError: a broken kernel"
        assert found["after"] == other["after"]


@pytest.mark.timeout(900)
def test_memory_for_what_ranks_put_together_may_be_short_on_one(tmp_path):
    first, last = told(2, tmp_path, "gathering", "zero3/qwen2_vl", timeout=800)
    assert first == last
    for of in first["zero3/qwen2_vl"]:
        without_less = "does not fit into the memory" in of["reason"] or "OutOfMemoryError: " in of["reason"]
        assert not of["reason"] or without_less or of["reason"].endswith("RuntimeError: a broken kernel"), of
        assert max(of["changed"], of["again"]) < 1e-6, of
