"""What checkpoints with the same vision tower save by sharing its features, in one process, on the same questions.

    python benchmarks/track.py --questions 24 --json rows.json

plain    no store
first    the first checkpoint with this tower: a checksum over its weights more than plain
second   the second one: it writes
later    every further one: it reads, and pays for projector and language model alone

Checkpoints are LLaVA-like with random weights, one tower and three projectors; nothing is downloaded. How much is
saved depends on the tower's share of the work, which is printed: it is large for small language models and for
InternVL, whose tower sees four times as many tokens as its language model, and small for 7B behind SigLIP. Ways take
turns, and a way's time is the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from radar_tasks.questions import Question
from radar_tasks.scoring import EncodedQuestion, Scorer

IMAGE, VOCABULARY, SIDE, PATCH = 10, 1000, 224, 16
TOKENS = (SIDE // PATCH) ** 2
WAYS = ("plain", "first", "second", "later")


@dataclass
class Made:
    """What `Scorer` wants of a checkpoint, around questions that are encoded already."""

    model: Any
    encoded: Sequence[EncodedQuestion]
    name: str
    model_type: str = "llava"

    @property
    def recognised(self) -> Any:
        return SimpleNamespace(fingerprint=lambda: self.name)

    def encode(self, question: Question) -> EncodedQuestion:
        return self.encoded[int(question.q_id)]


def make_model(vision_layers: int, vision_width: int, layers: int, width: int) -> Any:
    """A LLaVA with random weights."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    vision = CLIPVisionConfig(
        hidden_size=vision_width, intermediate_size=4 * vision_width, num_hidden_layers=vision_layers,
        num_attention_heads=vision_width // 64, image_size=SIDE, patch_size=PATCH, projection_dim=vision_width,
    )  # fmt: skip
    text = LlamaConfig(
        hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers, num_attention_heads=width // 64,
        num_key_value_heads=width // 64, vocab_size=VOCABULARY, max_position_embeddings=2048,
    )  # fmt: skip
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_id=IMAGE)
    return LlavaForConditionalGeneration(config).eval().requires_grad_(False)


def with_projector(model: Any, seed: int) -> None:
    """Gives the model the projector of another checkpoint."""
    generator = torch.Generator().manual_seed(seed)
    for weight in model.model.multi_modal_projector.parameters():
        weight.copy_(torch.randn(weight.shape, generator=generator) * 0.05)


def make_question(number: int) -> EncodedQuestion:
    """One picture, 24 words, two options of three tokens."""
    generator = torch.Generator().manual_seed(number)
    words = torch.randint(20, VOCABULARY, (24,), generator=generator)
    options = tuple(torch.randint(20, VOCABULARY, (3,), generator=generator) for _ in range(2))
    return EncodedQuestion(
        q_id=str(number),
        prefix_ids=torch.cat([torch.full((TOKENS,), IMAGE), words]),
        continuations=options,
        scored=(3, 3),
        option_bytes=(9, 9),
        vision={"pixel_values": torch.randn(1, 3, SIDE, SIDE, generator=generator)},
        vision_key=str(number),
        visual_tokens=TOKENS,
    )


def asked(number: int) -> Question:
    """The key to an encoded question; its text is not used."""
    return Question(
        q_id=str(number), text=("?",), images=(), options=("a", "b"), answer=0, ability="perception",
        task="General VQA", source="spatial", category="", image_id=str(number),
    )  # fmt: skip


def score(model: Any, encoded: Sequence[EncodedQuestion], name: str, store: Path | None) -> tuple[float, list[float]]:
    """Seconds, and a log-probability per question."""
    questions = [asked(k) for k in range(len(encoded))]
    started = time.perf_counter()
    scorer = Scorer(Made(model, encoded, name), scoring="shared", feature_store=store, workers=1)
    found = dict(scorer.score(questions))
    return time.perf_counter() - started, [found[k][0].logprob for k in range(len(encoded))]


def measure(model: Any, encoded: Sequence[EncodedQuestion], rounds: int) -> dict[str, Any]:
    """Median seconds of each way, and the largest difference of a score from the one without a store."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    difference = 0.0
    for _ in range(rounds):
        store = Path(tempfile.mkdtemp(prefix="radar-features-"))
        for number, way in enumerate(WAYS[1:]):
            with_projector(model, number)
            taken, scores = score(model, encoded, way, store)
            seconds[way].append(taken)
            taken, plain = score(model, encoded, way, None)
            seconds["plain"].append(taken)
            difference = max(difference, *(abs(a - b) for a, b in zip(scores, plain, strict=True)))
        shutil.rmtree(store)
    return {**{way: statistics.median(times) for way, times in seconds.items()}, "difference": difference}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vision", default="8x384", help="layers x width of the tower")
    parser.add_argument("--text", default="4x384", help="layers x width of the language model")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    model = make_model(*map(int, chosen.vision.split("x")), *map(int, chosen.text.split("x")))
    encoded = [make_question(k) for k in range(chosen.questions)]
    score(model, encoded[:4], "warm", None)
    row = measure(model, encoded, chosen.rounds)
    towers = sum(weight.numel() for weight in model.model.vision_tower.parameters()) / 1e6
    row |= {"vision": chosen.vision, "text": chosen.text, "questions": chosen.questions, "tower_million": towers}
    print(f"tower {chosen.vision} ({towers:.1f} M parameters), text {chosen.text}, {chosen.questions} questions")
    for way in WAYS:
        print(f"{way:8} {row[way]:7.2f} s   plain / {way} = {row['plain'] / row[way]:.2f}")
    print(f"largest difference of a score from the one without: {row['difference']:.1e} nats per token")
    if chosen.json:
        chosen.json.write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
