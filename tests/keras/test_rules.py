"""Every replacement in the probe against its closed form; kernels, strides and images differ along the two axes."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812  (a column of layers reads best so)
from keras import ops
from packaging.version import Version

from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.domains import LinearDomain, NeedsFullWidth
from tests.models import chain

SHAPE = (25, 34, 4)
CONV = {"padding": "same", "activation": "relu"}


def measured(*stack: Any, local: bool = False) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Size, stride and offset, each ``(x, y)``."""
    rf = KerasReceptiveField(chain(SHAPE, *stack))
    description = rf.compute(ignore_global_context=local)
    return tuple(description.size), description.stride, description.offset


@pytest.mark.parametrize(
    ("layer", "size", "stride", "offset"),
    [
        (L.Conv2D(5, (3, 5)), (5, 3), (1, 1), (2.5, 1.5)),
        (L.Conv2D(5, (3, 5), strides=(2, 3), padding="same"), (5, 3), (3, 2), (0.5, 0.5)),
        (L.Conv2D(4, (3, 2), dilation_rate=(2, 5)), (6, 5), (1, 1), (3, 2.5)),
        (L.Conv2D(6, (1, 7), groups=2), (7, 1), (1, 1), (3.5, 0.5)),
        (L.DepthwiseConv2D((3, 4), depth_multiplier=2), (4, 3), (1, 1), (2, 1.5)),
        (L.SeparableConv2D(3, (3, 4), strides=2), (4, 3), (2, 2), (2, 1.5)),
        (L.Conv2DTranspose(3, (1, 3), dilation_rate=(1, 2), padding="same"), (5, 1), (1, 1), (0.5, 0.5)),
        (L.MaxPooling2D((2, 3)), (3, 2), (3, 2), (1.5, 1)),
        (L.MaxPooling2D((3, 5), strides=(1, 2)), (5, 3), (2, 1), (2.5, 1.5)),
        (L.AveragePooling2D((2, 3), strides=2, padding="same"), (3, 2), (2, 2), (1.5, 1)),
        (L.ZeroPadding2D(((3, 1), (0, 2))), (1, 1), (1, 1), (0.5, -2.5)),
        (L.Cropping2D(((3, 1), (0, 2))), (1, 1), (1, 1), (0.5, 3.5)),
        (L.BatchNormalization(), (1, 1), (1, 1), (0.5, 0.5)),
        (L.LayerNormalization(), (1, 1), (1, 1), (0.5, 0.5)),
        (L.UnitNormalization(), (1, 1), (1, 1), (0.5, 0.5)),
        (L.PReLU(), (1, 1), (1, 1), (0.5, 0.5)),
        (L.Softmax(), (1, 1), (1, 1), (0.5, 0.5)),
        (L.Activation("gelu"), (1, 1), (1, 1), (0.5, 0.5)),
        (L.Dropout(0.9), (1, 1), (1, 1), (0.5, 0.5)),
        (L.GaussianNoise(1.0), (1, 1), (1, 1), (0.5, 0.5)),
        (L.Rescaling(1 / 255, -1), (1, 1), (1, 1), (0.5, 0.5)),
        (L.Dense(3), (1, 1), (1, 1), (0.5, 0.5)),
        (L.SpectralNormalization(L.Conv2D(2, (3, 5))), (5, 3), (1, 1), (2.5, 1.5)),
        (L.Lambda(lambda x: ops.max_pool(ops.relu(x), (2, 3), 1)), (3, 2), (1, 1), (1.5, 1)),
        (L.Lambda(lambda x: x[:, 1::2, 2::3]), (1, 1), (3, 2), (2.5, 1.5)),
        (L.Lambda(lambda x: ops.pad(x, ((0, 0), (2, 0), (1, 1), (0, 0)))), (1, 1), (1, 1), (-0.5, -1.5)),
        (L.Conv2D(2, (3, 5), activation=lambda x: ops.leaky_relu(x)), (5, 3), (1, 1), (2.5, 1.5)),
    ],
)
def test_a_layer_alone(layer: Any, size: Any, stride: Any, offset: Any) -> None:
    assert measured(layer) == (size, stride, offset)


@pytest.mark.skipif(Version(keras.__version__) < Version("3.15"), reason="Keras refuses such a layer before 3.15")
def test_a_depthwise_convolution_with_stride_and_dilation() -> None:
    layer = L.DepthwiseConv2D((2, 3), strides=2, dilation_rate=2)
    assert measured(layer) == ((5, 3), (2, 2), (2.5, 1.5))


@pytest.mark.parametrize(("interpolation", "reads"), [("nearest", 1), ("bilinear", 2), ("bicubic", 4), ("lanczos3", 6)])
def test_upsampling_reads_as_many_cells_as_its_interpolation_has_taps(interpolation: str, reads: int) -> None:
    rf = KerasReceptiveField(chain(SHAPE, L.UpSampling2D((2, 4), interpolation=interpolation)))
    assert rf.compute().stride == (0.25, 0.5)
    for cell in (20, 21, 22, 23):
        rect = rf.rect_at((cell, cell), clip=True)
        assert (rect.right - rect.left, rect.bottom - rect.top) == (reads, reads)
        assert rect == rf.rect_at((cell, cell))


def test_a_transposed_convolution_has_a_rectangle_for_each_phase() -> None:
    rf = KerasReceptiveField(chain(SHAPE, L.Conv2DTranspose(2, (3, 2), strides=(2, 3))))
    assert rf.compute().stride == (1 / 3, 1 / 2)
    # Along y, kernel 3 and stride 2: even cells see two rows, odd ones one. Along x every third column sees nothing.
    assert [rf.rect_at((6, y)).size.h for y in (10, 11, 12)] == [2, 1, 2]
    assert [rf.rect_at((x, 10)).size.w for x in (6, 7, 8, 9)] == [1, 1, 0, 1]


def branches(merge: Any) -> keras.Model:
    image = keras.Input(SHAPE)
    wide = L.Conv2D(4, (1, 7), **CONV)(image)
    tall = L.Conv2D(4, (5, 1), **CONV)(image)
    return keras.Model(image, L.Activation("relu", name="merged")(merge(wide, tall)))


@pytest.mark.parametrize(
    "merge",
    [
        lambda a, b: L.Add()([a, b]),
        lambda a, b: L.Subtract()([a, b]),
        lambda a, b: L.Multiply()([a, b]),
        lambda a, b: L.Maximum()([a, b]),
        lambda a, b: L.Minimum()([a, b]),
        lambda a, b: L.Concatenate()([a, b]),
        lambda a, b: a - b,
        lambda a, b: 2.0 * a * ops.sigmoid(b) + 1.0,
        lambda a, b: ops.where(a > b, a, 0.0),
        lambda a, b: ops.concatenate([a, b], axis=-1),
        lambda a, b: a[..., :2] + b[..., 2:],
    ],
)
def test_a_merge_sees_what_its_branches_see(merge: Any) -> None:
    description = KerasReceptiveField(branches(merge)).compute()
    assert description == ((0.5, 0.5), (1, 1), (7, 5))


def test_channels_that_are_cut_away_do_not_count() -> None:
    model = branches(lambda wide, tall: ops.concatenate([wide, tall], axis=-1)[..., :4])
    assert KerasReceptiveField(model).compute().size == (7, 1)


def test_a_channel_shuffle_is_seen_through_beyond_the_size_it_was_written_for() -> None:
    model = chain(
        SHAPE,
        *(L.Conv2D(4, 3, **CONV), L.Reshape((25, 34, 2, 2)), L.Permute((1, 2, 4, 3)), L.Reshape(SHAPE)),
        L.Conv2D(4, (31, 63), groups=2, **CONV),
    )
    assert KerasReceptiveField(model).compute().size == (65, 33)


def test_misaligned_branches_are_not_uniform_and_each_cell_is_exact() -> None:
    image = keras.Input((24, 36, 2))
    fine = L.Conv2D(2, 3, strides=2, padding="same")(image)
    coarse = L.UpSampling2D((2, 2))(L.Conv2D(2, 3, strides=4, padding="same")(image))
    rf = KerasReceptiveField(keras.Model(image, L.Add()([fine, coarse])))
    description = rf.compute()
    assert rf.uniform == (False, False)
    assert description.stride == (2, 2)
    for x in range(2, 16):
        rect = rf.rect_at((x, 5))
        low, high = min(2 * x, x // 2 * 4), max(2 * x, x // 2 * 4) + 3  # TensorFlow pads behind only
        assert (rect.left, rect.right) == (low, high)
        assert rf.rect_at((x, 5), clip=True) == rect


@pytest.mark.parametrize(
    "context",
    [
        lambda x: L.Multiply()([x, L.Reshape((1, 1, 4))(L.Dense(4)(L.GlobalAveragePooling2D()(x)))]),
        lambda x: x * L.GlobalMaxPooling2D(keepdims=True)(x),
        lambda x: x - ops.mean(x, axis=(1, 2), keepdims=True),
        lambda x: x / ops.sqrt(ops.moments(x, axes=(1, 2), keepdims=True)[1] + 1e-3),
        L.GroupNormalization(2),
        L.LayerNormalization(axis=(1, 2, 3)),
    ],
)
def test_global_context_is_unbounded_unless_it_is_ignored(context: Any) -> None:
    image = keras.Input(SHAPE)
    model = keras.Model(image, L.ReLU()(context(L.Conv2D(4, (3, 5), **CONV)(image))))
    rf = KerasReceptiveField(model)
    assert rf.compute().size == (math.inf, math.inf)
    assert rf.compute(ignore_global_context=True) == ((0.5, 0.5), (1, 1), (5, 3))


def test_colours_are_converted_in_place() -> None:
    image = keras.Input((25, 34, 3))
    x = ops.image.rgb_to_grayscale(ops.image.hsv_to_rgb(ops.image.rgb_to_hsv(image)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert KerasReceptiveField(keras.Model(image, L.Conv2D(4, (3, 5))(x))).compute().size == (5, 3)


def test_context_along_one_axis_leaves_the_other_finite() -> None:
    image = keras.Input(SHAPE)
    model = keras.Model(image, L.Conv2D(2, (3, 5))(image + ops.max(image, axis=1, keepdims=True)))
    assert KerasReceptiveField(model).compute().size == (5, math.inf)


# Without those of which Keras' own functions do not take symbolic tensors, and one that needs more arguments.
_NO_ACTIVATIONS = {"deserialize", "get", "serialize", "hard_silu", "hard_swish", "mish", "sparsemax", "threshold"}
ACTIVATIONS = {
    f"{module.__name__.rsplit('.', 1)[-1]}.{name}": getattr(module, name)
    for module in (keras.activations, ops.nn)
    for name in sorted({*dir(keras.activations)} & {*dir(module)} - _NO_ACTIVATIONS)
    if not name.startswith("_")
}


@pytest.mark.parametrize("function", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_every_activation_as_an_operation_and_in_code_acts_on_a_cell_alone(function: Any) -> None:
    class Activated(L.Layer):
        def call(self, x: Any) -> Any:
            return function(x)

    image = keras.Input(SHAPE)
    x = L.Conv2D(4, (3, 1))(function(L.Conv2D(4, (1, 3))(image)))
    rf = KerasReceptiveField(keras.Model(image, L.Conv2D(2, (1, 3))(Activated()(x))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rf.compute() == ((2.5, 1.5), (1, 1), (5, 3))


def test_attention_over_all_places_is_unbounded() -> None:
    tokens = lambda x: L.Reshape((64, 4))(x)  # noqa: E731
    image = keras.Input((16, 16, 2))
    x = tokens(L.Conv2D(4, 2, strides=2)(image))
    model = keras.Model(image, L.Reshape((8, 8, 4))(L.MultiHeadAttention(2, 2)(x, x)))
    assert KerasReceptiveField(model).compute().size == (math.inf, math.inf)


@pytest.mark.parametrize(
    ("attend", "size"),
    [
        (lambda x: L.MultiHeadAttention(2, 2, attention_axes=(2,))(x, x), (math.inf, 2)),
        (lambda x: L.MultiHeadAttention(2, 2, attention_axes=1)(x, x), (3, math.inf)),
        (lambda x: L.Attention()([x, x]), (math.inf, 2)),
        (lambda x: L.AdditiveAttention()([x, x]), (math.inf, 2)),
    ],
)
def test_attention_along_one_axis_leaves_the_other_finite(attend: Any, size: tuple[float, float]) -> None:
    image = keras.Input((16, 18, 2))
    model = keras.Model(image, attend(L.Conv2D(4, (2, 3), strides=(2, 3))(image)))
    assert KerasReceptiveField(model).compute().size == size


def sequences(x: Any, layer: Any, *, rows: bool) -> Any:
    """A recurrent layer over the rows of a map, one by one or one after the other."""
    height, width, channels = x.shape[1:]
    y = layer(ops.reshape(x, (-1, width if rows else height * width, channels)))
    return ops.reshape(y, (-1, height, width, y.shape[-1]))


@pytest.mark.parametrize("cell", [L.SimpleRNN, L.GRU, L.LSTM])
def test_recurrence_in_both_directions_is_unbounded_along_its_sequence(cell: Any) -> None:
    image = keras.Input((16, 18, 2))
    x = L.Conv2D(4, (2, 3), strides=(2, 3))(image)
    along_rows = sequences(x, L.Bidirectional(cell(3, return_sequences=True)), rows=True)
    assert KerasReceptiveField(keras.Model(image, along_rows)).compute().size == (math.inf, 2)
    rf = KerasReceptiveField(
        keras.Model(image, sequences(x, L.Bidirectional(cell(3, return_sequences=True)), rows=False))
    )
    assert rf.compute().size == (math.inf, math.inf)
    assert rf.compute(ignore_global_context=True).size == (3, 2)


def test_the_end_of_a_sequence_has_seen_all_of_it() -> None:
    image = keras.Input((16, 18, 2))
    x = L.Conv2D(4, (2, 3), strides=(2, 3))(image)
    gate = L.Reshape((1, 1, 4))(L.LSTM(4, go_backwards=True)(L.Reshape((48, 4))(x)))
    assert KerasReceptiveField(keras.Model(image, x * gate)).compute().size == (math.inf, math.inf)


def test_recurrence_in_one_direction_sees_what_came_before() -> None:
    image = keras.Input((16, 18, 2))
    rf = KerasReceptiveField(keras.Model(image, sequences(image, L.GRU(3, return_sequences=True), rows=True)))
    with pytest.warns(UserWarning, match="the parts inside the image"):
        rf.compute()
    assert [rf.rect_at((x, 5), clip=True) for x in (0, 7, 17)] == [(0, 5, 1, 6), (0, 5, 8, 6), (0, 5, 18, 6)]


def test_resizing_to_a_fixed_size_is_measured_at_the_requested_one() -> None:
    rf = KerasReceptiveField(chain((20, 30, 1), L.Resizing(40, 60), L.Conv2D(1, (1, 3))))
    description = rf.compute()
    assert description.stride == (0.5, 0.5)
    assert not rf.network.resizable
    assert rf.rect_at((20, 20)).size == rf.rect_at((20, 20), clip=True).size == (3, 2)


def test_permuted_axes_are_measured_on_whole_strips() -> None:
    permuted = (L.Permute((2, 1, 3)), L.Conv2D(3, (3, 5), strides=(1, 2)), L.Permute((2, 1, 3)))
    assert measured(*permuted) == ((3, 5), (1, 2), (1.5, 2.5))


def test_a_thin_probe_refuses_to_tell_channels_apart() -> None:
    with pytest.raises(NeedsFullWidth):
        LinearDomain().need_full_width()


def test_a_window_conserves_mass_and_is_never_negative() -> None:
    image = np.ones((1, 9, 12, 1))
    for strides, dilation in (((1, 1), (1, 1)), ((2, 3), (1, 1)), ((2, 2), (2, 3))):
        result = np.asarray(
            LinearDomain().window(ops.convert_to_tensor(image), (1, 2), (3, 2), strides, dilation, "valid")
        )
        np.testing.assert_allclose(result, 1, rtol=1e-12)
        assert result.dtype == np.float64


def test_a_layer_beyond_its_rule_is_run_as_it_is() -> None:
    rf = KerasReceptiveField(chain((20, 30, 1), L.Resizing(10, 15, antialias=True), L.Conv2D(1, (1, 3))))
    rf.compute()
    # Twice as small, each column is read from the four nearest its centre at 13; and three columns of them.
    assert rf.rect_at((6, 5), clip=True) == (11, 9, 19, 13)


def test_statistics_of_a_normalisation_that_come_from_the_image_count() -> None:
    image = keras.Input((16, 20, 4))
    x = L.Conv2D(4, (3, 5))(image)
    fixed = ops.batch_normalization(x, np.zeros(4, np.float32), np.ones(4, np.float32), axis=-1)
    assert KerasReceptiveField(keras.Model(image, L.Conv2D(2, 1)(fixed))).compute().size == (5, 3)
    own = ops.batch_normalization(x, *ops.moments(x, axes=(0, 1, 2)), axis=-1)
    rf = KerasReceptiveField(keras.Model(image, L.Conv2D(2, 1)(own)))
    assert rf.compute().size == (math.inf, math.inf)


def test_a_gate_of_half_the_channels_sees_both_halves() -> None:
    image = keras.Input((16, 20, 4))
    halves = L.Concatenate()([L.Conv2D(2, (1, 5), padding="same")(image), L.Conv2D(2, (3, 1), padding="same")(image)])
    one, _ = ops.split(keras.activations.glu(halves), 2, axis=-1)
    assert KerasReceptiveField(keras.Model(image, L.Conv2D(2, 1)(one))).compute().size == (5, 3)


def test_weights_and_states_that_come_from_the_image_count() -> None:
    image = keras.Input((16, 20, 4))
    weights = L.Conv2D(4, (3, 9), padding="same")(image)
    mean = ops.expand_dims(ops.average(image, axis=-1, weights=weights), -1)
    assert KerasReceptiveField(keras.Model(image, mean)).compute().size == (9, 3)

    rows = ops.reshape(image, (-1, 20, 4))
    state = ops.reshape(ops.repeat(ops.mean(image, axis=(1, 2), keepdims=True), 16, axis=1), (-1, 4))
    seen = ops.reshape(L.GRU(4, return_sequences=True)(rows, initial_state=state), (-1, 16, 20, 4))
    rf = KerasReceptiveField(keras.Model(image, seen))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rf.compute()
    assert rf.rect_at((3, 5), clip=True) == (0, 0, 20, 16)
