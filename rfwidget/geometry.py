"""Geometry of receptive fields in pure NumPy: from supports to extents, from extents to rectangles.

Each axis stands alone. Along it the network repeats: after ``cells`` cells the receptive field has moved by exactly
``pixels`` pixels, so the edges of the first ``cells`` cells give those of all. In a plain network ``cells`` is 1;
branches with misaligned centres, transposed convolutions and resizing need more.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget.types import GridPoint, ReceptiveFieldDescription, Rect, Size


class AxisField(NamedTuple):
    """Theoretical receptive fields of all cells along one axis.

    Attributes:
        cells: number of cells after which the pattern repeats.
        pixels: shift of the receptive field over that many cells.
        edges: first and last edge of the cells 0 .. ``cells`` - 1, in pixels; they may lie outside the image. An
            unbounded axis has ``(-inf, inf)`` in every place, one that a recurrence goes along is infinite on one
            side; a cell that sees nothing has ``(0, 0)``.
        others: cells that see something else, because borders wrap or differ: ``(cell, first edge, last edge)``.

    >>> AxisField(cells=1, pixels=4, edges=((0, 34),)).edges_at(2)
    (8, 42)
    """

    cells: int
    pixels: int
    edges: tuple[tuple[float, float], ...]
    others: tuple[tuple[int, float, float], ...] = ()

    def edges_at(self, cell: int) -> tuple[float, float]:
        """First and last edge of the receptive field of a cell."""
        for other, low, high in self.others:
            if other == cell:
                return low, high
        period, phase = divmod(int(cell), self.cells)
        low, high = self.edges[phase]
        if low == high:
            return (0, 0)
        return low + period * self.pixels, high + period * self.pixels

    def centre_at(self, cell: int) -> float:
        """Centre of the receptive field of a cell; along an unbounded axis that of the pixels its stride covers."""
        return (cell + 0.5) * self.stride if self.unbounded else sum(self.edges_at(cell)) / 2

    def nearest(self, coordinate: float, cells: int) -> int:
        """The cell, of ``cells``, whose receptive field has its centre nearest to a coordinate; as in js/geometry.ts.

        >>> AxisField(cells=1, pixels=4, edges=((0, 34),)).nearest(22, cells=16)
        1
        """
        if self.others:  # no pattern holds for all cells
            return min(reversed(range(cells)), key=lambda cell: abs(coordinate - self.centre_at(cell)))
        candidates = []
        for phase in range(min(self.cells, cells)):  # within one phase the centres are evenly spaced
            turn = math.floor((coordinate - self.centre_at(phase)) / self.pixels + 0.5)
            candidates.append(phase + min(max(turn, 0), (cells - 1 - phase) // self.cells) * self.cells)
        return min(candidates, key=lambda cell: abs(coordinate - self.centre_at(cell)))

    def holding(self, low: float, high: float, cells: int) -> list[int]:
        """The cells, of ``cells``, whose receptive fields hold all from one edge to another.

        >>> AxisField(cells=1, pixels=4, edges=((0, 34),)).holding(30, 36, cells=16)
        [1, 2, 3, 4, 5, 6, 7]
        """
        edges = [self.edges_at(cell) for cell in range(cells)]
        return [cell for cell, (first, last) in enumerate(edges) if first <= low and high <= last]

    @property
    def unbounded(self) -> bool:
        """Whether the receptive field grows with the image."""
        return any(math.isinf(low) or math.isinf(high) for low, high in self.edges)

    @property
    def boundless(self) -> bool:
        """Whether every cell sees the whole axis."""
        return all(math.isinf(low) and math.isinf(high) for low, high in self.edges)

    @property
    def stride(self) -> float:
        """Mean shift per cell, in pixels."""
        return self.pixels / self.cells

    @property
    def _shifted(self) -> list[tuple[Fraction, Fraction]]:
        """Edges of the cells that see anything, moved back to cell 0 by the stride; exact."""
        step = Fraction(self.pixels, self.cells)
        return [
            (Fraction(low) - k * step, Fraction(high) - k * step)
            for k, (low, high) in enumerate(self.edges)
            if low != high
        ]

    @property
    def _box(self) -> tuple[Fraction, Fraction]:
        """Edges, at cell 0, of the smallest box that contains every cell's field when moved by the stride."""
        if self.cells == 1:
            return Fraction(self.edges[0][0]), Fraction(self.edges[0][1])
        return min(low for low, _ in self._shifted), max(high for _, high in self._shifted)

    @property
    def uniform(self) -> bool:
        """Whether all cells see the same extent, shifted by the stride."""
        if self.others:
            return False
        if self.unbounded:
            moved = [n * self.pixels for n in range(self.cells)]  # in parts of a pixel, to stay exact
            return (
                len({(a * self.cells - n, b * self.cells - n) for (a, b), n in zip(self.edges, moved, strict=True)})
                == 1
            )
        return len(self._shifted) == self.cells and len(set(self._shifted)) == 1

    @property
    def size(self) -> float:
        """Extent in pixels: an int wherever it is whole, inf when unbounded."""
        if self.unbounded:
            return math.inf
        low, high = self._box
        return plain(float(high - low))

    @property
    def offset(self) -> float:
        """Centre of cell 0; along an unbounded axis the centre of the pixels its period covers."""
        if self.unbounded:
            return self.stride / 2
        low, high = self._box
        return float((low + high) / 2)


class FieldGeometry(tuple[AxisField, ...]):
    """Theoretical receptive fields of a whole grid: one `AxisField` for each axis, x first, then y, then z.

    >>> field = FieldGeometry(AxisField(1, 4, ((0, 34),)), AxisField(1, 2, ((-1, 2),)))
    >>> field.rect(GridPoint(1, 0))
    Rect(left=4, top=-1, right=38, bottom=2)
    """

    __slots__ = ()

    def __new__(cls, *axes: AxisField) -> FieldGeometry:
        """From the fields along x, y, ..., in this order."""
        return super().__new__(cls, axes)

    def __repr__(self) -> str:
        return f"FieldGeometry({', '.join(map(repr, self))})"

    def __getnewargs__(self) -> tuple[AxisField, ...]:  # copies call __new__ with these
        return tuple(self)

    @property
    def x(self) -> AxisField:
        """Along x."""
        return self[0]

    @property
    def y(self) -> AxisField:
        """Along y."""
        return self[1]

    @property
    def z(self) -> AxisField:
        """Along z."""
        return self[2]

    def rect(self, point: GridPoint) -> Rect:
        """Receptive field of a cell; it may overhang the image."""
        return Rect.of(axis.edges_at(cell) for axis, cell in zip(self, point, strict=True))

    @property
    def description(self) -> ReceptiveFieldDescription:
        """Offset, stride and size, in the printed form of the public contract."""
        return ReceptiveFieldDescription(
            offset=tuple(float(axis.offset) for axis in self),
            stride=tuple(float(axis.stride) for axis in self),
            size=Size(*(axis.size for axis in self)),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for the browser; ``edges`` is None along an axis that is unbounded on both sides, an end without
        a border is None, ``others`` is left out if empty."""
        return {
            name: {
                "cells": axis.cells,
                "pixels": axis.pixels,
                "edges": None if axis.boundless else [[_finite(edge) for edge in pair] for pair in axis.edges],
                **_others_to_json(axis),
            }
            for name, axis in zip("xyz", self, strict=False)
        }


def _others_to_json(axis: AxisField) -> dict[str, Any]:
    """The cells of an axis that see something else; JSON has no infinity, None stands for it."""
    others = [[cell, *map(_finite, edges)] for cell, *edges in axis.others]
    return {"others": others} if others else {}


def _finite(edge: float) -> float | None:
    return edge if math.isfinite(edge) else None


def plain(value: float) -> float:
    """An int wherever the number is whole, else a float: never a NumPy scalar."""
    return int(value) if float(value).is_integer() else float(value)


def extent(support: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """First and last edge of the True entries of a vector; ``(0, 0)`` if there are none."""
    hits = np.flatnonzero(support)
    return (int(hits[0]), int(hits[-1]) + 1) if hits.size else (0, 0)


def rect_of_support(support: npt.NDArray[np.bool_]) -> Rect:
    """Smallest rectangle around the True entries of a map ``(h, w)``, interval of ``(l,)``, box of ``(d, h, w)``; empty
    if there are none.

    >>> rect_of_support(np.eye(3, 5, k=1, dtype=bool))
    Rect(left=1, top=0, right=4, bottom=3)
    """
    axes = range(support.ndim)
    others = (tuple(other for other in axes if other != axis) for axis in reversed(axes))
    along = (extent(np.any(support, axis=across)) for across in others)
    return Rect.of(along)
