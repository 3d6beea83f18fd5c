"""The official release of M3-Bench: a folder per task, JSON files and pictures in it, as a folder or as the zip.

Layout and prompts follow the evaluation scripts of Nieysh/RADAR; `docs/data.md` has the table.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radar_tasks.errors import DataError
from radar_tasks.questions import MAX_IMAGES, Question
from radar_tasks.sources.catalogue import PUBLISHED, Published
from radar_tasks.sources.drafts import Builder, Draft, candidates, marked_draft
from radar_tasks.sources.pictures import MAX_FILE_BYTES
from radar_tasks.sources.release_files import Files, open_files
from radar_tasks.sources.source_reader import Rejected
from radar_tasks.sources.strict_json import JsonObject, parse_json
from radar_tasks.validation import validation_problems

MAX_JSON_BYTES = 64 * 2**20
ENDING = "_pretrained_mllm_eval.json"
PICTURE_ENDINGS = (".jpg", ".png", ".jpeg")

# `MMBench_{category}_{n}_…`, `MMMU_Pro_{subject}_{n}_…`; the category may hold underscores.
_CATEGORY = {
    "mmbench": re.compile(rf"MMBench_(.+)_[^_]+{re.escape(ENDING)}"),
    "mmmu_pro": re.compile(rf"MMMU_Pro_(.+)_[^_]+{re.escape(ENDING)}"),
}


def release_sources(location: Path) -> list[ReleaseSource]:
    """The sources of the release in a folder or zip, in the order of the paper's tables.

    The task folders may lie one or more folders down, as they do in the zip.

    Raises:
        DataError: there is none of the nine task folders, or one of them twice, or a zip is damaged or hostile.
    """
    files = open_files(location)
    names: dict[str, list[str]] = {}
    for name in files.names():
        parts = PurePosixPath(name).parts
        if not parts or "__MACOSX" in parts or parts[-1].startswith("."):
            continue
        for folder in {source.folder for source in PUBLISHED.values()} & set(parts[:-1]):
            names.setdefault("/".join(parts[: parts.index(folder) + 1]), []).append(name)
    found: dict[str, str] = {}
    for folder in sorted(names):
        other = found.setdefault(PurePosixPath(folder).name, folder)
        if other != folder:
            raise DataError(f"{location} holds {other} and {folder}: give the folder of one release")
    if not found:
        expected = ", ".join(source.folder for source in PUBLISHED.values())
        raise DataError(f"{location} is not an M3-Bench release: none of its task folders is there ({expected})")
    return [
        ReleaseSource(published, files, found[published.folder], names[found[published.folder]])
        for published in PUBLISHED.values()
        if published.folder in found
    ]


class ReleaseSource:
    """One task folder of the release, as a `source_reader.SourceReader`."""

    kind: Literal["release"] = "release"

    def __init__(self, published: Published, files: Files, folder: str, names: list[str]) -> None:
        self.source = published.name
        self.location = files.location
        self._builder = Builder(published.name, published.ability, published.task)
        self._files = files
        self._folder = folder
        self._names = sorted(names)

    def fingerprint(self) -> str:
        """Digest of names, sizes and dates (in a zip: checksums) of the files of this task."""
        stamps = (f"{name}\0{self._files.stamp(name)}\n" for name in self._names)
        return hashlib.sha256("".join(stamps).encode(errors="surrogatepass")).hexdigest()

    def __len__(self) -> int:
        return sum(1 if isinstance(items, DataError) else len(items) for items in self._items.values())

    def read(self) -> Iterator[Question | Rejected]:
        """The questions in the order of the sorted file names; see `source_reader.SourceReader`."""
        if not self._items:
            yield Rejected("", self._folder, (f"there is no file *{ENDING} in it",))
        seen: dict[str, str] = {}
        for file, items in self._items.items():
            if isinstance(items, DataError):
                yield Rejected("", file, (str(items),))
                continue
            for key, item in items.items():
                problems = _key_problems(key)
                if key in items.repeated:
                    problems.append("this q_id comes more than once in the file")
                draft = self._draft(key, item, file)
                if seen.setdefault(draft.q_id, file) != file:
                    problems.append(f"this q_id is in {seen[draft.q_id]} too")
                yield self._builder.build(replace(draft, problems=(*problems, *draft.problems)), self._read_picture)

    @cached_property
    def _items(self) -> dict[str, JsonObject | DataError]:
        depth = self._folder.count("/") + 1
        files = [name for name in self._names if name.endswith(ENDING) and name.count("/") == depth]
        return {name: self._load(name) for name in files}

    def _load(self, name: str) -> JsonObject | DataError:
        try:
            self._category(name)
            data = parse_json(self._files.read(name, MAX_JSON_BYTES), name)
        except DataError as error:
            return error
        return data if isinstance(data, JsonObject) else DataError("JSON as expected is an object q_id -> question")

    def _category(self, file: str) -> str:
        if self.source not in _CATEGORY:
            return ""
        match = _CATEGORY[self.source].fullmatch(PurePosixPath(file).name)
        if match is None:
            raise DataError("its name does not hold a category in the way of the release")
        return match[1]

    def _draft(self, key: str, data: Any, file: str) -> Draft:
        category = self._category(file)
        # MMBench's keys are only sure to be unique within a category, as its pictures are.
        q_id = f"{category}/{key}" if self.source == "mmbench" else key
        try:
            item = _Item.model_validate(data)
        except ValidationError as error:
            return Draft(q_id, file, ("",), (), (), 0, category, q_id, problems=_in_words(error))
        repeated = tuple(f"{name!r} comes more than once" for name in data.repeated)
        if self.source == "mmmu_pro":
            return self._marked(q_id, item, file, category, repeated)
        options, answer, problems = candidates(q_id, item.answer, item.distraction)
        pictures, missing = self._unmarked_pictures(key, category, item)
        return Draft(
            q_id=q_id,
            file=file,
            text=(item.question,),
            pictures=pictures,
            options=options,
            answer=answer,
            category=category,
            image_id=q_id if self.source == "mmbench" else key.split("--", 1)[0],
            problems=repeated + missing + problems,
        )

    def _marked(self, q_id: str, item: _Item, file: str, category: str, problems: tuple[str, ...]) -> Draft:
        if item.ori_options is None:
            problems += ("'ori_options' is missing",)
        draft = marked_draft(
            q_id=q_id,
            file=file,
            question=item.question,
            answer=item.answer,
            distractors=item.distraction,
            shown_options=item.ori_options or "",
            picture_name=lambda mark: self._picture(f"{category}/{q_id}_image_{mark}", ".png"),
            category=category,
        )
        return replace(draft, problems=problems + draft.problems)

    def _unmarked_pictures(self, key: str, category: str, item: _Item) -> tuple[tuple[str, ...], tuple[str, ...]]:
        name = key.split("--", 1)[0]
        if self.source == "mmbench":
            return (self._picture(f"{category}/{key}", ".jpg"),), ()
        if self.source != "seephys":
            return (self._picture(name, ".jpg"),), ()
        if item.img_num is None:
            return (), ("'img_num' is missing",)
        # No more names than tell that there are too many: the number comes from the file.
        return tuple(self._picture(f"{name}_{k}", ".png") for k in range(min(item.img_num, MAX_IMAGES + 1))), ()

    def _picture(self, name: str, ending: str) -> str:
        """The file of a picture: with the ending of the official scripts or, if only that is there, another one."""
        expected = f"{self._folder}/images/{name}{ending}"
        others = (f"{self._folder}/images/{name}{other}" for other in PICTURE_ENDINGS)
        return next((file for file in (expected, *others) if file in self._files), expected)

    def _read_picture(self, file: str) -> bytes:
        if file not in self._files:
            raise DataError(f"image {file} is missing")
        return self._files.read(file, MAX_FILE_BYTES)


class _Item(BaseModel):
    """A question as the release writes it; numbers have come as `JsonNumber`, which is a text."""

    model_config = ConfigDict(frozen=True, strict=True)

    question: str
    answer: str
    distraction: list[str]
    img_num: Annotated[int, Field(strict=False, ge=0)] | None = None
    ori_options: str | None = None


def _in_words(error: ValidationError) -> tuple[str, ...]:
    return tuple(
        f"not JSON as expected: {place or 'the question'}: {wrong}" for place, wrong in validation_problems(error)
    )


def _key_problems(key: str) -> list[str]:
    """A key becomes part of a file name, so it must not be able to point anywhere else."""
    if any(character in key for character in "/\\\0") or key in ("", ".", ".."):
        return ["the q_id is empty or holds a path separator"]
    return []
