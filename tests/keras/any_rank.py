"""Random networks of any rank in Keras."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
from keras import layers

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from tests.any_rank import Run, random_layers, random_lengths


def make(draw: random.Random, rank: int) -> tuple[KerasReceptiveField, Run] | None:
    """A computed estimator of a random network, and the network; None if the network has no cell."""
    lengths = random_lengths(draw, rank)
    keras.utils.set_random_seed(draw.randrange(1000))
    image = x = keras.Input((*lengths, 2))
    try:
        for kind, settings in random_layers(draw, rank):
            x = _layer(kind, settings, rank, x)
    except (ValueError, TypeError):  # too short an input for some window
        return None
    if 0 in x.shape[1:] or np.prod(x.shape[1:-1]) > 3000:
        return None
    model = keras.Model(image, x)
    rf = KerasReceptiveField(model)
    try:
        rf.compute()
    except ReceptiveFieldError as error:
        if "does not influence" in str(error) or "no cell" in str(error):
            return None
        raise
    whole = keras.Model(image, model.get_layer(rf.output_layer).output)
    return rf, lambda inputs: np.asarray(whole(inputs, training=False))


def _layer(kind: str, settings: dict[str, Any], rank: int, x: Any) -> Any:
    def of(name: str) -> Any:
        return getattr(layers, f"{name}{rank}D")

    if kind == "activation":
        return layers.LeakyReLU()(x)
    if kind == "branches":
        return layers.Add()([of("Conv")(3, kernel, padding="same")(x) for kernel in settings["kernels"]])
    if kind in ("pad", "crop"):
        amounts = settings["amounts"]
        return of("ZeroPadding" if kind == "pad" else "Cropping")(amounts[0] if rank == 1 else amounts)(x)
    if kind == "upsample":
        return of("UpSampling")(settings["factor"][0] if rank == 1 else settings["factor"])(x)
    if kind == "transposed":
        return getattr(layers, f"Conv{rank}DTranspose")(3, settings["kernel"], strides=settings["strides"])(x)
    if kind in ("max", "average"):
        pool = of({"max": "MaxPooling", "average": "AveragePooling"}[kind])
        size, strides = settings["kernel"], settings["strides"]
        return pool(size[0] if rank == 1 else size, strides[0] if rank == 1 else strides)(x)
    where = {"strides": settings["strides"], "dilation_rate": settings["dilation"], "padding": settings["padding"]}
    if kind == "depthwise":
        return of("DepthwiseConv")(settings["kernel"], **where)(x)
    if kind == "separable":
        return of("SeparableConv")(3, settings["kernel"], **where)(x)
    return of("Conv")(3, settings["kernel"], **where)(x)
