"""Subclassed models, custom layers and foreign code; Keras is put back as it was."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.interpreter import intercepted, needs
from tests.models import chain

SHAPE = (31, 44, 3)


class Residual(L.Layer):
    """Two convolutions beside a shortcut, in code of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = L.Conv2D(3, (3, 5), padding="same", name="first")
        self.second = L.Conv2D(3, 3, padding="same", activation="relu", name="second")

    def call(self, x: Any) -> Any:
        return ops.relu(x - self.second(ops.max_pool(self.first(x), 1, 1))) * 2.0


class ForeignPool(L.Layer):
    """Selects by code that is not Keras'."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv = L.Conv2D(4, (3, 5), name="conv")

    def call(self, x: Any) -> Any:
        return tf.nn.max_pool2d(tf.nn.relu6(self.conv(x)), 2, 2, "VALID")


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.stem = L.Conv2D(3, 3, strides=2, padding="same", name="stem")
        self.norm = L.BatchNormalization(name="norm")
        self.block = Residual(name="block")
        self.head = L.Dense(7, name="head")

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.block(ops.gelu(self.norm(self.stem(x), training=training)))
        return self.head(ops.mean(x, axis=(1, 2)))


def build_subclassed(input_shape: Any) -> keras.Model:
    del input_shape  # the first call says it
    return Subclassed()


def test_a_custom_layer_is_looked_into(recwarn: pytest.WarningsRecorder) -> None:
    rf = KerasReceptiveField(chain(SHAPE, L.Conv2D(3, 3), Residual(name="block")))
    assert rf.compute().size == (9, 7)
    assert rf.compute(output_layer="block/first").size == (7, 5)
    assert not recwarn.list


def test_a_subclassed_model_from_a_function_is_measured_and_names_its_layers() -> None:
    rf = KerasReceptiveField(build_subclassed)
    assert rf.compute(SHAPE).size == (15, 11)
    assert list(rf.layers) == ["stem", "norm", "block/first", "block/second", "block"]
    assert rf.channels == 3
    assert rf.compute(SHAPE, output_layer="stem") == ((1.5, 0.5), (2, 2), (3, 3))


def test_a_subclassed_models_inner_map_and_gradient_are_its_own() -> None:
    model = Subclassed()
    image = np.random.default_rng(2).random(SHAPE, np.float32)
    model(image[None])
    rf = KerasReceptiveField(model)
    rf.compute(SHAPE, output_layer="norm")
    expected = model.norm(model.stem(image[None]))[0]
    np.testing.assert_allclose(rf.network.feature_map(image), expected, atol=1e-5)
    rows, columns = np.nonzero(rf.gradient_at((9, 4), image).any(axis=-1))
    rect = rf.rect_at((9, 4), clip=True)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == rect


def test_a_subclassed_model_that_was_never_called_is_refused() -> None:
    with pytest.raises(ReceptiveFieldError, match="call it once"):
        KerasReceptiveField(Subclassed()).compute(SHAPE)


def test_foreign_code_is_followed_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    rf = KerasReceptiveField(chain(SHAPE, L.Conv2D(3, 3, padding="same"), ForeignPool(name="odd"), L.Conv2D(2, 3)))
    description = rf.compute()
    assert not recwarn.list
    # conv 3x3 same, conv 5x3, pool 2, conv 3x3: 3 + 4 + 1 + 4 along x, 3 + 2 + 1 + 4 along y.
    assert description.size == (12, 10)
    assert description.stride == (2, 2)
    assert rf.rect_at((0, 0), clip=True) == (0, 0, 11, 9)


def test_keras_is_put_back_even_after_an_error() -> None:
    call, symbolic = keras.Layer.__call__, keras.Operation.symbolic_call
    with pytest.raises(ZeroDivisionError), intercepted(lambda *_: 1 / 0):
        L.ReLU()(np.ones(3))
    assert keras.Layer.__call__ is call
    assert keras.Operation.symbolic_call is symbolic


def test_other_threads_build_models_while_one_is_looked_into() -> None:
    sizes: list[Any] = []
    with intercepted(lambda *_: pytest.fail("another thread was intercepted")):
        thread = threading.Thread(target=lambda: sizes.append(chain(SHAPE, L.Conv2D(2, 3), L.ReLU()).output_shape))
        thread.start()
        thread.join()
    assert sizes == [(None, 29, 42, 2)]


class ShiftedWindows(L.Layer):
    """Windows of four by four cells, moved by two, whose cells see each other, as in a Swin transformer."""

    def call(self, x: Any) -> Any:
        _, height, width, channels = ops.shape(x)
        x = ops.roll(x, (-2, -2), (1, 2))
        x = ops.reshape(x, (-1, height // 4, 4, width // 4, 4, channels))
        x = x + ops.mean(x, axis=(2, 4), keepdims=True)
        return ops.roll(ops.reshape(x, (-1, height, width, channels)), (2, 2), (1, 2))


def test_a_period_that_only_code_knows_is_found() -> None:
    rf = KerasReceptiveField(chain((48, 64, 3), L.Conv2D(2, (4, 4), strides=2, padding="same"), ShiftedWindows()))
    assert rf.compute().stride == (2, 2)
    # Cell 16 is one of the cells 14 to 17, cell 9 one of 6 to 9; cell 14 sees pixels from 27 on.
    assert rf.rect_at((16, 9)) == (27, 11, 37, 21)
    assert rf.rect_at((17, 10)) == (27, 19, 37, 29)


def test_a_model_of_bare_operations_is_measured_at_the_last_of_them() -> None:
    image = keras.Input((20, 28, 3))
    kernel = np.ones((3, 5, 3, 2), np.float32)
    rf = KerasReceptiveField(keras.Model(image, ops.max_pool(ops.conv(image, kernel), (2, 3))))
    assert rf.compute() == ((3.5, 2.0), (3, 2), (7, 4))
    assert [rf.input_layer, *rf.layers] == [rf.input_layer, *rf.survey().names]
    assert rf.output_layer == list(rf.layers)[-1]


def test_an_operation_that_the_model_returns_is_its_last_layer_by_the_same_name_in_every_build() -> None:
    def build(input_shape: tuple[int, ...]) -> keras.Model:
        image = keras.Input(input_shape)
        x = L.Conv2D(3, (3, 5), padding="same")(image)
        gate = L.Conv2D(3, 1, activation="sigmoid", name="gate")(x)
        return keras.Model(image, x * gate + ops.max_pool(x, (7, 3), strides=1, padding="same"))

    rf = KerasReceptiveField(build)
    assert rf.compute((20, 28, 3)).size == (7, 9)
    name = rf.output_layer
    assert rf.compute((24, 30, 3)).size == (7, 9)
    assert rf.output_layer == name == list(rf.layers)[-1] == rf.survey().names[-1]
    assert rf.compute((24, 30, 3), output_layer="gate").size == (5, 3)


def test_what_a_model_in_code_returns_is_its_last_layer_by_the_name_of_the_model() -> None:
    class Head(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="head")
            self.fine, self.coarse = L.Conv2D(3, (1, 3), padding="same"), L.Conv2D(3, (5, 1), padding="same", name="y")

        def call(self, x: Any) -> Any:
            return ops.leaky_relu(self.fine(x) * self.coarse(x))

    model = Head()
    model(np.zeros((1, 20, 28, 3)))
    rf = KerasReceptiveField(model)
    assert rf.compute((20, 28, 3)).size == (3, 5)
    assert rf.output_layer == "head"
    assert rf.survey((20, 28, 3))["head"].size == (3, 5)
    image = np.random.default_rng(2).random((20, 28, 3)).astype(np.float32)
    np.testing.assert_allclose(rf.feature_map(image, channel=1), model(image[None])[0, :, :, 1], rtol=1e-4, atol=1e-6)
    assert np.abs(rf.gradient_at((9, 7), image=image)).sum() > 0
    assert rf.compute((20, 28, 3), output_layer="y").size == (1, 5)


def test_a_pointwise_end_leaves_the_last_layer_its_name() -> None:
    class Head(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.last = L.Conv2D(3, (1, 3), name="last")

        def call(self, x: Any) -> Any:
            return ops.softmax(self.last(x))

    model = Head()
    model(np.zeros((1, 20, 28, 3)))
    image = keras.Input((20, 28, 3))
    for ended in (model, keras.Model(image, ops.softmax(L.Conv2D(3, (1, 3), name="last")(image)))):
        rf = KerasReceptiveField(ended)
        rf.compute((20, 28, 3))
        assert rf.output_layer == "last"


def test_code_that_loops_over_time_is_measured_in_double_precision_too() -> None:
    image = keras.Input((12, 16, 1), dtype="float64")
    x = L.ConvLSTM2D(1, (3, 5), padding="same", dtype="float64")(ops.expand_dims(image, 1))
    rf = KerasReceptiveField(keras.Model(image, x))
    assert rf.compute().size == (5, 3)


class Weighted(L.Layer):
    def __init__(self, formula: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.formula = formula

    def build(self, shape: tuple[int, ...]) -> None:
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return self.formula(self.gamma, x)


@pytest.mark.parametrize(
    "formula",
    [
        lambda gamma, x: gamma * x,
        lambda gamma, x: gamma + gamma / (1 + x * x) - gamma,
        lambda gamma, x: gamma - x,
        lambda gamma, x: ops.cast(gamma > x, "float32") * x,
        lambda gamma, x: gamma.value * x,
        lambda gamma, x: np.ones(4, np.float32) - x,  # noqa: ARG005
        lambda gamma, x: np.float32(2) * x,  # noqa: ARG005
    ],
)
def test_weights_and_arrays_on_the_left_of_an_operator_are_seen_through(formula: Callable[[Any, Any], Any]) -> None:
    before = {name: value for cls in keras.Variable.__mro__ for name, value in vars(cls).items()}
    rf = KerasReceptiveField(chain((25, 34, 3), L.Conv2D(4, (3, 5)), Weighted(formula), L.Conv2D(2, (2, 1))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rf.compute().size == (5, 4)
    assert before == {name: value for cls in keras.Variable.__mro__ for name, value in vars(cls).items()}


def test_code_without_a_gradient_is_followed_all_the_same() -> None:
    """Each of 14 columns is the mean of two of 28, each of 10 rows of two of 20, behind a convolution of 3x5."""
    image = keras.Input((20, 28, 3))
    x = L.Conv2D(3, (3, 5), padding="same", name="conv")(image)
    small = L.Lambda(lambda x: tf.image.resize(x, (10, 14), "area"), name="small")(x)
    rf = KerasReceptiveField(keras.Model(image, small))
    assert rf.compute() == ((1, 1), (2, 2), (6, 4))
    assert rf.compute(output_layer="conv").size == (5, 3)


class Reusing(keras.Model):
    """Layers of its own used several times in code, a Sequential among them."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = L.ReLU(name="relu")
        self.pool = L.MaxPooling2D((2, 3), name="pool")
        self.stem = L.Conv2D(3, (3, 5), padding="same", name="stem")
        self.block = keras.Sequential([L.Conv2D(3, (1, 3), padding="same", name="conv"), self.relu], name="block")
        self.up = L.UpSampling2D((2, 3), name="up")

    def call(self, x: Any) -> Any:
        x = self.pool(self.relu(self.stem(x)))
        deep = self.pool(self.block(self.block(x)))
        return self.relu(x + self.up(deep)[:, : x.shape[1], : x.shape[2]])


def test_a_layer_that_code_calls_several_times_stands_for_its_last_call() -> None:
    model = Reusing()
    model(np.zeros((1, 24, 54, 2)))
    rf = KerasReceptiveField(model)
    rf.compute((24, 54, 2))
    assert (rf.output_layer, rf.output_shape) == ("relu", (None, 18, 12, 1))
    # Along x: 5 pixels of the stem, 2 steps of 1, twice 2 steps of 3 pixels; then 2 more of 3; 3 cells share the last.
    expected = {"block/conv": (19, 4), "pool": (25, 6), "up": (31, 8)}
    survey = rf.survey((24, 54, 2))
    for name, size in expected.items():
        assert rf.compute((24, 54, 2), output_layer=name).size == size, name
        assert survey[name].size == size, name
        gradient = rf.gradient_at((0, 0), image=np.random.default_rng(0).random((24, 54, 2)))
        assert np.isfinite(gradient).all()
        assert rf.feature_map(np.zeros((24, 54, 2))).shape[:2] == (rf.output_shape.h, rf.output_shape.w)


def test_a_layer_made_anew_at_every_call_is_an_error_that_says_so() -> None:
    class Careless(L.Layer):
        def call(self, x: Any) -> Any:
            return L.MaxPooling2D(2)(L.ReLU()(x))

    rf = KerasReceptiveField(chain((20, 28, 3), L.Conv2D(2, 3), Careless(name="careless")))
    assert rf.compute(output_layer="careless").stride == (2, 2)
    name = next(name for name in rf.layers if "pool" in name)
    with pytest.raises(ReceptiveFieldError, match="makes a layer anew"):
        rf.compute(output_layer=name)
    assert rf.output_layer == "careless"


def test_code_that_goes_another_way_at_other_sizes_is_measured_at_the_requested_one() -> None:
    class Capricious(L.Layer):
        def call(self, x: Any) -> Any:
            if isinstance(x, keras.KerasTensor) and getattr(x, "tensor", x).shape[2] not in {1, 28}:
                raise ValueError("only 28 columns")
            return ops.relu(x)

    rf = KerasReceptiveField(chain((20, 28, 3), L.Conv2D(3, (3, 21)), L.ZeroPadding2D((1, 10)), Capricious()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rf.compute()
    assert rf.rect_at((12, 8), clip=True) == (2, 7, 23, 10)


def test_names_stay_valid_where_an_operation_counts_at_one_size_only() -> None:
    def build(shape: tuple[int, ...]) -> keras.Model:
        image = keras.Input(shape)
        x = L.Conv2D(4, (3, 5), padding="same")(L.Conv2D(4, 1)(image))
        return keras.Model(image, x[:, : shape[0] // 8 * 8, : shape[1] // 8 * 8])

    rf = KerasReceptiveField(build)
    rf.compute((32, 40, 3))
    name = next(iter(rf.layers))
    assert rf.compute((36, 44, 3), output_layer=name).size == (1, 1)
    rf.compute((36, 44, 3))
    last = rf.output_layer
    assert rf.output_shape == (None, 40, 32, 1)
    assert rf.compute((32, 40, 3), output_layer=last).size == (5, 3)
    assert rf.output_layer == last


def test_inner_layers_of_code_that_fails_stand_for_their_last_call_too() -> None:
    class Picky(L.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.conv = L.Conv2D(3, (1, 3), padding="same", name="conv")

        def call(self, x: Any) -> Any:
            x = self.conv(self.conv(x))
            if x.shape[1] != 24:
                raise ValueError("only 24 rows")
            return x

    class Outer(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.picky = Picky(name="picky")

        def call(self, x: Any) -> Any:
            return self.picky(x)

    model = Outer()
    model(np.zeros((1, 24, 28, 3)))
    rf = KerasReceptiveField(model)
    for shape in ((24, 28, 3), (32, 28, 3)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert rf.compute(shape, output_layer="picky/conv").size == (5, 1)


def test_foreign_code_leaves_no_mark_on_constants_of_the_user() -> None:
    constant = tf.constant(np.ones((1, 16, 20, 3)), "float64")

    class Foreign(L.Layer):
        def __init__(self) -> None:
            super().__init__(dtype="float64")
            self.conv = L.Conv2D(3, (3, 5), padding="same", dtype="float64")
            self.add = L.Add(dtype="float64")

        def call(self, x: Any) -> Any:
            return self.add([tf.nn.relu(self.conv(x)), constant])

    image = keras.Input((16, 20, 3), dtype="float64")
    before = set(dir(constant))
    assert KerasReceptiveField(keras.Model(image, Foreign()(image))).compute().size == (5, 3)
    assert set(dir(constant)) == before


class Scale(L.Layer):
    """Does not ask whether it trains."""

    def call(self, x: Any) -> Any:
        return x * 2


class Told(L.Layer):
    """Says ``training=`` to every layer, as keras-hub's MobileNetV5 does."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv, self.scale = L.Conv2D(2, 3), Scale()

    def call(self, x: Any, training: bool = False) -> Any:
        return self.scale(self.conv(x, training=training), training=training)


def test_layers_may_be_told_of_training_that_do_not_ask(recwarn: pytest.WarningsRecorder) -> None:
    image = keras.Input(SHAPE)
    rf = KerasReceptiveField(keras.Model(image, Told(name="told")(image)))
    assert rf.compute(output_layer="told").size == (3, 3)
    assert rf.verify().agree
    assert rf.gradient_at((4, 5)).any()
    assert not recwarn.list


def test_what_a_layer_needs() -> None:
    image = keras.Input(SHAPE)
    x = L.Conv2D(2, 3, name="a")(image)
    inner = keras.Model(x, [L.Conv2D(2, 3, name="c")(x), L.Conv2D(2, 3, name="d")(x)], name="inner")
    c, d = inner(x)
    code = Told(name="told")(L.Add(name="add")([c, d]))
    model = keras.Model(image, [code, L.ReLU(name="beside")(x)])
    needed = [("add", "inner/c"), ("told/scale", "told/conv"), ("told", "a")]
    others = [("inner/c", "inner/d"), ("beside", "inner/c"), ("a", "add")]
    assert [needs(model, *pair) for pair in needed + others] == [True] * 3 + [False] * 3
