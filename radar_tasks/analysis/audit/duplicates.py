"""Questions that are there twice: the same pictures, or nearly, with the same text, and whether their keys agree.

Two questions are duplicates where pictures and text are the same and their answers are, or all their options; they
contradict each other where each offers the other's key and has another one. Pictures come from the store where it has
the data that was scored; without it, equal names of pictures within a source stand for equal pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radar_tasks.analysis.audit.alike_pictures import are_alike, look, near
from radar_tasks.analysis.audit.audited_source import AuditedSource, quoted
from radar_tasks.errors import DataError
from radar_tasks.sources.distractors import spelling
from radar_tasks.store import OtherVersionError, QuestionTable, open_version

BY_NAMES = "only pictures of one name within the source were compared"


@dataclass(frozen=True)
class Duplicate:
    """A question that is there twice; its twin has an entry of its own.

    Attributes:
        source, q_id: which question.
        why: a sentence.
        twin_source, twin_q_id: the other one.
        contradictory: whether their keys differ.
    """

    source: str
    q_id: str
    why: str
    twin_source: str
    twin_q_id: str
    contradictory: bool


@dataclass(frozen=True)
class _Asked:
    """One question, as far as it is compared."""

    source: str
    q_id: str
    picture: str
    options: tuple[str, ...]
    answer: int

    @property
    def key(self) -> str:
        return _plain(self.options[self.answer])

    @property
    def plain(self) -> frozenset[str]:
        return frozenset(map(_plain, self.options))


def duplicates(sources: Sequence[AuditedSource]) -> tuple[list[Duplicate], dict[str, str]]:
    """The questions, contradictory ones first, and by source what could not be looked at."""
    tables: dict[str, QuestionTable] = {}
    missing: dict[str, str] = {}
    for source in sources:
        try:
            tables[source.name] = open_version(source.name, source.checksum)
        except OtherVersionError:
            missing[source.name] = f"pictures not looked at: the store has another version of the data; {BY_NAMES}"
        except DataError:
            missing[source.name] = f"pictures not looked at: the data is not in the store; {BY_NAMES}"
    found: dict[tuple[str, str, str, str], Duplicate] = {}
    for first, second, how in [*_by_name(sources), *_by_picture(sources, tables)]:
        for one, other in ((first, second), (second, first)):
            found.setdefault((one.source, one.q_id, other.source, other.q_id), _duplicate(one, other, how))
    rows = sorted(found.values(), key=_order)
    # Of several twins a question names one, a contradictory one before others.
    once = {(row.source, row.q_id): row for row in reversed(rows)}
    return sorted(once.values(), key=_order), missing


def _order(row: Duplicate) -> tuple[object, ...]:
    """Contradictory ones first, twins beside each other."""
    pair = sorted([(row.source, row.q_id), (row.twin_source, row.twin_q_id)])
    return not row.contradictory, pair, row.source, row.q_id


def _by_name(sources: Sequence[AuditedSource]) -> Iterator[tuple[_Asked, _Asked, str]]:
    """Pairs within a source on pictures of one name."""
    for source in sources:
        groups: dict[tuple[str, str], list[_Asked]] = defaultdict(list)
        for i in range(len(source)):
            image = str(source.asked.image_id[i])
            text = _plain(source.asked.prompts[i])
            if image and text:
                groups[image, text].append(_asked(source, i))
        for members in groups.values():
            for k, second in enumerate(members):
                yield from ((first, second, "the same") for first in members[:k] if _are_twins(first, second))


def _by_picture(
    sources: Sequence[AuditedSource], tables: dict[str, QuestionTable]
) -> Iterator[tuple[_Asked, _Asked, str]]:
    """Pairs of any sources whose data is here, by what their pictures show."""
    groups: dict[str, list[tuple[_Asked, int]]] = defaultdict(list)
    for source in sources:
        if source.name not in tables:
            continue
        place = {
            str(row["q_id"]): (k, _plain(" ".join(row["text"]))) for k, row in enumerate(tables[source.name].headers())
        }
        for i in range(len(source)):
            asked = _asked(source, i)
            if asked.q_id in place:
                k, text = place[asked.q_id]
                groups[text].append((asked, k))
    possible = []
    for members in groups.values():
        may_be = _with_a_twin([asked for asked, _ in members])
        chosen = [member for member, may in zip(members, may_be, strict=True) if may]
        if len(chosen) > 1:
            possible.append(chosen)
    # In file order over all texts, so that a row group is read once.
    order = sorted({(asked.source, k) for chosen in possible for asked, k in chosen})
    pictures = {(source, k): look(tables[source][k].images) for source, k in order}
    for chosen in possible:
        seen = [pictures[asked.source, k] for asked, k in chosen]
        for a, b in near(seen):
            first, second = chosen[a][0], chosen[b][0]
            if _are_twins(first, second) and (how := are_alike(seen[a], seen[b])):
                yield first, second, how


def _with_a_twin(members: Sequence[_Asked]) -> list[bool]:
    """Which questions of one text can have a twin by their options, before pictures are decoded."""
    keys: dict[str, int] = defaultdict(int)
    offered: dict[str, int] = defaultdict(int)
    for asked in members:
        keys[asked.key] += 1
        for text in asked.plain:
            offered[text] += 1
    # The key stands as a key or as an option in another question, too.
    return [keys[asked.key] > 1 or offered[asked.key] > 1 for asked in members]


def _are_twins(first: _Asked, second: _Asked) -> bool:
    if first.key == second.key:
        return True
    return first.key in second.plain and second.key in first.plain


def _duplicate(one: _Asked, other: _Asked, how: str) -> Duplicate:
    contradictory = one.key != other.key
    pictures = {"the same": "the same picture(s)", "nearly the same": "nearly the same picture(s)"}[how]
    if one.plain == other.plain:
        same = f"{pictures}, text and options as"
    elif contradictory:
        same = f"{pictures} and text as"
    else:
        same = f"{pictures}, text and answer, with other distractors, as"
    said = f"{same} {other.q_id}"
    if other.source != one.source:
        said += f" of {other.source}"
    if contradictory:
        there, here = (quoted(asked.options[asked.answer]) for asked in (other, one))
        said += f", but the key there is {there} and here {here}"
    return Duplicate(one.source, one.q_id, said + ".", other.source, other.q_id, contradictory)


def _asked(source: AuditedSource, i: int) -> _Asked:
    asked = source.asked
    return _Asked(
        source.name, str(asked.q_id[i]), str(asked.image_id[i]), tuple(asked.options[i]), int(asked.answer[i])
    )


def _plain(text: str) -> str:
    """A text without case, kinds of blanks and a stop at its end; signs within it count (`-5` is not `5`)."""
    return spelling(text).rstrip(" .:;?!") or text
