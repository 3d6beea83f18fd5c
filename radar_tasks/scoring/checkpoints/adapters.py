"""PEFT adapters: merged into their base, so that everything after is as without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError


def merge_adapter(model: Any, folder: Path) -> Any:
    """The base with an adapter's weights merged in.

    Args:
        model: the base, as the adapter was trained on.
        folder: of the adapter.

    Raises:
        CheckpointError: the adapter does not fit the base; names weights that found no place.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    try:
        wrapped = PeftModel.from_pretrained(model, str(folder))
    except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
        raise CheckpointError(f"{folder}: the adapter does not fit its base ({error})") from error
    stored = set(load_peft_weights(str(folder), device="cpu"))
    # A name that does not fit is only warned about, and the adapter would do nothing.
    expected = set(get_peft_model_state_dict(wrapped))
    if stored != expected:
        names = ", ".join(sorted(stored ^ expected)[:8])
        raise CheckpointError(f"{folder}: the adapter does not fit its base; weights left over or missing: {names}")
    return wrapped.merge_and_unload()
