"""Questions decoded and encoded by threads ahead of the device, in an order in which shared pictures meet."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from radar_tasks.errors import QuestionError, RadarError
from radar_tasks.questions import AskedQuestion
from radar_tasks.scoring.types import EncodedQuestion

Encode = Callable[[AskedQuestion], EncodedQuestion]
OnRefused = Callable[[int, QuestionError], None]


def default_workers() -> int:
    """Threads for this process: one core stays for the device's driver, and processes of one host share the others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


def image_ids_of(questions: Sequence[AskedQuestion]) -> Sequence[str] | None:
    """The image id of every question, with its source, where that costs no reading, else None.

    A list is in memory; a sequence that reads its questions from a file may give their ids in an attribute `image_ids`.
    """
    image_ids: Sequence[str] | None = getattr(questions, "image_ids", None)
    if image_ids is None and isinstance(questions, list | tuple):
        return [f"{question.source}/{question.image_id}" for question in questions]
    return image_ids


def meeting_order(image_ids: Sequence[str]) -> list[int]:
    """Indices of all questions, those on the same image brought together at the place of the first of them."""
    first: dict[str, int] = {}
    return sorted(range(len(image_ids)), key=lambda index: first.setdefault(image_ids[index], index))


def encoded_ahead(  # noqa: PLR0917 (one caller, which names them)
    questions: Sequence[AskedQuestion],
    order: Sequence[int],
    encode: Encode,
    workers: int,
    ahead: Callable[[], int],
    on_refused: OnRefused | None = None,
) -> Iterator[tuple[int, EncodedQuestion]]:
    """Yields (index, encoded question) in the given order.

    Args:
        questions: read by the workers, each question once.
        order: indices into `questions`.
        encode: the checkpoint's.
        workers: threads, >= 1.
        ahead: how many questions may be encoded or under way before they are asked for; asked before each.
        on_refused: called with the index of a question that cannot be asked and the reason; None ends with it.

    Raises:
        QuestionError: a question cannot be asked, and there is no `on_refused`.
        RadarError: a question cannot be read, or encoding failed otherwise; the message names it.
    """
    waiting: deque[tuple[int, Future[EncodedQuestion]]] = deque()
    rest = iter(order)
    with ThreadPoolExecutor(workers, thread_name_prefix="radar-encode") as threads:
        try:
            while True:
                while len(waiting) < max(1, ahead()) and (index := next(rest, None)) is not None:
                    waiting.append((index, threads.submit(_encoded, questions, index, encode)))
                if not waiting:
                    return
                index, future = waiting.popleft()
                try:
                    encoded = future.result()
                except QuestionError as error:
                    if on_refused is None:
                        raise
                    on_refused(index, error)
                else:
                    yield index, encoded
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def _encoded(questions: Sequence[AskedQuestion], index: int, encode: Encode) -> EncodedQuestion:
    question = questions[index]
    try:
        return encode(question)
    except RadarError:
        raise
    except Exception as error:
        raise RadarError(
            f"question {question.q_id!r} of {question.source!r} cannot be encoded: {type(error).__name__}: {error}"
        ) from error
