"""Layers whose tokens are the places of a grid: transformers of images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rfwidget import RFWidget, TorchReceptiveField
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import Rect, Size
from tests.torch.oracle import Oracle
from tests.torch.windowed_attention import ShiftedWindows

inf = math.inf

SHAPE = (3, 20, 42)
"""Channels, height and width of the images; not square."""

PATCH = (4, 7)
"""Height and width of a patch: five rows of six."""


class Block(nn.Module):
    """A block of a transformer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(x)


class ViT(nn.Module):
    """A vision transformer.

    Args:
        before: tokens in front of those of patches.
        after: tokens behind them.
        width: of a token; 30 are as many as there are patches.
        columns: whether patches stand column behind column.
        first: whether tokens stand before the batch.
    """

    def __init__(
        self, before: int = 1, after: int = 0, width: int = 8, *, columns: bool = False, first: bool = False
    ) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, PATCH, stride=PATCH)
        self.before = nn.Parameter(torch.randn(1, before, width))
        self.after = nn.Parameter(torch.randn(1, after, width))
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.norm = nn.LayerNorm(width)
        self.columns, self.first = columns, first

    def forward(self, x: Tensor) -> Tensor:
        y = self.patch(x)
        y = y.transpose(2, 3).flatten(2) if self.columns else y.flatten(2)
        y = y.transpose(1, 2)
        y = torch.cat([self.before.expand(len(y), -1, -1), y, self.after.expand(len(y), -1, -1)], dim=1)
        y = self.norm(self.blocks(y))
        return y.transpose(0, 1) if self.first else y


@pytest.fixture
def image() -> Any:
    return np.random.default_rng(3).random((*SHAPE[1:], 3), np.float32)


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        (ViT(before=0), ()),
        (ViT(before=1), ("norm[0]",)),
        (ViT(before=3, width=30), ("norm[0]", "norm[1]", "norm[2]")),  # as many channels as patches
        (ViT(before=0, width=30), ()),
        (ViT(before=1, after=2), ("norm[0]", "norm[-2]", "norm[-1]")),
        (ViT(before=1, columns=True), ("norm[0]",)),
    ],
)
def test_tokens_of_a_vision_transformer_are_a_grid_of_its_patches(model: ViT, extra: tuple[str, ...]) -> None:
    rf = TorchReceptiveField(model.eval())
    described = rf.compute(SHAPE)
    assert rf.output_layer == "norm"
    assert rf.output_shape.size == Size(w=6, h=5)
    assert rf.channels == model.norm.normalized_shape[0]
    assert described.stride == (7, 4)
    assert described.offset == (3.5, 2)
    assert described.size == Size(inf, inf)
    assert rf.extra_tokens == extra
    assert rf.cells_seeing((41, 0)).all()
    assert rf.rect_at((0, 4), clip=True) == Rect(0, 0, 42, 20)
    assert all(grid == Size(6, 5) for grid in rf.layers.values())
    rf.compute(SHAPE, output_layer="blocks.0.norm")  # before any attention each token sees its own patch
    for x, y in ((0, 0), (5, 1), (2, 4)):
        assert rf.rect_at((x, y)) == Rect(7 * x, 4 * y, 7 * x + 7, 4 * y + 4)
    seeing = rf.cells_seeing((36, 9))
    assert seeing.sum() == 1
    assert seeing[2, 5]
    assert extra or rf.verify().agree


def test_gradient_maps_of_tokens_are_those_of_bare_autograd(image: Any) -> None:
    model = ViT(before=2, after=1).eval()
    rf = TorchReceptiveField(model)
    rf.compute(SHAPE)
    for layer, number, point in (("norm", 2 + 6 * 3 + 4, (4, 3)), ("norm[1]", 1, (0, 0)), ("norm[-1]", -1, (0, 0))):
        rf.compute(SHAPE, output_layer=layer)
        leaf = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).requires_grad_()
        (bare,) = torch.autograd.grad(model(leaf)[0, number, 5], leaf)
        assert bare.abs().sum() > 0
        np.testing.assert_allclose(rf.gradient_at(point, image, channel=5), bare[0].permute(1, 2, 0), atol=1e-6)
        assert rf.feature_map(image).shape == rf.output_shape.lengths


def test_tokens_that_stand_before_the_batch_are_found(image: Any) -> None:
    model = ViT(before=1, first=True).eval()
    rf = TorchReceptiveField(model)
    rf.compute(SHAPE)
    assert rf.output_layer == "transpose_1"
    assert rf.output_shape.size == Size(6, 5)
    leaf = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).requires_grad_()
    (bare,) = torch.autograd.grad(model(leaf)[1 + 6 * 4 + 5].mean(), leaf)
    np.testing.assert_allclose(rf.gradient_at((5, 4), image), bare[0].permute(1, 2, 0), atol=1e-6)
    maps = rf.gradients_at([(5, 4), (0, 0)], image)
    np.testing.assert_allclose(maps[0], bare[0].permute(1, 2, 0), atol=1e-6)


class WindowedTokens(nn.Module):
    """Attention in shifted windows, between tokens that are a sequence everywhere else, as in the first Swin."""

    def __init__(self, shift: tuple[int, int]) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 4, (2, 3), stride=(2, 3))
        self.norm = nn.LayerNorm(4)
        self.inner = ShiftedWindows(4, (2, 3), shift, "added")
        self.last = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patch(x)
        rows, columns = y.shape[2:]
        tokens = self.norm(y.flatten(2).transpose(1, 2))
        y = self.inner(tokens.transpose(1, 2).unflatten(2, (rows, columns)))
        return self.last(y.flatten(2).transpose(1, 2))


@pytest.mark.parametrize("shift", [(0, 0), (1, 2)])
def test_tokens_of_attention_in_windows_see_what_a_black_box_shows(shift: tuple[int, int]) -> None:
    torch.manual_seed(1)
    model = WindowedTokens(shift).double().eval()
    height, width = 12, 27
    rf = TorchReceptiveField(model)
    described = rf.compute((3, height, width))
    assert rf.output_layer == "last"
    assert rf.output_shape.size == Size(9, 6)
    assert described.stride == (3, 2)

    class AsMap(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return model(x).transpose(1, 2).unflatten(2, (6, 9))

    y, x = Oracle(AsMap(), 3, height, width, seed=2).more(6)
    for row in range(6):
        for column in range(9):
            rect = rf.rect_at((column, row), clip=True)
            seen = (x.first[row, column], y.first[row, column], x.end[row, column], y.end[row, column])
            assert tuple(rect) == seen, (column, row)
    image = np.random.default_rng(0).random((height, width, 3))
    leaf = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).requires_grad_()
    (bare,) = torch.autograd.grad(model(leaf)[0, 9 * 4 + 7].mean(), leaf)
    np.testing.assert_allclose(rf.gradient_at((7, 4), image), bare[0].permute(1, 2, 0), atol=1e-6)


class Mixed(nn.Module):
    """Tokens that nothing puts into places: each is a mixture of all."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 4, PATCH, stride=PATCH)
        self.mix = nn.Linear(30, 30)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.patch(x).flatten(2)).transpose(1, 2)


def test_a_grid_that_nothing_tells_can_be_said() -> None:
    model = Mixed()
    rf = TorchReceptiveField(model)
    rf.compute(SHAPE)
    assert rf.output_layer == "flatten"
    with pytest.raises(
        ReceptiveFieldError, match=r"'transpose' gives .* no two-dimensional grid.*grid=\(height, width\)"
    ):
        rf.compute(SHAPE, output_layer="transpose")
    widget = RFWidget(model, SHAPE, output_layer="transpose", grid=Size(w=6, h=5))
    assert widget.wait(60)
    assert (widget.error, widget.view.grid) == (None, Size(w=6, h=5))
    assert "grid=(5, 6)" in widget.code()
    widget.close()
    rf = TorchReceptiveField(model, grid=(5, 6))  # height before width
    assert rf.compute(SHAPE, output_layer="transpose").size == Size(inf, inf)
    assert rf.output_shape.size == Size(w=6, h=5)
    leaf = torch.rand((1, *SHAPE)).requires_grad_()
    (bare,) = torch.autograd.grad(model(leaf)[0, 6 * 3 + 4].mean(), leaf)
    pixels = leaf.detach()[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(rf.gradient_at((4, 3), pixels), bare[0].permute(1, 2, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ((5, 5), r"grid=\(5, 5\) is 5 x 5 = 25 tokens, which no layer gives: they give 30"),
        ((6, 5), r"grid=\(6, 5\) is 6 x 5 = 30 tokens, but those of 'flatten' are the places of a grid \(5, 6\)"),
        ((5.0, 6), r"grid is \(5.0, 6\): expected the cells of a grid of tokens, \(height, width\)"),
        ("5x6", r"grid is '5x6': expected"),
    ],
)
def test_a_grid_that_does_not_fit_the_tokens_is_an_error(grid: Any, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        TorchReceptiveField(ViT(), grid=grid).compute(SHAPE)


class Fixed(ViT):
    """One that adds an embedding to every place, and so runs at one size only."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(1, 31, 8))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] != (20, 42):
            raise ValueError("the image must be 42 wide and 20 high")
        return super().forward(x)


def test_a_model_that_refuses_other_sizes_says_so_and_is_known_at_its_own() -> None:
    rf = TorchReceptiveField(Fixed())
    with pytest.raises(ReceptiveFieldError, match="the module does not run on an image of 42x24 pixels"):
        rf.compute((3, 24, 42))
    assert rf.compute(SHAPE).size == Size(inf, inf)
    assert rf.output_shape.size == Size(w=6, h=5)
    assert rf.rf_params.stride == (7, 4)


def test_a_sequence_that_is_no_image_is_no_grid_of_tokens() -> None:
    rf = TorchReceptiveField(nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.Conv1d(4, 4, 5, stride=2)))
    assert rf.compute((2, 48)).size == Size(w=7)  # tokens of one axis are what they always were
    assert rf.extra_tokens == ()
    with pytest.raises(ReceptiveFieldError, match=r"which no layer gives: none gives tokens"):
        TorchReceptiveField(nn.Conv1d(2, 4, 3), grid=(6, 8)).compute((2, 48))


class Rows(nn.Module):
    """A sequence of the image's columns, as readers of text have it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2).permute(0, 3, 1, 2).flatten(2)


def test_a_sequence_of_columns_is_no_grid() -> None:
    rf = TorchReceptiveField(Rows())
    rf.compute(SHAPE)
    assert list(rf.layers) == ["max_pool2d", "permute"]
    with pytest.raises(ReceptiveFieldError, match=r"layer 'flatten' gives \(1, 21, 30\), which is no"):
        rf.compute(SHAPE, output_layer="flatten")
