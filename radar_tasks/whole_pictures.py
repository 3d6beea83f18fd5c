"""Cut-short picture files are errors, although lmms-eval tells Pillow, for the whole process, to let them pass."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from PIL import ImageFile

_lock = threading.Lock()
_inside = 0
_before = False


@contextlib.contextmanager
def only_whole_pictures() -> Iterator[None]:
    """Inside, Pillow refuses files that are cut short; afterwards its setting is as before.

    The setting is one for the process and pictures are decoded by several threads at once: the first to come in changes
    it and the last to leave puts it back.
    """
    global _inside, _before  # noqa: PLW0603 (so is Pillow's)
    with _lock:
        if _inside == 0:
            _before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _before
