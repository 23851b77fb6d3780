"""A black-box oracle of receptive fields: change pixels of a random image and see which cells change.

It knows neither gradients nor the formulas of layers, and shares no code with the package. It can only miss a
dependency (a maximum that never switches in any trial), never invent one: a cell counts as changed when its bits differ
from those of an unchanged image at the same place of an equally shaped batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Changes = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]
Forward = Callable[[Values], Values]

_LARGE = 1e6  # changes are up to so much larger than the image: they survive many small weights and win maxima


class AxisTruth(NamedTuple):
    """Theoretical receptive fields along one axis, in pixels of the requested image.

    Attributes:
        cells: number of cells after which the pattern repeats.
        pixels: shift of the receptive field over that many cells.
        edges: first and last edge of the cells 0 .. ``cells`` - 1; they may lie outside the image.
    """

    cells: int
    pixels: int
    edges: tuple[tuple[int, int], ...]

    def edges_at(self, cell: int) -> tuple[int, int]:
        period, phase = divmod(cell, self.cells)
        low, high = self.edges[phase]
        return low + period * self.pixels, high + period * self.pixels

    @property
    def stride(self) -> float:
        return self.pixels / self.cells

    @property
    def box(self) -> tuple[float, float]:
        """Smallest interval at cell 0 that, moved by the stride, holds the field of every cell."""
        return (
            min(low - k * self.stride for k, (low, _) in enumerate(self.edges)),
            max(high - k * self.stride for k, (_, high) in enumerate(self.edges)),
        )

    @property
    def uniform(self) -> bool:
        return len({(low - k * self.stride, high - k * self.stride) for k, (low, high) in enumerate(self.edges)}) == 1


def changed_cells(
    forward: Forward, image_shape: tuple[int, int, int], axis: str, rng: np.random.Generator, patience: int = 2
) -> Changes:
    """Which cells change when a whole pixel column (axis "x") or pixel row ("y") changes.

    Args:
        forward: the network on a batch ``(n, h, w, c)``, giving ``(n, grid height, grid width, channels)``.
        image_shape: ``(h, w, c)``.
        axis: "x" or "y".
        rng: source of the images.
        patience: stop after so many trials in a row that showed no further change.

    Returns:
        ``(pixels, grid height, grid width)``: one map of cells for each column or row.
    """
    lines = image_shape["yx".index(axis)]
    line = np.arange(lines)
    changes: Changes | None = None
    futile = 0
    while changes is None or futile < patience:
        image = rng.normal(size=(lines, *image_shape))
        quiet = forward(image)
        strokes = rng.normal(size=(lines, image_shape["xy".index(axis)], image_shape[2]))
        strokes *= _LARGE ** rng.uniform(size=(lines, 1, 1))
        if axis == "x":
            image[line, :, line, :] = strokes
        else:
            image[line, line, :, :] = strokes
        seen = (forward(image) != quiet).any(axis=-1)
        futile = futile + 1 if changes is not None and not (seen & ~changes).any() else 0
        changes = seen if changes is None else seen | changes
    return changes


def axis_truth(
    forward: Forward,
    image_shape: tuple[int, int, int],
    axis: str,
    period: int,
    rng: np.random.Generator,
    patience: int,
    lengths: tuple[int, int],
) -> AxisTruth:
    """Theoretical receptive fields along an axis, whether or not they fit into the image.

    The image gets another length, whole periods away from the requested one, which keeps the padding of every layer,
    and the period of cells that looks at its middle is taken. Cells whose field is cut off must not be among them, and
    need not show it (what is cut may be one branch of many), so the length must exceed twice the field.

    Args:
        forward: the network, on images of any size.
        image_shape: the requested image, ``(h, w, c)``.
        axis: "x" or "y".
        period: a shift, in pixels, after which everything inside the network repeats.
        rng: source of the images.
        patience: as in `changed_cells`.
        lengths: width and height that the image must have at least. Along the axis: twice the extent of any field.
            Across it: enough for cells to see more than padding.
    """
    place = "yx".index(axis)
    shape = [lengths[1], lengths[0], image_shape[2]]

    def cells_at(length: int) -> int:
        shape[place] = length
        return int(forward(np.zeros((1, *shape))).shape[1 + place])

    requested = image_shape[place]
    cells = cells_at(requested + period) - cells_at(requested)
    length = lengths["xy".index(axis)] + 2 * period
    length += (requested - length) % period
    shape[place] = length
    changes = changed_cells(forward, (shape[0], shape[1], shape[2]), axis, rng, patience)
    along = changes.any(axis=2 - place)  # (pixels, cells): any cell of the same column or row
    fields = [_extent(cell) for cell in along.T]
    runs = [fields[first : first + cells] for first in range(0, len(fields) - cells + 1, cells)]
    shift = min(range(len(runs)), key=lambda k: abs(runs[k][0][0] + runs[k][-1][1] - length))
    return AxisTruth(cells, period, tuple((low - shift * period, high - shift * period) for low, high in runs[shift]))


def visible_rects(columns: Changes, rows: Changes) -> npt.NDArray[np.int64]:
    """Rectangles really influenced inside the image, from both results of `changed_cells`.

    Returns:
        ``(grid height, grid width, 4)``: left, top, right, bottom; all 0 where a cell sees nothing of the image.
    """
    rects = np.zeros((*columns.shape[1:], 4), dtype=np.int64)
    for j, i in np.ndindex(*columns.shape[1:]):
        left, right = _extent(columns[:, j, i])
        top, bottom = _extent(rows[:, j, i])
        rects[j, i] = left, top, right, bottom
    return rects


def _extent(hits: Changes) -> tuple[int, int]:
    places = np.flatnonzero(hits)
    return (int(places[0]), int(places[-1]) + 1) if places.size else (0, 0)
