"""The pages' templates, `*.html.j2` beside this file; text from data is escaped in all of them."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

FOLDER = Path(__file__).parent


def environment() -> Environment:
    """A fresh one, for filters of a page's own."""
    return Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)


def template(name: str) -> Template:
    """The template of this file name."""
    return environment().get_template(name)
