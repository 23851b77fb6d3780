"""Shapes of the results of the commonest operations, without PyTorch's own way to find them.

That way (the device "meta") knows all operations, but takes as long as small convolutions do. Whoever is not sure here
gives None, and it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Arguments = Mapping[str, Any]
Result = torch.Tensor | tuple[torch.Tensor, ...] | None

_ALIKE = {
    "relu", "hardtanh", "leaky_relu", "silu", "gelu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "elu", "mish",
    "native_dropout", "detach",
}  # fmt: skip
_OF_TWO = {"add", "mul", "sub", "div"}
_NORMS = {"native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit_no_training"}


def shaped(name: str, arguments: Arguments) -> Result:
    """Empty results of an operation.

    Args:
        name: of the operation, without the mark of writing in place.
        arguments: of it, by name.

    Returns:
        On the device "meta"; None where it is not known here.
    """
    if name in _ALIKE:
        x = arguments["self"]
        return _like(x) if x.is_floating_point() else None
    found = _SHAPES.get(name)
    return None if found is None else found(arguments)


def _like(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(getattr(x, "stand_in", x), device="meta")


def _empty(shape: Sequence[int], x: torch.Tensor) -> torch.Tensor:
    return torch.empty(shape, dtype=x.dtype, device="meta")


def _of_two(arguments: Arguments) -> Result:
    one, other = arguments["self"], arguments["other"]
    if not isinstance(one, torch.Tensor) or not one.is_floating_point():
        return None
    if isinstance(other, torch.Tensor):
        same = one.shape == other.shape and one.dtype == other.dtype and one.stride() == other.stride()
        return _like(one) if same else None
    return _like(one) if isinstance(other, (bool, int, float)) else None


def _normed(arguments: Arguments) -> Result:
    x = arguments["input"]
    if arguments.get("training") or not x.is_floating_point() or not x.is_contiguous():
        return None
    nothing = _empty((0,), x)
    return _like(x), nothing, nothing


def _convolved(arguments: Arguments) -> Result:
    x, weight = arguments["input"], arguments["weight"]
    count = weight.dim() - 2
    if (
        arguments["transposed"]
        or x.dim() != count + 2
        or not (x.is_contiguous() and weight.is_contiguous())
        or x.dtype != weight.dtype
        or x.shape[1] != weight.shape[1] * arguments["groups"]
    ):
        return None
    shape = [x.shape[0], weight.shape[0]]
    settings = (arguments[name] for name in ("stride", "padding", "dilation"))
    each = (list(given) * (count if len(given) == 1 else 1) for given in settings)
    for n, k, stride, padding, dilation in zip(x.shape[2:], weight.shape[2:], *each, strict=True):
        shape.append((n + 2 * padding - (k - 1) * dilation - 1) // stride + 1)
    return _empty(shape, x) if min(shape) > 0 else None


def _concatenated(arguments: Arguments) -> Result:
    tensors, axis = arguments["tensors"], arguments.get("dim", 0)
    first = tensors[0]
    rank = first.dim()
    if not rank or not all(t.dim() == rank and t.dtype == first.dtype and t.is_contiguous() for t in tensors):
        return None
    shapes = [list(tensor.shape) for tensor in tensors]
    lengths = [shape.pop(axis % rank) for shape in shapes]
    if any(shape != shapes[0] for shape in shapes):
        return None
    shapes[0].insert(axis % rank, sum(lengths))
    return _empty(shapes[0], first)


_SHAPES: dict[str, Callable[[Arguments], Result]] = {
    **dict.fromkeys(_OF_TWO, _of_two),
    **dict.fromkeys(_NORMS, _normed),
    "convolution": _convolved,
    "cat": _concatenated,
}
