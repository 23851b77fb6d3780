"""Whole models: nested, with several inputs, of either data format, built again and again."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from keras import ops

from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.network import KerasNetwork
from rfwidget.types import GridShape, ImageShape
from tests.models import chain, readme_model


def test_layers_inside_nested_models_are_named_by_path() -> None:
    image = keras.Input((31, 44, 3))
    inner = keras.Sequential(
        [keras.Input((31, 44, 3)), L.Conv2D(2, (3, 5), name="first"), L.MaxPooling2D(2, name="pool")], name="inner"
    )
    outer = keras.Sequential([keras.Input((31, 44, 3)), inner, L.Conv2D(2, 3, name="last")], name="backbone")
    rf = KerasReceptiveField(keras.Model(image, L.Conv2D(1, 1, name="head")(outer(image))))
    assert rf.compute(output_layer="backbone/inner/first").size == (5, 3)
    assert rf.compute(output_layer="backbone/inner").size == (6, 4)
    assert rf.compute(output_layer="backbone/last").size == rf.compute().size == (10, 8)
    names = ["backbone/inner/first", "backbone/inner/pool", "backbone/inner", "backbone/last", "backbone", "head"]
    assert list(rf.layers) == names


def test_walking_a_model_adds_nothing_to_its_layers() -> None:
    model = chain((31, 44, 3), L.Conv2D(2, 3), L.ReLU(), L.Conv2D(2, 3))
    nodes = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers]
    rf = KerasReceptiveField(model)
    rf.compute()
    rf.gradient_at((3, 3))
    assert [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in model.layers] == nodes


def test_one_of_several_inputs_is_the_image() -> None:
    image, depth = keras.Input((20, 30, 3), name="image"), keras.Input((20, 30, 1), name="depth")
    age = keras.Input((4,), name="age")
    x = L.Concatenate()([L.Conv2D(2, (3, 5), padding="same")(image), depth])
    x = L.Multiply()([L.Conv2D(2, 3, name="both")(x), L.Reshape((1, 1, 2))(L.Dense(2)(age))])
    rf = KerasReceptiveField(keras.Model([image, depth, age], L.ReLU()(x)))
    assert rf.compute().size == (7, 5)
    assert rf.input_layer == "image"
    assert rf.compute(input_layer="depth").size == (3, 3)
    assert rf.input_shape == GridShape(None, 30, 20, 1)


def test_channels_first_models_are_measured_in_the_same_words() -> None:
    def build(**data_format: Any) -> keras.Model:
        first = bool(data_format)
        image = keras.Input((3, 20, 31) if first else (20, 31, 3))
        x = L.Conv2D(4, (3, 5), padding="same", **data_format)(image)
        x = L.Concatenate(axis=1 if first else -1)([x, L.MaxPooling2D((3, 1), 1, padding="same", **data_format)(x)])
        x = L.BatchNormalization(axis=1 if first else -1)(x)
        return keras.Model(image, L.DepthwiseConv2D((2, 3), strides=2, **data_format)(x))

    first, last = KerasReceptiveField(build(data_format="channels_first")), KerasReceptiveField(build())
    assert first.compute() == last.compute() == ((1.5, 1.0), (2, 2), (7, 6))
    assert first.input_shape == last.input_shape
    assert (first.output_shape, first.channels) == (last.output_shape, last.channels)
    assert first.rect_at((0, 9), clip=True) == last.rect_at((0, 9), clip=True)


def test_automatic_names_of_the_first_build_stay_valid() -> None:
    builds = []

    def build(input_shape: Any) -> keras.Model:
        builds.append(input_shape)
        return chain(input_shape, L.Conv2D(2, 3), L.Conv2D(2, (3, 5), strides=2))

    rf = KerasReceptiveField(build)
    rf.compute((20, 30, 3))
    names, image = list(rf.layers), rf.input_layer
    assert rf.compute((40, 60, 3), image, names[0]).size == (3, 3)
    assert (rf.output_layer, list(rf.layers), rf.input_layer) == (names[0], names, image)
    rf.compute((40, 60, 3), output_layer=names[1])
    assert builds == [(20, 30, 3), (40, 60, 3)]  # the same shape is not built again: its weights stay


def test_the_field_may_be_larger_than_the_image_and_the_padding_stays_that_of_the_image() -> None:
    stack = [L.Conv2D(1, 3, strides=2, padding="same") for _ in range(6)]
    for width in (64, 65, 96, 127):
        rf = KerasReceptiveField(chain((64, width, 1), *stack))
        description = rf.compute()
        assert description.size == (127, 127)
        offset, scale, length = 0.5, 1, width
        for _ in range(6):  # a window of 3 starts (total padding // 2) before the image
            grid = -(-length // 2)
            offset += (1 - max((grid - 1) * 2 + 3 - length, 0) // 2) * scale
            length, scale = grid, 2 * scale
        assert description.offset[0] == offset


def test_a_28x28_grey_image_with_a_1x1_grid() -> None:
    rf = KerasReceptiveField(chain((28, 28, 1), L.Conv2D(2, 5, strides=2), L.MaxPooling2D(2), L.Conv2D(2, 6)))
    assert rf.compute() == ((13.5, 13.5), (4, 4), (27, 27))
    assert rf.output_shape == GridShape(None, 1, 1, 1)
    assert rf.cells_seeing((26, 0)).tolist() == [[True]]
    assert rf.cells_seeing((27, 0)).tolist() == [[False]]


def test_thirteen_channels_and_a_named_shape() -> None:
    rf = KerasReceptiveField(lambda input_shape: chain(input_shape, L.Conv2D(3, (3, 5))))
    assert rf.compute(ImageShape(w=40, h=20, c=13)).size == (5, 3)
    assert rf.input_shape == GridShape(None, 40, 20, 13)


def test_half_precision_models_are_measured_in_double_and_differentiated_in_their_own() -> None:
    half = keras.DTypePolicy("mixed_float16")
    rf = KerasReceptiveField(chain((20, 31, 3), L.Conv2D(4, (3, 5), dtype=half), L.Conv2D(2, 3, dtype=half)))
    assert rf.compute().size == (7, 5)
    gradient = rf.gradient_at((8, 8))
    assert gradient.dtype == np.float32
    assert np.abs(gradient).max() > 0


def test_a_size_that_was_built_in_shows_when_another_is_tried() -> None:
    image = keras.Input((16, 24, 2))
    x = L.Conv2D(4, (3, 5), strides=2, padding="same", name="local")(image)
    pooled = L.UpSampling2D((8, 12))(L.Reshape((1, 1, 4))(L.GlobalAveragePooling2D()(x)))
    rf = KerasReceptiveField(keras.Model(image, L.Concatenate()([x, pooled])))
    assert rf.compute().size == (math.inf, math.inf)
    assert rf.compute(ignore_global_context=True).size == rf.compute(output_layer="local").size == (5, 3)


def test_a_layer_called_twice_stands_for_its_last_call() -> None:
    shared = L.Conv2D(3, (3, 5), padding="same", name="shared")
    image = keras.Input((20, 28, 3))
    rf = KerasReceptiveField(keras.Model(image, shared(shared(image))))
    assert rf.compute().size == rf.compute(output_layer="shared").size == (9, 5)
    rows, columns = np.nonzero(rf.gradient_at((14, 10)).any(axis=-1))
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (9, 5)


@pytest.mark.parametrize(
    ("layer", "pixel", "seen"),
    [
        (L.Conv2D(2, (1, 3), dilation_rate=(1, 2)), (1, 0), [(1, 0)]),  # cell 0 sees columns 0, 2 and 4
        (L.Conv2D(2, (2, 3), dilation_rate=(3, 2)), (4, 1), [(0, 1), (2, 1), (4, 1)]),
        (L.DepthwiseConv2D((1, 2), dilation_rate=(1, 3), padding="same"), (4, 2), [(2, 2), (5, 2)]),
        (L.MaxPooling2D((1, 2), strides=(2, 3)), (2, 0), []),  # between two windows
    ],
)
def test_a_pixel_in_a_hole_of_a_cell_is_not_seen_by_it(layer: Any, pixel: Any, seen: Any) -> None:
    rf = KerasReceptiveField(chain((20, 30, 1), layer))
    rf.compute()
    assert [(int(x), int(y)) for y, x in np.argwhere(rf.cells_seeing(pixel))] == seen


def test_what_is_released_goes_and_comes_back_the_same() -> None:
    rf = measured_readme_model()
    before, values = rf.gradient_at((3, 5)), rf.feature_map()
    network = rf.network
    assert isinstance(network, KerasNetwork)
    window = network.patches.window
    assert not window.whole
    alive = [weakref.ref(traced) for traced in traced_functions(network)]
    assert len(alive) == 2
    rf.release()
    gc.collect()
    assert [reference() for reference in alive] == [None, None]
    assert (network.patches.window, network.patches.traces) == (window, 0), "whether windows will do stays known"
    np.testing.assert_array_equal(rf.gradient_at((3, 5)), before)
    np.testing.assert_array_equal(rf.feature_map(), values)
    assert network.patches.traces == 1


def test_release_before_anything_was_compiled_or_measured_does_nothing() -> None:
    KerasReceptiveField(readme_model).release()
    rf = measured_readme_model()
    rf.release()
    assert rf.gradient_at((3, 5)).any()


def test_whole_images_are_released_as_windows_are() -> None:
    rf = KerasReceptiveField(keras.Sequential([keras.Input((20, 31, 3)), Average(), L.Conv2D(2, 3)]))
    rf.compute()
    before = rf.gradient_at((3, 5))
    network = rf.network
    assert isinstance(network, KerasNetwork)
    assert network.patches.window.whole
    alive = [weakref.ref(traced) for traced in traced_functions(network)]
    rf.release()
    gc.collect()
    assert [reference() for reference in alive] == [None]
    np.testing.assert_array_equal(rf.gradient_at((3, 5)), before)


class Average(L.Layer):
    """Adds the mean over the image."""

    def call(self, x: Any) -> Any:
        return x + ops.mean(x, axis=(1, 2), keepdims=True)


def measured_readme_model() -> KerasReceptiveField:
    rf = KerasReceptiveField(readme_model)
    rf.compute((61, 84, 3), output_layer="feature_grid")
    return rf


def traced_functions(network: KerasNetwork) -> list[Any]:
    """The functions of TensorFlow that a network holds: of its gradient, and of its feature map."""
    ready = network.patches._ready
    assert ready is not None
    holders = [ready.one, network.__dict__.get("_compiled")]
    return [holder._traced.run for holder in holders if holder is not None]
