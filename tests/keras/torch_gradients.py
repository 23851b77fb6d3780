"""Gradients of Keras on PyTorch, drawn as lists of operations or not: `python -m` with KERAS_BACKEND=torch runs it."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import torch
from keras import layers

from rfwidget.keras import KerasReceptiveField

SHAPE = (14, 19, 2)


class Branching(layers.Layer):
    """Mirrors the brightness of dark images: it asks for a number."""

    def call(self, x: Any) -> Any:
        return -x if x.mean() < 0.5 else 3 * x


class Counting(layers.Layer):
    """Holds a tensor that Keras does not know of."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.tensor(2.0)

    def call(self, x: Any) -> Any:
        return x * self.factor


def model_of(layer: layers.Layer) -> keras.Model:
    """A layer between two convolutions."""
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, (3, 5), activation="relu", name="first")(image)
    return keras.Model(image, layers.Conv2D(3, 3, strides=2)(layer(layers.MaxPooling2D(2, 1)(x))))


def eager(model: keras.Model, image: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """The gradient by plain autograd through the model on the whole image."""
    leaf = torch.from_numpy(image[None]).requires_grad_()
    output = model(leaf)[0, cell[1], cell[0]].mean()
    return torch.autograd.grad(output, leaf)[0][0].numpy()


def main() -> None:
    """Assert that gradients are those of autograd, for each image, and that lists are used where they can be."""
    draw = np.random.default_rng(3)
    images = [(scale * draw.random(SHAPE)).astype("float32") for scale in (0.2, 1.0, 3.0)]
    cases = ((layers.BatchNormalization(), True), (Branching(), False), (Counting(), True))
    for layer, drawn in cases:
        keras.utils.set_random_seed(4)
        model = model_of(layer)
        rf = KerasReceptiveField(model)
        rf.compute()
        assert rf.output_layer == model.layers[-1].name, layer
        network = rf._computed.network
        for turn in range(3):
            for image in images:
                for cell in ((0, 0), (3, 2), (5, 4)):
                    expected = eager(model, image, cell)
                    np.testing.assert_allclose(
                        rf.gradient_at(cell, image), expected, atol=1e-5 * np.abs(expected).max(), err_msg=str(layer)
                    )
            assert network.patches._ready.one.drawn == drawn, layer
            if turn == 0:  # weights are read at every call
                model.get_layer("first").set_weights([draw.normal(size=w.shape) for w in model.layers[1].get_weights()])
            if turn == 1 and isinstance(layer, Counting):
                layer.factor.mul_(-3)
    sys.stdout.write("as autograd\n")


if __name__ == "__main__":
    main()
