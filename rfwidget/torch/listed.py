"""Forward and backward pass of a module as one list of PyTorch's own operations, without any code of the user's.

Modules of few layers take longer to be called than to compute, and code that may do anything needs random states told
and taken back. A list of operations needs neither.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

_AGREE = 1e-4
"""Difference between a gradient by the list and an eager one, relative to the largest magnitude."""

_NUMBERS = frozenset(
    ["numpy", "tolist", "item", "equal", "allclose", "is_nonzero", "data_ptr", "__array__", "__dlpack__", "__bool__"]
    + [f"__{name}__" for name in ("float", "int", "index", "complex", "contains", "format", "repr")]
)
"""Functions that make numbers of Python's of a tensor: a list would hold those of the run that it comes from."""

_UNFIT = (torch.Tag.nondeterministic_seeded, torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class _UnfitError(Exception):
    """The code is not the same operations every time."""


class _Watch(TorchFunctionMode):
    """Refuses code that asks for numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of PyTorch."""
        if getattr(func, "__name__", "") in _NUMBERS:
            raise _UnfitError(func.__name__)
        return func(*args, **(kwargs or {}))


def listed(
    function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, start: torch.Tensor
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None:
    """The operations that give a gradient; weights are read where they are, each time.

    Args:
        function: maps images to an output; its code must not ask for numbers that depend on the images.
        images: as large as all that will be given.
        start: gradient of the output.

    Returns:
        Maps images and the gradient of the output to that of the images; None where the code draws random numbers,
        writes to its tensors, asks for numbers, or does something else that no list can do.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    def backward(x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(function(leaf), leaf, start)[0]

    before = _drawn()
    try:
        make_fx(torch.neg)(start)  # the first call imports parts of PyTorch, whose own code asks for numbers (2.6)
        with torch.enable_grad(), _Watch():
            made = make_fx(backward, tracing_mode="real", _allow_non_fake_inputs=True)(images, start)
        made.graph.eliminate_dead_code()
        made.recompile()
        with torch.enable_grad():
            seeded = torch.Generator(images.device).manual_seed(5)
            noise = torch.rand(images.shape, generator=seeded, dtype=images.dtype, device=images.device) + 0.5
            expected = [backward(x, start) for x in (images, noise)]
        with torch.no_grad():
            found = [made(x, start) for x in (images, noise)]
    except Exception:  # whatever PyTorch says of code that cannot be listed
        return None
    same = all(_close(a, b) for a, b in zip(found, expected, strict=True))
    return made if same and _drawn() == before and all(map(_fit, made.graph.nodes)) else None


def _drawn() -> list[bytes]:
    """What shows whether random numbers were drawn."""
    state: Any = np.random.get_state()  # noqa: NPY002 - that of other people's code
    states = (torch.random.get_rng_state().numpy().tobytes(), state[1].tobytes())
    return [*states, repr(state[2:]).encode(), repr(random.getstate()).encode()]


def _close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((found - expected).abs().max() <= _AGREE * expected.abs().max())


def _fit(node: Any) -> bool:
    """Whether an operation does the same every time, and writes to nothing that is there before the list."""
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return True
    if any(tag in node.target.tags for tag in _UNFIT):
        return False
    for place, argument in enumerate(schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            written = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
            if not all(map(_own, written if isinstance(written, (list, tuple)) else [written])):
                return False
    return True


def _own(node: Any) -> bool:
    """Whether a tensor was made by the list, and is no view of another."""
    while node is not None and node.op == "call_function":
        schema = getattr(node.target, "_schema", None)
        if schema is not None and not any(returned.alias_info for returned in schema.returns):
            return True
        node = node.args[0]  # of a view, of what was written to, and of one of several results
    return node is None
