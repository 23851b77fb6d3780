"""Operations inside ScriptModules in a run with real numbers, where no function of Python's is called.

A dispatch mode sees them below autograd: what an operation gives belongs to the graph of gradients only when the next
one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rfwidget._aten.interpreter import CONSTANTS, leaves, plan_of
from rfwidget._aten.rules import RULES


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tells of every operation on the image, by the names that `Interpreter` gives them.

    Args:
        image: what operations must depend on to be told of.
        began: called when an operation begins.
        gave: called with the name and the result of an operation; of several, with the first.
    """

    def __init__(
        self, image: torch.Tensor, began: Callable[[], None], gave: Callable[[str, torch.Tensor], None]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._began, self._gave = began, gave
        self._depending = {id(image): image}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first operation would load the whole compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation."""
        if func is torch.ops.aten.detach.default:
            return func(*args, **(kwargs or {}))  # autograd's own, of what it keeps
        self._began()
        result = func(*args, **(kwargs or {}))
        name = plan_of(func, RULES).name
        if name not in CONSTANTS and any(id(leaf) in self._depending for leaf in leaves([args, kwargs or {}])):
            given = [leaf for leaf in leaves(result) if isinstance(leaf, torch.Tensor)]
            self._depending.update((id(leaf), leaf) for leaf in given)
            if given:
                self._gave(name, given[0])
        return result


@contextmanager
def step_by_step() -> Iterator[None]:
    """While ScriptModules do one operation after the other, as their code has it."""
    was = torch._C._get_graph_executor_optimize()
    torch._C._set_graph_executor_optimize(False)
    try:
        yield
    finally:
        torch._C._set_graph_executor_optimize(was)
