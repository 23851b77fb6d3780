"""Models that people bring: constants that hide elements, grids that no rectangle fits, ends that are no layers.

What is said of each cell is compared with a black box that changes pixels (`tests.keras.foreign_code`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.looks import Inputs, ModelLooks
from rfwidget.keras.trace import Tracer
from tests.keras.foreign_code import SHAPE, Case, changes, extents

HEIGHT, WIDTH, _ = SHAPE


def positive(seed: int = 4) -> Any:
    return keras.initializers.RandomUniform(0.5, 1.5, seed=seed)


def same(size: Any, filters: int = 2, **named: Any) -> Any:
    return layers.Conv2D(filters, size, padding="same", kernel_initializer=positive(), **named)


def model_of(network: Callable[[Any], Any]) -> Any:
    image = keras.Input(SHAPE, name="image")
    return keras.Model(image, network(image))


def told_and_seen(network: Callable[[Any], Any], trials: int = 12) -> tuple[list[Any], list[Any]]:
    """First and last pixel of each cell along both axes, as the look says, and as the black box shows."""
    image = keras.Input(SHAPE)
    model = keras.Model(image, layers.Identity(name="end")(network(image)))
    carried = ModelLooks(model, Inputs((SHAPE,), 0), local=False).carried("end")
    assert not carried.marks.unknown
    told, seen = [], []
    for axis in (0, 1):
        told.append([np.broadcast_to(edges, carried.shape)[0, ..., 0] for edges in carried.spans(axis)])
        seen.append(extents(changes(Case(lambda _, x: x, shape=SHAPE, trials=trials), model, axis)))
    return told, seen


# -- constants that hide elements --------------------------------------------------------------------------------------

NEAR = np.abs(np.subtract.outer(np.arange(WIDTH), np.arange(WIDTH))) < 3
"""Columns that see each other: at most two apart."""

FAR_OFF = np.where(NEAR, 0, -1e9).astype("float32")
MIDDLE = np.zeros((HEIGHT, WIDTH, 1), "float32")
MIDDLE[4:9] = 1


def scores(x: Any) -> Any:
    return ops.einsum("bhwc,bhvc->bhwv", x, x) / 1e6


class Banded(layers.Layer):
    """Attention of the columns of a row, with a mask that is made in the call."""

    def build(self, shape: Any) -> None:
        self.relative = self.add_weight(shape=(shape[2], shape[2]), initializer="zeros")

    def call(self, x: Any) -> Any:
        mask = ops.cast(ops.convert_to_tensor(NEAR), "float32")
        return ops.matmul(ops.softmax(scores(x) + self.relative + (1 - mask) * -1e9), x)


def in_the_graph(x: Any) -> Any:
    return ops.matmul(layers.Softmax()(ops.add(scores(x), FAR_OFF)), x)


HIDDEN: dict[str, Callable[[Any], Any]] = {
    "added, in a Lambda": layers.Lambda(lambda x: ops.matmul(ops.softmax(scores(x) + FAR_OFF), x)),
    "chosen, in a Lambda": layers.Lambda(lambda x: ops.matmul(ops.softmax(ops.where(NEAR, scores(x), -1e9)), x)),
    "multiplied, in a Lambda": layers.Lambda(
        lambda x: ops.matmul(ops.sigmoid(scores(x)) * NEAR.astype("float32"), x)
    ),
    "in a layer": Banded(),
    "in the graph": in_the_graph,
    "a branch times zero": lambda x: same(3)(x) + 0.0 * same((3, 7))(x),
    "a branch times a mask": lambda x: same(3)(x) + ops.multiply(same((3, 7))(x), MIDDLE),
    "one branch here, one there": lambda x: ops.where(MIDDLE > 0, same(3)(x), same((3, 7))(x)),
    "a branch times a mask, in a Lambda": layers.Lambda(
        lambda x: ops.average_pool(x, 3, 1, "same") + ops.average_pool(x, (3, 7), 1, "same") * MIDDLE
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_what_a_constant_hides_is_not_seen(name: str) -> None:
    told, seen = told_and_seen(HIDDEN[name])
    np.testing.assert_array_equal(told, seen)


def test_weights_that_are_still_zero_hide_nothing() -> None:
    class Scaled(layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=shape[-1:], initializer="zeros")

        def call(self, x: Any) -> Any:
            return x * ops.reshape(self.scale, (1, 1, 1, -1))

    model = model_of(lambda x: same(3)(x) + Scaled()(same((3, 7))(x)))
    assert KerasReceptiveField(model).compute().size == (7, 3)


def test_code_that_suits_one_size_only_is_not_run_on_numbers_at_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of an image of 40,000 columns would take gigabytes."""
    model = model_of(HIDDEN["multiplied, in a Lambda"])
    tried: list[Any] = []
    monkeypatch.setattr(Tracer, "_run_on_numbers", lambda *call: tried.append(call))
    assert KerasReceptiveField(model).compute().size == (5, 1)
    assert tried == []


# -- grids that no rectangle fits --------------------------------------------------------------------------------------


def rows_of_another_length(rows: int) -> Callable[[Any], Any]:
    """The places of a grid, one behind the other, in rows of another length."""
    return lambda x: layers.Reshape((rows, HEIGHT * WIDTH // rows, 2))(same(1)(x))


MIXED = {
    "two rows in one": rows_of_another_length(5),
    "five rows in one": rows_of_another_length(2),
    "half rows": rows_of_another_length(20),
    "rows that overlap": rows_of_another_length(14),
    "places by number": layers.Lambda(
        lambda x: tf.gather_nd(
            x, tf.tile(tf.constant([[[[0, 0]], [[3, 4]], [[1, 7]]]]), [tf.shape(x)[0], 1, 1, 1]), batch_dims=1
        )
    ),
}


@pytest.mark.parametrize("name", ["five rows in one", "rows that overlap", "places by number"])
def test_where_some_lines_reach_further_than_others_compute_says_so(name: str) -> None:
    rf = KerasReceptiveField(model_of(lambda x: layers.Identity(name="end")(MIXED[name](x))))
    with pytest.warns(UserWarning, match="depends on where they stand along another"):
        rf.compute(output_layer="end")


@pytest.mark.parametrize("network", MIXED.values(), ids=MIXED)
def test_where_the_axes_depend_on_each_other_the_fields_hold_what_any_cell_sees(network: Any) -> None:
    rf = KerasReceptiveField(model_of(lambda x: layers.Identity(name="end")(network(x))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the next test is about them
        rf.compute(output_layer="end")
    told, seen = told_and_seen(network)
    np.testing.assert_array_equal(told, seen)
    (top, bottom), (left, right) = seen
    for row, column in np.ndindex(left.shape):
        real = (left[row, column], top[row, column], right[row, column], bottom[row, column])
        assert tuple(rf.rect_at((column, row), clip=True)) == real
        first, above, last, below = rf.rect_at((column, row))
        assert first <= real[0]
        assert above <= real[1]
        assert real[2] <= last
        assert real[3] <= below


# -- ends that are no layers -------------------------------------------------------------------------------------------


class Residual(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Returns a sum that sees no more than the last layer inside does."""

    def __init__(self) -> None:
        super().__init__(name="residual")
        self.conv = same((3, 5), name="conv")

    def call(self, x: Any) -> Any:
        return ops.relu(x + self.conv(x))


def subclassed() -> Any:
    model = Residual()
    model(np.zeros((1, *SHAPE), "float32"))
    return model


ENDS: dict[str, tuple[Callable[[], Any], str]] = {
    "a sum with the image": (lambda: model_of(lambda x: x + same((3, 5), name="conv")(x)), "add"),
    "a sum of branches": (lambda: model_of(lambda x: same(1)(x) + 2.0 * same((3, 5), name="conv")(x)), "add"),
    "a difference, then relu": (lambda: model_of(lambda x: ops.relu(x - same((3, 5), name="conv")(x))), "relu"),
    "code": (subclassed, "residual"),
    "relu alone": (lambda: model_of(lambda x: ops.relu(same((3, 5), name="conv")(x))), "conv"),
    "a gate of itself": (
        lambda: model_of(lambda x: (lambda y: y * ops.sigmoid(y))(same((3, 5), name="conv")(x))), "conv",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_what_a_model_makes_of_several_maps_is_its_last_layer(name: str) -> None:
    build, layer = ENDS[name]
    model = build()
    rf = KerasReceptiveField(model)
    assert rf.compute(SHAPE).size == (5, 3)
    assert rf.output_layer.rstrip("_0123456789") == layer
    if layer == "conv":
        return
    pixels = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_allclose(rf.feature_map(pixels), model(pixels[None])[0].numpy().mean(-1), rtol=1e-5, atol=1e-5)


# -- a second opinion that contradicts nothing -------------------------------------------------------------------------


@pytest.mark.parametrize("network", [
    lambda x: same((3, 4))(ops.flip(x, 2)),
    lambda x: layers.Conv2D(2, 3, strides=(2, 1))(x[:, ::-1, ::-2]),
    lambda x: ops.flip(layers.MaxPooling2D((2, 3))(ops.flip(x, (1, 2))), 2),
    lambda x: layers.Resizing(30, 7, interpolation="lanczos3")(x),
    lambda x: layers.UpSampling2D(3, interpolation="lanczos5")(x),
], ids=["mirrored", "mirrored, with strides", "mirrored and half back", "Lanczos", "Lanczos, enlarged"])  # fmt: skip
def test_verify_agrees(network: Any) -> None:
    rf = KerasReceptiveField(model_of(network))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rf.compute()
    verified = rf.verify()
    assert verified.agree, verified


def test_verify_says_that_huge_pixels_get_past_a_mask() -> None:
    """A score 100 below another counts for nothing, until a pixel is larger than that."""

    def masked(x: Any) -> Any:
        both = ops.stack([x, ops.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)))[:, :, 1:]], -1)
        return ops.sum(ops.softmax(both + np.array([0, -100], np.float32), -1) * both, -1)

    rf = KerasReceptiveField(model_of(masked))
    assert rf.compute().size == (1, 1)
    (check,) = rf.verify()
    assert (check.pixels, check.wrong) == ("none contradicts (huge pixels reach further)", False)


@pytest.mark.parametrize("network", [
    lambda x: same((3, 4))(ops.flip(x, 2)),
    lambda x: layers.Conv2D(2, 3, strides=(2, 1))(x[:, ::-1, ::-2]),
])  # fmt: skip
def test_mirrored_grids_are_measured_from_gradients_too(network: Any) -> None:
    rf = KerasReceptiveField(model_of(network))
    rf.compute()
    assert rf.verify()[0].gradients == "agrees"


# -- what has no gradient ----------------------------------------------------------------------------------------------


def test_a_gradient_that_the_framework_does_not_have_is_an_error_in_words() -> None:
    resized = layers.Lambda(lambda x: tf.image.resize(x, (5, 7), method="area"), name="small")
    rf = KerasReceptiveField(model_of(resized))
    assert rf.compute().size == (2, 2)
    for ask in (lambda: rf.gradient_at((1, 1)), lambda: list(rf.gradient_patches([(1, 1), (2, 2)]))):
        with pytest.raises(ReceptiveFieldError, match=r"gradient of 'small' cannot be computed: .*ResizeArea"):
            ask()
