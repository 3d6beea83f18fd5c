"""`radar track`: what is scored, what is left alone, what survives; in one process and under a launcher."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import typer
from safetensors.torch import load_file, save_file
from tiny_models import build, make

from radar_tasks.cli import track as track_command
from radar_tasks.errors import QUESTIONS_LEFT_OUT, CheckpointError, QuestionError, RadarError, ResultsError
from radar_tasks.follow import track as track_module
from radar_tasks.follow.track import Tracker
from radar_tasks.harness import evaluation as run_module
from radar_tasks.harness.evaluation import replace_folder
from radar_tasks.results import find_runs, load_run
from radar_tasks.results.tracker_values import tracker_values
from radar_tasks.results.until_record import until_record
from radar_tasks.scoring import OptionScore, Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.store import open_source
from radar_tasks.store.document_order import document_order

TASKS = ["radar_mini_colour"]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def launch(*command):
    command = [*LAUNCH, *map(str, command)]
    env = {**os.environ, **QUIET}
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=200)


def tracker(root, *, tasks=TASKS, limit=3, said=None, pattern="step-*", output="results", **settings):
    return Tracker(
        [str(root / pattern)],
        tasks,
        root / output,
        limit=limit,
        say=(said if said is not None else []).append,
        **settings,
    )


def change_a_weight(folder):
    """As training on would: the same names and shapes, another number."""
    file = folder / "model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if "norm" in name)
    weights[name] = weights[name] + 0.5
    save_file(weights, file, metadata={"format": "pt"})


def age(folder, seconds=3600):
    for file in folder.rglob("*"):
        os.utime(file, (file.stat().st_atime - seconds, file.stat().st_mtime - seconds))


def dates(root):
    return dates_of(root / "results")


def dates_of(folder):
    return {run.name: run.date for run in find_runs([folder])}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Two checkpoints and a damaged one between them, tracked once."""
    root = tmp_path_factory.mktemp("run")
    for step in (0, 200):
        build("qwen2_vl", root / f"step-{step:05d}", seed=step)
    shutil.copytree(root / "step-00000", root / "step-00100")
    os.truncate(root / "step-00100" / "model.safetensors", 5000)
    said = []
    failed = tracker(root, said=said).once()
    return root, failed, said


@pytest.fixture
def copy(tracked, tmp_path):
    """The tracked run, to change at will."""
    shutil.copytree(tracked[0], tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def test_a_damaged_checkpoint_is_reported_and_the_others_go_on(tracked):
    root, failed, said = tracked
    assert list(failed) == ["step-00100"]
    assert "cut short" in failed["step-00100"]
    assert [line.split()[1] for line in said] == ["step-00000:", "step-00100:", "step-00200:"]
    assert "FAILED" in said[1]
    runs = find_runs([root / "results"])
    assert [run.step for run in runs] == [0, 200]
    assert all(len(run.sources["mini_colour"]) == 3 for run in runs)
    assert not list((root / "results").glob(".*"))


def test_a_second_call_scores_what_has_no_result_and_what_was_rewritten(copy):
    before = dates(copy)
    shutil.rmtree(copy / "step-00100")
    shutil.copytree(copy / "step-00000", copy / "step-00100")
    change_a_weight(copy / "step-00200")
    said = []
    assert tracker(copy, said=said).once() == {}
    assert said[0] == "step-00200 is scored again: its weights are others than in its results"
    assert "1 of 3 checkpoints are finished already" in said[1]
    after = dates(copy)
    assert after["step-00000"] == before["step-00000"]
    assert after["step-00200"] != before["step-00200"]
    again = []
    assert tracker(copy, said=again).once() == {}
    assert again == ["3 of 3 checkpoints are finished already"]


def test_results_of_an_earlier_version_are_read_and_scored_again_with_the_reason(copy):
    """Their fingerprint was of samples of large files: nobody knows whether the weights are still the same."""
    file = next((copy / "results" / "step-00200").rglob("*_results.json"))
    content = re.sub(r"xxh3-[0-9a-f]{32}", "0123456789abcdef", file.read_text())
    file.write_text(content)
    assert len(load_run(copy / "results" / "step-00200").sources["mini_colour"]) == 3
    said = []
    assert tracker(copy, said=said, pattern="step-00200").once() == {}
    assert said[0] == (
        "step-00200 is scored again: its results are of an earlier version, which told weights apart by samples of "
        "large files"
    )


def test_results_that_are_not_whole_are_made_again(copy):
    samples = next((copy / "results" / "step-00200").rglob("*_samples_*"))
    samples.write_text("".join(samples.read_text().splitlines(keepends=True)[:-1]))
    assert tracker(copy, pattern="step-00200").once() == {}
    assert len(load_run(copy / "results" / "step-00200").sources["mini_colour"]) == 3


def test_other_data_is_scored_again_and_more_questions_replace_fewer(copy):
    file = next((copy / "results" / "step-00000").rglob("*_results.json"))
    content = json.loads(file.read_text())
    content["configs"]["radar_mini_colour"]["radar"]["data"]["checksum"] = "of another time"
    file.write_text(json.dumps(content))
    said = []
    tracker(copy, pattern="step-00000", said=said).once()
    assert said[0] == "step-00000 is scored again: its questions are others than in its results"
    assert said[1].startswith("[1/1]")
    tracker(copy, pattern="step-00000", limit=4).once()
    assert len(load_run(copy / "results" / "step-00000").sources["mini_colour"]) == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"limit": 2}, "limit was 3 and is 2"),
        ({"model_args": {"blind": "true"}}, "blind was False and is True"),
        ({"tasks": ["radar_mini_sum"]}, "also holds results of mini_colour"),
    ],
)
def test_results_of_other_settings_are_never_replaced(tracked, changed, message):
    root = tracked[0]
    before = dates(root)
    with pytest.raises(ResultsError, match=message):
        tracker(root, pattern="step-00000", **changed).once()
    assert dates(root) == before


def test_a_checkpoint_is_not_taken_for_a_results_folder(tracked):
    root = tracked[0]
    with pytest.raises(ResultsError, match="which is not a result"):
        tracker(root, output=".").once()
    assert (root / "step-00000" / "model.safetensors").is_file()


def test_former_results_survive_when_new_ones_cannot_be_written(copy, monkeypatch):
    before = dates(copy)
    change_a_weight(copy / "step-00200")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module, "replace_folder", full_disk)
    failed = tracker(copy, pattern="step-00200").once()
    assert "No space left" in failed["step-00200"]
    assert dates(copy) == before


def test_watching_leaves_what_is_being_written_and_scores_what_is_rewritten(copy, monkeypatch):
    shutil.rmtree(copy / "step-00100")
    for name in ("step-00000", "step-00200"):
        age(copy / name)
    said, rounds = [], iter(range(4))

    def between(seconds):
        match next(rounds):
            case 0:
                assert len(said) == 1  # both finished
                change_a_weight(copy / "step-00200")
            case 1:
                assert len(said) == 1  # changed a moment ago
                age(copy / "step-00200")
                index = {"weight_map": {"x": "model-00001-of-00002.safetensors"}}
                (copy / "step-00300").mkdir()
                (copy / "step-00300" / "config.json").write_text((copy / "step-00000" / "config.json").read_text())
                (copy / "step-00300" / "model.safetensors.index.json").write_text(json.dumps(index))
                for file in (copy / "step-00000").glob("*token*"):
                    shutil.copy(file, copy / "step-00300")
                shutil.copy(copy / "step-00000" / "processor_config.json", copy / "step-00300")
                age(copy / "step-00300")
            case 2:
                assert said[1].startswith("waiting for step-00300")
                assert "lacks model-00001-of-00002.safetensors" in said[1]
                assert said[2].startswith("step-00200 is scored again: its weights are others")
                assert said[3].startswith("[1/1] step-00200")
            case 3:
                assert len(said) == 4
                raise KeyboardInterrupt

    monkeypatch.setattr(track_module.time, "sleep", between)
    with pytest.raises(KeyboardInterrupt):
        tracker(copy, said=said).watch()


def test_one_that_cannot_be_read_fails_alone(copy, monkeypatch):
    """Also one that was finished: a disk that gives errors, a configuration no parser can follow, a pipe."""
    (copy / "step-00000" / "config.json").write_text("[" * 100_000)
    shutil.rmtree(copy / "step-00100")
    build("qwen2_vl", copy / "step-00100", seed=1)
    (copy / "step-00300").mkdir()
    os.mkfifo(copy / "step-00300" / "model.safetensors")
    real, asked = track_module.reason_to_score, []

    def reason_to_score(checkpoint, *about, **named):
        asked.append(checkpoint.name)
        if checkpoint.name == "step-00200":
            raise OSError(5, "Input/output error")
        return real(checkpoint, *about, **named)

    monkeypatch.setattr(track_module, "reason_to_score", reason_to_score)
    said = []
    failed = tracker(copy, said=said).once()
    assert list(failed) == ["step-00000", "step-00200", "step-00300"]
    assert failed["step-00200"] == "OSError: [Errno 5] Input/output error"
    assert "is not a file but a pipe" in failed["step-00300"]
    assert [line.split()[1] for line in said if line.startswith("[")] == [f"step-00{k}00:" for k in range(4)]
    assert "step-00100" in dates(copy)

    for name in ("step-00000", "step-00100", "step-00200"):
        age(copy / name)
    watched, rounds = [], iter(range(2))

    def between(seconds):
        if next(rounds):
            raise KeyboardInterrupt

    monkeypatch.setattr(track_module.time, "sleep", between)
    with pytest.raises(KeyboardInterrupt):
        tracker(copy, said=watched).watch()
    told = [line for line in watched if "FAILED" in line or "waiting" in line]
    assert {line.split("step-")[1][:5] for line in told} == {"00000", "00200", "00300"}
    assert len(told) == 3  # each once


def test_files_dated_in_the_future_are_said_and_scored_when_they_are_left_alone(copy, monkeypatch):
    shutil.rmtree(copy / "results")
    age(copy / "step-00000", seconds=-7200)
    said, now = [], [1000.0]

    def between(seconds):
        now[0] += seconds
        if now[0] > 1030:
            raise KeyboardInterrupt

    monkeypatch.setattr(track_module.time, "sleep", between)
    monkeypatch.setattr(track_module.time, "monotonic", lambda: now[0])
    with pytest.raises(KeyboardInterrupt):
        tracker(copy, pattern="step-00000", said=said).watch()
    assert re.search(r"step-00000: its newest file is dated (2:00|1:\d\d):\d\d in the future", said[0])
    assert said[1].startswith("[1/1] step-00000: perception 0.")
    assert len(said) == 2


def test_scores_are_told_as_they_come(tracked, copy):
    _, _, said = tracked
    run = load_run(copy / "results" / "step-00200")
    probability = [np.exp(row[answer]) / np.exp(row).sum() for row, answer in zip(
        run.sources["mini_colour"].logprob, run.sources["mini_colour"].answer, strict=True
    )]  # fmt: skip
    half = 1.96 * np.std(probability, ddof=1) / np.sqrt(3)
    assert f"step-00200: perception {np.mean(probability):.3f} ± {half:.3f}; " in said[2]
    shutil.rmtree(copy / "results")
    results = []
    tracker(copy, on_result=results.append).once()
    assert [result.name for result in results] == ["step-00000", "step-00200"]


def test_a_tracker_and_a_page_hear_of_each_checkpoint(copy, monkeypatch, capsys):
    """The names are those of `RadarCallback`; a page that cannot be made yet ends nothing."""
    shutil.rmtree(copy / "results")
    shutil.rmtree(copy / "step-00100")
    logged = []
    fake = types.ModuleType("trackio")
    fake.init = lambda **about: logged.append(about["project"])
    fake.log = lambda numbers, step: logged.append((step, numbers))
    fake.finish = lambda: logged.append("finished")
    monkeypatch.setitem(sys.modules, "trackio", fake)
    monkeypatch.setenv("RADAR_HOME", str(copy / "home"))
    settings = {"output": copy / "results", "tasks": TASKS[0], "limit": 3, "report": copy / "page.html"}
    track_command.command([str(copy)], log=track_command.Log.trackio, project="p", **settings)
    assert logged[0] == "p"
    assert [entry[0] for entry in logged[1:-1]] == [0, 200]
    assert logged[-1] == "finished"
    run = load_run(copy / "results" / "step-00200")
    assert logged[2][1]["radar/perception_sds"] == pytest.approx(tracker_values(run.sources)["radar/perception_sds"])
    assert "<html" in (copy / "page.html").read_text()
    with pytest.raises(typer.Exit):
        track_command.command([str(copy)], log=track_command.Log.tensorboard, **settings)
    assert "tensorboard" in capsys.readouterr().err


def test_a_pattern_without_a_match_is_said_before_anything_else(tmp_path):
    """Neither tasks nor data are looked for, and nothing heavy is imported."""
    code = (
        "import sys, typer; from radar_tasks.cli import track; from radar_tasks.errors import CheckpointError\n"
        f"try: track.command([{str(tmp_path / 'none-*')!r}], output={str(tmp_path)!r}, tasks='radar_nothing')\n"
        "except CheckpointError as error: print(error, 'torch' in sys.modules, 'lmms_eval' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("No folder matches"), done.stderr
    assert done.stdout.endswith("False False\n")


def test_what_cannot_be_tracked_says_so_before_anything_is_scored(tmp_path):
    with pytest.raises(RadarError, match="There is no task radar_nothing"):
        tracker(tmp_path, tasks=["radar_nothing"])
    with pytest.raises(CheckpointError, match="max_pixel"):
        tracker(tmp_path, model_args={"max_pixel": "100"})
    with pytest.raises(CheckpointError, match="the checkpoint is named already"):
        tracker(tmp_path, model_args={"pretrained": "elsewhere"})  # every checkpoint would be that one
    with pytest.raises(CheckpointError, match="No folder matches"):
        tracker(tmp_path).once()


def test_folders_are_replaced_whole_also_by_several_at_once(tmp_path):
    place = tmp_path / "results"

    def replace(who):
        for k in range(50):
            new = tmp_path / f"new-{who}-{k}"
            new.mkdir()
            for name in ("a", "b"):
                (new / name).write_text(f"{who} {k}")
            replace_folder(new, place)

    threads = [threading.Thread(target=replace, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (place / "a").read_text() == (place / "b").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["results"]
    with pytest.raises(OSError, match="nowhere"):
        replace_folder(tmp_path / "nowhere", place)
    assert (place / "a").is_file()


def scores(folder):
    return {
        (run.step, str(q_id)): logprob.tolist()
        for run in find_runs([folder])
        for samples in run.sources.values()
        for q_id, logprob in zip(samples.q_id, samples.logprob, strict=True)
    }


def test_two_processes_share_each_checkpoint_and_a_damaged_one_stops_nobody(tracked, tmp_path):
    """Three questions for two ranks."""
    root, _, said = tracked
    track = ["-m", "radar_tasks.cli", "track", root / "step-*", "--tasks", *TASKS, "--limit", 3, "--output", tmp_path]
    done = launch(*track)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert [line.split()[:2] for line in lines] == [line.split()[:2] for line in said], done.stdout + done.stderr
    assert "step-00100: FAILED: /" in lines[1]  # and not of one rank only
    alone, together = scores(root / "results"), scores(tmp_path)
    assert alone.keys() == together.keys()
    assert len(alone) == 6
    for key, logprob in alone.items():
        assert together[key] == pytest.approx(logprob, abs=1e-5)


def test_two_processes_hold_a_checkpoint_together(tracked, tmp_path):
    """`tp=2`: each rank has half of the weights, both are asked all questions, and the scores are one process's."""
    root = tracked[0]
    track = ["-m", "radar_tasks.cli", "track", root / "step-00200", "--tasks", *TASKS, "--limit", 3]
    done = launch(*track, "--output", tmp_path, "--model-args", "tp=2,dtype=float32")
    assert done.returncode == 0, done.stdout + done.stderr
    alone = {key: logprob for key, logprob in scores(root / "results").items() if key[0] == 200}
    together = scores(tmp_path)
    assert alone.keys() == together.keys()
    for key, logprob in alone.items():
        assert together[key] == pytest.approx(logprob, abs=1e-5)


def test_the_command_asks_for_a_prior_and_says_by_its_status_that_questions_are_left_out(tmp_path):
    folder = build("qwen2_vl", tmp_path / "step-00100", seed=1)
    encoder = from_model(*make("qwen2_vl", 1))
    table = open_source("mini_colour")
    asked = [encoder.encode(table[k]) for k in document_order(table.headers())[:6]]
    lengths = [len(q.prefix_ids) + max(map(len, q.continuations)) for q in asked]
    config = json.loads((folder / "config.json").read_text())
    text = config.get("text_config", config)
    text["max_position_embeddings"] = max(lengths) - 1  # too short a context for the longest of them
    (folder / "config.json").write_text(json.dumps(config))
    command = ["-m", "radar_tasks.cli", "track", folder, "--tasks", *TASKS, "--limit", 6, "--prior", "blind"]
    command = [sys.executable, *map(str, command), "--output", str(tmp_path / "results")]
    done = subprocess.run(
        command, check=False, env={**os.environ, **QUIET}, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == QUESTIONS_LEFT_OUT == 3, done.stdout + done.stderr
    samples = load_run(tmp_path / "results" / "step-00100").sources["mini_colour"]
    assert 0 < len(samples) == sum(length < max(lengths) for length in lengths) < 6
    assert len(samples.logprob_blind) == len(samples)
    assert all(np.isfinite(row).all() for row in samples.logprob_blind)


SCRIPT = """
import sys
from radar_tasks.errors import RadarError
from radar_tasks.harness.ranks import decided_by_main, ending_job, failing_together, ranks

rank = ranks().process_index

def say(text):
    # One write a line: the ranks share a pipe, and unbuffered `print` writes the line's end by itself.
    sys.stdout.write(text + chr(10))
    sys.stdout.flush()

def attempt(label, action, error):
    try:
        with failing_together():
            if rank == 1 and error:
                raise error
            action()
    except RadarError as met:
        say(f"{label} rank{rank}: {met}")

attempt("one", lambda: None, RadarError("bad question"))
attempt("none", lambda: say(f"fine rank{rank}"), None)

def decide():
    raise RadarError("no folder")
try:
    decided_by_main(decide)
except RadarError as met:
    say(f"main rank{rank}: {met}")
say(f"value rank{rank}: {decided_by_main(lambda: rank + 7)}")
with ending_job():
    if rank == 1:
        raise ValueError("a bug")
    ranks().wait_for_everyone()
say("never")
"""


def test_ranks_agree_on_failures_and_a_bug_on_one_ends_the_job(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = launch(tmp_path / "script.py")
    assert done.returncode != 0
    assert sorted(done.stdout.splitlines()) == [
        "fine rank0",
        "fine rank1",
        "main rank0: no folder",
        "main rank1: no folder",
        "one rank0: rank 1 of 2: bad question",
        "one rank1: rank 1 of 2: bad question",
        "value rank0: 7",
        "value rank1: 7",
    ]
    assert "rank 1 ends the job: ValueError: a bug" in done.stderr


@pytest.fixture
def answered(tmp_path, monkeypatch):
    """Two checkpoints whose engine is left out: each has a chance of the right answer of its own."""
    build("qwen2_vl", tmp_path / "step-00000", seed=0)
    shutil.copytree(tmp_path / "step-00000", tmp_path / "step-00200")
    table = open_source("mini_colour")
    refused = table[document_order(table.headers())[0]].q_id

    def score(self, questions, on_refused=None):
        level = 0.9 if self._checkpoint.describe()["name"] == "step-00200" else 0.3
        for index in range(len(questions)):
            question = questions[index]
            if question.q_id == refused:
                on_refused(index, QuestionError("too wide"))
                continue
            noise = int(hashlib.sha256(f"{question.q_id} {level}".encode()).hexdigest()[:6], 16) / 16**6 - 0.5
            chances = [level + 0.2 * noise if k == question.answer else 0.2 for k in range(len(question.options))]
            yield index, tuple(OptionScore(float(np.log(chance)), 0.0, 1, 5) for chance in chances)

    monkeypatch.setattr(Scorer, "score", score)
    return tmp_path


def test_until_asks_as_much_as_it_takes_and_is_told(answered):
    said = []
    settings = {"tasks": ["radar_mini_colour", "radar_mini_sum"], "limit": 150, "output": "until", "said": said}
    assert not tracker(answered, until=0.02, **settings).once()
    first, last = find_runs([answered / "until"])
    assert [len(first.sources[source]) for source in ("mini_colour", "mini_sum")] == [149, 150]
    assert first.refused == 1
    record = until_record(last.scoring)
    assert [(change.verdict, change.since) for change in record.changes] == [("rose", "step-00000")] * 2
    for change, source in zip(record.changes, ("mini_colour", "mini_sum"), strict=True):
        assert 38 <= change.asked < 120
        assert len(last.sources[source]) in (change.asked, change.asked - last.refused)
        assert np.isin(last.sources[source].q_id, first.sources[source].q_id).all()
    assert record.sds["reasoning"].low < record.sds["reasoning"].estimate < record.sds["reasoning"].high
    assert last.scoring["until"] == 0.02
    assert any("perception rose since step-00000" in line for line in said)

    # Finished is what was measured with the same delta, and fewer questions never replace more.
    before = dates_of(answered / "until")
    tracker(answered, until=0.02, **settings).once()
    assert dates_of(answered / "until") == before
    with pytest.raises(ResultsError, match=r"until was 0\.02 and is 0\.05 now"):
        tracker(answered, until=0.05, **settings).once()
    tracker(answered, **settings).once()
    assert any("as many questions as until=0.02 took" in line for line in said)
    assert len(load_run(answered / "until" / "step-00200").sources["mini_sum"]) == 150
    with pytest.raises(ResultsError, match=r"until was None and is 0\.02 now"):
        tracker(answered, until=0.02, **settings).once()


@pytest.mark.parametrize("until", ["0", "-0.02", "1.5", "nan"])
def test_an_until_that_is_no_delta_is_told_before_anything_is_scored(tracked, until, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "radar_tasks.cli", "track", str(tracked[0] / "step-*"), "--tasks", "radar_mini_colour",
         "--output", str(tmp_path / "out"), "--until", until],
        check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"until={float(until)!r}: give the smallest change of SDS" in done.stderr
    assert not (tmp_path / "out").exists()
