"""Numbers from outside: published tables and rules of arithmetic.

R, S and P are size, stride and padding of a receptive field; its offset in pixel-edge coordinates is R / 2 - P. VGG16
and InceptionV3: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019 (table
in google-research/receptive_field). ResNet50: derived by hand from its layers. All of them hold at any image size here,
since every padding of these networks is symmetric at sizes divisible by 32.
"""

from __future__ import annotations

from functools import cache

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rfwidget.keras import KerasReceptiveField
from rfwidget.types import Size

VGG16 = {
    "block1_conv1": (3, 1, 1),
    "block1_pool": (6, 2, 2),
    "block2_conv1": (10, 2, 4),
    "block2_pool": (16, 4, 6),
    "block3_conv1": (24, 4, 10),
    "block3_conv2": (32, 4, 14),
    "block3_pool": (44, 8, 18),
    "block4_conv1": (60, 8, 26),
    "block4_pool": (100, 16, 42),
    "block5_conv1": (132, 16, 58),
    "block5_conv2": (164, 16, 74),
    "block5_pool": (212, 32, 90),
}
INCEPTION_V3 = {
    "mixed0": (63, 8, 18),
    "mixed1": (95, 8, 34),
    "mixed2": (127, 8, 50),
    "mixed3": (159, 16, 58),
    "mixed4": (351, 16, 154),
    "mixed7": (927, 16, 442),
    "mixed8": (1055, 32, 490),
    "mixed9": (1183, 32, 554),
    "mixed10": (1311, 32, 618),
}
RESNET50 = {
    "conv2_block3_out": (35, 4, 17),
    "conv3_block4_out": (99, 8, 49),
    "conv4_block6_out": (291, 16, 145),
    "conv5_block3_out": (483, 32, 241),
}
TABLES = {"VGG16": VGG16, "InceptionV3": INCEPTION_V3, "ResNet50": RESNET50}


@cache
def application(name: str) -> keras.Model:
    height, width = (139, 203) if name == "InceptionV3" else (96, 160)
    return getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(height, width, 3))


@pytest.mark.parametrize(
    ("model", "layer", "row"),
    [(model, layer, row) for model, table in TABLES.items() for layer, row in table.items()],
)
def test_published_rows(model, layer, row):
    size, stride, padding = row
    rf = KerasReceptiveField(application(model))
    description = rf.compute(output_layer=layer)
    assert description.size == (size, size)
    assert description.stride == (stride, stride)
    assert description.offset == (size / 2 - padding, size / 2 - padding)
    assert rf.uniform == (True, True)


def stack(*layers: keras.Layer, shape: tuple[int, int, int] = (96, 96, 3)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


def conv(kernel, filters=4, **options) -> keras.Layer:
    return keras.layers.Conv2D(filters, kernel, **options)


def readme_layers(activation: str, pooling: type[keras.Layer]) -> list[keras.Layer]:
    kernels = [5, 3, None, 3, 3, None, 3, 3]
    return [pooling(2) if kernel is None else conv(kernel, activation=activation) for kernel in kernels]


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("pooling", [keras.layers.AveragePooling2D, keras.layers.MaxPooling2D])
def test_readme_model(activation, pooling):
    rf = KerasReceptiveField(stack(*readme_layers(activation, pooling)))
    assert rf.compute() == ((17, 17), (4, 4), (34, 34))
    assert (rf.output_shape.w, rf.output_shape.h) == (16, 16)


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("pooling", [keras.layers.AveragePooling2D, keras.layers.MaxPooling2D])
@pytest.mark.parametrize(
    ("kernels", "padding", "size", "offset"),
    [
        ([7, 5, None, 5], "valid", 20, 10),
        ([5, 3, None, 3, 3], "valid", 16, 8),
        ([5, 3, None, 3, 3], "same", 16, 1),
    ],
)
def test_small_models_of_the_original(kernels, padding, size, offset, activation, pooling):
    layers = [
        pooling(2, padding=padding) if kernel is None else conv(kernel, padding=padding, activation=activation)
        for kernel in kernels
    ]
    description = KerasReceptiveField(stack(*layers)).compute()
    assert description == ((offset, offset), (2, 2), (size, size))


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kernel", "dilation"), [((3, 5), (2, 1)), ((2, 4), (3, 5)), ((1, 7), (4, 2))])
def test_dilation_stretches_a_kernel(kernel, dilation):
    rf = KerasReceptiveField(stack(conv(kernel, dilation_rate=dilation), shape=(40, 52, 1)))
    height, width = (d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    assert rf.compute().size == Size(width, height)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_stack_grows_linearly(depth):
    layers = [conv((5, 3), padding="same", activation="relu") for _ in range(depth)]
    assert KerasReceptiveField(stack(*layers, shape=(24, 36, 3))).compute().size == (2 * depth + 1, 4 * depth + 1)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_uniform_kernels_give_the_n_fold_convolution_of_a_box(depth):
    """Its variance is n (k^2 - 1) / 12 per axis."""
    height, width = 5, 3
    layers = [conv((height, width), filters=2, activation="relu") for _ in range(depth)]
    rf = KerasReceptiveField(stack(*layers, shape=(30, 26, 1)), init_weights=True)
    rf.compute()
    gradient = rf.gradient_at((4, 2))[..., 0].astype(float)
    for axis, kernel, first in ((0, height, 2), (1, width, 4)):
        profile = gradient.sum(axis=1 - axis) / gradient.sum()
        expected = np.ones(1)
        for _ in range(depth):
            expected = np.convolve(expected, np.ones(kernel) / kernel)
        assert_allclose(profile[first : first + len(expected)], expected, rtol=1e-5)
        place = np.arange(len(profile))
        variance = (profile * place**2).sum() - (profile * place).sum() ** 2
        assert_allclose(variance, depth * (kernel**2 - 1) / 12, rtol=1e-5)
