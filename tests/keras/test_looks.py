"""Looks at models whatever the rank: sequences and volumes go the way of images."""

from __future__ import annotations

import math
from typing import Any

import keras
import pytest
from keras import layers

from rfwidget.geometry import AxisField
from rfwidget.keras.looks import Inputs, ModelLooks


def fields(model: Any, shape: tuple[int, ...], path: str, *, local: bool = False) -> tuple[AxisField, ...]:
    looks = ModelLooks(model, Inputs((shape,), 0), local=local)
    assert looks.asked.failure is None
    axes = looks.fields([path], lambda: None).axes(path)
    assert axes is not None
    return axes


def stack(shape: tuple[int, ...], *stacked: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *stacked, layers.Identity(name="end")])


def volume(*stacked: Any) -> Any:
    return stack((9, 10, 12, 2), *stacked)


def causal(size: int, dilation: int) -> Any:
    return layers.Conv1D(2, size, padding="causal", dilation_rate=dilation)


def residual_tcn(kernel: int, dilations: tuple[int, ...], stacks: int, length: int) -> Any:
    """Two convolutions in each block, with a way around them."""
    x = image = keras.Input((length, 2))
    for dilation in dilations * stacks:
        y = layers.ReLU()(causal(kernel, dilation)(x))
        x = layers.Add()([x, causal(kernel, dilation)(y)])
    return keras.Model(image, layers.Identity(name="end")(x))


SEQUENCES: dict[str, tuple[Any, tuple[float, float, float]]] = {
    # 1 + (7 - 1) + (4 - 1) * 2, every 2nd; the first begins at sample 0.
    "strides": (lambda n: stack((n, 3), layers.Conv1D(2, 7, strides=2), layers.Conv1D(2, 4)), (13, 2, 6.5)),
    # 1 + 4 * 3; half of it on either side.
    "dilated": (lambda n: stack((n, 3), layers.Conv1D(2, 5, dilation_rate=3, padding="same")), (13, 1, 0.5)),
    # Kernel 2, dilations 1 ... 512, all before the sample: 1 + 1023.
    "WaveNet": (lambda n: stack((n, 1), *(causal(2, 2**k) for k in range(10))), (1024, 1, -511)),
    # 1 + 2 * 7 * (1 + 2 + 4 + 8) * 3.
    "TCN": (lambda n: residual_tcn(8, (1, 2, 4, 8), 3, n), (631, 1, 1 - 631 / 2)),
    # 1 + 2 * 2 * (1 + 3).
    "a small TCN": (lambda n: residual_tcn(3, (1, 3), 1, n), (17, 1, -7.5)),
    # A window of 6 every 3, of which 2 are read: 6 + 3.
    "pooled": (lambda n: stack((n, 3), layers.MaxPooling1D(6, 3), layers.SeparableConv1D(2, 2)), (9, 3, 4.5)),
    "cut and padded": (lambda n: stack((n, 3), layers.ZeroPadding1D((4, 0)), layers.Conv1D(2, 5)), (5, 1, -1.5)),
    "depthwise": (
        lambda n: stack((n, 3), layers.DepthwiseConv1D(5, strides=3), layers.Cropping1D((1, 0))),
        (5, 3, 5.5),
    ),
}


@pytest.mark.parametrize("length", [211, 640])
@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str, length: int) -> None:
    build, expected = SEQUENCES[name]
    model = build(length)
    (field,) = fields(model, tuple(model.inputs[0].shape[1:]), "end")
    assert (field.size, field.stride, field.offset) == expected


def test_the_last_sample_of_a_causal_network_sees_all_that_its_field_holds() -> None:
    model = residual_tcn(8, (1, 2, 4, 8), 3, 631)
    (field,) = fields(model, (631, 2), "end")
    assert field.edges_at(630) == (0, 631)


@pytest.mark.parametrize("layer", [
    lambda: layers.Bidirectional(layers.GRU(2, return_sequences=True)),
    lambda: layers.LayerNormalization(axis=1),
], ids=["both ways", "norm"])  # fmt: skip
def test_sequences_with_global_context(layer: Any) -> None:
    image = keras.Input((40, 2))
    x = layers.Conv1D(4, 5, padding="same")(image)
    model = keras.Model(image, layers.Add(name="end")([x, layer()(x)]))
    assert [axis.size for axis in fields(model, (40, 2), "end")] == [math.inf]
    assert [axis.size for axis in fields(model, (40, 2), "end", local=True)] == [5]


VOLUMES: dict[str, tuple[Any, tuple[float, ...], tuple[float, ...]]] = {
    "convolution": (lambda: volume(layers.Conv3D(2, (2, 3, 5), strides=(1, 2, 1))), (2, 3, 5), (1, 2, 1)),
    # Windows of (1, 2, 2) first, then (3, 1, 2) of them: 2 + (2 - 1) * 2 along the last axis.
    "pooled": (
        lambda: volume(layers.MaxPooling3D((1, 2, 2)), layers.Conv3D(2, (3, 1, 2), padding="same")),
        (3, 2, 4), (1, 2, 2),
    ),
    "dilated": (lambda: volume(layers.Conv3D(2, (3, 3, 1), dilation_rate=(1, 3, 1))), (3, 7, 1), (1, 1, 1)),
    "cut": (
        lambda: volume(layers.Cropping3D(((1, 0), (0, 2), (1, 1))), layers.AveragePooling3D((2, 1, 3), 1)),
        (2, 1, 3), (1, 1, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(name: str) -> None:
    build, sizes, strides = VOLUMES[name]
    axes = fields(build(), (9, 10, 12, 2), "end")
    assert tuple(axis.size for axis in axes) == sizes
    assert tuple(axis.stride for axis in axes) == strides
