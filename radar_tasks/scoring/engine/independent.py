"""`scoring=independent`: one full forward an option, batched over options. The reference for everything faster.

tokens     p0  p1 ... pP-1  c0  c1        (right-padded; the last token, c2, predicts nothing and is left out)
logits at             pP-1  c0  c1
score                 c0    c1  c2
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from radar_tasks.scoring.engine.batching import option_rows, pad
from radar_tasks.scoring.engine.logits import option_scores, token_scores
from radar_tasks.scoring.engine.model_runner import RunningModel, vision_of
from radar_tasks.scoring.types import EncodedQuestion, OptionScore


def score_independently(running: RunningModel, batch: Sequence[EncodedQuestion]) -> list[tuple[OptionScore, ...]]:
    """Scores a batch. Padding on the right leaves every position, window and recurrent state as it is without it.

    Args:
        running: the model, inside its `untouched` context.
        batch: questions of one kind (`batching.kind_of`).

    Returns:
        For each question one score an option.

    Raises:
        CheckpointError: a score is not finite.
    """
    rows = option_rows(batch)
    owners = [batch[k] for k in rows.question.tolist()]
    prefix_lengths = torch.tensor([len(question.prefix_ids) for question in owners])
    width = int((prefix_lengths + rows.lengths - 1).max())
    place = torch.arange(width)
    predicting = (place >= prefix_lengths[:, None] - 1) & (place < (prefix_lengths + rows.lengths - 1)[:, None])

    running.forget_positions()
    inputs = running.place(_sequences(running, batch) | vision_of(owners))
    logits = running.logits_at(predicting.to(running.device), **inputs)
    table = torch.zeros(2, *rows.tokens.shape)
    table[:, rows.present] = token_scores(logits, rows.tokens[rows.present]).cpu()
    return option_scores(batch, rows, table)


def _sequences(running: RunningModel, batch: Sequence[EncodedQuestion]) -> dict[str, Tensor]:
    """Prompt and continuation of every option as the model's token inputs, each (R, S)."""
    pairs = [(question, tokens[:-1]) for question in batch for tokens in question.continuations]
    ids = [torch.cat([question.prefix_ids, tokens]) for question, tokens in pairs]
    inputs = {"input_ids": pad(ids, "right"), "attention_mask": pad([torch.ones_like(row) for row in ids], "right")}
    for name in batch[0].token_inputs:
        value = running.family.option_types.get(name, 0)
        rows = [torch.cat([q.token_inputs[name], torch.full_like(tokens, value)]) for q, tokens in pairs]
        inputs[name] = pad(rows, "right")
    return inputs
