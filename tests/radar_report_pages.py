"""Results and questions with pictures for tests of the page."""

import io

import numpy as np
from fake_runs import ABILITIES, write_run
from PIL import Image

from radar_tasks.analysis.development.curves import training_curves
from radar_tasks.analysis.development.tables import development
from radar_tasks.questions import Question
from radar_tasks.report.gallery import gallery
from radar_tasks.results import find_runs
from radar_tasks.store import Origin, SourceWriter, source_path

HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked=2'> </script><!-- \" ' & "
    "\u202eevil\u202c \u2028 {{7*7}}"
)
LONG = "long " * 2000
STEPS = (100, 200, 300)


def picture(colour, side=16, kind="PNG"):
    into = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(into, kind)
    return into.getvalue()


def questions_of(source, n, extra=()):
    """Questions of a source; each two share a picture."""
    texts = [f"Question {i}?" for i in range(n)]
    texts[: len(extra)] = extra
    return [
        Question(
            q_id=f"{source}-{i:04d}",
            text=(text,),
            images=(picture((i // 2 % 250, 90, 120)),),
            options=(f"yes {i}", f"no {i}") if i >= len(extra) else (f"{text} A", f"{text} B"),
            answer=i % 2,
            ability=ABILITIES[source],
            task="task",
            source=source,
            category=f"category {i % 2}",
            image_id=f"image {i // 2}",
        )
        for i, text in enumerate(texts)
    ]


def store(questions):
    """Puts questions into the data home (RADAR_HOME); returns the checksum."""
    with SourceWriter(source_path(questions[0].source)) as writer:
        for question in questions:
            writer.add(question)
        return writer.finish(Origin(kind="sample", location="test")).checksum


def record(question, p):
    """The `sds` record of a question whose right option has probability p."""
    other = (1 - p) / (len(question.options) - 1)
    logprob = [float(np.log(p if k == question.answer else other)) for k in range(len(question.options))]
    return {
        "score": p,
        "q_id": question.q_id,
        "image_id": question.image_id,
        "category": question.category,
        "options": list(question.options),
        "answer": question.answer,
        "logprob": logprob,
        "logit": [value + 9 for value in logprob],
        "tokens": [1] * len(question.options),
        "bytes": [len(option.encode()) for option in question.options],
    }


def write_results(folder, sources, probability, experiment="checkpoints/exp1", steps=STEPS):
    """Results of a training run; `probability(question, k)` says what checkpoint k gives the right option."""
    checksums = {source: store(questions) for source, questions in sources.items()}
    for k, step in enumerate(steps):
        name = f"step-{step:05d}"
        records = {s: [record(q, probability(q, k)) for q in questions] for s, questions in sources.items()}
        write_run(folder / name, name, records, checksums=checksums, experiment=experiment)


def tables(folder):
    """Tables, runs and questions of a results folder."""
    runs = find_runs([folder])
    rng = np.random.default_rng(0)
    trainings, notes = training_curves(runs, rng, resamples=200)
    return development(trainings, runs, rng, notes=notes), runs, gallery(runs, rng)
