"""`RadarCallback`: training with it ends at the same bits as without it."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import make, opened, picture
from transformers import Trainer, TrainerCallback, TrainingArguments

from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.live import LiveEvaluator
from radar_tasks.scoring.engine.lockstep import RanksApartError
from radar_tasks.training import RadarCallback

SOURCES = ["mini_colour", "mini_sum"]
PROMPT = "<|vision_start|><|image_pad|><|vision_end|> Which animal is this? A {}"


def documents(processor, number=8):
    """One picture with its caption each, all of one length."""
    made = []
    for k in range(number):
        batch = processor(
            text=[PROMPT.format("cat" if k % 2 else "dog")], images=[opened(picture(k))], return_tensors="pt"
        )
        made.append({**batch, "labels": batch["input_ids"].clone()})
    return made


def collate(items):
    return {name: torch.cat([item[name] for item in items]) for name in items[0]}


def trainer(out, model, processor, **settings):
    arguments = TrainingArguments(
        output_dir=str(out), per_device_train_batch_size=2, gradient_accumulation_steps=2, seed=3,
        learning_rate=0.01, use_cpu=True, report_to="none", disable_tqdm=True, logging_steps=2, save_strategy="no",
        remove_unused_columns=False, **{"max_steps": 4, **settings},
    )  # fmt: skip
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=documents(processor),
        data_collator=collate,
        processing_class=processor,
    )


def with_dropout(family="qwen2_vl"):
    """A model whose training consumes random numbers."""
    model, processor = make(family)
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.3
    return model, processor


def radar_logs(a_trainer):
    return [log for log in a_trainer.state.log_history if "radar/perception_sds" in log]


def trained(out, measured, **settings):
    model, processor = with_dropout()
    a_trainer = trainer(out, model, processor, **settings)
    if measured:
        RadarCallback.attach(a_trainer, SOURCES, every=2, questions=3)
    a_trainer.train()
    return a_trainer


def test_weights_and_loss_are_those_without_it_bit_for_bit(tmp_path, capfd):
    plain = trained(tmp_path, measured=False)
    watched = trained(tmp_path, measured=True)
    assert not radar_logs(plain)
    logs = radar_logs(watched)
    assert [log["step"] for log in logs] == [0, 2, 4]
    for log in logs:
        assert log["radar/perception_sds"] == log["radar/mini_colour_sds"]
        assert log["radar/reasoning_sds"] == log["radar/mini_sum_sds"]
        assert 0 < log["radar/mini_sum_sds"] < 1
    assert logs[0]["radar/mini_colour_sds"] != logs[-1]["radar/mini_colour_sds"]
    weights = plain.model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in watched.model.state_dict().items())
    losses = [[log["loss"] for log in t.state.log_history if "loss" in log] for t in (plain, watched)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 2
    assert "3 measurements of 6 questions took" in capfd.readouterr().err


def test_until_goes_through_the_trainer_and_a_wrong_one_is_told_at_once(tmp_path, capfd):
    model, processor = with_dropout()
    a_trainer = trainer(tmp_path, model, processor)
    with pytest.raises(RadarError, match="until=0: give"):
        RadarCallback(a_trainer, SOURCES, until=0)
    RadarCallback.attach(a_trainer, SOURCES, every=4, questions=3, until=0.02)
    a_trainer.train()
    first, last = radar_logs(a_trainer)
    assert "radar/reasoning_questions" not in first
    assert last["radar/reasoning_questions"] == 3
    assert last["radar/reasoning_verdict"] in (-1, 0, 1)  # all were asked, so nothing is uncertain
    assert "2 measurements of at most 6 questions took" in capfd.readouterr().err


def test_modes_gradients_and_random_states_are_as_before(tmp_path):
    model, processor = with_dropout()
    a_trainer = trainer(tmp_path, model, processor)
    callback = RadarCallback.attach(a_trainer, ["mini_colour"], every=1, questions=2)
    model.train()
    model.model.visual.eval()  # a frozen tower
    model(**collate(documents(processor, 2))).loss.backward()  # accumulation in flight
    modes = [module.training for module in model.modules()]
    needs = [parameter.requires_grad for parameter in model.parameters()]
    gradients = [copy.deepcopy(parameter.grad) for parameter in model.parameters()]
    state = torch.get_rng_state()
    a_trainer.state.global_step = 1
    callback.on_step_end(a_trainer.args, a_trainer.state, a_trainer.control)
    assert len(radar_logs(a_trainer)) == 1
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == needs
    assert torch.equal(torch.get_rng_state(), state)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)


class CountGraphs(TrainerCallback):
    """How many graphs torch.compile has made by the end of each step."""

    def __init__(self):
        self.graphs = []

    def on_step_end(self, *_, **__):
        self.graphs.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def test_a_compiled_model_is_not_compiled_again(tmp_path):
    torch._dynamo.reset()
    model, processor = with_dropout()
    a_trainer = trainer(tmp_path, model, processor, max_steps=2, torch_compile=True, torch_compile_backend="eager")
    RadarCallback.attach(a_trainer, ["mini_colour"], every=1, questions=2)
    a_trainer.add_callback(counted := CountGraphs())
    a_trainer.train()
    assert len(radar_logs(a_trainer)) == 3
    assert counted.graphs[0] > 0
    assert counted.graphs[-1] == counted.graphs[0]


def test_a_failure_ends_training_before_the_first_step_and_not_later(tmp_path, caplog):
    model, processor = make("qwen2_vl")
    with pytest.raises(RadarError, match="guard='halt': give"):
        RadarCallback(trainer(tmp_path, model, processor), ["mini_colour"], guard="halt")
    with pytest.raises(CheckpointError, match="prior=blind needs the pictures"):
        RadarCallback(trainer(tmp_path, model, processor), ["mini_colour"], prior="blind", options={"blind": True})
    with pytest.raises(RadarError, match="every=0"):
        RadarCallback(trainer(tmp_path, model, processor), ["mini_colour"], every=0)
    with pytest.raises(CheckpointError, match="processor"):
        RadarCallback(trainer(tmp_path, model, processor.tokenizer), ["mini_colour"], every=1)

    class Diverges(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            with torch.no_grad():
                model.lm_head.weight.fill_(float("nan"))

    a_trainer = trainer(tmp_path, model, processor)
    a_trainer.add_callback(Diverges())
    RadarCallback.attach(a_trainer, ["mini_colour"], every=4, questions=2)
    a_trainer.train()
    assert a_trainer.state.global_step == 4
    assert "step 4 was not measured" in caplog.text
    again = trainer(tmp_path, model, processor)
    RadarCallback.attach(again, ["mini_colour"], every=4, questions=2)
    with pytest.raises(CheckpointError, match="finite"):
        again.train()


def test_no_exception_of_a_later_measurement_ends_training(tmp_path, caplog):
    """A kernel that breaks for one shape, say; nothing of ours raises it."""
    model, processor = make("qwen2_vl")

    class Breaks(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 2:
                model.lm_head.register_forward_pre_hook(self.in_evaluation)

        @staticmethod
        def in_evaluation(module, _):
            if not module.training:
                raise RuntimeError("no kernel image is available")

    a_trainer = trainer(tmp_path, model, processor)
    a_trainer.add_callback(Breaks())
    RadarCallback.attach(a_trainer, ["mini_colour"], every=2, questions=2, output=tmp_path / "results")
    a_trainer.train()
    assert a_trainer.state.global_step == 4
    assert caplog.text.count("was not measured: RuntimeError: no kernel image is available") == 2
    assert [folder.name for folder in (tmp_path / "results").iterdir()] == ["step-000000"]
    again = trainer(tmp_path, model, processor)
    RadarCallback.attach(again, ["mini_colour"], first=2, per_doubling=1, questions=2)
    with pytest.raises(CheckpointError, match="RadarCallback: RuntimeError: no kernel image"):
        again.train()


def test_ranks_that_have_come_apart_end_training(tmp_path, monkeypatch):
    model, processor = make("qwen2_vl")
    a_trainer = trainer(tmp_path, model, processor)
    radar = RadarCallback.attach(a_trainer, ["mini_colour"], every=2, questions=2)
    radar.on_train_begin(a_trainer.args, a_trainer.state, a_trainer.control)

    def alone(self, step):
        raise RanksApartError(f"rank 1 did not come to step {step}")

    monkeypatch.setattr(LiveEvaluator, "measure", alone)
    a_trainer.state.global_step = 2
    with pytest.raises(RanksApartError, match="rank 1 did not come to step 2"):
        radar.on_step_end(a_trainer.args, a_trainer.state, a_trainer.control)


TWO_RANKS = """
import sys
sys.path[:0] = [{tests!r}, {here!r}]
from test_callback import SOURCES, radar_logs, with_dropout, trainer
from radar_tasks.training import RadarCallback
model, processor = with_dropout()
a_trainer = trainer({out!r}, model, processor, ddp_find_unused_parameters=False)
RadarCallback.attach(a_trainer, SOURCES, every=2, questions=3)
a_trainer.train()
if a_trainer.is_world_process_zero():
    print([log["radar/perception_sds"] for log in radar_logs(a_trainer)])
"""


@pytest.mark.timeout(500)
def test_two_ranks_share_the_questions(tmp_path):
    model, processor = with_dropout()
    alone = trainer(tmp_path, model, processor)
    RadarCallback.attach(alone, SOURCES, every=2, questions=3).on_train_begin(alone.args, alone.state, alone.control)
    here = Path(__file__).parent
    script = tmp_path / "two.py"
    script.write_text(TWO_RANKS.format(here=str(here), tests=str(here.parents[1]), out=str(tmp_path)))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launcher, str(script)], check=False, env=env, capture_output=True, text=True, timeout=450)
    assert done.returncode == 0, done.stderr
    values = eval(done.stdout.strip().splitlines()[-1])
    assert len(values) == 3
    assert values[0] == pytest.approx(radar_logs(alone)[0]["radar/perception_sds"], abs=1e-6)
