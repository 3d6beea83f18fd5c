"""`until` and `guard` on several ranks: what one process asks, decides and tells, on all of them, resumed or not."""

from pathlib import Path

import pytest
from faults.deciding_ranks import decisions, few
from faults.test_live_ranks import told

SCRIPT = Path(__file__).with_name("deciding_ranks.py")
SPREAD = [(2, ["fsdp2/1", "tp/0"]), (4, ["hybrid/1"])]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process decides."""
    return decisions(tmp_path_factory.mktemp("alone"), ["bare/0"])["bare/0"]


def decided(measurement):
    """What does not depend on the last digits of scores: verdicts and numbers of questions, alarms and their causes."""
    changes = [{name: value for name, value in of.items() if name != "change"} for of in measurement["changes"]]
    alarms = [(of["step"], of["since"], of["name"], of["cause"]) for of in measurement["alarms"]]
    return {"asked": measurement["asked"], "changes": changes, "alarms": alarms, "stop": measurement["stop"]}


def verdicts(measurement):
    return {of["ability"]: of["verdict"] for of in measurement["changes"]}


def counts(change):
    return [change[name] for name in ("verdict", "decided_after", "compared", "asked")]


def test_one_process_decides_what_was_done_to_the_model(alone):
    first, lost, rest, broken = map(decided, alone["four"])
    assert (first["changes"], first["alarms"], first["stop"]) == ([], [], False)
    assert verdicts(lost) == {"perception": "fell", "reasoning": "fell"}
    assert (20, 0, "perception", "sight") in lost["alarms"]
    assert verdicts(rest) == {"perception": "no change", "reasoning": "no change"}
    assert [len(of["asked"]["mini_digits"]) < 60 for of in (first, lost, rest)] == [False, True, True]
    assert rest["alarms"] == []
    assert [cause for *_, cause in broken["alarms"]] == ["numerics"]
    assert "not finite" in alone["four"][3]["reason"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("ranks", "tried"), SPREAD)
def test_several_ranks_decide_as_one_process(tmp_path, alone, ranks, tried):
    of_rank = told(ranks, tmp_path, "decisions", *tried, script=SCRIPT, timeout=800)
    for case in tried:
        for number, expected in enumerate(alone["four"]):
            measurements = [of[case]["four"][number] for of in of_rank]
            for found in measurements:
                # A new evaluator knows nothing of another's wish to stop; its own alarms say it again.
                resumed = case.endswith("/1") and not found["alarms"]
                assert decided(found) == decided(expected) | ({"stop": False} if resumed else {}), (case, number)
                assert found["changes"] == measurements[0]["changes"]
                assert found["alarms"] == measurements[0]["alarms"]
                assert found["reason"] == measurements[0]["reason"]
                assert ("not finite" in found["reason"]) == (number == 3)
            assert len({of["calls"]["_agree"] for of in measurements}) == 1  # as often as each other met all
            pairs = zip(measurements[::2], measurements[1::2], strict=True) if "fsdp2" not in case else ()
            for one, other in pairs:  # of a tensor-parallel group
                assert one["calls"] == other["calls"]
        # A function of the user's is called on the first rank alone.
        assert [of[case]["seen"] for of in of_rank] == [alone["seen"], *[[]] * (ranks - 1)]
        assert {of[case]["failing"] for of in of_rank} == {alone["failing"]}


@pytest.mark.timeout(500)
def test_ranks_that_are_left_with_nothing_to_ask_decide_alike(tmp_path):
    of_rank = told(4, tmp_path, "few", "fsdp2", "hybrid", script=SCRIPT, timeout=450)
    expected = few(tmp_path / "alone", ["bare"])["bare"]
    for of in of_rank:
        assert of == of_rank[0]
        for found in of.values():
            for ours, one in zip(found["numbers"], expected["numbers"], strict=True):
                assert ours == pytest.approx(one, abs=1e-5)
            assert list(map(counts, found["changes"])) == list(map(counts, expected["changes"]))


def test_ranks_that_cannot_begin_alike_do_not_wait_for_each_other(tmp_path):
    first, last = told(2, tmp_path, "unlike", "fsdp2", script=SCRIPT)
    assert first["missing"] == "CheckpointError: rank 1 of 2: mini_sum is not here"
    assert last["missing"] == "DataError: mini_sum is not here"
    assert first["others"] == last["others"]
    assert first["others"].startswith("DataError: rank 1 has other questions of mini_digits, mini_sum than rank 0")
