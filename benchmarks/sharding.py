"""How evenly ranks are loaded: the slowest over the mean, in the order of the data and in the order of the harness.

    python benchmarks/sharding.py
    OMP_NUM_THREADS=1 python benchmarks/sharding.py --timed 400

Costs are counted: `visual tokens + text tokens` of a prompt and its options, 256 tokens a picture and four characters a
token. `--timed` scores the questions of every rank with a small model, rank after rank on one core, and compares the
processor's seconds. Rank r of W gets questions r, r + W, ... as lmms-eval gives them out.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.scoring import END, FIRST_WORD, IMAGE, START, Made, Shape, make_model, stand_ins
from radar_tasks.scoring import EncodedQuestion, Scorer
from radar_tasks.store.document_order import document_order

RANKS = (2, 4, 8, 16, 32, 64)
PICTURE_TOKENS = 256
CHARACTERS_A_TOKEN = 4


def headers(count: int, images: Callable[[int], int], seed: int = 5) -> list[dict[str, Any]]:
    """Questions without pictures, of three categories, with 2 to 10 options and texts of 20 to 400 characters."""
    draw = random.Random(seed)
    return [
        {
            "q_id": f"q{k}",
            "category": f"category {k % 3}",
            "text": ["x" * draw.randint(20, 400)],
            "options": ["x" * draw.randint(1, 40)] * draw.choice((2, 2, 2, 4, 10)),
            "n_images": images(k),
        }
        for k in range(count)
    ]


def tokens(header: dict[str, Any]) -> float:
    """The work of a question."""
    characters = sum(map(len, header["text"])) + sum(map(len, header["options"]))
    return float(header["n_images"]) * PICTURE_TOKENS + characters / CHARACTERS_A_TOKEN


def imbalance(costs: Sequence[float], ranks: int) -> float:
    """Load of the slowest rank over the mean of all."""
    loads = [sum(costs[rank::ranks]) for rank in range(ranks)]
    return max(loads) / (sum(costs) / ranks)


ROUNDS = 3
SHAPE = Shape(3, 192, 512, 6, 3, 4000, 2, 96, 3, 36)
"""The model that is timed; 36 visual tokens a picture, and a word has four characters."""


def small_headers(count: int, images: Callable[[int], int]) -> list[dict[str, Any]]:
    """Questions of 16 to 32 words, as the store describes them, with 2 or 4 options of 2 to 6 words."""
    draw = random.Random(7)
    return [
        {
            "q_id": str(k),
            "category": "",
            "text": ["word" * draw.randint(16, 32)],
            "options": ["word" * draw.randint(2, 6) for _ in range(draw.choice((2, 2, 4)))],
            "n_images": images(k),
        }
        for k in range(count)
    ]


def encoded(header: dict[str, Any]) -> EncodedQuestion:
    """A question with random words and pictures."""
    generator = torch.Generator().manual_seed(int(header["q_id"]))
    visual, images = SHAPE.visual_tokens, header["n_images"]

    def words(text: str) -> torch.Tensor:
        return torch.randint(FIRST_WORD, SHAPE.vocabulary, (len(text) // 4,), generator=generator)

    prefix = torch.cat([torch.tensor(([START] + [IMAGE] * visual + [END]) * images), words(header["text"][0])])
    options = tuple(map(words, header["options"]))
    side = int((4 * visual) ** 0.5)
    return EncodedQuestion(
        q_id=header["q_id"],
        prefix_ids=prefix,
        continuations=options,
        scored=tuple(map(len, options)),
        option_bytes=tuple(map(len, header["options"])),
        token_inputs={"mm_token_type_ids": (prefix == IMAGE).long()},
        vision={
            "pixel_values": torch.randn(4 * visual * images, 3 * 2 * 14 * 14, generator=generator),
            "image_grid_thw": torch.tensor([[1, side, side]] * images),
        },
        vision_key=header["q_id"],
        visual_tokens=visual * images,
    )


def seconds_imbalance(made: Made, order: Sequence[int], ranks: int) -> float:
    """Processor seconds of the slowest rank over the mean of all. Ranks take turns, and a rank's time is its least."""
    seconds: list[list[float]] = [[] for _ in range(ranks)]
    for _ in range(ROUNDS):
        for rank in range(ranks):
            share = stand_ins([made.encoded[k] for k in order[rank::ranks]])
            began = time.process_time()
            assert len(list(Scorer(made, scoring="shared", batch_size=8, workers=1).score(share))) == len(share)
            seconds[rank].append(time.process_time() - began)
    least = [min(rounds) for rounds in seconds]
    return max(least) / (sum(least) / ranks)


def timed(count: int) -> None:
    """Prints one row a mix, in processor seconds."""
    seldom = random.Random(9)
    model = make_model(SHAPE, "cpu", torch.float32)
    mixes = {
        f"1 and 12 images alternating, {count}": lambda k: 12 if k % 2 else 1,
        f"12 images at random in 20 of 100, {count}": lambda k: 12 if seldom.random() < 0.2 else 1,  # noqa: ARG005
    }
    print(f"{'slowest rank / mean, seconds':40}" + "".join(f"{ranks:>8} ranks  " for ranks in RANKS[:3]))
    for name, images in mixes.items():
        asked = small_headers(count, images)
        made = Made(model, [encoded(header) for header in asked])
        before, after = range(count), document_order(asked)
        seconds_imbalance(made, before[:32], 1)  # warm-up
        print(f"{name:40}", end="")
        for ranks in RANKS[:3]:
            was, is_ = (seconds_imbalance(made, order, ranks) for order in (before, after))
            print(f"{was:5.2f} -> {is_:4.2f}   ", end="", flush=True)
        print()


def counted() -> None:
    """Prints one row a mix."""
    seldom = random.Random(9)
    mixes = {
        "1 and 12 images alternating, 2,000": headers(2000, lambda k: 12 if k % 2 else 1),
        "12 images in the first tenth, 2,000": headers(2000, lambda k: 12 if k < 200 else 1),
        "12 images at random in 5 of 100, 2,000": headers(2000, lambda k: 12 if seldom.random() < 0.05 else 1),  # noqa: ARG005
        "1 to 12 images at random, 15,894": headers(15_894, lambda k: seldom.randint(1, 12)),  # noqa: ARG005
    }
    print(f"{'slowest rank / mean, before -> after':40}" + "".join(f"{ranks:>8} ranks  " for ranks in RANKS))
    for name, questions in mixes.items():
        before = [tokens(header) for header in questions]
        after = [before[index] for index in document_order(questions)]
        cells = [f"{imbalance(before, ranks):5.2f} -> {imbalance(after, ranks):4.2f}  " for ranks in RANKS]
        print(f"{name:40}" + " ".join(cells))


def main() -> None:
    """Counts, or times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timed", type=int, metavar="QUESTIONS", help="time so many instead, some minutes for 400")
    count = parser.parse_args().timed
    timed(count) if count else counted()


if __name__ == "__main__":
    main()
