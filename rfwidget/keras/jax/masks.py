"""Masks of attention: which elements are so far below the others that a softmax makes nothing of them.

Code adds a large negative constant where a query must not see a key, or puts one there. Such elements are *off* before
the softmax, and *zero* behind its exponential.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rfwidget.keras.calls import Bools, UnknownError
from rfwidget.keras.jax.table import Call
from rfwidget.keras.jax.values import Constant, Flowing, Mask, run

_LOW = -50.0
"""What is added up to here is meant to be minus infinity; of numbers that are the usual ones, softmax leaves e^-50."""

_MOVES = frozenset(
    {"reshape", "transpose", "squeeze", "broadcast_in_dim", "slice", "rev", "convert_element_type", "stop_gradient",
     "copy", "reduce_precision", "name"}
)  # fmt: skip


def mask_of(call: Call) -> Mask:
    """What is known of the elements of a primitive's first result."""
    given = [value.mask if isinstance(value, Flowing) else Mask() for value in call.inputs]
    if call.name in ("add", "sub"):
        return Mask(_some([*(mask.off for mask in given), *_low_constants(call)]), None)
    if call.name == "select_n":
        return Mask(_selected(call), None)
    if call.name == "mul":
        there = [call.nonzero(place) for place in range(2)]
        return Mask(None, _some([~nonzero for nonzero in there if nonzero is not None]))
    if call.name in _MOVES and len(call.inputs) == 1:
        return Mask(*(_moved(call, part) for part in given[0]))
    if call.name == "exp":
        return Mask(None, given[0].off)
    if call.name == "div":
        return Mask(None, given[0].zero)
    return Mask(given[0].off, None) if call.name == "max" and _is_lowest(call, 1) else Mask()


def _is_lowest(call: Call, place: int) -> bool:
    value = call.inputs[place]
    return isinstance(value, Constant) and value.is_real and bool(np.all(value.numbers == -np.inf))


def _low_constants(call: Call) -> list[Bools]:
    found = []
    for place, value in enumerate(call.inputs):
        if isinstance(value, Constant) and not value.dense and value.is_real:
            numbers = np.asarray(value.numbers, np.float32)
            found.append(-numbers <= _LOW if call.name == "sub" and place == 1 else numbers <= _LOW)
    return found


def _selected(call: Call) -> Bools | None:
    which, parts = call.numbers(0), []
    if which is None:
        return None
    for number, value in enumerate(call.inputs[1:]):
        if isinstance(value, Flowing):
            own = value.mask.off
        elif value.is_real and not value.dense:
            own = np.asarray(value.numbers, np.float32) <= _LOW
        else:
            own = None
        if own is not None:
            parts.append(own & (which.astype(np.int64) == number))
    return _some(parts)


def _moved(call: Call, part: Bools | None) -> Bools | None:
    if part is None or call.name in ("convert_element_type", "stop_gradient", "copy", "reduce_precision", "name"):
        return part
    try:
        return np.asarray(run(call.equation, [np.broadcast_to(part, call.shape(0))])[0])
    except UnknownError:
        return None


def _some(masks: list[Any]) -> Bools | None:
    whole: Bools | None = None
    for mask in masks:
        if mask is not None and mask.any():
            whole = mask if whole is None else whole | mask
    return whole
