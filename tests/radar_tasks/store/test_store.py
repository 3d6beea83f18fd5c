"""The store: what is written is read again, whole or not at all, by threads, forks and pickles alike."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from release import make_release

from radar_tasks.errors import DataError, QuestionError
from radar_tasks.paths import data_home
from radar_tasks.questions import Question
from radar_tasks.sources.release import release_sources
from radar_tasks.sources.source_reader import Rejected
from radar_tasks.store import Origin, QuestionTable, SourceWriter, open_source, source_names, source_path
from radar_tasks.store import preparation as prepare_module
from radar_tasks.store import writer as writer_module
from radar_tasks.store.home import check_own_name, stored_names
from radar_tasks.store.preparation import prepare
from radar_tasks.store.verification import problems_in

ORIGIN = Origin(kind="table", location="made up")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def question(number: int = 0, images: int = 1, size: int = 50, **changes) -> Question:
    values = {
        "q_id": f"q{number}",
        "text": ("What is it?",),
        "images": tuple(bytes([number % 256, k]) * size for k in range(images)),
        "options": ("a", "b"),
        "answer": number % 2,
        "ability": "perception",
        "task": "Things",
        "source": "things",
        "category": f"c{number % 3}",
        "image_id": f"i{number // 2}",
    }
    return Question(**(values | changes))


def write(path: Path, questions) -> QuestionTable:
    with SourceWriter(path) as writer:
        for each in questions:
            writer.add(each)
        writer.finish(ORIGIN)
    return QuestionTable(path)


texts = st.text(st.characters(codec="utf-8"), max_size=20)
some_questions = st.lists(
    st.builds(
        lambda text, images, options, answer, category, image_id, rule: {
            "text": tuple(text) if len(text) in (1, len(images) + 1) else ("x",),
            "images": tuple(images),
            "options": tuple(options),
            "answer": answer % len(options),
            "category": category,
            "image_id": image_id,
            "rule": rule,
        },
        st.lists(texts, min_size=1, max_size=4),
        st.lists(st.binary(min_size=1, max_size=99), min_size=1, max_size=12),
        st.lists(texts.filter(str.strip), min_size=2, max_size=5, unique=True),
        st.integers(0, 99),
        texts,
        texts,
        texts,
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=cases(25), deadline=None)
@given(some_questions)
def test_questions_come_back_as_they_were(tmp_path_factory, drawn):
    questions = [replace(question(number), **values) for number, values in enumerate(drawn)]
    table = write(tmp_path_factory.mktemp("t") / "things.parquet", questions)
    assert list(table) == questions
    assert table[-1] == questions[-1]
    assert table.content_checksum() == table.checksum
    for header, each in zip(table.headers(), questions, strict=True):
        row = each.to_row()
        assert len(row.pop("images")) == header.pop("n_images")
        assert header == row


def test_the_checksum_sees_every_field_and_the_order(tmp_path):
    base = [question(0), question(1)]
    changed = [
        [question(1), question(0)],
        [question(0, text=("What was it?",)), question(1)],
        [question(0, text=("What is ", " it?")), question(1)],
        [question(0, images=2), question(1)],
        [question(0, size=51), question(1)],
        [question(0, options=("b", "a")), question(1)],
        [question(0, answer=1), question(1)],
        [question(0, category=""), question(1)],
        [question(0, image_id="j"), question(1)],
        [question(0, rule="r"), question(1)],
        [question(0)],
    ]
    checksums = {write(tmp_path / f"{k}.parquet", each).checksum for k, each in enumerate([base, *changed])}
    assert len(checksums) == len(changed) + 1
    assert write(tmp_path / "again.parquet", base).checksum == write(tmp_path / "once more.parquet", base).checksum


def test_the_manifest_counts(tmp_path):
    manifest = write(tmp_path / "t.parquet", [question(number, images=1 + number % 2) for number in range(7)]).manifest
    assert (manifest.questions, manifest.images, manifest.image_bytes) == (7, 10, 1000)
    assert manifest.categories == {"c0": 3, "c1": 2, "c2": 2}
    assert manifest.for_results()["skipped"] == 0


def test_large_questions_make_small_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "GROUP_BYTES", 1000)
    path = tmp_path / "t.parquet"
    table = write(path, [question(number, size=300) for number in range(10)])
    metadata = pq.ParquetFile(path).metadata
    assert metadata.num_row_groups == 10
    assert [each.q_id for each in table] == [f"q{number}" for number in range(10)]


def test_memory_is_bounded_by_a_few_row_groups(tmp_path):
    table = write(tmp_path / "t.parquet", (question(number, size=50_000) for number in range(400)))  # 40 MB
    before = pa.total_allocated_bytes()
    for place in range(0, 400, 7):
        assert table[place].q_id == f"q{place}"
    assert pa.total_allocated_bytes() - before < 4 * 32 * 110_000 + 4e6


def test_indices_beyond_the_end(tmp_path):
    table = write(tmp_path / "t.parquet", [question(0), question(1)])
    assert (table[-2].q_id, table[1].q_id) == ("q0", "q1")
    for index in (2, -3):
        with pytest.raises(IndexError):
            table[index]


def test_a_question_by_its_q_id(tmp_path):
    table = write(tmp_path / "t.parquet", map(question, range(100)))
    assert table.index_of("q77") == 77
    with pytest.raises(DataError, match="no question 'q100'"):
        table.index_of("q100")


def test_threads_share_a_table(tmp_path):
    table = write(tmp_path / "t.parquet", map(question, range(300)))
    wrong: list[int] = []

    def look(offset: int) -> None:
        wrong.extend(k for k in range(300) if table[(k * 37 + offset) % 300].q_id != f"q{(k * 37 + offset) % 300}")

    threads = [threading.Thread(target=look, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_process_forked_while_a_thread_reads_can_read(tmp_path):
    table = write(tmp_path / "t.parquet", map(question, range(100)))
    table[0]

    def child() -> None:
        right = [table[place] for place in (99, 0, 50)] == [question(99), question(0), question(50)]
        os._exit(0 if right else 1)

    with table._lock:  # in the child nobody will ever give it back
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
    process.join(30)
    finished = process.exitcode
    process.kill()  # one that waits for ever must not keep the tests waiting too
    assert finished == 0


def test_a_table_travels_to_another_process(tmp_path):
    table = write(tmp_path / "t.parquet", map(question, range(100)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(table.__getitem__, (99,)).get(60) == question(99)


def test_a_store_that_changed_under_a_job_is_noticed(tmp_path):
    path = tmp_path / "t.parquet"
    table = write(path, map(question, range(3)))
    frozen = pickle.dumps(table)
    write(path, map(question, range(4)))
    assert [each.q_id for each in table] == ["q0", "q1", "q2"]  # the open file is the old one
    with pytest.raises(DataError, match="changed while it was in use"):
        pickle.loads(frozen)


def other_questions(path):
    """As many questions with pictures as large: the file could hardly be more alike."""
    other = path.with_name("other.parquet")
    write(other, (question(number, answer=1 - number % 2) for number in range(100)))
    assert abs(other.stat().st_size - path.stat().st_size) < 100
    return other.read_bytes()


@pytest.mark.parametrize("content", [other_questions, lambda path: path.read_bytes()[:-999], lambda path: b"PAR1"])
def test_a_store_that_was_written_into_under_a_job_is_noticed(tmp_path, content):
    path = tmp_path / "t.parquet"
    table = write(path, map(question, range(100)))
    assert table[0] == question(0)
    path.write_bytes(content(path))  # the same file: whoever has it open reads this from now on
    with pytest.raises(DataError, match="changed while it was in use.*Start the run again"):
        table[99]
    with pytest.raises(DataError, match="changed while it was in use"):
        table.headers()


def test_a_store_that_was_written_again_as_it_was_or_has_gone_is_read_on(tmp_path):
    path = tmp_path / "t.parquet"
    table = write(path, map(question, range(200)))
    assert table[0] == question(0)
    path.write_bytes(path.read_bytes())
    assert table[60] == question(60)
    path.unlink()
    assert table[199] == question(199)


@pytest.mark.parametrize("damage", ["cut", "text", "other parquet", "no manifest", "bad manifest", "count"])
def test_a_file_that_is_no_store_is_refused(tmp_path, damage):
    path = tmp_path / "t.parquet"
    write(path, map(question, range(3)))
    table = pq.read_table(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-50])
    elif damage == "text":
        path.write_text("hello")
    elif damage == "other parquet":
        pq.write_table(pa.table({"a": [1]}), path)
    elif damage == "no manifest":
        pq.write_table(table.replace_schema_metadata(None), path)
    else:
        manifest = QuestionTable(path).manifest
        text = "{}" if damage == "bad manifest" else manifest.model_copy(update={"questions": 4}).model_dump_json()
        pq.write_table(table.replace_schema_metadata(None), path)
        with pq.ParquetWriter(path, table.schema.remove_metadata()) as rewriter:
            rewriter.write_table(table.replace_schema_metadata(None))
            rewriter.add_key_value_metadata({"radar_manifest": text})
    with pytest.raises(DataError, match=str(path)):
        QuestionTable(path)


def test_the_writer_refuses_what_does_not_belong(tmp_path):
    with SourceWriter(tmp_path / "t.parquet") as writer:
        writer.add(question(0))
        with pytest.raises(DataError, match="twice"):
            writer.add(question(0))
        with pytest.raises(DataError, match="not of 'things'"):
            writer.add(question(1, source="others"))
        with pytest.raises(DataError, match="of ability 'reasoning', not of 'perception'"):
            writer.add(question(1, ability="reasoning"))
    with SourceWriter(tmp_path / "t.parquet") as writer, pytest.raises(DataError, match="there is no sound question"):
        writer.finish(ORIGIN)
    assert list(tmp_path.iterdir()) == []


# --- home ------------------------------------------------------------------------------------------------------------


def test_where_data_lives(monkeypatch, tmp_path):
    assert data_home() == tmp_path / "home"
    monkeypatch.delenv("RADAR_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert data_home() == Path("/caches/radar")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/someone")
    assert data_home() == Path("/someone/.cache/radar")


def test_a_missing_source_says_how_to_get_it():
    with pytest.raises(DataError, match=r"(?s)radar data download.*radar data prepare.*radar_mini") as told:
        open_source("wiki_plant")
    assert "A stand-in, of other pictures:  radar data rebuild wiki_plant" in str(told.value)
    with pytest.raises(DataError, match="radar data rebuild mmbench"):
        open_source("mmbench")
    with pytest.raises(DataError, match=r"(?s)radar data new birds --table.*radar data import birds --from"):
        open_source("birds")
    with pytest.raises(DataError, match="radar data import mmstar"):
        open_source("mmstar")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "x" * 65, ".x", "x.parquet"])
def test_a_name_of_a_source_cannot_point_elsewhere(name):
    with pytest.raises(DataError, match="not a name of a source"):
        source_path(name)


@pytest.mark.parametrize("name", ["mmbench", "mini", "mini_x", "perception", "reasoning", "more_perception", "mmstar"])
def test_names_that_are_taken(name):
    with pytest.raises(DataError, match="task of"):
        check_own_name(name)


def test_the_embedded_sample_needs_no_store(home):
    assert stored_names() == []
    assert source_names()
    assert all(name.startswith("mini_") for name in source_names())
    assert len(open_source(source_names()[0])) > 0
    assert not home.exists()


# --- prepare ---------------------------------------------------------------------------------------------------------


class Reader:
    """A source reader of made-up items."""

    kind = "table"
    location = "nowhere"

    def __init__(self, items, source="things", fingerprint="f"):
        self.source, self.items, self._fingerprint = source, items, fingerprint
        self.times_read = 0

    def fingerprint(self):
        return self._fingerprint

    def __len__(self):
        return len(self.items)

    def read(self):
        self.times_read += 1
        for each in self.items:
            if isinstance(each, BaseException):
                raise each
            yield each


def silent(source: str, count: int) -> None:
    pass


BAD = Rejected("q9", "file.json", ("it is bad", "and worse"))


def test_problems_of_all_sources_are_told_at_once_and_nothing_changes(home):
    prepare([Reader([question(0)])], False, silent)
    before = open_source("things").checksum
    other = Reader([question(1, source="others"), Rejected("", "other.json", ("is empty",))], "others")
    with pytest.raises(DataError) as told:
        prepare([Reader([question(0), question(1), BAD]), other], False, silent)
    for part in ("file.json, question 'q9': it is bad; and worse", "other.json: is empty", "--skip-bad"):
        assert part in str(told.value)
    assert stored_names() == ["things"]
    assert open_source("things").checksum == before


def test_broken_questions_can_be_left_out_and_are_recorded():
    many = Rejected("q8", "file.json", too_many_images=True)
    (manifest,) = prepare([Reader([question(0), BAD, many])], True, silent)
    assert manifest == open_source("things").manifest
    assert [(bad.q_id, bad.file, bad.reasons) for bad in manifest.skipped] == [
        ("q9", "file.json", ("it is bad", "and worse"))
    ]
    assert manifest.too_many_images == 1
    (manifest,) = prepare([Reader([question(0), many])], False, silent)  # too many images: no error
    assert (manifest.skipped, manifest.too_many_images) == ((), 1)


def test_a_source_without_one_sound_question_is_refused_even_then():
    with pytest.raises(DataError, match="it is bad"):
        prepare([Reader([BAD])], True, silent)
    with pytest.raises(DataError, match="there is no sound question"):
        prepare([Reader([])], True, silent)


def test_an_interrupted_run_changes_nothing_and_running_again_goes_on(home):
    prepare([Reader([question(0)]), Reader([question(0, source="others")], "others")], False, silent)
    old = {name: open_source(name).checksum for name in stored_names()}
    first = Reader([question(number) for number in range(5)])
    with pytest.raises(KeyboardInterrupt):
        prepare([first, Reader([question(1, source="others"), KeyboardInterrupt()], "others")], False, silent)
    assert {name: open_source(name).checksum for name in stored_names()} == old
    counted: list[tuple[str, int]] = []
    second = Reader([question(1, source="others")], "others")
    manifests = prepare([first, second], False, lambda *step: counted.append(step))
    assert (first.times_read, second.times_read) == (1, 1)
    assert counted == [("things", 5), ("others", 1)]
    assert [manifest.questions for manifest in manifests] == [5, 1]
    assert [len(open_source(name)) for name in ("things", "others")] == [5, 1]
    assert not list(home.rglob("*.partial")) + list((home / "staging").glob("*"))


@pytest.mark.parametrize("change", ["fingerprint", "version", "skip_bad", "damage"])
def test_what_was_staged_is_only_used_if_it_is_the_same(home, monkeypatch, change):
    items = [question(0), BAD] if change == "skip_bad" else [question(0)]
    stop = Reader([KeyboardInterrupt()], "others")
    with pytest.raises(KeyboardInterrupt):
        prepare([Reader(items), stop], change == "skip_bad", silent)
    again = Reader(items, fingerprint="g" if change == "fingerprint" else "f")
    if change == "version":
        monkeypatch.setattr(prepare_module, "_version", lambda: "99")
    if change == "damage":
        (home / "staging" / "things.parquet").write_bytes(b"x")
    if change == "skip_bad":
        with pytest.raises(DataError, match="it is bad"):
            prepare([again], False, silent)
    else:
        prepare([again], False, silent)
    assert again.times_read == 1


def test_a_full_disk_leaves_the_store_as_it_was(home, monkeypatch):
    prepare([Reader([question(0)])], False, silent)

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer_module.pq.ParquetWriter, "write_table", full)
    with pytest.raises(DataError, match="No space left"):
        prepare([Reader([question(0), question(1)])], False, silent)
    assert len(open_source("things")) == 1
    assert not list(home.rglob("*.partial"))


def test_a_home_that_is_a_file_is_told(home):
    home.write_text("not a folder")
    with pytest.raises(DataError, match="cannot be written"):
        prepare([Reader([question(0)])], False, silent)


def test_a_killed_run_leaves_the_store_and_its_rubbish_goes_in_time(home, tmp_path):
    make_release(tmp_path / "release", wiki=150)
    code = (
        "import sys; from pathlib import Path; from radar_tasks.sources.release import release_sources;"
        "from radar_tasks.store.preparation import prepare;"
        "prepare(release_sources(Path(sys.argv[1])), False, lambda source, count: print(source, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "release"], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line == "wiki_plant\n":
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    assert stored_names() == []
    assert (home / "staging" / "mmbench.parquet").is_file()
    (rubbish,) = home.rglob("*.partial")
    os.utime(rubbish, (0, time.time() - 2 * writer_module.ABANDONED_AFTER))
    prepare(release_sources(tmp_path / "release"), False, silent)
    assert len(stored_names()) == 9
    assert not list(home.rglob("*.partial"))


def test_two_runs_at_once_are_both_whole(tmp_path):
    path = tmp_path / "t.parquet"
    with SourceWriter(path) as one, SourceWriter(path) as two:
        one.add(question(0))
        two.add(question(1))
        one.finish(ORIGIN)
        assert QuestionTable(path)[0] == question(0)
        two.finish(ORIGIN)
    assert QuestionTable(path)[0] == question(1)


# --- verify ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return folder, make_release(folder, wiki=9)


def steps(_: int) -> None:
    pass


def test_a_prepared_release_is_found_sound(release):
    folder, counts = release
    prepare(release_sources(folder), False, silent)
    assert {name: len(open_source(name)) for name in stored_names()} == counts
    for name in stored_names():
        assert list(problems_in(name, steps)) == []


def tampered(name: str, change) -> list[str]:
    """What `verify` says of a source whose rows were changed behind the manifest's back."""
    path = source_path(name)
    table, manifest = pq.read_table(path), QuestionTable(path).manifest
    rows = table.to_pylist()
    change(rows)
    with pq.ParquetWriter(path, table.schema) as rewriter:
        rewriter.write_table(pa.Table.from_pylist(rows, table.schema))
        rewriter.add_key_value_metadata({"radar_manifest": manifest.model_dump_json()})
    return list(problems_in(name, steps))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("images", [b"no picture"], "image 0"),
        ("options", ["a", "a"], "repeats"),
        ("options", None, "at least two"),
        ("answer", 7, "the answer is option 7"),
        ("answer", None, "not the index"),
        ("q_id", None, "q_id"),
        ("text", ["a", "b", "c"], "the text marks 2 images"),
        ("ability", "taste", "ability"),
        ("source", "others", "'others'"),
        ("rule", "x", "checksum"),
        ("category", "x", "the categories hold"),
        ("task", "x", "the manifest says otherwise"),
    ],
)
def test_verify_finds_a_change(release, field, value, told):
    prepare(release_sources(release[0])[:1], False, silent)

    def change(rows):
        rows[3][field] = value

    assert told in "\n".join(tampered("mmbench", change))


def test_verify_finds_repeated_questions_and_lists_all(release):
    prepare(release_sources(release[0])[:1], False, silent)

    def change(rows):
        rows[1]["q_id"] = rows[0]["q_id"]
        rows[2]["images"] = [rows[2]["images"][0][:-30]]
        rows[4]["options"] = ["only one"]

    told = "\n".join(tampered("mmbench", change))
    for part in ("comes 2 times", "image 0", "at least two"):
        assert part in told


def test_verify_finds_flipped_bytes_and_a_missing_file(release, home):
    prepare(release_sources(release[0])[:1], False, silent)
    path = source_path("mmbench")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(bytes(data))
    assert list(problems_in("mmbench", steps))
    path.unlink()
    assert "not in" in next(iter(problems_in("mmbench", steps)))


# --- the type --------------------------------------------------------------------------------------------------------


def test_a_question_error_lists_its_problems():
    with pytest.raises(QuestionError) as told:
        replace(question(0), options=("a", "a", ""), answer=5)
    assert len(told.value.problems) == 3
    assert pickle.loads(pickle.dumps(told.value)).problems == told.value.problems
