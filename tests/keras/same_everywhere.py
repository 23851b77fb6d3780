"""What rfwidget says of Keras models, as numbers to be compared between backends: one process for each.

    KERAS_BACKEND=jax python -m tests.keras.same_everywhere OUT.npz cases applications 0:40

The models have the same weights and see the same image in all of them. What stands behind OUT is what is measured: the
README model with small models in the manner of what people build ("cases"), networks of `keras.applications`, and
random networks by their seeds.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
from keras import layers, ops

from rfwidget.base import ReceptiveField
from rfwidget.keras import KerasReceptiveField
from tests import blueprint_models
from tests.code_layers import Foreign, RawConv, RawPool
from tests.models import readme_model, readme_model_relu_max
from tests.random_networks import random_blueprint

Shape = tuple[int, int, int]


class Subject:
    """A model to be measured.

    Args:
        build: makes it.
        shape: of the image.
        layer: to ask for; None: the default.
        local: leave out global context.
    """

    def __init__(
        self, build: Callable[[], keras.Model], shape: Shape, layer: str | None = None, *, local: bool = False
    ) -> None:
        self.build, self.shape, self.layer, self.local = build, shape, layer, local


# -- cases -------------------------------------------------------------------------------------------------------------


class Masked(layers.Layer):
    """A kernel whose rows below its own are masked."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(5, 5, shape[-1], 2))
        self.mask = np.ones((5, 5, 1, 1), "float32")
        self.mask[3:] = 0

    def call(self, x: Any) -> Any:
        return ops.conv(x, self.w * self.mask, padding="same")


class Two(layers.Layer):
    """A layer with two outputs."""

    def build(self, shape: Any) -> None:
        self.inner = layers.Conv2D(2, 3, padding="same")
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        y = self.inner(x)
        return ops.average_pool(y, 3, 1, "same"), ops.max_pool(x, 2, 2)


class Deformed(layers.Layer):
    """Reads, along each row, where the image itself says."""

    def build(self, shape: Any) -> None:
        self.offset = layers.Conv2D(1, 3, padding="same")
        self.offset.build(shape)

    def call(self, x: Any) -> Any:
        height, width, channels = x.shape[1:]
        places = ops.arange(width, dtype=x.dtype)[None, None] + self.offset(x)[..., 0]
        before, out, flat = ops.floor(places), 0, ops.reshape(x, (-1, width, channels))
        for step in (0, 1):
            index = ops.cast(ops.clip(before + step, 0, width - 1), "int32")
            found = ops.take_along_axis(flat, ops.reshape(index, (-1, width, 1)), axis=1)
            weight = (1 - ops.abs(places - before - step))[..., None]
            out = out + ops.reshape(found, (-1, height, width, channels)) * weight
        return out


class Pyramid(layers.Layer):
    """Dilated branches beside a mean of the whole image."""

    def __init__(self, filters: int, **named: Any) -> None:
        super().__init__(**named)
        self.branches = [layers.Conv2D(filters, 3, dilation_rate=rate, padding="same") for rate in (2, 3)]
        self.pool, self.project = layers.GlobalAveragePooling2D(), layers.Conv2D(filters, 1)

    def call(self, x: Any) -> Any:
        mean = ops.reshape(self.pool(x), (-1, 1, 1, x.shape[-1]))
        height, width = ops.shape(x)[1], ops.shape(x)[2]
        wide = layers.Resizing(height, width, interpolation="bilinear", name="wide")(mean)
        return self.project(ops.concatenate([*(branch(x) for branch in self.branches), wide], axis=-1))


class Subclassed(keras.Model):
    """A model without a graph."""

    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.one = layers.Conv2D(3, (3, 5), padding="same", activation="relu", name="one")
        self.two = layers.Conv2D(2, 3, strides=2, name="two")

    def call(self, x: Any) -> Any:
        return self.two(self.one(x) * ops.sigmoid(x[..., :1]))


def _input(shape: Shape = (16, 21, 2)) -> Any:
    return keras.Input(shape)


def _binned() -> keras.Model:
    image = _input((12, 16, 2))
    x = layers.Conv2D(2, 3, padding="same")(image)
    x = ops.mean(ops.reshape(x, (-1, 6, 2, 8, 2, 2)), axis=(2, 4))
    return keras.Model(image, layers.Conv2D(2, 1, name="head")(x))


def _two_outputs() -> keras.Model:
    image = _input()
    return keras.Model(image, Two(name="two")(image)[0])


def _of(*stack: Any, shape: Shape = (16, 21, 2)) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        image = x = _input(shape)
        for make in stack:
            x = make()(x)
        return keras.Model(image, x)

    return build


def _turned() -> keras.Model:
    image = _input((16, 21, 2))
    x = layers.Permute((2, 1, 3))(layers.Conv2D(4, (3, 5), name="before")(image))
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))


def _batch_of_two() -> keras.Model:
    image = keras.Input((16, 21, 2), batch_size=2)
    x = ops.reshape(ops.reshape(image, (2, 16, 21, 2, 1)), (2, 16, 21, 2))
    return keras.Model(image, layers.Conv2D(2, (3, 5), strides=2, name="head")(x))


def _mirrored() -> keras.Model:
    image = _input()
    return keras.Model(image, layers.Conv2D(2, 3)(ops.flip(image, 2)))


def _wrapped() -> keras.Model:
    image = keras.Input((None, None, 2))
    x = ops.concatenate([image[:, :, -2:], image, image[:, :, :2]], axis=2)
    return keras.Model(image, layers.Conv2D(2, (3, 5))(x))


def _token_mixing() -> keras.Model:
    image = _input((16, 24, 3))
    x = layers.Conv2D(4, 4, strides=4)(image)
    tokens = layers.Permute((2, 1))(layers.Reshape((24, 4))(x))
    tokens = layers.Reshape((4, 6, 4))(layers.Permute((2, 1))(layers.Dense(24)(tokens)))
    return keras.Model(image, layers.Add()([x, tokens]))


def _shared() -> keras.Model:
    inner = keras.Input((20, 28, 3))
    deep = layers.Conv2D(3, 3, strides=2, padding="same", name="c1")(inner)
    backbone = keras.Model(inner, layers.Conv2D(3, (3, 5), padding="same", name="c2")(deep), name="backbone")
    left, right = keras.Input((20, 28, 3), name="left"), keras.Input((20, 28, 3), name="right")
    return keras.Model([left, right], layers.Concatenate()([backbone(left), backbone(right)]))


def _attention() -> keras.Model:
    image = _input((24, 32, 3))
    x = layers.Conv2D(8, 4, strides=4, padding="same", name="patches")(image)
    y = layers.LayerNormalization()(x)
    tokens = layers.Reshape((-1, 8))(y)
    y = layers.Reshape((6, 8, 8))(layers.MultiHeadAttention(2, 4)(tokens, tokens))
    return keras.Model(image, layers.DepthwiseConv2D(3, padding="same", name="after")(layers.Add()([x, y])))


def _decoder() -> keras.Model:
    image = x = _input((48, 64, 3))
    for filters in (8, 8, 16):
        x = low = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(Pyramid(8, name="pyramid")(x))
    x = layers.Conv2DTranspose(4, (3, 2), strides=(2, 2), padding="same")(x)
    low = layers.UpSampling2D(4)(low)
    return keras.Model(image, layers.Conv2D(4, 3, padding="same", name="logits")(layers.Concatenate()([x, low])))


def cases() -> Iterator[tuple[str, Subject]]:
    """The README model, and small models of other kinds."""
    yield "readme", Subject(lambda: readme_model((96, 96, 3)), (96, 96, 3))
    yield "readme, relu and max", Subject(lambda: readme_model_relu_max((75, 96, 3)), (75, 96, 3))
    yield "blocks by reshape", Subject(_binned, (12, 16, 2))
    yield "two outputs", Subject(_two_outputs, (16, 21, 2))
    yield "a masked kernel", Subject(_of(Masked), (16, 21, 2))
    yield "mirrored", Subject(_mirrored, (16, 21, 2))
    yield "turned before the end", Subject(_turned, (16, 21, 2))
    yield "a batch in a reshape", Subject(_batch_of_two, (16, 21, 2))
    yield "wrapped", Subject(_wrapped, (12, 64, 2))
    yield "token mixing", Subject(_token_mixing, (16, 24, 3))
    yield "token mixing, local", Subject(_token_mixing, (16, 24, 3), local=True)
    yield "a shared backbone", Subject(_shared, (20, 28, 3), "backbone/c2")
    yield "places that the image chooses", Subject(_of(Deformed, lambda: layers.Conv2D(2, 1)), (16, 21, 2))
    yield "holes", Subject(_of(lambda: layers.Conv2D(2, (1, 3), dilation_rate=(1, 2))), (16, 21, 2))
    yield "attention", Subject(_attention, (24, 32, 3))
    yield "attention, local", Subject(_attention, (24, 32, 3), local=True)
    yield "a decoder", Subject(_decoder, (48, 64, 3), "logits")
    yield "a decoder, local", Subject(_decoder, (48, 64, 3), "logits", local=True)
    yield "subclassed", Subject(_subclassed, (16, 21, 2))
    yield (
        "normalised in groups",
        Subject(_of(lambda: layers.Conv2D(4, 3), lambda: layers.GroupNormalization(2)), (16, 21, 2)),
    )
    yield "recurrent", Subject(_of(lambda: layers.Conv2D(4, 3), lambda: layers.Reshape((-1, 19 * 4)),
                                   lambda: layers.GRU(6, return_sequences=True), lambda: layers.Reshape((14, 2, 3))),
                               (16, 21, 2))  # fmt: skip
    yield (
        "framework code",
        Subject(
            _of(lambda: RawConv(3, (3, 5), (2, 1), (1, 1), "same"), Foreign, lambda: RawPool((2, 3), (1, 2), "valid")),
            (16, 21, 2),
        ),
    )


def _subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, 16, 21, 2), "float32"))
    return model


# -- networks ----------------------------------------------------------------------------------------------------------

APPLICATIONS = {
    "MobileNet": "conv_pw_3_relu",
    "MobileNetV2": "block_3_project_BN",
    "MobileNetV3Small": "expanded_conv_2_project_bn",
    "EfficientNetB0": "block2b_add",
    "DenseNet121": "pool2_conv",
    "ResNet50": "conv2_block2_out",
}
"""Networks, and an inner layer of each whose gradient is compiled in seconds."""


def applications() -> Iterator[tuple[str, Subject]]:
    """Networks of `keras.applications`, small images."""
    shape = (64, 97, 3)
    for name, layer in APPLICATIONS.items():
        network = getattr(keras.applications, name)
        named = {"include_preprocessing": False} if name == "MobileNetV3Small" else {}

        def build(network: Any = network, named: Any = named) -> keras.Model:
            return network(weights=None, include_top=False, input_shape=shape, **named)

        yield name, Subject(build, shape, layer)


def networks(first: int, end: int) -> Iterator[tuple[str, Subject]]:
    """Random networks by their seeds."""
    for seed in range(first, end):
        blueprint = random_blueprint(random.Random(seed))  # noqa: S311 - no secret
        yield f"network {seed}", Subject(lambda own=blueprint: blueprint_models.build(own), blueprint.image_shape)


# -- what is said of them ----------------------------------------------------------------------------------------------


def report(subject: Subject) -> tuple[dict[str, Any], np.ndarray]:
    """Everything that must be the same, and the gradient map of the central cell."""
    keras.backend.clear_session(free_memory=False)
    with ExitStack() as uncompiled:  # on JAX, Keras' own initializers are compiled for each shape
        for initializer, values in INITIALIZERS.items():
            uncompiled.enter_context(patch.object(initializer, "__call__", values))
        model = subject.build()
    blueprint_models.randomise(model, np.random.default_rng(7), _tensor)
    rf: ReceptiveField = KerasReceptiveField(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        description = rf.compute(subject.shape, output_layer=subject.layer, ignore_global_context=subject.local)
        survey = rf.survey()
    grid = rf.output_shape
    corners = [(0, 0), (grid.w // 2, grid.h // 2), (grid.w - 1, grid.h - 1), (grid.w - 1, 0)]
    facts = {
        "layer": rf.output_layer,
        "description": _plain(description),
        "grid": _plain(grid),
        "uniform": list(rf.uniform),
        "rectangles": [_plain(rf.rect_at(cell)) for cell in corners],
        "clipped": [_plain(rf.rect_at(cell, clip=True)) for cell in corners],
        "seeing": np.argwhere(rf.cells_seeing((subject.shape[1] // 2, subject.shape[0] // 2))).tolist(),
        "survey": [[row.name, _plain(row.size), _plain(row.stride), _plain(row.offset)] for row in survey],
    }
    image = np.random.default_rng(8).uniform(0, 1, subject.shape).astype("float32")
    return facts, rf.gradient_at((grid.w // 2, grid.h // 2), image)


def _zeros(self: Any, shape: Any, dtype: Any = None, **named: Any) -> Any:  # noqa: ARG001 - as initializers are called
    return _tensor(np.zeros(shape, dtype or "float32"))


def _ones(self: Any, shape: Any, dtype: Any = None, **named: Any) -> Any:  # noqa: ARG001
    return _tensor(np.ones(shape, dtype or "float32"))


INITIALIZERS = {
    keras.initializers.VarianceScaling: _zeros,
    keras.initializers.Zeros: _zeros,
    keras.initializers.Ones: _ones,
}


def _tensor(values: np.ndarray) -> Any:
    """An array as a tensor. Keras has JAX compile a conversion for each shape."""
    if keras.backend.backend() != "jax":
        return ops.convert_to_tensor(values)
    import jax

    return jax.device_put(values)


def _plain(values: Any) -> Any:
    if isinstance(values, (tuple, list)):
        return [_plain(value) for value in values]
    return str(values)  # inf and nan, too


def main(out: str, *parts: str) -> None:
    """Write facts and gradients of all that is asked for."""
    facts, maps = {}, {}
    for part in parts:
        given = {"cases": cases, "applications": applications}.get(part)
        subjects = given() if given is not None else networks(*map(int, part.split(":")))
        for name, subject in subjects:
            try:
                facts[name], maps[name] = report(subject)
            except Exception as error:
                facts[name] = {"error": f"{type(error).__name__}: {error}"}
    np.savez(out, facts=np.array(json.dumps(facts)), **{name.replace("/", "|"): value for name, value in maps.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
