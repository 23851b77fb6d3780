"""Small modules of each kind that other tools get wrong, with values that were worked out by hand.

The letters are those of the kinds of fault: A the default layer, B masks on kernels, C other inputs, D code without a
gradient, E mirrored and turned grids, F wrapped borders, G mixing at a fixed size, H errors in words, I layers that are
called several times, J what has no size, K segmentation heads and windowed attention, L holes, M lines that differ.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import prune

from rfwidget.errors import ReceptiveFieldError
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import ReceptiveFieldDescription, Rect, Size

INF = math.inf
SHAPE = (3, 32, 48)


class Code(nn.Module):
    """A function of an image and some modules."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for number, module in enumerate(modules):
            setattr(self, f"part{number}", module)

    def forward(self, x: Tensor, *others: Tensor) -> Any:
        return self.function(x, *others, *self.children())


def conv(c: int, out: int, kernel: int | tuple[int, int], **settings: Any) -> nn.Conv2d:
    return nn.Conv2d(c, out, kernel, **settings)


def measured(module: nn.Module, shape: tuple[int, int, int] = SHAPE, **settings: Any) -> TorchReceptiveField:
    rf = TorchReceptiveField(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rf.compute(shape, **settings)
    return rf


def description(rf: TorchReceptiveField) -> ReceptiveFieldDescription:
    return rf.rf_params


# -- A: what is looked at by default ---------------------------------------------------------------------------------


def test_a_binning_by_reshape_and_mean_is_followed_to_the_end() -> None:
    def binned(x: Tensor, first: nn.Module, last: nn.Module) -> Tensor:
        y = first(x)
        n, c, h, w = y.shape
        return last(y.reshape(n, c, h // 2, 2, w // 2, 2).mean(dim=(3, 5)))

    rf = measured(Code(binned, conv(3, 2, 3, padding=1), conv(2, 2, 1)))
    assert rf.output_layer == "part1"
    assert description(rf) == ((1, 1), (2, 2), (4, 4))


def test_a_a_layer_of_two_outputs_gives_its_first() -> None:
    def two(x: Tensor, first: nn.Module) -> tuple[Tensor, Tensor]:
        return F.avg_pool2d(first(x), 3, 1, 1), F.max_pool2d(x, 2)

    module = Code(two, conv(3, 2, 3, padding=1))
    assert description(measured(module)).size == (2, 2)
    assert description(measured(module, output_layer="avg_pool2d")).size == (5, 5)


def test_a_a_turned_grid_is_a_grid() -> None:
    rf = measured(Code(lambda x, c: c(x).transpose(2, 3), conv(3, 4, (3, 5))))
    assert description(rf) == ((2.5, 1.5), (1, 1), (5, 3))
    assert rf.output_shape == (None, 44, 30, 1)  # the columns of the grid are those of the image


# -- B: masks on kernels ---------------------------------------------------------------------------------------------

_ROWS = torch.tensor([True, True, True, False, False])[:, None]


class MaskedByBuffer(nn.Conv2d):
    mask: Tensor

    def __init__(self) -> None:
        super().__init__(3, 2, 5, padding=2)
        self.register_buffer("mask", _ROWS.float().expand(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=2)


class MaskedByAttribute(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(3, 2, 5, padding=2)
        self.mask = _ROWS.float()

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.mask * self.weight, self.bias, padding=2)


class MaskedInPlace(MaskedByBuffer):
    """As PixelCNN does it: the mask is written into the weights at every call."""

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data *= self.mask
        return nn.Conv2d.forward(self, x)


def _pruned() -> nn.Module:
    module = conv(3, 2, 5, padding=2)
    prune.custom_from_mask(module, "weight", _ROWS.float().expand(2, 3, 5, 5))
    return module


def _with(change: Callable[[Tensor], Tensor]) -> nn.Module:
    return Code(lambda x, c: F.conv2d(x, change(c.weight), padding=2), conv(3, 2, 5))


@pytest.mark.parametrize(
    "build",
    [
        MaskedByBuffer,
        MaskedByAttribute,
        MaskedInPlace,
        _pruned,
        lambda: _with(lambda w: torch.where(_ROWS, w, 0.0)),
        lambda: _with(lambda w: w.masked_fill(~_ROWS, 0)),
        lambda: _with(lambda w: torch.cat([w[:, :, :3], torch.zeros(2, 3, 2, 5)], dim=2)),
        lambda: _with(lambda w: F.pad(w[:, :, :3], (0, 0, 0, 2))),
        lambda: _with(lambda w: torch.einsum("oihw,hk->oikw", w, torch.diag(_ROWS.flatten().float()))),
    ],
)
def test_b_masks_on_kernels_shrink_the_field(build: Callable[[], nn.Module]) -> None:
    rf = measured(build())
    assert description(rf).size == (5, 3)
    assert rf.rect_at((10, 8)) == Rect(8, 6, 13, 9)


def test_b_weights_that_happen_to_be_zero_do_not() -> None:
    module = conv(3, 2, 5)
    module.weight.data[:, :, 3:] = 0
    assert description(measured(module)).size == (5, 5)


# -- C: other inputs -------------------------------------------------------------------------------------------------


def test_c_other_inputs_are_anything_but_zero() -> None:
    module = Code(lambda x, mask, a, b: b(a(x) * mask), conv(3, 3, 3, padding=1), conv(3, 2, 3))
    rf = TorchReceptiveField(module, other_inputs=(torch.rand(1, 1, 32, 48) + 0.5,))
    assert rf.compute(SHAPE).size == (5, 5)


# -- D: code whose gradient is zero, or that selects -----------------------------------------------------------------


def _dilated(x: Tensor) -> Tensor:
    """Grey dilation: the maximum of x + w under a window."""
    n, c, h, w = x.shape
    weights = torch.arange(25.0)[:, None, None]
    return (F.unfold(x, 5, padding=2).reshape(n, c, 25, h, w) + weights).amax(dim=2)


@pytest.mark.parametrize(
    ("module", "size"),
    [
        (Code(lambda x, a, b: b(torch.sign(a(x))), conv(3, 3, 3), conv(3, 2, 3)), 5),
        (Code(lambda x, a, b: b(a(x).round().clamp(0, 1)), conv(3, 3, 3), conv(3, 2, 3)), 5),
        (Code(lambda x, a, b: a(x) * (b(x) > 0), conv(3, 3, 3, padding=1), conv(3, 3, 7, padding=3)), 7),
        (Code(lambda x, a, b: b(a(x).argmax(1, keepdim=True).float()), conv(3, 3, 3), conv(1, 2, 3)), 5),
        (Code(lambda x, a, b: b(a(x).sort(dim=1).values), conv(3, 3, 3), conv(3, 2, 3)), 5),
        (Code(lambda x, a: torch.bucketize(a(x), torch.tensor([-1.0, 0, 1])).float(), conv(3, 3, 3)), 3),
        (Code(_dilated), 5),
    ],
)
def test_d_code_without_a_gradient(module: nn.Module, size: int) -> None:
    assert description(measured(module)).size == (size, size)


class SegNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = conv(3, 3, 3, padding=1), conv(3, 2, 1)
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y, where = self.pool(self.first(x))
        return self.last(self.unpool(y, where))


def test_d_unpooling_puts_maxima_somewhere_into_their_windows() -> None:
    rf = measured(SegNet())
    assert description(rf).size == (5, 5)
    assert rf.uniform == (False, False)
    assert rf.rect_at((0, 0), clip=True) == Rect(0, 0, 3, 3)
    assert rf.rect_at((7, 6)) == Rect(5, 5, 9, 9)


# -- E: mirrored and turned grids ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x, c: c(x.flip(3)),
        lambda x, c: c(x.index_select(3, torch.arange(x.shape[3] - 1, -1, -1))),
        lambda x, c: c(x[:, :, :, torch.arange(x.shape[3]).flip(0)]),
        lambda x, c: c(x).flip(3),
    ],
)
def test_e_a_mirrored_grid_has_a_negative_stride(function: Callable[..., Tensor]) -> None:
    rf = measured(Code(function, conv(3, 2, 3)), (3, 16, 20))
    assert description(rf) == ((18.5, 1.5), (-1, 1), (3, 3))
    assert rf.rect_at((1, 7)) == Rect(16, 7, 19, 10)
    assert rf.uniform == (True, True)


def test_e_a_grid_turned_by_a_quarter() -> None:
    rf = measured(Code(lambda x, c: c(torch.rot90(x, 1, (2, 3))), conv(3, 2, (3, 5))), (3, 16, 20))
    assert rf.output_shape == (None, 18, 12, 1)  # the columns of the grid are those of the image
    assert description(rf) == ((18.5, 2.5), (-1, 1), (3, 5))


# -- F: borders that wrap --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    [
        conv(3, 2, (3, 5), padding=(0, 2), padding_mode="circular"),
        Code(lambda x, c: c(torch.cat([x[..., -2:], x, x[..., :2]], dim=3)), conv(3, 2, (3, 5))),
        Code(lambda x, c: c(F.pad(x, (2, 2, 0, 0), mode="circular")), conv(3, 2, (3, 5))),
    ],
)
def test_f_the_description_is_that_of_cells_that_no_border_touches(module: nn.Module) -> None:
    rf = measured(module)
    assert description(rf) == ((0.5, 1.5), (1, 1), (5, 3))
    assert rf.rect_at((30, 5)) == Rect(28, 5, 33, 8)
    assert rf.rect_at((0, 5)) == Rect(0, 5, 48, 8)
    assert rf.uniform == (False, True)


def test_f_a_rolled_map_has_its_field_elsewhere() -> None:
    rf = measured(Code(lambda x, c: c(torch.roll(x, (3, -2), (2, 3))), conv(3, 2, 3)))
    assert description(rf) == ((3.5, -1.5), (1, 1), (3, 3))
    assert rf.rect_at((10, 10)) == Rect(12, 7, 15, 10)


# -- G: mixing at a fixed size ---------------------------------------------------------------------------------------


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.tokens = conv(3, 4, 4, stride=4), nn.Linear(96, 96)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x)
        return y + self.tokens(y.flatten(2)).reshape(y.shape)


def test_g_tokens_mixed_at_a_fixed_size_are_global_context() -> None:
    assert description(measured(Mixer())).size == (INF, INF)
    assert description(measured(Mixer(), ignore_global_context=True)).size == (4, 4)


@pytest.mark.parametrize(
    ("module", "local"),
    [
        (nn.Sequential(conv(3, 2, 3), nn.InstanceNorm2d(2), conv(2, 2, 3)), 5),
        (nn.Sequential(conv(3, 2, 3), nn.GroupNorm(1, 2), conv(2, 2, 3)), 5),
        (Code(lambda x, c, a: c(x) * a(c(x).mean((2, 3)))[:, :, None, None], conv(3, 4, 3), nn.Linear(4, 4)), 3),
        (Code(lambda x, c: c(x).flatten(2).softmax(-1).reshape(1, 2, x.shape[2] - 2, -1), conv(3, 2, 3)), 3),
    ],
)  # fmt: skip
def test_g_norms_and_excitations_see_everything_and_have_a_local_path(module: nn.Module, local: int) -> None:
    assert description(measured(module)).size == (INF, INF)
    assert description(measured(module, ignore_global_context=True)).size == (local, local)


# -- H: errors in words ----------------------------------------------------------------------------------------------


def test_h_what_the_module_raises_is_put_into_words() -> None:
    module = Code(lambda x, c: c(x.reshape(1, 4, 32, 36)), conv(4, 2, 3))
    with pytest.raises(ReceptiveFieldError, match=r"does not run|no layer") as caught:
        TorchReceptiveField(module).compute((3, 31, 48))
    assert "\x1b" not in str(caught.value)


# -- I: layers that are called several times -------------------------------------------------------------------------


def test_i_every_call_of_a_layer_has_a_name() -> None:
    rf = TorchReceptiveField(Code(lambda x, c: c(c(x)), conv(3, 3, (3, 5))))
    assert rf.compute(SHAPE, output_layer="part0").size == (5, 3)
    assert rf.compute(SHAPE, output_layer="part0_1").size == (9, 5)
    assert rf.gradient_at((10, 10)).any(axis=(0, 2)).sum() == 9


# -- J: what has no size ---------------------------------------------------------------------------------------------


def _sampled(x: Tensor, offsets: nn.Module) -> Tensor:
    theta = torch.eye(2, 3)[None]
    grid = F.affine_grid(theta, [1, 3, *x.shape[2:]], align_corners=False) + offsets(x).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, align_corners=False)


def test_j_places_that_the_image_chooses_may_be_anywhere() -> None:
    rf = measured(Code(_sampled, conv(3, 2, 3, padding=1)))
    assert description(rf).size == (INF, INF)
    assert np.isfinite(rf.gradient_at((5, 5))).all()


@pytest.mark.parametrize(("both", "left", "right"), [(False, -INF, 22), (True, -INF, INF)])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_j_recurrences_see_one_side(kind: Any, both: bool, left: float, right: float) -> None:
    layer = kind(4, 4, num_layers=2, batch_first=True, bidirectional=both)

    def rows(x: Tensor, first: nn.Module, recurrent: nn.Module) -> Tensor:
        y = first(x)
        n, _, h, w = y.shape
        return recurrent(y.permute(0, 2, 3, 1).flatten(0, 1))[0].reshape(n, h, w, -1).permute(0, 3, 1, 2)

    rf = measured(Code(rows, conv(3, 4, 3, padding=1, stride=2), layer), (3, 24, 64))
    assert rf.rect_at((10, 5)) == Rect(left, 9, right, 12)
    assert rf.rect_at((10, 5), clip=True) == Rect(0, 9, min(right, 64), 12)


def test_j_code_that_loops_over_the_image() -> None:
    def running(x: Tensor) -> Tensor:
        columns = [x[..., 0]]
        for k in range(1, x.shape[3]):
            columns.append(0.5 * columns[-1] + x[..., k])
        return torch.stack(columns, dim=3)

    rf = measured(Code(running), (3, 12, 16))
    assert rf.rect_at((10, 5)) == Rect(-INF, 5, 11, 6)


def test_j_code_that_chooses_by_numbers_is_followed_as_it_goes() -> None:
    module = Code(lambda x, a, b: a(x) if x.mean() > 0 else b(x), conv(3, 2, 3), conv(3, 2, 5))
    assert description(measured(module)).size == (3, 3)


# -- K: segmentation heads and windowed attention --------------------------------------------------------------------


class DeepLab(nn.Module):
    """Five strides of 2 (63 pixels), dilations up to 18 there (36 * 32 more), image pooling, a decoder."""

    def __init__(self, rates: tuple[int, ...] = (6, 12, 18)) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 128, 512)
        self.stem = nn.ModuleList(conv(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.branches = nn.ModuleList([conv(512, 48, 1), *(conv(512, 48, 3, dilation=r, padding=r) for r in rates)])
        self.pooled, self.project = conv(512, 48, 1), conv(48 * (2 + len(rates)), 48, 1)
        self.low, self.decoder = conv(32, 12, 1), conv(60, 48, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        size, low = x.shape[2:], x
        for number, part in enumerate(self.stem):
            x = part(x).relu()
            low = x if number == 1 else low
        pooled = F.interpolate(self.pooled(x.mean((2, 3), keepdim=True)), x.shape[2:], mode="bilinear")
        x = self.project(torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1))
        x = torch.cat([F.interpolate(x, low.shape[2:], mode="bilinear"), self.low(low)], dim=1)
        return F.interpolate(self.decoder(x), size, mode="bilinear")


def test_k_deeplab_with_and_without_its_image_pooling() -> None:
    rf = TorchReceptiveField(DeepLab())
    assert rf.compute((3, 256, 320)).size == (INF, INF)
    assert rf.compute((3, 256, 320), output_layer="project", ignore_global_context=True).size == (1215, 1215)


def test_k_strided_attention_sees_everything_and_the_patches_before_it_do_not() -> None:
    def block(x: Tensor, patches: nn.Module, keys: nn.Module, attention: nn.Module) -> Tensor:
        y = patches(x)
        tokens, kept = y.flatten(2).transpose(1, 2), keys(y).flatten(2).transpose(1, 2)
        return y + attention(tokens, kept, kept)[0].transpose(1, 2).reshape(y.shape)

    parts = conv(3, 8, 7, stride=4, padding=3), conv(8, 8, 4, stride=4), nn.MultiheadAttention(8, 2, batch_first=True)
    rows = {row.name: row.size for row in TorchReceptiveField(Code(block, *parts)).survey((3, 128, 128))}
    assert rows["part0"] == Size(7, 7)
    assert rows["add"] == Size(INF, INF)


def test_k_attention_inside_windows_of_four_cells() -> None:
    def windowed(x: Tensor, patches: nn.Module) -> Tensor:
        y = patches(x)
        n, c, h, w = y.shape
        t = y.view(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
        t = F.scaled_dot_product_attention(t, t, t)
        return t.view(n, h // 4, w // 4, 4, 4, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, h, w)

    rf = measured(Code(windowed, conv(3, 4, 2, stride=2)))
    assert [rf.rect_at((x, 5)) for x in (3, 4, 7, 8)] == [
        Rect(0, 8, 8, 16), Rect(8, 8, 16, 16), Rect(8, 8, 16, 16), Rect(16, 8, 24, 16),
    ]  # fmt: skip
    assert rf.uniform == (False, False)
    assert description(rf).size == (14, 14)  # the smallest box that, moved by 2, holds every cell's


# -- M: lines that see different parts --------------------------------------------------------------------------------


def _sheared(x: Tensor, layer: nn.Module) -> Tensor:
    y = layer(x)
    return torch.stack([F.pad(line, (place, y.shape[2] - place)) for place, line in enumerate(y.unbind(2))], 2)


def _turned_a_little(x: Tensor, layer: nn.Module) -> Tensor:
    y = layer(x)
    turn = torch.tensor([[[0.5, 0.1, 0.1], [-0.1, 0.7, 0.0]]]).expand(len(y), -1, -1)
    return F.grid_sample(y, F.affine_grid(turn, list(y.shape), align_corners=False), align_corners=False)


def _other_lines_at_the_border(x: Tensor, layer: nn.Module, wide: nn.Module) -> Tensor:
    return torch.cat([wide(x)[:, :, :1], layer(x)[:, :, 1:-1], wide(x)[:, :, -1:]], 2)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    "function",
    [(_sheared, 0), (_turned_a_little, 0), (_other_lines_at_the_border, 1)],
    ids=lambda pair: pair[0].__name__,
)
def test_m_fields_hold_what_cells_of_all_lines_see(function: tuple[Callable[..., Tensor], int], flat: bool) -> None:
    code, padding = function
    layers = conv(3, 2, 3, padding=padding), conv(3, 2, (3, 9), padding=(1, 4))

    def turned(x: Tensor, *parts: nn.Module) -> Tensor:
        return code(x.mT, *parts).mT

    rf = TorchReceptiveField(Code(code if flat else turned, *layers[: 1 + padding]))
    with pytest.warns(UserWarning, match="depends on where they stand along another"):
        rf.compute((3, 13, 18) if flat else (3, 18, 13))
    for cell in np.ndindex(rf.output_shape.w, rf.output_shape.h):
        seen, field = rf.rect_at(cell, clip=True), rf.rect_at(cell)
        if seen != Rect(0, 0, 0, 0):
            assert field.left <= seen.left < seen.right <= field.right
            assert field.top <= seen.top < seen.bottom <= field.bottom


def test_m_where_each_cell_of_a_sheared_map_looks() -> None:
    rf = TorchReceptiveField(Code(_sheared, conv(3, 2, 3)))
    with pytest.warns(UserWarning, match="rect_at"):
        rf.compute((3, 13, 18))
    assert [rf.rect_at((x, y), clip=True) for x, y in ((0, 0), (4, 4), (9, 4), (9, 8))] == [
        Rect(0, 0, 3, 3), Rect(0, 4, 3, 7), Rect(5, 4, 8, 7), Rect(1, 8, 4, 11),
    ]  # fmt: skip


# -- L: holes --------------------------------------------------------------------------------------------------------


def test_l_what_lies_in_the_holes_of_a_kernel_is_not_seen() -> None:
    rf = measured(conv(3, 2, (1, 3), dilation=(1, 2)), (3, 20, 30))
    assert np.argwhere(rf.cells_seeing((1, 0))).tolist() == [[0, 1]]
    assert np.argwhere(rf.cells_seeing((4, 7))).tolist() == [[7, 0], [7, 2], [7, 4]]


def test_l_what_strides_step_over_is_not_seen() -> None:
    rf = measured(conv(3, 2, 1, stride=2), (3, 20, 30))
    assert rf.cells_seeing((4, 6)).sum() == 1
    assert not rf.cells_seeing((5, 6)).any()
