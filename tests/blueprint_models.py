"""The Keras models that `tests.blueprints` stand for, and random weights for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tests.blueprints import Blueprint, Conv, Fork, Layer, Pad, Pointwise, Pool, Upsample, Windows
from tests.code_layers import Binned, Foreign, Gate, Masked, Mixed, RawConv, RawPool, Sorted

FILTERS = 2


def build(
    blueprint: Blueprint, activation: str = "relu", dtype: str = "float32", fixed_size: bool = True
) -> keras.Model:
    """The model of a blueprint, for its own image size or (``fixed_size=False``) for any."""
    shape = blueprint.image_shape if fixed_size else (None, None, blueprint.channels)
    image = keras.Input(shape, dtype=dtype)
    return keras.Model(image, _apply(blueprint.layers, image, {"activation": activation, "dtype": dtype}))


def randomise(
    model: keras.Model, rng: np.random.Generator, tensor: Callable[[Any], Any] = lambda values: values
) -> None:
    """Random weights of both signs, none of them close to zero, that keep the size of the values.

    Args:
        model: whose weights they become.
        rng: draws them.
        tensor: what becomes of an array before it is assigned.
    """
    for weight in model.weights:
        if not weight.dtype.startswith("float"):
            continue  # the state of a dropout
        if weight.path.rpartition("/")[2] in ("mean", "variance"):
            continue  # of a Normalization, which reads them when it is adapted
        shape = tuple(weight.shape)
        scale = 1 / math.sqrt(max(math.prod(shape[:-1]), 1))
        signs = 1 if weight.path.endswith("variance") else rng.choice([-1, 1], size=shape)
        weight.assign(tensor((scale * rng.uniform(0.5, 1.5, size=shape) * signs).astype(weight.dtype)))


def _apply(layers: tuple[Layer, ...], x: Any, how: dict[str, str]) -> Any:
    for layer in layers:
        match layer:
            case Fork():
                x = _apply_fork(layer, x, how)
            case Pointwise():
                x = _pointwise(layer.kind, how)(x)
            case _:
                x = _keras_layer(layer, x.shape[-1], how)(x)
    return x


def _pointwise(kind: str, how: dict[str, str]) -> Any:
    dtype = {"dtype": how["dtype"]}
    match kind:
        case "normalise":
            return keras.layers.BatchNormalization(**dtype)
        case "activation":
            return keras.layers.Activation(how["activation"], **dtype)
        case "prelu":
            return keras.layers.PReLU(shared_axes=[1, 2], **dtype)
        case "dropout":
            return keras.layers.SpatialDropout2D(0.5, **dtype)
        case "rescale":
            return keras.layers.Rescaling(-3.0, 0.5, **dtype)
        case "sort":
            return Sorted(**dtype)
        case "foreign":
            return Foreign(**dtype)
    return getattr(keras.ops, how["activation"])


def _apply_fork(fork: Fork, x: Any, how: dict[str, str]) -> Any:
    ends = [_apply(path, x, how) for path in fork.paths]
    hides_zeros = fork.merge in {"multiply", "gate"}  # a bias keeps a factor that is all padding from hiding the others
    if hides_zeros or (fork.merge != "concatenate" and len({end.shape[-1] for end in ends}) > 1):
        ends = [keras.layers.Conv2D(FILTERS, 1, dtype=how["dtype"])(end) for end in ends]
    merges = {
        "add": keras.layers.Add,
        "concatenate": keras.layers.Concatenate,
        "multiply": keras.layers.Multiply,
        "maximum": keras.layers.Maximum,
        "gate": Gate,
    }
    return merges[fork.merge](dtype=how["dtype"])(ends)


def _keras_layer(layer: Conv | Pool | Upsample | Pad | Windows, channels: int, how: dict[str, str]) -> keras.Layer:
    dtype = {"dtype": how["dtype"]}
    match layer:
        case Conv():
            kernel, stride, dilation = layer.kernel[::-1], layer.stride[::-1], layer.dilation[::-1]
            common = {**how, "strides": stride, "padding": "same" if layer.same else "valid"}
            match layer.kind:
                case "masked":
                    return Masked(FILTERS, kernel, stride, dilation, common["padding"], **dtype)
                case "raw":
                    return RawConv(FILTERS, kernel, stride, dilation, common["padding"], **dtype)
                case "depthwise":
                    return keras.layers.DepthwiseConv2D(kernel, dilation_rate=dilation, **common)
                case "separable":
                    return keras.layers.SeparableConv2D(FILTERS, kernel, dilation_rate=dilation, **common)
                case "transposed":
                    return keras.layers.Conv2DTranspose(FILTERS, kernel, **common)
                case "grouped":
                    groups = math.gcd(channels, FILTERS)
                    return keras.layers.Conv2D(FILTERS, kernel, dilation_rate=dilation, groups=groups, **common)
            return keras.layers.Conv2D(FILTERS, kernel, dilation_rate=dilation, **common)
        case Windows():
            return Mixed(layer.size[::-1], **dtype)
        case Pool(kind="binned"):
            return Binned(layer.kernel[::-1], **dtype)
        case Pool(kind="raw"):
            return RawPool(layer.kernel[::-1], layer.stride[::-1], "same" if layer.same else "valid", **dtype)
        case Pool():
            kind = keras.layers.MaxPooling2D if layer.kind == "max" else keras.layers.AveragePooling2D
            return kind(layer.kernel[::-1], layer.stride[::-1], "same" if layer.same else "valid", **dtype)
        case Upsample():
            return keras.layers.UpSampling2D(
                layer.factor[::-1], interpolation="bilinear" if layer.bilinear else "nearest", **dtype
            )
    sides = ((layer.top, layer.bottom), (layer.left, layer.right))
    if min(layer) >= 0:
        return keras.layers.ZeroPadding2D(sides, **dtype)
    return keras.layers.Cropping2D([[-side for side in pair] for pair in sides], **dtype)
