"""The four sources of M3-Bench whose data sets are public, made again by the paper's recipe.

A rebuilt source is not the release: its distractors are other ones than the paper's. Which rule made one stands in
`Question.rule`. Columns are those that lmms-eval's own tasks of these data sets read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.sources.distractors import (
    Distractor,
    changed_expression,
    shifted_list,
    shifted_number,
    wrong_option,
)
from radar_tasks.sources.drafts import Builder, Draft, candidates, marked_draft
from radar_tasks.sources.option_lists import options_in_list
from radar_tasks.sources.pictures import picture_bytes
from radar_tasks.sources.record_files import Record
from radar_tasks.sources.source_reader import Rejected

Pictures = dict[str, Any]
"""Pictures of a row by the name used in its draft, each as `datasets` gives it undecoded: `{"bytes", "path"}`."""


@dataclass(frozen=True)
class Recipe:
    """How one data set becomes a source.

    Attributes:
        hub_id: the data set on the Hub; `config` and `split` within it.
        columns: what `make` reads; pictures are in `picture_columns`.
        make: a row, and the answers of all rows, to a draft and its pictures. A `ValueError` says what is wrong with
            the row; None means that the row is not one of the questions (MMBench's rotated copies).
    """

    hub_id: str
    config: str | None
    split: str
    columns: tuple[str, ...]
    picture_columns: tuple[str, ...]
    make: Callable[[Record, tuple[str, ...]], tuple[Draft, Pictures] | None]


class PublicSource:
    """A public data set as a `source_reader.SourceReader`.

    Args:
        source: `mmbench`, `mathvista`, `seephys` or `mmmu_pro`.
        location: a folder (written by `save_to_disk`, or of files that `datasets` loads) or the id of a data set on
            the Hub to take instead of the recipe's own.

    Raises:
        DataError: there is no recipe for this source, or the data set cannot be had or has other columns.
    """

    kind: Literal["public"] = "public"

    def __init__(self, source: str, location: str | None = None) -> None:
        if source not in RECIPES:
            raise DataError(
                f"{source!r} cannot be rebuilt from a public data set; these can: {', '.join(RECIPES)}. "
                "M3-Bench is fetched with: radar data download"
            )
        self.source = source
        self._recipe = RECIPES[source]
        self.location = location or self._recipe.hub_id
        published = PUBLISHED[source]
        self._builder = Builder(source, published.ability, published.task)
        self._rows = _load(self.location, self._recipe)

    def fingerprint(self) -> str:
        """The fingerprint that `datasets` keeps of the data."""
        return str(self._rows._fingerprint)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self) -> Iterator[Question | Rejected]:
        """The questions in the data set's order; see `source_reader.SourceReader`."""
        # Wrong options are made of them; a missing answer is told with its own row and makes none.
        answers = tuple(answer for answer in self._rows["answer"] if isinstance(answer, str) and _is_there(answer))
        seen: dict[str, Draft] = {}
        for place, row in enumerate(self._rows):
            where = f"{self.location}, row {place}"
            values = {column: value for column, value in row.items() if _is_there(value)}
            try:
                made = self._recipe.make(Record(place, where, values), answers)
            except (ValueError, SyntaxError, KeyError, IndexError, TypeError) as error:
                yield Rejected("", where, (f"the row is not as expected: {error}",))
                continue
            if made is None or made[0] == seen.get(made[0].q_id):
                continue
            draft, pictures = made
            if draft.q_id in seen:
                yield Rejected(draft.q_id, where, ("the q_id comes twice, with other texts",))
                continue
            seen[draft.q_id] = draft
            yield self._builder.build(draft, partial(_picture_bytes, pictures))


def _load(location: str, recipe: Recipe) -> Any:
    import datasets

    try:
        if (Path(location) / "dataset_dict.json").is_file() or (Path(location) / "state.json").is_file():
            rows = _split_of(datasets.load_from_disk(location), recipe)
        elif Path(location).is_dir():
            configs = datasets.get_dataset_config_names(location)
            rows = _split_of(
                datasets.load_dataset(location, recipe.config if recipe.config in configs else None), recipe
            )
        else:
            rows = datasets.load_dataset(location, recipe.config, split=recipe.split)
    except Exception as error:  # the Hub's client has a hundred ways to say that something is not there
        raise DataError(
            f"the data set {location} ({recipe.config or 'default'}, {recipe.split}) cannot be loaded: {error}\n"
            "Without the Hub, give a local copy: --from FOLDER"
        ) from error
    if missing := set(recipe.columns + recipe.picture_columns[:1]) - set(rows.column_names):
        raise DataError(
            f"{location} has no columns {', '.join(sorted(missing))}; it has {', '.join(rows.column_names)}"
        )
    return _undecoded(rows, recipe.picture_columns)


def _split_of(data: Any, recipe: Recipe) -> Any:
    """Of a local copy the recipe's split or, as `datasets` does not find every name in files, the only one."""
    if not isinstance(data, dict):
        return data
    return data[recipe.split] if recipe.split in data or len(data) != 1 else next(iter(data.values()))


def _undecoded(rows: Any, columns: tuple[str, ...]) -> Any:
    """The rows with pictures as the files they were, instead of decoded ones that would have to be encoded again."""
    import datasets

    for column in columns:
        if column in rows.column_names:
            feature = rows.features[column]
            plain: Any = datasets.Image(decode=False)
            rows = rows.cast_column(column, datasets.List(plain) if hasattr(feature, "feature") else plain)
    return rows


def _picture_bytes(pictures: Pictures, name: str) -> bytes:
    if not (picture := pictures.get(name)):
        raise DataError(f"image {name} is missing")
    return picture_bytes(picture, Path())


def _draft(q_id: str, text: str, answer: str, wrong: Distractor, **others: Any) -> Draft:
    options, place, problems = candidates(q_id, answer, [wrong.text])
    return Draft(q_id=q_id, text=(text,), options=options, answer=place, problems=problems, rule=wrong.rule, **others)


def _mmbench(row: Record, _answers: tuple[str, ...]) -> tuple[Draft, Pictures] | None:
    index = int(row.text("index"))
    if index >= 1_000_000:  # the same question with its options rotated, for circular evaluation
        return None
    options = {letter: row.text(letter) for letter in "ABCD" if letter in row.values}
    answer = options[row.text("answer")]
    category = row.text("category")
    text = f"{row.text('hint')} {row.text('question')}" if "hint" in row.values else row.text("question")
    q_id = f"{category}/{index}"
    wrong = wrong_option(q_id, list(options.values()), answer)
    draft = _draft(
        q_id, text, answer, wrong, file=f"index {index}", pictures=("image",), category=category, image_id=q_id
    )
    return draft, {"image": row.values.get("image")}


def _mathvista(row: Record, _answers: tuple[str, ...]) -> tuple[Draft, Pictures]:
    q_id, answer = row.text("pid"), row.text("answer")
    make = {"integer": shifted_number, "float": shifted_number, "list": shifted_list}
    if row.text("question_type") == "multi_choice":
        wrong = wrong_option(q_id, _texts(row, "choices"), answer)
    else:
        wrong = make[row.text("answer_type")](q_id, answer)
    unit = f" (Unit: {row.text('unit')})" if "unit" in row.values else ""
    text = f"{row.text('question')}{unit}"
    draft = _draft(
        q_id, text, answer, wrong, file=f"pid {q_id}", pictures=("decoded_image",), category="", image_id=q_id
    )
    return draft, {"decoded_image": row.values.get("decoded_image")}


def _seephys(row: Record, answers: tuple[str, ...]) -> tuple[Draft, Pictures]:
    index, answer = row.text("index"), row.text("answer")
    pictures = {f"{index}_{k}": picture for k, picture in enumerate(row.values["images"])}
    q_id = f"{index}--0"
    draft = _draft(
        q_id,
        row.text("question") if "question" in row.values else "",
        answer,
        changed_expression(q_id, answer, answers),
        file=f"index {index}",
        pictures=tuple(pictures),
        category="",
        image_id=index,
    )
    return draft, pictures


def _mmmu_pro(row: Record, _answers: tuple[str, ...]) -> tuple[Draft, Pictures]:
    q_id, shown = row.text("id"), row.text("options")
    options = _texts(row, "options")
    answer = options["ABCDEFGHIJ".index(row.text("answer"))]
    wrong = wrong_option(q_id, options, answer)
    draft = marked_draft(
        q_id=q_id,
        file=f"id {q_id}",
        question=row.text("question"),
        answer=answer,
        distractors=[wrong.text],
        shown_options=shown,
        picture_name=lambda mark: f"image_{mark}",
        category=row.text("subject"),
        rule=wrong.rule,
    )
    return draft, {name: row.values.get(name) for name in draft.pictures}


def _texts(row: Record, column: str) -> list[str]:
    """A list of options, or the text of one. Raises `ValueError` if one of them is not a text."""
    options = options_in_list(row.values[column], column)
    if not all(isinstance(option, str) for option in options):
        raise ValueError(f"column {column!r} holds options that are no texts")
    return options


def _is_there(value: Any) -> bool:
    """Tables of these data sets hold `nan`, as a number or a text, where nothing stands."""
    return value is not None and (isinstance(value, list | dict) or str(value).strip().lower() not in ("", "nan"))


RECIPES: dict[str, Recipe] = {
    "mmbench": Recipe(
        "lmms-lab-encoder/MMBench",
        "en",
        "dev",
        ("index", "question", "answer", "A", "B", "category"),
        ("image",),
        _mmbench,
    ),
    "mathvista": Recipe(
        "AI4Math/MathVista",
        None,
        "testmini",
        ("pid", "question", "answer", "choices", "question_type", "answer_type"),
        ("decoded_image",),
        _mathvista,
    ),
    "seephys": Recipe("SeePhys/SeePhys", None, "train", ("index", "question", "answer"), ("images",), _seephys),
    "mmmu_pro": Recipe(
        "MMMU/MMMU_Pro",
        "standard (4 options)",
        "test",
        ("id", "question", "options", "answer", "subject"),
        tuple(f"image_{k}" for k in range(1, 8)),
        _mmmu_pro,
    ),
}
