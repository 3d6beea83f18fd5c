"""`radar data import`, `recipes` and `export`: public benchmarks into the store, and sources out of it."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from radar_tasks.cli._options import SkipBad, StoredSource
from radar_tasks.cli._preparing import fill_store, question_bars
from radar_tasks.cli._runs import console

if TYPE_CHECKING:
    from radar_tasks.questions import Question
    from radar_tasks.sources.benchmark import BenchmarkSource
    from radar_tasks.sources.benchmark_recipes import BenchmarkRecipe

SHOWN = 3


def import_(
    name: Annotated[str, typer.Argument(help="A recipe (`radar data recipes`), or a name for the source.")],
    location: Annotated[
        str | None, typer.Option("--from", help="A file, folder or Hub data set (default: the recipe's own).")
    ] = None,
    columns: Annotated[
        str, typer.Option("--map", help="ROLE=COLUMN,…: question, options, answer, image, hint, id, category, group.")
    ] = "",
    ability: Annotated[
        Literal["perception", "reasoning"] | None, typer.Option(help="Default: the recipe's, else perception.")
    ] = None,
    category: Annotated[str, typer.Option(help="Column with the category; results are also given by category.")] = "",
    group_by: Annotated[
        str, typer.Option(help="Column that questions on one picture share (default: the picture itself).")
    ] = "",
    answer_as: Annotated[
        Literal["letter", "index0", "index1", "text"] | None,
        typer.Option(help="How the answer names its option (default: recognised from the whole column)."),
    ] = None,
    options_in_question: Annotated[
        bool,
        typer.Option("--options-in-question", help="Take lettered options (A. … B. …) from the question's text."),
    ] = False,
    config: Annotated[list[str] | None, typer.Option(help="Configuration of a Hub data set; may be repeated.")] = None,
    split: Annotated[str, typer.Option(help="Split of a data set or folder.")] = "",
    images: Annotated[Path | None, typer.Option(help="Folder that relative paths of pictures start from.")] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Store nothing; say what is recognised and show the first questions.")
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Make a source from a multiple-choice benchmark, with the benchmark's own options; it runs as radar_NAME."""
    from radar_tasks.errors import DataError
    from radar_tasks.sources.benchmark import BenchmarkSettings, BenchmarkSource
    from radar_tasks.sources.benchmark_columns import given_columns
    from radar_tasks.sources.benchmark_recipes import benchmark_recipes
    from radar_tasks.store.home import check_benchmark_name
    from radar_tasks.store.own_suites import check_no_suite

    check_benchmark_name(name)
    check_no_suite(name)
    recipe = benchmark_recipes().get(name)
    if recipe is None and location is None:
        raise DataError(f"there is no recipe {name!r} (radar data recipes lists them); say where it is: --from FILE")
    settings = recipe.settings() if recipe else BenchmarkSettings()
    more = given_columns(columns) | {k: v for k, v in (("category", category), ("group", group_by)) if v}
    settings = dataclasses.replace(
        settings,
        columns={**settings.columns, **more},
        ability=ability or settings.ability,
        answer_as=answer_as or settings.answer_as,
        options_in_question=options_in_question or settings.options_in_question,
        images=images,
    )
    configs, split = _part(recipe, location, config, split)
    place = location or (recipe.dataset if recipe else "")
    with question_bars() as bar:
        row = bar.add_task(f"{name}, its answers", total=None)
        source = BenchmarkSource(
            name, place, settings, configs=configs, split=split, progress=lambda count: bar.advance(row, count)
        )
        bar.remove_task(row)
    console().print(f"{name}: {source.location}", markup=False, soft_wrap=True)
    for line in source.recognised():
        console().print(f"  {line}", markup=False, soft_wrap=True)
    if recipe and recipe.note:
        console().print(f"  note:     {recipe.note}", markup=False, soft_wrap=True)
    if show:
        _show(source)
        return
    fill_store([source], skip_bad)
    console().print(f"Run it with: lmms_eval --tasks radar_{name} …")


def recipes() -> None:
    """List the public benchmarks that `radar data import NAME` knows."""
    from radar_tasks.sources.benchmark_recipes import benchmark_recipes

    table = Table(box=None, header_style="bold")
    for column in ("name", "ability", "benchmark", "data set", "licence"):
        table.add_column(column)
    for name, recipe in benchmark_recipes().items():
        table.add_row(name, recipe.ability, *map(escape, (recipe.title, recipe.dataset, recipe.licence)))
    console().print(table)


def export(
    source: StoredSource,
    form: Annotated[
        Literal["vlmevalkit", "hf"],
        typer.Option("--format", help="VLMEvalKit's TSV, or (hf) parquet for `datasets`."),
    ] = "hf",
    output: Annotated[Path | None, typer.Option(help="The file to write (default: NAME.tsv or NAME.parquet).")] = None,
) -> None:
    """Write a source as a benchmark for other tools; `radar data import` reads it back."""
    from radar_tasks.store import open_source
    from radar_tasks.store.exchange import write_parquet, write_vlmevalkit

    table = open_source(source)
    path = output or Path(f"{source}.{'tsv' if form == 'vlmevalkit' else 'parquet'}")
    with question_bars() as bar:
        row = bar.add_task(source, total=len(table))
        write = write_vlmevalkit if form == "vlmevalkit" else write_parquet
        write(table, path, lambda count: bar.advance(row, count))
    print(path)


def _part(
    recipe: BenchmarkRecipe | None, location: str | None, configs: list[str] | None, split: str
) -> tuple[list[str], str]:
    """Configurations and split: as given; else the recipe's, unless a single file is given, which is of one."""
    if recipe is None or (location is not None and Path(location).is_file()):
        return list(configs or ()), split
    return list(configs or recipe.configs), split or recipe.split


def _show(source: BenchmarkSource) -> None:
    """The first questions in the terminal and on a page, and what would be left out of all of them."""
    from radar_tasks.questions import Question

    left_out: Counter[str] = Counter()
    questions: list[Question] = []
    count = 0
    with question_bars() as bar:
        row = bar.add_task(source.source, total=len(source))
        for found in source.read():
            bar.advance(row)
            if isinstance(found, Question):
                count += 1
                questions += [found] if len(questions) < SHOWN else []
            elif found.too_many_images:
                left_out["more than 12 images"] += 1
            elif found.left_out:
                left_out[found.left_out] += 1
            else:
                left_out[f"broken: {found.reasons[0]}"] += 1
    for question in questions:
        _print_question(question)
    print(f"{count:,} questions")
    for why, number in itertools.islice(left_out.most_common(), 20):
        print(f"{number:,} rows left out, {why}")
    if len(left_out) > 20:
        print(f"and {len(left_out) - 20} more reasons")
    if questions:
        print(f"A page with the first {len(questions)} and their pictures: {_page(questions)}")
    print("Nothing was stored.")


def _print_question(question: Question) -> None:
    import io

    from PIL import Image

    sizes = [Image.open(io.BytesIO(image)).size for image in question.images]
    pictures = [f"[picture {k}: {width} x {height}]" for k, (width, height) in enumerate(sizes, 1)]
    if question.images_are_marked:
        prompt = "".join(itertools.chain(*itertools.zip_longest(question.text, pictures, fillvalue="")))
    else:
        prompt = " ".join([*pictures, *question.text])
    category = f", {question.category}" if question.category else ""
    print(f"\n{question.q_id}{category}: {prompt}")
    for k, option in enumerate(question.options):
        print(f"  {'*' if k == question.answer else ' '} {option}")
    print()


def _page(questions: list[Question]) -> Path:
    import tempfile

    from radar_tasks.files import write_whole
    from radar_tasks.report.source_page import page
    from radar_tasks.store import Origin, QuestionTable, SourceWriter, data_home

    path = data_home() / "pages" / f"{questions[0].source}.html"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shown.parquet"
        with SourceWriter(file) as writer:
            for question in questions:
                writer.add(question)
            writer.finish(Origin(kind="table", location="shown"))
        write_whole(path, page(QuestionTable(file), range(len(questions))))
    return path
