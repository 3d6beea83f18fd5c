"""What stands behind lmms-eval's table, and how its command ends."""

import copy
from types import SimpleNamespace

import pytest
from lmms_eval import evaluator, utils
from loguru import logger

from radar_tasks.errors import QUESTIONS_LEFT_OUT, RadarError
from radar_tasks.harness import patches
from radar_tasks.harness.patches.command_end import _exiting, headline


def leaf(source, ability, sds, half_width=None, refused=()):
    record = {"data": {"source": source, "ability": ability}, "metrics": {"sds": sds}, "chance": 0.5}
    if half_width is not None:
        record["sds_half_width"] = half_width
    if refused:
        record["refused"] = list(refused)
    return {"radar": record}


@pytest.fixture
def results():
    return {
        "results": {"radar_a": {"alias": "radar_a", "sds,none": 0.6}},
        "versions": {"radar_a": 1.0},
        "n-shot": {"radar_a": 0},
        "higher_is_better": {"radar_a": {"sds": True}},
        "configs": {
            "radar_a": leaf("a", "perception", 0.6, 0.03),
            "radar_b": leaf("b", "perception", 0.8, 0.04),
            "radar_c": leaf("c", "reasoning", 0.5),
            "mme": {"task": "mme"},
        },
        "config": {"resolved_cli_args": {"output_path": "my results", "log_samples": True, "config": ""}},
    }


def test_the_headline_is_the_mean_of_each_ability_with_its_interval(results):
    lines = headline(results)
    assert lines[1] == "  perception 0.700 ± 0.025   (chance 0.500; mean over a, b)"  # hypot(.03, .04) / 2
    assert lines[2] == "  reasoning  0.500   (chance 0.500; c)"
    assert lines[3] == "Next: radar analyze 'my results', or radar report 'my results' --output report.html"
    assert len(lines) == 4


def test_without_samples_the_next_step_is_to_keep_them(results):
    results["config"]["resolved_cli_args"]["log_samples"] = False
    assert "--output_path FOLDER --log_samples" in headline(results)[-1]


def test_runs_of_others_print_what_they_always_did(results):
    results["configs"] = {"mme": {"task": "mme"}}
    assert headline(results) == []
    patches.install()
    assert utils.make_table(results) == utils.make_table.__wrapped__(results)


def test_the_headline_follows_the_last_table(results):
    patches.install()
    assert "perception 0.700" in utils.make_table(results)
    results["groups"] = results["results"]
    assert "perception 0.700" not in utils.make_table(results)
    assert "perception 0.700" in utils.make_table(results, "groups")


def test_questions_left_out_are_named_and_decide_about_the_exit_status(results, capsys):
    patches.install()
    results["configs"]["radar_a"] = leaf("a", "perception", 0.6, 0.03, [f"question '{k}' is odd" for k in range(7)])
    with pytest.raises(SystemExit) as ended:
        utils.make_table(results)
    assert ended.value.code == QUESTIONS_LEFT_OUT == 3
    printed = capsys.readouterr().out
    assert "|radar_a|" in printed
    assert "7 question(s)" in printed
    assert "question '4' is odd" in printed
    assert "question '5' is odd" not in printed
    several = copy.deepcopy(results)
    several["config"]["resolved_cli_args"]["config"] = "several.yaml"
    assert "7 question(s)" in utils.make_table(several)  # the next run's table must be printed, too
    del results["config"]["resolved_cli_args"]  # from Python
    assert "7 question(s)" in utils.make_table(results)


def arguments(**changes):
    return SimpleNamespace(**{"config": "", "verbosity": "INFO", "tasks": "radar_a", "model": "radar_hf", **changes})


def failing(error):
    def simple_evaluate(*args, **settings):
        raise error

    return _exiting(simple_evaluate)


def test_a_failed_run_of_the_command_ends_with_1_and_says_why(capsys):
    told = []
    sink = logger.add(told.append, format="{level} {message}")
    try:
        with pytest.raises(SystemExit) as ended:
            failing(RadarError("no such folder"))(cli_args=arguments())
        assert ended.value.code == 1
        assert capsys.readouterr().err.count("Traceback") == 0
        with pytest.raises(SystemExit):
            failing(KeyError("a bug"))(cli_args=arguments())
        assert "KeyError" in capsys.readouterr().err
    finally:
        logger.remove(sink)
    assert told[0] == "ERROR The run failed: no such folder\n"


@pytest.mark.parametrize(
    "given",
    [
        None,
        arguments(config="several.yaml"),
        arguments(verbosity="DEBUG"),
        arguments(model="qwen2_5_vl", tasks="mme,mmmu"),
    ],
)
def test_other_failures_reach_the_caller_as_they_are(given):
    with pytest.raises(RadarError):
        failing(RadarError("x"))(cli_args=given)


def test_lmms_eval_itself_ends_with_0():
    """What the patch is for; upstream may mend it one day."""
    patches.install()
    assert "SystemExit" not in evaluator.simple_evaluate.__wrapped__.__code__.co_names
