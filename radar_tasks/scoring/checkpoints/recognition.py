"""What lies in a folder: its kind, its parts and whether this environment can load it. Reads no weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import fingerprint, read_json, resolve_folder, weight_files
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.encoding.prompt_formats import PromptFormat, resolve_format

Kind = Literal["native", "internvl_chat", "llava_projector"]

UNSUPPORTED = {
    "mllama": "its cross-attention mask runs along the tokens of the prompt",
    "idefics": "its image attention mask runs along the tokens of the prompt",
    "kosmos-2": "its image mask runs along the tokens of the prompt",
    "fuyu": "its image patches are spread over the tokens of the prompt",
    "git": "it has no placeholders for images in the prompt",
    "blip": "it has no placeholders for images in the prompt",
    "pi0": "it gives actions, not text",
    "diffusion_gemma": "it gives no left-to-right likelihood",
}
"""Families that cannot be scored here, with the reason; encoder-decoder models are told by their configuration."""

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "tekken.json")
SETUP_FILES = (
    "config.json",
    *PROCESSOR_FILES,
    *TOKENIZER_FILES,
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""What decides, beside the weights, about the numbers that a model makes from a question."""


@dataclass(frozen=True)
class Recognised:
    """What a checkpoint is.

    Attributes:
        options: as given.
        kind: how it is loaded.
        folder: of the model; for an adapter that of its base.
        config: the model's config.json.
        model_type: the model's type in transformers once it is loaded.
        processor: folder of processor (native) and tokenizer.
        form: the resolved prompt format.
        files: the weights, all parts.
        adapter: folder of a PEFT adapter.
        language_model, vision_tower: folders of a LLaVA projector's other parts.
    """

    options: CheckpointOptions
    kind: Kind
    folder: Path
    config: dict[str, Any]
    model_type: str
    processor: Path
    form: PromptFormat
    files: tuple[Path, ...]
    adapter: Path | None = None
    language_model: Path | None = None
    vision_tower: Path | None = None

    def describe(self) -> dict[str, Any]:
        """What goes into results and decides whether two runs are the same: plain values, the same on every machine."""
        from importlib.metadata import version

        options = self.options
        return {
            "name": Path(options.pretrained).name,
            "revision": options.revision,
            "kind": self.kind,
            "model_type": self.model_type,
            "adapter": None if self.adapter is None else self.adapter.name,
            "dtype": options.dtype,
            "attn_implementation": options.attn_implementation,
            "prompt_format": self.form.name,
            "min_pixels": options.min_pixels,
            "max_pixels": options.max_pixels,
            "max_tiles": options.max_tiles,
            "blind": options.blind,
            "weights": self.fingerprint(),
            "setup": self.setup_fingerprint(),
            "transformers": version("transformers"),
            "torch": version("torch"),
            "radar": version("lmms-eval-radar"),
        }

    def fingerprint(self) -> str:
        """What tells these weights from others: the commit on the Hub, else of the files' contents."""
        if _is_snapshot(self.folder) and self.adapter is None and self.language_model is None:
            return self.folder.name
        return fingerprint(list(self.files))

    def setup_fingerprint(self) -> str:
        """What tells configuration, processor (pixel limits, template) and tokenizer from others."""
        folders = dict.fromkeys((self.folder, self.processor, self.adapter, self.language_model, self.vision_tower))
        return fingerprint(
            [folder / name for folder in folders if folder for name in SETUP_FILES if (folder / name).is_file()]
        )


def recognise(options: CheckpointOptions, weights: bool = False) -> Recognised:
    """Tells what a checkpoint is and finds all its parts.

    Args:
        options: what the user said.
        weights: whether to fetch the weights from the Hub, too; those of a folder are looked at in any case.

    Raises:
        CheckpointError: no such folder; not a multimodal checkpoint; an architecture that this transformers does not
            know or that cannot be scored; processor, base, vision tower or a shard missing; still being written.
    """
    folder = resolve_folder(options.pretrained, options.revision, "pretrained", weights)
    if (folder / "adapter_config.json").is_file():
        return _adapter(options, folder, weights)
    if (folder / "mm_projector.bin").is_file():
        return _llava_projector(options, folder, weights)
    config = read_json(folder / "config.json")
    if config.get("model_type") == "internvl_chat":
        return _internvl_chat(options, folder, config)
    return _native(options, folder, config)


def _native(options: CheckpointOptions, folder: Path, config: dict[str, Any]) -> Recognised:
    model_type = str(config.get("model_type") or "")
    _check_architecture(folder, config, model_type, options.trust_remote_code)
    processor = _processor_folder(options, folder, PROCESSOR_FILES)
    form = resolve_format(options.prompt_format, model_type, "native", config)
    return Recognised(options, "native", folder, config, model_type, processor, form, _files(folder))


def _internvl_chat(options: CheckpointOptions, folder: Path, config: dict[str, Any]) -> Recognised:
    processor = _processor_folder(options, folder, ())
    form = resolve_format(options.prompt_format, "internvl", "internvl_chat", config)
    template = config.get("template")
    if form.family == "internvl_chat" and template != "internvl2_5":
        raise CheckpointError(
            f"{folder} has the chat template {template!r}; only internvl2_5 (InternVL 2.5, 3, 3.5) is known here. "
            "Use prompt_format=plain."
        )
    return Recognised(options, "internvl_chat", folder, config, "internvl", processor, form, _files(folder))


def _llava_projector(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:
    config = read_json(folder / "config.json")
    for name in ("model_base", "vision_tower"):
        if getattr(options, name) is None:
            raise CheckpointError(
                f"{folder} holds a LLaVA projector alone (mm_projector.bin): say where its other parts are, "
                "model_base=LANGUAGE_MODEL,vision_tower=SIGLIP_TOWER."
            )
    base = resolve_folder(str(options.model_base), None, "model_base", weights)
    tower = resolve_folder(str(options.vision_tower), None, "vision_tower", weights)
    processor = _processor_folder(options, base, ())
    form = resolve_format(options.prompt_format, "llava", "llava_projector", config)
    files = (folder / "mm_projector.bin", *_files(base), *_files(tower))
    return Recognised(
        options, "llava_projector", folder, config, "llava", processor, form, files,
        language_model=base, vision_tower=tower,
    )  # fmt: skip


def _adapter(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:
    config = read_json(folder / "adapter_config.json")
    base = options.model_base or config.get("base_model_name_or_path")
    if not base:
        raise CheckpointError(f"{folder} is a PEFT adapter that does not name its base: add model_base=FOLDER.")
    files = [folder / name for name in ("adapter_model.safetensors", "adapter_model.bin") if (folder / name).is_file()]
    if not files:
        raise CheckpointError(f"{folder} has no adapter_model.safetensors: is it still being written?")
    own_processor = options.processor or (str(folder) if _has(folder, PROCESSOR_FILES) else None)
    revision = None if options.model_base else config.get("revision")
    of_base = {"pretrained": str(base), "revision": revision, "model_base": None, "processor": own_processor}
    found = recognise(options.model_copy(update=of_base), weights)
    return Recognised(
        options, found.kind, found.folder, found.config, found.model_type, found.processor, found.form,
        (*found.files, *files), folder,
    )  # fmt: skip


def _check_architecture(folder: Path, config: dict[str, Any], model_type: str, trust_remote_code: bool) -> None:
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        reason = (
            "it is an encoder-decoder model" if _is_encoder_decoder(config, model_type) else UNSUPPORTED.get(model_type)
        )
        if reason:
            raise CheckpointError(f"{folder}: {model_type} checkpoints cannot be scored here: {reason}.")
        return
    if trust_remote_code and "auto_map" in config:
        return
    if model_type in CONFIG_MAPPING:
        raise CheckpointError(f"{folder} is not a multimodal checkpoint: {model_type} takes no images with text.")
    written = config.get("transformers_version") or config.get("_transformers_version")
    named = model_type or "(none named)"
    raise CheckpointError(
        f"{folder}: transformers {transformers.__version__} does not know the architecture {named}"
        + (f" (written by {written}). A newer transformers may." if written else ".")
        + (" The checkpoint brings its own code: trust_remote_code=True runs it." if "auto_map" in config else "")
    )


def _is_encoder_decoder(config: dict[str, Any], model_type: str) -> bool:
    if config.get("is_encoder_decoder") or model_type in ("vision-encoder-decoder", "pix2struct", "florence2", "udop"):
        return True
    text = config.get("text_config")
    return isinstance(text, dict) and bool(text.get("is_encoder_decoder"))


def _processor_folder(options: CheckpointOptions, folder: Path, needed: tuple[str, ...]) -> Path:
    """Where tokenizer and processor come from; one file of `needed` must be there, and one of a tokenizer."""
    place = folder
    if options.processor is not None:
        place = resolve_folder(options.processor, None, "processor")
    elif not _has(folder, TOKENIZER_FILES) or (needed and not _has(folder, needed)):
        what = "tokenizer" if not _has(folder, TOKENIZER_FILES) else "processor"
        raise CheckpointError(
            f"{folder} has no {what} (trainers often save the model alone): say where it is, "
            "processor=FOLDER_OR_NAME, e.g. that of the checkpoint training began with."
        )
    if not _has(place, TOKENIZER_FILES) or (needed and not _has(place, needed)):
        raise CheckpointError(f"processor: {place} does not hold a processor with its tokenizer.")
    return place


def _has(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_file() for name in names)


def _files(folder: Path) -> tuple[Path, ...]:
    """A folder's weights; none of a Hub repository whose weights have not been fetched yet."""
    if _is_snapshot(folder) and not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        return ()
    return tuple(weight_files(folder))


def _is_snapshot(folder: Path) -> bool:
    """Whether it is a folder of the Hub's cache, named after a commit."""
    return folder.parent.name == "snapshots"
