"""What is done before each operation among ranks that a model begins in its forward, and where one fails.

Under tensor parallelism such operations stand in the middle of a module, between its own matrix product and its result:
hooks of modules come too early, before the product that may fail, or too late. All of them, whoever begins them (the
model, a DTensor, a plan of transformers or of torch), go through torch's dispatcher, which a mode can watch, as torch's
own `CommDebugMode` does to count them.

An operation may need memory for its result on every rank. It is made sure of before: what fails then has not begun.

Private names, seen in torch 2.15: the module `torch.utils._python_dispatch`, the namespaces of the operations.
`tests/radar_tasks/scoring/engine/test_collectives.py` and `test_private_names.py` fail where they change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

FUNCTIONAL = frozenset({"_c10d_functional", "_c10d_functional_autograd", "_dtensor"})
"""Namespaces of operations that make their result themselves."""

NAMESPACES = FUNCTIONAL | {"c10d"}

ALONE = frozenset({"wait_tensor", "_wrap_tensor_autograd"})
"""Operations there which need no other rank."""


class BeforeCollectives(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered `function` is called before each operation among ranks; it may raise.

    The function's own operations among ranks are not watched.

    Args:
        function: called when all that this rank needs for the operation is there.
        failed: called with the exception where an operation fails that has begun; raises another.
    """

    def __init__(self, function: Callable[[], None], failed: Callable[[Exception], NoReturn]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._function, self._failed = function, failed

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if any(issubclass(given, DTensor) for given in types):
            return NotImplemented  # the operations that it makes of itself come here afterwards
        given = kwargs or {}
        if func.namespace not in NAMESPACES:
            return func(*args, **given)
        if func._opname not in ALONE:
            if func.namespace in FUNCTIONAL:
                _make_room(func, args, given)
            self._function()
        try:
            return func(*args, **given)
        except Exception as error:
            self._failed(error)


def _make_room(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Takes the memory of an operation's result and gives it back, to the allocator that keeps it for the next."""
    device = next(value.device for value in tree_leaves(args) if isinstance(value, Tensor))
    args, kwargs = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
    tree_map_only(Tensor, lambda tensor: torch.empty_like(tensor, device=device), func(*args, **kwargs))
