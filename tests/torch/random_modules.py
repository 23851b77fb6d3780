"""Random modules of PyTorch: chains and branches of all sorts of layers, operations and plain code."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Code(nn.Module):
    """A function as a module."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.name, self.function = name, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return self.name


class Residual(nn.Module):
    """A branch beside the tensor itself, joined where both have cells."""

    def __init__(self, branch: nn.Module, join: str) -> None:
        super().__init__()
        self.branch, self.join = branch, join

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        h, w = min(x.shape[2], y.shape[2]), min(x.shape[3], y.shape[3])
        x, y = x[:, :, :h, :w], y[:, :, :h, :w]
        if self.join == "cat":
            return torch.cat([x, y], dim=1)
        if self.join == "mul":
            return (x + 1.5) * (y + 1.5)  # nothing may be multiplied by the zeros of padding
        if self.join == "stack":
            return torch.stack([x, y]).mean(dim=0)
        if self.join == "iadd":
            x = x.clone()
            x += y
            return x
        return x + y

    def extra_repr(self) -> str:
        return self.join


class Masked(nn.Conv2d):
    """A kernel with holes."""

    mask: Tensor

    def __init__(self, c: int, out: int, k: int, draw: random.Random) -> None:
        super().__init__(c, out, k, padding=draw.randrange(2))
        mask = torch.tensor([[draw.random() < 0.4 for _ in range(k)] for _ in range(k)])
        mask[draw.randrange(k), draw.randrange(k)] = True
        self.register_buffer("mask", mask.double())

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class WritesInPlace(nn.Module):
    """A result that is filled part by part."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        out = y.new_zeros(y.shape[0], y.shape[1] + 1, *y.shape[2:])
        out[:, :-1] = y
        out[:, -1, ::2] = y[:, 0, ::2] * 2
        out[..., 1:, :] += out[..., :-1, :].clone()
        return out


class Unpool(nn.Module):
    """Maxima put back where they were."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
        y, where = self.pool(x)
        return self.unpool(y, where, output_size=x.shape[2:])


class Excite(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.fc = nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1.5) * self.fc(x.mean(dim=(2, 3))).sigmoid()[:, :, None, None]


class ChannelsLast(nn.Module):
    """As ConvNeXt has it: `LayerNorm` and `Linear` over the last axis."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(c), nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Every cell looks at every other one."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens).transpose(1, 2).reshape(n, c, h, w) + x


class FixedKernel(nn.Module):
    """A constant kernel, with zeros in it."""

    kernel: Tensor

    def __init__(self, c: int, draw: random.Random, *, transposed: bool) -> None:
        super().__init__()
        self.transposed, self.c = transposed, c
        rows = [[draw.choice([0.0, 0.0, 1.0, 2.0]) for _ in range(3)] for _ in range(3)]
        rows[draw.randrange(3)][draw.randrange(3)] = 1.0
        self.register_buffer("kernel", torch.tensor(rows).double().repeat(c, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.transposed:
            return F.conv_transpose2d(x, self.kernel, stride=2, groups=self.c)
        return F.conv2d(x, self.kernel, padding=1, groups=self.c)


def _conv(c: int, draw: random.Random) -> tuple[nn.Module, int]:
    groups = draw.choice([1, 1, 1, c])
    out = c if groups == c else draw.choice([2, 3, 4])
    kernel = (draw.choice([1, 2, 3, 3, 4]), draw.choice([1, 2, 3, 3, 4]))
    mode = draw.choice(["zeros", "zeros", "zeros", "reflect", "replicate", "circular"])
    conv = nn.Conv2d(
        c, out, kernel, stride=(draw.choice([1, 1, 2]), draw.choice([1, 1, 2])),
        padding=(draw.randrange(2), draw.randrange(2)), dilation=(draw.choice([1, 1, 2]), draw.choice([1, 1, 2])),
        groups=groups, padding_mode=mode,
    )  # fmt: skip
    return conv, out


def _transposed(c: int, draw: random.Random) -> tuple[nn.Module, int]:
    stride = draw.choice([1, 2])
    kernel = draw.choice([2, 3, 4])
    return nn.ConvTranspose2d(c, 3, kernel, stride=stride, padding=draw.randrange(2),
                              output_padding=draw.randrange(stride)), 3  # fmt: skip


def _code(c: int, draw: random.Random) -> tuple[nn.Module, int]:
    name, function = draw.choice(_FUNCTIONS)
    return Code(name, function), c


def _matrix(x: Tensor) -> Tensor:
    """No two rows are alike, and nothing is zero."""
    c = x.shape[1]
    return torch.arange(1, c * c + 1, dtype=x.dtype).sqrt().reshape(c, c)


def _even(x: Tensor) -> Tensor:
    return x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]


_FUNCTIONS: Sequence[tuple[str, Callable[[Any], Any]]] = (
    ("crop", lambda x: x[:, :, 1:, :-1]),
    ("steps", lambda x: x[:, :, ::2, 1::3]),
    ("roll", lambda x: torch.roll(x, (1, -2), (2, 3))),
    ("pad", lambda x: F.pad(x, (1, 2, 0, 3))),
    ("negative pad", lambda x: F.pad(x, (-1, 2, 1, -1))),
    ("reflect", lambda x: F.pad(x, (2, 1, 1, 0), mode="reflect")),
    ("difference", lambda x: x[:, :, 1:] - x[:, :, :-1]),
    ("compared", lambda x: torch.where(x > 0, x, 0.3 * x)),
    ("channels swapped", lambda x: x.flip(1)),
    ("first channel", lambda x: x[:, :1] + x),
    ("twice", lambda x: x.repeat_interleave(2, dim=3)),
    ("chosen rows", lambda x: x[:, :, torch.arange(0, x.shape[2], 3)]),
    ("unfold and fold", lambda x: F.fold(F.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1)),
    ("windows", lambda x: x.unfold(2, 3, 2).amax(dim=-1)),
    ("sorted channels", lambda x: x.sort(dim=1).values),
    ("smooth", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)),
    ("smaller", lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False)),
    ("cubic", lambda x: F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)),
    ("copies", lambda x: F.interpolate(x, scale_factor=(2, 3))),
    ("anti-aliased", lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)),
    ("shuffled", lambda x: F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2)),
    ("unshuffled", lambda x: F.pixel_unshuffle(_even(x), 2)[:, : x.shape[1]]),
    ("softmax", lambda x: torch.cat([x, x[:, :1] * 0.5], dim=1).softmax(dim=1)[:, :-1]),
    ("moved and back", lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1)),
    ("einsum", lambda x: torch.einsum("nchw,dc->ndhw", x, _matrix(x))),
)  # fmt: skip


def _layer(c: int, draw: random.Random) -> tuple[nn.Module, int]:
    kind = draw.randrange(20)
    if kind < 7:
        return _conv(c, draw)
    if kind < 11:
        return _code(c, draw)
    if kind == 11:
        return _transposed(c, draw)
    if kind == 12:
        k = draw.choice([2, 3])
        return nn.MaxPool2d(k, stride=draw.choice([1, 2]), padding=draw.randrange(2), ceil_mode=draw.random() < 0.5), c
    if kind == 13:
        return nn.AvgPool2d(
            (draw.choice([1, 2, 3]), 2), stride=(draw.choice([1, 2]), 1), ceil_mode=draw.random() < 0.5
        ), c
    if kind == 14:
        return Masked(c, 3, 3, draw), 3
    if kind == 15:
        return WritesInPlace(nn.Conv2d(c, 2, 2)), 3
    if kind == 16:
        return draw.choice([ChannelsLast(c), nn.BatchNorm2d(c), nn.PReLU(c)]), c
    if kind == 17:
        return draw.choice([FixedKernel(c, draw, transposed=True), FixedKernel(c, draw, transposed=False)]), c
    branch, out = _chain(c, draw, draw.randrange(1, 3))
    join = draw.choice(["cat", "cat", "add", "mul", "stack", "iadd"])
    if join != "cat" and out != c:
        branch = nn.Sequential(branch, nn.Conv2d(out, c, 1))
    return Residual(branch, join), c + out if join == "cat" else c


def _chain(c: int, draw: random.Random, length: int) -> tuple[nn.Sequential, int]:
    parts: list[nn.Module] = []
    for _ in range(length):
        part, c = _layer(c, draw)
        parts.append(part)
        if draw.random() < 0.4:
            parts.append(draw.choice([nn.LeakyReLU(0.3), nn.GELU(), nn.LeakyReLU(0.2, inplace=True)]))
    return nn.Sequential(*parts), c


def random_module(seed: int, channels: int = 2) -> nn.Module:
    """A module that takes ``channels`` and has random weights, in float64 and evaluation mode."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    torch.manual_seed(seed)
    module, c = _chain(channels, draw, draw.randrange(2, 6))
    if draw.random() < 0.12:
        module.append(draw.choice([Excite(c), nn.GroupNorm(1, c), Attention()]))
        module.append(nn.Conv2d(c, 2, (2, 1)))
    module = module.double().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_var.uniform_(0.5, 2)
        if isinstance(part, ChannelsLast) and part.norm.normalized_shape == (1,):
            part.norm = nn.Identity()
    return module
