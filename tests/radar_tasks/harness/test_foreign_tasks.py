"""Tasks of others through `SDSTask` in lmms-eval: to the character, to the pixel, under keys that know both."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager
from PIL import Image, ImageOps

from radar_tasks import paths
from radar_tasks.errors import QuestionError, RadarError
from radar_tasks.harness.visuals import encoded_visuals
from radar_tasks.questions import Question, VerbatimQuestion
from radar_tasks.results import load_run
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import checkpoint_options, load
from radar_tasks.scoring.encoding.images import read_image
from radar_tasks.store import open_source

CHECKPOINT = max(paths.checkpoints().glob("step-*"))

UTILS = """
import json
from PIL import Image
def one(doc): return [doc["image"]]
def opened(doc): return [Image.open(doc["path"])]
def as_path(doc): return [doc["path"]]
def as_bytes(doc): return [open(doc["path"], "rb").read()]
def none(doc): return None
def broken(doc): return [Image.open(doc["path"])] if doc["id"] != "b" else doc["no such column"]
"""


class Foreign:
    """Makes a task of somebody else's in a folder, and runs it as SDS."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "utils.py").write_text(UTILS)

    def task(self, rows, **settings):
        (self.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        config = {
            "task": "theirs",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(self.folder / "rows.jsonl")}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "question",
            "doc_to_choice": "choices",
            "doc_to_target": "label",
            "doc_to_visual": "!function utils.as_path",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
            **settings,
        }
        # JSON is YAML, but for the mark of a function, which must not stand in quotes.
        text = json.dumps(config).replace('"!function utils.', "!function utils.")
        for name in ("as_path", "opened", "as_bytes", "none", "broken", "one"):
            text = text.replace(f'!function utils.{name}"', f"!function utils.{name}")
        (self.folder / "theirs.yaml").write_text(text)
        (self.folder / "sds.yaml").write_text(
            "group: theirs_sds\ntask:\n"
            "  - {task: theirs, class: !function radar_tasks.harness.lmms_eval_task.SDSTask}\n"
        )

    def run(self, checkpoint=CHECKPOINT, more="", **settings):
        manager = TaskManager(include_path=str(self.folder), include_defaults=False)
        return simple_evaluate(
            model="radar_hf",
            model_args=f"pretrained={checkpoint}{more}",
            tasks=["theirs_sds"],
            task_manager=manager,
            bootstrap_iters=0,
            **settings,
        )


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    return Foreign(tmp_path)


@pytest.fixture(scope="module")
def checkpoint():
    return load(checkpoint_options({"pretrained": str(CHECKPOINT), "dtype": "float32", "device": "cpu"}))


def picture(path, colour="red", **save):
    Image.new("RGB", (48, 48), colour).save(path, **save)
    return str(path)


def by_hand(checkpoint, text, delimiter, option):
    """Mean log-probability of a text's last part by a plain forward of the whole text, without any code of ours."""
    ids = checkpoint.tokenizer(text + delimiter + option, add_special_tokens=False, return_offsets_mapping=True)
    start = len(text + delimiter)
    with torch.no_grad():
        logits = checkpoint.model(input_ids=torch.tensor([ids["input_ids"]])).logits[0].float()
    scores = [
        float(logits[k - 1].log_softmax(-1)[token])
        for k, (token, (_, end)) in enumerate(zip(ids["input_ids"], ids["offset_mapping"], strict=True))
        if end > start
    ]
    return sum(scores) / len(scores)


@pytest.mark.parametrize(
    ("text", "delimiter", "options"),
    [
        ("What is it? (A) red (B) blue\nAnswer: (", "", ["A", "B"]),
        ("Which one?\nA. red\nB. blue\nAnswer:\n", " ", ["A", "B"]),
        ("The picture shows ", " ", ["red", "blue"]),
        ("The picture shows ", "", ["red", "blue"]),
        ("The picture shows", "\n\n", ["  red  ", "a blue\tone"]),
        ("  The <image> shows", " ", ["<|im_end|>", "red"]),
        ("grün 图", " – ", ["ß", "🙂"]),
    ],
)
def test_the_text_is_scored_to_the_character(foreign, checkpoint, text, delimiter, options):
    foreign.task(
        [{"id": "a", "question": text, "choices": options, "label": 1}],
        target_delimiter=delimiter,
        doc_to_visual="!function utils.none",
    )
    record = foreign.run(more=",dtype=float32")["samples"]["theirs"][0]["sds"]
    assert record["options"] == options
    if "<|" not in options[0]:  # a plain tokenizer makes a control token of it
        expected = [by_hand(checkpoint, text, delimiter, option) for option in options]
        assert record["logprob"] == pytest.approx(expected, abs=1e-5)
        if text + delimiter != (stripped := text.strip() + " "):
            assert record["logprob"] != pytest.approx(
                [by_hand(checkpoint, stripped, "", option.strip()) for option in options], abs=1e-3
            )


def test_the_same_question_as_a_source_of_one_s_own_scores_the_same(foreign, checkpoint):
    table = open_source("mini_colour")
    questions = [table[k] for k in range(3)]
    rows = []
    for question in questions:
        path = foreign.folder / f"{question.q_id}.png"
        path.write_bytes(question.images[0])
        rows.append(
            {
                "id": question.q_id,
                "question": question.text[0],
                "choices": list(question.options),
                "label": question.answer,
                "path": str(path),
            }
        )
    foreign.task(rows, target_delimiter=" ")
    samples = foreign.run(more=",dtype=float32")["samples"]["theirs"]
    ours = dict(Scorer(checkpoint).score(questions))
    assert [sample["sds"]["q_id"] for sample in samples] == [question.q_id for question in questions]
    for place, sample in enumerate(samples):
        assert sample["sds"]["logprob"] == pytest.approx([score.logprob for score in ours[place]], abs=1e-6)


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new("RGB", (96, 48), "blue")
    wide.paste("red", (0, 0, 48, 48))
    wide.save(path, exif=exif, quality=95)
    return str(path)


@pytest.mark.parametrize("way", ["opened", "as_path", "as_bytes"])
def test_a_picture_is_what_its_file_says(foreign, checkpoint, way):
    """EXIF turning, CMYK, 16 bits; a PIL picture, a path, bytes: as the same file in a source of one's own."""
    Image.new("CMYK", (48, 48), (0, 255, 255, 0)).save(foreign.folder / "cmyk.jpg")
    Image.fromarray(np.full((48, 48), 30000, np.uint16)).save(foreign.folder / "grey16.png")
    Image.new("P", (48, 48)).save(foreign.folder / "palette.gif", transparency=0)
    turned(foreign.folder / "turned.jpg")
    files = [str(foreign.folder / name) for name in ("turned.jpg", "cmyk.jpg", "grey16.png", "palette.gif")]
    options = ["red", "blue", "green"]
    rows = [
        {"id": str(k), "question": "The colour is", "choices": options, "label": 0, "path": file}
        for k, file in enumerate(files)
    ]
    foreign.task(rows, doc_to_visual=f"!function utils.{way}")
    samples = foreign.run(more=",dtype=float32")["samples"]["theirs"]
    questions = [
        Question(str(k), ("The colour is",), (Path(file).read_bytes(),), tuple(options), 0,
                 "perception", "t", "own", "", str(k))
        for k, file in enumerate(files)
    ]  # fmt: skip
    ours = dict(Scorer(checkpoint).score(questions))
    for place, sample in enumerate(samples):
        assert sample["sds"]["logprob"] == pytest.approx([score.logprob for score in ours[place]], abs=1e-6), files[
            place
        ]


MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "HSV", "I", "F", "I;16")


@pytest.mark.parametrize("orientation", [None, 6])
@pytest.mark.parametrize("mode", MODES)
def test_a_picture_in_memory_arrives_as_it_is(mode, orientation):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if mode in ("RGBa", "La"):
        image = image.convert(mode.upper()).convert(mode)
    elif mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    else:
        image = image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)
    if orientation is not None:
        image.getexif()[0x0112] = orientation
    (data,) = encoded_visuals([image], "q")
    got = np.asarray(read_image(data, "q", 0))
    expected = ImageOps.exif_transpose(image)
    assert got.shape == (expected.height, expected.width, 3)
    if mode not in ("I", "F", "I;16", "La", "LA", "PA", "RGBA", "RGBa"):  # scaled, or laid on white, on reading
        assert np.array_equal(got, np.asarray(expected.convert("RGB")))
    buffer = io.BytesIO(data)
    with Image.open(buffer) as again:
        assert again.size in (image.size, expected.size)


@pytest.mark.parametrize("wrong", [3, object(), ["nested"], "no/such/file.png", {"bytes": None, "path": None}])
def test_what_is_no_picture_names_the_question(wrong):
    with pytest.raises(QuestionError, match="question 'theirs/7', image 0"):
        encoded_visuals([wrong], "theirs/7")


def test_no_pictures():
    assert encoded_visuals(None, "q") == encoded_visuals([], "q") == ()


ROWS = [{"id": "a", "question": "Q", "choices": ["x", "y"], "label": 0} for _ in range(3)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{**row, "id": name} for row, name in zip(ROWS, "cab", strict=True)], ["c", "a", "b"]),
        ([{**row, "id": 7} for row in ROWS], ["0", "1", "2"]),
        ([{key: row[key] for key in row if key != "id"} for row in ROWS], ["0", "1", "2"]),
        ([{**row, "id": "", "question_id": k} for k, row in enumerate(ROWS)], ["0", "1", "2"]),
        ([{**row, "id": 7, "question_id": k + 5} for k, row in enumerate(ROWS)], ["5", "6", "7"]),
    ],
)
def test_ids_are_unique(foreign, rows, expected):
    foreign.task(rows, doc_to_visual="!function utils.none")
    samples = foreign.run()["samples"]["theirs"]
    assert [sample["sds"]["q_id"] for sample in samples] == expected
    assert [sample["sds"]["image_id"] for sample in samples] == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"choices": ["x", ""]}, "question 'b': option 1 is empty"),
        ({"choices": ["x"]}, r"question 'b': 1 option\(s\)"),
        ({"label": 2}, "answer 2 of question 'b' is not one of the options"),
        ({"label": -1}, "answer -1 of question 'b'"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_question_that_cannot_be_scored_is_told_before_anything_is(foreign, change, said, place, monkeypatch):
    monkeypatch.setattr(Scorer, "score", lambda *_: pytest.fail("scored"))
    good = {"id": "a", "question": "Q", "choices": ["x", "y"], "label": 0}
    rows = [good, good]
    rows[place] = {**good, "id": "b", **change}
    foreign.task(rows, doc_to_visual="!function utils.none")
    with pytest.raises(RadarError, match=said):
        foreign.run()


def test_options_may_repeat(foreign):
    foreign.task(
        [{"id": "a", "question": "Q", "choices": ["x", "x", "y"], "label": 0}], doc_to_visual="!function utils.none"
    )
    logprob = foreign.run()["samples"]["theirs"][0]["sds"]["logprob"]
    assert logprob[0] == pytest.approx(logprob[1], abs=1e-6)


def test_a_question_whose_pictures_cannot_be_had_is_left_out(foreign):
    rows = [
        {
            "id": name,
            "question": "Q",
            "choices": ["x", "y"],
            "label": 0,
            "path": picture(foreign.folder / f"{name}.png"),
        }
        for name in "abc"
    ]
    foreign.task(rows, doc_to_visual="!function utils.broken")
    results = foreign.run()
    assert [sample["sds"]["q_id"] for sample in results["samples"]["theirs"]] == ["a", "c"]
    (reason,) = results["configs"]["theirs"]["radar"]["refused"]
    assert "theirs/b" in reason
    assert "no such column" in reason
    with pytest.raises(RadarError, match="theirs/b"):
        foreign.run(more=",strict=true")


def test_tasks_that_ask_for_mutual_information_are_asked_once(foreign):
    foreign.task(
        ROWS[:1],
        doc_to_visual="!function utils.none",
        metric_list=[{"metric": "acc_mutual_info", "aggregation": "mean", "higher_is_better": True}],
    )
    assert len(foreign.run()["samples"]["theirs"][0]["sds"]["logprob"]) == 2


def asked(monkeypatch):
    """Counts the questions that reach the engine."""
    score, counted = Scorer.score, []

    def counting(self, questions, on_refused=None):
        counted.append(len(questions))
        return score(self, questions, on_refused)

    monkeypatch.setattr(Scorer, "score", counting)
    return counted


def test_the_cache_knows_weights_and_pictures(foreign, monkeypatch, tmp_path):
    first = picture(foreign.folder / "a.png", "red")
    row = {"id": "a", "question": "The colour is", "choices": ["red", "blue"], "label": 0, "path": first}
    foreign.task([row])
    counted, cache = asked(monkeypatch), str(tmp_path / "cache")
    red = foreign.run(use_cache=cache)["samples"]["theirs"][0]["sds"]["logprob"]
    assert foreign.run(use_cache=cache)["samples"]["theirs"][0]["sds"]["logprob"] == red
    assert counted == [1]
    picture(foreign.folder / "a.png", "blue")  # another picture at the same path
    blue = foreign.run(use_cache=cache)["samples"]["theirs"][0]["sds"]["logprob"]
    assert blue != red
    assert counted == [1, 1]
    other = min(paths.checkpoints().glob("step-*"))
    foreign.run(checkpoint=other, use_cache=cache)
    assert counted == [1, 1, 1]
    picture(foreign.folder / "a.png", "red")
    assert foreign.run(use_cache=cache)["samples"]["theirs"][0]["sds"]["logprob"] == red
    assert counted == [1, 1, 1]


def test_results_of_tasks_of_others_can_be_read(foreign, tmp_path):
    from radar_tasks.harness.evaluation import save
    from radar_tasks.results.metrics import metric_table

    foreign.task([{**row, "id": str(k)} for k, row in enumerate(ROWS)], doc_to_visual="!function utils.none",
                 metadata={"version": 1, "ability": "reasoning"})  # fmt: skip
    results = foreign.run()
    results["config"]["model_args"] = {"pretrained": str(CHECKPOINT)}
    expected = results["results"]["theirs"]["sds,none"]
    save(results, tmp_path / "out")
    run = load_run(tmp_path / "out")
    assert list(run.sources) == ["theirs"]
    assert run.sources["theirs"].ability == "reasoning"
    assert run.scoring["kind"] == "native"
    (row,) = metric_table(run)
    assert row.values["sds"] == pytest.approx(expected, abs=1e-9)
    assert math.isfinite(row.values["perplexity"])


def test_an_ability_that_is_none(foreign):
    foreign.task(ROWS[:1], doc_to_visual="!function utils.none", metadata={"ability": "vision"})
    with pytest.raises(RadarError, match="ability: 'vision'; it is one of perception, reasoning"):
        foreign.run()


def test_a_verbatim_question_has_options():
    with pytest.raises(QuestionError, match="option 1 is empty"):
        VerbatimQuestion("q", "s", "t", "", ("a", ""), (), "q")
    with pytest.raises(QuestionError, match="there are no options"):
        VerbatimQuestion("q", "s", "t", "", (), (), "q")


def test_a_data_set_of_hugging_face_pictures(foreign):
    """The columns of pictures are taken away from what the task sees, and are there when a question is scored."""
    import datasets

    rows = {
        "image": [Image.new("RGB", (48, 48), colour) for colour in ("red", "blue")],
        "question": ["The colour is"] * 2,
        "choices": [["red", "blue"]] * 2,
        "label": [0, 1],
    }
    features = datasets.Features({
        "image": datasets.Image(), "question": datasets.Value("string"),
        "choices": datasets.Sequence(datasets.Value("string")), "label": datasets.Value("int64"),
    })  # fmt: skip
    datasets.Dataset.from_dict(rows, features=features).to_parquet(foreign.folder / "rows.parquet")
    foreign.task(
        [],
        dataset_path="parquet",
        dataset_kwargs={"data_files": {"test": str(foreign.folder / "rows.parquet")}},
        doc_to_visual="!function utils.one",
    )
    results = foreign.run()
    assert results["results"]["theirs"]["acc,none"] == 1.0
