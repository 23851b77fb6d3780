"""Windows give what the whole image gives, or are not used."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from rfwidget._measure import memory
from rfwidget._measure.patches import Patches
from rfwidget.keras.backends import backend
from rfwidget.types import GridPoint
from tests.blueprint_models import build, randomise
from tests.blueprints import Blueprint
from tests.models import chain, readme_model, readme_model_relu_max
from tests.windows import measured, noise, some_cells, spacious, worst_difference

WIDE = (100, 164, 3)
ROUND_OFF = 2e-4  # of float32, through networks of up to eight layers


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1).map(spacious))
def test_any_network_has_the_gradients_of_the_whole_image(blueprint: Blueprint) -> None:
    model = build(blueprint, activation="tanh")  # smooth: round-off stays round-off
    randomise(model, np.random.default_rng(1))
    assert worst_difference(measured(model), most=24) <= ROUND_OFF


@pytest.mark.parametrize("builder", [readme_model, readme_model_relu_max])
def test_the_readme_model_has_the_gradients_of_the_whole_image_at_every_cell(builder: Any) -> None:
    network = measured(builder, (61, 84, 3), "feature_grid")
    assert worst_difference(network, most=91) <= (1e-3 if builder is readme_model_relu_max else ROUND_OFF)
    assert network.patches.window.shape == (37, 36)


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("MobileNet", "conv_pw_5_relu", (160, 197, 3)),
        ("ResNet50", "conv2_block3_out", (120, 149, 3)),
        ("VGG16", "block3_conv3", (100, 122, 3)),
        ("DenseNet121", "conv2_block2_concat", (99, 128, 3)),
    ],
)
def test_known_models_use_windows_that_give_the_gradients_of_the_whole_image(
    name: str, layer: str, shape: tuple[int, int, int]
) -> None:
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=shape)
    network = measured(model, layer=layer)
    assert worst_difference(network, most=12) <= 1e-3  # a ReLU may switch by round-off
    assert not network.patches.window.whole


class PixelNumber(layers.Layer):
    """Weights that depend on the position: each row of pixels is scaled by its own number."""

    def call(self, x: Any) -> Any:
        return x * ops.reshape(ops.arange(1.0, x.shape[1] + 1.0), (1, -1, 1, 1))


class Average(layers.Layer):
    """Global context, hidden in code."""

    def call(self, x: Any) -> Any:
        return x * ops.mean(x, axis=(1, 2), keepdims=True)


class BuiltFor(layers.Layer):
    """A size built in."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(*shape[1:3], 1), initializer="random_normal")

    def call(self, x: Any) -> Any:
        return x * self.scale


def attention(shape: Sequence[int]) -> keras.Model:
    image = keras.Input(shape)
    x = layers.Conv2D(4, 3, padding="same")(image)
    weight = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return keras.Model(image, layers.Conv2D(2, 3, padding="same")(layers.Multiply()([x, weight])))


@pytest.mark.parametrize(
    ("model", "how"),
    [
        (lambda: chain((40, 52, 2), layers.Conv2D(3, 3), PixelNumber(), layers.Conv2D(2, 3)), {}),
        (lambda: chain((40, 52, 2), layers.Conv2D(3, 3), Average(), layers.Conv2D(2, 3)), {}),
        (lambda: chain((40, 52, 2), layers.Conv2D(3, 3), BuiltFor(), layers.Conv2D(2, 3)), {}),
        (lambda: chain((40, 52, 2), layers.Conv2D(3, 3), layers.Resizing(30, 20), layers.Conv2D(2, 3)), {}),
        (lambda: attention((40, 52, 2)), {}),
        (lambda: attention((40, 52, 2)), {"ignore_global_context": True}),
    ],
    ids=["position", "hidden context", "built size", "fixed size", "attention", "attention ignored"],
)
def test_networks_that_are_not_the_same_everywhere_use_the_whole_image(model: Any, how: Any) -> None:
    network = measured(model(), **how)
    assert worst_difference(network, most=12) <= ROUND_OFF
    assert network.patches.window.whole


def test_a_whole_image_that_is_refused_is_refused_at_the_first_gradient() -> None:
    network = measured(chain((40, 52, 2), layers.Conv2D(3, 3), PixelNumber(), layers.Conv2D(2, 3)))
    asked = []

    def check(shape: tuple[int, int]) -> None:
        asked.append(shape)
        if shape == (40, 52):
            raise MemoryError

    planned = network.patches.window
    patches = Patches(
        backend.Compiled(network._weighted.run), network.input_shape, network.output_shape, planned, check
    )
    with pytest.raises(MemoryError):
        patches.at(noise(network), GridPoint(3, 4), None)
    assert asked == [planned.shape, (40, 52)]


def test_nothing_is_traced_again_while_cells_and_channels_change() -> None:
    network = measured(readme_model, WIDE, "feature_grid")
    image = noise(network)
    network.prepare(image)
    network.prepare(image)
    for k, cell in enumerate(some_cells(network, 100)):
        network.gradient(image, cell, None if k % 2 else k)
    assert network.patches.traces == 1


def test_a_batch_gives_what_single_cells_give_and_adds_one_trace() -> None:
    network = measured(readme_model, WIDE, "feature_grid")
    image, cells = noise(network), some_cells(network, 40)
    patches = list(network.gradients(image, cells, 7))
    assert network.patches.traces == 2
    for cell, patch in zip(cells, patches, strict=True):
        alone = network.gradient(image, cell, 7)
        assert patch[1:] == alone[1:]
        np.testing.assert_allclose(patch.values, alone.values, atol=ROUND_OFF * np.abs(alone.values).max())
    assert network.patches.traces == 2


def test_new_weights_count_at_once() -> None:
    model = readme_model(WIDE)
    network = measured(model, layer="feature_grid")
    image, cell = noise(network), GridPoint(20, 3)
    before = network.gradient(image, cell, None).values
    last = model.get_layer("feature_grid")
    last.kernel.assign(2 * last.kernel)
    np.testing.assert_allclose(network.gradient(image, cell, None).values, 2 * before, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_image_that_tells_nothing_does_not_spoil_the_comparison(value: float) -> None:
    network = measured(readme_model_relu_max, WIDE, "feature_grid")
    network.prepare(np.full(WIDE, value, np.float32))
    assert not network.patches.window.whole


def test_a_second_input_is_cut_as_the_image_is() -> None:
    image, guide = keras.Input((60, 84, 3)), keras.Input((30, 42, 2))
    x = layers.Add()([layers.Conv2D(2, 4, strides=2, padding="same")(image), guide])
    network = measured(keras.Model([image, guide], layers.Conv2D(4, (3, 5), activation="tanh", padding="same")(x)))
    assert worst_difference(network, most=30) <= ROUND_OFF
    assert not network.patches.window.whole


def test_threads_that_begin_together_share_one_trace() -> None:
    network = measured(readme_model, WIDE, "feature_grid")
    image, cell = noise(network), GridPoint(20, 3)
    patches, found = network.patches, []
    barrier = threading.Barrier(2)

    def ask() -> None:
        barrier.wait()
        found.append(patches.at(image, cell, None).values)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(*found)
    assert patches.traces == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_feature_map_in_parts_is_that_of_the_whole_image(seed: int) -> None:
    network = measured(build(spacious(seed)))
    image = noise(network)
    parts = network.patches.values(image, pixels=100)
    np.testing.assert_allclose(parts, network.feature_map(image), rtol=1e-4, atol=1e-5)


def test_a_feature_map_that_would_take_much_memory_is_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = measured(chain((160, 200, 3), layers.Conv2D(8, (3, 5), padding="same"), layers.Conv2D(4, 3, strides=2)))
    image = noise(network)
    whole = network.feature_map(image)
    shapes = []
    evaluate = backend.Compiled.evaluate
    monkeypatch.setattr(backend.Compiled, "evaluate", lambda self, x: shapes.append(x.shape[1:3]) or evaluate(self, x))
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 10**6)
    np.testing.assert_allclose(network.feature_map(image), whole, rtol=1e-4, atol=1e-5)
    assert len(set(shapes)) > 1
    assert max(h * w for h, w in shapes) < 160 * 200 / 2


@pytest.mark.parametrize("weights", range(4))
def test_what_is_cropped_inside_a_network_is_missing_at_the_ends_of_windows_too(weights: int) -> None:
    """Two rows are cropped and transposed windows reach back over them; with some weights a maximum hides that."""
    keras.utils.set_random_seed(weights)
    network = measured(build(spacious(0)))
    assert not network.patches.window.whole
    assert worst_difference(network, most=1000) <= ROUND_OFF
