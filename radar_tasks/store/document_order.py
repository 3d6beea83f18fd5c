"""In which order a task hands out its documents.

lmms-eval takes the first N documents for `--limit N` and gives rank r of W the documents r, r + W, r + 2W, ...
So the order decides what a limit means and how evenly the ranks are loaded:

1. Any first N documents are a stratified sample: categories come in proportion to their size, and within one the
   order is that of a hash of the q_id, so it depends neither on the run nor on how the data was written.
2. Within short blocks the costliest documents go to the ranks that have least so far, for all the numbers of ranks in
   `RANKS` (and so for their divisors) at once. Where nothing tells places apart a hash does, so that a limit which
   cuts a block favours neither cheap questions nor dear ones.

The order knows nothing of the ranks that will be there: a document keeps its number, and with it its place in
lmms-eval's response cache, when a run goes on with another number of processes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

BLOCK = 32

RANKS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)
"""Numbers of processes to be even for: one host of up to 8 GPUs, and as many hosts as one checkpoint is spread over."""


def document_order(headers: Sequence[Mapping[str, Any]]) -> list[int]:
    """The order in which to hand out questions: indices into `headers`, each once.

    Args:
        headers: one per question, with `q_id`, `category`, `text`, `options`, `n_images`.
    """
    stratified = _stratified(headers)
    costs = [cost(header) for header in headers]
    loads = {ranks: [0] * ranks for ranks in RANKS}  # cost of the documents of each rank so far
    tie = [_hash(f"place of {headers[i]['q_id']}") for i in stratified]
    ordered = stratified.copy()
    for start in range(0, len(stratified), BLOCK):
        block = sorted(stratified[start : start + BLOCK], key=lambda i: (-costs[i], _hash(headers[i]["q_id"])))
        places = sorted(range(start, start + len(block)), key=lambda place: (_load_at(place, loads), tie[place]))
        for place, index in zip(places, block, strict=True):
            ordered[place] = index
            for ranks, load in loads.items():
                load[place % ranks] += costs[index]
    return ordered


def _load_at(place: int, loads: Mapping[int, Sequence[int]]) -> int:
    """What the ranks that get this place have so far, each load in units of its mean (but for a common factor)."""
    return sum(ranks * load[place % ranks] for ranks, load in loads.items())


def cost(header: Mapping[str, Any]) -> int:
    """A rough measure of the work a question makes, in characters: an image weighs as much as 1,000 of them."""
    text = sum(map(len, header["text"])) + sum(map(len, header["options"]))
    return int(header["n_images"]) * 1000 + text


def _stratified(headers: Sequence[Mapping[str, Any]]) -> list[int]:
    categories: dict[str, list[int]] = defaultdict(list)
    for index, header in enumerate(headers):
        categories[header["category"]].append(index)
    places: list[tuple[float, int, int]] = []
    for members in categories.values():
        members.sort(key=lambda i: _hash(headers[i]["q_id"]))
        places += [((k + 0.5) / len(members), _hash(headers[i]["q_id"]), i) for k, i in enumerate(members)]
    return [index for _, _, index in sorted(places)]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
