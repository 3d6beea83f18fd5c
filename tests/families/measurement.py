"""One family measured: every way of scoring held to the reference."""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tiny_models
import transformers

from families.questions import GROUPS, asked
from families.reference import Expected, expected_scores
from radar_tasks.errors import RadarError
from radar_tasks.questions import Question
from radar_tasks.scoring import OptionScore, Scorer
from radar_tasks.scoring.checkpoints import CheckpointOptions, from_model, load

WAYS = ("independent", "shared", "auto")
BATCHES = (1, 6)
UNSEEN = 1e-7
"""A picture that changes no score by more is not seen by the model."""


@dataclass(frozen=True)
class Measured:
    """What was seen of a family. Differences are of mean log-probabilities, in nats per token.

    Attributes:
        refused: why its checkpoints are not scored; "" for those that are.
        groups: groups of questions (`questions.GROUPS`) that its own processor and model take.
        refused_groups: what the engine says to questions of the other groups.
        prompts: "" if tokens of prompts and options are the processor's own; else the first that differ.
        differences: largest by way; None where the way ends in an error.
        errors: that error by way.
        auto: the way that `auto` ended with.
        fallback: why not `shared`.
        pictures: smallest change of a score when a picture is another one.
        callback: largest difference of a model in memory, as the callback scores it.
        encoded: how often the vision part ran for four questions on one picture, scored one by one.
    """

    refused: str = ""
    groups: tuple[str, ...] = ()
    refused_groups: dict[str, str] = field(default_factory=dict)
    prompts: str = ""
    differences: dict[str, float | None] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    auto: str = ""
    fallback: str | None = None
    pictures: float | None = None
    callback: float | None = None
    encoded: int | None = None


def measured_elsewhere(family: str, count: int) -> Measured:
    """`measure` in a process of its own; what goes wrong comes back as words, for not every error can travel."""
    try:
        return measure(family, count)
    except Exception as error:
        return Measured(errors={"measuring": f"{_short(error)} {traceback.format_exc(limit=-2)}"})


def measure(family: str, count: int = 2, seed: int = 0) -> Measured:
    """Measures a family.

    Args:
        family: one of `tiny_models.FAMILIES`, or of `tiny_models.NOT_MADE`.
        count: questions a group (there are four).
        seed: of questions; weights are always the same.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / family
        options = CheckpointOptions(pretrained=str(folder), dtype="float32", prompt_format=prompt_format(family))
        if family in tiny_models.NOT_MADE:
            folder.mkdir()
            (folder / "config.json").write_text(f'{{"model_type": "{family}"}}')
            return _refused(options)
        tiny_models.build(family, folder)
        try:
            checkpoint = load(options)
        except RadarError as error:
            return Measured(refused=_short(error, folder))
        return _measure(family, checkpoint, count, seed)


def quiet() -> None:
    """Of a process that measures: what libraries and the engine log would bury its progress."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.disable(logging.WARNING)


def prompt_format(family: str) -> Any:
    """The format whose prompts are what a processor makes of a plain text with images."""
    return "auto" if family == "paligemma" else "plain"


def _refused(options: CheckpointOptions) -> Measured:
    try:
        load(options)
    except RadarError as error:
        return Measured(refused=_short(error, Path(options.pretrained)))
    raise AssertionError(f"{options.pretrained} is not refused, and no checkpoint is made of it")


def _measure(family: str, checkpoint: Any, count: int, seed: int) -> Measured:
    model, processor = tiny_models.make(family)
    expected: dict[str, list[Expected]] = {}
    questions: list[Question] = []
    refused_groups = {}
    changes: list[float] = []
    for group in GROUPS:
        chosen = asked(group, count, seed)
        try:
            wanted = {q.q_id: expected_scores(model, processor, q) for q in chosen}
            changes.append(_change(model, processor, chosen[:3], wanted))
            if changes[-1] < UNSEEN:
                raise ValueError("a picture changes no score")
            checkpoint.encode(chosen[0])
        except Exception as error:  # its own processor, its model or the engine takes no such prompt
            refused_groups[group] = _answer(checkpoint, chosen[0], error)
            continue
        expected |= wanted
        questions += chosen
    found: dict[str, Any] = {"differences": {}, "errors": {}}
    for way in WAYS:
        for batch_size in BATCHES if way != "independent" else BATCHES[:1]:  # which puts nothing together
            try:
                scores, described = _scored(checkpoint, questions, scoring=way, batch_size=batch_size)
            except Exception as error:
                found["differences"][way] = None
                found["errors"][way] = _short(error)
                break
            worst = largest_difference(questions, scores, expected)
            found["differences"][way] = max(worst, found["differences"].get(way, 0.0))
            if way == "auto" and found.get("auto") != "independent":
                found["auto"], found["fallback"] = described["scoring"], described["fallback"]
    with_pictures = [q for q in questions if q.images]
    return Measured(
        groups=tuple(g for g in GROUPS if g not in refused_groups),
        refused_groups=refused_groups,
        prompts=_prompts(checkpoint, questions, expected),
        pictures=min((change for change in changes if UNSEEN <= change < math.inf), default=None),
        callback=_callback(family, model, processor, questions[::4], expected),
        encoded=_encoded(checkpoint, with_pictures[0]) if with_pictures else None,
        **found,
    )


def _scored(checkpoint: Any, questions: Sequence[Question], **options: Any) -> tuple[list[Any], dict[str, Any]]:
    scorer = Scorer(checkpoint, **options)
    found = dict(scorer.score(questions))
    return [found[k] for k in range(len(questions))], scorer.describe()


def largest_difference(
    questions: Sequence[Question], scores: Sequence[Sequence[OptionScore]], expected: dict[str, list[Expected]]
) -> float:
    """Of mean log-probabilities, in nats per token."""
    return max(
        abs(a.logprob - b.logprob)
        for question, got in zip(questions, scores, strict=True)
        for a, b in zip(got, expected[question.q_id], strict=True)
    )


def _prompts(checkpoint: Any, questions: Sequence[Question], expected: dict[str, list[Expected]]) -> str:
    """Where the engine's tokens are not the processor's: the first question, from the first token that differs."""
    for question in questions:
        try:
            encoded = checkpoint.encode(question)
        except Exception as error:
            return f"{question.q_id}: {_short(error)}"
        for option, want in enumerate(expected[question.q_id]):
            ids = [*encoded.prefix_ids.tolist(), *encoded.continuations[option].tolist()]
            if tuple(ids) != want.ids or encoded.scored[option] != want.tokens:
                first = next((k for k, (a, b) in enumerate(zip(ids, want.ids, strict=False)) if a != b), -1)
                names = checkpoint.tokenizer.convert_ids_to_tokens
                return (
                    f"{question.q_id}: token {first}: {names(ids[first:])[:6]} for {names(list(want.ids[first:]))[:6]}"
                )
    return ""


def _change(model: Any, processor: Any, questions: Sequence[Question], expected: dict[str, list[Expected]]) -> float:
    """The smallest change of a question's scores when one of its pictures is another one; infinite without pictures."""
    changes = [math.inf]
    for question in questions:
        for place, data in enumerate(question.images):
            images = list(question.images)
            images[place] = tiny_models.picture(987, tiny_models.opened(data).size)
            other = expected_scores(model, processor, dataclasses.replace(question, images=tuple(images)))
            pairs = zip(other, expected[question.q_id], strict=True)
            changes.append(max(abs(a.logprob - b.logprob) for a, b in pairs))
    return min(changes)


def _callback(family: str, model: Any, processor: Any, questions: Sequence[Question], expected: Any) -> float | None:
    try:
        checkpoint = from_model(model, processor, prompt_format=prompt_format(family))
        return largest_difference(questions, _scored(checkpoint, questions)[0], expected)
    except Exception:
        return None


def _encoded(checkpoint: Any, question: Question) -> int | None:
    """Calls of the vision part for four questions on one picture."""
    calls = 0
    base = checkpoint.model.base_model
    encode = getattr(base, "get_image_features", None)
    if encode is None:
        return None

    @functools.wraps(encode)
    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return encode(*args, **kwargs)

    four = [
        dataclasses.replace(question, q_id=f"{k}", text=(*question.text[:-1], f"{question.text[-1]} {k}"))
        for k in range(4)
    ]
    base.get_image_features = counted
    try:
        _scored(checkpoint, four, scoring="shared", batch_size=1)
    except Exception:
        return None
    finally:
        del base.get_image_features
    return calls


def _answer(checkpoint: Any, question: Question, problem: Exception) -> str:
    """What the engine says to a question that the family's own processor or model does not take, for this reason."""
    try:
        _scored(checkpoint, [question], scoring="independent")
    except RadarError as error:
        return _short(error)
    except Exception as error:
        return f"TRACEBACK {_short(error)}"
    return f"scored all the same, though its own processor and model: {_short(problem)}"


def _short(error: Exception, folder: Path | None = None) -> str:
    text = str(error) if isinstance(error, RadarError) else f"{type(error).__name__}: {error}"
    if not isinstance(error, RadarError):
        where = traceback.extract_tb(error.__traceback__)[-1]
        text += f" ({Path(where.filename).name}:{where.lineno})"
    return " ".join(text.replace(f"{folder}", "FOLDER").split())[:400]
