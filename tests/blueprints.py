"""Convolutional networks as plain data.

A `Blueprint` prints as the expression that makes it again, so a failure can be pasted into a test. Pairs are
``(x, y)``; only `tests.blueprint_models` turns them into Keras' order. The geometry here serves to choose image sizes
that fit; it is no source of truth about receptive fields.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

Pair = tuple[int, int]


class Conv(NamedTuple):
    """A convolution: "conv", "grouped", "depthwise", "separable", "transposed"; or code: "masked", "raw"."""

    kind: str
    kernel: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    same: bool = False


class Pool(NamedTuple):
    """A pooling: "max" or "average"; or code: "raw" (a maximum) or "binned" (blocks of a stride, by reshape)."""

    kind: str
    kernel: Pair
    stride: Pair
    same: bool = False


class Upsample(NamedTuple):
    """Nearest or bilinear upsampling."""

    factor: Pair
    bilinear: bool = False


class Pad(NamedTuple):
    """Zeros added around the map; negative numbers crop."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


class Pointwise(NamedTuple):
    """A layer that mixes no pixels: "normalise", "activation", "prelu", "dropout", "rescale" or "operation"; or code:
    "sort" (channels) or "foreign".
    """

    kind: str


class Windows(NamedTuple):
    """Code in which the cells of a window all see each other, as in windowed attention; windows do not overlap."""

    size: Pair


class Fork(NamedTuple):
    """Parallel paths from one map, merged by "add", "concatenate", "multiply", "maximum" or, in code, "gate"."""

    merge: str
    paths: tuple[tuple[Any, ...], ...]


Layer = Conv | Pool | Upsample | Pad | Pointwise | Windows | Fork


class Blueprint(NamedTuple):
    """A network and the image it is asked about."""

    layers: tuple[Layer, ...]
    width: int
    height: int
    channels: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def selects(self) -> bool:
        """Whether a maximum hides most of its arguments."""
        return _selects(self.layers)

    def period(self, axis: int) -> int:
        return period(self.layers, axis)

    def lengths(self, along: int) -> Pair:
        """Width and height of an image that holds any cell's field twice along an axis, and across it once: there some
        cell must see more than padding on every path, or paths go unseen.
        """
        extents = [math.ceil(reach(self.layers, axis)[0]) + 1 for axis in (0, 1)]
        extents[along] *= 2
        width, height = (fitting_length(self.layers, axis, extents[axis] + self.period(axis)) for axis in (0, 1))
        return width, height

    def without(self, index: int) -> Blueprint | None:
        """The network less one layer, on the next larger image that it accepts; None if there is no such thing."""
        layers = self.layers[:index] + self.layers[index + 1 :]
        if not layers:
            return None
        try:
            width, height = (fitting_length(layers, axis, self[1 + axis]) for axis in (0, 1))
        except ValueError:
            return None
        return Blueprint(layers, width, height, self.channels)


def _selects(layers: tuple[Layer, ...]) -> bool:
    return any(
        (isinstance(layer, Pool) and layer.kind in {"max", "raw"})
        or (isinstance(layer, Pointwise) and layer.kind == "sort")
        or (isinstance(layer, Fork) and (layer.merge in {"maximum", "gate"} or any(map(_selects, layer.paths))))
        for layer in layers
    )


def grid_length(layers: tuple[Layer, ...], axis: int, length: int) -> int:
    """Cells along an axis (0: x, 1: y) for an image of so many pixels; 0 if the network cannot be built for it."""
    for layer in layers:
        match layer:
            case Conv(kind="transposed"):
                stride, kernel = layer.stride[axis], layer.kernel[axis]
                length = length * stride + (0 if layer.same else max(kernel - stride, 0))
            case Conv() | Pool():
                span = (layer.kernel[axis] - 1) * (layer.dilation[axis] if isinstance(layer, Conv) else 1)
                length = (length - 1 - (0 if layer.same else span)) // layer.stride[axis] + 1
            case Upsample():
                length *= layer.factor[axis]
            case Pad():
                length += sum(layer[:2] if axis == 0 else layer[2:])
            case Windows():
                length = 0 if length % layer.size[axis] else length
            case Fork():
                lengths = {grid_length(path, axis, length) for path in layer.paths}
                length = lengths.pop() if len(lengths) == 1 else 0
        if length < 1:
            return 0
    return length


def period(layers: tuple[Layer, ...], axis: int) -> int:
    """A shift of the image after which everything inside the network repeats; not always the smallest."""
    total = 1
    for layer in layers:
        if isinstance(layer, Fork):
            total *= math.lcm(*(period(path, axis) for path in layer.paths))
        elif isinstance(layer, Pool) or (isinstance(layer, Conv) and layer.kind != "transposed"):
            total *= layer.stride[axis]
        elif isinstance(layer, Windows):
            total *= layer.size[axis]
    return total


def reach(layers: tuple[Layer, ...], axis: int, step: Fraction = Fraction(1)) -> tuple[Fraction, Fraction]:
    """An upper bound of the receptive field's growth, and the step from cell to cell, in pixels."""
    growth = Fraction(0)
    for layer in layers:
        match layer:
            case Conv(kind="transposed"):
                step /= layer.stride[axis]
                growth += (layer.kernel[axis] - 1) * step
            case Conv() | Pool():
                dilation = layer.dilation[axis] if isinstance(layer, Conv) else 1
                growth += (layer.kernel[axis] - 1) * dilation * step
                step *= layer.stride[axis]
            case Upsample():
                growth += step if layer.bilinear else 0
                step /= layer.factor[axis]
            case Pad():
                growth += sum(map(abs, layer[:2] if axis == 0 else layer[2:])) * step
            case Windows():
                growth += 2 * (layer.size[axis] - 1) * step
            case Fork():
                ends = [reach(path, axis, step) for path in layer.paths]
                growth += sum(more for more, _ in ends)
                step = ends[0][1]
    return growth, step


def fitting_length(layers: tuple[Layer, ...], axis: int, at_least: int = 1) -> int:
    """The smallest image length from ``at_least`` on for which the network can be built.

    Raises:
        ValueError: if there is none.
    """
    for length in range(at_least, at_least + 1000):
        if grid_length(layers, axis, length):
            return length
    raise ValueError(f"no image suits {layers!r}")
