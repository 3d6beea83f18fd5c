"""`scoring=independent`: one full forward an option, alone and unpadded. The reference for everything faster.

tokens     p0  p1 ... pP-1  c0  c1        (the last token, c2, predicts nothing and is left out)
logits at             pP-1  c0  c1
score                 c0    c1  c2

Nothing is shared and nobody has company: the model sees what its processor would give it for this prompt and option.
Families whose forward mixes up rows or pictures of a batch are right here, too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from radar_tasks.scoring.engine.batching import option_rows
from radar_tasks.scoring.engine.logits import option_scores, token_scores
from radar_tasks.scoring.engine.model_runner import RunningModel
from radar_tasks.scoring.types import EncodedQuestion, OptionScore


def score_independently(running: RunningModel, question: EncodedQuestion) -> tuple[OptionScore, ...]:
    """One score per option.

    Args:
        running: the model, inside its `untouched` context.
        question: encoded.

    Raises:
        CheckpointError: a score is not finite.
    """
    rows = option_rows([question])
    table = torch.zeros(2, *rows.tokens.shape)
    for option, tokens in enumerate(question.continuations):
        running.forget_positions()
        inputs = running.place({**sequence(question, tokens[:-1]), **question.vision})
        columns = torch.arange(len(question.prefix_ids) - 1, len(question.prefix_ids) + len(tokens) - 1)
        logits = running.run(inputs, columns).logits[0]
        table[:, option, : len(tokens)] = token_scores(logits, tokens).cpu()
    return option_scores([question], rows, table)[0]


def sequence(question: EncodedQuestion, tokens: Tensor) -> dict[str, Tensor]:
    """The prompt and tokens of a continuation behind it as the model's token inputs, one row."""
    ids = torch.cat([question.prefix_ids, tokens])
    names = question.token_names
    inputs = {names.ids: ids, names.mask: torch.ones_like(ids)}
    for name, value in question.token_inputs.items():
        inputs[name] = torch.cat([value, on_options(question, name, tokens)])
    return {name: value[None] for name, value in inputs.items()}


def on_options(question: EncodedQuestion, name: str, tokens: Tensor) -> Tensor:
    """(len(tokens), ...) what a token input is on tokens of an option."""
    value = question.option_inputs.get(name)
    if value is None:
        value = torch.zeros_like(question.token_inputs[name][0])
    return value.expand(len(tokens), *value.shape)
