"""One layer in ways that know nothing of each other: spans, gradients through a linear copy, changed pixels.

A number that several of them give can hardly be wrong. Gradients and spans may have the same walk through the network;
pixels of the real network have nothing in common with either, but can miss what a weight of zero or a ReLU hides.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._measure import backward
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField, FieldGeometry, rect_of_support
from rfwidget.network import Network
from rfwidget.ranks import RANKS
from rfwidget.types import GridShape, Rect
from rfwidget.verification import AGREES, Check

_MOST_NUMBERS = 1 << 22
"""Pixels are changed where image and grid together hold at most so many numbers."""

_TRIALS = 4
"""Images of their own, in each of which every line is changed once."""

_LARGE = 1e3
"""Changed pixels are up to so much larger than others: then they win where the largest is taken."""


def check(network: Network, field: FieldGeometry) -> Check:
    """Measure a layer in the other ways.

    Args:
        network: from the image to the layer.
        field: receptive fields of its cells, as measured.
    """
    gradients, contradicted = by_gradients(network, field)
    pixels, excluded = by_pixels(network)
    return Check(network.output_layer, field.description.size, gradients, pixels, contradicted or excluded)


def by_gradients(network: Network, field: FieldGeometry) -> tuple[str, bool]:
    """What backward measuring says of a field, and whether it contradicts."""
    grid = network.output_shape
    point = backward.central(grid)
    try:
        if (maps := network.observed([point])) is not None:
            return _observed(rect_of_support(maps[0]), network.visible(point))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # that only a part is known, say
            other = backward.measure(network, lambda *_: None)
    except (ReceptiveFieldError, UserWarning) as error:
        return f"not known ({error})", False
    for own, theirs, cells, axis in zip(field, other, grid.size, RANKS[len(field)].axes, strict=True):
        for cell in range(int(cells)):
            if not _same(own, theirs, cell):
                said = f"{theirs.edges_at(cell)} instead of {own.edges_at(cell)}"
                return f"differs: cell {cell} along {axis} sees {said}", True
    return AGREES, False


def _observed(seen: Rect, said: Rect) -> tuple[str, bool]:
    if seen == said:
        return AGREES, False
    pairs = zip(seen.edges, said.edges, strict=True)
    if seen.is_empty or all(low <= first and last <= high for (first, last), (low, high) in pairs):
        return "none contradicts (maxima hide some)", False
    return f"differs: the central cell sees {tuple(seen)} instead of {tuple(said)}", True


def _same(own: AxisField, other: AxisField, cell: int) -> bool:
    """Whether two fields say the same of a cell. Backward measuring knows no cells that differ at borders."""
    differs = any(cell == flagged for flagged, _, _ in own.others)
    return differs or own.edges_at(cell) == other.edges_at(cell)


def by_pixels(network: Network) -> tuple[str, bool]:
    """What changed pixels of the real network say of its cells, and whether they contradict."""
    image, grid = network.input_shape, network.output_shape
    if math.prod(image[1:]) + math.prod(grid[1:]) > _MOST_NUMBERS:
        return "not tried (too large)", False
    rect = network.visible(backward.central(grid))
    axes = RANKS[len(grid.size)].axes
    lines = {
        axis: sorted({k for edge in edges for k in (edge - 1, edge) if 0 <= k < length})
        for axis, edges, length in zip(axes, rect.edges, image.size, strict=True)
    }
    try:
        changed = {(axis, int(k)): _changed(network, axis, int(k), rounding=0.0) for axis in lines for k in lines[axis]}
    except ReceptiveFieldError as error:
        return f"not tried ({error})", False
    seen = {(axis, k): network.response(_mask(image, axis, k)[None])[0] != 0 for axis, k in changed}
    huge_only = False
    for (axis, k), cells in changed.items():
        more = cells & ~seen[axis, k]
        if not more.any():
            continue
        surplus = np.argwhere(more & _changed(network, axis, k, 1.0))
        if len(surplus):
            cell = tuple(int(n) for n in reversed(surplus[0]))
            return f"differs: cell {cell} changes with {_LINES[axis]} {k}", True
        huge_only = huge_only or bool((more & _changed(network, axis, k)).any())
    if huge_only:  # as they get past a mask of scores
        return "none contradicts (huge pixels reach further)", False
    missed = [key for key, cells in changed.items() if (seen[key] & ~cells).any()]
    return (AGREES if not missed else "none contradicts (weights hide some)"), False


_ROUNDING = 1e-6
"""Changes by this share of the largest output, or less, may be rounding errors (of Lanczos' zeros, say)."""

_LINES = {"x": "column", "y": "row", "z": "plane"}


def _line(rank: int, axis: str, k: int) -> tuple[Any, ...]:
    """Where a line across an axis stands in an array of so many axes."""
    place = rank - 1 - "xyz".index(axis)
    return (*(slice(None),) * place, k)


def _mask(image: GridShape, axis: str, k: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(image.lengths, bool)
    mask[_line(mask.ndim, axis, k)] = True
    return mask


def _changed(
    network: Network, axis: str, k: int, large: float = _LARGE, rounding: float = _ROUNDING
) -> npt.NDArray[np.bool_]:
    """Cells that change with a line of the image, in some trial.

    Args:
        network: from the image to the layer.
        axis: across which the line goes.
        k: number of the line.
        large: how many times as large as others changed pixels may be.
        rounding: share of the largest output by which it must change.
    """
    image = network.input_shape
    random = np.random.default_rng(k)
    changed = np.zeros(network.output_shape.lengths, bool)
    for _ in range(_TRIALS):
        values = random.uniform(-1, 1, (*image.lengths, image.c)).astype(np.float32)
        before = network.feature_map(values)
        where = _line(values.ndim - 1, axis, k)
        line = values[where]
        values[where] = random.normal(size=line.shape) * large ** random.uniform(size=(*line.shape[:-1], 1))
        after = network.feature_map(values)
        largest = max(np.abs(values).max(initial=0) for values in (before, after))
        changed |= (np.abs(after - before) > rounding * largest).any(axis=-1)
    return changed
