"""In what two runs differ besides the model: what makes their numbers incomparable, and what is only worth saying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from radar_tasks.results import CheckpointResult
from radar_tasks.results.until_record import until_of
from radar_tasks.run_arguments import limit_of


@dataclass(frozen=True)
class Setting:
    """Something in which two runs differ: its name and both values, in words."""

    name: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.name}: {self.first} against {self.second}"


def are_twins(first: CheckpointResult, second: CheckpointResult) -> bool:
    """Whether the runs differ in nothing but that one of them did not get the images: the same weights, sources."""
    same_weights = all(
        first.scoring.get(key) == second.scoring.get(key) for key in ("name", "revision", "adapter", "weights")
    )
    return bool(first.scoring) and same_weights and (first.withheld == "") != (second.withheld == "")


def must_agree(first: CheckpointResult, second: CheckpointResult, sources: Sequence[str]) -> list[Setting]:
    """Settings that make the numbers of two runs incomparable where they differ.

    A language model in lm-eval has no images and no prompt format: neither is held against it.
    """
    settings = [
        Setting(f"data of {source}", _data_name(first, source), _data_name(second, source))
        for source in sources
        if first.data[source].get("checksum") != second.data[source].get("checksum")
    ]
    names: dict[str, tuple[Any, Any]] = {
        "limit": (limit_of(first.config), limit_of(second.config)),
        "until": (until_of(first.scoring), until_of(second.scoring)),
    }
    if "text only" not in (first.withheld, second.withheld):
        prompts = (first.scoring.get("prompt_format"), second.scoring.get("prompt_format"))
        names |= {"images": (first.withheld or "shown", second.withheld or "shown"), "prompt_format": prompts}
    return settings + [_setting(name, a, b) for name, (a, b) in names.items() if str(a) != str(b)]


def may_differ(first: CheckpointResult, second: CheckpointResult) -> list[Setting]:
    """Settings that change the last digits, or belong to the model: said, not refused."""
    names = ("dtype", "attn_implementation", "min_pixels", "max_pixels", "max_tiles")
    pairs = [(name, first.scoring.get(name), second.scoring.get(name)) for name in names]
    pairs.append(("harness", first.harness, second.harness))
    return [_setting(name, a, b) for name, a, b in pairs if a != b]


def _setting(name: str, first: Any, second: Any) -> Setting:
    return Setting(name, "not given" if first is None else str(first), "not given" if second is None else str(second))


def _data_name(run: CheckpointResult, source: str) -> str:
    data = run.data[source]
    origin = data.get("origin")
    kind = origin.get("kind") if isinstance(origin, dict) else origin
    return f"{kind or 'unknown origin'}, {data.get('questions', '?')} questions, {str(data.get('checksum'))[:12]}"
