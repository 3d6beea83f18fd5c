"""How many planted faults `radar items audit` finds, and how many sound questions it names: precision and recall.

    python benchmarks/audit.py RESULTS... [--draws 3] [--share 0.05] [--last N]

takes training runs with `prior=blind`, audits each by itself (its last N checkpoints, or all), and plants in every
source, in 5 % of its questions each, the first three kinds at once, and giveaways by themselves, since scores are not
those of the new texts:

* `wrong_key`: any other option is the key;
* `blind_solvable`: without the picture the options score as they do with it at the last checkpoint;
* `never_answered`: at every checkpoint the key has the question's lowest score, and of the others, shuffled, none
  stands out (a fifth of their differences is left);
* `giveaways`, length: the answer's text is said at length; form: it ends with a stop, as no other option does; prior:
  it is one and the same text, which is offered nowhere else;
* `duplicates`: the question once more with the picture as `COPIES` makes it, every second one with another key; only of
  sources that are in the store.

A fault counts as found where its list names it. Precision counts against a list whatever else it names; beside it
stands the share of what it names that has no fault of any kind. Sources of which a list says that it cannot look at
them are left out of its numbers; how many faults are in the others is the column "looked at". Intervals (95 %) are a
bootstrap over runs and sources, crossed: questions of a source have much in common, and so have checkpoints of a run.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from radar_metrics.ragged import Ragged
from radar_tasks.analysis.audit.audited_source import AuditedSource, audited_sources
from radar_tasks.analysis.audit.duplicates import duplicates
from radar_tasks.analysis.audit.question_audit import QuestionAudit, audit_questions
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.report.text_tables import markdown
from radar_tasks.results import TrainingRun, find_runs
from radar_tasks.store import Origin, QuestionTable, SourceWriter, open_source, source_path

FLAT = 0.2
RESAMPLES = 2000
LISTS = ("wrong_key", "blind_solvable", "never_answered", "giveaways")
OF_SCORES = LISTS[:3]
OF_TEXTS = ("giveaways, length", "giveaways, form", "giveaways, prior")
"""What is planted at once; before the comma stands the list that is to name it."""


@dataclass(frozen=True)
class Planted:
    """A source with faults, and the q_ids that have each."""

    source: AuditedSource
    faults: dict[str, set[str]]

    def of_list(self, kind: str) -> set[str]:
        """The questions that a list is to name."""
        return set().union(*(of for fault, of in self.faults.items() if _list_of(fault) == kind))

    @property
    def faulty(self) -> set[str]:
        """The questions with any fault."""
        return set().union(*self.faults.values())


class Counts:
    """By run and source, an array (R, S) each.

    Attributes:
        planted, looked, found: of each fault how many were planted, looked at and found.
        named, right, sound: of each list how many it named, of which right, and with no fault at all.
    """

    def __init__(self, runs: int, sources: int) -> None:
        def zeros(names: Sequence[str]) -> dict[str, np.ndarray]:
            return {name: np.zeros((runs, sources)) for name in names}

        self.planted, self.looked, self.found = (zeros((*OF_SCORES, *OF_TEXTS)) for _ in range(3))
        self.named, self.right, self.sound = (zeros(LISTS) for _ in range(3))

    def add(self, at: tuple[int, int], planted: Planted, made: QuestionAudit) -> None:
        """Count what an audit says of a source."""
        name = planted.source.name
        silent = {row.kind for row in made.not_looked_at if row.source == name}
        kinds = set(map(_list_of, planted.faults))
        named = {kind: {row.q_id for row in getattr(made, kind) if row.source == name} for kind in kinds}
        for fault, true in planted.faults.items():
            kind = _list_of(fault)
            self.planted[fault][at] += len(true)
            if kind not in silent:
                self.looked[fault][at] += len(true)
                self.found[fault][at] += len(true & named[kind])
        for kind in kinds:
            self.named[kind][at] += len(named[kind])
            self.right[kind][at] += len(named[kind] & planted.of_list(kind))
            self.sound[kind][at] += len(named[kind] - planted.faulty)


def _list_of(fault: str) -> str:
    return fault.partition(",")[0]


def _rows(faults: Sequence[str], n: int, share: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    part = max(1, round(share * n))
    return dict(zip(faults, rng.permutation(n)[: len(faults) * part].reshape(len(faults), part), strict=True))


def _planted(source: AuditedSource, faulty: AuditedSource, rows: dict[str, np.ndarray]) -> Planted:
    faults = {name: {str(source.asked.q_id[i]) for i in chosen} for name, chosen in rows.items()}
    return Planted(replace(faulty, checksum=""), faults)


def of_scores(source: AuditedSource, rng: np.random.Generator, share: float) -> Planted:
    """The source with faults that scores show."""
    rows = _rows(OF_SCORES, len(source), share, rng)
    answer = source.asked.answer.copy()
    for i in rows["wrong_key"]:
        answer[i] = (answer[i] + 1 + rng.integers(source.counts[i] - 1)) % source.counts[i]
    seen = tuple(_key_last(scores, answer, rows["never_answered"], rng) for scores in source.seen)
    blind = tuple(_with_rows(scores, source.seen[-1], rows["blind_solvable"]) for scores in source.blind)
    return _planted(source, replace(source, asked=replace(source.asked, answer=answer), seen=seen, blind=blind), rows)


def of_texts(source: AuditedSource, rng: np.random.Generator, share: float) -> Planted:
    """The source with options that give the answer away."""
    rows = _rows(OF_TEXTS, len(source), share, rng)
    answer, options = source.asked.answer, [list(of) for of in source.asked.options]
    for i in rows["giveaways, length"]:
        options[i][answer[i]] += ", as one can see when one looks at the picture for a while"
    for i in rows["giveaways, form"]:
        options[i][answer[i]] += "."
    for i in rows["giveaways, prior"]:
        options[i][answer[i]] = "amber"
    return _planted(source, replace(source, asked=replace(source.asked, options=options)), rows)


def _key_last(scores: Ragged, answer: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> Ragged:
    values = scores.values.copy()
    for i in rows:
        place = slice(scores.offsets[i], scores.offsets[i + 1])
        row = rng.permutation(np.sort(values[place])[1:])
        row = row.mean() + FLAT * (row - row.mean())
        values[place] = np.insert(row, answer[i], values[place].min())
    return scores.with_values(values)


def _with_rows(scores: Ragged, other: Ragged, rows: np.ndarray) -> Ragged:
    values = scores.values.copy()
    for i in rows:
        values[scores.offsets[i] : scores.offsets[i + 1]] = other[i]
    return scores.with_values(values)


def _saved(kind: str, scale: float = 1.0, **how: int) -> Callable[[Image.Image], bytes]:
    def copy(picture: Image.Image) -> bytes:
        into = io.BytesIO()
        size = (round(scale * picture.width), round(scale * picture.height))
        picture.resize(size, Image.Resampling.BICUBIC).save(into, kind, **how)
        return into.getvalue()

    return copy


COPIES = {
    "duplicates, as it is": None,
    "duplicates, JPEG 60": _saved("JPEG", quality=60),
    "duplicates, twice the size": _saved("PNG", scale=2.0),
    "duplicates, WebP 50": _saved("WEBP", quality=50),
    "duplicates, JPEG 30": _saved("JPEG", quality=30),
    "duplicates, 0.7 of the size": _saved("PNG", scale=0.7),
}
"""How a picture comes to be there twice; thresholds were set on the first three."""


def with_duplicates(source: AuditedSource, rng: np.random.Generator, share: float, table: QuestionTable) -> Planted:
    """The source with some questions of its table once more, in the store of the moment."""
    name = f"twice_{source.name}"
    questions = [replace(table[i], source=name) for i in range(len(table))]
    part = max(1, round(share * len(questions)))
    chosen = rng.permutation(len(questions))[: part * len(COPIES)].reshape(len(COPIES), part)
    twins, faults = [], {}
    for (fault, copy), rows in zip(COPIES.items(), chosen, strict=True):
        faults[fault] = set()
        for i in rows:
            question, q_id = questions[i], f"twin-{len(twins)}"
            answer = (question.answer + len(twins) % 2) % len(question.options)
            images = tuple(_copied(image, copy) for image in question.images)
            twins.append(replace(question, q_id=q_id, image_id=q_id, images=images, answer=answer))
            faults[fault] |= {question.q_id, q_id}
    source_path(name).parent.mkdir(parents=True, exist_ok=True)
    every = [*questions, *twins]
    with SourceWriter(source_path(name)) as writer:
        for question in every:
            writer.add(question)
        checksum = writer.finish(Origin(kind="table", location=source.name)).checksum
    asked = replace(
        source.asked,
        q_id=np.array([q.q_id for q in every]),
        image_id=np.array([q.image_id for q in every]),
        category=np.array([""] * len(every)),
        answer=np.array([q.answer for q in every]),
        options=[list(q.options) for q in every],
        prompts=["<image>".join(q.text) for q in every],
    )
    return Planted(AuditedSource(name, checksum, asked, (), (), ()), faults)


def _copied(image: bytes, copy: Callable[[Image.Image], bytes] | None) -> bytes:
    if copy is None:
        return image
    with Image.open(io.BytesIO(image)) as opened:
        return copy(opened.convert("RGB"))


def _crossed(runs: int, sources: int, rng: np.random.Generator) -> np.ndarray:
    """(RESAMPLES, R, S) how often each cell is drawn."""
    of_runs = rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES)
    of_sources = rng.multinomial(sources, np.full(sources, 1 / sources), RESAMPLES)
    return of_runs[:, :, None] * of_sources[:, None, :]


def _rate(hits: np.ndarray, of: np.ndarray, drawn: np.ndarray) -> str:
    """A share of sums with its interval."""
    if not of.sum():
        return "–"
    above, below = (np.einsum("brs,rs->b", drawn, part) for part in (hits, of))
    low, high = np.quantile(above[below > 0] / below[below > 0], [0.025, 0.975])
    return f"{hits.sum() / of.sum():.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Plant, audit, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    parser.add_argument("--draws", type=int, default=3, help="times that faults are planted in a run (default 3)")
    parser.add_argument("--share", type=float, default=0.05, help="of a source's questions, of each kind")
    parser.add_argument("--last", type=int, help="checkpoints of a run, the last ones (default all)")
    parser.add_argument("--seed", type=int, default=2026)
    chosen = parser.parse_args()
    trainings, notes = training_runs(find_runs(chosen.results))
    for note in notes:
        print(note)
    _print_results(trainings, chosen)
    _print_duplicates(audited_sources(trainings[0].results)[0], chosen)


def _print_results(trainings: Sequence[TrainingRun], chosen: argparse.Namespace) -> None:
    """What results show."""
    names = list(dict.fromkeys(source for training in trainings for source in training.sources))
    counts = Counts(len(trainings), len(names))
    clean = dict.fromkeys(LISTS, 0)
    asked = 0
    for r, training in enumerate(trainings):
        results = training.results[-chosen.last :] if chosen.last else training.results
        sources, _ = audited_sources(results)
        asked += sum(map(len, sources))
        made = audit_questions(sources)
        for kind in LISTS:
            clean[kind] += len(getattr(made, kind))
        for draw in range(chosen.draws):
            rng = np.random.default_rng([chosen.seed, draw, r])
            for plant in (of_scores, of_texts):
                faulty = [plant(source, rng, chosen.share) for source in sources]
                made = audit_questions([part.source for part in faulty])
                for part in faulty:
                    counts.add((r, names.index(part.source.name)), part, made)
    drawn = _crossed(len(trainings), len(names), np.random.default_rng(chosen.seed))
    print(
        f"{len(trainings)} runs, {len(names)} sources, {chosen.draws} draws a run, {chosen.share:.0%} of each fault; "
        f"of {asked:,} questions without a planted fault are named: "
        + ", ".join(f"{kind} {many}" for kind, many in clean.items())
        + "\n"
    )
    lines = []
    for fault in (*OF_SCORES, *OF_TEXTS):
        kind = _list_of(fault)
        lines.append(
            [
                fault,
                f"{counts.planted[fault].sum():.0f}",
                f"{counts.looked[fault].sum() / counts.planted[fault].sum():.0%}",
                _rate(counts.right[kind], counts.named[kind], drawn),
                _rate(counts.sound[kind], counts.named[kind], drawn),
                _rate(counts.found[fault], counts.looked[fault], drawn),
            ]
        )
    print(markdown(["fault", "planted", "looked at", "precision of the list", "of it sound", "recall"], lines))


def _print_duplicates(sources: Sequence[AuditedSource], chosen: argparse.Namespace) -> None:
    """Of sources that are in the store, once: no result has a part in it."""
    missing = duplicates(sources)[1]
    tables = [source for source in sources if source.name not in missing]
    if not tables:
        print("\nNo source is in the store: duplicates are left out.")
        return
    rng = np.random.default_rng([chosen.seed, 1])
    clean = len(duplicates(tables)[0])
    # The copies are written into a store of their own.
    with tempfile.TemporaryDirectory() as home:
        known = {source.name: open_source(source.name) for source in tables}
        os.environ["RADAR_HOME"] = home
        faulty = [with_duplicates(source, rng, chosen.share, known[source.name]) for source in tables]
        found = {(row.source, row.q_id) for row in duplicates([part.source for part in faulty])[0]}
    drawn = _crossed(1, len(tables), rng)
    every = [set().union(*part.faults.values()) for part in faulty]
    named = [{q_id for source, q_id in found if source == part.source.name} for part in faulty]
    precision = _rate(_row(len(a & b) for a, b in zip(named, every, strict=True)), _row(map(len, named)), drawn)
    lines = []
    for fault in COPIES:
        true = [part.faults[fault] for part in faulty]
        recall = _rate(_row(len(a & b) for a, b in zip(named, true, strict=True)), _row(map(len, true)), drawn)
        lines.append([fault, str(sum(map(len, true))), precision, recall])
    print(f"\n{len(tables)} sources in the store; without a planted fault {clean} questions are named\n")
    print(markdown(["fault", "planted", "precision of the list", "recall"], lines))


def _row(values: Iterable[int]) -> np.ndarray:
    return np.array([list(values)], dtype=float)


if __name__ == "__main__":
    main()
