"""What a user says about a checkpoint and how it is scored, `--model_args` of the harness. Imports nothing slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radar_tasks.errors import CheckpointError
from radar_tasks.validation import validation_problems

Withheld = Literal["blind", "blank"]
"""How the pictures of a question are kept from a model: left out, or grey ones of the same size in their place."""

_Options = TypeVar("_Options", bound=BaseModel)

PromptFormatName = Literal["auto", "plain", "qwen2_vl", "internvl_chat", "llava_onevision", "paligemma", "official"]


class CheckpointOptions(BaseModel):
    """Which checkpoint, and how it is loaded and asked.

    Attributes:
        pretrained: folder of the checkpoint, or `owner/name` on the Hub.
        revision: branch, tag or commit on the Hub.
        dtype: of the weights in memory; `auto` is the checkpoint's own.
        device: e.g. `cuda:1`; by default the first GPU, else the CPU. Not together with `device_map`.
        device_map: accelerate's way to spread a model over devices, e.g. `auto`.
        tp: ranks that hold the model together, by transformers' tensor-parallel plan; groups of so many ranks share the
            questions. Not together with `device` or `device_map`.
        attn_implementation: transformers' name, e.g. `sdpa`, `eager`, `flash_attention_2`.
        trust_remote_code: whether code that comes with a checkpoint may run.
        prompt_format: see `docs/prompts.md`; `auto` follows the family.
        min_pixels, max_pixels: limits of an image's area for families with images of any size (Qwen2-VL and kin).
        max_tiles: most tiles an image is cut into (InternVL and kin), thumbnail not counted.
        model_base: language model of a LLaVA projector, or the base of a PEFT adapter if not the one it names.
        vision_tower: vision tower of a LLaVA projector.
        processor: folder or Hub name to take processor and tokenizer from, where a checkpoint has none.
        config: folder or Hub name to take config.json from, where a training's shards have none beside them.
        blind: True leaves images out of the prompt, `blank` puts grey ones of the same size in their place.
    """

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, frozen=True)

    pretrained: str = Field(min_length=1)
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str | None = None
    device_map: str | None = None
    tp: Annotated[int, Field(ge=1)] = 1
    attn_implementation: str | None = None
    trust_remote_code: bool = False
    prompt_format: PromptFormatName = "auto"
    min_pixels: Annotated[int, Field(ge=1)] | None = None
    max_pixels: Annotated[int, Field(ge=1)] | None = None
    max_tiles: Annotated[int, Field(ge=1, le=64)] | None = None
    model_base: str | None = None
    vision_tower: str | None = None
    processor: str | None = None
    config: str | None = None
    blind: bool | Literal["blank"] = False

    @model_validator(mode="after")
    def _fit_together(self) -> CheckpointOptions:
        if self.min_pixels is not None and self.max_pixels is not None and self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels={self.min_pixels} is more than max_pixels={self.max_pixels}")
        if self.device is not None and self.device_map is not None:
            raise ValueError("give device or device_map, not both")
        if self.tp > 1 and (self.device is not None or self.device_map is not None):
            raise ValueError("tp puts a part of the model on every rank's device: leave device and device_map out")
        return self


class ScoringOptions(BaseModel):
    """How a checkpoint is scored.

    Attributes:
        scoring: see `radar_tasks.scoring.engine.scorer.Scorer`.
        prior: whether every question is also asked without its picture (`blind`: left out of the prompt; `blank`: a
            grey one of its size, for families that cannot do without).
        strict: whether a question that the checkpoint cannot be asked ends the run; otherwise it is left out and
            counted in the results.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scoring: Literal["auto", "shared", "independent"] = "auto"
    prior: Withheld | None = None
    strict: bool = False


def options_of(arguments: Mapping[str, Any]) -> tuple[CheckpointOptions, ScoringOptions]:
    """Both kinds of options from names and values, as `--model_args` gives them.

    Raises:
        CheckpointError: an unknown name or a value that does not fit; says which are known.
    """
    scoring = {name: value for name, value in arguments.items() if name in ScoringOptions.model_fields}
    checkpoint = {name: value for name, value in arguments.items() if name not in scoring}
    of_checkpoint, of_scoring = _checked(CheckpointOptions, checkpoint), _checked(ScoringOptions, scoring)
    check_prior(of_checkpoint.blind, of_scoring.prior)
    return of_checkpoint, of_scoring


def options_for(pretrained: str, more: Mapping[str, Any]) -> tuple[CheckpointOptions, ScoringOptions]:
    """`options_of` for a checkpoint that is named by itself, beside its arguments.

    Raises:
        CheckpointError: as `options_of`, or the arguments name a checkpoint as well.
    """
    if "pretrained" in more:
        raise CheckpointError(
            f"model arguments: pretrained={more['pretrained']}: the checkpoint is named already; leave it out."
        )
    return options_of({"pretrained": pretrained, **more})


def check_prior(blind: bool | Literal["blank"], prior: Withheld | None) -> None:
    """Raises `CheckpointError` where questions are to be asked with and without pictures and there are none."""
    if blind and prior is not None:
        raise CheckpointError(f"prior={prior} needs the pictures, which blind={blind} withholds: leave blind out.")


def checkpoint_options(arguments: Mapping[str, Any]) -> CheckpointOptions:
    """Options from names and values, as `--model_args` gives them.

    Raises:
        CheckpointError: an unknown name or a value that does not fit; says which are known.
    """
    return _checked(CheckpointOptions, arguments)


def _checked(kind: type[_Options], arguments: Mapping[str, Any]) -> _Options:
    try:
        return kind(**arguments)
    except ValidationError as error:
        problems = "; ".join(": ".join(filter(None, problem)) for problem in validation_problems(error))
        known = ", ".join([*CheckpointOptions.model_fields, *ScoringOptions.model_fields])
        raise CheckpointError(f"model arguments: {problems}. Known: {known}.") from None
