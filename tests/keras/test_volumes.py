"""Volumes and frames in Keras: known values, networks of three axes, frames step by step, and the black box."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rfwidget.keras import KerasReceptiveField
from rfwidget.signals import get_default_volume
from rfwidget.types import GridPoint, GridShape, Rect, Size
from tests.any_rank import Oracle, mismatches, verdicts
from tests.keras.any_rank import make


def black_box(rf: KerasReceptiveField, model: keras.Model) -> Any:
    whole = keras.Model(model.inputs[0], model.get_layer(rf.output_layer).output)
    return lambda inputs: np.asarray(whole(inputs, training=False))


def unet() -> keras.Model:
    image = keras.Input((12, 16, 20, 1))
    down = layers.Conv3D(4, (1, 3, 3), padding="same", activation="leaky_relu")(image)
    x = layers.AveragePooling3D((1, 2, 2))(down)
    x = layers.Conv3D(4, 3, padding="same", activation="leaky_relu")(x)
    x = layers.Conv3DTranspose(4, (1, 2, 2), strides=(1, 2, 2))(x)
    x = layers.Concatenate()([x, down])
    return keras.Model(image, layers.Conv3D(2, (3, 1, 1))(x))


def r2plus1d() -> keras.Model:
    image = x = keras.Input((9, 14, 18, 2))
    for strides in ((1, 1), (2, 2)):
        y = layers.Conv3D(4, (1, 3, 3), strides=(1, strides[0], strides[1]), padding="same")(x)
        y = layers.LeakyReLU()(y)
        y = layers.Conv3D(4, (3, 1, 1), strides=(strides[0], 1, 1), padding="same")(y)
        x = layers.Add()([y, layers.Conv3D(4, 1, strides=strides[0])(x)])
    return keras.Model(image, x)


def test_axes_are_x_then_y_then_z() -> None:
    model = keras.Sequential([keras.Input((16, 24, 20, 2)), layers.Conv3D(3, (3, 5, 7), strides=(1, 2, 4))])
    rf = KerasReceptiveField(model)
    assert str(rf.compute()) == (
        "ReceptiveFieldDescription(offset=(3.5, 2.5, 1.5), stride=(4.0, 2.0, 1.0), size=Size(w=7, h=5, d=3))"
    )
    assert rf.input_shape == GridShape(n=None, w=20, h=24, d=16, c=2)
    assert rf.output_shape == GridShape(n=None, w=4, h=10, d=14, c=1)
    assert rf.rect_at((1, 2, 3)) == Rect(left=4, top=4, front=3, right=11, bottom=9, back=6)
    seeing = rf.cells_seeing((5, 4, 3))
    assert seeing.shape == (14, 10, 4)
    assert sorted(set(seeing.nonzero()[2].tolist())) == [0, 1]
    assert rf.cells_covering((4, 4, 3, 11, 9, 6)).nonzero() == (3, 2, 1)


@pytest.mark.parametrize("build", [unet, r2plus1d])
def test_networks_of_volumes_agree_with_the_black_box(build: Any) -> None:
    keras.utils.set_random_seed(3)
    model = build()
    rf = KerasReceptiveField(model)
    rf.compute()
    assert mismatches(rf, black_box(rf, model), seed=1) == []
    assert rf.verify().agree


def test_frames_one_by_one_are_exact_in_space_and_one_frame_deep() -> None:
    model = keras.Sequential([
        keras.Input((6, 18, 15, 2)),
        layers.TimeDistributed(layers.Conv2D(3, (5, 3), strides=2)),
        layers.TimeDistributed(layers.AveragePooling2D(2)),
    ])  # fmt: skip
    rf = KerasReceptiveField(model)
    assert rf.compute().size == Size(w=5, h=7, d=1)
    assert mismatches(rf, black_box(rf, model), seed=1) == []


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_conv_lstm_sees_all_frames_before_and_space_step_by_step(padding: str) -> None:
    keras.utils.set_random_seed(2)
    model = keras.Sequential([
        keras.Input((4, 15, 17, 2)), layers.ConvLSTM2D(3, (5, 3), padding=padding, return_sequences=True),
    ])  # fmt: skip
    rf = KerasReceptiveField(model)
    with pytest.warns(UserWarning, match="grows step by step"):
        rf.compute()
    assert rf.rf_params.size == Size(w=3 + 2 * 3, h=5 + 4 * 3, d=math.inf)  # as the last of four frames sees
    middle = GridPoint(rf.output_shape.w // 2, rf.output_shape.h // 2, 2)
    assert rf.rect_at(middle).edges[2] == (-math.inf, 3)
    truth = Oracle(black_box(rf, model), (4, 15, 17), 2, seed=1).more(30)
    assert {cell: rf.rect_at(cell, clip=True) for cell in truth} == truth


def test_gradients_and_effective_fields_of_volumes() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((20, 24, 28, 1)), layers.Conv3D(3, 3, activation="tanh"), layers.Conv3D(2, (1, 3, 5)),
    ])  # fmt: skip
    rf = KerasReceptiveField(model)
    rf.compute()
    volume = get_default_volume((20, 24, 28))
    gradient = rf.gradient_at((10, 9, 8), volume, channel=1)
    assert gradient.shape == (20, 24, 28, 1)
    rect = rf.rect_at((10, 9, 8))
    inside = tuple(slice(int(low), int(high)) for low, high in reversed(rect.edges))
    assert gradient[inside].any(axis=(1, 2, 3)).all()
    assert (gradient != 0).sum() == (gradient[inside] != 0).sum()
    field = rf.effective(volume[None])
    assert field.map.shape == (3, 5, 7)
    assert field.size == Size(w=7, h=5, d=3)
    assert len(field.radius) == len(field.fit_gaussian().center) == 3
    assert field.rect_at((1, 1, 1)) == Rect(1, 1, 1, 8, 6, 4)


def test_random_volumes_agree_with_the_black_box() -> None:
    assert verdicts(3, 40, make) == []
