"""A black-box oracle of receptive fields: change pixels of a random image and see which cells change.

It knows neither gradients nor the formulas of layers, and shares no code with the package. It can only miss a
dependency (a maximum that never switches in any trial), never invent one: a cell counts as changed when its bits differ
from those of an unchanged image at the same place of an equally shaped batch. More trials therefore only add.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tests.blueprint_models import build, randomise
from tests.blueprints import Blueprint

Changes = npt.NDArray[np.bool_]

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


class Oracle:
    """Receptive fields of a blueprint's network with random weights and leaky activations, in float64.

    Attributes:
        columns: which cells change with a pixel column of the requested image: ``(columns, grid height, grid width)``.
        rows: which cells change with a pixel row: ``(rows, grid height, grid width)``.
    """

    def __init__(self, blueprint: Blueprint, seed: int = 0) -> None:
        self._blueprint = blueprint
        self._model = build(blueprint, activation="leaky_relu", dtype="float64", fixed_size=False)
        self._rng = np.random.default_rng(seed)
        self._requested = {"x": blueprint.width, "y": blueprint.height}
        self.columns, self.rows = (self._blank(axis, blueprint.image_shape) for axis in "xy")
        self._seen: dict[tuple[int, int], Changes] = {}
        self._far = {axis: self._blank(axis, self._far_shape(axis)) for axis in "xy"}

    def seeing(self, x: int, y: int) -> npt.NDArray[np.bool_]:
        """Cells ``(grid height, grid width)`` that change when one pixel gets other values.

        Every further question about a pixel can only add to what is known of it.
        """
        height, width, channels = self._blueprint.image_shape
        images = self._rng.normal(size=(4, height, width, channels))
        before = self._forward(images)
        images[:, y, x] = self._rng.normal(size=(4, channels)) * _LARGE ** self._rng.uniform(size=(4, 1))
        changed: npt.NDArray[np.bool_] = (self._forward(images) != before).any(axis=(0, -1))
        self._seen[x, y] = changed | self._seen.get((x, y), False)
        return self._seen[x, y]

    def look(self, trials: int) -> None:
        """Gather what so many more trials show; each has weights and images of its own."""
        for _ in range(trials):
            randomise(self._model, self._rng)
            self.columns |= self._trial("x", self._blueprint.image_shape)
            self.rows |= self._trial("y", self._blueprint.image_shape)
            for axis, changes in self._far.items():
                changes |= self._trial(axis, self._far_shape(axis))

    @property
    def rects(self) -> npt.NDArray[np.int64]:
        """First to last pixel of the image that each cell depends on.

        Returns:
            ``(grid height, grid width, 4)``: left, top, right, bottom; all 0 where a cell sees nothing of the image.
        """
        rects = np.zeros((*self.columns.shape[1:], 4), dtype=np.int64)
        for j, i in np.ndindex(*self.columns.shape[1:]):
            left, right = _extent(self.columns[:, j, i])
            top, bottom = _extent(self.rows[:, j, i])
            rects[j, i] = left, top, right, bottom
        return rects

    def truth(self, axis: str) -> AxisTruth:
        """Theoretical receptive fields along "x" or "y", whether or not they fit into the image.

        The image has another length here, whole periods away from the requested one, which keeps the padding of every
        layer, and the period of cells that looks at its middle is taken. Cells whose field is cut off must not be among
        them, and need not show it (what is cut may be one branch of many): so the length exceeds twice the field.
        """
        period = self._period(axis)
        cells = self._cells(axis, self._requested[axis] + period) - self._cells(axis, self._requested[axis])
        changes = self._far[axis]
        fields = [_extent(cell) for cell in changes.any(axis=1 if axis == "x" else 2).T]
        runs = [fields[first : first + cells] for first in range(0, len(fields) - cells + 1, cells)]

        def off_centre(k: int) -> tuple[bool, int]:
            # A margin added at the end has cells that see nothing; they are no inner cells wherever they stand.
            empty = any(low == high for low, high in runs[k])
            return empty, abs(runs[k][0][0] + runs[k][-1][1] - len(changes))

        shift = min(range(len(runs)), key=off_centre)
        return AxisTruth(
            cells, period, tuple((low - shift * period, high - shift * period) for low, high in runs[shift])
        )

    def _period(self, axis: str) -> int:
        return self._blueprint.period("xy".index(axis))

    def _far_shape(self, axis: str) -> tuple[int, int, int]:
        """Long enough for two fields along the axis, and of the requested length modulo the period."""
        lengths = dict(zip("xy", self._blueprint.lengths("xy".index(axis)), strict=True))
        period = self._period(axis)
        lengths[axis] += 2 * period
        lengths[axis] += (self._requested[axis] - lengths[axis]) % period
        return lengths["y"], lengths["x"], self._blueprint.channels

    def _cells(self, axis: str, length: int) -> int:
        shape = list(self._far_shape(axis))
        shape["yx".index(axis)] = length
        return int(self._forward(np.zeros((1, *shape))).shape[1 + "yx".index(axis)])

    def _blank(self, axis: str, shape: tuple[int, int, int]) -> Changes:
        return np.zeros((shape["yx".index(axis)], *self._forward(np.zeros((1, *shape))).shape[1:3]), dtype=bool)

    def _trial(self, axis: str, shape: tuple[int, int, int]) -> Changes:
        """Which cells change, for each pixel column ("x") or row ("y") that gets other values."""
        lines = shape["yx".index(axis)]
        images = self._rng.normal(size=(lines, *shape))
        before = self._forward(images)
        strokes = self._rng.normal(size=(lines, shape["xy".index(axis)], shape[2]))
        strokes *= _LARGE ** self._rng.uniform(size=(lines, 1, 1))
        line = np.arange(lines)
        if axis == "x":
            images[line, :, line, :] = strokes
        else:
            images[line, line, :, :] = strokes
        return (self._forward(images) != before).any(axis=-1)

    def _forward(self, images: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(self._model(images, training=False))


def _extent(hits: Changes) -> tuple[int, int]:
    places = np.flatnonzero(hits)
    return (int(places[0]), int(places[-1]) + 1) if places.size else (0, 0)
