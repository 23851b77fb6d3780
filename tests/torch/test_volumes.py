"""Volumes and frames in PyTorch: known values, networks of three axes, frames step by step, and the black box."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch import nn

from rfwidget.torch import TorchReceptiveField
from rfwidget.types import GridPoint, GridShape, Rect, Size
from tests.any_rank import Oracle, mismatches, verdicts
from tests.torch.any_rank import black_box, make


class UNet(nn.Module):
    """Down, up again, and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool = nn.Conv3d(1, 4, (1, 3, 3), padding=(0, 1, 1)), nn.AvgPool3d((1, 2, 2))
        self.inner, self.up = nn.Conv3d(4, 4, 3, padding=1), nn.ConvTranspose3d(4, 4, (1, 2, 2), stride=(1, 2, 2))
        self.last = nn.Conv3d(8, 2, (3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down = nn.functional.leaky_relu(self.first(x))
        inner = nn.functional.leaky_relu(self.inner(self.pool(down)))
        result: torch.Tensor = self.last(torch.cat([self.up(inner), down], dim=1))
        return result


class Residual(nn.Module):
    """A block of R(2+1)D: space, then time."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.space = nn.Conv3d(channels, 4, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1))
        self.time = nn.Conv3d(4, 4, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0))
        self.skip = nn.Conv3d(channels, 4, 1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.time(nn.functional.leaky_relu(self.space(x))) + self.skip(x)


class ConvLSTM(nn.Module):
    """A loop over frames, as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 + 3, 12, (5, 3), padding=(2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = cell = x.new_zeros(x.shape[0], 3, *x.shape[3:])
        frames = []
        for frame in x.unbind(2):
            i, f, g, o = self.gates(torch.cat([frame, hidden], dim=1)).chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            frames.append(hidden)
        return torch.stack(frames, dim=2)


def test_axes_are_x_then_y_then_z() -> None:
    rf = TorchReceptiveField(nn.Conv3d(2, 3, (3, 5, 7), stride=(1, 2, 4)))
    assert str(rf.compute((2, 16, 24, 20))) == (
        "ReceptiveFieldDescription(offset=(3.5, 2.5, 1.5), stride=(4.0, 2.0, 1.0), size=Size(w=7, h=5, d=3))"
    )
    assert rf.input_shape == GridShape(n=None, w=20, h=24, d=16, c=2)
    assert rf.output_shape == GridShape(n=None, w=4, h=10, d=14, c=1)
    assert rf.rect_at((1, 2, 3)) == Rect(left=4, top=4, front=3, right=11, bottom=9, back=6)
    assert rf.cells_covering((4, 4, 3, 11, 9, 6)).nonzero() == (3, 2, 1)
    gradient = rf.gradient_at((1, 2, 3))
    assert gradient.shape == (16, 24, 20, 2)
    assert gradient[3:6, 4:9, 4:11].all(axis=-1).sum() == gradient.any(axis=-1).sum() == 3 * 5 * 7


@pytest.mark.parametrize(
    ("module", "shape"),
    [(UNet(), (1, 12, 16, 20)), (nn.Sequential(Residual(2, 1), Residual(4, 2)), (2, 9, 14, 18))],
    ids=["unet", "r2plus1d"],
)
def test_networks_of_volumes_agree_with_the_black_box(module: nn.Module, shape: tuple[int, ...]) -> None:
    rf = TorchReceptiveField(module)
    rf.compute(shape)
    assert mismatches(rf, black_box(module), seed=1) == []
    assert rf.verify().agree


def test_a_conv_lstm_sees_all_frames_before_and_space_step_by_step() -> None:
    torch.manual_seed(2)
    module = ConvLSTM()
    rf = TorchReceptiveField(module)
    with pytest.warns(UserWarning, match="grows step by step"):
        rf.compute((1, 2, 4, 15, 17))
    assert rf.rf_params.size == Size(w=3 + 2 * 3, h=5 + 4 * 3, d=math.inf)  # as the last of four frames sees
    assert rf.rect_at(GridPoint(8, 7, 2)).edges[2] == (-math.inf, 3)
    truth = Oracle(black_box(module), (4, 15, 17), 2, seed=1).more(30)
    assert {cell: rf.rect_at(cell, clip=True) for cell in truth} == truth


def test_random_volumes_agree_with_the_black_box() -> None:
    assert verdicts(3, 40, make) == []


def test_branches_with_holes_are_a_grid() -> None:
    """What is seen along one axis changes a little along another: it is still clear which axis goes where."""
    made = make(random.Random(153), 3)  # noqa: S311 - no secret
    assert made is not None
    assert mismatches(*made, seed=153) == []
