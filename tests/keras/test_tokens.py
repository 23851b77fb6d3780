"""Layers whose tokens are the places of a grid: transformers of images."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from keras import ops

from rfwidget import KerasReceptiveField, RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import Rect, Size

inf = math.inf

SHAPE = (20, 42, 3)
"""Height, width and channels of the images; not square."""

PATCH = (4, 7)
"""Height and width of a patch: five rows of six."""


class Extra(L.Layer):
    """Puts tokens of its own in front of others."""

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count

    def build(self, shape: Any) -> None:
        self.tokens = self.add_weight(shape=(1, self.count, shape[-1]), name="tokens")

    def call(self, x: Any) -> Any:
        own = ops.broadcast_to(self.tokens, (ops.shape(x)[0], self.count, x.shape[-1]))
        return ops.concatenate([own, x], axis=1)


def vit(shape: Any, before: int = 1, width: int = 8) -> keras.Model:
    """A vision transformer whose output is a tensor of tokens."""
    image = keras.Input(shape)
    x = L.Conv2D(width, PATCH, strides=PATCH, name="patch")(image)
    x = L.Reshape((-1, width), name="tokens")(x)
    x = Extra(before, name="extra")(x) if before else x
    for block in range(2):
        y = L.LayerNormalization()(x)
        x = L.Add()([x, L.MultiHeadAttention(2, 4)(y, y)])
        x = L.Add(name=f"block{block}")([x, L.Dense(width)(L.Dense(16, activation="gelu")(x))])
    return keras.Model(image, x)


@pytest.mark.parametrize(
    ("before", "width", "extra"), [(0, 8, ()), (1, 8, ("block1[0]",)), (2, 30, ("block1[0]", "block1[1]"))]
)
def test_tokens_of_a_vision_transformer_are_a_grid_of_its_patches(
    before: int, width: int, extra: tuple[str, ...]
) -> None:
    model = vit(SHAPE, before, width)
    rf = KerasReceptiveField(model)
    described = rf.compute()
    assert rf.output_layer == "block1"
    assert rf.output_shape.size == Size(w=6, h=5)
    assert rf.channels == width
    assert described == ((3.5, 2), (7, 4), Size(inf, inf))
    assert rf.extra_tokens == extra
    assert rf.cells_seeing((41, 0)).all()
    assert rf.rect_at((0, 4), clip=True) == Rect(0, 0, 42, 20)
    assert all(grid == Size(6, 5) for grid in rf.layers.values())
    assert {row.name: row.size for row in rf.survey()}["tokens"] == Size(7, 4)
    image = np.random.default_rng(3).random(SHAPE, np.float32)
    bare = gradient(model, image, before + 6 * 3 + 4)
    np.testing.assert_allclose(rf.gradient_at((4, 3), image, channel=5), bare, atol=1e-6)
    assert rf.feature_map(image).shape == (5, 6)
    rf.compute(output_layer="tokens")
    assert rf.rect_at((5, 1)) == Rect(35, 4, 42, 8)
    seeing = rf.cells_seeing((36, 9))
    assert seeing.sum() == 1
    assert seeing[2, 5]
    assert rf.verify(["tokens", "block0"]).agree
    for number, name in enumerate(extra):
        assert rf.compute(output_layer=name).size == Size(inf, inf)
        assert rf.output_shape.size == Size(1, 1)
        np.testing.assert_allclose(rf.gradient_at((0, 0), image, channel=5), gradient(model, image, number), atol=1e-6)


def gradient(model: keras.Model, image: Any, token: int) -> Any:
    """Of channel 5 of a token, as each framework differentiates by itself."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            x = tf.constant(image[None])
            tape.watch(x)
            y = model(x)[0, token, 5]
        return tape.gradient(y, x)[0].numpy()
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: model(x)[0, token, 5])(image[None]))[0]
    import torch

    leaf = torch.from_numpy(image[None].copy()).requires_grad_()
    return torch.autograd.grad(model(leaf)[0, token, 5], leaf)[0][0].numpy()


def mixed(shape: Any) -> keras.Model:
    """Tokens that nothing puts into places: each is a mixture of all."""
    image = keras.Input(shape)
    x = L.Reshape((30, 4), name="tokens")(L.Conv2D(4, PATCH, strides=PATCH, name="patch")(image))
    return keras.Model(image, L.Permute((2, 1), name="mix")(L.Dense(30)(L.Permute((2, 1))(x))))


def test_a_grid_that_nothing_tells_can_be_said() -> None:
    model = mixed(SHAPE)
    rf = KerasReceptiveField(model)
    with pytest.raises(ReceptiveFieldError, match=r"'mix' gives .* no two-dimensional grid .*grid=\(height, width\)"):
        rf.compute(output_layer="mix")
    widget = RFWidget(model, output_layer="mix", grid=(5, 6))
    assert widget.wait(60)
    assert (widget.error, widget.view.grid) == (None, Size(w=6, h=5))
    widget.close()
    rf = KerasReceptiveField(model, grid=Size(w=6, h=5))
    assert rf.compute(output_layer="mix").size == Size(inf, inf)
    assert rf.output_shape.size == Size(w=6, h=5)
    with pytest.raises(ReceptiveFieldError, match=r"grid=\(5, 5\) is 5 x 5 = 25 tokens, which no layer gives"):
        KerasReceptiveField(model, grid=(5, 5)).compute()
    with pytest.raises(ReceptiveFieldError, match=r"grid=\(6, 5\) .* but those of 'tokens' are .* \(5, 6\)"):
        KerasReceptiveField(vit(SHAPE), grid=(6, 5)).compute()


def test_a_build_function_gives_names_that_stay_for_tokens_too() -> None:
    rf = KerasReceptiveField(vit)
    rf.compute(SHAPE, output_layer="block0[0]")
    rf.compute((24, 49, 3), output_layer="block0[0]")
    assert rf.output_shape.size == Size(1, 1)
    rf.compute((24, 49, 3))
    assert rf.output_shape.size == Size(w=7, h=6)
