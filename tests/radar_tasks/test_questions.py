"""What a question looks like in a notebook or a traceback."""

import radar_tasks
from radar_tasks.questions import Question


def question(**changes):
    values = {
        "q_id": "q1",
        "text": ("What colour is it?",),
        "images": (b"x",),
        "options": ("red", "blue"),
        "answer": 0,
        "ability": "perception",
        "task": "t",
        "source": "birds",
        "category": "",
        "image_id": "i1",
    }
    return Question(**(values | changes))


def test_a_question_is_shown_in_one_line():
    shown = repr(question(images=(b"x" * 600_000,), text=("Look:\nwhat ", "?" * 500), q_id="q" * 300))
    assert len(shown) < 400
    assert "\n" not in shown
    assert "1 image(s)" in shown
    assert "'red', 'blue'" in shown
    many = repr(question(options=tuple(f"option {k}" * 20 for k in range(40))))
    assert len(many) < 500
    assert many.endswith(", …>")


def test_the_package_says_its_version():
    assert radar_tasks.__version__.count(".") >= 2
