"""Masks of attention: which elements are so far below the others that a softmax makes nothing of them.

Code adds a large negative constant where a query must not see a key, or puts one there. `Mask` is what is known of such
elements besides their spans: they are *off* before the softmax, and *zero* behind it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rfwidget.keras.tf.table import Call
from rfwidget.keras.tf.values import Constant, Flowing, run

Bools = npt.NDArray[np.bool_]

_LOW = -50.0
"""What is added up to here is meant to be minus infinity; of numbers that are the usual ones, softmax leaves e^-50."""


class Mask(NamedTuple):
    """What is known of some elements of a tensor; arrays broadcast to it.

    Attributes:
        off: those that are as good as minus infinity; None: none.
        zero: those that are zero by construction; None: none.
    """

    off: Bools | None = None
    zero: Bools | None = None


_MOVES = frozenset(
    {
        *("Reshape", "Transpose", "ExpandDims", "Squeeze", "BroadcastTo", "Tile", "StridedSlice", "Slice", "Cast"),
        *("Identity", "Snapshot", "StopGradient", "CheckNumerics", "EnsureShape"),
    }
)


def mask_of(call: Call) -> Mask | None:
    """What is known of the elements of an operation's first result; None: nothing."""
    kind, inputs = call.kind, call.inputs
    given = [value.mask if isinstance(value, Flowing) else None for value in inputs]
    if kind in ("AddV2", "Add", "Sub", "BiasAdd"):
        return _made([*(_off(mask) for mask in given), *_low_constants(call)], [])
    if kind == "SelectV2":
        return _selected(call)
    known = given[0] if given else None
    if kind == "Mul":
        there = [call.nonzero(place) for place in range(len(inputs))]
        return _made([], [~nonzero for nonzero in there if nonzero is not None])
    if known is None:
        return None
    if kind in _MOVES:
        parts = [_moved(call, part) for part in known]
        return Mask(*parts) if any(part is not None for part in parts) else None
    if kind in ("Softmax", "Exp"):
        return _made([], [known.off])
    return _made([], [known.zero]) if kind in ("RealDiv", "DivNoNan") else None


def _off(mask: Mask | None) -> Bools | None:
    return mask.off if mask is not None else None


def _low_constants(call: Call) -> list[Bools]:
    found = []
    for place, value in enumerate(call.inputs[:2]):
        if isinstance(value, Constant) and not value.dense and value.dtype.is_floating:
            numbers = np.asarray(value.numbers, np.float32)
            found.append(-numbers <= _LOW if call.kind == "Sub" and place == 1 else numbers <= _LOW)
    return [low for low in found if low.any()]


def _selected(call: Call) -> Mask | None:
    condition = call.inputs[0]
    if not isinstance(condition, Constant):
        return None
    chosen, parts = condition.numbers.astype(bool), []
    for place, kept in ((1, chosen), (2, ~chosen)):
        value = call.inputs[place]
        if isinstance(value, Flowing):
            own = _off(value.mask)
        elif value.dtype.is_floating and not value.dense:
            own = np.asarray(value.numbers, np.float32) <= _LOW
        else:
            own = None
        if own is not None:
            parts.append(own & kept)
    return _made(parts, [])


def _moved(call: Call, part: Bools | None) -> Bools | None:
    if part is None or call.kind in ("Identity", "Cast"):
        return part
    whole = tf.constant(np.broadcast_to(part, call.shape(0)))
    rest = [value.tensor for value in call.inputs[1:]]
    if call.kind not in ("StopGradient", "Snapshot", "CheckNumerics", "EnsureShape"):
        whole = run(call.operation, [whole, *rest])[0]
    return np.asarray(whole)


def _made(off: list[Any], zero: list[Any]) -> Mask | None:
    parts: list[Bools | None] = []
    for masks in (off, zero):
        whole: Bools | None = None
        for mask in masks:
            if mask is not None and mask.any():
                whole = mask if whole is None else whole | mask
        parts.append(whole)
    return Mask(*parts) if parts[0] is not None or parts[1] is not None else None
