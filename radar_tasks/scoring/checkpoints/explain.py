"""A checkpoint explained before a run: what was recognised, how it will be asked. Reads no weights."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage

from radar_tasks.questions import Question
from radar_tasks.scoring.checkpoints.checkpoint import question_encoder
from radar_tasks.scoring.checkpoints.formats import FORMATS
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Recognised
from radar_tasks.scoring.checkpoints.recognition import recognise
from radar_tasks.scoring.checkpoints.weights import empty_model
from radar_tasks.scoring.encoding.prompt_formats import Control, Part, Prompt, Text
from radar_tasks.scoring.types import EncodedQuestion

SAMPLE_SIZE = (640, 480)


@dataclass(frozen=True)
class Shown:
    """What `radar checkpoint show` prints.

    Attributes:
        recognised: kind, folders, files.
        sizes: parameters a part of the model.
        images: how images are encoded.
        question: the sample question.
        prompt: it, in parts.
        encoded: it, in tokens.
        option_tokens: for each option the names of its tokens.
        context: the model's context in tokens.
    """

    recognised: Recognised
    sizes: dict[str, int]
    images: dict[str, object]
    question: Question
    prompt: Prompt
    encoded: EncodedQuestion
    option_tokens: tuple[tuple[str, ...], ...]
    context: int


def explain(options: CheckpointOptions) -> Shown:
    """Recognises a checkpoint and encodes a sample question for it.

    Raises:
        CheckpointError: as `recognise`, or a part cannot be made.
    """
    found = recognise(options)
    parts = FORMATS[found.kind].parts(found)
    encoder = question_encoder(parts, found.form, options.blind)
    question = sample_question()
    encoded = encoder(question)
    names = parts.processor.tokenizer.convert_ids_to_tokens
    tokens = [names(ids[-n:].tolist()) for ids, n in zip(encoded.continuations, encoded.scored, strict=True)]
    return Shown(
        recognised=found,
        sizes=_sizes(parts),
        images=parts.vision.settings(),
        question=question,
        prompt=encoder.prompt(question),
        encoded=encoded,
        option_tokens=tuple(tuple(map(str, row)) for row in tokens),
        context=encoder.max_length,
    )


def sample_question() -> Question:
    """A question with one picture of 640 x 480 pixels."""
    height, width = SAMPLE_SIZE[1], SAMPLE_SIZE[0]
    shades = np.linspace(0, 255, height * width, dtype=np.uint8).reshape(height, width)
    buffer = io.BytesIO()
    PILImage.fromarray(shades).convert("RGB").save(buffer, format="PNG")
    return Question(
        q_id="sample",
        text=("What animal is this?",),
        images=(buffer.getvalue(),),
        options=("red panda", "blue whale"),
        answer=0,
        ability="perception",
        task="sample",
        source="sample",
        category="",
        image_id="sample",
    )


def as_text(prompt: Prompt) -> str:
    """A prompt as it is sent: images as marks, control tokens as they are, what follows the prompt as a dot-dot-dot."""
    return "".join(map(_part_as_text, prompt.parts)) + prompt.joiner + "…"


def _part_as_text(part: Part) -> str:
    if isinstance(part, Text):
        return part.text
    return part.token if isinstance(part, Control) else f"⟦image {part.index + 1}⟧"


def _sizes(parts: Parts) -> dict[str, int]:
    """Parameters a part, from a model without weights."""
    model = empty_model(parts.model_class, parts.config)
    inner = getattr(model, "model", model)
    children = {**dict(inner.named_children()), **{n: c for n, c in model.named_children() if c is not inner}}
    return {name: sum(p.numel() for p in child.parameters()) for name, child in children.items()}
