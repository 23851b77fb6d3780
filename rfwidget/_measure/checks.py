"""One layer in ways that know nothing of each other: spans, gradients through a linear copy, changed pixels.

A number that several of them give can hardly be wrong. Gradients and spans may have the same walk through the network;
pixels of the real network have nothing in common with either, but can miss what a weight of zero or a ReLU hides.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from rfwidget._measure import backward
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.network import Network
from rfwidget.types import GridPoint, GridShape
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
    gradients, contradicted = _by_gradients(network, field)
    pixels, excluded = _by_pixels(network)
    return Check(network.output_layer, field.description.size, gradients, pixels, contradicted or excluded)


def _by_gradients(network: Network, field: FieldGeometry) -> tuple[str, bool]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # that only a part is known, say
            other = backward.measure(network, lambda *_: None)
    except (ReceptiveFieldError, UserWarning) as error:
        return f"not known ({error})", False
    grid = network.output_shape
    for own, theirs, cells, axis in zip(field, other, (grid.w, grid.h), "xy", strict=True):
        for cell in range(cells):
            if not _same(own, theirs, cell):
                said = f"{theirs.edges_at(cell)} instead of {own.edges_at(cell)}"
                return f"differs: cell {cell} along {axis} sees {said}", True
    return AGREES, False


def _same(own: AxisField, other: AxisField, cell: int) -> bool:
    """Whether two fields say the same of a cell. Backward measuring knows no cells that differ at borders."""
    differs = any(cell == flagged for flagged, _, _ in own.others)
    return differs or own.edges_at(cell) == other.edges_at(cell)


def _by_pixels(network: Network) -> tuple[str, bool]:
    image, grid = network.input_shape, network.output_shape
    if image.w * image.h * image.c + grid.w * grid.h * grid.c > _MOST_NUMBERS:
        return "not tried (too large)", False
    point = GridPoint(grid.w // 2, grid.h // 2)
    rect = network.visible(point)
    lines = {
        "x": sorted({k for k in (rect.left - 1, rect.left, rect.right - 1, rect.right) if 0 <= k < image.w}),
        "y": sorted({k for k in (rect.top - 1, rect.top, rect.bottom - 1, rect.bottom) if 0 <= k < image.h}),
    }
    try:
        changed = {(axis, int(k)): _changed(network, axis, int(k)) for axis in lines for k in lines[axis]}
    except ReceptiveFieldError as error:
        return f"not tried ({error})", False
    seen = {key: network.response(_mask(image, *key)[None])[0] != 0 for key in changed}
    for (axis, k), cells in changed.items():
        surplus = np.argwhere(cells & ~seen[axis, k])
        if len(surplus):
            y, x = surplus[0]
            return f"differs: cell ({x}, {y}) changes with {'column' if axis == 'x' else 'row'} {k}", True
    missed = [key for key, cells in changed.items() if (seen[key] & ~cells).any()]
    return (AGREES if not missed else "none contradicts (weights hide some)"), False


def _mask(image: GridShape, axis: str, k: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((image.h, image.w), bool)
    mask[(slice(None), k) if axis == "x" else k] = True
    return mask


def _changed(network: Network, axis: str, k: int) -> npt.NDArray[np.bool_]:
    """Cells that change with a column or row of the image, in some trial."""
    image = network.input_shape
    random = np.random.default_rng(k)
    changed = np.zeros((network.output_shape.h, network.output_shape.w), bool)
    for _ in range(_TRIALS):
        values = random.uniform(-1, 1, (image.h, image.w, image.c)).astype(np.float32)
        before = network.feature_map(values)
        line = values[:, k] if axis == "x" else values[k]
        line[...] = random.normal(size=line.shape) * _LARGE ** random.uniform(size=(len(line), 1))
        after = network.feature_map(values)
        changed |= (before != after).any(axis=-1)
    return changed
