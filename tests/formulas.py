"""A second, independent account of receptive fields: interval arithmetic over a functional model's layers.

Where `tests.oracle` asks a small network itself, this reads the kernels, strides and paddings of a large one (from
`keras.applications`) and follows, along one axis, the first and last pixel that every cell depends on. It runs nothing,
and knows only the layers named here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

NOTHING = 2**40  # low edge of an empty field; its high edge is the negative


@dataclass(frozen=True)  # no tuple: Keras would take it apart
class Fields:
    """First and last edge of the fields of all cells along one axis; ``spread``: one cell for the whole image."""

    low: Indices
    high: Indices
    spread: bool = False


POINTWISE = {
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "LayerNormalization",
    "LayerScale",
    "Normalization",
    "ReLU",
    "Rescaling",
    "StochasticDepth",
}
MERGES = {"Add", "Concatenate", "CustomScaleLayer", "Multiply"}


LENGTH = 16_000  # pixels; more than twice the field of any model of `keras.applications`


class Line(NamedTuple):
    """Receptive fields along one axis; the size is infinite if they cover every image, the rest then NaN."""

    size: float
    stride: float
    offset: float


def line(model: keras.Model, layer: str, axis: int, requested: int, ignore_global_context: bool = False) -> Line:
    """Size, stride and offset of a layer's fields along an axis (0: x, 1: y), on an image of ``requested`` pixels."""
    fields = axis_fields(model, layer, axis, LENGTH + (requested - LENGTH) % 128, ignore_global_context)
    cell = len(fields.low) // 2
    low, high = int(fields.low[cell]), int(fields.high[cell])
    if low == fields.low.min() and high == fields.high.max():
        return Line(math.inf, math.nan, math.nan)
    stride = int(fields.low[cell + 1]) - low
    return Line(high - low, stride, (low + high) / 2 - cell * stride)


def axis_fields(model: keras.Model, layer: str, axis: int, length: int, ignore_global_context: bool = False) -> Fields:
    """Fields of a layer's cells along an axis (0: x, 1: y) of an image of ``length`` pixels.

    The model stays as it was built for its own size: ``length`` must equal that size modulo the product of all strides.
    """
    part = keras.Model(model.inputs, model.get_layer(layer).output)
    return _follow(part, axis, Fields(np.arange(length), np.arange(length) + 1), ignore_global_context)


def _follow(model: keras.Model, axis: int, image: Fields, ignore_global_context: bool) -> Fields:
    def rule(operation: Any) -> Any:
        return lambda *inputs, **_: _apply(operation, axis, _fields_in(inputs), ignore_global_context)

    graph = model._functional if isinstance(model, keras.Sequential) else model
    return graph._run_through_graph([image], rule)


def _fields_in(arguments: Any) -> list[Fields]:
    """The fields among a call's arguments: a merge takes a list of them, an operation may also take numbers."""
    return [value for value in keras.tree.flatten(arguments) if isinstance(value, Fields)]


def _apply(operation: Any, axis: int, arguments: list[Fields], ignore_global_context: bool) -> Fields:
    kind = type(operation).__name__
    side = 1 - axis  # Keras writes y first
    if kind in MERGES:
        return _merge(arguments, ignore_global_context)
    (inputs,) = arguments
    if isinstance(operation, keras.Model):
        return _follow(operation, axis, inputs, ignore_global_context)
    if kind in POINTWISE or (kind == "Reshape" and inputs.spread) or (kind == "Conv2D" and inputs.spread):
        return inputs
    if kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        shape = operation.kernel_size[side], operation.strides[side], operation.dilation_rate[side]
        return _windows(inputs, *shape, operation.padding)
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        return _windows(inputs, operation.pool_size[side], operation.strides[side], 1, operation.padding)
    if kind == "GlobalAveragePooling2D":
        return Fields(inputs.low.min(keepdims=True), inputs.high.max(keepdims=True), spread=True)
    if kind == "ZeroPadding2D":
        before, after = operation.padding[side]
        low = np.pad(inputs.low, (before, after), constant_values=NOTHING)
        return Fields(low, np.pad(inputs.high, (before, after), constant_values=-NOTHING))
    if kind == "Cropping2D":
        before, after = operation.cropping[side]
        stop = len(inputs.low) - after
        return Fields(inputs.low[before:stop], inputs.high[before:stop])
    raise NotImplementedError(f"no formula for {kind} {operation.name!r}")


def _windows(inputs: Fields, kernel: int, stride: int, dilation: int, padding: str) -> Fields:
    length, span = len(inputs.low), (kernel - 1) * dilation
    before = 0
    cells = (length - 1 - span) // stride + 1
    if padding == "same":
        cells = -(-length // stride)
        before = max((cells - 1) * stride + span + 1 - length, 0) // 2
    taps = np.arange(cells)[:, None] * stride - before + np.arange(kernel) * dilation
    inside = (taps >= 0) & (taps < length)
    taps = taps.clip(0, length - 1)
    low = np.where(inside, inputs.low[taps], NOTHING).min(axis=1)
    return Fields(low, np.where(inside, inputs.high[taps], -NOTHING).max(axis=1))


def _merge(inputs: list[Fields], ignore_global_context: bool) -> Fields:
    local = [fields for fields in inputs if not fields.spread]
    merged = local if ignore_global_context and local else inputs
    low, high = merged[0].low, merged[0].high
    for fields in merged[1:]:
        low, high = np.minimum(low, fields.low), np.maximum(high, fields.high)
    return Fields(low, high, spread=not local)
