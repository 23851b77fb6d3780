"""Random modules against the pixel oracle: what every cell sees, exactly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from rfwidget._measure.forward import measure_layer
from rfwidget.errors import NoInfluenceError
from rfwidget.geometry import rect_of_support
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import GridPoint, Rect, Size
from tests.torch.oracle import Oracle, Seen
from tests.torch.random_modules import FixedKernel, Masked, random_module

HEIGHT, WIDTH = 17, 22
_TRIALS = (2, 6, 20, 90)

_CLEAR = 3
"""Pixels from a border on which no padding inside the module has a part in what a cell sees."""


def mismatches(
    module: nn.Module, seed: int, *, fields: bool, size: tuple[int, int] = (HEIGHT, WIDTH)
) -> list[str] | None:
    """Cells of which something else is said than pixels show; None if the module has no output on such an image.

    Args:
        module: the module.
        seed: of the images.
        fields: compare receptive fields too, not only what cells see on this image.
        size: height and width of the image.
    """
    height, width = size
    try:
        with torch.no_grad():
            grid = module(torch.randn(1, 2, height, width, dtype=torch.float64)).shape[2:]
    except RuntimeError:  # too small an image for some window
        return None
    if not 1 <= grid[0] * grid[1] <= 2500:
        return None
    rf = TorchReceptiveField(module)
    layer = _last(rf, size)
    network = rf._build((height, width, 2), None, layer, ignore_global_context=False, progress=lambda *_: None)
    points = [GridPoint(x, y) for y in range(grid[0]) for x in range(grid[1])]
    shown = {point: rect_of_support(network.sensitivity(Size(width, height), [point])[0] != 0) for point in points}
    # Kernels with holes make rows of cells differ, of which a field for all of them knows the middle ones.
    holes = any(isinstance(part, FixedKernel | Masked) for part in module.modules())
    field = None
    if fields and not holes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that some can only be measured at their own size
            try:
                field = measure_layer(network, lambda *_: None)
            except NoInfluenceError:  # then pixels must show nothing either
                field = None
    oracle, found = Oracle(module, 2, height, width, seed), ["not compared"]
    for trials in _TRIALS:  # only trials that have not changed what can be changed ask for more
        truth = _rects(*oracle.more(trials))
        found = [f"cell {p}: {shown[p]} but pixels show {truth[p]}" for p in points if shown[p] != truth[p]]
        if field is not None:
            found += [f"cell {p}: {field.rect(p)} but pixels show {truth[p]}" for p in points
                      if not _fits(field.rect(p), truth[p], size)]  # fmt: skip
        if not found:
            return []
    return found


def _last(rf: TorchReceptiveField, size: tuple[int, int]) -> str:
    """The layer that gives what the module returns."""
    layers = rf._layers(size, 2, local=False, progress=lambda *_: None)
    number = layers.walk.output[0]
    return next(name for name, layer in layers.all.items() if layer.number == number)


def _rects(along_y: Seen, along_x: Seen) -> dict[GridPoint, Rect]:
    found = {}
    for y, x in np.ndindex(along_y.first.shape):
        rect = Rect(int(along_x.first[y, x]), int(along_y.first[y, x]), int(along_x.end[y, x]), int(along_y.end[y, x]))
        found[GridPoint(x, y)] = rect if rect.right and rect.bottom else Rect(0, 0, 0, 0)
    return found


def _fits(rect: Rect, truth: Rect, size: tuple[int, int]) -> bool:
    """Whether a receptive field holds what pixels show, and is just that where no border is near."""
    if not truth.right:
        return True
    clear = min(rect.left, rect.top, size[1] - rect.right, size[0] - rect.bottom) >= _CLEAR
    return rect == truth if clear else _holds(rect, truth)


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
    assert not mismatches(module, seed, fields=seed % 4 == 0), module
