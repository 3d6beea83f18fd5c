"""What a patch is, and one way to put a wrapper in the place of a function of lmms-eval."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_replaced: set[tuple[str, str, str]] = set()


def _nothing() -> None:
    """There is nothing to do in this step."""


@dataclass(frozen=True)
class Patch:
    """A change of lmms-eval.

    Attributes:
        seen_in: the release of lmms-eval in which what is changed was looked at.
        changes: what it changes, as the end of a sentence about lmms-eval.
        install: puts the change in place; called while lmms-eval is half imported, its evaluator not yet.
        install_in_evaluator: puts in place what needs the evaluator.
    """

    seen_in: str
    changes: str
    install: Callable[[], None] = _nothing
    install_in_evaluator: Callable[[], None] = _nothing


def replace(owner: Any, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put a wrapper in the place of an attribute; a second time for the same patch changes nothing.

    Args:
        owner: a module or a class of lmms-eval.
        name: of its function or method.
        wrapped: makes the wrapper from what was there; `__wrapped__` leads back to that.
    """
    owner_name = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
    if (owner_name, name, wrapped.__module__) in _replaced:
        return
    _replaced.add((owner_name, name, wrapped.__module__))
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(wrapped(original)))
