"""Weights as named tensors: reading them from files, renaming, and looking for what is wrong with them."""

from __future__ import annotations

import copy
import logging
import math
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from radar_tasks.errors import CheckpointError

SHOWN_NAMES = 8

MOST_MADE_UP = 1.1
"""A model can have so many times as many parameters as its files hold values, and be tried to be loaded."""

MAY_BE_ZERO = re.compile(
    r"projector|\bmm_|img_proj|merger|connector|aligner|resampler|perceiver|embed_vision"  # between tower and text
    r"|lora_B|pos_emb|position_|(class|cls|mask|query)_(emb|token)"
)
"""Names of matrices that models begin their training with as zeros, Gemma 3's projector for one."""

logger = logging.getLogger("radar")

Rename = Callable[[str, Tensor], Iterable[tuple[str, Tensor]]]
"""From a weight's name and value in a file to those of the model: one, several (a fused weight) or none (not used)."""


def read_weights(files: Sequence[Path]) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of weights files, one after the other; `.bin` files are read without running code in them.

    Raises:
        CheckpointError: a file cannot be read, or holds other things than tensors.
    """
    for file in files:
        try:
            yield from _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch_file(file)
        except CheckpointError:
            raise
        except Exception as error:  # the readers raise many types on damaged files
            raise CheckpointError(f"{file} cannot be read ({in_words(error)}).") from error


def in_words(error: Exception) -> str:
    """What a reader of weights complained of; torch's own text advises to let the file's code run."""
    if not isinstance(error, pickle.UnpicklingError):
        return f"{type(error).__name__}: {error}"
    named = re.search(r"GLOBAL (\S+)", str(error))
    return f"it holds something other than tensors{f', {named[1]},' if named else ''} of which nothing was run"


def renamed(files: Sequence[Path], rename: Rename) -> dict[str, Tensor]:
    """A model's weights out of files in a foreign format."""
    return {new: value for name, tensor in read_weights(files) for new, value in rename(name, tensor)}


def build(model_class: Any, config: Any, weights: dict[str, Tensor], where: Path, **loading: Any) -> Any:
    """A model of transformers with exactly these weights.

    Args:
        model_class: of transformers.
        config: its configuration.
        weights: by the model's names.
        where: the checkpoint, for messages.
        loading: further arguments of `from_pretrained` (dtype, device_map, ...).

    Raises:
        CheckpointError: a weight is left over, missing or of another shape; lists the names.
    """
    check_sizes(model_class, config, {name: tuple(value.shape) for name, value in weights.items()}, where)
    model, info = model_class.from_pretrained(
        None, config=config, state_dict=weights, output_loading_info=True, ignore_mismatched_sizes=True, **loading
    )
    check_loading(info, where)
    return model


def stored_shapes(files: Sequence[Path]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all tensors in weights files, whose values are not read; empty where a file does not say."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        try:
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as stored:
                    shapes |= {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
            else:
                shapes |= {name: tuple(tensor.shape) for name, tensor in _read_torch_file(file)}
        except Exception:  # of an old form, or damaged: who loads it says so
            return {}
    return shapes


def empty_model(model_class: Any, config: Any) -> Any:
    """The model that a configuration describes, without memory for its weights (on torch's meta device).

    Args:
        model_class: of transformers; an `Auto` class finds the family's own.
        config: its configuration; a copy is used, since models write into theirs.
    """
    with torch.device("meta"):
        return (getattr(model_class, "from_config", None) or model_class)(copy.deepcopy(config))


def check_sizes(model_class: Any, config: Any, shapes: Mapping[str, tuple[int, ...]], where: object) -> None:
    """Compares the model that a configuration describes with the weights, before anything is allocated.

    What a configuration does not say transformers takes from the published model of the family, and it makes up weights
    that are missing or do not fit: a small model whose sizes were lost would take the memory of the large one, before
    anything could be told. Numbers are compared and not names: files hold fused and renamed weights of older versions.
    What differs by little is left to the loading, which knows the names.

    Args:
        model_class: of transformers.
        config: its configuration.
        shapes: of all weights, by the files' names; nothing is compared if there are none.
        where: the checkpoint, for messages.

    Raises:
        CheckpointError: the model has many more parameters than there are values.
    """
    if not shapes or getattr(config, "quantization_config", None) is not None:  # packed: fewer values than weights
        return
    try:
        model = empty_model(model_class, config)
    except Exception:  # what is wrong with it is said by who loads it
        return
    own = {name: tuple(p.shape) for name, p in model.named_parameters() if name not in model.all_tied_weights_keys}
    needed, stored = (sum(map(math.prod, some.values())) for some in (own, shapes))
    if needed <= MOST_MADE_UP * stored:
        return
    other = [f"{name} {shapes[name]} for {shape}" for name, shape in own.items() if shapes.get(name, shape) != shape]
    raise CheckpointError(
        f"{where}: its configuration describes a model of {needed:,} parameters, and its weights hold {stored:,} values"
        + (f"; weights have another shape than the configuration says: {_some(other)}" if other else "")
        + ". Sizes that config.json does not name are the published model's: add those of this one, or give the "
        "configuration that belongs to the weights."
    )


def check_loading(info: dict[str, Any], where: Path, unexpected: bool = True) -> None:
    """Raises `CheckpointError` for what transformers found wrong while loading; it would only print a table."""
    problems = []
    if missing := sorted(info["missing_keys"]):
        problems.append(f"weights are missing: {_some(missing)}")
    if mismatched := sorted(str(item[0]) for item in info["mismatched_keys"]):
        problems.append(f"weights have another shape than the configuration says: {_some(mismatched)}")
    if unexpected and (left := sorted(info["unexpected_keys"])):
        problems.append(f"weights are left over: {_some(left)}")
    if problems:
        raise CheckpointError(f"{where}: " + "; ".join(problems) + ".")


def check_values(model: nn.Module, where: object) -> None:
    """Looks for values that training does not leave in weights; a device map's offloaded ones are not looked at.

    Zeros: a file that was preallocated and not filled, or lost its end with the power, has its length and matrices that
    are zero from end to end. Biases, norms and gates may well be zero, and so may matrices that a model starts with as
    zeros (`MAY_BE_ZERO`), of which a warning tells.

    Raises:
        CheckpointError: a weight holds NaN or infinite values, or matrices hold nothing but zeros; has their names.
    """
    zeros = []
    for name, parameter in model.named_parameters():
        if parameter.device.type == "meta" or not parameter.is_floating_point():
            continue  # offloaded by a device map, or quantised
        # Of a model that is spread over ranks each looks at its own part.
        values = parameter.to_local() if isinstance(parameter, DTensor) else parameter.detach()
        # A sum is one pass without a copy; it can overflow where no value is infinite, so then look again.
        total = values.sum()
        if not torch.isfinite(total) and not torch.isfinite(values).all():
            bad = int((~torch.isfinite(values)).sum())
            raise CheckpointError(
                f"{where}: the weight {name} holds {bad} NaN or infinite value(s) of {parameter.numel()}; "
                "training has diverged, or the file was damaged."
            )
        if total == 0 and sum(size > 1 for size in values.shape) > 1 and not values.any():
            zeros.append(name)
    if damaged := [name for name in zeros if not MAY_BE_ZERO.search(name)]:
        raise CheckpointError(
            f"{where}: {len(damaged)} weight matrix(es) hold nothing but zeros: {_some(damaged)}. The file was not "
            "written to its end (a copy into preallocated space, a power loss): copy or save it again."
        )
    if zeros:
        logger.warning("%s: all zeros, taken for not trained yet: %s", where, _some(zeros))


def check_vocabulary(model: Any, tokenizer: Any, where: object) -> None:
    """Raises `CheckpointError` if the tokenizer can give a token that the model has no embedding for."""
    try:
        embeddings = model.get_input_embeddings()
    except NotImplementedError:  # a decoder behind an encoder, with none that transformers finds (PP-FormulaNet)
        embeddings = model.get_output_embeddings()
    rows = embeddings.weight.shape[0]
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= rows:
        name = tokenizer.convert_ids_to_tokens(largest)
        raise CheckpointError(
            f"{where}: the tokenizer's largest token is {largest} ({name!r}) and the model's vocabulary has "
            f"{rows} rows (0 to {rows - 1}): the tokenizer belongs to another checkpoint, or the embeddings were not "
            "resized. Give the right one with processor=…"
        )


def _read_safetensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    with safe_open(file, framework="pt") as stored:
        for name in stored.keys():  # noqa: SIM118 - no mapping
            yield name, stored.get_tensor(name)


def _read_torch_file(file: Path) -> Iterator[tuple[str, Tensor]]:
    content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{file} holds something other than named tensors.")
    yield from content.items()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more
