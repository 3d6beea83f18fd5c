"""What a limit and a rank get depends on the order of documents only."""

import itertools
import random
from collections import Counter

import pytest

from radar_tasks.store.document_order import BLOCK, cost, document_order


def headers(sizes: dict[str, int], images=lambda i: 1):
    return [
        {
            "q_id": f"{category}-{i}",
            "category": category,
            "text": ["What?"],
            "options": ["a", "b"],
            "n_images": images(i),
        }
        for category, size in sizes.items()
        for i in range(size)
    ]


def test_each_question_comes_once_and_the_order_is_the_same_every_time():
    questions = headers({"a": 70, "b": 33, "c": 1})
    order = document_order(questions)
    assert sorted(order) == list(range(104))
    assert order == document_order(questions)
    assert order != list(range(104))


def test_order_does_not_depend_on_how_the_data_was_written():
    questions = headers({"a": 70, "b": 33})
    shuffled = random.Random(3).sample(questions, len(questions))
    names = [questions[i]["q_id"] for i in document_order(questions)]
    assert names == [shuffled[i]["q_id"] for i in document_order(shuffled)]


@pytest.mark.parametrize("limit", [BLOCK, 2 * BLOCK, 320])
def test_the_first_questions_hold_every_category_in_proportion(limit):
    sizes = {"small": 100, "middle": 300, "large": 600}
    questions = headers(sizes)
    drawn = Counter(questions[i]["category"] for i in document_order(questions)[:limit])
    for category, size in sizes.items():
        assert abs(drawn[category] - limit * size / 1000) <= 1


MIXES = {
    "in turn": lambda i: 12 if i % 2 else 1,
    "one in ten, together": lambda i: 12 if i % 100 < 10 else 1,
    "one in twenty, anywhere": lambda i: 12 if random.Random(i).random() < 0.05 else 1,
}


@pytest.mark.parametrize("ranks", [2, 3, 4, 6, 8, 12, 16])
@pytest.mark.parametrize("mix", MIXES)
def test_ranks_get_the_same_work_from_a_mix_of_one_and_twelve_image_questions(mix, ranks):
    questions = headers({"a": 1250, "b": 750}, images=MIXES[mix])
    costs = [cost(questions[i]) for i in document_order(questions)]
    loads = [sum(itertools.islice(costs, rank, None, ranks)) for rank in range(ranks)]
    assert max(loads) / (sum(loads) / ranks) <= 1.1


def test_a_limit_that_cuts_a_block_favours_neither_cheap_questions_nor_dear_ones():
    """Over many sources, the first eight documents hold as many dear ones as a fair draw of eight would."""
    dear = []
    for source in range(100):
        questions = headers({f"{source}": 96}, images=lambda i: 12 if i % 4 == 0 else 1)
        dear += [questions[i]["n_images"] == 12 for i in document_order(questions)[:8]]
    assert 0.2 < sum(dear) / len(dear) < 0.3  # a quarter; 800 draws deviate by 0.015


def test_file_order_would_load_the_ranks_unevenly():
    """The case above is not trivially balanced: in file order one rank of two would get every twelve-image question."""
    questions = headers({"a": 500, "b": 300}, images=lambda i: 12 if i % 2 else 1)
    costs = [cost(question) for question in questions]
    assert sum(costs[1::2]) / (sum(costs) / 2) > 1.8
