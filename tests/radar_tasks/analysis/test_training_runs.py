"""Results of `until=`, which were asked different numbers of questions, as one training."""

import numpy as np
import pytest
from fake_runs import SCORING, simulate, write_run

from radar_tasks.analysis.compare import compare
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.errors import ResultsError
from radar_tasks.results import find_runs, load_run
from radar_tasks.results.until_record import UntilRecord


def written(folder, step, questions, until=0.02):
    scoring = {} if until is None else {**SCORING, **UntilRecord(delta=until).scoring}
    records = simulate("mmbench", questions, skill=step / 1000, seed=step)
    return write_run(folder / f"step-{step:05d}", f"step-{step:05d}", {"mmbench": records}, scoring=scoring)


def test_a_training_with_until_is_cut_to_what_all_were_asked_and_says_so(tmp_path):
    for step, questions in ((0, 60), (500, 40), (1000, 50)):
        written(tmp_path, step, questions)
    (run,), _ = training_runs(find_runs([tmp_path]))
    assert [len(result.sources["mmbench"]) for result in run.results] == [40, 40, 40]
    assert run.results[0].sources["mmbench"].q_id.tolist() == [f"q{k:04d}" for k in range(40)]
    assert "40 questions that every checkpoint was asked" in run.notes[0]
    assert "too narrow" in run.notes[0]


def test_nothing_is_cut_or_said_where_all_were_asked_the_same(tmp_path):
    for step in (0, 500):
        written(tmp_path, step, 20)
    results = find_runs([tmp_path])
    (run,), _ = training_runs(results)
    assert run.notes == ()
    assert all(a.sources["mmbench"] is b.sources["mmbench"] for a, b in zip(run.results, results, strict=True))


def test_results_with_and_without_until_make_no_curve(tmp_path):
    written(tmp_path, 0, 20)
    written(tmp_path, 500, 20, until=None)
    with pytest.raises(ResultsError, match=r"until: 0\.02 against not given"):
        training_runs(find_runs([tmp_path]))


def test_comparing_two_of_different_length_needs_leave_and_says_why(tmp_path):
    first, second = load_run(written(tmp_path, 0, 40)), load_run(written(tmp_path, 500, 30))
    with pytest.raises(ResultsError, match=r"10 only in the first(.|\n)*too narrow for that(.|\n)*--allow-different"):
        compare(first, second, np.random.default_rng(0))
    compared = compare(first, second, np.random.default_rng(0), allow_different=True, resamples=50)
    assert compared.unmatched == {"mmbench": (10, 0)}
    assert compared.rows[0].questions == 30
