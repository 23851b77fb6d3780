"""What pictures of sequences, images and volumes share: which cells are shown, how they are marked, where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from rfwidget import _validation
from rfwidget.geometry import FieldGeometry
from rfwidget.types import GridPoint, GridShape, Rect, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST, CENTRAL, LAST = "red", "blue", "green"
"""Colours of the first (top left), the central and the last (bottom right) cell."""

CORNER_STYLES = ((FIRST, "-", "first"), (CENTRAL, "--", "central"), (LAST, "-.", "last"))
"""Colour, dash pattern and word for the three cells: colour is never the only sign."""


class Mass(Protocol):
    """What a picture shows of a mass within a field; a `rfwidget.effective.EffectiveField`."""

    @property
    def map(self) -> npt.NDArray[np.float64]:
        """The mass of each pixel."""

    @property
    def size(self) -> Size:
        """Extent of the theoretical field."""

    @property
    def ratio(self) -> tuple[float, ...]:
        """Effective by theoretical size along ``(x, y)``."""

    @property
    def center(self) -> tuple[float, ...]:
        """Centre of the mass, in pixels of the map."""

    def mask(self, fraction: float) -> npt.NDArray[np.bool_]:
        """The heaviest pixels, as many as hold a share of the mass."""

    def area_ratio(self, fraction: float) -> float:
        """Share of the field's area that they take."""

    def contour(self, fraction: float) -> list[npt.NDArray[np.int64]]:
        """Closed lines around a share of the mass."""

    def contour_ratio(self, fraction: float) -> float:
        """Share of the field's area inside them."""


def corner_cells(grid: Size) -> tuple[GridPoint, GridPoint, GridPoint]:
    """First, central and last cell of a grid.

    >>> corner_cells(Size(16, 9))
    (GridPoint(x=0, y=0), GridPoint(x=8, y=4), GridPoint(x=15, y=8))
    """
    counts = [int(count) for count in grid]
    first, last = GridPoint(*(0 for _ in counts)), GridPoint(*(count - 1 for count in counts))
    return first, GridPoint(*(count // 2 for count in counts)), last


def normalised_gradient(gradient: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A gradient map as one signed value per pixel in -1..1: the mean over channels, by its largest magnitude.

    Args:
        gradient: ``(h, w, c)``, ``(l, c)`` or ``(d, h, w, c)``.
    """
    values: npt.NDArray[np.float64] = gradient.astype(np.float64).mean(axis=-1)
    peak = float(np.abs(values).max(initial=0.0))
    return values / peak if peak > 0 else values


def finite_rect(rect: Rect, image: GridShape) -> Rect:
    """The rectangle with infinite edges brought to those of the image, so that it can be drawn."""
    pairs = zip(rect.edges, image.size, strict=True)
    return Rect.of((a if np.isfinite(a) else 0, b if np.isfinite(b) else length) for (a, b), length in pairs)


def cell_centres(field: FieldGeometry, grid: Size) -> tuple[npt.NDArray[np.float64], ...]:
    """Centres of the receptive fields of all columns, of all rows, ..., in pixels."""
    return tuple(
        np.array([axis.centre_at(cell) for cell in range(int(cells))], dtype=np.float64)
        for axis, cells in zip(field, grid, strict=True)
    )


def naive_rect(point: GridPoint, image_shape: GridShape, grid: Size) -> Rect:
    """The part of the image that a cell would see if the grid were stretched linearly over it."""
    along = zip(point, image_shape.size, grid, strict=True)
    return Rect.of((cell * length / count, (cell + 1) * length / count) for cell, length, count in along)


def axes_for(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """The given Axes, or those of a new figure of ``figsize`` inches."""
    _validation.check_axes(ax)
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=_validation.figure_size(figsize), layout="constrained")[1]
