"""Planted faults are found, clean questions are left alone, and what cannot be known is said to be unknown."""

import io
import json

import numpy as np
import pytest
from fake_runs import simulate, write_run
from PIL import Image
from planted_faults import plant
from typer.testing import CliRunner

from radar_tasks.analysis.audit.alike_pictures import are_alike, look
from radar_tasks.analysis.audit.audited_source import audited_sources
from radar_tasks.analysis.audit.question_audit import KINDS, audit_questions
from radar_tasks.cli import app
from radar_tasks.questions import Question
from radar_tasks.results import find_runs
from radar_tasks.store import Origin, QuestionTable, SourceWriter, source_path

FAULTS = {"wrong_key": 10, "blind_solvable": 10, "never_answered": 6, "giveaways": 8}
SKILLS = (1.0, 4.0, 5.0, 6.0)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))


def audited(folder, planted, source="mini_colour", **more):
    for k, records in enumerate(planted.records):
        write_run(folder / f"step-{k + 1:05d}", f"step-{k + 1:05d}", {source: records}, **more)
    sources, notes = audited_sources(find_runs([folder]))
    return audit_questions(sources, notes)


def named(made, kind):
    return {row.q_id for row in getattr(made, kind)}


def rates(made, planted, kind):
    found, true = named(made, kind), planted.faults[kind]
    return len(found & true) / max(1, len(found)), len(found & true) / len(true)


@pytest.mark.parametrize("options", [(4,), (2,), (2, 3, 5)])
def test_planted_faults_of_every_kind_are_found(tmp_path, options):
    planted = plant(SKILLS, options=options, **FAULTS)
    made = audited(tmp_path / "results", planted)
    for kind in FAULTS:
        precision, recall = rates(made, planted, kind)
        # Of two options, one that is never answered is one whose key is wrong: they cannot be told apart.
        if 2 in options and kind in ("wrong_key", "never_answered"):
            both = named(made, "wrong_key") | named(made, "never_answered")
            true = planted.faults["wrong_key"] | planted.faults["never_answered"]
            precision, recall = len(both & true) / len(both), len(both & true) / len(true)
        # A hard question that no checkpoint answers is named as such, and none of the planted ones.
        assert precision >= (0.6 if kind == "never_answered" else 0.75), named(made, kind) - planted.faults[kind]
        assert recall >= (0.5 if kind == "blind_solvable" else 0.75), planted.faults[kind] - named(made, kind)


@pytest.mark.parametrize("options", [(4,), (2,), (2, 3, 5)])
def test_of_clean_questions_few_are_named(tmp_path, options):
    count = dict.fromkeys(KINDS, 0)
    for seed in range(3):
        made = audited(tmp_path / str(seed), plant(SKILLS, options=options, seed=seed))
        for kind in KINDS:
            count[kind] += len(getattr(made, kind))
    assert count["blind_solvable"] == count["duplicates"] == count["giveaways"] == 0
    assert count["wrong_key"] <= 3
    assert count["never_answered"] <= 18  # of 600: hard ones


def test_one_checkpoint_makes_fewer_claims_and_says_so(tmp_path):
    planted = plant((4.0,), **FAULTS, blind=False)
    made = audited(tmp_path / "results", planted)
    precision, recall = rates(made, planted, "wrong_key")
    assert precision >= 0.6
    assert recall >= 0.6
    assert not made.never_answered
    assert not made.blind_solvable
    said = {row.kind: row.why for row in made.not_looked_at}
    assert "needs 2 or more checkpoints" in said["never_answered"]
    assert "needs prior=blind" in said["blind_solvable"]
    assert "another version of the data" in said["duplicates"]
    assert "wrong_key" not in said
    assert made.wrong_key[0].discrimination is None


def test_of_a_source_that_nobody_has_learnt_nothing_is_said_of_keys(tmp_path):
    made = audited(tmp_path / "results", plant((0.0, 0.0), wrong_key=10))
    said = {row.kind: row.why for row in made.not_looked_at}
    assert not made.wrong_key
    assert "no checkpoint has learnt" in said["wrong_key"]
    assert "no checkpoint has learnt" in said["never_answered"]


def test_a_blind_twin_is_as_good_as_the_prior(tmp_path):
    planted = plant(SKILLS, blind_solvable=10)
    seen = [[{k: v for k, v in r.items() if k != "logprob_blind"} for r in of] for of in planted.records]
    twin = [
        {**{k: v for k, v in r.items() if k != "logprob_blind"}, "logprob": r["logprob_blind"]}
        for r in planted.records[-1]
    ]
    for record in twin:
        record["score"] = float(np.exp(record["logprob"])[record["answer"]] / np.exp(record["logprob"]).sum())
    folder = tmp_path / "results"
    write_run(folder / "seen", "step-00004", {"mini_colour": seen[-1]})
    write_run(
        folder / "blind", "step-00004", {"mini_colour": twin}, scoring={"blind": True}, model_args={"blind": "true"}
    )
    sources, notes = audited_sources(find_runs([folder]))
    made = audit_questions(sources, notes)
    precision, recall = rates(made, planted, "blind_solvable")
    assert recall == 1.0
    assert precision > 0.8
    assert made.sources[0].blind == 1


def test_an_answer_that_is_right_wherever_it_stands_is_a_giveaway(tmp_path):
    records = simulate("mini_colour", 60, skill=1.0)
    for i, record in enumerate(records):
        record["options"] = ["yes", "no"]
        record["answer"] = 0 if i % 20 else 1
        record["score"] = float(np.exp(record["logprob"])[record["answer"]] / np.exp(record["logprob"]).sum())
    write_run(tmp_path / "results", "step-00001", {"mini_colour": records})
    sources, notes = audited_sources(find_runs([tmp_path / "results"]))
    made = audit_questions(sources, notes)
    assert named(made, "giveaways") == {f"q{i:04d}" for i in range(60) if i % 20}
    assert "57 of the 60 questions that offer it" in made.giveaways[0].why


def test_results_on_other_data_or_with_other_keys_are_left_out_and_said(tmp_path):
    planted = plant(SKILLS)
    folder = tmp_path / "results"
    for k, records in enumerate(planted.records):
        checksums = {"mini_colour": "a" * 64} if k == 0 else None
        if k == 1:
            records[0]["answer"] = (records[0]["answer"] + 1) % 4
            p = np.exp(records[0]["logprob"])
            records[0]["score"] = float(p[records[0]["answer"]] / p.sum())
        write_run(folder / str(k), f"step-{k + 1:05d}", {"mini_colour": records}, checksums=checksums)
    sources, notes = audited_sources(find_runs([folder]))
    assert len(sources[0].seen) in (1, 2)
    assert len(notes) == 2
    assert "other data" in notes[0]


def picture(colour, dot=None, kind="PNG", size=(64, 64), **how):
    made = Image.new("RGB", (64, 64), colour)
    if dot:
        made.paste("black", (dot[0], dot[1], dot[0] + 12, dot[1] + 12))
    into = io.BytesIO()
    made.resize(size).save(into, kind, **how)
    return into.getvalue()


def store(source, questions):
    source_path(source).parent.mkdir(parents=True, exist_ok=True)
    with SourceWriter(source_path(source)) as writer:
        for q_id, text, image, options, answer in questions:
            writer.add(
                Question(q_id, (text,), (image,), options, answer, "perception", "task", source, "", f"image-{q_id}")
            )
        return writer.finish(Origin(kind="table", location="test")).checksum


def result_of(folder, source, questions, checksum):
    records = simulate(source, len(questions), skill=1.0, options=[len(q[3]) for q in questions])
    for record, (q_id, _, _, options, answer) in zip(records, questions, strict=True):
        p = np.exp(record["logprob"])
        record |= {"q_id": q_id, "image_id": f"image-{q_id}", "options": list(options), "answer": answer}
        record["score"] = float(p[answer] / p.sum())
        record["bytes"] = [len(text) for text in options]
    write_run(folder, "step-00001", {source: records}, checksums={source: checksum})


def test_duplicates_are_found_by_what_pictures_show_within_and_across_sources(tmp_path):
    colours = ("red", "blue")
    first = [
        ("a", "The colour is", picture("red"), colours, 0),
        ("b", "The colour is", picture("red", kind="JPEG", quality=60), colours, 0),  # compressed
        ("c", "The colour is", picture("blue"), colours, 1),
        ("d", "Which colour?", picture("blue"), colours, 1),  # another text
        ("e", "The dot is at the", picture("white", (10, 10)), ("left", "right"), 0),
        ("f", "The dot is at the", picture("white", (44, 10)), ("left", "right"), 1),  # another picture
    ]
    second = [
        ("x", "The colour  IS", picture("blue", size=(128, 128)), ("red", "blue", "green"), 0),  # larger; another key
        ("y", "The dot is at the", picture("white", (10, 10), size=(32, 32)), ("top", "left"), 1),
        ("z", "The number is", picture("white"), ("-5", "5"), 0),
    ]
    result_of(tmp_path / "r" / "1", "mini_colour", first, store("mini_colour", first))
    result_of(tmp_path / "r" / "2", "mini_shape", second, store("mini_shape", second))
    sources, notes = audited_sources(find_runs([tmp_path / "r"]))
    made = audit_questions(sources, notes)
    found = {(row.q_id, row.twin_q_id): row for row in made.duplicates}
    assert set(found) == {("a", "b"), ("b", "a"), ("c", "x"), ("x", "c"), ("e", "y"), ("y", "e")}
    assert [row.contradictory for row in made.duplicates] == [True, True, False, False, False, False]
    assert "the key there is 'red' and here 'blue'" in found["c", "x"].why
    assert "nearly the same picture(s), text and options as b" in found["a", "b"].why
    assert "with other distractors" in found["e", "y"].why
    assert not [row for row in made.not_looked_at if row.kind == "duplicates"]


def test_the_command_writes_json_and_a_page_and_prints_a_table_that_fits(tmp_path):
    planted = plant(SKILLS, **FAULTS)
    for k, records in enumerate(planted.records):
        records[0]["options"][0] = "<script>alert(1)</script>[red]"
        records[0]["bytes"][0] = len(records[0]["options"][0])
        write_run(tmp_path / "r" / f"step-{k}", f"step-{k + 1:05d}", {"mini_colour": records})
    done = CliRunner().invoke(
        app,
        [
            "items",
            "audit",
            str(tmp_path / "r"),
            "--json",
            str(tmp_path / "a.json"),
            "--output",
            str(tmp_path / "a.html"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert max(len(line) for line in done.stdout.split("wrong key,")[0].splitlines()) <= 80
    made = json.loads((tmp_path / "a.json").read_text())
    for kind in KINDS:
        assert all({"source", "q_id", "why"} <= set(row) for row in made[kind])
    assert {row["q_id"] for row in made["wrong_key"]} & planted.faults["wrong_key"]
    assert {row["kind"] for row in made["not_looked_at"]} == {"duplicates"}
    page = (tmp_path / "a.html").read_text()
    assert "<script" not in page
    assert 'id="wrong_key"' in page
    assert "No picture" in page


def test_pictures_of_16_bits_are_compared_by_what_they_show_and_not_as_white():
    def file(levels, mode):
        into = io.BytesIO()
        Image.fromarray(levels).convert(mode).save(into, "PNG")
        return look([into.getvalue()])

    levels = np.linspace(0, 255, 64 * 64).round().reshape(64, 64)
    deep = (levels * 257).astype(np.uint16)
    assert are_alike(file(deep, "I;16"), file(levels.astype(np.uint8), "L")) == "nearly the same"
    assert not are_alike(file(deep, "I;16"), file(deep[::-1].copy(), "I;16"))


def test_a_picture_that_pillow_refuses_is_compared_by_its_bytes(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # a decompression bomb is twice that
    first, second = look([picture("red")]), look([picture("red", kind="JPEG")])
    assert first.small is None
    assert are_alike(first, look([picture("red")])) == "the same"
    assert not are_alike(first, second)


def test_pictures_of_a_source_are_read_in_file_order(tmp_path, monkeypatch):
    texts = ("The colour is", "Which colour?")
    asked = [(f"{i}", texts[i % 2], picture((i // 2, 0, 0)), ("red", "blue"), 0) for i in range(12)]
    result_of(tmp_path / "r", "mini_colour", asked, store("mini_colour", asked))
    sources, _ = audited_sources(find_runs([tmp_path / "r"]))
    read = []
    whole = QuestionTable.__getitem__
    monkeypatch.setattr(QuestionTable, "__getitem__", lambda table, k: (read.append(k), whole(table, k))[1])
    audit_questions(sources)
    assert read == list(range(12))


def test_json_has_all_five_lists_of_questions_that_are_sound(tmp_path):
    write_run(tmp_path / "r", "step-00001", {"mini_colour": simulate("mini_colour", 30, skill=3.0)})
    done = CliRunner().invoke(app, ["items", "audit", str(tmp_path / "r"), "--json", str(tmp_path / "a.json")])
    assert done.exit_code == 0, done.output
    made = json.loads((tmp_path / "a.json").read_text())
    assert {kind: made[kind] for kind in KINDS} == {kind: [] for kind in KINDS}


def test_a_file_that_cannot_be_written_is_told_and_the_table_is_not_lost(tmp_path):
    write_run(tmp_path / "r", "step-00001", {"mini_colour": simulate("mini_colour", 30, skill=3.0)})
    done = CliRunner().invoke(app, ["items", "audit", str(tmp_path / "r"), "--output", str(tmp_path)])
    assert done.exit_code == 1
    assert f"{tmp_path} could not be written" in str(done.exception)
    assert "mini_colour" in done.stdout


def test_the_plainest_stand_first(tmp_path):
    made = audited(tmp_path / "results", plant(SKILLS, options=(2, 5), never_answered=12, giveaways=12))
    far = [row.mean / row.chance for row in made.never_answered]
    assert len(far) > 6
    assert far == sorted(far)
    assert {row.chance for row in made.never_answered} == {0.5, 0.2}
    cues = [len(row.cues) for row in made.giveaways]
    assert cues == sorted(cues, reverse=True)
    assert cues[0] > 1


def test_a_long_option_is_cut_in_a_sentence(tmp_path):
    planted = plant(SKILLS, wrong_key=10)
    for records in planted.records:
        for record in records:
            record["options"] = [text + " and so on" * 40 for text in record["options"]]
            record["bytes"] = [len(text) for text in record["options"]]
    made = audited(tmp_path / "results", planted)
    assert made.wrong_key
    assert max(len(row.why) for row in made.wrong_key) < 400
    assert len(made.wrong_key[0].key) > 400
