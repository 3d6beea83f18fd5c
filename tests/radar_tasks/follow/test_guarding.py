"""A guarded training: alarms are told, written, acted on, and known after a restart."""

import json

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from radar_tasks import paths
from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.follow.guarding import Guarding
from radar_tasks.follow.live import LiveEvaluator


@pytest.fixture(scope="module")
def trained():
    folder = paths.checkpoints() / "step-02400"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return model, AutoProcessor.from_pretrained(folder)


def evaluator(trained, tmp_path, guard, **more):
    return LiveEvaluator(*trained, ["mini_colour", "mini_digits"], questions=30, guard=guard, output=tmp_path, **more)


def test_what_is_seen_is_lost_then_not_finite_and_each_is_told(trained, tmp_path):
    told = []
    model = trained[0]
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        radar = evaluator(trained, tmp_path, told.append, prior="blind")
        radar.measure(0)
        assert (radar.alarms, radar.stop) == ((), False)
        with torch.no_grad():
            for name, value in model.named_parameters():
                if ".merger." in name:
                    value.zero_()  # the projector: nothing of a picture comes through
        # Another process of the same training: it knows what was measured before.
        again = evaluator(trained, tmp_path, "stop", prior="blind")
        again.measure(20)
        assert [(alarm.name, alarm.cause, alarm.since) for alarm in again.alarms] == [("perception", "sight", 0)]
        assert again.stop
        radar.measure(20)
        assert told == list(radar.alarms)
        assert not radar.stop
        with torch.no_grad():
            next(iter(model.parameters())).fill_(float("nan"))
        with pytest.raises(CheckpointError, match="not finite"):
            again.measure(40)
        assert [alarm.cause for alarm in again.alarms] == ["numerics"]
    finally:
        model.load_state_dict(kept)
    lines = [json.loads(line) for line in (tmp_path / "alarms.jsonl").read_text().splitlines()]
    assert [line["cause"] for line in lines] == ["sight", "sight", "numerics"]


def test_what_guard_is_not_is_refused(trained, tmp_path):
    with pytest.raises(RadarError, match="'flag', 'stop'"):
        evaluator(trained, tmp_path, "halt")


def test_earlier_results_that_cannot_be_read_are_told(tmp_path, caplog):
    assert len(Guarding("flag", tmp_path, lambda _: True).not_measured(20, "NaN")) == 1
    assert "measured earlier" not in caplog.text
    spoilt = tmp_path / "step-000010" / "20261123_101112_results.json"
    spoilt.parent.mkdir()
    spoilt.write_text("{")
    assert len(Guarding("flag", tmp_path, lambda _: True).not_measured(20, "NaN")) == 1
    assert "what was measured earlier is not looked at" in caplog.text
    assert str(spoilt) in caplog.text
