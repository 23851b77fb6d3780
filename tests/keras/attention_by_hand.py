"""Attentions of small Keras models against what NumPy computes by hand, on whichever backend Keras runs.

`python -m tests.keras.attention_by_hand` runs all checks; images and patches are not square.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.testing import assert_allclose

from rfwidget.keras import KerasReceptiveField
from rfwidget.types import Size

HEIGHT, WIDTH, ROWS, COLUMNS, CHANNELS, HEADS = 24, 40, 4, 5, 12, 3
PLACE = (WIDTH // COLUMNS, HEIGHT // ROWS)
WAYS = ("multi-head", "multi-head with weights", "operations", "fused", "layer of softmax", "grouped")


class ClassToken(layers.Layer):
    """Puts a class token in front, and adds positions."""

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal")
        self.position = self.add_weight(shape=(1, 1 + shape[1], shape[-1]), initializer="random_normal")

    def call(self, x: Any) -> Any:
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([token, x], axis=1) + self.position


class Mixer(layers.Layer):
    """Self-attention of tokens, written in one of `WAYS`."""

    def __init__(self, way: str, **named: Any) -> None:
        super().__init__(**named)
        self.way = way
        kind = {"num_heads": HEADS, "key_dim": CHANNELS // HEADS}
        self.mha: Any = layers.MultiHeadAttention(**kind, use_bias=False)
        if way == "grouped":
            self.mha = layers.GroupQueryAttention(CHANNELS // HEADS, HEADS, 1, use_bias=False)
        self.softmax = layers.Softmax(axis=-1)

    def build(self, shape: Any) -> None:
        self.mha.build(shape, shape)

    def call(self, x: Any) -> Any:
        if self.way.startswith("multi-head") or self.way == "grouped":
            if self.way == "multi-head with weights":
                return self.mha(x, x, return_attention_scores=True)[0]
            return self.mha(x, x)
        heads = (-1, x.shape[1], HEADS, CHANNELS // HEADS)
        parts = [self.mha.query_dense, self.mha.key_dense, self.mha.value_dense]
        q, k, v = (ops.reshape(ops.matmul(x, ops.reshape(part.kernel, (CHANNELS, CHANNELS))), heads) for part in parts)
        if self.way == "fused":
            mixed = ops.dot_product_attention(q, k, v)
        else:
            scores = ops.matmul(ops.transpose(q, (0, 2, 1, 3)), ops.transpose(k, (0, 2, 3, 1)))
            scores = scores * (CHANNELS // HEADS) ** -0.5
            weights = self.softmax(scores) if self.way == "layer of softmax" else ops.softmax(scores, axis=-1)
            mixed = ops.einsum("bhqk,bkhc->bqhc", weights, v)
        return self.mha.output_dense(mixed)

    def by_hand(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Weights ``(heads, tokens, tokens)`` for tokens ``(t, c)``."""
        mha = self.mha
        names = ("_query_dense", "_key_dense")
        q, k = (np.einsum("tc,chd->htd", x, ops.convert_to_numpy(getattr(mha, name).kernel)) for name in names)
        scores = q @ np.broadcast_to(k, (HEADS, *k.shape[1:])).transpose(0, 2, 1) / np.sqrt(CHANNELS // HEADS)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)


def transformer(*ways: str) -> keras.Model:
    """A small ViT with a class token, that ends as a map."""
    keras.utils.set_random_seed(7)
    image = keras.Input((HEIGHT, WIDTH, 3))
    x = layers.Conv2D(CHANNELS, PLACE[::-1], PLACE[::-1])(image)
    x = layers.Reshape((ROWS * COLUMNS, CHANNELS))(x)
    x = ClassToken(name="begun")(x)
    for number, way in enumerate(ways):
        y = layers.LayerNormalization(name=f"norm_{number}")(x)
        x = layers.Add(name=f"block_{number}")([x, Mixer(way, name=f"mixer_{number}")(y)])
    x = layers.Cropping1D((1, 0))(x)
    return keras.Model(image, layers.Reshape((ROWS, COLUMNS, CHANNELS), name="grid")(x))


def by_hand(model: keras.Model, image: np.ndarray[Any, Any], count: int) -> list[np.ndarray[Any, Any]]:
    """Weights of all blocks."""
    found = []
    for number in range(count):
        norm = keras.Model(model.input, model.get_layer(f"norm_{number}").output)
        found.append(model.get_layer(f"mixer_{number}").by_hand(ops.convert_to_numpy(norm(image[None]))[0]))
    return found


def check_weights_and_rollout() -> None:
    """However an attention is written, its weights are those computed by hand, and so is their roll-out."""
    model = transformer(*WAYS)
    image = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32)
    hand = by_hand(model, image, len(WAYS))
    before = [np.array(weight) for weight in model.get_weights()]
    rf = KerasReceptiveField(model)
    rf.compute(output_layer="grid")
    names = list(rf.attentions)
    assert len(names) == len(WAYS), names
    product = np.eye(1 + ROWS * COLUMNS)
    for name, weights, number in zip(names, hand, range(len(WAYS)), strict=True):
        assert name.startswith(f"mixer_{number}"), name
        assert rf.attentions[name] == (HEADS, *(Size(w=COLUMNS, h=ROWS),) * 3, 1)
        for x, y in ((0, 0), (3, 1), (4, 3)):
            token = 1 + y * COLUMNS + x
            found = rf.attention_at((x, y), image, layer=name)
            assert_allclose(found.values.ravel(), weights.mean(0)[token, 1:], rtol=1e-3, atol=1e-6)
            assert_allclose(found.elsewhere, weights.mean(0)[token, :1], rtol=1e-3)
            assert_allclose(found.values.sum() + found.elsewhere.sum(), 1, rtol=1e-5)
        one = rf.attention_at(prefix=0, image=image, layer=name, head=1)
        assert_allclose(one.values.ravel(), weights[1][0, 1:], rtol=1e-3, atol=1e-6)
        product = (0.5 * weights.mean(0) + 0.5 * np.eye(len(product))) @ product
    assert found.edges == ((0.0, 8.0, 16.0, 24.0, 32.0, 40.0), (0.0, 6.0, 12.0, 18.0, 24.0))
    rf.compute(output_layer="block_5")  # tokens as they are, and the class token as a layer
    found = rf.attention_at((3, 1), image)
    assert_allclose(found.values.ravel(), hand[-1].mean(0)[1 + COLUMNS + 3, 1:], rtol=1e-3, atol=1e-6)
    rf.compute(output_layer="block_5[0]")
    assert_allclose(rf.attention_at((0, 0), image).values.ravel(), hand[-1].mean(0)[0, 1:], rtol=1e-3, atol=1e-6)
    rf.compute(output_layer="grid")
    rolled = rf.rollout_at((3, 1), image)
    assert_allclose(rolled.values.ravel(), product[1 + COLUMNS + 3, 1:], rtol=1e-3)
    assert rolled.layers == tuple(names)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


def windowed() -> keras.Model:
    """Attention in windows of 3x5 places, and over maps with both axes at once."""
    keras.utils.set_random_seed(7)
    image = keras.Input((24, 40, 3))
    x = layers.Conv2D(8, (2, 4), (2, 4))(image)
    y = ops.reshape(ops.roll(x, (-1, -2), (1, 2)), (-1, 4, 3, 2, 5, 8))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 15, 8))
    y = layers.MultiHeadAttention(2, 4, name="windows")(y, y)
    y = ops.transpose(ops.reshape(y, (-1, 4, 2, 3, 5, 8)), (0, 1, 3, 2, 4, 5))
    x = layers.Add(name="first")([x, ops.roll(ops.reshape(y, (-1, 12, 10, 8)), (1, 2), (1, 2))])
    z = layers.MultiHeadAttention(2, 4, name="whole")(x, x)
    return keras.Model(image, layers.Add(name="second")([x, z]))


def check_windows() -> None:
    """Windows are scattered to their places, also those that were rolled round the border."""
    rf = KerasReceptiveField(windowed())
    rf.compute(output_layer="second")
    image = np.random.default_rng(0).random((24, 40, 3), np.float32)
    first, second = rf.attentions
    assert rf.attentions[first] == (2, Size(w=10, h=12), Size(w=10, h=12), Size(w=5, h=3), 0)
    assert rf.attentions[second] == (2, *(Size(w=10, h=12),) * 3, 0)
    seen = np.zeros((12, 10), bool)
    seen[4:7, 2:7] = True
    found = rf.attention_at((6, 4), image, layer=first).values
    assert ((found > 0) == seen).all()
    around = rf.attention_at((0, 0), image, layer=first).values
    seen[:] = False
    seen[np.ix_((10, 11, 0), (7, 8, 9, 0, 1))] = True
    assert ((around > 0) == seen).all()
    rolled = rf.rollout_at((6, 4), image)
    assert rolled.layers == (first, second)
    assert_allclose(rolled.values.sum(), 1, rtol=1e-5)


def main() -> None:
    """All checks."""
    check_weights_and_rollout()
    check_windows()


if __name__ == "__main__":
    main()
