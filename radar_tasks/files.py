"""Files whole or not at all: writing them, and reading pictures."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from radar_tasks.errors import RadarError

_lock = threading.Lock()
_inside = 0  # threads that are decoding now
_before = False  # Pillow's setting when the first of them came in


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes beside the file and renames: whoever reads sees the old content or the new, also after a full disk.

    Raises:
        RadarError: the folder cannot be made or written, or the disk is full; an old file is as it was.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        kept = " The old file is as it was." if path.exists() else ""
        raise RadarError(f"{path} could not be written: {error.strerror or error}.{kept}") from None


@contextlib.contextmanager
def only_whole_pictures() -> Iterator[None]:
    """Inside, Pillow refuses files that are cut short; afterwards its setting is as before.

    lmms-eval tells Pillow, for the whole process, to fill what is missing with grey, and grey would be scored.
    The setting is one for the process and pictures are decoded by several threads at once: the first to come in changes
    it and the last to leave puts it back.
    """
    from PIL import ImageFile  # here, so that `radar` starts without Pillow

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
