"""`scoring=shared`: a prompt is paid for once, however many options follow it. Prefill, spread, continue, gather.

prefill    0   p0  p1 .. pP-1                  one row a question, padded on the left: windows of sliding
           p0  p1  p2 .. pP-1                  attention and recurrent states end at the prompt's end
spread     the cache's rows, once for each option that has more than one token
continue   c0  c1  0                           one row an option, padded on the right
           c0  c1  c2
gather     pP-1 scores c0 (from the prefill), c0 scores c1, c1 scores c2, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from radar_tasks.scoring.engine.batching import OptionRows, option_rows, pad
from radar_tasks.scoring.engine.image_features import FeatureStore
from radar_tasks.scoring.engine.logits import option_scores, token_scores
from radar_tasks.scoring.engine.model_runner import RunningModel
from radar_tasks.scoring.types import EncodedQuestion, OptionScore


@dataclass
class Prompts:
    """The state of n prompts after the prefill.

    Attributes:
        logits: (n, V) at the last token of each prompt.
        cache: keys, values and recurrent states.
        mask: (n, P) int64, 1 where a prompt has a token.
        next_position: (n, 1) int64, position of the token after the prompt.
        axes: position axes, 1, or 3 where M-RoPE places image tokens by time, height and width.
    """

    logits: Tensor
    cache: Any
    mask: Tensor
    next_position: Tensor
    axes: int


def score_shared(
    running: RunningModel, features: FeatureStore, batch: Sequence[EncodedQuestion]
) -> list[tuple[OptionScore, ...]]:
    """Scores a batch; the same numbers as `score_independently`, up to rounding.

    Args:
        running: the model, inside its `untouched` context.
        features: the image features of this run.
        batch: questions of one kind (`batching.kind_of`).

    Returns:
        For each question one score an option.

    Raises:
        CheckpointError: a score is not finite.
    """
    rows = option_rows(batch)
    prompts = prefill(running, features, batch)
    table = torch.zeros(2, *rows.tokens.shape)
    table[:, :, 0] = token_scores(prompts.logits, rows.tokens[:, 0], rows.question).cpu()
    if rows.tokens.shape[1] > 1:
        spread(prompts, rows)
        table[:, rows.follows] = continue_options(running, prompts, rows).cpu()
    return option_scores(batch, rows, table)


def prefill(running: RunningModel, features: FeatureStore, batch: Sequence[EncodedQuestion]) -> Prompts:
    """Runs pictures and prompts once, with logits at the last position only."""
    running.forget_positions()
    ids = [question.prefix_ids for question in batch]
    mask = pad([torch.ones_like(row) for row in ids], "left")
    tokens = {"input_ids": pad(ids, "left"), "attention_mask": mask}
    for name in batch[0].token_inputs:
        tokens[name] = pad([question.token_inputs[name] for question in batch], "left")
    pictures = features.inputs(batch)
    if not (pictures and running.places_images):
        tokens["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0) + running.family.first_position
    inputs = running.place(tokens)
    output = running.forward(**inputs, **pictures, use_cache=True, logits_to_keep=1)
    offset = running.position_offset()
    position = inputs["attention_mask"].sum(1, keepdim=True) + running.family.first_position
    return Prompts(
        output.logits[:, -1],
        output.past_key_values,
        inputs["attention_mask"],
        position if offset is None else position + offset.to(running.device),
        axes=1 if offset is None else 3,
    )


def spread(prompts: Prompts, rows: OptionRows) -> None:
    """Gives every option that goes on its own copy of its prompt's state, in place."""
    index = rows.question[rows.goes_on].to(prompts.mask.device)
    prompts.cache.reorder_cache(index)
    prompts.mask, prompts.next_position = prompts.mask[index], prompts.next_position[index]


def continue_options(running: RunningModel, prompts: Prompts, rows: OptionRows) -> Tensor:
    """Runs the options' tokens behind their prompts; (2, K) scores of all tokens but each option's first."""
    going = rows.goes_on
    tokens = rows.tokens[going, :-1].to(running.device)
    predicts = rows.follows[going, 1:].to(running.device)
    position = prompts.next_position + torch.arange(tokens.shape[1], device=running.device)
    logits = running.logits_at(
        predicts,
        input_ids=tokens,
        attention_mask=torch.cat([prompts.mask, predicts.long()], dim=1),
        position_ids=position if prompts.axes == 1 else position.expand(prompts.axes, -1, -1),
        past_key_values=prompts.cache,
    )
    return token_scores(logits, rows.tokens[rows.follows])
