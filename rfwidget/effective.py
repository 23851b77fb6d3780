"""The effective receptive field: where the gradient's mass really lies within the theoretical field.

Luo et al. ("Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", 2016) found that it is
a small, Gaussian-like part; Ding et al. (RepLKNet, 2022) compare networks by the area that holds a share of the mass.
Here every figure comes from one map, the mean of abs(gradient) over images and cells, each cell's gradient moved so
that their theoretical fields coincide. Nothing here knows a framework.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator

from rfwidget import _validation
from rfwidget._progress import Progress
from rfwidget._validation import cell_inside
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.image import as_model_input, default_input, get_default_images
from rfwidget.network import Patch
from rfwidget.plotting import Panel, plot_effective
from rfwidget.types import GridPoint, GridShape, Rect, Size

Floats = npt.NDArray[np.float64]

FRACTIONS = (0.2, 0.3, 0.5, 0.95, 0.99)
"""Shares of the mass for which areas are given."""

_CENTRAL = 3  # cells per axis

_GRAIN = 1 / 12
"""For contours a map is smoothed over its stride, or over this part of its size."""

_STEPS = 60  # at most, towards the nearest Gaussian


class Frame(NamedTuple):
    """Where the map of a cell lies along one axis of the image.

    Attributes:
        width: of the map, in pixels.
        start: left edge of the map of cell 0; it may lie between pixels, and is rounded down for each cell.
        stride: shift per cell; 0 along an unbounded axis, where the map is the image.
        size: extent of the theoretical field, or of the image if that is unbounded.
    """

    width: int
    start: float
    stride: float
    size: float

    def at(self, cell: int) -> int:
        """Left edge of the map of a cell."""
        return math.floor(self.start + cell * self.stride)


class GaussianFit(NamedTuple):
    """``amplitude * exp(-(x - mx)^2 / (2 sx^2) - (y - my)^2 / (2 sy^2))``, nearest to a map in the least-squares sense.

    Attributes:
        amplitude: height in the middle, in units of the map.
        center: ``(mx, my)`` in pixel-edge coordinates of the map, its left top corner being (0, 0).
        sigma: ``(sx, sy)`` in pixels.
        r_squared: share of the map's variance that the fit explains; 1 is a perfect fit.
    """

    amplitude: float
    center: tuple[float, float]
    sigma: tuple[float, float]
    r_squared: float


class EffectiveField(NamedTuple):
    """An effective receptive field and its figures. Pairs are ``(x, y)``.

    Attributes:
        map: float64 ``(h, w)``, the mean of abs(gradient) over images and cells, scaled to the sum 1. It covers the
            theoretical field (along an unbounded axis: the image).
        frames: where the map of a cell lies on the image, along x and along y.
        images: how many images were averaged.
        points: the cells that were averaged.
        overhangs: whether the field of one of these cells overhangs the image, so that the map misses a part.
    """

    map: Floats
    frames: tuple[Frame, Frame]
    images: int
    points: tuple[GridPoint, ...]
    overhangs: bool

    def __repr__(self) -> str:
        ratios = ", ".join(f"{fraction:.0%}: {ratio:.3g}" for fraction, ratio in self.area_ratios.items())
        return (
            f"EffectiveField(size={self.size}, radius=({self.radius[0]:.4g}, {self.radius[1]:.4g}), "
            f"ratio=({self.ratio[0]:.3g}, {self.ratio[1]:.3g}), area_ratios={{{ratios}}}, images={self.images}, "
            f"cells={len(self.points)}{', overhangs' if self.overhangs else ''})"
        )

    @property
    def size(self) -> Size:
        """Width and height of the theoretical field, or of the image where that is unbounded."""
        return Size(self.frames[0].size, self.frames[1].size)

    @property
    def center(self) -> tuple[float, float]:
        """Centre of mass, in pixels from the left top corner of the map."""
        return (moments(self.map.sum(axis=0))[0], moments(self.map.sum(axis=1))[0])

    @property
    def radius(self) -> tuple[float, float]:
        """RMS distance of the mass from its centre along each axis, in pixels."""
        return (moments(self.map.sum(axis=0))[1], moments(self.map.sum(axis=1))[1])

    @property
    def ratio(self) -> tuple[float, float]:
        """Effective by theoretical size: four RMS radii (95 % of a Gaussian) by the width (height) of the field."""
        return (4 * self.radius[0] / self.size.w, 4 * self.radius[1] / self.size.h)

    @property
    def area_ratios(self) -> dict[float, float]:
        """`area_ratio` of 20, 30, 50, 95 and 99 % of the mass."""
        return {fraction: self.area_ratio(fraction) for fraction in FRACTIONS}

    def area_ratio(self, fraction: float) -> float:
        """Share of the theoretical field's area in the smallest set of pixels that holds a share of the mass."""
        return int(self.mask(fraction).sum()) / (self.size.w * self.size.h)

    def mask(self, fraction: float) -> npt.NDArray[np.bool_]:
        """That smallest set of pixels as a boolean map ``(h, w)``."""
        return self._holding(fraction, self.map)

    def contour(self, fraction: float) -> list[npt.NDArray[np.int64]]:
        """Where to draw the border of a share of the mass: closed lines along the edges of pixels.

        The smallest set of pixels, `mask`, cannot be read as a figure: the gradient of a real network jumps from pixel
        to pixel, and its stride leaves a comb. So pixels are chosen by their neighbourhood, by the mean over a box as
        wide as the stride or a twelfth of the field, until they hold the share of the mass as it was measured. The area
        inside is `contour_ratio`; it is that of `mask` or more. This is the contour of plots, widget and saved page
        alike; contourpy, matplotlib's own maker of contours, draws the lines.

        Args:
            fraction: share of the mass, more than 0 and at most 1.

        Returns:
            One array ``(n, 2)`` of corners ``(x, y)`` per line, in pixels from the left top corner of the map; the last
            corner is joined to the first. Inside lies on the right hand, with y pointing down; holes have lines of
            their own.
        """
        return outline(self._region(fraction))

    def contour_ratio(self, fraction: float) -> float:
        """Share of the theoretical field's area inside `contour`."""
        return int(self._region(fraction).sum()) / (self.size.w * self.size.h)

    def rect_at(self, point: Sequence[int]) -> Rect:
        """Where `map` and `mask` lie on the image for a cell ``(x, y)``; they may overhang it."""
        left, top = self.frames[0].at(point[0]), self.frames[1].at(point[1])
        return Rect(left, top, left + self.frames[0].width, top + self.frames[1].width)

    def fit_gaussian(self) -> GaussianFit:
        """The Gaussian nearest to the map in the least-squares sense."""
        return nearest_gaussian(self.map)

    @property
    def _panel(self) -> Panel:
        return Panel("EffectiveField", "xy", lambda title, ax: plot_effective(self, title=title, ax=ax))

    def _region(self, fraction: float) -> npt.NDArray[np.bool_]:
        """The pixels inside `contour`."""
        smooth = self.map
        for axis, frame in ((1, self.frames[0]), (0, self.frames[1])):
            smooth = _smoothed(smooth, max(frame.stride, frame.size * _GRAIN), axis)
        return self._holding(fraction, smooth)

    def _holding(self, fraction: float, weights: Floats) -> npt.NDArray[np.bool_]:
        """The heaviest pixels, as many as are needed to hold a share of the mass."""
        if not isinstance(fraction, (int, float, np.number)) or not 0 < fraction <= 1:
            raise ReceptiveFieldError(
                f"fraction is {_validation.brief(fraction)}: expected a share of the mass, more than 0 and at most 1"
            )
        order = np.argsort(-weights, axis=None, kind="stable")
        held = np.cumsum(self.map.ravel()[order])
        # Rounding must not cost a pixel where a share is met exactly.
        count = int(np.searchsorted(held, fraction * held[-1] * (1 - 1e-12))) + 1
        mask = np.zeros(self.map.size, bool)
        mask[order[:count]] = True
        return mask.reshape(self.map.shape)


def outline(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Borders of the True pixels of a map ``(h, w)``, as the lines of `EffectiveField.contour`.

    Args:
        mask: the pixels; those that touch at a corner only are apart.

    >>> outline(np.array([[0, 1, 1], [0, 0, 0]], bool))[0].tolist()
    [[1, 0], [3, 0], [3, 1], [1, 1]]
    """
    # Contours are drawn between points. With a point in each corner of each pixel, those of neighbours in one place,
    # the only places between True and False are the edges of pixels.
    corners = np.pad(np.repeat(np.repeat(mask.astype(np.float64), 2, axis=0), 2, axis=1), 1)
    y, x = (np.repeat(np.arange(side + 1.0), 2) for side in mask.shape)
    # Above one half: where four pixels meet, the two that are True are apart.
    lines = contour_generator(x, y, corners, name="serial", line_type="Separate").lines(0.75)
    return [_turns(np.rint(np.asarray(line)).astype(np.int64)) for line in lines]


def _turns(line: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A closed line along the axes without its last corner, which is the first one, and without all that are none."""
    points = line[:-1][np.diff(line, axis=0).any(axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns: npt.NDArray[np.bool_] = (before != 0).argmax(axis=1) != (after != 0).argmax(axis=1)
    return points[turns]


def _smoothed(values: Floats, width: float, axis: int) -> Floats:
    """Moving mean over an odd number of pixels along an axis, zero beyond the map."""
    half = min(int(width), values.shape[axis]) // 2
    if half < 1:
        return values
    sums = np.cumsum(np.pad(values, [(half + 1, half) if k == axis else (0, 0) for k in (0, 1)]), axis=axis)
    taken = np.arange(values.shape[axis])
    smooth: Floats = np.take(sums, taken + 2 * half + 1, axis) - np.take(sums, taken, axis)
    return np.maximum(smooth, 0.0)


def pick_images(images: Any, n: int | None, shape: GridShape) -> list[npt.NDArray[np.float32]]:
    """The first ``n`` model inputs ``(h, w, c)`` of what `ReceptiveField.effective` was given; None: the samples.

    Raises:
        ReceptiveFieldError: if there is none, or one does not fit.
    """
    if n is not None:
        _validation.whole("n", n, low=1)
    if images is None:
        given: list[Any] = [default_input(shape, name) for name in get_default_images()]
    elif getattr(images, "ndim", None) in (2, 3):
        given = [images]
    else:
        try:
            given = list(images)
        except TypeError as error:
            raise ReceptiveFieldError(
                f"images is {type(images).__name__}: expected an array (n, {shape.h}, {shape.w}, {shape.c}) or a list "
                "of images"
            ) from error
    if not given:
        raise ReceptiveFieldError("images is empty: give at least one, or None for the sample images")
    return [as_model_input(image, shape) for image in given[:n]]


def pick_cells(
    points: Sequence[Sequence[int]] | None, field: FieldGeometry, grid: Size, image: Size
) -> list[GridPoint]:
    """The given cells, or without any central ones, clear of the borders where there are such cells.

    Raises:
        ReceptiveFieldError: if there is none, or one lies outside the grid.
    """
    if points is None:
        columns = central_cells(field.x, int(grid.w), int(image.w))
        rows = central_cells(field.y, int(grid.h), int(image.h))
        return [GridPoint(x, y) for y in rows for x in columns]
    cells = [cell_inside(point, grid) for point in _validation.series("points", points, "cells (x, y)")]
    if not cells:
        raise ReceptiveFieldError("points is empty: give at least one cell (x, y), or None for central ones")
    return cells


def average(
    patches: Iterable[tuple[GridPoint, Patch]],
    field: FieldGeometry,
    image: GridShape,
    images: int,
    cells: Sequence[GridPoint],
    layer: str,
    progress: Progress,
) -> EffectiveField:
    """The effective field from the gradient maps of some cells on some images.

    Args:
        patches: ``images`` times the cells with their gradient maps.
        field: theoretical fields of the layer.
        image: shape of the image.
        images: how many there are.
        cells: the cells.
        layer: its name.
        progress: called with a fraction 0..1 and a few words before each map.

    Raises:
        ReceptiveFieldError: if no gradient differs from zero.
    """
    frames = (_frame(field.x, image.w), _frame(field.y, image.h))
    total = np.zeros((frames[1].width, frames[0].width))
    whole = images * len(cells)
    for done, (cell, patch) in enumerate(patches):
        progress(done / whole, f"gradient {done + 1} of {whole}")
        mass = np.abs(patch.values).sum(axis=2, dtype=np.float64)
        _add(total, mass, patch.left - frames[0].at(cell.x), patch.top - frames[1].at(cell.y))
    progress(1.0, "done")
    if not total.any():
        raise ReceptiveFieldError(
            f"the gradient of {layer!r} is zero on all {images} images: dead activations, or weights "
            "that are all zero? Try other images, or the estimator with init_weights=True"
        )
    overhangs = any(not (_inside(field.x, cell.x, image.w) and _inside(field.y, cell.y, image.h)) for cell in cells)
    return EffectiveField(total / total.sum(), frames, images, tuple(cells), overhangs)


def central_cells(axis: AxisField, cells: int, length: int) -> list[int]:
    """Cells along an axis whose fields lie inside the image, those nearest to its middle; the central one if none does.

    >>> central_cells(AxisField(1, 4, ((0, 34),)), cells=16, length=96)
    [8, 7, 9]
    """
    inside = [cell for cell in range(cells) if _inside(axis, cell, length)]
    if axis.unbounded or not inside:
        return [cells // 2]
    return sorted(inside, key=lambda cell: abs(sum(axis.edges_at(cell)) - length))[:_CENTRAL]


def _inside(axis: AxisField, cell: int, length: int) -> bool:
    low, high = axis.edges_at(cell)
    return axis.unbounded or 0 <= low < high <= length


def _frame(axis: AxisField, length: int) -> Frame:
    if axis.unbounded:
        return Frame(length, 0, 0, length)
    # Fields that differ from cell to cell lie in a box that moves by fractions of a pixel: one more pixel holds it.
    width = math.ceil(axis.size) + (not axis.uniform)
    return Frame(width, axis.offset - axis.size / 2, axis.stride, axis.size)


def _add(total: Floats, mass: Floats, left: int, top: int) -> None:
    """Add a map to another at a place, without what lies outside."""
    (h, w), (mh, mw) = total.shape, mass.shape
    rows, columns = slice(max(top, 0), min(top + mh, h)), slice(max(left, 0), min(left + mw, w))
    total[rows, columns] += mass[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def moments(profile: Floats) -> tuple[float, float]:
    """Mean and RMS deviation of a mass along an axis, in pixel-edge coordinates.

    >>> mean, deviation = moments(np.array([1.0, 1.0, 1.0]))
    >>> mean, round(deviation**2, 6)
    (1.5, 0.666667)
    """
    places = np.arange(len(profile)) + 0.5
    mean = float(profile @ places / profile.sum())
    return mean, float(np.sqrt(profile @ (places - mean) ** 2 / profile.sum()))


def nearest_gaussian(values: Floats) -> GaussianFit:
    """The Gaussian nearest to a map ``(h, w)`` of mass, by Levenberg-Marquardt from the map's moments."""
    (mx, sx), (my, sy) = moments(values.sum(axis=0)), moments(values.sum(axis=1))
    # Logarithms keep amplitude and widths positive. A map one pixel wide has no width: start from a fraction of one.
    guess = np.array([np.log(values.max()), mx, my, np.log(max(sx, 0.3)), np.log(max(sy, 0.3))])
    damping, error, gradient, curvature = 1e-3, *_linearised(values, guess)
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature) + 1e-300), gradient)
        new_error, *parts = _linearised(values, guess + step)
        if new_error < error:
            settled = error - new_error <= 1e-14 * error
            guess, error, damping = guess + step, new_error, damping / 5
            gradient, curvature = parts
            if settled:
                break
        else:
            damping *= 5
            if damping > 1e9:
                break
    height, mx, my, sx, sy = (float(value) for value in guess)
    spread = float(((values - values.mean()) ** 2).sum())
    r_squared = 1 - error / spread if spread > 0 else float(error == 0)
    return GaussianFit(math.exp(height), (mx, my), (math.exp(sx), math.exp(sy)), r_squared)


def _linearised(values: Floats, guess: Floats) -> tuple[float, Floats, Floats]:
    """Squared error of a Gaussian, and the normal equations around it.

    Each derivative is the product of a function of x and one of y, so all sums over the map are sums over its sides.
    """
    height, mx, my, sx, sy = (float(value) for value in guess)
    x, along_x = _profile(values.shape[1], mx, math.exp(sx))
    y, along_y = _profile(values.shape[0], my, math.exp(sy))
    x *= math.exp(height)
    columns = np.stack([x, along_x / math.exp(sx) * x, x, along_x**2 * x, x])
    rows = np.stack([y, y, along_y / math.exp(sy) * y, y, along_y**2 * y])
    residual = values - np.outer(y, x)
    gradient: Floats = ((rows @ residual) * columns).sum(axis=1)
    curvature: Floats = (columns @ columns.T) * (rows @ rows.T)
    return float((residual**2).sum()), gradient, curvature


def _profile(length: int, mean: float, sigma: float) -> tuple[Floats, Floats]:
    """``exp(-u^2 / 2)`` along an axis, and ``u``."""
    u = np.asarray((np.arange(length) + 0.5 - mean) / sigma, np.float64)
    bell: Floats = np.exp(-(u**2) / 2)
    return bell, u
