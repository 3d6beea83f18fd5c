"""The paper's tables with runs in them: order, marks, and never an `sds` under `sds_logit`."""

import pytest
from fake_runs import ABILITIES, simulate, write_run

from radar_tasks.analysis.leaderboard import Cell, leaderboard, left_out
from radar_tasks.errors import ResultsError
from radar_tasks.published import published_models
from radar_tasks.report.text_tables import comma_separated, latex_table, markdown
from radar_tasks.results import load_run
from radar_tasks.results.metrics import metric_table


def run(folder, name, sources=tuple(ABILITIES), logit=True, **more):
    records = {s: simulate(s, 12, skill=0.9, logit=logit) for s in sources}
    return load_run(write_run(folder / name, name, records, **more))


def test_runs_stand_among_published_models_by_their_average(tmp_path):
    mine = run(tmp_path, "mine")
    perception, reasoning = leaderboard([mine])
    assert [board.title for board in (perception, reasoning)] == ["perception", "reasoning"]
    assert len(perception.entries) == len(published_models()) + 1
    averages = [entry.cells["average"].sds_logit for entry in perception.entries]
    assert averages == sorted(averages, reverse=True)
    entry = next(e for e in perception.entries if not e.published)
    values = {row.name: row.values for row in metric_table(mine)}
    assert entry.cells["average"] == Cell(values["perception"]["acc_logit"], values["perception"]["sds_logit"])
    assert entry.cells["mmbench"].sds_logit != pytest.approx(values["mmbench"]["sds"], abs=1e-6)


def test_a_run_with_a_source_missing_has_no_average_and_stands_last(tmp_path):
    part = run(tmp_path, "part", [s for s in ABILITIES if s != "mmbench"])
    board = leaderboard([part])[0]
    assert "average" not in board.entries[-1].cells
    assert board.entries[-1].notes == ("no average, missing: mmbench",)


def test_limits_and_stand_ins_are_noted(tmp_path):
    limited = run(tmp_path, "limited", limit=12)
    limited.data["mathvista"]["stand_in"] = True
    entry = next(e for e in leaderboard([limited])[1].entries if not e.published)
    assert entry.notes == (
        "rebuilt data, whose distractors are not the paper's: mathvista",
        "a part of the questions (limit 12)",
    )


def test_a_run_without_raw_logits_is_named_and_left_out(tmp_path):
    stock = run(tmp_path, "stock", logit=False)
    boards = leaderboard([stock, run(tmp_path, "mine")])
    assert left_out([stock], boards) == ["stock (no raw logits)"]
    with pytest.raises(ResultsError, match=r"stock \(no raw logits\)"):
        leaderboard([stock])


def test_tables_escape_what_is_special():
    rows = [["a|b_c & 50%", "1"]]
    assert markdown(["m", "n"], rows).splitlines()[2] == r"| a\|b_c & 50% | 1 |"
    assert r"a|b\_c \& 50\% & 1 \\" in latex_table(["m", "n"], rows, "caption", "tab:x")
    assert comma_separated(["m"], [['say "x", y']]) == 'm\n"say ""x"", y"\n'
