"""What the probe puts in the place of operations that cut, move and regroup numbers without changing them.

They keep the receptive field exact as long as rows and columns stay where they are; where an operation might mix them,
the axes can no longer be measured one at a time, and where it tells channels apart, the probe needs all of them.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import keras
from keras import ops

from rfwidget.keras.hints import Hint, hints_of
from rfwidget.keras.probe import Probe


def as_it_is(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operation itself."""
    return operation.call(*args, **kwargs)


def pad(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Padding of all kinds; what is not plain zeros around the map runs as it is."""
    amounts = [tuple(amount) for amount in operation.pad_width]
    if len(x.shape) == 4 and operation.mode == "constant" and amounts[0] == amounts[3] == (0, 0):
        return probe.pad(x, amounts[1:3])
    return moved(probe, operation, x)


def get_item(probe: Probe, operation: Any, x: Any, key: Any) -> Any:
    """Slices ``x[key]``."""
    rank = len(x.shape)
    keys = list(key) if isinstance(key, (tuple, list)) else [key]
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (rank - len(keys) + 1)
    keys += [slice(None)] * (rank - len(keys))
    if rank != 4 or not all(isinstance(k, slice) for k in keys):
        return moved(probe, operation, x, key)
    if keys[3] != slice(None):
        probe.need_full_width()
    steps, shifts = [], []
    for axis in (1, 2):
        if probe.axis not in (None, axis - 1):
            keys[axis] = slice(None)
        start, stop, step = keys[axis].start or 0, keys[axis].stop, keys[axis].step or 1
        if start < 0 or step < 0 or (stop or 0) > 0:
            probe.note(resizable=False)
        steps.append(Fraction(abs(step)))
        shifts.append(abs(start) + abs(stop or 0))
    probe.note(reach=tuple(shifts), step=tuple(steps))
    return x[tuple(keys)]


def transposed_axes(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Axes in another order."""
    axes = tuple(getattr(operation, "axes", None) or ())
    if axes[:3] != (0, 1, 2):
        probe.note(separable=False, exact=axes in {(0, 3, 1, 2), (0, 2, 3, 1)})
    if len(x.shape) - 1 not in axes[-1:]:
        probe.need_full_width()
    return as_it_is(operation, (x,), {})


def reshape(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Another shape. Regrouping channels is harmless, whatever image size the shape was written for."""
    shape = tuple(operation.target_shape if hasattr(operation, "target_shape") else operation.newshape[1:])
    if _all_flat(x) and probe.thin and all(n == 1 for n in (*shape[:-1], *x.shape[1:-1])):
        return ops.reshape(x, (x.shape[0], *shape[:-1], 1))
    written_for = _written_for(operation)
    if len(shape) >= 3 and len(x.shape) >= 4 and shape[:2] == written_for:
        probe.need_full_width()
        return ops.reshape(x, (*x.shape[:3], *shape[2:]))
    return moved(probe, operation, x)


def moved(probe: Probe, operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Operations that move numbers about: they run as they are, on all channels."""
    tensors = [leaf for leaf in keras.tree.flatten((args, kwargs)) if Hint.of(leaf) is not None]
    flat = all(_all_flat(tensor) for tensor in tensors)
    if flat and probe.thin and type(operation).__name__ in {"ExpandDims", "Squeeze"}:
        return as_it_is(operation, args, kwargs)  # a vector that stands for the whole image stays one
    probe.need_full_width()
    probe.note(separable=flat, exact=flat)
    return as_it_is(operation, args, kwargs)


def split(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Parts of the channels, or of the rows or columns."""
    probe.need_full_width()
    if operation.axis not in (-1, len(x.shape) - 1):
        probe.note(separable=False, exact=False)
    return as_it_is(operation, (x,), {})


def blocks(probe: Probe, operation: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Depth to space and back."""
    probe.need_full_width()
    block = Fraction(operation.block_size)
    step = 1 / block if type(operation).__name__ == "DepthToSpace" else block
    probe.note(separable=False, reach=(math.ceil(block),) * 2, step=(step, step))
    return as_it_is(operation, (x,), {})


def _all_flat(x: Any) -> bool:
    return all(hint.scale == (None, None) for hint in hints_of(x))


def _written_for(operation: Any) -> tuple[Any, ...] | None:
    """Rows and columns of the map the operation was given when the model was built."""
    try:
        return tuple(operation.input.shape[1:3])
    except (AttributeError, ValueError):  # called several times, or outside any graph
        return None
