"""Small models in the manner of what people report, kind by kind, each with its right value.

Values come from arithmetic by hand, which stands beside them; what depends on what at the size asked for comes from a
black box that changes pixels of the real model (`tests.keras.foreign_code`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.looks import Inputs, ModelLooks
from rfwidget.types import Size
from tests.keras.foreign_code import Case, changes, extents

inf = math.inf
SHAPE = (14, 18, 2)
HEIGHT, WIDTH, _ = SHAPE
Pair = tuple[float, float]


def positive(seed: int = 4) -> Any:
    return keras.initializers.RandomUniform(0.5, 1.5, seed=seed)


def conv(size: Any, filters: int = 2, **named: Any) -> Any:
    return layers.Conv2D(filters, size, kernel_initializer=positive(), **named)


def same(size: Any, filters: int = 2, **named: Any) -> Any:
    return conv(size, filters, padding="same", **named)


def code(function: Callable[[Any], Any], **named: Any) -> Any:
    return layers.Lambda(function, **named)


class Kind(NamedTuple):
    """One member of a kind.

    Attributes:
        network: gives the output for the image.
        size: of the field, ``(w, h)``.
        stride: ``(x, y)``.
        offset: ``(x, y)``.
        trials: images that the black box tries; None: it is not asked.
    """

    network: Callable[[Any], Any]
    size: Pair
    stride: Pair = (1, 1)
    offset: Pair | None = None
    trials: int | None = 12

    def model(self) -> Any:
        image = keras.Input(SHAPE, name="image")
        return keras.Model(image, layers.Identity(name="end")(self.network(image)))


def check(kind: Kind) -> None:
    model = kind.model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        description = KerasReceptiveField(model).compute(output_layer="end")
    assert (description.size, description.stride) == (kind.size, kind.stride)
    assert kind.offset is None or description.offset == kind.offset
    if kind.trials is None:
        return
    carried = ModelLooks(model, Inputs((SHAPE,), 0), local=False).carried("end")
    assert not carried.marks.unknown
    for axis in (0, 1):
        found = extents(changes(Case(lambda _, x: x, shape=SHAPE, trials=kind.trials), model, axis))
        told = [np.broadcast_to(edges, carried.shape)[0, ..., 0] for edges in carried.spans(axis)]
        np.testing.assert_array_equal(told, found, err_msg=f"axis {axis}")


# -- A: what is measured if nobody says --------------------------------------------------------------------------------


def chosen(model: Any, **named: Any) -> tuple[str, tuple[Any, ...]]:
    rf = KerasReceptiveField(model)
    return rf.compute(**named).size, rf.output_layer  # type: ignore[return-value]


def binned(x: Any) -> Any:
    """The mean of blocks of 3x2."""
    return ops.mean(ops.reshape(x, (-1, 7, 2, 6, 3, 2)), axis=(2, 4))


class Pair2(layers.Layer):
    """Two outputs on two grids."""

    def build(self, shape: Any) -> None:
        self.inner = layers.Conv2D(3, (3, 1), padding="same", name="inner")
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        y = self.inner(x)
        return ops.average_pool(y, (1, 3), 1, "same"), ops.max_pool(x, 2, 2)


def nested_end(image: Any) -> Any:
    inside = keras.Input(SHAPE)
    both = [conv((1, 3), name="deep")(conv(3)(inside)), conv(1)(inside)]
    return keras.Model(inside, both, name="nested")(image)


def turned_end(image: Any) -> Any:
    x = layers.Permute((2, 1, 3))(conv((1, 3), name="kept")(image))
    return layers.Dense(3)(layers.Flatten()(x))


OUTPUTS: dict[str, tuple[Callable[[Any], Any], Pair, str]] = {
    "bins, then a head": (lambda x: conv(1, name="head")(binned(same((1, 3))(x))), (5, 2), "head"),
    "the first of two outputs": (lambda x: Pair2(name="two")(x)[0], (3, 3), "two"),
    "the second of two outputs": (lambda x: Pair2(name="two")(x)[1], (2, 2), "two"),
    "code": (lambda x: code(lambda y: tf.nn.avg_pool2d(y, (1, 3), 1, "SAME"), name="own")(conv(3)(x)), (5, 3), "own"),
    "the first output of a nested model": (lambda x: nested_end(x)[0], (5, 3), "nested"),
    "the second output of a nested model": (lambda x: nested_end(x)[1], (1, 1), "nested"),
    "a turned grid before the head": (turned_end, (3, 1), "kept"),
    "a classifier": (lambda x: layers.GlobalMaxPooling2D()(conv((1, 3), name="top")(x)), (3, 1), "top"),
    "a classifier that keeps its places": (
        lambda x: conv(1, 5, name="logits")(layers.GlobalAveragePooling2D(keepdims=True)(conv((1, 3), name="top")(x))),
        (3, 1),
        "top",
    ),
    "one cell that grows with the image": (lambda x: conv((14, 18), name="one")(x), (18, 14), "one"),
    "tokens of anchors": (lambda x: layers.Reshape((-1, 1))(conv((1, 3), 4, name="anchors")(x)), (3, 1), "anchors"),
    "a vector, then a grid": (
        lambda x: [layers.GlobalAveragePooling2D()(x), conv((1, 3), name="maps")(x)], (3, 1), "maps",
    ),
    "a dictionary": (lambda x: {"z": conv((1, 3), name="z")(x), "a": conv(5, name="a")(x)}, (5, 5), "a"),
    "a layer called three times": (lambda x: (lambda c: c(c(c(x))))(same((1, 3), name="again")), (7, 1), "again"),
    "the image itself, then a map": (lambda x: [x, conv((1, 3), name="map")(x)], (3, 1), "map"),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_default_layer_is_what_the_model_returns(name: str, recwarn: pytest.WarningsRecorder) -> None:
    network, size, layer = OUTPUTS[name]
    image = keras.Input(SHAPE)
    assert chosen(keras.Model(image, network(image))) == (size, layer)
    assert not [str(warning.message) for warning in recwarn if "rfwidget" in warning.filename]


# -- B: masks on kernels -----------------------------------------------------------------------------------------------

RASTER = np.ones((3, 5, 1, 1), "float32")
"""What PixelCNN leaves of a kernel of 5x3: the row above, and what is left of the middle: 5x2."""
RASTER[2:] = 0
RASTER[1, 2:] = 0


class Masked(layers.Layer):
    """A convolution of 5x3 whose kernel is changed: called with the kernel, and the layer."""

    def __init__(self, changed: Callable[[Any, Any], Any], shape: tuple[int, ...] = (3, 5, 2, 4)) -> None:
        super().__init__()
        self.changed, self.kernel_shape = changed, shape

    def build(self, shape: Any) -> None:  # noqa: ARG002 - Keras' signature
        self.kernel = self.add_weight(shape=self.kernel_shape, initializer=positive())
        self.fixed = self.add_weight(shape=RASTER.shape, initializer="zeros", trainable=False)
        self.fixed.assign(RASTER)

    def call(self, x: Any) -> Any:
        return ops.conv(x, self.changed(self.kernel, self), padding="same")


class MaskedInHook(layers.Conv2D):
    """A part of Keras' own layer is another one."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, kernel * RASTER)


class MaskedProperty(layers.Conv2D):
    """The kernel itself is another one."""

    @property
    def kernel(self) -> Any:
        return self._kernel * RASTER


class MaskedByAssignment(layers.Layer):
    """As the PixelCNN of Keras' own examples: the mask is multiplied into the weights at every call."""

    def __init__(self, *, raw: bool) -> None:
        super().__init__()
        self.conv, self.raw = same((3, 5), 4, name="inner"), raw

    def build(self, shape: Any) -> None:
        self.conv.build(shape)

    def call(self, x: Any) -> Any:
        self.conv.kernel.assign(self.conv.kernel * RASTER)
        y = self.conv(x)
        return tf.nn.elu(y) if self.raw else y


def by_channels(kernel: Any, _: Any) -> Any:
    """Other masks for other pairs of channels; together they leave the row above and the middle one."""
    mask = np.ones((3, 5, 2, 4), "float32")
    mask[2] = 0
    mask[1, 3:] = 0
    mask[1, 2, 1, :2] = 0
    mask[0, :, 0, 3] = 0
    return kernel * mask


HEXAGON = np.reshape([[1, 1, 0], [1, 1, 1], [1, 1, 0]], (3, 3, 1, 1)).astype("float32")
LAPLACE = (np.reshape([[0, 1, 0], [1, -4, 1], [0, 1, 0]], (3, 3, 1, 1)) * np.ones((1, 1, 2, 1))).astype("float32")
BAND = np.tril(np.triu(np.ones((WIDTH, WIDTH), "float32"), -3))
"""Column j is made of the columns j ... j + 3."""


class MaskedColumns(layers.Layer):
    """A product of the columns with a masked matrix."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[2], shape[2]), initializer=positive())

    def call(self, x: Any) -> Any:
        return ops.einsum("bhwc,wv->bhvc", x, self.w * BAND)


class FromBasis(layers.Layer):
    """A kernel that two rows of weights are spread over by a constant matrix: 4 columns of the middle row."""

    def build(self, shape: Any) -> None:  # noqa: ARG002 - Keras' signature
        self.w = self.add_weight(shape=(2, 8), initializer=positive())

    def call(self, x: Any) -> Any:
        basis = np.zeros((15, 2), "float32")
        basis[5:8, 0] = basis[6:9, 1] = 1
        return ops.conv(x, ops.reshape(ops.matmul(basis, self.w), (3, 5, 2, 4)), padding="same")


def masked_by(changed: Callable[[Any, Any], Any], shape: tuple[int, ...] = (3, 5, 2, 4)) -> Callable[[Any], Any]:
    return lambda x: Masked(changed, shape)(x)


MASKS: dict[str, Kind] = {
    "product": Kind(masked_by(lambda w, _: w * RASTER), (5, 2), offset=(0.5, 0)),
    "product of weights": Kind(masked_by(lambda w, layer: w * layer.fixed), (5, 2), offset=(0.5, 0)),
    "choice": Kind(masked_by(lambda w, _: ops.where(RASTER > 0, w, 0.0)), (5, 2), offset=(0.5, 0)),
    "rows cut and padded": Kind(masked_by(lambda w, _: ops.pad(w[:2], ((0, 1), *[(0, 0)] * 3))), (5, 2)),
    "rows put beside zeros": Kind(
        masked_by(lambda w, _: ops.concatenate([w[:1], ops.zeros_like(w[1:])])), (5, 1), offset=(0.5, -0.5)
    ),
    "hexagon": Kind(masked_by(lambda w, _: w * HEXAGON, (3, 3, 2, 4)), (3, 3)),
    "other masks for other channels": Kind(masked_by(by_channels), (5, 2), offset=(0.5, 0)),
    "a hook of Keras": Kind(MaskedInHook(4, (3, 5), padding="same", kernel_initializer=positive()), (5, 2)),
    "a property of Keras": Kind(
        lambda x: MaskedProperty(4, (3, 5), padding="same", kernel_initializer=positive())(x), (5, 2)
    ),
    "assigned": Kind(lambda x: MaskedByAssignment(raw=False)(x), (5, 2), offset=(0.5, 0)),
    "assigned, with raw code behind": Kind(lambda x: MaskedByAssignment(raw=True)(x), (5, 2), offset=(0.5, 0)),
    "causal by padding": Kind(lambda x: conv((3, 5))(layers.ZeroPadding2D(((2, 0), (4, 0)))(x)), (5, 3),
                              offset=(-1.5, -0.5)),
    "causal by moving rows": Kind(
        lambda x: layers.Cropping2D(((0, 1), (0, 0)))(layers.ZeroPadding2D(((1, 0), (0, 0)))(same((3, 5))(x))),
        (5, 3), offset=(0.5, -0.5),
    ),
    "a constant kernel": Kind(code(lambda x: ops.depthwise_conv(x, LAPLACE, padding="same")), (3, 3)),
    "a constant row": Kind(code(lambda x: ops.depthwise_conv(x, LAPLACE[1:2], padding="same")), (3, 1)),
    "a depthwise mask": Kind(
        code(lambda x: tf.nn.depthwise_conv2d(x, np.tile(RASTER, (1, 1, 2, 1)), [1] * 4, "SAME")),
        (5, 2), offset=(0.5, 0),
    ),
    "columns of a matrix": Kind(MaskedColumns(), (4, 1), offset=(2, 0.5)),
    "made of a basis": Kind(FromBasis(), (4, 1), offset=(0, 0.5)),
    "sums of moved maps": Kind(
        code(lambda x: ops.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)))[:, 1:-1, :-4] + x), (3, 1), offset=(-0.5, 0.5)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_masks_on_kernels_shrink_the_field(name: str) -> None:
    check(MASKS[name])


class Row(keras.constraints.Constraint):  # type: ignore[misc]  # Keras has no types
    def __call__(self, w: Any) -> Any:
        return w * RASTER


@pytest.mark.parametrize("layer", [
    layers.Conv2D(4, (3, 5), kernel_initializer="zeros"),
    layers.Conv2D(4, (3, 5), kernel_constraint=Row()),
    layers.DepthwiseConv2D((3, 5), depthwise_initializer="zeros"),
    layers.SeparableConv2D(3, (3, 5), pointwise_initializer="zeros"),
], ids=["zeros", "constraint", "depthwise", "pointwise"])  # fmt: skip
def test_weights_that_are_zero_for_a_while_are_no_masks(layer: Any) -> None:
    image = keras.Input(SHAPE)
    assert KerasReceptiveField(keras.Model(image, layer(image))).compute().size == Size(5, 3)


@pytest.mark.parametrize("raw", [False, True])
def test_weights_that_code_assigns_to_stay_as_they_were(raw: bool) -> None:
    image = keras.Input(SHAPE)
    model = keras.Model(image, MaskedByAssignment(raw=raw)(image))
    before = [weight.numpy().copy() for weight in model.weights]
    rf = KerasReceptiveField(model)
    rf.compute()
    rows, columns = np.nonzero(rf.gradient_at((8, 7), np.ones(SHAPE, np.float32)).any(axis=-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 7, 6, 10)
    assert all(np.array_equal(old, new.numpy()) for old, new in zip(before, model.weights, strict=True))


# -- C: other inputs are anything but zero -----------------------------------------------------------------------------


class Other(NamedTuple):
    """A model with another input, between a convolution of 5x3 and one of 3x1: 7x3.

    Attributes:
        shape: of the other input.
        joined: of a map of 3 channels and the other input.
        dtype: of the other input.
    """

    shape: tuple[int, ...]
    joined: Callable[[Any, Any], Any]
    dtype: str = "float32"


def gated(x: Any, k: Any) -> Any:
    return x * layers.Reshape((1, 1, 3))(layers.Dense(3)(k)) + layers.Reshape((1, 1, 3))(layers.Dense(3)(k))


OTHERS: dict[str, Other] = {
    "a map, multiplied": Other((14, 18, 3), lambda x, k: x * k),
    "a map, by raw code": Other((14, 18, 1), lambda x, k: code(lambda t: tf.multiply(*t))([x, k])),
    "a map of another size": Other((7, 9, 3), lambda x, k: x + layers.UpSampling2D(2)(k)),
    "a larger map": Other((28, 36, 1), lambda x, k: x * layers.Conv2D(3, 3, strides=2, padding="same")(k)),
    "compared": Other((14, 18, 3), lambda x, k: ops.cast(x > k, "float32")),
    "a choice": Other((14, 18, 1), lambda x, k: ops.where(k, x, ops.zeros_like(x)), "bool"),
    "a divisor": Other((14, 18, 1), lambda x, k: x / (k + 1)),
    "a number": Other((), lambda x, k: x * ops.reshape(k, (-1, 1, 1, 1))),
    "a vector": Other((7,), gated),
    "a class": Other((), lambda x, k: x * ops.reshape(ops.one_hot(k, 3), (-1, 1, 1, 3)), "int32"),
    "a class with an embedding": Other(
        (1,), lambda x, k: x + layers.Reshape((1, 1, 3))(layers.Embedding(10, 3)(k)), "int32"
    ),
    "a matrix of channels": Other((3, 3), lambda x, k: ops.matmul(x, k)),
    "tokens": Other(
        (9, 5),
        lambda x, k: layers.Reshape((14, 18, 3))(layers.MultiHeadAttention(1, 3)(layers.Reshape((252, 3))(x), k)),
    ),
}


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_other_inputs_hide_nothing(name: str, second: bool) -> None:
    other = OTHERS[name]
    image, more = keras.Input(SHAPE, name="image"), keras.Input(other.shape, name="more", dtype=other.dtype)
    end = conv((1, 3))(other.joined(same((3, 5), 3)(image), more))
    model = keras.Model([more, image] if second else [image, more], end)
    assert KerasReceptiveField(model).compute(input_layer="image").size == Size(7, 3)


def test_a_number_of_another_input_that_moves_the_map_may_move_it_anywhere() -> None:
    image, more = keras.Input(SHAPE, name="image"), keras.Input((1,), name="more")
    rolled = code(lambda t: tf.roll(t[0], tf.cast(t[1][0, 0], tf.int32), 1))([conv((1, 3))(image), more])
    assert KerasReceptiveField(keras.Model([image, more], rolled)).compute().size == Size(3, inf)


# -- D: what has no gradient, or chooses -------------------------------------------------------------------------------


def windows(x: Any) -> Any:
    """Windows of 5x3 as one more axis."""
    patches = tf.image.extract_patches(x, [1, 3, 5, 1], [1] * 4, [1] * 4, "SAME")
    return tf.reshape(patches, (-1, *patches.shape[1:3], 15, x.shape[-1]))


def after(function: Callable[[Any], Any], trials: int = 20) -> Kind:
    """Behind a convolution of 5x3, each cell alone."""
    return Kind(lambda x: code(function)(same((3, 5))(x)), (5, 3), offset=(0.5, 0.5), trials=trials)


CODES = np.eye(5, 2, dtype="float32")

STEPS: dict[str, Kind] = {
    "round": after(ops.round),
    "a step": after(lambda x: tf.cast(x > 0.5, tf.float32)),
    "which channel is largest": after(lambda x: ops.cast(ops.argmax(x, -1, keepdims=True), "float32"), 80),
    "channels in order": after(lambda x: ops.sort(x, -1)),
    "the middle of channels": after(lambda x: ops.median(x, -1, keepdims=True)),
    "the best channel": after(lambda x: ops.top_k(x, 1)[0]),
    "one hot": after(lambda x: ops.one_hot(ops.argmax(x, -1), 2), 80),
    "straight through": after(lambda x: x + ops.stop_gradient(ops.sign(x) - x), 80),
    "quantised": after(lambda x: tf.quantization.fake_quant_with_min_max_args(x, -3, 3, 4)),
    "digits": after(lambda x: ops.cast(ops.digitize(x, np.array([-1.0, 0.0, 1.0])), "float32")),
    "a median filter": Kind(code(lambda x: tf.sort(windows(x), axis=3)[..., 7, :]), (5, 3), trials=None),
    "where in the window": Kind(code(lambda x: tf.cast(tf.argmax(windows(x), axis=3), tf.float32)), (5, 3), trials=40),
    "maxima alone": Kind(
        code(lambda x: ops.where(ops.equal(ops.max_pool(x, (3, 5), 1, "same"), x), x, 0.0)), (5, 3), trials=200
    ),
    "maxima told by ==": Kind(
        code(lambda x: x * ops.cast(ops.max_pool(x, (3, 5), 1, "same") == x, "float32")), (5, 3), trials=200
    ),
    "all but maxima, told by !=": Kind(
        code(lambda x: x * ops.cast(ops.max_pool(x, (3, 5), 1, "same") != x, "float32")), (5, 3), trials=200
    ),
    "opened": Kind(
        code(lambda x: ops.max_pool(-ops.max_pool(-x, (3, 1), 1, "same"), (1, 5), 1, "same")), (5, 3), trials=40
    ),
    "eroded": Kind(code(lambda x: -tf.nn.max_pool2d(-x, (3, 5), 1, "SAME")), (5, 3), trials=40),
    "more than around it": Kind(
        code(lambda x: ops.cast(x > ops.average_pool(x, (3, 5), 1, "same"), "float32")), (5, 3), trials=60
    ),
    "largest with weights": Kind(
        code(lambda x: tf.reduce_max(windows(x) + np.linspace(0, 3, 15, dtype="float32")[:, None], 3)),
        (5, 3), trials=40,
    ),
    "a table of nearest entries": Kind(
        code(lambda x: ops.take(CODES, ops.argmin(ops.sum((x[..., None, :] - CODES) ** 2, -1), -1), axis=0)),
        (1, 1), trials=40,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_what_has_no_gradient_counts_all_the_same(name: str) -> None:
    check(STEPS[name])


@pytest.mark.parametrize("choose", [
    lambda x: tf.cond(tf.reduce_sum(x[:, :3, :4]) > 0, lambda: x, lambda: -x),
    lambda x: ops.cond(ops.sum(x[:, :3, :4]) > 0, lambda: x, lambda: -x),
    lambda x: ops.switch(ops.cast(ops.sum(x[:, :3, :4]) > 0, "int32"), [lambda y: y, lambda y: -y], x),
    lambda x: ops.where(ops.sum(x[:, :3, :4]) > 0, x, -x),
], ids=["cond", "cond of Keras", "switch", "where"])  # fmt: skip
def test_what_is_asked_for_a_choice_counts(choose: Any) -> None:
    """Each cell sees itself and the corner of 4x3 pixels."""
    image = keras.Input(SHAPE)
    rf = KerasReceptiveField(keras.Model(image, code(choose)(image)))
    rf.compute()
    assert rf.rect_at((9, 7), clip=True) == (0, 0, 10, 8)
    assert rf.rect_at((1, 1), clip=True) == (0, 0, 4, 3)


def test_loops_over_functions_that_know_more_than_they_are_given() -> None:
    def smoothed(x: Any) -> Any:
        wide = ops.average_pool(x, (1, 7), 1, "same")
        return ops.fori_loop(0, 2, lambda _, y: ops.average_pool(y, 3, 1, "same") + wide, x)

    check(Kind(code(smoothed), (9, 5), offset=(0.5, 0.5)))


# -- E: mirrored and turned grids --------------------------------------------------------------------------------------

MIRRORS: dict[str, Kind] = {
    "rows": Kind(lambda x: conv((3, 5))(ops.flip(x, 1)), (5, 3), (1, -1), (2.5, 12.5)),
    "both, with strides": Kind(
        lambda x: conv((3, 5), strides=(1, 2))(ops.flip(x, (1, 2))), (5, 3), (-2, -1), (15.5, 12.5)
    ),
    "by a slice": Kind(lambda x: conv((3, 5))(x[:, :, ::-1]), (5, 3), (-1, 1), (15.5, 1.5)),
    "by a slice of every other": Kind(lambda x: conv((3, 5))(x[:, :, ::-2]), (9, 3), (-2, 1), (13.5, 1.5)),
    "behind the convolution": Kind(lambda x: conv((3, 5))(x)[:, ::-3], (5, 3), (1, -3), (2.5, 12.5)),
    "by raw code": Kind(lambda x: code(lambda y: y[:, ::-1, ::-2])(conv((3, 5))(x)), (5, 3), (-2, -1), (15.5, 12.5)),
    "turned twice": Kind(
        lambda x: ops.rot90(conv((3, 5))(ops.rot90(x, 1, axes=(1, 2))), 1, axes=(1, 2)), (3, 5), (-1, -1), (16.5, 11.5)
    ),
    "turned and back": Kind(
        lambda x: ops.rot90(conv((3, 5))(ops.rot90(x, 1, axes=(1, 2))), -3, axes=(1, 2)), (3, 5), (-1, -1), (16.5, 11.5)
    ),
    "transposed and back": Kind(
        lambda x: layers.Permute((2, 1, 3))(conv((3, 5))(layers.Permute((2, 1, 3))(x))), (3, 5), offset=(1.5, 2.5)
    ),
    "two mirrored branches": Kind(
        lambda x: conv((3, 5))(x) + ops.flip(conv((3, 5))(ops.flip(x, 2)), 2), (5, 3), offset=(2.5, 1.5)
    ),
    "mirrored and back around a pooling": Kind(
        lambda x: ops.flip(layers.MaxPooling2D((2, 3))(ops.flip(x, 2)), 2), (3, 2), (3, 2), (1.5, 1), 40
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MIRRORS)
def test_mirrored_grids_have_negative_strides(name: str) -> None:
    check(MIRRORS[name])


@pytest.mark.parametrize("turn", [
    layers.Permute((2, 1, 3)),
    lambda x: ops.transpose(x, (0, 2, 1, 3)),
    lambda x: ops.rot90(x, 1, axes=(1, 2)),
    code(lambda x: tf.transpose(x, (0, 2, 1, 3))),
], ids=["Permute", "transpose", "rot90", "raw"])  # fmt: skip
def test_a_turned_grid_that_is_asked_for_is_an_error_with_the_reason(turn: Any) -> None:
    image = keras.Input(SHAPE)
    rf = KerasReceptiveField(keras.Model(image, conv((3, 5), name="end")(turn(image))))
    with pytest.raises(ReceptiveFieldError, match="is turned: its cells along x follow the image along y"):
        rf.compute(output_layer="end")


# -- F: borders that differ --------------------------------------------------------------------------------------------


def around(x: Any, rows: int, columns: int) -> Any:
    """The map, continued from the other side."""
    if rows:
        x = ops.concatenate([x[:, -rows:], x, x[:, :rows]], 1)
    return ops.concatenate([x[:, :, -columns:], x, x[:, :, :columns]], 2) if columns else x


def padded(x: Any, mode: str) -> Any:
    return ops.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)), mode)


BORDERS: dict[str, Kind] = {
    "columns that wrap": Kind(lambda x: conv((3, 5))(around(x, 0, 2)), (5, 3), offset=(0.5, 1.5)),
    "rows that wrap": Kind(lambda x: conv((3, 5))(around(x, 1, 0)), (5, 3), offset=(2.5, 0.5)),
    "all wraps": Kind(lambda x: conv((3, 5))(around(x, 1, 2)), (5, 3), offset=(0.5, 0.5)),
    "all wraps twice": Kind(
        lambda x: conv((3, 5))(around(conv((3, 5))(around(x, 1, 2)), 1, 2)), (9, 5), offset=(0.5, 0.5)
    ),
    "wraps, with strides": Kind(lambda x: conv((3, 5), strides=2)(around(x, 1, 2)), (5, 3), (2, 2), (0.5, 0.5)),
    "columns by their numbers": Kind(
        code(lambda x: tf.nn.avg_pool2d(tf.gather(x, np.arange(-2, WIDTH + 2) % WIDTH, axis=2), (3, 5), 1, "VALID")),
        (5, 3), offset=(0.5, 1.5),
    ),
    "wraps at one size only": Kind(
        lambda x: conv((3, 5))(layers.Reshape((14, 22, 2))(around(x, 0, 2))), (5, 3), offset=(0.5, 1.5)
    ),
    "reflected": Kind(lambda x: conv((3, 5))(padded(x, "reflect")), (5, 3), offset=(0.5, 0.5)),
    "symmetric": Kind(lambda x: conv((3, 5))(padded(x, "symmetric")), (5, 3), offset=(0.5, 0.5)),
    "rolled": Kind(lambda x: conv((3, 5))(ops.roll(x, 2, 1)), (5, 3), offset=(2.5, -0.5)),
    "rolled and added": Kind(
        code(lambda x: tf.nn.avg_pool2d(x + tf.roll(x, 3, 2), (3, 1), 1, "VALID")), (4, 3), offset=(-1, 1.5)
    ),
    "the last column again": Kind(
        lambda x: conv((3, 5))(ops.concatenate([x[:, :, :1], x[:, :, :1], x, x[:, :, -1:], x[:, :, -1:]], 2)),
        (5, 3), offset=(0.5, 1.5),
    ),
    "means of fewer": Kind(layers.AveragePooling2D((3, 5), 1, padding="same"), (5, 3), offset=(0.5, 0.5)),
    "rows at the border as they are": Kind(
        code(lambda x: tf.concat([x[:, :1], tf.nn.avg_pool2d(x, (3, 1), 1, "VALID"), x[:, -1:]], 1)), (1, 3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BORDERS)
def test_cells_at_borders_that_differ_do_not_enter_the_description(name: str) -> None:
    check(BORDERS[name])


# -- G: mixtures of a whole axis at a fixed size -----------------------------------------------------------------------


def columns_mixed(x: Any) -> Any:
    return layers.Permute((1, 3, 2))(
        layers.Dense(x.shape[2], kernel_initializer=positive())(layers.Permute((1, 3, 2))(x))
    )


def rows_mixed(x: Any) -> Any:
    return layers.Permute((3, 2, 1))(
        layers.Dense(x.shape[1], kernel_initializer=positive())(layers.Permute((3, 2, 1))(x))
    )


def tokens_mixed(x: Any) -> Any:
    t = layers.Permute((2, 1))(layers.Reshape((HEIGHT * WIDTH, 2))(x))
    return layers.Reshape(SHAPE)(layers.Permute((2, 1))(layers.Dense(HEIGHT * WIDTH, kernel_initializer=positive())(t)))


COSINES = np.cos(np.pi / WIDTH * (np.arange(WIDTH)[:, None] + 0.5) * np.arange(WIDTH)).astype("float32")

MIXED: dict[str, tuple[Callable[[Any], Any], Pair]] = {
    "columns by Dense": (columns_mixed, (inf, 3)),
    "rows by Dense": (rows_mixed, (5, inf)),
    "tokens by Dense": (tokens_mixed, (inf, inf)),
    "columns by cosines": (code(lambda x: ops.einsum("bhwc,wk->bhkc", x, COSINES)), (inf, 3)),
    "rows by EinsumDense": (
        layers.EinsumDense("bhwc,hk->bkwc", output_shape=SHAPE, kernel_initializer=positive()), (5, inf),
    ),
    "both by Fourier": (
        code(lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x[..., 0], tf.complex64)))[..., None]), (inf, inf),
    ),
    "both by a norm": (layers.LayerNormalization(axis=(1, 2)), (inf, inf)),
    "columns by a norm": (layers.LayerNormalization(axis=2), (inf, 3)),
    "columns by their mean": (lambda x: ops.mean(x, 2, keepdims=True), (inf, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_an_axis_at_a_fixed_size_is_global_context(name: str) -> None:
    mix, size = MIXED[name]
    check(Kind(lambda x: same(1)(same((3, 5))(x) + mix(same((3, 5))(x))), size, trials=3))
    image = keras.Input(SHAPE)
    x = same((3, 5))(image)
    model = keras.Model(image, layers.Add(name="end")([x, mix(x)]))
    assert KerasReceptiveField(model).compute(output_layer="end").size == size
    assert KerasReceptiveField(model).compute(output_layer="end", ignore_global_context=True).size == Size(5, 3)


# -- H: errors in words ------------------------------------------------------------------------------------------------


class OneWidth(layers.Layer):
    """Code that only suits images of 18 columns."""

    def call(self, x: Any) -> Any:
        return tf.reshape(x, (-1, 14, 18, 2)) * 1.0

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def for_one_width() -> keras.Model:
    image = keras.Input((None, None, 2))
    return keras.Model(image, same((1, 3), name="behind")(OneWidth()(same((3, 5), name="before")(image))))


def built_for_one_width(input_shape: Any) -> keras.Model:
    image = keras.Input(input_shape)
    return keras.Model(image, conv(3)(layers.Reshape(SHAPE)(image)))


class Fails(keras.Model):
    """A model that fails from its second call on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.called = conv(3), False

    def call(self, x: Any) -> Any:
        if self.called:
            raise tf.errors.InvalidArgumentError(None, None, "\x1b[31mbad\x1b[0m\n" + "worse " * 1000)
        return self.conv(x)


def failing() -> keras.Model:
    model = Fails()
    model(np.zeros((1, *SHAPE), np.float32))
    model.called = True
    return model


@pytest.mark.parametrize(("model", "named", "message"), [
    (for_one_width, {"input_shape": (15, 19, 2), "output_layer": "behind"}, "not run to its end.*evenly divisible"),
    (lambda: built_for_one_width, {"input_shape": (15, 19, 2)}, "raised ValueError.*must be unchanged"),
    (failing, {"input_shape": SHAPE}, "does not run to its end on this image: bad worse"),
], ids=["code", "build function", "model"])  # fmt: skip
def test_errors_of_the_framework_are_put_into_words(model: Any, named: Any, message: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=message) as caught:
        KerasReceptiveField(model()).compute(**named)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1200
    assert caught.value.__cause__ is not None


def test_a_layer_before_the_code_that_does_not_suit_the_image_is_measured_with_one_warning() -> None:
    rf = KerasReceptiveField(for_one_width())
    with pytest.warns(
        UserWarning, match="does not run to its end on this image.*'before', a layer before that"
    ) as told:
        assert rf.compute((15, 19, 2)).size == Size(5, 3)
    assert len(told) == 1


@pytest.mark.parametrize("folded", [(3 * 14, 18, 2), (3, 14 * 18, 2), (3, 14, 18, 2, 1)])
def test_the_batch_may_be_part_of_a_reshape(folded: tuple[int, ...]) -> None:
    image = keras.Input(SHAPE, batch_size=3)
    x = ops.reshape(ops.reshape(image, folded), (3, *SHAPE))
    rf = KerasReceptiveField(keras.Model(image, conv((3, 5), strides=2)(x)))
    assert rf.compute().size == Size(5, 3)
    rows, columns = np.nonzero(rf.gradient_at((4, 3)).any(axis=-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 8, 8, 12)


# -- I: layers that are shared -----------------------------------------------------------------------------------------


def backbone() -> keras.Model:
    """3x3 with stride 2, then 5x3: 11x7."""
    image = keras.Input((20, 28, 3))
    x = same(3, 3, strides=2, name="first")(image)
    return keras.Model(image, same((3, 5), 3, name="second")(x), name="backbone")


@pytest.mark.parametrize("name", ["anchor", "positive", "negative"])
def test_a_shared_backbone_is_looked_at_in_the_call_that_the_image_reaches(name: str) -> None:
    shared, inputs = backbone(), [keras.Input((20, 28, 3), name=n) for n in ("anchor", "positive", "negative")]
    rf = KerasReceptiveField(keras.Model(inputs, layers.Concatenate()([shared(each) for each in inputs])))
    assert rf.compute(input_layer=name, output_layer="backbone/second").size == Size(11, 7)
    assert rf.compute(input_layer=name).size == Size(11, 7)


def test_a_model_in_a_model_in_a_model() -> None:
    inside, image = keras.Input((20, 28, 3)), keras.Input((20, 28, 3))
    around_it = keras.Model(inside, conv(3, name="behind")(backbone()(inside)), name="around")
    rf = KerasReceptiveField(keras.Model(image, around_it(image)))
    assert rf.compute(output_layer="around/backbone/second").size == Size(11, 7)
    assert rf.compute().size == Size(15, 11)


def test_one_reason_is_one_warning() -> None:
    image = keras.Input(SHAPE)
    x = Hidden(name="hidden")(same((3, 5), name="before")(image))
    rf = KerasReceptiveField(keras.Model(image, [same(3, name="a")(x), same(5, name="b")(x)]))
    with pytest.warns(UserWarning, match="what the model's output 'a' sees is unknown: hidden") as told:
        assert rf.compute().size == Size(5, 3)
    assert len(told) == 1


# -- J: where no size can be given -------------------------------------------------------------------------------------


class Hidden(layers.Layer):
    """Code that TensorFlow cannot be asked about."""

    def call(self, x: Any) -> Any:
        y = tf.py_function(lambda numbers: numbers * 2, [x], tf.float32)
        y.set_shape(x.shape)
        return y


class LeavesForNumPy(layers.Layer):
    """Code that needs numbers."""

    def call(self, x: Any) -> Any:
        return ops.convert_to_tensor(np.sort(np.asarray(x), axis=1))

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape)


class Deformed(layers.Layer):
    """Each cell reads one of its column (axis 1) or row (axis 2), as the image itself decides."""

    def __init__(self, axis: int, **named: Any) -> None:
        super().__init__(**named)
        self.axis = axis

    def build(self, shape: Any) -> None:
        self.move = layers.Conv2D(1, 3, padding="same", name="move")
        self.move.build(shape)

    def call(self, x: Any) -> Any:
        count = x.shape[self.axis]
        places = ops.reshape(ops.arange(count, dtype="float32"), (1, -1, 1, 1) if self.axis == 1 else (1, 1, -1, 1))
        places = ops.clip(ops.round(places + self.move(x)), 0, count - 1)
        index = ops.broadcast_to(ops.cast(places, "int32"), ops.shape(x))
        return ops.take_along_axis(x, index, axis=self.axis)


@pytest.mark.parametrize("hidden", [Hidden, LeavesForNumPy])
def test_behind_code_that_cannot_be_followed_nothing_is_claimed(hidden: Any) -> None:
    image = keras.Input(SHAPE)
    x = hidden(name="hidden")(same((3, 5), name="before")(image))
    rf = KerasReceptiveField(keras.Model(image, same(3, name="behind")(x)))
    with pytest.raises(ReceptiveFieldError, match=r"what 'behind' sees is unknown: hidden.*Choose a layer before it"):
        rf.compute(output_layer="behind")
    with pytest.warns(UserWarning, match="'before', a layer before that"):
        rows = {row.name: row.size for row in rf.survey()}
    assert rows["before"] == Size(5, 3)
    assert list(rows) == ["before", "hidden", "behind"]
    assert math.isnan(rows["hidden"].w) and math.isnan(rows["behind"].h)  # noqa: PT018


@pytest.mark.parametrize(("axis", "size"), [(1, (7, inf)), (2, (inf, 5))])
def test_places_that_the_image_chooses_are_unbounded_along_their_axis(axis: int, size: Pair) -> None:
    """Behind 5x3, places come from 3x3 on that: 7x5."""
    image = keras.Input(SHAPE)
    x = Deformed(axis, name="deformed")(same((3, 5), name="before")(image))
    rf = KerasReceptiveField(keras.Model(image, conv(1, name="end")(x)))
    assert rf.compute().size == size
    assert np.isfinite(rf.gradient_at((5, 4))).all()
    rows = {row.name: row.size for row in rf.survey()}
    assert rows["before"] == (5, 3)
    assert rows["deformed/move"] == (7, 5)
    assert rows["end"] == size


# -- L: holes ----------------------------------------------------------------------------------------------------------

HOLES: dict[str, tuple[Any, tuple[int, int], list[list[int]]]] = {
    "dilated rows": (lambda: conv((3, 1), dilation_rate=(2, 1)), (5, 3), [[1, 5], [3, 5]]),
    "dilated columns": (lambda: conv((1, 3), dilation_rate=(1, 3)), (7, 2), [[2, 1], [2, 4], [2, 7]]),
    "strides": (lambda: conv(1, strides=(2, 3)), (3, 4), [[2, 1]]),
    "between strides": (lambda: conv(1, strides=(2, 3)), (4, 4), []),
    "enlarged with gaps": (lambda: layers.Conv2DTranspose(2, 2, strides=3), (2, 1), [
        [3, 6], [3, 7], [4, 6], [4, 7],
    ]),
    "a border": (lambda: same(3, strides=2), (17, 13), [[6, 8]]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOLES)
def test_the_cells_that_see_a_pixel_know_the_holes(name: str) -> None:
    """As ``[y, x]``, for a pixel ``(x, y)``."""
    layer, pixel, cells = HOLES[name]
    image = keras.Input(SHAPE)
    rf = KerasReceptiveField(keras.Model(image, layer()(image)))
    rf.compute()
    found = np.argwhere(rf.cells_seeing(pixel)).tolist()
    assert found == cells


# -- K: decoders and attention -----------------------------------------------------------------------------------------


def odd_decoder() -> keras.Model:
    """A U-Net on an odd size: 5 at the top; below, 3 at stride 2 on that, is enlarged and joined."""
    image = keras.Input((45, 61, 2))
    top = same(3, name="top")(same(3)(image))
    below = same((1, 3), name="below")(layers.MaxPooling2D(2, padding="same")(top))
    up = layers.Cropping2D(((0, 1), (0, 1)))(layers.UpSampling2D(2)(below))
    return keras.Model(image, conv(1, name="joined")(layers.Concatenate()([top, up])))


def windowed(x: Any, shift: int) -> Any:
    """Attention in windows of 4x4, as in a Swin block."""
    h, w, c = x.shape[1:]
    y = ops.roll(layers.LayerNormalization()(x), (-shift, -shift), (1, 2))
    y = ops.transpose(ops.reshape(y, (-1, h // 4, 4, w // 4, 4, c)), (0, 1, 3, 2, 4, 5))
    y = ops.reshape(y, (-1, 16, c))
    y = ops.reshape(layers.MultiHeadAttention(2, c // 2)(y, y), (-1, h // 4, w // 4, 4, 4, c))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, h, w, c))
    return layers.Add()([x, ops.roll(y, (shift, shift), (1, 2))])


def swin() -> keras.Model:
    """Patches of 4; then windows of 4x4 patches, of which each sees its own: from 12 pixels before it to 16 behind
    where it begins. Windows that are moved by half see two of the others: from 20 before to 24 behind.
    """
    image = keras.Input((64, 96, 3))
    x = windowed(layers.Conv2D(8, 4, strides=4, name="patches")(image), 0)
    x = layers.Identity(name="windows")(x)
    return keras.Model(image, layers.Identity(name="shifted")(windowed(x, 2)))


def axial() -> keras.Model:
    image = keras.Input((32, 48, 3))
    x = layers.Conv2D(8, 4, strides=4, name="patches")(image)
    x = layers.Add(name="along")([x, layers.MultiHeadAttention(2, 4, attention_axes=(2,))(x, x)])
    return keras.Model(
        image, layers.Add(name="across")([x, layers.MultiHeadAttention(2, 4, attention_axes=(1,))(x, x)])
    )


def gates() -> keras.Model:
    """Channels by all places (SE), then places by their neighbours (CBAM): 3, and 3 + 6."""
    image = keras.Input((32, 48, 3))
    x = same(3, 8, name="local")(image)
    best = layers.Concatenate()([ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)])
    x = layers.Multiply(name="places")([x, same(7, 1, activation="sigmoid")(best)])
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return keras.Model(image, layers.Multiply(name="channels")([x, conv(1, 8, activation="sigmoid")(pooled)]))


def coordinates() -> keras.Model:
    """A channel that holds the row's number depends on no pixel."""
    image = keras.Input(SHAPE)
    rows = code(lambda x: tf.concat([x, tf.zeros_like(x[..., :1]) + tf.range(14.0)[:, None, None]], -1))(image)
    return keras.Model(image, conv((3, 5), name="seen")(rows))


BUILDS: dict[str, tuple[Callable[[], keras.Model], dict[str, Pair]]] = {
    "an odd decoder": (odd_decoder, {"top": (5, 5), "below": (10, 6), "joined": (11, 7)}),
    "windows": (swin, {"patches": (4, 4), "windows": (28, 28), "shifted": (44, 44)}),
    "one axis after the other": (axial, {"patches": (4, 4), "along": (inf, 4), "across": (inf, inf)}),
    "gates": (gates, {"local": (3, 3), "places": (9, 9), "channels": (inf, inf)}),
    "coordinates": (coordinates, {"seen": (5, 3)}),
}


@pytest.mark.parametrize("name", BUILDS)
def test_decoders_and_attention(name: str) -> None:
    build, sizes = BUILDS[name]
    rows = {row.name: tuple(row.size) for row in KerasReceptiveField(build()).survey()}
    assert {layer: rows.get(layer) for layer in sizes} == sizes


def pyramid(shape: tuple[int, int, int]) -> keras.Model:
    """Image pooling by a window as large as the map, enlarged again, as in keras.io's DeepLabV3+."""
    image = keras.Input(shape)
    x = layers.Conv2D(4, (3, 5), strides=4, padding="same", name="local")(image)
    rows, columns = x.shape[1:3]
    pooled = layers.Conv2D(2, 1)(layers.AveragePooling2D((rows, columns))(x))
    pooled = layers.UpSampling2D((rows, columns), interpolation="bilinear")(pooled)
    return keras.Model(image, layers.Conv2D(2, 1)(layers.Concatenate()([x, pooled])))


def test_a_pooling_window_as_large_as_the_map_is_global_pooling() -> None:
    rf = KerasReceptiveField(pyramid((48, 64, 3)))
    assert rf.compute().size == (math.inf, math.inf)
    assert rf.compute(ignore_global_context=True).size == rf.compute(output_layer="local").size == (5, 3)


def test_a_small_map_that_one_window_happens_to_cover_is_pooled_locally() -> None:
    """Two convolutions of 3 and two poolings of 2, on an image of 8 pixels: 3, 4, 8, 10."""
    image = x = keras.Input((8, 8, 1))
    for _ in range(2):
        x = layers.MaxPooling2D(2)(layers.Conv2D(2, 3, padding="same")(x))
    assert KerasReceptiveField(keras.Model(image, layers.MaxPooling2D(2)(x))).compute().size == (14, 14)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("padding", [(3, 0), (0, 3), (5, 1)])
def test_lines_that_lie_in_padding_say_nothing_of_a_map(padding: tuple[int, int], flat: bool) -> None:
    """Of an image one pixel thin, most lines of cells see padding alone, those in the middle too."""

    def swapped(pair: Any) -> Any:
        return tuple(reversed(pair)) if flat else tuple(pair)

    model = keras.Sequential(
        [
            keras.Input((*swapped((15, 1)), 3)),
            layers.ZeroPadding2D(swapped(((1, 3), padding))),
            layers.Conv2D(2, 2, strides=swapped((3, 1)), name="conv"),
        ]
    )
    rf = KerasReceptiveField(model)
    found = rf.compute(output_layer="conv")
    assert (swapped(found.offset), swapped(found.stride), found.size) == ((1 - padding[0], 0), (1, 3), (2, 2))
    for along, thin in np.ndindex(6, 1 + sum(padding) - 1):
        seen = rf.rect_at(swapped((thin, along)), clip=True)
        assert ((seen.left, seen.top) != (seen.right, seen.bottom)) == (thin in (padding[0] - 1, padding[0]))
