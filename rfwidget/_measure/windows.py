"""Planning which part of an image the gradient of a cell needs: plain arithmetic, mostly one axis at a time.

A window is a crop of the image on which the network computes, for one cell, exactly what it computes on the whole
image. All cells share one size, so that a gradient compiled once serves them all, at the borders too. Whether a
network keeps the promise is not known here; `rfwidget._measure.patches` compares before it relies on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, GridShape, Size

_GROWTH = 64
"""Periods by which a window may grow beyond the receptive field until every cell is on its grid."""


class AxisWindow(NamedTuple):
    """The windows of all cells along one axis.

    Attributes:
        image: length of the image, in pixels.
        length: length of every window; that of the image if nothing shorter will do.
        period: shift of the image after which everything inside the network repeats. Windows start at its multiples,
            and their length differs from the image's by a multiple of it, so that strides and padding fall as they do
            on the image.
        grid: cells along the axis.
        cells: cells by which the grid grows with one period.
        field: receptive fields of the cells.
        margin: cells at the first and at the last end of a grid that meet a border. Only in the image itself may a cell
            be one of them: what was cropped or padded inside a network is missing at the ends of windows, too.
    """

    image: int
    length: int
    period: int
    grid: int
    cells: int
    field: AxisField
    margin: tuple[int, int] = (0, 0)

    @property
    def whole(self) -> bool:
        """Whether a window is the whole image."""
        return self.length == self.image

    def start(self, cell: int) -> int:
        """First pixel of the window of a cell."""
        if self.whole:
            return 0
        low, _ = needed(self.field, cell, self.margin)
        return min(max(low // self.period * self.period, 0), self.image - self.length)

    def place(self, cell: int) -> int:
        """The cell's index on the grid of its window."""
        return cell - self.start(cell) // self.period * self.cells

    def on(self, image: int) -> AxisWindow:
        """The same windows on an image that is shorter by whole periods."""
        return self._replace(image=image, grid=self.grid - (self.image - image) // self.period * self.cells)

    @property
    def holds_every_cell(self) -> bool:
        """Whether each cell is on the grid of its window."""
        grid = self.on(self.length).grid
        return all(0 <= self.place(cell) < grid for cell in range(self.grid))

    def tiles(self, length: int) -> tuple[int, list[tuple[int, range]]]:
        """Larger windows that hold those of all cells between them.

        Args:
            length: of each, in pixels, if that is longer than a window; rounded down to whole periods.

        Returns:
            Their length; and the first pixel of each, with the cells whose own windows it holds.
        """
        longer = self.length + max(0, min(length, self.image) - self.length) // self.period * self.period
        tiles, first = [], 0
        while first < self.grid:
            start = min(self.start(first), self.image - longer)
            last = first + 1
            while last < self.grid and start <= self.start(last) <= start + longer - self.length:
                last += 1
            tiles.append((start, range(first, last)))
            first = last
        return longer, tiles

    @property
    def part(self) -> int:
        """Length of a part of the image with room for all kinds of windows: at both ends, and well between."""
        if self.whole:
            return self.image
        return min(self.image, congruent(2 * (self.length + self.period), self.image, self.period))

    @property
    def telling_cells(self) -> tuple[int, int, int, int]:
        """Cells that show whether windows work: first, last, and the inner ones whose needs come closest to an end."""
        inner = [cell for cell in range(self.grid) if 0 < self.start(cell) < self.image - self.length]
        if not inner:
            return 0, self.grid // 2, self.grid // 2, self.grid - 1
        left = min(inner, key=lambda cell: needed(self.field, cell, self.margin)[0] - self.start(cell))
        right = max(inner, key=lambda cell: needed(self.field, cell, self.margin)[1] - self.start(cell))
        return 0, left, right, self.grid - 1


class Window(tuple[AxisWindow, ...]):
    """The windows of all cells of a grid: those along x, along y and along z, as far as there are such axes."""

    __slots__ = ()

    def __new__(cls, *axes: AxisWindow) -> Window:
        """From the windows along x, y, ..., in this order."""
        return super().__new__(cls, axes)

    @property
    def whole(self) -> bool:
        """Whether a window is the whole image."""
        return all(axis.whole for axis in self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of every window, in the order of arrays."""
        return tuple(axis.length for axis in reversed(self))

    def corner(self, point: GridPoint) -> tuple[int, ...]:
        """Where the window of a cell begins, in the order of arrays: first row and first column."""
        return tuple(axis.start(cell) for axis, cell in zip(reversed(self), reversed(point), strict=True))

    def place(self, point: GridPoint) -> tuple[int, ...]:
        """Indices of the cell in the array of the grid of its window."""
        return tuple(axis.place(cell) for axis, cell in zip(reversed(self), reversed(point), strict=True))

    @property
    def part(self) -> Window:
        """The windows on a part of the image that has room for all kinds of them."""
        return Window(*(axis.on(axis.part) for axis in self))

    @property
    def telling_points(self) -> list[GridPoint]:
        """Cells that show whether windows work: two corners of the grid, two inner cells."""
        return [GridPoint(*cells) for cells in zip(*(axis.telling_cells for axis in self), strict=True)]


def plan(
    field: FieldGeometry,
    image: GridShape,
    grid: GridShape,
    period: Size,
    margins: Sequence[tuple[int, int]] | None = None,
) -> Window:
    """The smallest windows for a layer.

    Args:
        field: receptive fields of its cells.
        image: the image.
        grid: the layer's grid.
        period: shift of the image, per axis, after which everything inside the network repeats.
        margins: along x, y, ..., cells at the first and at the last end of a grid that meet a border; None: none.
    """
    margins = margins or [(0, 0)] * len(field)
    along = zip(field, image.size, grid.size, period, margins, strict=True)
    return Window(*(plan_axis(axis, int(n), int(cells), int(p), margin) for axis, n, cells, p, margin in along))


def whole_image(image: GridShape, grid: GridShape) -> Window:
    """No windows: always all of the image."""
    return Window(*(_whole(int(n), int(cells)) for n, cells in zip(image.size, grid.size, strict=True)))


def plan_axis(field: AxisField, image: int, grid: int, period: int, margin: tuple[int, int] = (0, 0)) -> AxisWindow:
    """The shortest windows for an axis.

    Args:
        field: receptive fields of the cells.
        image: length of the image.
        grid: cells along the axis.
        period: shift of the image after which everything inside the network repeats.
        margin: cells at the first and at the last end of a grid that meet a border.

    >>> readme = AxisField(cells=1, pixels=4, edges=((0, 34),))
    >>> window = plan_axis(readme, image=96, grid=16, period=4)
    >>> window.length, window.start(0), window.start(8), window.place(8), window.start(15), window.place(15)
    (36, 0, 32, 0, 60, 0)
    """
    if field.unbounded or field.others or field.pixels < 1:  # mirrored grids, and cells that see what others do not
        return _whole(image, grid)
    cells, rest = divmod(period * field.cells, field.pixels)
    if rest or not cells:
        return _whole(image, grid)
    # Cells repeat with the period, so those of one period tell how far the farthest end is from its window's start.
    spans = [needed(field, cell, margin) for cell in range(cells)]
    shortest = congruent(max(high - low // period * period for low, high in spans), image, period)
    for length in range(shortest, min(image, shortest + _GROWTH * period), period):
        window = AxisWindow(image, length, period, grid, cells, field, margin)
        if window.holds_every_cell:
            return window
    return _whole(image, grid)


def needed(field: AxisField, cell: int, margin: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """First and last edge of what a cell of a bounded axis needs: its receptive field, and its own place in the image,
    with room for the cells that meet a border.

    Maps that were moved or cropped have their own place outside the receptive field; a window without it would have no
    such cell.
    """
    before, behind = margin
    low, high = math.floor((cell - before) * field.stride), math.ceil((cell + 1 + behind) * field.stride)
    first, last = field.edges_at(cell)
    return (low, high) if first == last else (min(low, int(first)), max(high, int(last)))


def congruent(at_least: int, image: int, period: int) -> int:
    """The shortest length from ``at_least`` on that differs from the image's by a multiple of the period.

    >>> congruent(at_least=37, image=101, period=4), congruent(at_least=38, image=101, period=4)
    (37, 41)
    """
    return at_least + (image - at_least) % period


def _whole(image: int, grid: int) -> AxisWindow:
    return AxisWindow(image, image, 1, grid, 1, AxisField(1, 1, ((-math.inf, math.inf),)))
