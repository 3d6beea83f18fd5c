"""The embedded sample: its counts, its balance, and that nothing of it was trained on."""

from __future__ import annotations

import io
import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

from radar_tasks import paths
from radar_tasks.questions import Question
from radar_tasks.sources.sample import LEAVES, QUESTIONS, Leaf, make_sample
from radar_tasks.sources.sample_pictures import SIDE, load_digits
from radar_tasks.sources.sample_statements import group_scene, side_scene, single_scene, two_digits
from radar_tasks.store import open_source

MAKERS = (single_scene, side_scene, group_scene)
by_subject = pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.subject)


def shipped(leaf: Leaf) -> list[Question]:
    return list(open_source(leaf.source))


def pixels(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))


def test_there_are_enough_leaves_of_each_ability_and_the_files_are_small():
    assert Counter(leaf.ability for leaf in LEAVES) == {"perception": 5, "reasoning": 5}
    assert sorted(f"{leaf.source}.parquet" for leaf in LEAVES) == sorted(
        file.name for file in paths.sample().glob("*.parquet")
    )
    assert sum(file.stat().st_size for file in paths.sample().glob("*")) < 3e6


@by_subject
def test_a_leaf_is_as_it_says(leaf):
    questions = shipped(leaf)
    assert len(questions) == QUESTIONS
    for question in questions:
        assert (question.source, question.ability, question.task) == (leaf.source, leaf.ability, leaf.task)
        assert len(question.options) == leaf.options
        assert all(pixels(image).shape == (SIDE, SIDE, 3) for image in question.images)
    assert {len(question.images) for question in questions} == {2 if leaf.subject in ("sum", "larger") else 1}


@by_subject
def test_each_place_is_right_equally_often(leaf):
    places = Counter(question.answer for question in shipped(leaf))
    assert max(places.values()) - min(places.values()) <= 1


@by_subject
def test_each_answer_is_right_as_often_as_it_should_be_where_it_is_an_option(leaf):
    won, stood = Counter(), Counter()
    for question in shipped(leaf):
        won[question.options[question.answer]] += 1
        stood.update(question.options)
    for option, count in stood.items():
        assert abs(won[option] - count / leaf.options) <= 8, option


def prior_hits(questions: list[Question]) -> float:
    """Accuracy of answering, unseen, the option whose text was right most often in the *other* half of the leaf."""
    hits = 0.0
    middle = len(questions) // 2
    for half, other in itertools.permutations((questions[:middle], questions[middle:])):
        won, stood = Counter(), Counter()
        for question in other:
            won[question.options[question.answer]] += 1
            stood.update(question.options)
        for question in half:
            rates = [won[option] / max(stood[option], 1) for option in question.options]
            best = [k for k, rate in enumerate(rates) if rate == max(rates)]
            hits += (question.answer in best) / len(best)
    return hits / len(questions)


@by_subject
def test_a_prior_over_the_options_is_at_chance(leaf):
    chance = 1 / leaf.options
    three_sigma = 3 * (chance * (1 - chance) / QUESTIONS) ** 0.5
    assert prior_hits(shipped(leaf)) < chance + three_sigma


def test_the_check_of_priors_would_see_one():
    leaf = LEAVES[0]
    questions = [question for question in shipped(leaf) if question.options[question.answer] in ("one", "two", "three")]
    assert prior_hits(questions) > 2 / leaf.options


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_answer_is_equally_likely_at_the_source(make):
    won, stood = defaultdict(Counter), defaultdict(Counter)
    for k in range(400):
        for statement in make(np.random.default_rng([7, k])).statements:
            if statement.subject and statement.subject != "object":
                won[statement.subject][statement.answer] += 1
                stood[statement.subject].update(statement.choices)
    for subject, answers in won.items():
        rates = [answers[choice] / count for choice, count in stood[subject].items()]
        assert max(rates) - min(rates) < 0.16, subject


def test_questions_share_pictures_within_and_between_leaves():
    pictures = {leaf.subject: Counter(q.image_id for q in shipped(leaf)) for leaf in LEAVES}
    assert set(pictures["side"].values()) == set(pictures["count"].values()) == {2}
    assert set(pictures["colour"]) == set(pictures["shape"]) == set(pictures["object"])
    assert set(pictures["sum"]) == set(pictures["larger"])


def test_an_image_id_names_one_set_of_pictures():
    named = defaultdict(set)
    for question in itertools.chain.from_iterable(shipped(leaf) for leaf in LEAVES):
        named[question.image_id].add(question.images)
    assert all(len(images) == 1 for images in named.values())
    assert len({images for found in named.values() for images in found}) == len(named)


def test_training_and_sample_share_no_digit():
    train, test = load_digits("train"), load_digits("test")
    assert not set(train.index) & set(test.index)
    assert len(train.index) + len(test.index) == 1797
    assert not {values.tobytes() for values in train.values} & {values.tobytes() for values in test.values}
    names = {q.image_id for leaf in LEAVES if leaf.subject in ("digits", "sum", "larger") for q in shipped(leaf)}
    shown = {int(number) for name in names for number in name.split("-")[1:]}
    assert shown <= set(test.index.tolist())


def test_the_shipped_files_are_what_the_script_makes():
    made = make_sample()
    for leaf in LEAVES:
        for again, question in zip(made[leaf.source], shipped(leaf), strict=True):
            row, row_again = question.to_row(), again.to_row()
            images, images_again = row.pop("images"), row_again.pop("images")
            assert row == row_again
            assert all((pixels(a) == pixels(b)).all() for a, b in zip(images, images_again, strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_the_sum_and_the_larger_one_follow_from_the_digits(seed):
    numbers = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    numbers = [*numbers.split(), "seventeen"]
    described = two_digits(np.random.default_rng(seed), load_digits("test"))
    said = {statement.question: statement.answer for statement in described.statements}
    first, second = (numbers.index(said[f"The {which} digit is"]) for which in ("first", "second"))
    assert said["The sum of the two digits is"] == numbers[first + second]
    assert said["The larger digit is the"] == ("first" if first > second else "second")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_said_of_a_scene_can_be_seen_in_it(seed):
    described = single_scene(np.random.default_rng(seed))
    said = {statement.subject: statement.answer for statement in described.statements}
    picture = described.pictures[0].astype(int)
    inside = picture[picture.max(axis=2) - picture.min(axis=2) > 105]
    assert nearest_colour(inside.mean(axis=0)) == said["colour"]
    assert (len(np.unique(picture[:6].reshape(-1, 3), axis=0)) == 1) == (said["background"] == "plain")


def nearest_colour(mean: np.ndarray) -> str:
    reference = {
        "red": (220, 40, 40),
        "green": (40, 160, 40),
        "blue": (30, 90, 200),
        "yellow": (240, 220, 40),
        "purple": (150, 60, 190),
    }
    return min(reference, key=lambda name: float(np.abs(mean - np.array(reference[name])).sum()))
