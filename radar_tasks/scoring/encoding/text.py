"""Text to tokens in such a way that text from data stays text, whatever it looks like."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from radar_tasks.errors import CheckpointError


@dataclass(frozen=True)
class TokenisedText:
    """Tokens of a piece of text.

    Attributes:
        ids: the tokens.
        ends: for each token the place in the text behind its last character; None where the tokenizer cannot say.
    """

    ids: tuple[int, ...]
    ends: tuple[int, ...] | None


class TextTokenizer:
    """Tokenises pieces of a prompt.

    A fast tokenizer is asked through a copy that has never heard of its control tokens, so `<|im_end|>` in a question
    is split as a reader would spell it. A slow one is asked to split them. Should a control token come out all the
    same (a vocabulary can hold its name as an ordinary piece), its name is cut in the text.

    Args:
        tokenizer: of transformers, fast or slow.
        control_ids: tokens that text must never become, beside those that the tokenizer itself calls special.
    """

    def __init__(self, tokenizer: Any, control_ids: Iterable[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._control_ids = {*tokenizer.all_special_ids, *control_ids} - {tokenizer.unk_token_id}
        added = tokenizer.added_tokens_decoder
        self._control_ids |= {id_ for id_, token in added.items() if token.special and id_ != tokenizer.unk_token_id}
        names = tokenizer.convert_ids_to_tokens(sorted(self._control_ids))
        self._control_names = sorted((name for name in names if name), key=len, reverse=True)
        self._backends = _text_backends(tokenizer, set(self._control_names))

    def text(self, text: str, first: bool = False) -> TokenisedText:
        """Tokens of a piece of text.

        Args:
            text: any text.
            first: whether the prompt starts with it; some tokenizers put a space in front of the first word then.
        """
        tokenised = self._tokenise(text, first)
        if self._control_ids.isdisjoint(tokenised.ids):
            return tokenised
        ids: list[int] = []
        ends: list[int] = []
        for start, piece in self._cut(text):
            part = self._tokenise(piece, first and start == 0)
            ids += part.ids
            ends += [start + end for end in part.ends or ()]
        if not self._control_ids.isdisjoint(ids):
            raise CheckpointError(
                f"the tokenizer turns the text {text!r} into control tokens; it cannot be used safely."
            )
        return TokenisedText(tuple(ids), tuple(ends) if tokenised.ends is not None else None)

    def control(self, name: str) -> int:
        """The token of that name.

        Raises:
            CheckpointError: the tokenizer has none; the prompt format does not fit it.
        """
        id_ = self._tokenizer.convert_tokens_to_ids(name)
        if id_ is None or id_ == self._tokenizer.unk_token_id:
            raise CheckpointError(
                f"the tokenizer has no token {name!r}, which the prompt format needs: try prompt_format=plain."
            )
        return int(id_)

    @property
    def fallback_start(self) -> int | None:
        """A token for the model to start from where a prompt has none: of the sequence's begin, else of its end."""
        tokenizer = self._tokenizer
        return next(
            (t for t in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) if t is not None), None
        )

    def _tokenise(self, text: str, first: bool) -> TokenisedText:
        if self._backends is None:
            ids = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            return TokenisedText(tuple(ids), None)
        encoding = self._backends[first].encode(text, add_special_tokens=False)
        return TokenisedText(tuple(encoding.ids), tuple(end for _, end in encoding.offsets))

    def _cut(self, text: str) -> list[tuple[int, str]]:
        """Pieces of the text with their places, cut behind the first character of each control token's name."""
        cuts = {0, len(text)}
        for name in self._control_names:
            place = text.find(name)
            while place >= 0:
                cuts.add(place + 1)
                place = text.find(name, place + 1)
        places = sorted(cuts)
        return [(a, text[a:b]) for a, b in itertools.pairwise(places)]


def vocabulary_digest(tokenizer: Any) -> str:
    """Which number each token of a tokenizer of transformers has, as 16 hexadecimal digits: another vocabulary may cut
    texts alike, and a model still reads other words."""
    numbers = sorted(tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
    return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:16]


def tokens_in_front(tokenizer: Any) -> tuple[int, ...]:
    """Tokens that a tokenizer of transformers itself puts before a text, e.g. `<bos>`."""
    return tokens_around(tokenizer)[0]


def tokens_around(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tokens that a tokenizer of transformers itself puts before and behind a text, e.g. `[CLS]` and `[SEP]`."""
    try:
        whole, bare = (tokenizer("a", add_special_tokens=add)["input_ids"] for add in (True, False))
    except ValueError:  # UDOP's takes words with their places only, but an answer as it is
        whole, bare = (tokenizer(text_target="a", add_special_tokens=add)["input_ids"] for add in (True, False))
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return tuple(whole[:start]), tuple(whole[start + len(bare) :])
    return (), ()


def _text_backends(tokenizer: Any, control_names: set[str]) -> dict[bool, Any] | None:
    """The fast tokenizer without its control tokens, for a piece at the start (True) or not; None for a slow one.

    Added tokens that are not control tokens stay: some vocabularies have whitespace and HTML tags among them.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not hasattr(backend, "to_str"):
        return None
    from tokenizers import Tokenizer

    description = json.loads(backend.to_str())
    description["added_tokens"] = [
        token for token in description["added_tokens"] if not token["special"] and token["content"] not in control_names
    ]
    description["post_processor"] = None
    description["truncation"] = description["padding"] = None
    first = json.dumps(description)
    _never_prepend(description)
    later = json.dumps(description)
    start = Tokenizer.from_str(first)
    return {True: start, False: start if later == first else Tokenizer.from_str(later)}


def _never_prepend(description: Any) -> None:
    """Makes `Metaspace(prepend_scheme="first")` leave pieces alone that are not the first."""
    if isinstance(description, dict):
        if description.get("prepend_scheme") == "first":
            description["prepend_scheme"] = "never"
        for key in ("pre_tokenizer", "pretokenizers"):
            _never_prepend(description.get(key))
    elif isinstance(description, list):
        for item in description:
            _never_prepend(item)
