"""The same architecture in Keras and in PyTorch: the same receptive fields, cell by cell.

Both libraries pad alike where the padding is written out; a stride that is no divisor shows at the right and at the
bottom, in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import pytest
import torch
from keras import layers
from torch import Tensor, nn

from rfwidget.base import ReceptiveField
from rfwidget.keras import KerasReceptiveField
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import Size
from tests.models import readme_model
from tests.torch import known_modules

HEIGHT, WIDTH = 61, 84


class ResidualNet(nn.Module):
    """A stem and two blocks, the second with a stride and a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.first = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        self.second = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, (1, 5), padding=(0, 2)))
        self.project = nn.Conv2d(4, 8, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(x + self.first(x))
        return torch.relu(self.project(x) + self.second(x))


def residual_net(shape: tuple[int, int, int]) -> keras.Model:
    def conv(x: Any, filters: int, kernel: Any, stride: int, padding: Any) -> Any:
        return layers.Conv2D(filters, kernel, strides=stride)(layers.ZeroPadding2D(padding)(x))

    image = keras.Input(shape)
    x = layers.ReLU()(conv(image, 4, 7, 2, 3))
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    y = conv(layers.ReLU()(conv(x, 4, 3, 1, 1)), 4, 3, 1, 1)
    x = layers.ReLU()(layers.Add()([x, y]))
    y = conv(layers.ReLU()(conv(x, 8, 3, 2, 1)), 8, (1, 5), 1, (0, 2))
    return keras.Model(image, layers.ReLU()(layers.Add()([layers.Conv2D(8, 1, strides=2)(x), y])))


class MobileNetLike(nn.Module):
    """An inverted bottleneck with a stride, then one with a shortcut and squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(
            nn.Conv2d(3, 6, 1), nn.ReLU6(), nn.Conv2d(6, 6, 5, 2, 2, groups=6), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 1)
        )
        self.two = nn.Sequential(nn.Conv2d(4, 8, 1), nn.Hardswish(), nn.Conv2d(8, 8, 3, 1, 2, dilation=2, groups=8))
        self.squeeze, self.last = nn.Linear(8, 8), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        y = self.two(x)
        y = y * self.squeeze(y.mean((2, 3))).sigmoid()[:, :, None, None]
        return x + self.last(y)


def mobilenet_like(shape: tuple[int, int, int]) -> keras.Model:
    image = keras.Input(shape)
    x = layers.ZeroPadding2D(2)(layers.ReLU(max_value=6)(layers.Conv2D(6, 1)(image)))
    x = layers.Conv2D(4, 1)(layers.BatchNormalization()(layers.DepthwiseConv2D(5, strides=2)(x)))
    y = layers.ZeroPadding2D(2)(layers.Activation("hard_swish")(layers.Conv2D(8, 1)(x)))
    y = layers.DepthwiseConv2D(3, dilation_rate=2)(y)
    gate = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    return keras.Model(image, layers.Add()([x, layers.Conv2D(4, 1)(layers.Multiply()([y, gate]))]))


class UNet(nn.Module):
    """One step down and up again, by a transposed convolution, with a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, (3, 5), padding=(1, 2))
        self.up, self.last = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.down(x))
        y = self.up(torch.relu(self.deep(nn.functional.max_pool2d(x, 2))))
        return self.last(torch.cat([x[:, :, : y.shape[2], : y.shape[3]], y], dim=1))


def unet(shape: tuple[int, int, int]) -> keras.Model:
    image = keras.Input(shape)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    y = layers.Conv2D(8, (3, 5), padding="same", activation="relu")(layers.MaxPooling2D(2)(x))
    y = layers.Conv2DTranspose(4, 2, 2)(y)
    x = layers.Cropping2D(((0, shape[0] % 2), (0, shape[1] % 2)))(x)
    return keras.Model(image, layers.Conv2D(2, 3)(layers.Concatenate()([x, y])))


PAIRS: list[tuple[Callable[[Any], keras.Model], Callable[[], nn.Module], bool]] = [
    (readme_model, known_modules.readme_model, False),
    (residual_net, ResidualNet, False),
    (mobilenet_like, MobileNetLike, True),
    (mobilenet_like, MobileNetLike, False),
    (unet, UNet, False),
]


@pytest.mark.parametrize(("build", "module", "local"), PAIRS)
def test_the_same_architecture_has_the_same_fields(
    build: Callable[[Any], keras.Model], module: Callable[[], nn.Module], local: bool
) -> None:
    pair: list[ReceptiveField] = [KerasReceptiveField(build), TorchReceptiveField(module())]
    shapes = [(HEIGHT, WIDTH, 3), (3, HEIGHT, WIDTH)]
    for rf, shape in zip(pair, shapes, strict=True):
        rf.compute(shape, ignore_global_context=local)
    ours, theirs = pair
    assert ours.output_shape == theirs.output_shape
    assert ours.rf_params == theirs.rf_params
    assert ours.uniform == theirs.uniform
    for x in range(ours.output_shape.w):
        for y in range(ours.output_shape.h):
            assert ours.rect_at((x, y)) == theirs.rect_at((x, y))
    grid = ours.output_shape
    for cell in ((0, 0), (1, grid.h - 1), (grid.w // 2, grid.h // 2), (grid.w - 1, 2)):
        assert ours.rect_at(cell, clip=True) == theirs.rect_at(cell, clip=True)
    if build is mobilenet_like and not local:
        assert ours.rf_params.size == Size(math.inf, math.inf)


class Excited(nn.Module):
    """A convolution whose channels are weighted by their mean over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolve, self.weigh = nn.Conv2d(channels, 4, (5, 7), padding=(2, 3)), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolve(x)
        return x * self.weigh(x.mean((2, 3), keepdim=True)).sigmoid()


def excited(shape: tuple[int, int, int], count: int) -> keras.Model:
    x = image = keras.Input(shape)
    for _ in range(count):
        x = layers.Conv2D(4, (5, 7), padding="same")(x)
        mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Multiply()([x, layers.Conv2D(4, 1, activation="sigmoid")(mean)])
    return keras.Model(image, x)


@pytest.mark.parametrize("height", [20, 24, 31, 200])
@pytest.mark.parametrize("wing", ["keras", "torch"])
def test_local_fields_do_not_depend_on_whether_the_image_is_smaller_than_they_are(wing: str, height: int) -> None:
    """Where cells in the middle see the whole height, a mean over it tells nothing new. It is global all the same."""
    rf: ReceptiveField
    if wing == "keras":
        rf, shape = KerasReceptiveField(lambda input_shape: excited(input_shape, 10)), (height, 23, 3)
    else:
        rf, shape = TorchReceptiveField(nn.Sequential(Excited(3), *(Excited(4) for _ in range(9)))), (3, height, 23)
    assert rf.compute(shape, ignore_global_context=True).size == Size(1 + 10 * 6, 1 + 10 * 4)
    assert rf.uniform == (True, True)
    for x, y in ((0, 0), (22, height - 1), (9, 7)):
        assert rf.rect_at((x, y)) == (x - 30, y - 20, x + 31, y + 21)
    assert rf.compute(shape).size == Size(math.inf, math.inf)
