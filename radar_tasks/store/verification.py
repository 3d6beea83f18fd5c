"""Is the store what its manifests say, down to the last picture?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from radar_tasks.errors import RadarError
from radar_tasks.sources.pictures import picture_problem, shape_notes
from radar_tasks.store.digest import ContentDigest
from radar_tasks.store.home import open_source
from radar_tasks.store.table import QuestionTable


def problems_in(
    source: str, progress: Callable[[int], None], note: Callable[[str], None] | None = None
) -> Iterator[str]:
    """Everything that is wrong with a source of the store, in words that name the question.

    Reads all of it: every rule of `Question`, every picture to its end, the counts, and the checksum.

    Args:
        source: its name.
        progress: called with the number of questions just read.
        note: called with what is worth knowing without being a fault: a picture that some models refuse.
    """
    try:
        table = open_source(source)
        headers = table.headers()
    except RadarError as error:
        yield str(error)
        return
    if table.source != source:
        yield f"{table.path} holds the source {table.source!r}"
    for q_id, count in Counter(row["q_id"] for row in headers).items():
        if count > 1:
            yield f"question {q_id!r} comes {count} times"
    yield from _content_problems(table, progress, note)


def _content_problems(
    table: QuestionTable, progress: Callable[[int], None], note: Callable[[str], None] | None
) -> Iterator[str]:
    digest = ContentDigest()
    images = image_bytes = 0
    categories: Counter[str] = Counter()
    broken = False
    for index in range(len(table)):
        progress(1)
        try:
            question = table[index]
        except RadarError as error:
            broken = True
            yield str(error)
            continue
        digest.add(question)
        categories[question.category] += 1
        if (question.ability, question.task) != (table.manifest.ability, table.manifest.task):
            yield f"question {question.q_id!r} is of {question.ability}, {question.task}; the manifest says otherwise"
        images += len(question.images)
        image_bytes += sum(map(len, question.images))
        sound = True
        for k, image in enumerate(question.images):
            if problem := picture_problem(image):
                sound = False
                yield f"question {question.q_id!r}, image {k}: {problem}"
        if sound and note is not None:
            for text in shape_notes(question):
                note(text)
    if broken:
        return  # sums over what is left would only repeat that something is missing
    manifest = table.manifest
    if (images, image_bytes) != (manifest.images, manifest.image_bytes):
        yield f"{images} images of {image_bytes} bytes; the manifest says {manifest.images} of {manifest.image_bytes}"
    categories.pop("", None)
    if categories != manifest.categories:
        yield f"the categories hold {dict(categories)} questions; the manifest says {manifest.categories}"
    if digest.hexdigest() != manifest.checksum:
        yield f"the content's checksum is {digest.hexdigest()}; the manifest says {manifest.checksum}"
