"""Small tokenizers of the kinds that multimodal checkpoints come with, trained in milliseconds on three sentences."""

from __future__ import annotations

import json
import re
from typing import Any

import transformers as hf
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

WORDS = [
    "The image shows a red circle left of the blue square.",
    "How many green plants are there? What is above the animal, below or behind it?",
    "Which animal is this? A cat, a dog, two horses. Select the correct option: yes no 0123456789",
]


def tokenizer(
    specials: tuple[str, ...], style: str = "bytes", bos: bool = False, pad: str = "<pad>", **named: str
) -> hf.PreTrainedTokenizerBase:
    """A trained tokenizer.

    Args:
        specials: control tokens beside `pad`, `<s>` and `</s>`.
        style: `bytes` (byte-level BPE, as Qwen's and Llama 3's), `words` (Metaspace BPE with a token a byte: a space
            goes in front of the first word), `llama` (Llama 2's: a space goes in front of what follows a control token,
            too), `gemma` (none anywhere), `fuyu` (a unigram model, `specials` are ordinary pieces), `t5` (a unigram
            model, `</s>` behind a text), `udop` (UDOP's own class, for words with their places) or `pieces` (WordPiece
            between [CLS] and [SEP], as BERT's).
        bos: whether `<s>` is put in front of a text.
        pad: name of the padding token, id 0 for `bytes`.
        named: further attributes, e.g. `image_token="<image>"`; each is a control token, too.
    """
    if style == "pieces":
        return _pieces(specials, named)
    if style == "fuyu":
        return _unigram(specials, bos="<s>")
    if style == "udop":
        return hf.UdopTokenizer(vocab=[("<pad>", 0.0), *_pieces_of_words(), *((name, 0.0) for name in specials)])
    if style == "t5":
        return _unigram((pad, *specials))
    control = [AddedToken(t, special=True, normalized=False) for t in (pad, "<s>", "</s>", *specials)]
    options: dict[str, Any] = {"vocab_size": 700}
    if style == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        options["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    elif style == "llama":
        backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        control = ["<unk>", *[f"<0x{b:02X}>" for b in range(256)], *control]
    elif style == "gemma":
        backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        backend.normalizer = normalizers.Replace(" ", "▁")
        backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        control = ["<unk>", *[f"<0x{b:02X}>" for b in range(256)], *control]
    elif style == "words":
        backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        backend.decoder = decoders.Metaspace()
        control = ["<unk>", *[f"<0x{b:02X}>" for b in range(256)], *control]
    else:
        raise ValueError(style)
    backend.train_from_iterator(WORDS, trainers.BpeTrainer(special_tokens=control, show_progress=False, **options))
    backend = _with_ordinary_bytes(backend)
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", backend.token_to_id("<s>"))]
        )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token=pad, extra_special_tokens=named,
        **({"unk_token": "<unk>"} if style != "bytes" else {}),
    )  # fmt: skip


def _pieces(specials: tuple[str, ...], named: dict[str, str]) -> hf.PreTrainedTokenizerBase:
    control = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *specials]
    letters = sorted({letter for sentence in WORDS for letter in sentence.lower() if letter.isalnum()})
    words = sorted({word for sentence in WORDS for word in re.findall("[a-z]+", sentence.lower())})
    names = dict.fromkeys([*control, *letters, *(f"##{letter}" for letter in letters), *",.?", *words])
    backend = Tokenizer(models.WordPiece({name: place for place, name in enumerate(names)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(control)
    ids = [(t, backend.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return hf.BertTokenizer(
        tokenizer_object=backend, vocab=backend.get_vocab(), do_lower_case=True, extra_special_tokens=named,
        model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def _pieces_of_words() -> list[tuple[str, float]]:
    letters = sorted({letter for sentence in WORDS for letter in sentence} - {" "})
    words = sorted({f"▁{word}" for sentence in WORDS for word in sentence.split()})
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((f"<0x{b:02X}>", -20.0) for b in range(256))]
    return [*pieces, ("▁", -6.0), *((letter, -8.0) for letter in letters), *((word, -4.0) for word in words)]


def _unigram(specials: tuple[str, ...], bos: str | None = None) -> hf.PreTrainedTokenizerBase:
    pieces = [*_pieces_of_words(), *((name, 0.0) for name in specials)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens(["<unk>", "<s>", "</s>", *([] if bos else specials)])
    if bos:
        return hf.PreTrainedTokenizerFast(
            tokenizer_object=backend, bos_token=bos, eos_token="</s>", unk_token="<unk>", pad_token="</s>"
        )
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", backend.token_to_id("</s>"))]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="</s>", unk_token="<unk>", pad_token=specials[0]
    )


def _with_ordinary_bytes(backend: Tokenizer) -> Tokenizer:
    """The trainer makes every token it is given a control token; the pieces for single bytes are none."""
    description = json.loads(backend.to_str())
    description["added_tokens"] = [t for t in description["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(description))
