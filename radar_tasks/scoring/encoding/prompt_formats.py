"""A question as a family's prompt: parts in order, and how the option follows. Formats: `docs/prompts.md`.

A prompt is made of parts and not of one string, so that text from data can never become a control token or an image:
only `Control` and `Image` parts give such tokens.

The wording of each family's prompt follows the evaluation scripts of Nieysh/RADAR, restated in our own code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from radar_tasks.errors import CheckpointError
from radar_tasks.questions import AskedQuestion, Question, VerbatimQuestion
from radar_tasks.scoring.families import family_of


@dataclass(frozen=True)
class Text:
    """Text, from data or from the format; whatever it looks like, it is tokenised as text."""

    text: str


@dataclass(frozen=True)
class Control:
    """One token of the tokenizer by its name, e.g. `<|im_end|>`."""

    token: str


@dataclass(frozen=True)
class Image:
    """The placeholder tokens of image `index` of the question."""

    index: int


Part = Text | Control | Image


@dataclass(frozen=True)
class Prompt:
    """What stands before an option, and how the option follows.

    Attributes:
        parts: in the order of the prompt.
        joiner: between prompt and option; it belongs to the prompt, but a token that crosses into the option does not.
        scored: which tokens are the option's: those that hold any of its `text`, or those behind as many tokens as the
            prompt has alone (`length`, as the official scripts count; it differs where the tokenizer merges across).
    """

    parts: tuple[Part, ...]
    joiner: str
    scored: Literal["text", "length"] = "text"


@dataclass(frozen=True)
class PixelLimits:
    """Least and largest area of an image in pixels.

    Attributes:
        script: what the official script sets.
        published: what the publisher ships with the processor; one with other limits was trained with them.
    """

    script: tuple[int, int]
    published: tuple[int, int]


@dataclass(frozen=True)
class Wording:
    """What a prompt format says, and what its family's official script does with pictures.

    Attributes:
        prompt: a question in these words.
        verbatim: a question of another project in its own words, with nothing around them but what the family cannot
            do without.
        newline_after_image: sources whose prompts have a newline instead of a space between image and question.
        has_script: whether the paper has an official script for it, so that `official` can be asked for.
        pixels: limits of an image's area.
        most_tiles: most tiles an image, thumbnail not counted.
        resizes_twice: whether the script (and so `official`) resizes with `qwen_vl_utils` before the processor does,
            and puts what is transparent on white.
    """

    prompt: Callable[[Question, PromptFormat], Prompt]
    verbatim: Callable[[VerbatimQuestion, PromptFormat], Prompt]
    newline_after_image: tuple[str, ...] = ()
    has_script: bool = False
    pixels: PixelLimits | None = None
    most_tiles: int | None = None
    resizes_twice: bool = False


@dataclass(frozen=True)
class PromptFormat:
    """A way to ask, resolved for a checkpoint.

    Attributes:
        name: as in `prompt_format`, never `auto`.
        wording: the format whose words are used; differs from the name only for `official`.
        official: whether to reproduce the oddities of the official script that change a score.
        system_message: of a chat format.
    """

    name: str
    wording: str
    official: bool = False
    system_message: str = ""

    def prompt(self, question: AskedQuestion) -> Prompt:
        """The question as a prompt of this format."""
        if isinstance(question, VerbatimQuestion):
            return self.rules.verbatim(question, self)
        return self.rules.prompt(question, self)

    @property
    def rules(self) -> Wording:
        """The entry of its wording."""
        return WORDINGS[self.wording]


INTERNVL_SYSTEM = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)
"""The system message that the publisher's template `internvl2_5` falls back on."""

CONVERTED_FROM = "radar_prompt_format"
"""Key in the config.json of a checkpoint written by `radar checkpoint convert`: the format that it was trained with."""


def resolve_format(
    name: str, model_type: str, config: Mapping[str, Any], trained_with: str | None = None
) -> PromptFormat:
    """The format that `prompt_format` names for a checkpoint.

    Args:
        name: one of `model_args.PromptFormatName`.
        model_type: the model's type in transformers.
        config: the checkpoint's config.json.
        trained_with: what `auto` means for it, where that is not its family's format.

    Raises:
        CheckpointError: `official` for a family that has no official script.
    """
    wording = str(config.get(CONVERTED_FROM) or trained_with or family_of(model_type).prompt_format)
    if wording not in WORDINGS:
        raise CheckpointError(f"config.json: {CONVERTED_FROM} is {wording!r}, not one of {', '.join(WORDINGS)}.")
    official = name == "official"
    if official and not WORDINGS[wording].has_script:
        raise CheckpointError(
            f"prompt_format=official: the paper has no script for {model_type} checkpoints, only for Qwen2-VL, "
            "InternVL and LLaVA-OneVision. Use prompt_format=auto."
        )
    if name not in ("auto", "official"):
        wording = name
    system = config.get("system_message", "")
    # The official script formats a null into the prompt, as the word.
    system = "None" if official and system is None else system or INTERNVL_SYSTEM
    return PromptFormat("official" if official else wording, wording, official, str(system))


def _plain(question: Question, form: PromptFormat) -> Prompt:
    """Images where the question marks them or in front, the question, one space, the option."""
    parts = _in_place(question)
    if not question.images_are_marked:
        parts = [*_images(question), Text(question.text[0])]
    if form.official:
        return Prompt(tuple(parts), joiner=" ", scored="length")
    if isinstance(parts[-1], Text):
        parts[-1] = Text(parts[-1].text.rstrip())
    return Prompt(tuple(parts), joiner=" ")


def _paligemma(question: Question, _: PromptFormat) -> Prompt:
    """Images in front, wherever the question marks them, then `<bos>`, the question and a newline."""
    text = " ".join(piece.strip() for piece in question.text).strip()
    return Prompt((*_images(question), Control("<bos>"), Text(text + "\n")), joiner="")


def _llava_onevision(question: Question, form: PromptFormat) -> Prompt:
    """`<image> question newline`; the projector stage saw captions in this shape."""
    parts = _in_place(question)
    if not question.images_are_marked:
        parts = [*_images(question), Text(_separator(question, form) * bool(question.images) + question.text[0])]
    return Prompt((*parts, Text("\n")), joiner="", scored="length" if form.official else "text")


def _internvl_chat(question: Question, form: PromptFormat) -> Prompt:
    """The chat template `internvl2_5`; the option is the start of the assistant's turn."""
    parts = _in_place(question)
    if not question.images_are_marked:
        images: Sequence[Image] = _images(question)
        # The script looks for "<image>" in the text once an image, finds none as it has just been expanded, and
        # prepends: the last image's block comes first while the pixels stay in order.
        images = images[::-1] if form.official else images
        parts = [part for image in images for part in (image, Text(_separator(question, form)))]
        parts.append(Text(question.text[0]))
    return Prompt(
        (
            *_turn("system", [Text(form.system_message)]),
            *_turn("user", parts),
            *_turn("assistant", [])[:2],
        ),
        joiner="",
        scored="length" if form.official else "text",
    )


def _verbatim(question: VerbatimQuestion, _: PromptFormat) -> Prompt:
    """Images in front, the text and the joiner to the character."""
    return Prompt((*_images(question), Text(question.text)), question.joiner)


def _verbatim_paligemma(question: VerbatimQuestion, _: PromptFormat) -> Prompt:
    """As `_verbatim`, with the `<bos>` that the family has between images and text."""
    return Prompt((*_images(question), Control("<bos>"), Text(question.text)), question.joiner)


def _verbatim_internvl_chat(question: VerbatimQuestion, form: PromptFormat) -> Prompt:
    """The text is the user's turn; the joiner and the option start the assistant's."""
    asked = [part for image in _images(question) for part in (image, Text("\n"))]
    parts = (
        *_turn("system", [Text(form.system_message)]),
        *_turn("user", [*asked, Text(question.text)]),
        *_turn("assistant", [])[:2],
    )
    return Prompt(parts, question.joiner)


def _turn(role: str, parts: Sequence[Part]) -> tuple[Part, ...]:
    return (Control("<|im_start|>"), Text(role + "\n"), *parts, Control("<|im_end|>"), Text("\n"))


def _separator(question: Question, form: PromptFormat) -> str:
    return "\n" if question.source in form.rules.newline_after_image else " "


def _images(question: AskedQuestion) -> list[Image]:
    return [Image(index) for index in range(len(question.images))]


def _in_place(question: Question) -> list[Part]:
    """Pieces of text with the images between them."""
    parts: list[Part] = [Text(question.text[0])]
    for index, piece in enumerate(question.text[1:]):
        parts += [Image(index), Text(piece)]
    return parts


WORDINGS: Mapping[str, Wording] = {
    "plain": Wording(_plain, _verbatim),
    "qwen2_vl": Wording(
        _plain,
        _verbatim,
        has_script=True,
        pixels=PixelLimits(script=(256 * 28 * 28, 768 * 28 * 28), published=(56 * 56, 28 * 28 * 16384)),
        resizes_twice=True,
    ),
    "paligemma": Wording(_paligemma, _verbatim_paligemma),
    "llava_onevision": Wording(_llava_onevision, _verbatim, ("mmbench", "mathvista"), has_script=True),
    # The checkpoints' own `max_dynamic_patch` (12) is not used in the script.
    "internvl_chat": Wording(
        _internvl_chat,
        _verbatim_internvl_chat,
        ("mmbench", "mmmu_pro", "mathvista"),
        has_script=True,
        most_tiles=3,
    ),
}
