"""Random modules against the pixel oracle: what every cell sees, exactly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from rfwidget.torch import TorchReceptiveField
from rfwidget.types import Rect
from tests.torch.oracle import Oracle, Seen
from tests.torch.random_modules import FixedKernel, Masked, random_module

HEIGHT, WIDTH = 17, 22
_TRIALS = (2, 6, 20, 90)

_CLEAR = 3
"""Pixels from a border on which no padding inside the module has a part in what a cell sees."""


def mismatches(module: nn.Module, seed: int) -> list[str] | None:
    """Cells of which something else is said than pixels show; None if the module has no output on such an image."""
    try:
        with torch.no_grad():
            grid = module(torch.randn(1, 2, HEIGHT, WIDTH, dtype=torch.float64)).shape[2:]
    except RuntimeError:  # too small an image for some window
        return None
    if not 1 <= grid[0] * grid[1] <= 2500:
        return None
    rf = TorchReceptiveField(module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some can only be measured at their own size
        rf.compute((2, HEIGHT, WIDTH), output_layer=_last(rf))
    shown = [[rf.rect_at((x, y), clip=True) for x in range(grid[1])] for y in range(grid[0])]
    oracle, found = Oracle(module, 2, HEIGHT, WIDTH, seed), ["not compared"]
    for trials in _TRIALS:  # only trials that have not changed what can be changed ask for more
        along_y, along_x = oracle.more(trials)
        found = _differences(rf, shown, along_y, along_x)
        if not found:
            return []
    return found


def _last(rf: TorchReceptiveField) -> str:
    """The layer that gives what the module returns."""
    layers = rf._layers((HEIGHT, WIDTH), 2, local=False, progress=lambda *_: None)
    number = layers.walk.output[0]
    return next(name for name, layer in layers.all.items() if layer.number == number)


def _differences(rf: TorchReceptiveField, shown: list[list[Rect]], along_y: Seen, along_x: Seen) -> list[str]:
    # Kernels with holes make rows of cells differ: what is said of all of them together is a box around each.
    holes = any(isinstance(part, FixedKernel | Masked) for part in rf._module.modules())
    found = []
    for y, x in np.ndindex(along_y.first.shape):
        truth = Rect(int(along_x.first[y, x]), int(along_y.first[y, x]), int(along_x.end[y, x]), int(along_y.end[y, x]))
        truth = truth if truth.right and truth.bottom else Rect(0, 0, 0, 0)
        if shown[y][x] != truth:
            found.append(f"cell {x, y}: {shown[y][x]} but pixels show {truth}")
        rect = rf.rect_at((x, y))
        clipped = Rect(max(rect.left, 0), max(rect.top, 0), min(rect.right, WIDTH), min(rect.bottom, HEIGHT))
        whole = not holes and min(rect.left, rect.top, WIDTH - rect.right, HEIGHT - rect.bottom) >= _CLEAR
        if truth.right and (whole and clipped != truth or not _holds(clipped, truth)):
            found.append(f"cell {x, y}: {rect} but pixels show {truth}")
    return found


def _holds(outer: Rect, inner: Rect) -> bool:
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and inner.right <= outer.right
        and inner.bottom <= outer.bottom
    )


@pytest.mark.parametrize("seed", range(200))
def test_every_cell_of_a_random_module_sees_what_pixels_show(seed: int) -> None:
    module = random_module(seed)
    assert not mismatches(module, seed), module
