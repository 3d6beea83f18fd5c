"""Pillow's process-wide setting, changed by several threads at once."""

import threading

import pytest
from PIL import ImageFile

from radar_tasks.files import only_whole_pictures


@pytest.mark.parametrize("lenient", [True, False])
def test_the_first_in_makes_pillow_strict_and_the_last_out_puts_it_back(monkeypatch, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    first_is_in, second_is_out = threading.Event(), threading.Event()

    def first():
        with only_whole_pictures():
            first_is_in.set()
            second_is_out.wait(10)
            seen.append(ImageFile.LOAD_TRUNCATED_IMAGES)

    seen = []
    thread = threading.Thread(target=first)
    thread.start()
    first_is_in.wait(10)
    with only_whole_pictures():
        seen.append(ImageFile.LOAD_TRUNCATED_IMAGES)
    second_is_out.set()
    thread.join()
    assert seen == [False, False]
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient
