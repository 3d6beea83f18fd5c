"""SDS of checkpoints on the embedded sample, by the shortest road: no harness, no sharing between options.

    python examples/tiny_pretraining/measure.py OUT/step-*

prints a table in Markdown: a row per checkpoint, a column per leaf, with half the width of the 95 % interval over
questions on different pictures. It made the numbers of the model card, and is a second opinion on the scoring engine's.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.questions import Question
from radar_tasks.sources.sample import LEAVES
from radar_tasks.store import open_source

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


class Checkpoint:
    """A folder's model in float32, with its processor."""

    def __init__(self, folder: Path) -> None:
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def mean_log_probabilities(self, questions: Sequence[Question]) -> list[list[float]]:
        """For each option the mean natural log-probability of its tokens, in nats."""
        texts, pictures, lengths = [], [], []
        for question in questions:
            prompt = IMAGE * len(question.images) + question.text[0]
            opened = [Image.open(io.BytesIO(image)).convert("RGB") for image in question.images]
            for option in question.options:
                texts.append(f"{prompt} {option}")
                pictures.extend(opened)
                lengths.append(len(self.processor.tokenizer(f" {option}")["input_ids"]))
        batch = self.processor(text=texts, images=pictures, padding=True, padding_side="left", return_tensors="pt")
        longest = max(lengths)
        logits = self.model(**batch, logits_to_keep=longest + 1).logits.float()
        log_probabilities = logits[:, :-1].log_softmax(-1)
        targets = batch["input_ids"][:, -longest:]
        token = log_probabilities.gather(-1, targets[:, :, None])[:, :, 0]
        scores = [float(row[-length:].mean()) for row, length in zip(token, lengths, strict=True)]
        ends = np.cumsum([len(question.options) for question in questions])
        return [scores[end - len(q.options) : end] for end, q in zip(ends, questions, strict=True)]


def measure(folder: Path, most: int | None = None, batch: int = 16) -> dict[str, np.ndarray]:
    """Probability of the right answer of each question, (N,) a leaf; at most the first `most` questions of each."""
    checkpoint = Checkpoint(folder)
    found = {}
    for leaf in LEAVES:
        questions = list(open_source(leaf.source))[:most]
        scores = []
        for start in range(0, len(questions), batch):
            scores += checkpoint.mean_log_probabilities(questions[start : start + batch])
        found[leaf.subject] = answer_probability(scores, [q.answer for q in questions])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="checkpoints")
    abilities = ("perception", "reasoning")
    print("| checkpoint |", *(f"{name} |" for name in (*abilities, *(leaf.subject for leaf in LEAVES))))
    print("| --- |" + " --- |" * (len(LEAVES) + len(abilities)), flush=True)
    for folder in parser.parse_args().folders:
        found = measure(folder)
        cells = [
            f"{np.mean([found[leaf.subject].mean() for leaf in LEAVES if leaf.ability == ability]):.3f}"
            for ability in abilities
        ]
        cells += [f"{p.mean():.3f} ± {1.96 * p.std(ddof=1) / len(p) ** 0.5:.3f}" for p in found.values()]
        print(f"| {folder.name} |", *(f"{cell} |" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
