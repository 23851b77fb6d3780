"""A private copy of a module's structure, that shares the weights: what is looked at, so that nothing of the user's is.

The copy has modules, containers and attributes of its own, no hooks, and is in evaluation mode. Its parameters are
objects of their own over the user's numbers; its buffers, which `forward` may count up, are copies.
"""

from __future__ import annotations

import copy
import types
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from rfwidget.errors import ReceptiveFieldError

_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
)

_HOLDERS = ("_parameters", "_buffers", "_modules")

_ATOMS = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size, torch.memory_format)
_CONTAINERS = (list, tuple, set, dict, OrderedDict)


class Scripted(nn.Module):
    """Calls a ScriptModule, which takes no hooks."""

    def __init__(self, inner: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.inner = inner

    @property
    def original_name(self) -> str:
        """Class of the module that was scripted."""
        return str(getattr(self.inner, "original_name", "script"))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the ScriptModule."""
        return self.inner(*args, **kwargs)


class Private:
    """A module's private copy.

    Args:
        module: the user's, initialised (see `check_initialised`); never changed.
        device: where the copy computes.
        own_weights: copy the parameters as well, for code that writes to them.

    Attributes:
        module: the copy.
        guarded: storages that belong to the user, by address: nothing may write there.
        moved: how often a weight was found at another address than before.
    """

    moved = 0

    def __init__(self, module: nn.Module, device: torch.device, *, own_weights: bool = False) -> None:
        self._device, self._own = device, own_weights
        self._memo: dict[int, Any] = {}
        self._parameters: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._buffers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._theirs: list[torch.Tensor] = []
        self._held: list[tuple[dict[str, Any], list[int]]] = []
        with torch.no_grad(), torch.inference_mode(False):
            self.module: nn.Module = self._value(module)
        for part in self.module.modules():
            _quieten(part)
        self.guarded = {t.untyped_storage()._cdata: t for t in self._theirs if _has_storage(t)}

    @property
    def current(self) -> bool:
        """Whether the user's module still holds the same objects: parts, parameters and buffers."""
        return all([*map(id, held.values())] == were for held, were in self._held)

    def refresh(self) -> None:
        """Take over the user's weights and buffers as they are now."""
        with torch.no_grad(), torch.inference_mode(False):
            for theirs, ours in self._parameters:
                if ours.device != theirs.device or theirs.is_inference() or self._own:
                    ours.copy_(theirs)
                elif ours.data_ptr() != theirs.data_ptr():
                    ours.data = theirs.detach()
                    self.moved += 1
            for theirs, ours in self._buffers:  # always: versions do not count what is written to a tensor's ``data``
                ours.copy_(theirs)

    def _value(self, value: Any) -> Any:
        """The private copy of anything that a module holds."""
        if type(value) in _ATOMS:
            return value
        known = self._memo.get(id(value))
        if known is not None:
            return known
        if isinstance(value, torch.Tensor):
            made: Any = self._tensor(value)
        elif isinstance(value, torch.jit.ScriptModule):
            made = self._scripted(value)
        elif isinstance(value, nn.Module):
            return self._module(value)
        elif type(value) in _CONTAINERS and not value:
            made = type(value)()
        elif type(value) in _CONTAINERS or isinstance(value, (dict, list)):
            return self._container(value)
        elif isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
            return value
        else:
            try:
                made = copy.deepcopy(value, self._memo)
            except Exception:  # a lock, a generator, a file: it is shared
                return value
        self._memo[id(value)] = made
        return made

    def _module(self, module: nn.Module) -> nn.Module:
        original = getattr(module, "_orig_mod", None)
        if isinstance(original, nn.Module) and type(module).__module__.startswith("torch._dynamo"):
            made: nn.Module = self._value(original)  # what torch.compile wraps
            self._memo[id(module)] = made
            return made
        made = object.__new__(type(module))
        self._memo[id(module)] = made
        own = made.__dict__
        for name, value in vars(module).items():
            if name in _HOLDERS:
                self._held.append((value, [*map(id, value.values())]))
            own[name] = OrderedDict() if name in _HOOKS else self._value(value)
        made.__dict__["_compiled_call_impl"] = None
        return made

    def _scripted(self, script: torch.jit.ScriptModule) -> Scripted:
        """A ScriptModule has weights of its own when it is copied; they follow the user's as buffers do."""
        with warnings.catch_warnings():  # of gradients that are no leaf's
            warnings.simplefilter("ignore")
            made = copy.deepcopy(script).to(self._device)
        for theirs, ours in zip(
            [*script.parameters(), *script.buffers()], [*made.parameters(), *made.buffers()], strict=True
        ):
            self._theirs.append(theirs)
            self._buffers.append((theirs, ours))
        return Scripted(made)

    def _container(self, value: Any) -> Any:
        if isinstance(value, dict):
            made: Any = copy.copy(value)
            self._memo[id(value)] = made
            for key, entry in list(value.items()):
                made[key] = self._value(entry)
            return made
        if isinstance(value, list):
            made = copy.copy(value)
            self._memo[id(value)] = made
            made[:] = [self._value(entry) for entry in value]
            return made
        made = type(value)(self._value(entry) for entry in value)
        self._memo[id(value)] = made
        return made

    def _tensor(self, theirs: torch.Tensor) -> torch.Tensor:
        self._theirs.append(theirs)
        if isinstance(theirs, nn.Parameter):
            shared = theirs.detach()
            if self._own or theirs.is_inference():
                shared = shared.clone()
            ours: torch.Tensor = nn.Parameter(shared.to(self._device), requires_grad=False)
            self._parameters.append((theirs, ours))
        else:
            ours = theirs.detach().clone().to(self._device)
            self._buffers.append((theirs, ours))
        return ours


def check_initialised(module: nn.Module) -> None:
    """Refuse modules whose shapes are not known before they run: lazy ones."""
    for name, tensor in _tensors(module):
        if nn.parameter.is_lazy(tensor):
            raise ReceptiveFieldError(
                f"the module is not initialised: {name!r} has no shape yet (a lazy module). Run it once on an input, "
                "module(torch.zeros(1, 3, 224, 224)) say, then give it here"
            )
    for name, tensor in _tensors(module):
        if tensor.is_meta:
            raise ReceptiveFieldError(
                f"the module has no weights: {name!r} is on the device 'meta'. Load it to a real device first, with "
                "module.to_empty(device='cpu') say"
            )


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for prefix, part in module.named_modules():
        for own in (getattr(part, "_parameters", {}), getattr(part, "_buffers", {})):
            for name, tensor in own.items():
                if isinstance(tensor, torch.Tensor):
                    yield f"{prefix}.{name}".lstrip("."), tensor


def _quieten(module: nn.Module) -> None:
    """Evaluation mode, without a call of the user's ``eval`` or ``train``."""
    if isinstance(module, torch.jit.ScriptModule):
        module.eval()
    else:
        module.__dict__["training"] = False


def _has_storage(tensor: torch.Tensor) -> bool:
    try:
        tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # sparse, say
        return False
    return True
