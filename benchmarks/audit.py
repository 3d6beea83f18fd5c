"""How many planted faults `radar items audit` finds, and how many sound questions it names: precision and recall.

    python benchmarks/audit.py RESULTS... [--draws 5]

takes results with `prior=blind`, of `radar demo` for one, and plants in every source, in 5 % of its questions each:

* `wrong_key`: another option is the key;
* `blind_solvable`: without the picture the options score as they do with it at the last checkpoint;
* `never_answered`: at every checkpoint the key has the question's lowest score, and of the others, shuffled, none
  stands out (a fifth of their differences is left);
* `giveaways`: the answer's text is said at length;
* `duplicates`: the question once more, a third of them with the picture as it is, a third as JPEG of quality 60, a
  third at twice the size, and every second one with another key; only of sources that are in the store.

A fault counts as found where its list names it; a question that a fault was not planted in and that is named counts
against precision, also where another kind was planted in it. "Sound" is what is named where nothing was planted.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from collections import defaultdict
from dataclasses import replace

import numpy as np
from PIL import Image

from radar_metrics.ragged import Ragged
from radar_tasks.analysis.audit.audited_source import AuditedSource, audited_sources
from radar_tasks.analysis.audit.duplicates import duplicates
from radar_tasks.analysis.audit.question_audit import KINDS, QuestionAudit, audit_questions
from radar_tasks.questions import Question
from radar_tasks.report.text_tables import markdown
from radar_tasks.results import find_runs
from radar_tasks.store import Origin, SourceWriter, open_source, source_path

SHARE, FLAT = 0.05, 0.2
Faults = dict[str, set[tuple[str, str]]]


def planted(source: AuditedSource, rng: np.random.Generator, faults: Faults) -> AuditedSource:
    """The source with faults of the four kinds that results show."""
    n = len(source)
    part = int(SHARE * n)
    kinds = ("wrong_key", "blind_solvable", "never_answered", "giveaways")
    rows = dict(zip(kinds, rng.permutation(n)[: 4 * part].reshape(4, part), strict=True))
    for kind, chosen in rows.items():
        faults[kind] |= {(source.name, str(source.asked.q_id[i])) for i in chosen}
    answer = source.asked.answer.copy()
    for i in rows["wrong_key"]:
        answer[i] = (answer[i] + 1 + rng.integers(source.counts[i] - 1)) % source.counts[i]
    options = [list(of) for of in source.asked.options]
    for i in rows["giveaways"]:
        options[i][answer[i]] = f"{options[i][answer[i]]}, as one can see when one looks at the picture for a while"
    seen = tuple(_key_last(scores, answer, rows["never_answered"], rng) for scores in source.seen)
    blind = tuple(_with_rows(scores, source.seen[-1], rows["blind_solvable"]) for scores in source.blind)
    asked = replace(source.asked, answer=answer, options=options)
    return replace(source, asked=asked, seen=seen, blind=blind, checksum="")


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


def with_duplicates(source: AuditedSource, rng: np.random.Generator, faults: Faults) -> AuditedSource:
    """The source with some questions once more, in the store of the moment."""
    table = open_source(source.name)
    name = f"twice_{source.name}"
    questions = [replace(table[i], source=name) for i in range(len(table))]
    twins = []
    for k, i in enumerate(rng.choice(len(questions), int(SHARE * len(questions)), replace=False)):
        question = questions[i]
        answer = (question.answer + 1) % len(question.options) if k % 2 else question.answer
        images = tuple(_again(image, k % 3) for image in question.images)
        twins.append(replace(question, q_id=f"twin-{k}", image_id=f"twin-{k}", images=images, answer=answer))
        faults["duplicates"] |= {(name, question.q_id), (name, f"twin-{k}")}
    source_path(name).parent.mkdir(parents=True, exist_ok=True)
    with SourceWriter(source_path(name)) as writer:
        for question in [*questions, *twins]:
            writer.add(question)
        checksum = writer.finish(Origin(kind="table", location=source.name)).checksum
    every = [*questions, *twins]
    asked = replace(
        source.asked,
        q_id=np.array([q.q_id for q in every]),
        image_id=np.array([q.image_id for q in every]),
        category=np.array([""] * len(every)),
        answer=np.array([q.answer for q in every]),
        options=[list(q.options) for q in every],
        prompts=[_text(q) for q in every],
    )
    return AuditedSource(name, checksum, asked, (), (), ())


def _text(question: Question) -> str:
    return "<image>".join(question.text)


def _again(image: bytes, way: int) -> bytes:
    if way == 0:
        return image
    into = io.BytesIO()
    with Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB")
    if way == 1:
        picture.save(into, "JPEG", quality=60)
    else:
        picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC).save(into, "PNG")
    return into.getvalue()


def named(made: QuestionAudit, kind: str) -> set[tuple[str, str]]:
    """What a list names."""
    return {(row.source, row.q_id) for row in getattr(made, kind)}


def main() -> None:
    """Plant, audit, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    parser.add_argument("--draws", type=int, default=5, help="times that faults are planted (default 5)")
    chosen = parser.parse_args()
    sources, _ = audited_sources(find_runs(chosen.results))
    clean = audit_questions(sources)
    most = max(len(source.seen) for source in sources)
    print(f"{sum(map(len, sources))} questions of {len(sources)} sources, {most} checkpoints\n")
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3, dtype=int))
    silent = {(row.kind, row.source) for row in clean.not_looked_at}
    for draw in range(chosen.draws):
        rng = np.random.default_rng([draw, 5])
        faults: Faults = defaultdict(set)
        made = audit_questions([planted(source, rng, faults) for source in sources])
        for kind in KINDS:
            if kind != "duplicates":
                looked = {fault for fault in faults[kind] if (kind, fault[0]) not in silent}
                counts[kind] += _counted(named(made, kind), looked)
    with tempfile.TemporaryDirectory() as home:
        tables = [source for source in sources if ("duplicates", source.name) not in silent]
        os.environ["RADAR_HOME"] = home
        faults = defaultdict(set)
        rng = np.random.default_rng(5)
        twice = [with_duplicates(source, rng, faults) for source in tables]
        found = {(row.source, row.q_id) for row in duplicates(twice)[0] if row.source == row.twin_source}
        counts["duplicates"] += _counted(found, faults["duplicates"])
    rows = [
        [kind, str(true), f"{hit / max(1, many):.2f}", f"{hit / max(1, true):.2f}", str(len(named(clean, kind)))]
        for kind in KINDS
        for true, hit, many in [counts[kind]]
    ]
    print(markdown(["list", "planted", "precision", "recall", "sound ones named"], rows))


def _counted(found: set[tuple[str, str]], true: set[tuple[str, str]]) -> np.ndarray:
    return np.array([len(true), len(found & true), len(found)])


if __name__ == "__main__":
    main()
