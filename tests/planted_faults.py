"""Results with faults planted in their questions, each known, for what finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Record = dict[str, Any]
WORDS = [
    "amber", "basin", "cedar", "delta", "ember", "fjord",
    "grove", "haven", "inlet", "jetty", "knoll", "ledge",
    "mango", "night", "ocean", "pearl", "quart", "river",
]  # fmt: skip


@dataclass
class Planted:
    """Records of several checkpoints on one source, and which questions are faulty.

    Attributes:
        records: by checkpoint.
        faults: by list of the audit the q_ids.
    """

    records: list[list[Record]]
    faults: dict[str, set[str]] = field(default_factory=dict)


def plant(
    skills: Sequence[float],
    *,
    n: int = 200,
    options: Sequence[int] = (4,),
    seed: int = 0,
    wrong_key: int = 0,
    blind_solvable: int = 0,
    never_answered: int = 0,
    giveaways: int = 0,
    blind: bool = True,
) -> Planted:
    """Questions of which so many are faulty, answered by checkpoints that know the truth so well.

    A checkpoint gives the true option `skill` more nats than others, less what makes a question hard (an exponential of
    mean 1, the same for all); its noise has a deviation of 0.5. A wrong key is any other option. A blind-solvable
    question has 3 nats more for its key without the picture, others only noise. A question that is never answered has 3
    nats less for the key, and each checkpoint likes another wrong option. A giveaway's answer is three times as long.
    """
    rng = np.random.default_rng([seed, 11])
    counts = np.array([options[i % len(options)] for i in range(n)])
    truth = rng.integers(counts)
    order = iter(rng.permutation(n))
    chosen = {
        name: [int(next(order)) for _ in range(many)]
        for name, many in (
            ("wrong_key", wrong_key),
            ("blind_solvable", blind_solvable),
            ("never_answered", never_answered),
            ("giveaways", giveaways),
        )
    }
    key = truth.copy()
    for i in chosen["wrong_key"]:
        key[i] = (truth[i] + 1 + rng.integers(counts[i] - 1)) % counts[i]
    texts = [
        [f"{WORDS[k]} {w}" for k, w in zip(rng.permutation(18)[:m], rng.permutation(18)[:m], strict=True)]
        for m in counts
    ]
    for i in chosen["giveaways"]:
        texts[i][key[i]] = " ".join(rng.choice(WORDS, 7))
    hard = rng.exponential(1.0, n)
    prior = [rng.normal(0, 0.5, m) for m in counts]
    without = [p + rng.normal(0, 0.3, m) for p, m in zip(prior, counts, strict=True)]
    for i in chosen["blind_solvable"]:
        without[i][key[i]] += 3.0
    made = []
    for k, skill in enumerate(skills):
        own = np.random.default_rng([seed, 12, k])
        records = []
        for i, m in enumerate(counts):
            scores = prior[i] + own.normal(0, 0.5, m)
            scores[truth[i]] += skill - hard[i] * min(skill, 1.0)
            if i in chosen["never_answered"]:
                scores = prior[i] + own.normal(0, 1.0, m)
                scores[key[i]] -= 3.0
            logprob = scores - 12.0
            records.append(
                {
                    "score": float(np.exp(logprob[key[i]]) / np.exp(logprob).sum()),
                    "q_id": f"q{i:04d}",
                    "image_id": f"image{i:04d}",
                    "category": "",
                    "options": texts[i],
                    "answer": int(key[i]),
                    "logprob": logprob.tolist(),
                    **({"logprob_blind": (without[i] + own.normal(0, 0.1, m) - 12.0).tolist()} if blind else {}),
                    "bytes": [len(text.encode()) for text in texts[i]],
                }
            )
        made.append(records)
    return Planted(made, {name: {f"q{i:04d}" for i in rows} for name, rows in chosen.items()})
