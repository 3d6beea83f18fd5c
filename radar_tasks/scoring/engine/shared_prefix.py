"""`scoring=shared`: a prompt is computed once, however many options follow it. Prefill, spread, continue, gather.

prefill    0   p0  p1 .. pP-1                  one row per question, padded on the left: windows of sliding
           p0  p1  p2 .. pP-1                  attention and recurrent states end at the prompt's end
spread     the cache's rows, once for each option that has more than one token
continue   c0  c1  0                           one row per option, padded on the right
           c0  c1  c2
gather     pP-1 scores c0 (from the prefill), c0 scores c1, c1 scores c2, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.generic import ModelOutput

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.engine.batching import OptionRows, option_rows, pad
from radar_tasks.scoring.engine.image_features import FeatureStore
from radar_tasks.scoring.engine.independent import on_options
from radar_tasks.scoring.engine.logits import option_scores, token_scores
from radar_tasks.scoring.engine.model_runner import RunningModel, is_no_fault_of_the_family
from radar_tasks.scoring.types import EncodedQuestion, OptionScore


@dataclass
class Prompts:
    """The state of n prompts after the prefill.

    Attributes:
        logits: (n, V) at the last token of each prompt.
        cache: keys, values and recurrent states.
        mask: (n, P) int64 on the CPU, 1 where a prompt has a token.
        next_position: (n, 1) int64, position of the token after the prompt.
        encoder: of an encoder-decoder, whose questions come alone, what its encoder has made, and the mask over what it
            has read.
    """

    logits: Tensor
    cache: Any
    mask: Tensor
    next_position: Tensor
    encoder: dict[str, Any]


def score_shared(
    running: RunningModel, features: FeatureStore, batch: Sequence[EncodedQuestion]
) -> list[tuple[OptionScore, ...]]:
    """Scores a batch; the same numbers as `score_independently`, up to rounding.

    Args:
        running: the model, inside its `untouched` context.
        features: the image features of this run.
        batch: questions of one kind (`batching.kind_of`).

    Returns:
        For each question one score per option.

    Raises:
        CheckpointError: a score is not finite.
    """
    rows = option_rows(batch)
    prompts = prefill(running, features, batch)
    table = torch.zeros(2, *rows.tokens.shape)
    table[:, :, 0] = token_scores(prompts.logits, rows.tokens[:, 0], rows.question).cpu()
    if rows.tokens.shape[1] > 1:
        spread(prompts, rows)
        table[:, rows.follows] = continue_options(running, batch, prompts, rows).cpu()
    return option_scores(batch, rows, table)


def prefill(running: RunningModel, features: FeatureStore, batch: Sequence[EncodedQuestion]) -> Prompts:
    """Runs pictures and prompts once, with logits at the last position only.

    Where the model does not take its own features back, it gets the pictures, now and from then on.
    """
    lengths = {len(question.prefix_ids) for question in batch}
    if running.places_images is None and batch[0].vision and len(lengths) > 1:
        run_prompts(running, batch[:1], running.place(batch[0].vision))  # who places image tokens shows without padding
    try:
        with running.together():
            return run_prompts(running, batch, features.inputs(batch))
    except Exception as error:
        if not features.usable or is_no_fault_of_the_family(error):
            raise
        features.give_up(f"{type(error).__name__}: {error}")
        return run_prompts(running, batch, features.inputs(batch))


def run_prompts(running: RunningModel, batch: Sequence[EncodedQuestion], pictures: Mapping[str, Any]) -> Prompts:
    """One forward over the prompts of a batch, padded on the left."""
    running.forget_positions()
    ids = [question.prefix_ids for question in batch]
    mask = pad([torch.ones_like(row) for row in ids], "left")
    names, by_decoder = batch[0].token_names, batch[0].by_decoder
    tokens = {names.ids: pad(ids, "left"), names.mask: mask}
    for name in batch[0].token_inputs:
        tokens[name] = pad([question.token_inputs[name] for question in batch], "left")
    padded = not bool(mask.all())
    if running.takes("position_ids") and padded and not (pictures and running.places_images):
        tokens["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0) + running.first_position
    inputs = running.place(tokens)
    last = torch.tensor([mask.shape[1] - 1])
    with running.encoder_seen(by_decoder) as made:
        output = running.run({**inputs, **pictures}, last, keep_cache=True)
    if getattr(output, "past_key_values", None) is None:
        name = type(running.model).__name__
        raise CheckpointError(f"{name} returns no cache that options can continue from: use scoring=independent.")
    offset = running.position_offset()
    position = inputs[names.mask].sum(1, keepdim=True) + running.first_position
    return Prompts(
        output.logits[:, -1],
        output.past_key_values,
        mask,
        position if offset is None else position + offset.to(running.device),
        _encoded(made, output, pictures) if by_decoder else {},
    )


def _encoded(made: Sequence[Any], output: Any, read: Mapping[str, Any]) -> dict[str, Any]:
    """What the decoder goes on with: the encoder's own output, which can hold a mask over more than the text (UDOP)."""
    encoder = made[-1] if made else None
    if not isinstance(encoder, ModelOutput):
        encoder = BaseModelOutput(last_hidden_state=output.encoder_last_hidden_state)
    mask = {"attention_mask": read["attention_mask"]} if "attention_mask" in read else {}
    return {"encoder_outputs": encoder, **mask}


def _many(value: Any, rows: int) -> Any:
    """What there is of one question for each of its options."""
    if isinstance(value, Tensor):
        return value.expand(rows, *value.shape[1:])
    return type(value)(**{name: _many(part, rows) for name, part in value.items() if isinstance(part, Tensor)})


def spread(prompts: Prompts, rows: OptionRows) -> None:
    """Gives every option that goes on its own copy of its prompt's state, in place."""
    index = rows.question[rows.goes_on]
    on_device = index.to(prompts.next_position.device)
    prompts.cache.reorder_cache(on_device)
    prompts.mask, prompts.next_position = prompts.mask[index], prompts.next_position[on_device]


def continue_options(
    running: RunningModel, batch: Sequence[EncodedQuestion], prompts: Prompts, rows: OptionRows
) -> Tensor:
    """Runs the options' tokens behind their prompts; (2, K) scores of all tokens but each option's first."""
    going = rows.goes_on
    tokens = rows.tokens[going, :-1]
    predicts = rows.follows[going, 1:]
    names = batch[0].token_names
    inputs: dict[str, Any] = {names.ids: tokens}
    if prompts.encoder:  # a question of it comes alone, so that nothing before its options is padded
        inputs |= {name: _many(value, len(tokens)) for name, value in prompts.encoder.items()}
    else:
        inputs[names.mask] = torch.cat([prompts.mask, predicts.long()], dim=1)
        if running.takes("position_ids"):
            inputs["position_ids"] = prompts.next_position + torch.arange(tokens.shape[1], device=running.device)
    owners = [batch[k] for k in rows.question[going].tolist()]
    for name in batch[0].token_inputs:
        if batch[0].token_inputs[name].ndim > 1:  # a mask over the pictures goes on; types are for the prompt only
            inputs[name] = torch.stack([on_options(question, name, tokens[0]) for question in owners])
    logits = running.logits_at(predicts, running.place(inputs), prompts.cache)
    return token_scores(logits, rows.tokens[rows.follows])
