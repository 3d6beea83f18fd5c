"""In which order a task hands out its documents.

lmms-eval takes the first N documents for `--limit N` and gives rank r of W the documents r, r + W, r + 2W, ...
So the order decides what a limit means and how evenly the ranks are loaded:

1. Any first N documents are a stratified sample: categories come in proportion to their size, and within one the
   order is that of a hash of the q_id, so it depends neither on the run nor on how the data was written.
2. Within short blocks the documents are sorted by cost, so that ranks that take every W-th one get alike ones: their
   sums differ by at most one document's cost a block, whatever W is. Each block starts at its own random place of the
   sorted circle, so that a limit which cuts a block does not favour cheap questions.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

BLOCK = 32


def document_order(headers: Sequence[Mapping[str, Any]]) -> list[int]:
    """The order in which to hand out questions: indices into `headers`, each once.

    Args:
        headers: one a question, with `q_id`, `category`, `text`, `options`, `n_images`.
    """
    stratified = _stratified(headers)
    ordered: list[int] = []
    for start in range(0, len(stratified), BLOCK):
        block = sorted(stratified[start : start + BLOCK], key=lambda i: (cost(headers[i]), _hash(headers[i]["q_id"])))
        turn = _hash(f"block {start}") % len(block)
        ordered += block[turn:] + block[:turn]
    return ordered


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
