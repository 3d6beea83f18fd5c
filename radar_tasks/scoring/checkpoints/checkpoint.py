"""`Checkpoint`: a model with everything that turns a question into what it sees."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from radar_tasks.errors import QuestionError
from radar_tasks.questions import AskedQuestion
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions, Withheld
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Kind, Recognised
from radar_tasks.scoring.encoding.processor_call import SecondReader, second_tokenizers, start_token
from radar_tasks.scoring.encoding.processor_prompt import seam_of
from radar_tasks.scoring.encoding.prompt_formats import PromptFormat
from radar_tasks.scoring.encoding.question_encoder import QuestionEncoder
from radar_tasks.scoring.encoding.text import TextTokenizer, tokens_in_front, vocabulary_digest
from radar_tasks.scoring.families import family_of
from radar_tasks.scoring.types import DECODER_TOKENS, TOKENS, EncodedQuestion


@dataclass
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        options: as given, or what stands for them if the model was in memory already.
        model: of transformers; loaded here it is in evaluation mode and its weights take no gradients, a trainer's is
            left as it is.
        parts: configuration, processor and the way with images.
        form: the resolved prompt format.
        recognised: what was found on disk; None for a model that was in memory already.
    """

    options: CheckpointOptions
    model: Any
    parts: Parts
    form: PromptFormat
    recognised: Recognised | None = None

    @property
    def processor(self) -> Any:
        """The processor of transformers."""
        return self.parts.processor

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.parts.processor.tokenizer

    @property
    def kind(self) -> Kind:
        """How the checkpoint was loaded."""
        return self.recognised.kind if self.recognised else "native"

    @property
    def model_type(self) -> str:
        """The model's type in transformers."""
        return str(self.parts.config.model_type)

    @property
    def prompt_format(self) -> str:
        """Name of the resolved prompt format, never `auto`."""
        return self.form.name

    @property
    def max_length(self) -> int:
        """The model's context in tokens."""
        return context_length(self.parts.config)

    @cached_property
    def encoder(self) -> QuestionEncoder:
        """Questions to tokens and tensors."""
        return question_encoder(self.parts, self.form, self.options.blind)

    def encode(self, question: AskedQuestion) -> EncodedQuestion:
        """A question as this checkpoint sees it; needs the CPU only, safe to call from several threads.

        Raises:
            QuestionError: the question cannot be asked (image, option or length); names it.
            CheckpointError: tokenizer or processor do not do what the prompt format needs.
        """
        return self._asked(question, self.encoder)

    def encode_with_prior(self, question: AskedQuestion, withheld: Withheld) -> EncodedQuestion:
        """As `encode`, with the same question without its pictures in `prior`.

        Args:
            question: of any kind.
            withheld: `blind` leaves the pictures out of the prompt, `blank` puts grey ones of their size there.
        """
        return replace(self.encode(question), prior=self._asked(question, self._prior_encoders[withheld]))

    def _asked(self, question: AskedQuestion, encoder: QuestionEncoder) -> EncodedQuestion:
        encoded = encoder(question)
        if missing := self._needed - {TOKENS.ids, DECODER_TOKENS.ids, *encoded.token_inputs, *encoded.vision}:
            raise QuestionError(
                f"question {question.q_id!r}: {self.model_type} cannot be asked without {', '.join(sorted(missing))}"
                + (": it takes no prompt without an image." if not encoded.vision else ".")
            )
        return encoded

    @cached_property
    def _needed(self) -> frozenset[str]:
        """Inputs that the model's forward cannot do without."""
        arguments = inspect.signature(self.model.forward).parameters.values()
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return frozenset(a.name for a in arguments if a.kind in named and a.default is inspect.Parameter.empty)

    @cached_property
    def _prior_encoders(self) -> dict[Withheld, QuestionEncoder]:
        return {
            "blind": question_encoder(self.parts, self.form, True),
            "blank": question_encoder(self.parts, self.form, "blank"),
        }

    @cached_property
    def _vocabulary(self) -> str:
        return vocabulary_digest(self.tokenizer)

    def describe(self) -> dict[str, Any]:
        """What goes into results: plain values."""
        said = self.recognised.describe() if self.recognised else {"kind": self.kind, "model_type": self.model_type}
        return said | {"prompt_format": self.prompt_format} | self.describe_loaded()

    def describe_loaded(self) -> dict[str, Any]:
        """The part of it that only a loaded checkpoint can say."""
        return {
            "dtype_loaded": str(self.model.dtype).removeprefix("torch."),
            "images": self.parts.vision.settings(),
            "vocabulary": self._vocabulary,
        }


def question_encoder(parts: Parts, form: PromptFormat, blind: bool | str = False) -> QuestionEncoder:
    """Questions to tokens and tensors for a checkpoint with these parts."""
    tokens = TextTokenizer(parts.processor.tokenizer, parts.vision.image_token_ids)
    family = family_of(parts.config.model_type)
    seam = seam_of(parts.vision, tokens)
    most = context_length(parts.config)
    start = decoder_start(parts.config, parts.processor.tokenizer)
    readers = [SecondReader(name, tokenizer) for name, tokenizer in second_tokenizers(parts.processor).items()]
    return QuestionEncoder(
        tokens,
        parts.vision,
        form,
        most,
        blind=blind,
        family=family,
        seam=seam,
        decoder_start=start,
        second_reader=next(iter(readers), None),
    )


def decoder_start(config: Any, tokenizer: Any) -> tuple[int, ...]:
    """What an encoder-decoder's decoder starts from: its start token, and what the tokenizer puts before an answer."""
    start = start_token(config, tokenizer)
    if start is None:
        return ()
    before = tokens_in_front(tokenizer)
    return before if before[:1] == (start,) else (start, *before)


def context_length(config: Any) -> int:
    """The most tokens that a model can attend to; very large where its configuration sets no limit."""
    text = config.get_text_config(decoder=True)
    for name in ("max_position_embeddings", "max_sequence_length", "n_positions", "seq_length"):
        if isinstance(value := getattr(text, name, None), int):
            return value
    return 1 << 30
