"""Every table and every sentence with numbers that pages show of the study, from the packed results alone.

    python studies/tiny/report.py RESULTS FINETUNED --output TABLES    # a Markdown file a table
    python studies/tiny/report.py --pages                              # renews all that is shipped

The second form makes again what stands in `PAGES` between `<!-- table NAME -->` (or `<!-- text NAME -->`) and
`<!-- end -->`, from the shipped results, and the cards of the models. A table whose runs are not there is left out, so
that a part of the study can be looked at.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from cards import cards
from packed_study import Study, runs_file, study_of
from pretrain import HERE, PLAN, read_plan
from sentences import sentences
from tables import tables

from radar_tasks.files import write_whole

PAGES = ("README.md", "docs/study.md", "docs/analysis.md")
"""Pages of the repository that show the study."""
WIDTH = 118
"""Longest line of a sentence."""


def made_parts(study: Study) -> dict[str, str]:
    """All that can be made, by kind and name: `table final`, `text in_short`."""
    return {
        **{f"table {name}": f"\n{table.strip()}\n\n" for name, table in tables(study).items()},
        **{f"text {name}": f"\n{folded(text)}\n\n" for name, text in sentences(study).items()},
    }


def folded(text: str) -> str:
    """Sentences in lines as long as those of the page; further lines of a list's entry are indented."""
    lines = []
    for entry in text.splitlines():
        indent = "  " if entry.startswith("- ") else ""
        lines.append(
            textwrap.fill(entry, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
        )
    return "\n".join(lines)


def renewed(page: str, made: Mapping[str, str]) -> str:
    """A page with its parts made again; raises `KeyError` for a mark of a part that is not made."""
    return re.sub(
        r"(<!-- ((?:table|text) \w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{made[found[2]]}{found[3]}",
        page,
        flags=re.DOTALL,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, default=HERE / "results", help="folder of the packed results")
    parser.add_argument(
        "finetuned", nargs="?", type=Path, default=HERE / "finetuned", help="folder of the tables of fine-tuning"
    )
    parser.add_argument("--output", type=Path, help="folder for the tables")
    parser.add_argument("--pages", action="store_true", help="renew the repository's pages and cards")
    parser.add_argument("--plan", type=Path, default=PLAN, help="another plan than the committed one")
    options = parser.parse_args()
    study = study_of(options.results, options.finetuned, read_plan(options.plan))
    if options.output is not None:
        made = {f"{name}.md": table for name, table in tables(study).items()}
        made |= {"runs.csv": runs_file(study.plan), "cards.md": cards(study)}
        for name, text in made.items():
            write_whole(options.output / name, text)
    if options.pages:
        parts = made_parts(study)
        write_whole(HERE / "cards.md", cards(study))
        write_whole(HERE / "runs.csv", runs_file(study.plan))
        for page in (HERE.parents[1] / name for name in PAGES):
            write_whole(page, renewed(page.read_text(encoding="utf-8"), parts))


if __name__ == "__main__":
    main()
