"""A loaded model as the engine runs it: where its inputs go, what a family wants, and how to leave no trace in it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from radar_tasks.scoring.engine.lockstep import Lockstep
from radar_tasks.scoring.families import family_of
from radar_tasks.scoring.types import EncodedQuestion


class RunningModel:
    """A model with what the engine has to know to feed it.

    Attributes:
        model: the model; its mode, gradients and state are as before after every batch.
        family: what is particular to the model's.
        device: where its inputs go; with a device map the first device of the model.
        dtype: type of its floating point inputs.

    Args:
        model, model_type: the model, and its family's name in transformers.
        lockstep: of the ranks that hold the model together, None where this process has all of it.
    """

    def __init__(self, model: Any, model_type: str, lockstep: Lockstep | None = None) -> None:
        self.model = model
        self.family = family_of(model_type)
        self.device = (lockstep.device if lockstep is not None else None) or _input_device(model)
        self.dtype: torch.dtype = model.dtype if lockstep is None else lockstep.dtype
        self._lockstep = lockstep
        self._rope = [module for module in model.modules() if hasattr(module, "rope_deltas")]

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Scores without gradients in evaluation mode, and puts everything back: modes, positions, random states.

        `no_grad` and not `inference_mode`: a tensor that the model makes and keeps (a rotary table grown for a long
        prompt, say) must stay usable in training, and an inference tensor is not.
        """
        training = [module for module in self.model.modules() if module.training]
        deltas = [module.rope_deltas for module in self._rope]
        states = random.getstate(), np.random.get_state()  # noqa: NPY002 (the states that training uses)
        self.model.eval()
        try:
            with torch.no_grad(), torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
                yield
        finally:
            for module in training:
                module.training = True
            for module, delta in zip(self._rope, deltas, strict=True):
                module.rope_deltas = delta
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002

    def forward(self, **inputs: Any) -> Any:
        """The model's output, its weights gathered from all ranks where they are spread."""
        return self.model(**inputs) if self._lockstep is None else self._lockstep.forward(**inputs)

    def image_features(self, **inputs: Any) -> Any:
        """What the model's `get_image_features` gives, its weights gathered likewise."""
        encode = self.model.base_model.get_image_features if self._lockstep is None else self._lockstep.image_features
        return encode(**inputs)

    def forget_positions(self) -> None:
        """Drops M-RoPE's offset of an earlier prompt: a stale one changes scores silently."""
        for module in self._rope:
            module.rope_deltas = None

    def position_offset(self) -> Tensor | None:
        """(B, 1) M-RoPE's offset of the prompts just prefilled, None where the family has none."""
        return next((module.rope_deltas for module in self._rope if module.rope_deltas is not None), None)

    def place(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inputs on the model's device, floating point ones in its dtype."""
        return {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None, non_blocking=True)
            for name, value in inputs.items()
        }

    @property
    def places_images(self) -> bool:
        """Whether the model makes position ids of its own for image tokens (M-RoPE)."""
        return bool(self._rope)

    def logits_at(self, keep: Tensor, **inputs: Any) -> Tensor:
        """(N, V) logits at the N places marked in `keep`, row by row; other columns never meet the vocabulary.

        Args:
            keep: (R, S) bool.
            inputs: the model's inputs for R rows of S tokens, a cache of what comes before them included.
        """
        columns = keep.any(0).nonzero().squeeze(1)
        use_cache = "past_key_values" in inputs
        logits: Tensor = self.forward(**inputs, logits_to_keep=columns, use_cache=use_cache).logits
        return logits[keep[:, columns].to(logits.device)]


def vision_of(questions: Sequence[EncodedQuestion]) -> dict[str, Tensor]:
    """The vision inputs of several questions in one, in order; they agree in all sizes but the first."""
    names = questions[0].vision
    return {name: torch.cat([question.vision[name] for question in questions]) for name in names}


def _input_device(model: nn.Module) -> torch.device:
    """The device of a model's inputs; weights offloaded by accelerate are on `meta`, its hooks say where they run."""
    device = next(model.parameters()).device
    if device.type != "meta":
        return device
    hooks = (getattr(module, "_hf_hook", None) for module in model.modules())
    single = (part for hook in hooks for part in getattr(hook, "hooks", (hook,)))
    runs_on = (getattr(hook, "execution_device", None) for hook in single)
    return torch.device(next((found for found in runs_on if found is not None), "cpu"))
