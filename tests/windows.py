"""Gradient maps on windows beside those on the whole image, for the tests and for `benchmarks.windows`."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rfwidget._measure.patches import Patches
from rfwidget._measure.windows import whole_image
from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.backends import backend
from rfwidget.keras.network import KerasNetwork
from rfwidget.types import GridPoint
from tests.blueprints import Blueprint, fitting_length, reach
from tests.random_networks import random_blueprint


def measured(model: Any, shape: Sequence[int] | None = None, layer: str | None = None, **how: Any) -> KerasNetwork:
    """The network of a measured layer."""
    rf = KerasReceptiveField(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the estimator cannot see through is the point of some networks
        rf.compute(shape, output_layer=layer, **how)
    return rf.network


def noise(network: KerasNetwork) -> np.ndarray:
    """An image of values around 0."""
    _, w, h, c = network.input_shape
    return np.random.default_rng(3).uniform(-1, 1, (h, w, c)).astype(np.float32)


def some_cells(network: KerasNetwork, most: int) -> list[GridPoint]:
    """All cells, or the corners and a random choice of the others."""
    _, w, h, _ = network.output_shape
    cells = [GridPoint(x, y) for y in range(h) for x in range(w)]
    if len(cells) <= most:
        return cells
    corners = [cell for cell in cells if cell.x in (0, w - 1) and cell.y in (0, h - 1)]
    return corners + random.Random(0).sample(cells, most - 4)  # noqa: S311


def worst_difference(network: KerasNetwork, most: int) -> float:
    """Largest difference from the gradients of the whole image, relative to the largest value of each."""
    image, cells = noise(network), some_cells(network, most)
    shape, grid = network.input_shape, network.output_shape
    whole = Patches(backend.Compiled(network._weighted.run), shape, grid, whole_image(shape, grid))
    worst = 0.0
    for cell, patch in zip(cells, network.gradients(image, cells, None), strict=True):
        expected = whole.at(image, cell, None).values
        difference = expected.copy()
        difference[patch.rows, patch.columns] -= patch.values
        if difference.any():
            worst = max(worst, float(np.abs(difference).max() / max(np.abs(expected).max(), 1e-30)))
    return worst


def spacious(seed: int) -> Blueprint:
    """A random network on an image that has room for windows."""
    rng = random.Random(seed)  # noqa: S311
    blueprint = random_blueprint(rng)
    width, height = (
        fitting_length(
            blueprint.layers, axis, math.ceil(reach(blueprint.layers, axis)[0]) + 2 * blueprint.period(axis) + more
        )
        for axis, more in enumerate((rng.randint(0, 20), rng.randint(0, 20)))
    )
    return blueprint._replace(width=width, height=height)
