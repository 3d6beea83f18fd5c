"""A loaded model as the engine runs it: where its inputs go, what a family wants, and how to leave no trace in it."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.engine.lockstep import Lockstep, LockstepError, is_out_of_memory
from radar_tasks.scoring.families import family_of
from radar_tasks.scoring.types import VisionInput, token_names


class RunningModel:
    """A model with what the engine has to know to feed it.

    Attributes:
        model: the model; its mode, gradients and state are as before after every batch.
        family: what is particular to the model's.
        first_position: position of a prompt's first token.
        device: where its inputs go; with a device map the first device of the model.
        dtype: type of its floating point inputs.
        places_images: whether the model itself gives image tokens their positions (M-RoPE); None as long as no prompt
            with images has shown it: some families keep a place for the offset and never fill it.

    Args:
        model, model_type: the model, and its family's name in transformers.
        lockstep: of the ranks that hold the model together, None where this process has all of it.
    """

    def __init__(self, model: Any, model_type: str, lockstep: Lockstep | None = None) -> None:
        self.model = model
        self.family = family_of(model_type)
        self.first_position = self.family.first_position
        if self.family.positions_behind_padding:
            self.first_position = int(model.config.get_text_config(decoder=True).pad_token_id) + 1
        self.device = (lockstep.device if lockstep is not None else None) or _input_device(model)
        self.dtype: torch.dtype = model.dtype if lockstep is None else lockstep.dtype
        self._lockstep = lockstep
        self._rope = [module for module in model.modules() if hasattr(module, "rope_deltas")]
        self.places_images: bool | None = None if self._rope else False
        self._arguments = _arguments_of(model)
        self._makes_cache = True

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

    @contextmanager
    def together(self) -> Iterator[None]:
        """Forwards that may fail, and what is done then is decided outside.

        Ranks of a tensor-parallel group finish them together or give them up together (`Lockstep.together`). What was
        learnt from a model in forwards that were given up is forgotten, since not every rank has come so far.
        """
        learnt = self.learnt
        try:
            with nullcontext() if self._lockstep is None else self._lockstep.together():
                yield
        except Exception:
            self.learnt = learnt
            raise

    @property
    def learnt(self) -> tuple[bool | None, bool]:
        """What forwards have shown: whether the model places images, and whether it makes a cache itself."""
        return self.places_images, self._makes_cache

    @learnt.setter
    def learnt(self, learnt: tuple[bool | None, bool]) -> None:
        self.places_images, self._makes_cache = learnt

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

    @contextmanager
    def encoder_seen(self, wanted: bool) -> Iterator[list[Any]]:
        """What an encoder-decoder's encoder gives in a forward within; nothing where none is told apart."""
        made: list[Any] = []
        encoder = self.model.get_encoder() if wanted else self.model
        if encoder is self.model:
            yield made
            return
        hook = encoder.register_forward_hook(lambda _module, _inputs, output: made.append(output))
        try:
            yield made
        finally:
            hook.remove()

    def place(self, inputs: Mapping[str, VisionInput]) -> dict[str, Any]:
        """The inputs on the model's device, floating point ones in its dtype."""
        return {name: self._placed(value) for name, value in inputs.items()}

    def _placed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._placed(item) for item in value]
        if not isinstance(value, Tensor):
            return value
        return value.to(self.device, self.dtype if value.is_floating_point() else None, non_blocking=True)

    def takes(self, name: str) -> bool:
        """Whether the model's forward has an argument of that name."""
        return name in self._arguments

    def _forward(self, **inputs: Any) -> Any:
        """The model's output, its weights gathered from all ranks where they are spread."""
        return self.model(**inputs) if self._lockstep is None else self._lockstep.forward(**inputs)

    def run(self, inputs: Mapping[str, Any], columns: Tensor, cache: Any = None, *, keep_cache: bool = False) -> Any:
        """The one place where the model is called.

        Args:
            inputs: placed; `input_ids` (R, S), or an encoder-decoder's `decoder_input_ids`, among them.
            columns: (C,) int64, the tokens whose logits are wanted; no other one meets the vocabulary, in a model that
                can do without.
            cache: of what comes before the inputs.
            keep_cache: whether the output's cache will be gone on with.

        Returns:
            The model's output, `logits` (R, C, V).
        """
        tokens = inputs[token_names(inputs).ids].shape[1]
        from_end = columns.to(self.device) - tokens  # counted from the end: some families put pictures in front
        arguments = dict(inputs)
        if self.takes("logits_to_keep"):
            arguments["logits_to_keep"] = from_end
        if cache is None and keep_cache and not self._makes_cache:
            cache = DynamicCache(config=self.model.config.get_text_config(decoder=True))
        if cache is not None:
            arguments["past_key_values"] = cache
        if self.takes("use_cache") or self.takes("kwargs"):  # which most pass on to their language model
            arguments["use_cache"] = cache is not None or keep_cache
        try:
            output = self._forward(**arguments)
        except (ValueError, TypeError) as error:
            if cache is not None or _has_pictures(inputs):
                raise
            name = type(self.model).__name__
            raise CheckpointError(f"{name} does not take a prompt without an image ({error}).") from error
        brings = self.takes("past_key_values")
        if keep_cache and self._makes_cache and brings and getattr(output, "past_key_values", None) is None:
            self._makes_cache = False  # Granite 4 Vision fills a cache that it is given, and makes none
            return self.run(inputs, columns, keep_cache=True)
        if not self.takes("logits_to_keep"):
            output.logits = output.logits[:, from_end.to(output.logits.device)]
        if "position_ids" not in inputs and cache is None and self.places_images is None and _has_pictures(inputs):
            self.places_images = self.position_offset() is not None
        return output

    def logits_at(self, keep: Tensor, inputs: Mapping[str, Any], cache: Any = None) -> Tensor:
        """(N, V) logits at the N places marked in `keep`, row by row.

        Args:
            keep: (R, S) bool.
            inputs: the model's inputs for R rows of S tokens, placed.
            cache: of what comes before them.
        """
        columns = keep.any(0).nonzero().squeeze(1)
        logits: Tensor = self.run(inputs, columns, cache).logits
        return logits[keep[:, columns].to(logits.device)]


def is_no_fault_of_the_family(error: Exception) -> bool:
    """Memory that ran out, or other ranks that did not come: another way of scoring would not help."""
    return is_out_of_memory(error) or isinstance(error, LockstepError)


def _arguments_of(model: Any) -> frozenset[str]:
    """Names of the arguments of a model's forward; of the model inside, where a wrapper (PEFT) passes all on."""
    names = inspect.signature(model.forward).parameters
    inner = getattr(model, "get_base_model", None)
    if "input_ids" not in names and inner is not None:
        return _arguments_of(inner())
    return frozenset(names)


def _has_pictures(inputs: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Tensor) and value.is_floating_point() for value in inputs.values())


def _input_device(model: nn.Module) -> torch.device:
    """The device of a model's inputs; weights offloaded by accelerate are on `meta`, its hooks say where they run."""
    device = next(model.parameters()).device
    if device.type != "meta":
        return device
    hooks = (getattr(module, "_hf_hook", None) for module in model.modules())
    single = (part for hook in hooks for part in getattr(hook, "hooks", (hook,)))
    runs_on = (getattr(hook, "execution_device", None) for hook in single)
    return torch.device(next((found for found in runs_on if found is not None), "cpu"))
