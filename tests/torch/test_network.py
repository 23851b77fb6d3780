"""The second way to measure: autograd through random positive weights sees what looks say."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from rfwidget.geometry import rect_of_support
from rfwidget.torch import TorchReceptiveField
from rfwidget.torch.network import TorchNetwork
from rfwidget.types import GridPoint, Rect
from tests.torch import known_modules


@pytest.mark.parametrize(
    ("build", "channels"),
    [
        (known_modules.readme_model, 3),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=2, dilation=2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)), 3),
        (known_modules.mobilenet_v2, 3),
        (lambda: known_modules.UNet(transposed=False), 2),
        (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4)), 2),
    ],
)
def test_autograd_observes_what_looks_say(build: Callable[[], nn.Module], channels: int) -> None:
    rf = TorchReceptiveField(build())
    rf.compute((channels, 48, 60))
    grid = rf.output_shape
    points = [GridPoint(0, 0), GridPoint(grid.w // 2, grid.h // 3), GridPoint(grid.w - 1, grid.h - 1)]
    observed = rf.network.observed(points)  # type: ignore[attr-defined]
    for point, seen in zip(points, observed, strict=True):
        assert rect_of_support(seen) == rf.rect_at(point, clip=True)


def test_what_selects_may_hide_pixels_and_nothing_is_invented() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 3), nn.MaxPool2d(8, 8))
    rf = TorchReceptiveField(module)
    rf.compute((3, 48, 60))
    (few,) = rf.network.observed([GridPoint(1, 1)], trials=1)  # type: ignore[attr-defined]
    (many,) = rf.network.observed([GridPoint(1, 1)], trials=40)  # type: ignore[attr-defined]
    whole = rf.rect_at((1, 1))
    assert whole == Rect(8, 8, 18, 18)
    assert not few[:8].any()
    assert few.sum() < many.sum() <= 100
    assert not torch.from_numpy(many)[:, 18:].any()


def test_what_is_released_goes_and_comes_back_the_same() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    rf = TorchReceptiveField(module)
    rf.compute((3, 48, 60))
    before, values = rf.gradient_at((3, 5)), rf.feature_map()
    assert isinstance(rf.network, TorchNetwork)
    alive = weakref.ref(rf.network._real._private.module)
    rf.release()
    gc.collect()
    assert alive() is None
    np.testing.assert_array_equal(rf.gradient_at((3, 5)), before)
    np.testing.assert_array_equal(rf.feature_map(), values)
    with torch.no_grad():
        module[3].weight.mul_(2)
    np.testing.assert_allclose(rf.gradient_at((3, 5)), 2 * before, rtol=1e-5)


def test_release_before_anything_was_measured_does_nothing() -> None:
    TorchReceptiveField(known_modules.readme_model()).release()
