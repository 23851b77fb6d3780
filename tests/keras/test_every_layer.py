"""Every layer of Keras that takes a map, against a black box that changes pixels: by a rule, or followed into its code.

What no rule is written for today, or comes with the next version of Keras, is tried here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rfwidget.keras.looks import Inputs, ModelLooks
from tests.keras.foreign_code import SHAPE, Case, changes, extents

_POSITIVE = keras.initializers.RandomUniform(0.5, 1.5, seed=4)
_SMALL = keras.initializers.RandomUniform(0.1, 0.3, seed=4)

TOLD: dict[str, Callable[[], Any]] = {
    "Activation": lambda: layers.Activation("gelu"),
    "AdaptiveAveragePooling2D": lambda: layers.AdaptiveAveragePooling2D((3, 4)),
    "AdaptiveMaxPooling2D": lambda: layers.AdaptiveMaxPooling2D((4, 5)),
    "AlphaDropout": lambda: layers.AlphaDropout(0.5),
    "AutoContrast": lambda: layers.AutoContrast(value_range=(-1000, 1000)),
    "CenterCrop": lambda: layers.CenterCrop(6, 7),
    "Conv2D": lambda: layers.Conv2D(3, (3, 5), strides=(2, 1), kernel_initializer=_POSITIVE),
    "Conv2DTranspose": lambda: layers.Conv2DTranspose(3, (2, 4), strides=(3, 2), kernel_initializer=_POSITIVE),
    "ConvLSTM1D": lambda: layers.ConvLSTM1D(
        2, 3, padding="same", return_sequences=True, kernel_initializer=_SMALL, recurrent_initializer=_SMALL
    ),
    "Cropping2D": lambda: layers.Cropping2D(((1, 2), (0, 3))),
    "Dense": lambda: layers.Dense(3),
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D((3, 2), depthwise_initializer=_POSITIVE),
    "Discretization": lambda: layers.Discretization([-1.0, 0.0, 1.0]),
    "Dropout": lambda: layers.Dropout(0.5),
    "EinsumDense": lambda: layers.EinsumDense("nhwc,hk->nkwc", output_shape=(6, 14, 2), kernel_initializer=_POSITIVE),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5),
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "LayerNormalization": lambda: layers.LayerNormalization(axis=(1, 3)),
    "Lambda": lambda: layers.Lambda(lambda x: x[:, ::-2]),
    "MaxPooling2D": lambda: layers.MaxPooling2D((2, 3), strides=(1, 2)),
    "Permute": lambda: layers.Permute((2, 1, 3)),
    "Pipeline": lambda: layers.Pipeline([layers.Rescaling(2.0), layers.CenterCrop(6, 7)]),
    "RandomCrop": lambda: layers.RandomCrop(6, 7),
    "Rescaling": lambda: layers.Rescaling(2.0),
    "Reshape": lambda: layers.Reshape((5, 28, 2)),
    "Resizing": lambda: layers.Resizing(7, 9, interpolation="bicubic"),
    "SeparableConv2D": lambda: layers.SeparableConv2D(3, (3, 2), depthwise_initializer=_POSITIVE),
    "Softmax": lambda: layers.Softmax(axis=1),
    "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.5),
    "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Conv2D(3, (3, 2))),
    "TimeDistributed": lambda: layers.TimeDistributed(layers.Conv1D(3, 3, padding="same")),
    "UnitNormalization": lambda: layers.UnitNormalization(axis=2),
    "UpSampling2D": lambda: layers.UpSampling2D((2, 3), interpolation="bilinear"),
    "ZeroPadding2D": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
}
"""Layers that must be told something, or are worth more if they are."""

UNFIT = {
    "ContrastLimitedAdaptiveHistogramEqualization", "IntegerLookup", "StringLookup", "InputLayer",
    "Layer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "AugMix", "MultiHeadAttention",
    "MaxNumBoundingBoxes",
}  # fmt: skip
"""Layers whose numbers are too coarse for a black box, that need files or other frameworks, or take no such map."""


FADING = {"ConvLSTM1D"}
"""Layers in which what was seen long ago is soon lost in single precision."""


def _takes_maps(name: str) -> bool:
    """Whether a layer class gives a map for a map."""
    kind = getattr(layers, name)
    if name in UNFIT or not isinstance(kind, type) or not issubclass(kind, keras.Layer) or kind.__name__ != name:
        return False
    try:
        layer = TOLD[name]() if name in TOLD else kind()
        return len(layer(keras.KerasTensor((None, *SHAPE))).shape) == 4
    except Exception:  # it must be told more, or takes sequences, volumes, pairs: whatever Keras raises then
        return False


@pytest.mark.parametrize("name", [name for name in dir(layers) if _takes_maps(name)])
def test_every_layer_of_keras_that_takes_a_map_agrees_with_a_black_box(name: str) -> None:
    image = keras.Input(SHAPE)
    layer = TOLD[name]() if name in TOLD else getattr(layers, name)()
    model = keras.Model(image, layers.Identity(name="end")(layer(image)))
    carried = ModelLooks(model, Inputs((SHAPE,), 0), local=False).carried("end")
    assert not carried.marks.unknown
    for axis in (0, 1):
        trials = 20 if name in FADING else 60
        seen = extents(changes(Case(lambda _, x: x, trials=trials), partial(model, training=False), axis))
        told = [np.broadcast_to(edges, carried.shape)[0, ..., 0] for edges in carried.spans(axis)]
        if name in FADING:
            assert (told[0] <= seen[0]).all()
            assert (told[1] >= seen[1]).all()
            assert np.mean(np.not_equal(told, seen)) < 0.02
        else:
            np.testing.assert_array_equal(told, seen, err_msg=f"axis {axis}")
