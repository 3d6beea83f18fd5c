"""What a score is, written once more: no code of the engine, nothing shared, nothing batched, nothing cached.

The processor is given prompt, option and pictures as one text, as a user of transformers would; its output goes through
one full forward; the mean over the option's tokens of their log-probability is the score.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tiny_models
import torch
from tiny_models import call_of, image_of

from radar_tasks.questions import Question


@dataclass(frozen=True)
class Asked:
    """An option behind its prompt, as the processor gives it.

    Attributes:
        inputs: of the model.
        ids: tokens of prompt and option up to the option's last; of an encoder-decoder those of the decoder.
        tokens: how many at the end are the option's.
    """

    inputs: dict[str, Any]
    ids: tuple[int, ...]
    tokens: int


@dataclass(frozen=True)
class Expected:
    """What an option's score should be.

    Attributes:
        ids, tokens: as in `Asked`.
        logprob: mean natural log-probability of the option's tokens.
        logit: mean raw logit.
    """

    ids: tuple[int, ...]
    tokens: int
    logprob: float
    logit: float


def expected_scores(model: Any, processor: Any, question: Question) -> list[Expected]:
    """One per option, in the question's order."""
    return [_expected(model, asked_by_processor(model, processor, question, option)) for option in question.options]


def asked_by_processor(model: Any, processor: Any, question: Question, option: str) -> Asked:
    """Prompt and option; of the model only its configuration is looked at."""
    inputs = dict(_inputs(model.config.model_type, processor, question, option))
    if "input_ids" not in inputs and "labels" in inputs:  # of a whole text, which the decoder starts before
        start = _decoder_start(model, processor)
        inputs["decoder_input_ids"] = torch.cat([torch.tensor([[start]]), inputs.pop("labels")], dim=1)
    encoder = model.config.is_encoder_decoder or model.config.get_text_config().is_encoder_decoder
    if encoder and "decoder_input_ids" not in inputs:
        return _answered_by_decoder(model, processor, question, option)
    name = "decoder_input_ids" if "decoder_input_ids" in inputs else "input_ids"
    ids = inputs[name][0].tolist()
    length = _length_with_option(processor.tokenizer, ids, option)
    inputs = {
        key: value[:, :length] if _runs_along(value, len(ids)) else value
        for key, value in inputs.items()
        if key not in ("labels", "num_crops")
    }
    return Asked(inputs, tuple(ids[:length]), _option_tokens(processor.tokenizer, ids[:length], option))


def _expected(model: Any, asked: Asked) -> Expected:
    logits = _forward(model, asked.inputs)[-asked.tokens - 1 : -1]
    tokens = torch.tensor(asked.ids[-asked.tokens :])[:, None]
    logprobs = logits.double().log_softmax(-1).gather(1, tokens)
    return Expected(asked.ids, asked.tokens, float(logprobs.mean()), float(logits.double().gather(1, tokens).mean()))


def _inputs(model_type: str, processor: Any, question: Question, option: str) -> Any:
    pictures = [tiny_models.opened(data) for data in question.images] or None
    image = image_of(model_type)
    if model_type == "idefics":  # its processor takes texts and pictures in a list
        pieces = [question.text[0], *itertools.chain(*zip(pictures or [], question.text[1:], strict=False))]
        if not question.images_are_marked:
            pieces = [*(pictures or []), question.text[0]]
        return processor(text=[[*pieces[:-1], f"{pieces[-1].rstrip()} {option}"]], return_tensors="pt")
    if model_type == "paligemma":  # its processor puts the images in front and a newline between prompt and answer
        text = " ".join(piece.strip() for piece in question.text)
        prompt = {"text": image * len(question.images) + text, "suffix": option}
    else:
        pieces = [question.text[0]]
        for piece in question.text[1:]:
            pieces += [image, piece]
        if not question.images_are_marked:
            pieces = [image * len(question.images), *pieces]
        prompt = {"text": f"{''.join(pieces).rstrip()} {option}".rstrip()}
    if model_type in ("pp_formulanet", "vision-encoder-decoder"):  # pictures for the encoder, all text for the decoder
        labels = processor.tokenizer(prompt["text"], return_tensors="pt")["input_ids"]
        return {**processor.image_processor(pictures, return_tensors="pt"), "labels": labels}
    if model_type == "instructblipvideo":  # a picture is a video that stands still
        pictures = pictures and pictures * 4
    output = processor(images=pictures, return_tensors="pt", **prompt, **call_of(model_type))
    if "qformer_input_ids" in output:  # reads the question with the picture, and shall not see the answer
        read = processor.qformer_tokenizer("".join(question.text).strip(), return_tensors="pt")
        output |= {f"qformer_{name}": read[name] for name in ("input_ids", "attention_mask")}
    return output


def _answered_by_decoder(model: Any, processor: Any, question: Question, option: str) -> Asked:
    """The prompt goes into the encoder; the answer is written by the decoder, as in training: shifted by one."""
    inputs = dict(_inputs(model.config.model_type, processor, question, ""))
    answer = processor.tokenizer(text_target=option)["input_ids"]
    answer = answer[: _length_with_option(processor.tokenizer, answer, option)]
    start = _decoder_start(model, processor)
    ids = answer if answer[0] == start else [start, *answer]
    inputs["decoder_input_ids"] = torch.tensor([ids])
    before = next(place for place, id_ in enumerate(ids) if id_ not in processor.tokenizer.all_special_ids)
    return Asked(inputs, tuple(ids), len(ids) - before)


def _decoder_start(model: Any, processor: Any) -> int:
    tokens: tuple[int | None, ...] = (
        model.generation_config.decoder_start_token_id,
        getattr(model.config, "decoder_start_token_id", None),
        getattr(model.config.get_text_config(), "decoder_start_token_id", None),
    )
    tokens += (processor.tokenizer.bos_token_id, processor.tokenizer.pad_token_id)
    return next(token for token in tokens if token is not None)


def _length_with_option(tokenizer: Any, ids: Sequence[int], option: str) -> int:
    """Number of tokens up to the option's last: what is put behind a text (`</s>`, [SEP]) is not the option's."""
    return next(length for length in range(len(ids), 0, -1) if tokenizer.decode(list(ids[:length])).endswith(option))


def _option_tokens(tokenizer: Any, ids: Sequence[int], option: str) -> int:
    """How many tokens at the end hold any of the option's text: what is before them ends where the option begins."""
    start = len(tokenizer.decode(list(ids))) - len(option)
    return next(k for k in range(1, len(ids) + 1) if len(tokenizer.decode(list(ids[:-k]))) <= start)


def _runs_along(value: Any, length: int) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim >= 2 and value.shape[0] == 1 and value.shape[1] == length


def _forward(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """(tokens, vocabulary) in float32."""
    for module in model.modules():  # what an earlier prompt has left behind in the model
        if hasattr(module, "rope_deltas"):
            module.rope_deltas = None
    floats = {
        name: value.to(model.dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }
    with torch.no_grad():
        return model(**floats, use_cache=False).logits[0].float()
