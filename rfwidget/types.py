"""Value types, and the one statement of the axis convention.

Everything public is x before y and width before height, as fields with names. Coordinates are pixel *edges*: pixel
column k covers the interval [k, k + 1), so a 34-wide receptive field flush with the left border spans 0..34 and its
centre is 17.0. Only arrays (``[y, x, c]``) and the argument ``input_shape`` keep the framework's order,
``(height, width, channels)``.

All values are NamedTuples of plain Python numbers: they print as documented, unpack, and compare with
``numpy.testing.assert_allclose``.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Size(NamedTuple):
    """Width and height in pixels (of a receptive field or an image) or cells (of a grid).

    A receptive field that grows with the image has infinite width, height, or both.
    """

    w: float
    h: float


class ImageShape(NamedTuple):
    """Width, height and channels of an image; the Keras order is ``(h, w, c)``."""

    w: int
    h: int
    c: int = 3


class GridPoint(NamedTuple):
    """A cell of the output grid: column x, row y, both from 0."""

    x: int
    y: int


class GridShape(NamedTuple):
    """Batch size (None: any), width, height and channels of a network's input or of a layer's output."""

    n: int | None
    w: int
    h: int
    c: int


class Rect(NamedTuple):
    """A rectangle of the image given by its edges, in pixels: columns left..right, rows top..bottom.

    It may overhang the image; the empty rectangle is ``Rect(0, 0, 0, 0)``; an unbounded axis runs from -inf to inf.

    >>> Rect(left=0, top=4, right=34, bottom=38).size
    Size(w=34, h=34)
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def size(self) -> Size:
        """Width and height."""
        return Size(self.right - self.left, self.bottom - self.top)

    @property
    def center(self) -> tuple[float, float]:
        """Centre ``(x, y)`` in pixel-edge coordinates; NaN along an unbounded axis."""
        return ((self.left + self.right) / 2, (self.top + self.bottom) / 2)


class ReceptiveFieldDescription(NamedTuple):
    """Receptive fields of a whole grid: cell (i, j) sees the ``size`` around ``offset + (i, j) * stride``.

    Attributes:
        offset: centre ``(x, y)`` of the receptive field of cell (0, 0), in pixel-edge coordinates.
        stride: shift ``(x, y)`` of the receptive field from one cell to the next, in pixels.
        size: extent in pixels, last influenced pixel + 1 - first; infinite along an unbounded axis.
    """

    offset: tuple[float, float]
    stride: tuple[float, float]
    size: Size

    @property
    def unbounded(self) -> tuple[bool, bool]:
        """Whether the receptive field grows with the image, along ``(x, y)``."""
        return (math.isinf(self.size.w), math.isinf(self.size.h))
