"""Masks of attention, as operations of TensorFlow make, move and use them (see `rfwidget._measure.masks`)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from rfwidget._measure.masks import LOW, Bools, Mask, low, told_apart, united
from rfwidget.keras.tf.table import Call
from rfwidget.keras.tf.values import Constant, Flowing, run

_MOVES = frozenset(
    {
        *("Reshape", "Transpose", "ExpandDims", "Squeeze", "BroadcastTo", "Tile", "StridedSlice", "Slice", "Cast"),
        *("Identity", "Snapshot", "StopGradient", "CheckNumerics", "EnsureShape"),
    }
)


def mask_of(call: Call) -> Mask | None:
    """What is known of the elements of an operation's first result; None: nothing."""
    kind, inputs = call.name, call.inputs
    given = [value.mask if isinstance(value, Flowing) else None for value in inputs]
    if kind in ("AddV2", "Add", "Sub", "BiasAdd"):
        added = given[:1] if kind == "Sub" else given
        return united([*(_off(mask) for mask in added), *_low_constants(call)], [])
    if kind == "SelectV2":
        return _selected(call)
    known = given[0] if given else None
    if kind == "Mul":
        there = [call.nonzero(place) for place in range(len(inputs))]
        return united([], [~nonzero for nonzero in there if nonzero is not None])
    if known is None:
        return None
    if kind in _MOVES:
        parts = [_moved(call, part) for part in known]
        return Mask(*parts) if any(part is not None for part in parts) else None
    if kind in ("Softmax", "Exp"):
        on = told_apart(known.off, -1)
        return united([], [None if on is None else ~on])
    return united([], [known.zero]) if kind in ("RealDiv", "DivNoNan") else None


def _off(mask: Mask | None) -> Bools | None:
    return mask.off if mask is not None else None


def _low_constants(call: Call) -> list[Bools | None]:
    found = []
    for place, value in enumerate(call.inputs[:2]):
        if isinstance(value, Constant) and not value.dense and value.dtype.is_floating:
            numbers = np.asarray(value.numbers, np.float32)
            found.append(low(-numbers if call.name == "Sub" and place == 1 else numbers))
    return found


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
            own = np.asarray(value.numbers, np.float32) <= LOW
        else:
            own = None
        if own is not None:
            parts.append(own & kept)
    return united(parts, [])


def _moved(call: Call, part: Bools | None) -> Bools | None:
    if part is None or call.name in ("Identity", "Cast"):
        return part
    whole = tf.constant(np.broadcast_to(part, call.shape(0)))
    rest = [value.held for value in call.inputs[1:]]
    if call.name not in ("StopGradient", "Snapshot", "CheckNumerics", "EnsureShape"):
        whole = run(call.operation, [whole, *rest])[0]
    return np.asarray(whole)
