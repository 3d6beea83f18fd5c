"""How the formats that are not transformers' own get configuration and tokenizer, running no code of the checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import read_json

_OLD_ROPE = ("rope_theta", "rope_scaling")


def configuration(model_type: str, values: Mapping[str, Any], where: object, **changes: Any) -> Any:
    """transformers' configuration of a part, from what a foreign config.json says about it.

    Only fields of the configuration class are taken: the files hold generation settings and leftovers of others.

    Raises:
        CheckpointError: transformers has no such architecture, or a value does not fit.
    """
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if model_type not in CONFIG_MAPPING:
        raise CheckpointError(f"{where}: transformers has no language model {model_type!r} without remote code.")
    known = {f.name for f in dataclasses.fields(CONFIG_MAPPING[model_type])} | set(_OLD_ROPE)
    ours = {"model_type", "architectures", "dtype", "transformers_version"}
    chosen = {name: value for name, value in values.items() if name in known - ours and value is not None}
    try:
        return AutoConfig.for_model(model_type, **(chosen | changes))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{where}: its configuration does not fit {model_type} ({error})") from error


def load_tokenizer(folder: Path, **changes: Any) -> Any:
    """The tokenizer of a folder, by the class that its configuration names.

    `AutoTokenizer` reads config.json, too, finds remote code named there and asks on the terminal whether to run it.

    Raises:
        CheckpointError: transformers has no such tokenizer, or the files do not fit.
    """
    import transformers

    config = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    name = str(config.get("tokenizer_class") or "PreTrainedTokenizerFast")
    tokenizer_class = getattr(transformers, name, None) or getattr(transformers, name.removesuffix("Fast"), None)
    if not (isinstance(tokenizer_class, type) and issubclass(tokenizer_class, transformers.PreTrainedTokenizerBase)):
        raise CheckpointError(f"{folder}: transformers has no tokenizer {name} without remote code; use processor=…")
    try:
        return tokenizer_class.from_pretrained(folder, trust_remote_code=False, **changes)
    except Exception as error:  # tokenizer files are parsed in Rust and raise anything
        raise CheckpointError(f"{folder}: its tokenizer cannot be loaded ({error})") from error


def stored_dtype(config: Mapping[str, Any]) -> str | None:
    """The weights' dtype as config.json names it, in the old or the new way."""
    value = config.get("dtype") or config.get("torch_dtype")
    return str(value).removeprefix("torch.") if value else None
