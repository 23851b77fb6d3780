"""Architectures whose receptive fields are known from outside, written out here."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def readme_model() -> nn.Sequential:
    """The model of the README: 34 pixels, 4 apart, the first one's centre at 17."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 5), nn.Conv2d(32, 32, 3), nn.AvgPool2d(2), nn.Conv2d(32, 64, 3), nn.Conv2d(64, 64, 3),
        nn.AvgPool2d(2), nn.Conv2d(64, 128, 3), nn.Conv2d(128, 128, 3),
    )  # fmt: skip


def vgg16() -> nn.Sequential:
    parts: list[nn.Module] = []
    c = 3
    for width, count in ((8, 2), (16, 2), (16, 3), (16, 3), (16, 3)):
        for _ in range(count):
            parts += [nn.Conv2d(c, width, 3, padding=1), nn.ReLU(inplace=True)]
            c = width
        parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts)


class Bottleneck(nn.Module):
    def __init__(self, c: int, width: int, stride: int, *, in_the_3x3: bool) -> None:
        super().__init__()
        first, second = (1, stride) if in_the_3x3 else (stride, 1)
        self.conv1, self.bn1 = nn.Conv2d(c, width, 1, first, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, second, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or c != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(c, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += identity
        return self.relu(out)


class ResNet50(nn.Module):
    """With the stride in the 3x3 convolutions (v1.5) or in the 1x1 ones before them (v1)."""

    def __init__(self, *, in_the_3x3: bool = True) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        c = 8
        for number, (width, count) in enumerate(((4, 3), (8, 4), (8, 6), (8, 3)), start=1):
            blocks = []
            for k in range(count):
                blocks.append(Bottleneck(c, width, 2 if k == 0 and number > 1 else 1, in_the_3x3=in_the_3x3))
                c = 4 * width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(c, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


class DenseLayer(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(c), nn.Conv2d(c, 8, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(y)))], 1)


def densenet121() -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    c = 8
    for number, count in enumerate((6, 12, 24, 16)):
        for _ in range(count):
            parts.append(DenseLayer(c))
            c += 4
        if number < 3:
            parts += [nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c // 2, 1), nn.AvgPool2d(2)]
            c //= 2
    return nn.Sequential(*parts, nn.BatchNorm2d(c))


class InvertedResidual(nn.Module):
    def __init__(self, c: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = c * expand
        parts: list[nn.Module] = [] if expand == 1 else [nn.Conv2d(c, wide, 1), nn.BatchNorm2d(wide), nn.ReLU6()]
        parts += [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide), nn.BatchNorm2d(wide), nn.ReLU6()]
        self.conv = nn.Sequential(*parts, nn.Conv2d(wide, out, 1), nn.BatchNorm2d(out))
        self.same = stride == 1 and c == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.same else self.conv(x)


def mobilenet_v2() -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU6()]
    c = 4
    settings = ((1, 2, 1, 1), (6, 3, 2, 2), (6, 4, 3, 2), (6, 5, 4, 2), (6, 6, 3, 1), (6, 7, 3, 2), (6, 8, 1, 1))
    for expand, out, count, stride in settings:
        for k in range(count):
            parts.append(InvertedResidual(c, out, stride if k == 0 else 1, expand))
            c = out
    return nn.Sequential(*parts, nn.Conv2d(c, 16, 1), nn.ReLU6())


def _conv(c: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | tuple[int, int] = 0) -> nn.Module:
    return nn.Sequential(nn.Conv2d(c, 4, kernel, stride, padding, bias=False), nn.BatchNorm2d(4), nn.ReLU())


class Branches(nn.Module):
    """What an Inception block is made of: chains side by side, concatenated."""

    def __init__(self, *branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception_v3() -> nn.Sequential:
    parts: list[nn.Module] = [_conv(3, 3, 2), _conv(4, 3), _conv(4, 3, 1, 1), nn.MaxPool2d(3, 2), _conv(4, 1)]
    parts += [_conv(4, 3), nn.MaxPool2d(3, 2)]
    c = 4

    def add(*branches: Sequence[nn.Module]) -> None:
        nonlocal c
        parts.append(Branches(*branches))
        c = sum(4 if isinstance(branch[-1], nn.Sequential | Branches) else c for branch in branches)

    def pooled() -> list[nn.Module]:
        return [nn.AvgPool2d(3, 1, 1), _conv(c, 1)]

    for _ in range(3):
        add([_conv(c, 1)], [_conv(c, 1), _conv(4, 5, 1, 2)],
            [_conv(c, 1), _conv(4, 3, 1, 1), _conv(4, 3, 1, 1)], pooled())  # fmt: skip
    add([_conv(c, 3, 2)], [_conv(c, 1), _conv(4, 3, 1, 1), _conv(4, 3, 2)], [nn.MaxPool2d(3, 2)])
    wide, high = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    for _ in range(4):
        add([_conv(c, 1)], [_conv(c, 1), _conv(4, *wide), _conv(4, *high)],
            [_conv(c, 1), _conv(4, *high), _conv(4, *wide), _conv(4, *high), _conv(4, *wide)], pooled())  # fmt: skip
    add([_conv(c, 1), _conv(4, 3, 2)], [_conv(c, 1), _conv(4, *wide), _conv(4, *high), _conv(4, 3, 2)],
        [nn.MaxPool2d(3, 2)])  # fmt: skip
    for _ in range(2):
        both = [[_conv(4, (1, 3), 1, (0, 1))], [_conv(4, (3, 1), 1, (1, 0))]]
        more = [[_conv(4, (1, 3), 1, (0, 1))], [_conv(4, (3, 1), 1, (1, 0))]]
        parts.append(Branches([_conv(c, 1)], [_conv(c, 1), Branches(*both)],
                              [_conv(c, 1), _conv(4, 3, 1, 1), Branches(*more)], pooled()))  # fmt: skip
        c = 4 + 8 + 8 + 4
    return nn.Sequential(*parts)


def patchgan(depth: int) -> nn.Sequential:
    """pix2pix' discriminator: 4x4 convolutions, ``depth`` of them with stride 2, two without."""
    parts: list[nn.Module] = []
    c = 3
    for _ in range(depth):
        parts += [nn.Conv2d(c, 4, 4, 2, 1), nn.LeakyReLU(0.2)]
        c = 4
    return nn.Sequential(*parts, nn.Conv2d(c, 4, 4, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4, 1, 1))


class UNet(nn.Module):
    """Down twice and up again, with what was before put beside it."""

    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
        self.up1, self.up2 = nn.Conv2d(6, 3, 3, padding=1), nn.Conv2d(6, 2, 3)
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(3, 3, 2, 2) if transposed else nn.Upsample(scale_factor=2, mode="bilinear")
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        one = F.leaky_relu(self.down1(x))
        two = F.leaky_relu(self.down2(self.pool(one)))
        low = F.leaky_relu(self.bottom(self.pool(two)))
        x = F.leaky_relu(self.up1(self._beside(two, self.grow[0](low))))
        return self.up2(self._beside(one, self.grow[1](x)))

    def _beside(self, old: Tensor, new: Tensor) -> Tensor:
        y, x = ((a - b) // 2 for a, b in zip(old.shape[2:], new.shape[2:], strict=True))
        return torch.cat([old[:, :, y : y + new.shape[2], x : x + new.shape[3]], new], 1)
