"""`Recognised`: what a checkpoint on disk is, and what tells it from others. Reads no weights to know its kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radar_tasks.scoring.checkpoints.fingerprints import fingerprint
from radar_tasks.scoring.checkpoints.folder import SETUP_FILES
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.weight_files import is_snapshot
from radar_tasks.scoring.encoding.prompt_formats import PromptFormat

Kind = Literal["native", "internvl_chat", "llava_projector", "torch_distributed", "deepspeed_zero"]
"""How a checkpoint lies on disk: a format of `checkpoints.formats`."""


@dataclass(frozen=True)
class Recognised:
    """What a checkpoint is.

    Attributes:
        options: as given.
        kind: how it is loaded.
        folder: of the model's configuration, and mostly of its weights; for an adapter that of its base.
        config: the model's config.json.
        model_type: the model's type in transformers once it is loaded.
        processor: folder of processor (native) and tokenizer.
        form: the resolved prompt format.
        files: the weights, all parts.
        adapter: folder of a PEFT adapter.
        language_model, vision_tower: folders of a LLaVA projector's other parts.
        beside: what else in the folder holds weights, and is not read.
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
    beside: tuple[str, ...] = ()

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
        """What tells these weights from others: the commit on the Hub, else of the files' contents.

        Raises:
            CheckpointError: a file cannot be read, or is being written.
        """
        if is_snapshot(self.folder) and all(file.parent == self.folder for file in self.files):
            return self.folder.name
        return fingerprint(self.files)

    def setup_fingerprint(self) -> str:
        """What tells configuration, processor (pixel limits, template) and tokenizer from others."""
        folders = dict.fromkeys((self.folder, self.processor, self.adapter, self.language_model, self.vision_tower))
        files = [folder / name for folder in folders if folder for name in SETUP_FILES if (folder / name).is_file()]
        if self.options.trust_remote_code:  # the checkpoint's code makes the numbers, too
            files += [file for folder in folders if folder for file in sorted(folder.glob("*.py"))]
        return fingerprint(files)
