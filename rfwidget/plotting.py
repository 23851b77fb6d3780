"""Matplotlib pictures of receptive fields; every function takes and returns an Axes and works without a display.

Matplotlib's ``imshow`` puts the centre of pixel k at k. All geometry here is in pixel edges, so the image is laid into
``extent=(0, width, height, 0)``: then data coordinates *are* pixel edges and every rectangle is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rfwidget import _validation
from rfwidget.image import as_picture
from rfwidget.types import GridPoint, GridShape, Rect, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rfwidget.geometry import FieldGeometry

FIRST, CENTRAL, LAST = "red", "blue", "green"
"""Colours of the first (top left), the central and the last (bottom right) cell."""

CORNER_STYLES = ((FIRST, "-", "first"), (CENTRAL, "--", "central"), (LAST, "-.", "last"))
"""Colour, dash pattern and word for the three cells: colour is never the only sign."""


def corner_cells(grid: Size) -> tuple[GridPoint, GridPoint, GridPoint]:
    """First, central and last cell of a grid.

    >>> corner_cells(Size(16, 9))
    (GridPoint(x=0, y=0), GridPoint(x=8, y=4), GridPoint(x=15, y=8))
    """
    w, h = int(grid.w), int(grid.h)
    return GridPoint(0, 0), GridPoint(w // 2, h // 2), GridPoint(w - 1, h - 1)


def normalised_gradient(gradient: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A gradient map as one signed value per pixel in -1..1: the mean over channels, by its largest magnitude.

    Args:
        gradient: ``(h, w, c)``.
    """
    values: npt.NDArray[np.float64] = gradient.astype(np.float64).mean(axis=2)
    peak = float(np.abs(values).max(initial=0.0))
    return values / peak if peak > 0 else values


def finite_rect(rect: Rect, image: GridShape) -> Rect:
    """The rectangle with infinite edges brought to those of the image, so that it can be drawn."""
    return Rect(
        rect.left if np.isfinite(rect.left) else 0,
        rect.top if np.isfinite(rect.top) else 0,
        rect.right if np.isfinite(rect.right) else image.w,
        rect.bottom if np.isfinite(rect.bottom) else image.h,
    )


def plot_gradient(
    gradient: npt.NDArray[Any],
    rect: Rect,
    image_shape: GridShape,
    *,
    image: Any = None,
    title: str = "",
    ax: Axes | None = None,
    figsize: tuple[float, float] = (7, 7),
) -> Axes:
    """A gradient map, normalised, with the cell's receptive field outlined and a colour bar.

    Args:
        gradient: ``(h, w, c)``.
        rect: the receptive field of the cell.
        image_shape: the model's input.
        image: shown faintly underneath, if given.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    ax = axes_for(ax, figsize)
    extent = (0, image_shape.w, image_shape.h, 0)
    values = normalised_gradient(gradient)
    alpha: Any = 1.0
    if image is not None:
        ax.imshow(as_picture(image).mean(axis=2), cmap="gray", extent=extent, vmin=0, vmax=255)
        alpha = 0.75
    shown = ax.imshow(values, cmap="coolwarm", vmin=-1, vmax=1, extent=extent, alpha=alpha, interpolation="nearest")
    _outline(ax, finite_rect(rect, image_shape), "black", "-", "receptive field")
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.04)
    bar.set_label("gradient (normalised)")
    ax.set_title(title, parse_math=False)
    ax.legend(loc="upper right", framealpha=0.9)
    _frame(ax, image_shape, [finite_rect(rect, image_shape)])
    return ax


def plot_grid(
    field: FieldGeometry,
    image_shape: GridShape,
    grid: Size,
    image: Any,
    *,
    plot_naive_rf: bool = False,
    title: str = "",
    ax: Axes | None = None,
    figsize: tuple[float, float] = (6, 6),
) -> Axes:
    """The output grid over the image: centres of all cells, and the fields of the first, central and last cell.

    Args:
        field: receptive fields of all cells.
        image_shape: the model's input.
        grid: the layer's grid.
        image: the picture underneath, of the size of the input.
        plot_naive_rf: also draw where the three cells would be if the grid were stretched linearly over the image.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    ax = axes_for(ax, figsize)
    ax.imshow(as_picture(image), extent=(0, image_shape.w, image_shape.h, 0), interpolation="nearest")
    xs, ys = np.meshgrid(*cell_centres(field, grid))
    dot = float(np.clip(130 / max(grid), 1.5, 4))  # points; dots of a fine grid must not hide the image
    ax.plot(xs.ravel(), ys.ravel(), ".", color="limegreen", markersize=dot, label="centres", zorder=2)
    rects = []
    for point, (colour, dash, word) in zip(corner_cells(grid), CORNER_STYLES, strict=True):
        rect = finite_rect(field.rect(point), image_shape)
        rects.append(rect)
        _outline(ax, rect, colour, dash, f"{word} cell ({point.x}, {point.y})")
        centre = (field.x.centre_at(point.x), field.y.centre_at(point.y))
        ax.plot(*centre, "o", color=colour, markeredgecolor="white", markersize=7, zorder=4)
        if plot_naive_rf:
            naive = naive_rect(point, image_shape, grid)
            _outline(ax, naive, colour, ":", "naive" if colour == FIRST else None, width=1.2)
    ax.set_title(title, parse_math=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)
    _frame(ax, image_shape, rects)
    return ax


def cell_centres(field: FieldGeometry, grid: Size) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centres of the receptive fields of all columns and of all rows, in pixels."""
    columns, rows = (
        np.array([axis.centre_at(cell) for cell in range(int(cells))], dtype=np.float64)
        for axis, cells in zip(field, grid, strict=True)
    )
    return columns, rows


def naive_rect(point: GridPoint, image_shape: GridShape, grid: Size) -> Rect:
    """The part of the image that a cell would see if the grid were stretched linearly over it."""
    w, h = image_shape.w / grid.w, image_shape.h / grid.h
    return Rect(point.x * w, point.y * h, (point.x + 1) * w, (point.y + 1) * h)


def axes_for(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """The given Axes, or those of a new figure of ``figsize`` inches."""
    _validation.check_axes(ax)
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=_validation.figure_size(figsize), layout="constrained")[1]


def _outline(ax: Axes, rect: Rect, colour: str, dash: str, label: str | None, width: float = 2.0) -> None:
    from matplotlib.patches import Rectangle

    corner, size = (rect.left, rect.top), rect.size
    ax.add_patch(
        Rectangle(
            corner, size.w, size.h, fill=False, edgecolor=colour, linestyle=dash, linewidth=width, label=label, zorder=3
        )
    )


def _frame(ax: Axes, image_shape: GridShape, rects: list[Rect]) -> None:
    """Show the whole image and every rectangle, with a thin line where the image ends if something overhangs it."""
    left = min([0.0, *(rect.left for rect in rects)])
    top = min([0.0, *(rect.top for rect in rects)])
    right = max([float(image_shape.w), *(rect.right for rect in rects)])
    bottom = max([float(image_shape.h), *(rect.bottom for rect in rects)])
    pad = 0.01 * max(right - left, bottom - top)
    ax.set_xlim(left - pad, right + pad)
    ax.set_ylim(bottom + pad, top - pad)
    ax.set_aspect("equal")
    ax.set_xlabel("x (pixels)")
    ax.set_ylabel("y (pixels)")
    if left < 0 or top < 0 or right > image_shape.w or bottom > image_shape.h:
        _outline(ax, Rect(0, 0, image_shape.w, image_shape.h), "0.5", "-", None, width=0.8)
