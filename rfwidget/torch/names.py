"""Names of what happens inside a module, as torchvision's feature extraction gives them.

A call of a module of PyTorch's own goes by its path, ``layer1.0.relu``, its second call by ``layer1.0.relu_1``; an
operation in the code of other modules by the path of that module and its own name, ``layer1.0.add``. Modules that hold
others answer to their own path too, with what they return.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from rfwidget.torch.interpreter import Tracked, UnknownError

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Names(TorchFunctionMode):
    """Follows one run of a module and notes which tensors its layers give and read.

    Args:
        module: the private copy that runs.
        ticked: called before every layer; what it raises ends the run.

    Attributes:
        made: the tensor that a layer gives, by path, in order.
        reads: the tensors that it reads, by number.
        whole: paths of modules that hold others.
        shapes: of what layers give that is no image's matter, by path.
    """

    def __init__(self, module: nn.Module, ticked: Callable[[], None]) -> None:
        super().__init__()
        self._module, self._ticked = module, ticked
        self._paths = {id(part): path for path, part in module.named_modules()}
        self._stack: list[tuple[str, bool]] = []
        self._count: Counter[str] = Counter()
        self._busy = 0
        self.made: dict[str, int] = {}
        self.reads: dict[str, tuple[int, ...]] = {}
        self.whole: set[str] = set()
        self.others: dict[str, str] = {}

    @contextmanager
    def following(self) -> Iterator[None]:
        """While the module runs."""
        with ExitStack() as stack:
            for part in self._module.modules():
                hooks = (
                    part.register_forward_pre_hook(self._entered, with_kwargs=True),
                    part.register_forward_hook(self._left, with_kwargs=True, always_call=True),
                )
                for handle in hooks:
                    stack.callback(handle.remove)
            stack.enter_context(self)
            yield

    # -- modules ------------------------------------------------------------------------------------------------------

    def _entered(self, part: nn.Module, args: Any, kwargs: Any) -> None:
        path = self._paths.get(id(part), "")
        leaf = is_leaf(part)
        if not any(inside for _, inside in self._stack) and leaf:
            self._ticked()
        self._stack.append((path, leaf))
        del args, kwargs

    def _left(self, part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self._stack:
            self._stack.pop()
        path, leaf = self._paths.get(id(part), ""), is_leaf(part)
        if any(inside for _, inside in self._stack):
            return
        if path or leaf:
            self._note(path or type(part).__name__.lower(), output, (args, kwargs), whole=not leaf)

    # -- functions ----------------------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of PyTorch and note what it gives."""
        kwargs = kwargs or {}
        if any(leaf for _, leaf in self._stack):
            return func(*args, **kwargs)
        self._ticked()
        self._busy += 1
        before = numbers((args, kwargs))
        try:
            result = func(*args, **kwargs)
        finally:
            self._busy -= 1
        name = plain_name(func)
        if name and (isinstance(result, Tracked) or _is_given(result)):
            self._note(self._at(name), result, (args, kwargs), whole=False, before=before)
        return result

    def operated(self, name: str, tensor: Tracked) -> None:
        """Note an operation that no function of Python's was seen to call: inside ScriptModules."""
        if self._stack and not self._busy and not any(leaf for _, leaf in self._stack):
            self._note(self._at(name.strip("_")), tensor, (), whole=False)

    def _at(self, name: str) -> str:
        path = self._stack[-1][0] if self._stack else ""
        return f"{path}.{name}" if path else name

    def _note(
        self, path: str, output: Any, inputs: Any, *, whole: bool, before: tuple[int, ...] | None = None
    ) -> None:
        given = first_tensor(output)
        read = before if before is not None else numbers(inputs)
        if given is None:
            return
        seen = self._count[path]
        self._count[path] += 1
        name = f"{path}_{seen}" if seen else path
        if not isinstance(given, Tracked):
            self.others[name] = "does not depend on the image"
            return
        self.made[name] = given.number
        self.reads[name] = read
        if whole:
            self.whole.add(name)


def is_leaf(part: nn.Module) -> bool:
    """Whether a module is one of PyTorch's own that does something itself."""
    home = type(part).__module__
    return (
        home.startswith(("torch.nn", "torch.ao", "torchvision.ops"))
        and not isinstance(part, _CONTAINERS)
        and not isinstance(part, torch.jit.ScriptModule)
    )


def first_tensor(value: Any) -> torch.Tensor | None:
    """The tensor that a module gives, or the first of several."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((t for t in map(first_tensor, value) if t is not None), None)
    return None


def tensors_of(value: Any) -> list[Tracked]:
    """All tensors in a nested structure that depend on the image."""
    if isinstance(value, Tracked):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in tensors_of(part)]
    return []


def numbers(value: Any) -> tuple[int, ...]:
    """Numbers of the tensors in a nested structure that depend on the image."""
    return tuple(tensor.number for tensor in tensors_of(value))


def _is_given(result: Any) -> bool:
    return isinstance(result, (list, tuple)) and bool(tensors_of(result))


def plain_name(func: Any) -> str:
    """What a function goes by: ``add`` for ``x + y`` and ``x += y``; nothing for attributes such as ``x.shape``.

    >>> plain_name(torch.Tensor.__iadd__), plain_name(torch.relu_), plain_name(torch.Tensor.shape.__get__)
    ('add', 'relu', '')
    """
    name: str = getattr(func, "__name__", "")
    if name in ("__get__", "__set__"):
        return ""
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]
        if name[:1] in "ir" and name[1:] in _OPERATORS:
            name = name[1:]
        name = {"truediv": "truediv", "setitem": ""}.get(name, name)
        return name
    return name.strip("_")


_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "matmul", "pow", "mod", "and", "or", "xor", "div")

__all__ = ["Names", "UnknownError", "first_tensor", "is_leaf", "numbers", "plain_name", "tensors_of"]
