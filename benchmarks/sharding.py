"""How evenly ranks are loaded: the slowest over the mean, in the order of the data and in the order of the harness.

    python benchmarks/sharding.py

Costs are counted, not timed: `visual tokens + text tokens` of a prompt and its options, 256 tokens a picture and four
characters a token. Rank r of W gets questions r, r + W, ... as lmms-eval gives them out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from radar_tasks.order import document_order

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


def main() -> None:
    """Prints one row a mix."""
    seldom = random.Random(9)
    mixes = {
        "1 and 12 images in turn, 2,000": headers(2000, lambda k: 12 if k % 2 else 1),
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


if __name__ == "__main__":
    main()
