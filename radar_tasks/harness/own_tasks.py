"""Tasks of the sources that users made themselves (`radar data new`): one YAML each, as lmms-eval wants it."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from radar_tasks import paths
from radar_tasks.errors import RadarError
from radar_tasks.files import write_whole
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.store.home import data_home, stored_names


def own_task_folder() -> Path | None:
    """A folder with a task `radar_<name>` for every source in the store that is none of M3-Bench's.

    The files name the base by its place in this installation, so they are brought up to date at every start. None
    where there is no such source, or where the data home cannot be written.
    """
    folder = data_home() / "tasks" / "lmms_eval"
    own = [name for name in stored_names() if name not in PUBLISHED]
    if not own:
        return None
    base = paths.task_configs("lmms_eval") / "_base_yaml"
    wanted = {
        folder / f"radar_{name}.yaml": (
            f"task: radar_{name}\ninclude: {base}\noutput_type: multiple_choice\ndataset_name: {name}\n"
        )
        for name in own
    }
    try:
        for file, text in wanted.items():
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                write_whole(file, text)
        for file in set(folder.glob("*.yaml")) - set(wanted):
            file.unlink(missing_ok=True)
    except (OSError, RadarError) as error:
        logger.warning(f"The tasks {', '.join(f'radar_{name}' for name in own)} are not available: {error}")
        return None
    return folder
