"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from radar_tasks.errors import RadarError


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
