"""Nothing lost and nothing wrong: memory that runs out, bad weights, questions that cannot be read."""

import logging
import threading

import pytest
import torch
from made_questions import MadeCheckpoint, made_checkpoint, questions

from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.engine import scorer as engine

ASKED = questions(12)


@pytest.fixture(scope="module")
def made():
    return made_checkpoint("llava")


@pytest.fixture(scope="module")
def undisturbed(made):
    return dict(Scorer(made, batch_size=4).score(ASKED))


def out_of_memory_above(model, rows, error):
    """The model runs out of memory for more than `rows` rows."""

    def check(module, args, kwargs):
        if len(kwargs["input_ids"]) > rows:
            raise error

    return model.register_forward_pre_hook(check, with_kwargs=True)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("batch_size", ["auto", 8])
def test_memory_runs_out(made, undisturbed, caplog, error, batch_size):
    hook = out_of_memory_above(made.model, 6, error)
    scorer = Scorer(made, batch_size=batch_size)
    with caplog.at_level(logging.WARNING, "radar"):
        scores = list(scorer.score(ASKED))
    hook.remove()
    assert sorted(index for index, _ in scores) == list(range(len(ASKED)))
    for index, got in scores:
        assert [score.logprob for score in got] == pytest.approx([s.logprob for s in undisturbed[index]], abs=1e-5)
    assert scorer.describe()["batch_size"] < (8 if batch_size == 8 else engine.FIRST_BATCH["cpu"])
    warnings = [record for record in caplog.records if "does not fit" in record.message]
    assert len(warnings) == (batch_size == 8)


def test_finished_questions_are_not_scored_again_when_memory_runs_out(made):
    """Memory is short for some batches only: what was yielded before stays, and comes once."""
    calls = []

    def check(module, args, kwargs):
        calls.append(len(kwargs["input_ids"]))
        if len(calls) == 5:
            raise torch.OutOfMemoryError("later")

    hook = made.model.register_forward_pre_hook(check, with_kwargs=True)
    scores = list(Scorer(made, scoring="shared", batch_size=3).score(ASKED))
    hook.remove()
    assert sorted(index for index, _ in scores) == list(range(len(ASKED)))


def test_a_question_that_does_not_fit_alone_is_named(made):
    hook = out_of_memory_above(made.model, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(CheckpointError, match="question '0' does not fit into the memory of cpu alone"):
        list(Scorer(made).score(ASKED))
    hook.remove()


def test_another_runtime_error_is_not_taken_for_memory(made):
    hook = out_of_memory_above(made.model, 0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        list(Scorer(made).score(ASKED))
    hook.remove()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("scoring", ["auto", "shared", "independent"])
def test_weights_that_are_not_finite_are_found_at_the_first_batch(value, scoring):
    made = made_checkpoint("llava")
    made.model.lm_head.weight.data[:] = value
    with pytest.raises(CheckpointError, match="question '0', option 0: the model's logits are not finite"):
        next(Scorer(made, scoring=scoring).score(ASKED))


def test_auto_falls_back_and_says_so_once(caplog):
    """A family whose cache goes wrong: keys and values of another prompt."""
    made = made_checkpoint("llava")
    spoil_cache(made.model)
    scorer = Scorer(made, batch_size=4)
    with caplog.at_level(logging.WARNING, "radar"):
        scores = dict(scorer.score(ASKED))
    reference = dict(Scorer(made, scoring="independent").score(ASKED))
    for index, got in scores.items():
        assert [score.logit for score in got] == pytest.approx([s.logit for s in reference[index]], abs=1e-5)
    assert scorer.describe()["scoring"] == "independent"
    assert "mean log" in scorer.describe()["fallback"]
    assert len([record for record in caplog.records if "independent" in record.message]) == 1
    assert dict(Scorer(made, scoring="shared").score(ASKED)) != scores


def test_auto_falls_back_when_the_shared_way_fails():
    made = made_checkpoint("llava")
    hook = made.model.register_forward_pre_hook(refuse_cache, with_kwargs=True)
    scorer = Scorer(made)
    assert len(list(scorer.score(ASKED))) == len(ASKED)
    hook.remove()
    assert scorer.describe()["fallback"] == "NotImplementedError: no cache here"


def refuse_cache(module, args, kwargs):
    if kwargs["use_cache"]:
        raise NotImplementedError("no cache here")


def spoil_cache(model):
    def spoil(module, args, kwargs, output):
        if kwargs["use_cache"] and output.past_key_values is not None:
            output.past_key_values.layers[0].keys.mul_(1.5)

    model.register_forward_hook(spoil, with_kwargs=True)


class Spoilt(MadeCheckpoint):
    def encode(self, question):
        if question.q_id == "7":
            raise self.error
        return super().encode(question)


def test_a_question_that_cannot_be_encoded_is_named(made):
    spoilt = Spoilt.of(made.model)
    spoilt.error = ValueError("broken data stream")
    with pytest.raises(RadarError, match=r"question '7' of 'made' cannot be encoded: ValueError: broken data stream"):
        list(Scorer(spoilt, batch_size=1).score(ASKED))


def test_an_error_of_ours_comes_through_as_it_is(made):
    spoilt = Spoilt.of(made.model)
    spoilt.error = CheckpointError("the prompt is too long")
    with pytest.raises(CheckpointError, match=r"^the prompt is too long$"):
        list(Scorer(spoilt, batch_size=1).score(ASKED))


def test_no_thread_stays_behind(made):
    before = threading.active_count()
    scores = Scorer(made, batch_size=1, workers=3).score(ASKED)
    next(scores)
    scores.close()
    assert threading.active_count() == before


class Counting:
    """A sequence that knows its image ids and counts what is read."""

    def __init__(self, asked):
        self.asked, self.read = asked, []
        self.image_ids = [f"image-{k % 2}" for k in range(len(asked))]

    def __len__(self):
        return len(self.asked)

    def __getitem__(self, index):
        self.read.append(index)
        return self.asked[index]


def test_questions_are_read_once_shortly_before_they_are_needed_and_by_picture(made):
    asked = Counting(questions(60))
    scores = Scorer(made, scoring="shared", batch_size=1, workers=1).score(asked)
    next(scores)
    assert len(asked.read) <= engine.POOL_BATCHES + 2
    assert len(list(scores)) == 59
    assert asked.read == [*range(0, 60, 2), *range(1, 60, 2)]


def test_large_pictures_do_not_pile_up(made, monkeypatch):
    """A budget of three pictures: the pool holds three questions, and hardly more are encoded ahead of it."""
    picture = made.encode(ASKED[0]).vision["pixel_values"].nbytes
    monkeypatch.setattr(engine, "POOL_BYTES", 3 * picture)
    asked = Counting(questions(60))
    scores = Scorer(made, scoring="shared", batch_size=8, workers=1).score(asked)
    next(scores)
    assert len(asked.read) <= 8
    assert len(list(scores)) == 59
