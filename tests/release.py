"""Makes trees in the shape of the official M3-Bench release: all nine sources, a few hundred tiny questions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ENDING = "_pretrained_mllm_eval.json"
WIKI = ("animal", "plant", "attraction", "celebrity")
CATEGORIES = ("ocr", "image_style", "structuralized_imagetext_understanding")
SUBJECTS = ("Design", "Art_Theory", "Diagnostics_and_Laboratory_Medicine")

Questions = dict[str, dict[str, Any]]


def make_release(folder: Path, wiki: int = 30, seed: int = 0) -> dict[str, int]:
    """Write a release below `folder`; return the number of questions by the name of the source.

    Pictures are of all modes that JPEG and PNG have, some with an EXIF turn; several questions share one.
    """
    draw = Pictures(np.random.default_rng(seed))
    counts = {"mmbench": _mmbench(folder, draw)}
    for kind in WIKI:
        counts[f"wiki_{kind}"] = _wiki(folder, draw, kind, wiki)
    counts["spatial"] = _spatial(folder, draw)
    counts["mathvista"] = _mathvista(folder, draw)
    counts["seephys"] = _seephys(folder, draw)
    counts["mmmu_pro"] = _mmmu_pro(folder, draw)
    return counts


def zip_release(folder: Path, archive: Path, inside: str = "M3-Bench") -> Path:
    """The release as a zip, everything in one folder `inside`, with the rubbish that macOS adds."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(folder.rglob("*")):
            target.write(file, f"{inside}/{file.relative_to(folder)}")
        target.writestr(f"__MACOSX/{inside}/spatial_reasoning/._x{ENDING}", b"\0")
    return archive


def write_questions(file: Path, questions: Questions) -> None:
    """One JSON file of the release."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(questions), encoding="utf-8")


class Pictures:
    """Small pictures, each another one."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def image(self, size: tuple[int, int] = (24, 16)) -> Image.Image:
        """A random RGB picture."""
        return Image.fromarray(self._rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))

    def jpeg(self, file: Path, number: int) -> None:
        """Modes RGB, L and CMYK in turn; every fourth lies on its side and says so in its EXIF."""
        image = self.image()
        exif = Image.Exif()
        if number % 4 == 0:
            exif[0x0112] = 6
        self._write(file, lambda out: image.convert(("RGB", "L", "CMYK")[number % 3]).save(out, "JPEG", exif=exif))

    def png(self, file: Path, number: int) -> None:
        """Modes RGB, RGBA, palette, grey with alpha, one bit and sixteen bits in turn."""
        image = self.image()
        mode = ("RGB", "RGBA", "P", "LA", "1", "I;16")[number % 6]
        image = image.convert("L").convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
        self._write(file, lambda out: image.save(out, "PNG"))

    def _write(self, file: Path, save: Callable[[io.BytesIO], None]) -> None:
        encoded = io.BytesIO()
        save(encoded)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded.getvalue())


def _mmbench(folder: Path, draw: Pictures) -> int:
    home = folder / "general_visual_question_answering"
    for category in CATEGORIES:
        questions: Questions = {}
        for number in range(8):  # the same numbers in every category
            draw.jpeg(home / "images" / category / f"{number}.jpg", number)
            questions[str(number)] = {
                "question": f"What is shown in picture {number}?",
                "answer": f"thing {number}",
                "distraction": [f"thing {number + 1}"],
            }
        write_questions(home / f"MMBench_{category}_8{ENDING}", questions)
    return 8 * len(CATEGORIES)


def _wiki(folder: Path, draw: Pictures, kind: str, count: int) -> int:
    home = folder / f"Wiki_{kind}_identification"
    questions: Questions = {}
    for number in range(count):
        if number % 3 == 0:  # three questions on one picture
            draw.jpeg(home / "images" / f"{kind} {number // 3}.jpg", number)
        questions[f"{kind} {number // 3}--{number}"] = {
            "question": "The image shows",
            "answer": f"{kind} é {number}",
            "distraction": [f"{kind} 東 {number}"],
        }
    write_questions(home / f"Wiki_{kind}_identification_2000{ENDING}", questions)
    return count


def _spatial(folder: Path, draw: Pictures) -> int:
    home = folder / "spatial_reasoning"
    questions: Questions = {}
    for number in range(30):
        name = f"web{number // 2}"
        # The published layout says .jpg; a .png in its place must do as well.
        (draw.png if number % 4 == 0 else draw.jpeg)(
            home / "images" / f"{name}{'.png' if number % 4 == 0 else '.jpg'}", number
        )
        questions[f"{name}--{number}"] = {
            "question": "The hanging pictures are on the",
            "answer": "right wall",
            "distraction": ["left wall"],
        }
    write_questions(home / f"some_name{ENDING}", questions)
    return len(questions)


def _mathvista(folder: Path, draw: Pictures) -> int:
    home = folder / "mathematical_reasoning"
    questions: Questions = {}
    for number in range(1, 31):
        draw.jpeg(home / "images" / f"{number}.jpg", number)
        questions[str(number)] = {
            "question": f"How many of the {number} dots are blue? <image 1> is text here",
            "answer": number if number % 2 else number + 0.5,
            "distraction": [number + 1 if number % 2 else number + 0.6],
        }
    write_questions(home / f"MathVista_1000{ENDING}", questions)
    return len(questions)


def _seephys(folder: Path, draw: Pictures) -> int:
    home = folder / "physical_reasoning"
    questions: Questions = {}
    for number in range(20):
        images = 1 + number % 3
        for k in range(images):
            draw.png(home / "images" / f"{number}_{k}.png", number + k)
        questions[f"{number}--0"] = {
            "question": "Find the force.",
            "answer": rf"$\frac{{1}}{{2}} m_{number} g$",
            "distraction": ["2 m g", "m g h"],
            "img_num": images,
        }
    write_questions(home / f"SeePhys_2000{ENDING}", questions)
    return len(questions)


def _mmmu_pro(folder: Path, draw: Pictures) -> int:
    home = folder / "multiple_discipline_reasoning"
    for subject in SUBJECTS:
        questions: Questions = {}
        for number in range(9):
            q_id = f"test_{subject}_{number}"
            for mark in (1, 2, 3):
                draw.png(home / "images" / subject / f"{q_id}_image_{mark}.png", number + mark)
            questions[q_id] = _MARKED[number % 3]
        write_questions(home / f"MMMU_Pro_{subject}_9{ENDING}", questions)
    return 9 * len(SUBJECTS)


_MARKED: tuple[dict[str, Any], ...] = (
    {
        "question": "Compare <image 2> with <image 1> and again <image 2>.",
        "answer": "red",
        "distraction": ["green"],
        "ori_options": "['red', 'green', 'blue', 'black']",
    },
    {
        "question": "Which follows <image 1>?",
        "answer": "<image 2>",
        "distraction": ["<image 3>"],
        "ori_options": "['<image 2>', '<image 3>', 'none', 'both']",
    },
    {
        "question": "<image 1> Which of them is above?",
        "answer": "circle",
        "distraction": ["<image 3> (right)"],
        "ori_options": "['circle', '<image 3> (right)', 'a', 'b']",
    },
)
