"""What a prompt for a family's processor says in the place of an image: found by asking the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.encoding.processor_call import ProcessorCall
from radar_tasks.scoring.types import token_names

_BEGIN_AND_END = (
    ("vision_start_token_id", "vision_end_token_id"),
    ("image_start_token_id", "image_end_token_id"),
    ("im_start_id", "im_end_id"),
)
"""Fields of a configuration that name the tokens around an image."""


def image_token_ids(processor: Any, config: Any) -> frozenset[int]:
    """The tokens that image features replace; none where a family has its images outside the prompt's tokens."""
    for source, name in ((config, "image_token_id"), (config, "image_token_index"), (processor, "image_token_id")):
        if isinstance(value := getattr(source, name, None), int):
            return frozenset({value})
    return frozenset()


def find_placeholder(processor: ProcessorCall, config: Any) -> str:
    """The text that the processor expands into an image's tokens, with what the family puts around it.

    Each candidate is tried with a small picture. Some processors put an image's tokens in front of the prompt by
    themselves (BLIP-2): there the placeholder is "", and a token in the text would be one too many.

    Raises:
        CheckpointError: the processor takes no picture with a text; says what it said to the likeliest candidate.
    """
    wanted = image_token_ids(processor.processor, config)
    problems: list[str] = []

    def made_of(placeholder: str) -> list[int] | None:
        """The tokens that come out; None if the processor does not take such a prompt."""
        try:
            output = processor(placeholder + "a", [Image.new("RGB", (64, 64))])
            return list(output[token_names(output).ids][0].tolist())
        except Exception as error:  # any: processors are code of many hands
            problems.append(f"{type(error).__name__}: {error}")
            return None

    def image_tokens(placeholder: str) -> int | None:
        ids = made_of(placeholder)
        return None if ids is None else sum(id_ in wanted for id_ in ids)

    by_itself = image_tokens("")
    problems.clear()
    for placeholder in dict.fromkeys(_candidates(processor.processor, config, wanted, made_of)):
        count = image_tokens(placeholder)
        if count and not (by_itself and count > by_itself):
            return placeholder
    if by_itself or (by_itself is not None and not wanted):
        return ""
    said = problems[0] if problems else "no image token came out"
    name = type(processor.processor).__name__
    raise CheckpointError(f"{config.model_type}: its processor ({name}) takes no image with a text ({said}).")


def _candidates(
    processor: Any, config: Any, wanted: frozenset[int], made_of: Callable[[str], list[int] | None]
) -> Iterator[str]:
    """Likeliest first: with begin and end as the configuration or the chat template has them, then the token alone.

    A begin that the processor itself writes (Molmo 2) would be one too many.
    """
    tokenizer = processor.tokenizer
    tokens = [getattr(processor, name, None) for name in ("image_placeholder_token", "image_token", "boi_token")]
    tokens += [tokenizer.convert_ids_to_tokens(id_) for id_ in wanted]
    names = [str(getattr(token, "content", token)) for token in tokens if token]
    for token in names[:1]:
        for start, end in _BEGIN_AND_END:
            ids = getattr(config, start, None), getattr(config, end, None)
            around = [None if id_ is None else tokenizer.convert_ids_to_tokens(id_) for id_ in ids]
            if all(around) and ids[0] not in (made_of(token) or ()):
                yield f"{around[0]}{token}{around[1]}"
    for token in names:
        if between := _from_chat_template(processor, token):
            yield between
    yield from names


def _from_chat_template(processor: Any, token: str) -> str | None:
    """What a chat template puts between two texts for an image, which only the template knows for some families."""
    before, after = "radar-before", "radar-after"
    content = [{"type": "text", "text": before}, {"type": "image"}, {"type": "text", "text": after}]
    try:
        chat = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
        between = str(chat.split(before)[1].split(after)[0].strip())
    except Exception:  # no template, or one that takes no such message
        return None
    around = between.replace(token, "")  # one token, or as many as it will be (PP-Chart2Table)
    return between if token in between and len(around) < 200 else None
