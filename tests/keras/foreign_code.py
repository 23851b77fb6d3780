"""Layers whose code does not speak to Keras, and what really changes in them: a black box to compare spans with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

Shape = tuple[int, int, int]

SHAPE: Shape = (10, 14, 2)
"""Rows, columns and channels of most images here."""


class Foreign(layers.Layer):
    """A layer of raw TensorFlow code.

    Args:
        code: called with the layer and its input.
        weights: shapes of its trained weights, by name; attributes of the layer.
        shape: of its output without the batch, where Keras cannot find out by running the code.
    """

    def __init__(
        self,
        code: Callable[[Any, Any], Any],
        weights: Mapping[str, tuple[int, ...]] | None = None,
        shape: Shape | None = None,
        name: str = "foreign",
    ) -> None:
        super().__init__(name=name)
        self._code = code
        self._output = shape
        self._shapes = weights or {}

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 - Keras' signature
        positive = keras.initializers.RandomUniform(0.5, 1.5, seed=4)
        for name, shape in self._shapes.items():
            setattr(self, name, self.add_weight(shape=shape, initializer=positive, name=name))

    def call(self, x: Any) -> Any:
        return self._code(self, x)

    def compute_output_spec(self, x: Any, **named: Any) -> Any:
        if self._output is None:
            return super().compute_output_spec(x, **named)
        return keras.KerasTensor((x.shape[0], *self._output), "float32")


class Case(NamedTuple):
    """A layer to be compared.

    Attributes:
        code: of the layer.
        weights: that it has.
        shape: of the image.
        trials: random images that are tried; rare choices need more.
        before: size of a convolution in front of the layer, rows and columns.
        output: shape of the output of code that Keras cannot run without an image; such code is given one at a time.
    """

    code: Callable[[Any, Any], Any]
    weights: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    shape: Shape = SHAPE
    trials: int = 6
    before: tuple[int, int] | None = None
    output: Shape | None = None

    def model(self) -> Any:
        """A network of this layer."""
        image = x = keras.Input(self.shape)
        if self.before:
            positive = keras.initializers.RandomUniform(0.5, 1.5, seed=5)
            x = layers.Conv2D(2, self.before, padding="same", kernel_initializer=positive)(x)
        return keras.Model(image, Foreign(self.code, self.weights, self.output)(x))


def runner(case: Case, model: Any) -> Callable[[Any], Any]:
    """The model as a function of some images, drawn once for rows and columns."""
    import tensorflow as tf  # what else is here serves other backends too

    count = max(case.shape[:2])
    drawn = tf.function(model, autograph=False)

    def one_by_one(images: Any) -> Any:
        return np.concatenate([np.asarray(model(image[None])) for image in images])

    def together(images: Any) -> Any:
        filled = np.concatenate([images, np.zeros((count - len(images), *case.shape), "float32")])
        return np.asarray(drawn(filled))[: len(images)]

    return together if case.output is None else one_by_one


def changes(case: Case, run: Callable[[Any], Any], axis: int) -> npt.NDArray[np.bool_]:
    """Which cells change when the rows (axis 0) or columns (axis 1) of an image get other numbers.

    Args:
        case: how often to try.
        run: the model.
        axis: of the image.

    Returns:
        ``(lines, grid height, grid width)``.
    """
    draw = np.random.default_rng(axis)
    shape, lines = case.shape, case.shape[axis]
    found: Any = False

    for trial in range(case.trials):
        images = np.repeat(draw.normal(size=(1, *shape)).astype("float32"), lines, axis=0)
        if trial % 2:
            images[:] = draw.normal(size=images.shape)
        before = np.asarray(run(images))
        for line in range(lines):
            stroke = draw.normal(size=np.take(images[line], line, axis=axis).shape) * 1000 ** draw.uniform(-1, 1)
            images[(line, line) if axis == 0 else (line, slice(None), line)] = stroke
        found = found | (np.asarray(run(images)) != before).any(axis=-1)
    return np.asarray(found)


def extents(changed: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First line that changes each cell, and last + 1; both 0 where there is none."""
    any_ = changed.any(axis=0)
    first = np.where(any_, changed.argmax(axis=0), 0)
    last = np.where(any_, len(changed) - changed[::-1].argmax(axis=0), 0)
    return first, last
