"""What is done before each operation among ranks that a model begins in its forward.

Under tensor parallelism such operations stand in the middle of a module, between its own matrix product and its result:
hooks of modules come too early, before the product that may fail, or too late. All of them, whoever begins them (the
model, a DTensor, a plan of transformers or of torch), go through torch's dispatcher, which a mode can watch, as torch's
own `CommDebugMode` does to count them.

Private names, seen in torch 2.15: the module `torch.utils._python_dispatch`, the namespaces of the operations.
`tests/radar_tasks/scoring/engine/test_collectives.py` and `test_private_names.py` fail where they change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

NAMESPACES = frozenset({"c10d", "_c10d_functional", "_c10d_functional_autograd", "_dtensor"})

ALONE = frozenset({"wait_tensor", "_wrap_tensor_autograd"})
"""Operations there which need no other rank."""


class BeforeCollectives(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered `function` is called before each operation among ranks; it may raise.

    The function's own operations among ranks are not watched.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._function = function

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if any(issubclass(given, DTensor) for given in types):
            return NotImplemented  # the operations that it makes of itself come here afterwards
        if func.namespace in NAMESPACES and func._opname not in ALONE:
            self._function()
        return func(*args, **(kwargs or {}))
