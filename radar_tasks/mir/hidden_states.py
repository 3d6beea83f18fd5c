"""Features of vision and text tokens, layer by layer inside the language model, and the MIR made from them.

    image(s)  prompt ...  right answer          one forward pass a pair, nothing of it kept
    v v v v v t t t t t   t t                   v: places that image features fill; t: every other token
    layer 1 .. K: hidden states (S, D) -> moments of v and of t

The definition and its two passes are in `radar_metrics.modality_integration`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from radar_metrics.modality_integration import LayerMoments, TokenNorms, layer_distances, rate
from radar_metrics.options import FloatArray
from radar_tasks.errors import CheckpointError
from radar_tasks.questions import Question
from radar_tasks.scoring.checkpoints import Checkpoint
from radar_tasks.scoring.engine.independent import sequence
from radar_tasks.scoring.engine.model_runner import RunningModel

MOMENT_BYTES = 2 << 30
"""Most memory for covariances at once; with more layers than fit, the pairs are read once for each part of them."""

Features = tuple[list[FloatArray], list[FloatArray]]
"""Of each layer the vision tokens' (n_v, D) and the text tokens' (n_t, D) hidden states."""


@dataclass(frozen=True)
class Integration:
    """The Modality Integration Rate of one checkpoint.

    Attributes:
        mir: lower is better integrated.
        distances: (K,) each layer's term of the sum under the logarithm.
        pairs: number of image-text pairs.
        vision_tokens, text_tokens: how many tokens of each kind were seen.
    """

    mir: float
    distances: FloatArray
    pairs: int
    vision_tokens: int
    text_tokens: int


def modality_integration(checkpoint: Checkpoint, pairs: Sequence[Question]) -> Integration:
    """MIR over image-text pairs: a question's images with its prompt and right answer.

    Memory does not grow with the number of pairs or of visual tokens.

    Raises:
        CheckpointError: the checkpoint is blind, a pair has no image token, or the model gives no hidden states.
        MetricError: features that are not finite, or too few tokens.
    """
    running = RunningModel(checkpoint.model, checkpoint.model_type)
    vision_norms, text_norms = _norms(checkpoint, running, pairs)
    distances: list[FloatArray] = []
    for part in _parts(len(vision_norms), _width(checkpoint)):
        seen = (
            [LayerMoments(norms) for norms in vision_norms[part]],
            [LayerMoments(norms) for norms in text_norms[part]],
        )
        for features in _passes(checkpoint, running, pairs):
            for moments, rows in zip(seen, features, strict=True):
                for layer, layer_rows in zip(moments, rows[part], strict=True):
                    layer.update(layer_rows)
        distances.append(layer_distances(*seen))
    every = np.concatenate(distances)
    tokens = vision_norms[0].moments.count, text_norms[0].moments.count
    return Integration(rate(every), every, len(pairs), *tokens)


def layer_features(checkpoint: Checkpoint, running: RunningModel, pair: Question) -> Features:
    """Hidden states of one pair behind each of the K layers; the input of the first is left out, as in MIR.

    Raises:
        CheckpointError: see `modality_integration`.
    """
    encoded = checkpoint.encode(pair)
    answer = encoded.continuations[pair.answer]
    ids = torch.cat([encoded.prefix_ids, answer])
    inputs = sequence(encoded, answer)
    is_vision = torch.isin(ids, torch.tensor(sorted(checkpoint.parts.vision.image_token_ids)))
    if not is_vision.any():
        raise CheckpointError(
            f"question {pair.q_id!r} has no image tokens: MIR needs pairs of image and text, not blind"
        )
    running.forget_positions()
    with running.untouched():
        output = checkpoint.model(
            **running.place(inputs | dict(encoded.vision)), output_hidden_states=True, use_cache=False, logits_to_keep=1
        )
    layers = getattr(output, "hidden_states", None)
    if not layers or layers[-1].shape[:2] != (1, len(ids)):
        raise CheckpointError("this model does not return the hidden states of its language model, one per token")
    states = [layer[0].double().cpu() for layer in layers[1:]]
    return [state[is_vision].numpy() for state in states], [state[~is_vision].numpy() for state in states]


def _passes(checkpoint: Checkpoint, running: RunningModel, pairs: Sequence[Question]) -> Iterator[Features]:
    for k in range(len(pairs)):
        yield layer_features(checkpoint, running, pairs[k])


def _norms(
    checkpoint: Checkpoint, running: RunningModel, pairs: Sequence[Question]
) -> tuple[list[TokenNorms], list[TokenNorms]]:
    vision: list[TokenNorms] = []
    text: list[TokenNorms] = []
    for features in _passes(checkpoint, running, pairs):
        for norms, rows in zip((vision, text), features, strict=True):
            norms.extend(TokenNorms() for _ in range(len(rows) - len(norms)))
            for layer, layer_rows in zip(norms, rows, strict=True):
                layer.update(layer_rows)
    if not vision:
        raise CheckpointError("no pairs: at least one image with a text is needed")
    return vision, text


def _width(checkpoint: Checkpoint) -> int:
    return int(checkpoint.parts.config.get_text_config(decoder=True).hidden_size)


def _parts(layers: int, width: int) -> Iterator[slice]:
    """Slices of the layers whose covariances (two modalities, 8 bytes a number) fit into `MOMENT_BYTES`."""
    step = max(1, MOMENT_BYTES // (2 * 8 * width**2))
    for start in range(0, layers, step):
        yield slice(start, start + step)
