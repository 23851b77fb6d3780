"""The effective receptive field: where the gradient's mass really lies within the theoretical field.

Luo et al. ("Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", 2016) found that it is
a small, Gaussian-like part; Ding et al. (RepLKNet, 2022) compare networks by the area that holds a share of the mass.
Here every figure comes from one map, the mean of abs(gradient) over images and cells, each cell's gradient moved so
that their theoretical fields coincide. Nothing here knows a framework.
"""

from __future__ import annotations

import itertools
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator

from rfwidget import _validation
from rfwidget._progress import Progress
from rfwidget._validation import cell_inside
from rfwidget.datasets import pictures
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.mass import Mass
from rfwidget.network import Patch
from rfwidget.plotting import Panel, plot_effective
from rfwidget.ranks import RANKS
from rfwidget.types import GridPoint, GridShape, Rect, Size

Floats = npt.NDArray[np.float64]

FRACTIONS = (0.2, 0.3, 0.5, 0.95, 0.99)
"""Shares of the mass for which areas are given."""

_CENTRAL = 3  # cells per axis

_GRAIN = 1 / 12
"""For contours a map is smoothed over its stride, or over this part of its size."""

_STEPS = 60  # at most, towards the nearest Gaussian

_FIRST_LOOK, _NEXT_LOOK = 16, 1.25
"""After how many images it is first asked whether the field is steady, and after how many times more again."""

_VERSION = 1  # of saved files


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
    """``amplitude * exp(-(x - mx)^2 / (2 sx^2) - (y - my)^2 / (2 sy^2))``, nearest to a map in the least-squares sense;
    of a sequence with x alone, of a volume with z too.

    Attributes:
        amplitude: height in the middle, in units of the map.
        center: ``(mx, my)`` in pixel-edge coordinates of the map, its left top corner being (0, 0).
        sigma: ``(sx, sy)`` in pixels.
        r_squared: share of the map's variance that the fit explains; 1 is a perfect fit.
    """

    amplitude: float
    center: tuple[float, ...]
    sigma: tuple[float, ...]
    r_squared: float


class EffectiveField(NamedTuple):
    """An effective receptive field and its figures. Pairs are ``(x, y)``; of a sequence there is x alone, of a volume
    there is z too, and what is called an area here is a length or a volume.

    Attributes:
        map: float64 ``(h, w)``, ``(l,)`` or ``(d, h, w)``, the mean of abs(gradient) over images and cells, scaled to
            the sum 1. It covers the theoretical field (along an unbounded axis: the image).
        frames: where the map of a cell lies on the image, along x and along y.
        images: how many images were averaged.
        points: the cells that were averaged.
        overhangs: whether the field of one of these cells overhangs the image, so that the map misses a part.
        mass: the sums that the map comes from; None if it was made from a map alone.

    Fields of the same layer and cells can be added: ``a + b`` is the field of the images of both, exactly, whatever
    the order. So can a list of them, by ``sum``.
    """

    map: Floats
    frames: tuple[Frame, ...]
    images: int
    points: tuple[GridPoint, ...]
    overhangs: bool
    mass: Mass | None = None

    def __repr__(self) -> str:
        ratios = ", ".join(f"{fraction:.0%}: {ratio:.3g}" for fraction, ratio in self.area_ratios.items())
        return (
            f"EffectiveField(size={self.size}, radius=({_listed(self.radius, '.4g')}), "
            f"ratio=({_listed(self.ratio, '.3g')}), area_ratios={{{ratios}}}, images={self.images}, "
            f"cells={len(self.points)}{', overhangs' if self.overhangs else ''})"
        )

    @property
    def size(self) -> Size:
        """Width and height of the theoretical field, or of the image where that is unbounded."""
        return Size(*(frame.size for frame in self.frames))

    @property
    def center(self) -> tuple[float, ...]:
        """Centre of mass, in pixels from the left top corner of the map."""
        return tuple(moments(profile)[0] for profile in _profiles(self.map))

    @property
    def radius(self) -> tuple[float, ...]:
        """RMS distance of the mass from its centre along each axis, in pixels."""
        return tuple(moments(profile)[1] for profile in _profiles(self.map))

    @property
    def ratio(self) -> tuple[float, ...]:
        """Effective by theoretical size: four RMS radii (95 % of a Gaussian) by the width (height) of the field."""
        return tuple(4 * radius / length for radius, length in zip(self.radius, self.size, strict=True))

    @property
    def area_ratios(self) -> dict[float, float]:
        """`area_ratio` of 20, 30, 50, 95 and 99 % of the mass."""
        return {fraction: self.area_ratio(fraction) for fraction in FRACTIONS}

    def area_ratio(self, fraction: float) -> float:
        """Share of the theoretical field's area in the smallest set of pixels that holds a share of the mass."""
        return int(self.mask(fraction).sum()) / math.prod(self.size)

    @property
    def spread(self) -> dict[float, float] | None:
        """How far each of `area_ratios` may be off, for the images are few; None for one image alone.

        It is what the ratios do when an eighth of the images is left out (a jackknife, deviation and drift together).
        More images make it smaller; that the images are others than those a model is meant for, it cannot tell.
        """
        spread = None if self.mass is None else area_spread(self.mass, self.size)
        return None if spread is None else dict(zip(FRACTIONS, spread, strict=True))

    def __add__(self, other: Any) -> EffectiveField:
        if not isinstance(other, EffectiveField):
            return NotImplemented
        differing = [name for name in ("frames", "points") if getattr(self, name) != getattr(other, name)]
        if differing:
            raise ReceptiveFieldError(
                f"these effective fields cannot be added: their {' and '.join(differing)} differ. Measure both on the "
                "same layer, image size and points"
            )
        mass = self._sums() + other._sums()
        return self._replace(map=_scaled(mass.values), images=mass.images, mass=mass)

    def __radd__(self, other: Any) -> EffectiveField:
        return self if isinstance(other, int) and other == 0 else NotImplemented  # where sum() begins

    def save(self, path: str | Path) -> None:
        """Write it to a file, an ``.npz`` of NumPy, from which `load` reads it again."""
        mass = self._sums()
        about = {
            "version": _VERSION,
            "frames": [list(frame) for frame in self.frames],
            "images": self.images,
            "points": [list(point) for point in self.points],
            "overhangs": self.overhangs,
        }
        with _validation.file_path(path, "field.npz").open("wb") as file:
            np.savez_compressed(file, about=json.dumps(about), high=mass.high, low=mass.low, groups=mass.groups)

    @staticmethod
    def load(path: str | Path) -> EffectiveField:
        """Read what `save` has written; nothing in the file is run.

        Raises:
            ReceptiveFieldError: if there is no such file, or it is another.
        """
        file = _validation.file_path(path, "field.npz")
        try:
            with np.load(file, allow_pickle=False) as held:
                about, high, low, groups = json.loads(str(held["about"])), held["high"], held["low"], held["groups"]
            if about["version"] != _VERSION or not high.shape == low.shape == groups.shape[1:]:
                raise ValueError(about)
            frames = tuple(Frame(*frame) for frame in about["frames"])
            if len(frames) != high.ndim:
                raise ValueError(about)
            points = tuple(GridPoint(*point) for point in about["points"])
            mass = Mass.of(high, low, groups, about["images"])
            return EffectiveField(_scaled(mass.values), frames, mass.images, points, about["overhangs"], mass)
        except FileNotFoundError as error:
            raise ReceptiveFieldError(f"no such file: {str(file)!r}") from error
        except (OSError, KeyError, TypeError, ValueError, IndexError, zipfile.BadZipFile) as error:
            raise ReceptiveFieldError(f"{file} is no effective field: expected a file that save has written") from error

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

        Raises:
            ReceptiveFieldError: of a sequence or a volume.

        Returns:
            One array ``(n, 2)`` of corners ``(x, y)`` per line, in pixels from the left top corner of the map; the last
            corner is joined to the first. Inside lies on the right hand, with y pointing down; holes have lines of
            their own.
        """
        if self.map.ndim != 2:
            raise ReceptiveFieldError(
                f"a contour is drawn on an image, and this is the field of a {RANKS[self.map.ndim].thing}: "
                "mask(fraction) gives the smallest set that holds a share of the mass"
            )
        return outline(self._region(fraction))

    def contour_ratio(self, fraction: float) -> float:
        """Share of the theoretical field's area inside `contour`."""
        return int(self._region(fraction).sum()) / math.prod(self.size)

    def rect_at(self, point: Sequence[int]) -> Rect:
        """Where `map` and `mask` lie on the image for a cell ``(x, y)``; they may overhang it."""
        starts = [frame.at(cell) for frame, cell in zip(self.frames, point, strict=True)]
        return Rect.of((start, start + frame.width) for start, frame in zip(starts, self.frames, strict=True))

    def fit_gaussian(self) -> GaussianFit:
        """The Gaussian nearest to the map in the least-squares sense."""
        return nearest_gaussian(self.map)

    @property
    def _panel(self) -> Panel:
        return Panel(
            "EffectiveField",
            "xy" if self.map.ndim < 3 else "",
            lambda title, ax: plot_effective(self, title=title, ax=ax),
        )

    def _sums(self) -> Mass:
        """The sums that the map comes from."""
        if self.mass is None:
            raise ReceptiveFieldError(
                "this effective field was made from a map alone: take one that effective() gave, to add or save it"
            )
        return self.mass

    def _region(self, fraction: float) -> npt.NDArray[np.bool_]:
        """The pixels inside `contour`."""
        smooth = self.map
        for axis, frame in enumerate(reversed(self.frames)):
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
        mask = np.zeros(self.map.size, bool)
        mask[order[: _count(held, fraction)]] = True
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
    sums = np.cumsum(np.pad(values, [(half + 1, half) if k == axis else (0, 0) for k in range(values.ndim)]), axis=axis)
    taken = np.arange(values.shape[axis])
    smooth: Floats = np.take(sums, taken + 2 * half + 1, axis) - np.take(sums, taken, axis)
    return np.maximum(smooth, 0.0)


def pick_cells(
    points: Sequence[Sequence[int]] | None, field: FieldGeometry, grid: Size, image: Size
) -> list[GridPoint]:
    """The given cells, or without any central ones, clear of the borders where there are such cells.

    Raises:
        ReceptiveFieldError: if there is none, or one lies outside the grid.
    """
    if points is None:
        along = zip(field, grid, image, strict=True)
        chosen = [central_cells(axis, int(cells), int(length)) for axis, cells, length in along]
        return [GridPoint(*reversed(place)) for place in itertools.product(*reversed(chosen))]
    cells = [cell_inside(point, grid) for point in _validation.series("points", points, "cells (x, y)")]
    if not cells:
        raise ReceptiveFieldError("points is empty: give at least one cell (x, y), or None for central ones")
    return cells


class Backpropagating(Protocol):
    """What maps are asked of; a `rfwidget.estimator.ReceptiveField`."""

    @property
    def input_shape(self) -> GridShape:
        """Shape of the image."""

    def gradient_patches(self, points: Iterable[Sequence[int]], image: Any, channel: int | None) -> Iterator[Patch]:
        """The gradient maps of some cells."""


def collect(
    rf: Backpropagating,
    images: Any,
    cells: Sequence[GridPoint],
    frames: tuple[Frame, ...],
    *,
    n: int | None,
    channel: int | None,
    tolerance: float | None,
    progress: Progress,
) -> Mass:
    """The sum of the gradient maps of some cells over a data set, one image in memory after the other.

    Args:
        rf: the estimator.
        images: the data set, as for `rfwidget.datasets.pictures`.
        cells: the cells.
        frames: where their maps lie.
        n: use the first ``n`` images only; None: all.
        channel: output channel; None: the mean of all.
        tolerance: stop when no area ratio is off by more, as far as its spread tells; None: take all images.
        progress: called with a fraction 0..1 and a few words before each map.
    """
    mass = Mass(*(frame.width for frame in reversed(frames)))
    look = float(_FIRST_LOOK)
    size = Size(*(frame.size for frame in frames))
    for picture in pictures(images, rf.input_shape, n):
        mass.begin_image()
        patches = rf.gradient_patches(cells, picture.pixels, channel)
        for done, (cell, patch) in enumerate(zip(cells, patches, strict=True)):
            fraction = (picture.start or 0.0) + picture.share * done / len(cells)
            progress(fraction, f"image {mass.images}, gradient {done + 1} of {len(cells)}")
            values = np.abs(patch.values).sum(axis=-1, dtype=np.float64)
            along = zip(patch.start, frames, cell, strict=True)
            mass.add(values, [start - frame.at(place) for start, frame, place in along])
        if tolerance is not None and mass.images >= look:
            look = max(look + 1, look * _NEXT_LOOK)
            if is_steady(mass, size, tolerance):
                break
    progress(1.0, "done")
    return mass


def finish(
    mass: Mass,
    field: FieldGeometry,
    image: GridShape,
    cells: Sequence[GridPoint],
    layer: str,
) -> EffectiveField:
    """The effective field from the sum of all maps.

    Args:
        mass: the sum.
        field: theoretical fields of the layer.
        image: shape of the image.
        cells: the cells.
        layer: its name.

    Raises:
        ReceptiveFieldError: if there was no image, or no gradient differs from zero.
    """
    if not mass.images:
        raise ReceptiveFieldError("images is empty: give at least one, or None for the sample images")
    values = mass.values
    if not values.any():
        raise ReceptiveFieldError(
            f"the gradient of {layer!r} is zero on all {mass.images} images: dead activations, or weights "
            "that are all zero? Try other images, or the estimator with init_weights=True"
        )
    along = [*zip(field, image.size, strict=True)]
    overhangs = any(
        not _inside(axis, k, int(length)) for cell in cells for (axis, length), k in zip(along, cell, strict=True)
    )
    return EffectiveField(_scaled(values), frames_of(field, image), mass.images, tuple(cells), overhangs, mass)


def frames_of(field: FieldGeometry, image: GridShape) -> tuple[Frame, ...]:
    """Where the maps of a layer's cells lie, along x, along y, ..."""
    return tuple(_frame(axis, int(length)) for axis, length in zip(field, image.size, strict=True))


def is_steady(mass: Mass, size: Size, tolerance: float) -> bool:
    """Whether no area ratio is off by more than the tolerance, as far as its spread tells."""
    spread = area_spread(mass, size)
    return spread is not None and max(spread) <= tolerance


def area_spread(mass: Mass, size: Size) -> list[float] | None:
    """How far the area of each of `FRACTIONS` may be off, as a share of the field; None: that cannot be told."""

    def areas(values: Floats) -> list[float]:
        held = np.cumsum(np.sort(values, axis=None)[::-1])
        return [_count(held, fraction) / math.prod(size) for fraction in FRACTIONS]

    return mass.spread(areas) if mass.values.any() else None


def _count(held: Floats, fraction: float) -> int:
    """How many of the heaviest pixels hold a share of the mass, from their running sum."""
    # Rounding must not cost a pixel where a share is met exactly.
    return int(np.searchsorted(held, fraction * held[-1] * (1 - 1e-12))) + 1


def _scaled(values: Floats) -> Floats:
    scaled: Floats = values / values.sum()
    return scaled


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
    """The Gaussian nearest to a map of mass of any rank, by Levenberg-Marquardt from the map's moments."""
    rank = values.ndim
    along = [moments(profile) for profile in _profiles(values)]
    # Logarithms keep amplitude and widths positive. A map one pixel wide has no width: start from a fraction of one.
    means, widths = [mean for mean, _ in along], [np.log(max(width, 0.3)) for _, width in along]
    guess = np.array([np.log(values.max()), *means, *widths])
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
    height, *places = (float(value) for value in guess)
    spread = float(((values - values.mean()) ** 2).sum())
    r_squared = 1 - error / spread if spread > 0 else float(error == 0)
    sigma = tuple(math.exp(width) for width in places[rank:])
    return GaussianFit(math.exp(height), tuple(places[:rank]), sigma, r_squared)


def _linearised(values: Floats, guess: Floats) -> tuple[float, Floats, Floats]:
    """Squared error of a Gaussian, and the normal equations around it.

    Each derivative is a product of functions of one axis each, so all sums over the map are sums over its sides.
    """
    rank = values.ndim
    height, *places = (float(value) for value in guess)
    factors: list[list[Floats]] = []  # of each axis, in the order of arrays, its factor of every derivative
    model: Floats = np.array(math.exp(height))
    for axis in reversed(range(rank)):
        width = math.exp(places[rank + axis])
        bell, u = _bell(values.shape[rank - 1 - axis], places[axis], width)
        own = [bell] * (1 + 2 * rank)
        own[1 + axis], own[1 + rank + axis] = u / width * bell, u**2 * bell
        factors.append(own)
        model = np.multiply.outer(model, bell)
    residual = values - model
    gradient, curvature = np.empty(1 + 2 * rank), np.full((1 + 2 * rank,) * 2, math.exp(2 * height))
    for number in range(1 + 2 * rank):
        rest = residual
        for own in factors:
            rest = np.tensordot(own[number], rest, axes=(0, 0))
        gradient[number] = math.exp(height) * float(rest)
    for own in factors:
        curvature *= np.array(own) @ np.array(own).T
    return float((residual**2).sum()), gradient, curvature


def _bell(length: int, mean: float, sigma: float) -> tuple[Floats, Floats]:
    """``exp(-u^2 / 2)`` along an axis, and ``u``."""
    u = np.asarray((np.arange(length) + 0.5 - mean) / sigma, np.float64)
    bell: Floats = np.exp(-(u**2) / 2)
    return bell, u


def _profiles(values: Floats) -> list[Floats]:
    """A map summed to lines along x, y, ..."""
    axes = range(values.ndim)
    return [values.sum(axis=tuple(other for other in axes if other != axis)) for axis in reversed(axes)]


def _listed(numbers: Sequence[float], form: str) -> str:
    """Numbers as a tuple holds them, without its brackets."""
    return ", ".join(f"{number:{form}}" for number in numbers) + ("," if len(numbers) == 1 else "")
