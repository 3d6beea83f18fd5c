"""PEFT adapters: merged into their base, so that everything after is as without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import read_json
from radar_tasks.scoring.checkpoints.weights import in_words


def merge_adapter(model: Any, folder: Path) -> Any:
    """The base with an adapter's weights merged in.

    Args:
        model: the base, as the adapter was trained on.
        folder: of the adapter.

    Raises:
        CheckpointError: the adapter does not fit the base; names weights that found no place.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
    from peft.utils import load_peft_weights

    peft_type = str(read_json(folder / "adapter_config.json").get("peft_type"))
    tuner = {str(name.value): tuner for name, tuner in PEFT_TYPE_TO_TUNER_MAPPING.items()}.get(peft_type)
    # Prompt tuning and X-LoRA change no weights, and load tokenizers and adapters from places that their files name.
    if not hasattr(tuner, "merge_and_unload") or peft_type == "XLORA":
        raise CheckpointError(f"{folder}: an adapter of type {peft_type} cannot be merged into its base.")
    try:
        wrapped = PeftModel.from_pretrained(model, str(folder))
    except Exception as error:  # PEFT, and what reads the file for it, raise many types
        raise CheckpointError(f"{folder}: the adapter does not fit its base ({in_words(error)})") from error
    stored = set(load_peft_weights(str(folder), device="cpu"))
    # A name that does not fit is only warned about, and the adapter would do nothing.
    expected = set(get_peft_model_state_dict(wrapped))
    if stored != expected:
        names = ", ".join(sorted(stored ^ expected)[:8])
        raise CheckpointError(f"{folder}: the adapter does not fit its base; weights left over or missing: {names}")
    return wrapped.merge_and_unload()
