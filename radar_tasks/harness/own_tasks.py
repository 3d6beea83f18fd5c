"""Tasks of the sources that users made themselves (`radar data new`, `radar data import`), as lmms-eval wants them."""

from __future__ import annotations

from pathlib import Path

from loguru import logger

from radar_tasks import paths
from radar_tasks.errors import RadarError
from radar_tasks.files import write_whole
from radar_tasks.paths import data_home
from radar_tasks.questions import ABILITIES
from radar_tasks.sources.benchmark_recipes import benchmark_recipes
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.store.home import stored_names
from radar_tasks.store.own_suites import suites


def own_task_folder() -> Path | None:
    """A folder with what lmms-eval is to know beside the tasks that are shipped.

    That is a task `radar_<name>` for every source in the store that is neither M3-Bench's nor has a recipe. Once
    benchmarks with recipes are there, the groups `radar_more_perception` and `radar_more_reasoning` hold those, instead
    of all that there are recipes for. A suite of the user's is the group `radar_<suite>`; its averages are made from
    results (`radar_tasks.results.suites`), not printed by lmms-eval.

    The files name the base by its place in this installation, so they are brought up to date at every start. None
    where there is no such source, or where the data home cannot be written.
    """
    folder = data_home() / "tasks" / "lmms_eval"
    stored = stored_names()
    recipes = benchmark_recipes()
    own = [name for name in stored if name not in PUBLISHED and name not in recipes]
    base = paths.task_configs("lmms_eval") / "_base_yaml"
    wanted = {
        folder / f"radar_{name}.yaml": (
            f"task: radar_{name}\ninclude: {base}\noutput_type: multiple_choice\ndataset_name: {name}\n"
        )
        for name in own
    }
    for ability in ABILITIES:
        members = [f"  - radar_{name}\n" for name in stored if name in recipes and recipes[name].ability == ability]
        if members:
            group = f"radar_more_{ability}"
            wanted[folder / f"{group}.yaml"] = f"group: {group}\ntask:\n{''.join(members)}metadata: {{version: 1.0}}\n"
    for suite in suites():
        leaves = "".join(f"  - radar_{source}\n" for source in suite.sources)
        wanted[folder / f"radar_{suite.name}.yaml"] = (
            f"group: radar_{suite.name}\ntask:\n{leaves}metadata: {{version: 1.0}}\n"
        )
    if not wanted:
        return None
    try:
        for file, text in wanted.items():
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                write_whole(file, text)
        for file in set(folder.glob("*.yaml")) - set(wanted):
            file.unlink(missing_ok=True)
    except (OSError, RadarError) as error:
        logger.warning(f"The tasks {', '.join(file.stem for file in wanted)} are not available: {error}")
        return None
    return folder
