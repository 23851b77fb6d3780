"""Names of what happens inside a module, as torchvision's feature extraction gives them.

A call of a module of PyTorch's own goes by its path, ``layer1.0.relu``, its second call by ``layer1.0.relu_1``; an
operation in the code of other modules by the path of that module and its own name, ``layer1.0.add``. Modules that hold
others answer to their own path too, with what they return.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from rfwidget._aten.interpreter import Interpreter, Tracked
from rfwidget._aten.rules_recurrent import FUNCTIONS
from rfwidget.torch.private import Scripted
from rfwidget.torch.scripted import Operations, step_by_step

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class ModuleCall(NamedTuple):
    """A call of a module.

    Attributes:
        path: of the module.
        number: of the call, from 0.
    """

    path: str
    number: int


class Paths(TorchFunctionMode):
    """Follows one run of a module and gives names to what its layers do.

    Args:
        module: the private copy that runs.
        ticked: called before every layer; what it raises ends the run.
    """

    def __init__(self, module: nn.Module, ticked: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._module, self._ticked = module, ticked
        self._paths = {id(part): path for path, part in module.named_modules()}
        self._stack: list[tuple[str, bool]] = []
        self._inside = 0
        self._count: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._called: ModuleCall | None = None
        self._busy = 0
        self._scripted = False

    def found(self, name: str, output: Any, read: tuple[int, ...], *, whole: bool) -> None:
        """Called with everything that a layer gives.

        Args:
            name: of the layer.
            output: whatever it returned; a tensor is in it.
            read: numbers of the tensors that it read.
            whole: whether it is a module that holds others.
        """

    def instead(self, args: tuple[Any, ...]) -> Any:  # noqa: ARG002
        """What a recurrent layer gives, without running it; None: it is run."""
        return None

    @contextmanager
    def following(self) -> Iterator[None]:
        """While the module runs."""
        self._stack.clear()
        self._count.clear()
        self._calls.clear()
        self._inside = self._busy = 0
        with ExitStack() as stack:
            for part in self._module.modules():
                if isinstance(part, torch.jit.ScriptModule):
                    continue
                hooks = (
                    part.register_forward_pre_hook(self._entered),
                    part.register_forward_hook(self._left, with_kwargs=True, always_call=True),
                )
                for handle in hooks:
                    stack.callback(handle.remove)
            stack.enter_context(self)
            yield

    @property
    def path(self) -> str:
        """Of the module whose code runs now; of the outermost one, its class."""
        return (self._stack[-1][0] if self._stack else "") or own_name(self._module)

    # -- modules ------------------------------------------------------------------------------------------------------

    def _entered(self, part: nn.Module, args: Any) -> None:  # noqa: ARG002
        leaf = is_leaf(part)
        if leaf and not self._inside:
            self._ticked()
        self._stack.append((self._paths.get(id(part), ""), leaf))
        self._inside += leaf

    def _left(self, part: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if self._stack:
            self._inside -= self._stack.pop()[1]
        if self._inside:
            return
        path, leaf = self._paths.get(id(part), ""), is_leaf(part)
        if path or leaf or isinstance(part, Scripted):
            self._called = ModuleCall(path, self._calls[path])
            self._calls[path] += 1
            self._name(
                path or own_name(part),
                output,
                numbers((args, kwargs)),
                whole=not leaf and not isinstance(part, Scripted),
            )
            self._called = None

    # -- functions ----------------------------------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of PyTorch and note what it gives."""
        kwargs = kwargs or {}
        name = plain_name(func)
        if name in FUNCTIONS and (whole := self.instead(args)) is not None:
            return whole
        if self._inside or not name:
            return func(*args, **kwargs)
        self._ticked()
        self._busy += 1
        before = numbers((args, kwargs))
        try:
            result = func(*args, **kwargs)
        finally:
            self._busy -= 1
        if first_tensor(result) is not None:
            self._name(self._at(name), result, before, whole=False)
        return result

    def operated(self, name: str, tensor: torch.Tensor) -> None:
        """Note an operation that no function of Python's was seen to call: inside ScriptModules."""
        if self._stack and not self._busy and not self._inside:
            self._scripted = True
            self._name(self._at(name.strip("_")), tensor, (), whole=False)
            self._scripted = False

    def _at(self, name: str) -> str:
        path = self._stack[-1][0] if self._stack else ""
        return f"{path}.{name}" if path else name

    def _name(self, path: str, output: Any, read: tuple[int, ...], *, whole: bool) -> None:
        if first_tensor(output) is None:
            return
        seen = self._count[path]
        self._count[path] += 1
        self.found(f"{path}_{seen}" if seen else path, output, read, whole=whole)


class Names(Paths):
    """What the layers of a module give and read, in a run on tracked tensors.

    Attributes:
        made: number of the tensor that a layer gives, by name, in order.
        reads: numbers of the tensors that it reads.
        whole: names of modules that hold others.
        others: names of layers that do not depend on the image.
        calls: the calls of modules that gave something, by the name that it goes by.
        scripted: names of operations inside ScriptModules, in order.
    """

    def __init__(self, module: nn.Module, mode: Interpreter, ticked: Callable[[], None]) -> None:
        super().__init__(module, ticked)
        self._mode = mode
        self.made: dict[str, int] = {}
        self.reads: dict[str, tuple[int, ...]] = {}
        self.whole: set[str] = set()
        self.others: set[str] = set()
        self.calls: dict[str, ModuleCall] = {}
        self.scripted: list[str] = []

    def found(self, name: str, output: Any, read: tuple[int, ...], *, whole: bool) -> None:
        """Take down what a layer gives."""
        given = first_tensor(output)
        number = None if given is None else self._mode.number_of(given)
        if number is None:
            self.others.add(name)
            return
        self.made[name] = number
        if self._scripted:
            self.scripted.append(name)
        if self._called is not None:
            self.calls[name] = self._called
        self.reads[name] = read
        if whole:
            self.whole.add(name)

    def instead(self, args: tuple[Any, ...]) -> Any:
        """As the interpreter knows it."""
        return self._mode.recurrent(args)


class Reached(BaseException):  # not an Exception: the module's own code must not catch it
    """The layer that is looked for has given something: the rest of the module need not run."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


class Until(Paths):
    """Runs a module up to one layer.

    Args:
        module: the private copy that runs.
        target: name of the layer.
        call: the call of a module that gives it; None: an operation in code does, or a module without a path.
        scripted: names of operations inside ScriptModules, in order, as they were when it was measured.
    """

    def __init__(self, module: nn.Module, target: str, call: ModuleCall | None, scripted: Sequence[str] = ()) -> None:
        super().__init__(module)
        self._target = target
        self._call = call if call is not None and call.path else None
        self._parts = dict(module.named_modules())
        self._before = list(scripted[: scripted.index(target) + 1]) if target in scripted else []
        self._met: list[str] = []
        self._given: torch.Tensor | None = None

    def run(self, *inputs: Any) -> torch.Tensor:
        """What the layer gives.

        Raises:
            LookupError: if the module does not come to the layer.
        """
        if self._before:
            return self._inside_script(inputs)
        try:
            with self.following() if self._call is None else self._waiting(self._call):
                output = self._module(*inputs)
        except Reached as reached:
            output = reached.output
        else:
            if self._target != own_name(self._module):
                raise LookupError(f"no gradient begins at {self._target!r}: the module does not come to it here")
        made = first_tensor(output)
        if made is None:
            raise LookupError(f"layer {self._target!r} gives no tensor on this image")
        return made

    def _inside_script(self, inputs: tuple[Any, ...]) -> torch.Tensor:
        """What an operation inside a ScriptModule gives."""
        self._met, self._given = [], None
        try:
            with step_by_step(), self.following(), Operations(inputs[0], self._ended, self.operated):
                self._module(*inputs)
        except Reached:
            pass
        except Exception:  # what TorchScript makes of it
            if self._given is None:
                raise
        given, self._given = self._given, None
        if given is None or self._met[: len(self._before)] != self._before:
            raise LookupError(
                f"no gradient begins at {self._target!r}: the ScriptModule around it does other operations when it "
                "computes than when it was measured. Choose the ScriptModule itself, or a layer outside of it"
            )
        return given

    def _ended(self) -> None:
        if self._given is not None:
            raise Reached(self._given)

    @contextmanager
    def _waiting(self, call: ModuleCall) -> Iterator[None]:
        """While one module is watched, and nothing else."""
        left = call.number

        def count(part: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001 - a hook's signature
            nonlocal left
            if left == 0:
                raise Reached(output)
            left -= 1

        handle = self._parts[call.path].register_forward_hook(count, always_call=True)
        try:
            yield
        finally:
            handle.remove()

    def found(self, name: str, output: Any, read: tuple[int, ...], *, whole: bool) -> None:  # noqa: ARG002
        """End the run at the layer."""
        if self._scripted and self._before:
            self._met.append(name)
            if name == self._target:
                self._given = output
        elif name == self._target:
            raise Reached(output)


def own_name(part: nn.Module) -> str:
    """What a module without a path goes by: its class."""
    return str(getattr(part, "original_name", type(part).__name__)).lower()


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
    return next(iter(tensors_in(value)), None)


def tensors_in(value: Any) -> list[torch.Tensor]:
    """All tensors of a nested structure."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in tensors_in(part)]
    return []


def numbers(value: Any) -> tuple[int, ...]:
    """Numbers of the tensors in a nested structure that depend on the image."""
    return tuple(tensor.number for tensor in tensors_in(value) if isinstance(tensor, Tracked))


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
        return "" if name == "setitem" else name
    return name.strip("_")


_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "matmul", "pow", "mod", "and", "or", "xor", "div")
