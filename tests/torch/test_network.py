"""The second way to measure: autograd through random positive weights sees what looks say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from rfwidget.geometry import rect_of_support
from rfwidget.torch import TorchReceptiveField
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
