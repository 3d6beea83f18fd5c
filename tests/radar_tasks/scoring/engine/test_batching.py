"""Which questions share a batch, and how their tokens are laid side by side."""

import pytest
import torch
from made_questions import made_question

from radar_tasks.scoring.engine.batching import PADDING_SHARE, kind_of, next_batch, option_rows, pad
from radar_tasks.scoring.types import EncodedQuestion


def added_padding(batch):
    """Share of the tokens that a model sees which are there only because these questions were put together."""

    def seen(prefix, continuations, longest):
        return prefix + continuations * (longest - 1)  # a continuation's last token predicts nothing

    def longest(q):
        return max(map(len, q.continuations))

    alone = sum(seen(len(q.prefix_ids), len(q.continuations), longest(q)) for q in batch)
    prefix, last = max(len(q.prefix_ids) for q in batch), max(map(longest, batch))
    return 1 - alone / sum(seen(prefix, len(q.continuations), last) for q in batch)


def question(prefix, options=(1, 1), key="", vision=None):
    return EncodedQuestion(
        q_id="q",
        prefix_ids=torch.ones(prefix, dtype=torch.long),
        continuations=tuple(torch.ones(n, dtype=torch.long) for n in options),
        scored=options,
        option_bytes=options,
        vision=vision or {},
        vision_key=key,
    )


def batches(waiting, limit):
    waiting, found = list(waiting), []
    while waiting:
        chosen = next_batch(waiting, limit)
        found.append([waiting[k] for k in chosen])
        waiting = [q for k, q in enumerate(waiting) if k not in chosen]
    return found


def test_rows_are_laid_out_one_an_option():
    made = EncodedQuestion("q", torch.tensor([9]), (torch.tensor([4, 5, 6]), torch.tensor([7])), (2, 1), (3, 3))
    rows = option_rows([made, made])
    assert rows.question.tolist() == [0, 0, 1, 1]
    assert rows.tokens[:2].tolist() == [[4, 5, 6], [7, 0, 0]]
    assert rows.present[:2].tolist() == [[True, True, True], [True, False, False]]
    assert rows.scored[:2].tolist() == [[False, True, True], [True, False, False]]
    assert rows.lengths.tolist() == [3, 1, 3, 1]
    assert rows.goes_on.tolist() == [True, False, True, False]
    assert rows.follows[:2].tolist() == [[False, True, True], [False, False, False]]


def test_no_row_goes_on_when_all_options_have_one_token():
    assert not option_rows([question(5), question(5)]).goes_on.any()


@pytest.mark.parametrize(("side", "expected"), [("left", [[1, 2], [0, 3]]), ("right", [[1, 2], [3, 0]])])
def test_padding_side(side, expected):
    assert pad([torch.tensor([1, 2]), torch.tensor([3])], side).tolist() == expected


@pytest.mark.parametrize("limit", [1, 3, 16])
def test_every_question_comes_once_and_padding_stays_under_a_tenth(limit):
    waiting = [made_question("llava", seed, 2 + seed % 5) for seed in range(120)]
    found = batches(waiting, limit)
    assert sorted(int(q.q_id) for batch in found for q in batch) == list(range(120))
    assert all(len(batch) <= limit and added_padding(batch) <= PADDING_SHARE for batch in found)
    assert all(len({kind_of(q) for q in batch}) == 1 for batch in found)


def test_padding_of_real_lengths_is_under_a_tenth_of_all_tokens():
    """Prompts of 200 to 800 tokens and options of 1 to 12: padding of options of one question counted too."""
    generator = torch.Generator().manual_seed(0)
    prefixes = torch.randint(200, 800, (200,), generator=generator).tolist()
    lengths = torch.randint(1, 13, (200, 4), generator=generator).tolist()
    waiting = [question(p, tuple(n)) for p, n in zip(prefixes, lengths, strict=True)]
    found = batches(waiting, 16)
    real = sum(len(q.prefix_ids) + sum(len(c) - 1 for c in q.continuations) for q in waiting)
    seen = 0
    for batch in found:
        longest = max(len(c) for q in batch for c in q.continuations)
        seen += sum(max(len(q.prefix_ids) for q in batch) + len(q.continuations) * (longest - 1) for q in batch)
    assert 1 - real / seen < 0.1
    assert len(found) < 30  # 13 full batches would do


def test_the_oldest_question_is_never_left_waiting():
    waiting = [question(500), *[question(20) for _ in range(9)]]
    assert next_batch(waiting, 4) == [0]


def test_neighbours_in_length_and_questions_on_one_picture_come_first():
    waiting = [question(100, key="a"), question(104), question(101), question(103, key="a")]
    assert next_batch(waiting, 2) == [0, 3]
    assert next_batch(waiting, 3) == [0, 2, 3]


def test_pictures_of_different_shape_are_never_padded_together():
    small, large = {"pixel_values": torch.zeros(1, 3, 2, 2)}, {"pixel_values": torch.zeros(1, 3, 4, 4)}
    waiting = [question(9, vision=small), question(9, vision=large), question(9), question(9, vision=small)]
    assert next_batch(waiting, 8) == [0, 3]
