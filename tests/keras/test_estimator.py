"""The README model, and what a caller may hand in."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from rfwidget._measure.backward import measure
from rfwidget._measure.forward import cells_covering
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.keras import KerasReceptiveField
from rfwidget.keras.network import KerasNetwork
from rfwidget.types import GridPoint, GridShape, ReceptiveFieldDescription, Rect, Size
from tests.models import chain, readme_model, readme_model_relu_max

README = ReceptiveFieldDescription(offset=(17.0, 17.0), stride=(4.0, 4.0), size=Size(w=34, h=34))


def quiet(fraction: float, words: str) -> None:
    assert 0 <= fraction <= 1
    assert words


def build(model: Any, shape: Any = None, layer: str | None = None, init_weights: bool = False) -> KerasNetwork:
    return KerasReceptiveField(model, init_weights)._build(
        shape, None, layer, ignore_global_context=False, progress=quiet
    )


def field(network: KerasNetwork) -> FieldGeometry:
    return measure(network, quiet)


@pytest.mark.parametrize("init_weights", [False, True])
@pytest.mark.parametrize("builder", [readme_model, readme_model_relu_max])
def test_the_readme_model_sees_34_pixels_every_4(builder: Any, init_weights: bool) -> None:
    network = build(builder, (96, 160, 3), "feature_grid", init_weights)
    assert field(network).description == README
    assert network.input_layer == "input_image"
    assert network.input_shape == GridShape(None, 160, 96, 3)
    assert network.output_shape == GridShape(None, 32, 16, 128)


@pytest.mark.parametrize("init_weights", [False, True])
def test_the_gradient_map_fills_the_receptive_field_of_a_linear_model(init_weights: bool) -> None:
    network = build(readme_model, (96, 160, 3), "feature_grid", init_weights)
    point = GridPoint(20, 3)
    patch = network.gradient(np.ones((96, 160, 3), np.float32), point, None)
    rows, columns = np.nonzero(patch.values.any(axis=-1))
    rect = field(network).rect(point)
    left, top = patch.left, patch.top
    assert (columns.min() + left, rows.min() + top, columns.max() + 1 + left, rows.max() + 1 + top) == rect
    assert patch.values.shape == (36, 36, 3)  # a window, though nobody has asked for the field before


def test_constant_weights_give_a_positive_gradient_and_leave_the_model_alone() -> None:
    model = readme_model((96, 160, 3))
    before = [np.asarray(weight.value) for weight in model.weights]
    network = build(model, None, "feature_grid", init_weights=True)
    patch = network.gradient(np.ones((96, 160, 3), np.float32), GridPoint(3, 9), 5)
    assert patch.values.min() == 0
    assert patch.values.sum() == pytest.approx(1, rel=1e-4)  # every layer conserves mass
    assert all(np.array_equal(old, new) for old, new in zip(before, (w.value for w in model.weights), strict=True))


def test_the_gradient_of_one_channel_is_that_channels_kernel() -> None:
    model = chain((9, 14, 2), layers.Conv2D(4, (3, 5), use_bias=False))
    network = build(model)
    patch = network.gradient(np.ones((9, 14, 2), np.float32), GridPoint(6, 2), 3)
    left, top = patch.left, patch.top
    np.testing.assert_array_equal(
        patch.values[2 - top : 5 - top, 6 - left : 11 - left], np.asarray(model.layers[0].kernel.value)[..., 3]
    )
    assert np.count_nonzero(patch.values) == 3 * 5 * 2


def test_the_feature_map_is_the_models_own_output() -> None:
    model = readme_model_relu_max((96, 160, 3))
    image = np.random.default_rng(1).random((96, 160, 3), np.float32)
    np.testing.assert_allclose(build(model).feature_map(image), model(image[None])[0], atol=1e-6)


def test_cells_seeing_a_pixel_are_those_whose_visible_rectangle_holds_it() -> None:
    network = build(partial(readme_model), (48, 60, 3))
    for pixel in ((0, 0), (17, 30), (59, 47)):
        grid = cells_covering(network, Rect(*pixel, pixel[0] + 1, pixel[1] + 1))
        for (y, x), seen in np.ndenumerate(grid):
            rect = network.visible(GridPoint(x, y))
            assert seen == (rect.left <= pixel[0] < rect.right and rect.top <= pixel[1] < rect.bottom)


def test_the_last_layer_with_a_grid_is_the_default() -> None:
    model = chain((20, 24, 1), layers.Conv2D(2, 3, name="grid"), layers.GlobalAveragePooling2D(), layers.Dense(3))
    assert build(model).output_layer == "grid"


def test_a_shape_left_open_by_the_model_is_filled_by_the_caller_or_96() -> None:
    model = chain((None, None, 5), layers.Conv2D(2, 3))
    assert build(model).input_shape == GridShape(None, 96, 96, 5)
    assert build(model, (30, 40, 5)).input_shape == GridShape(None, 40, 30, 5)


def broken(input_shape: Any) -> keras.Model:
    raise RuntimeError(f"out of cheese at {input_shape}")


def forgetful(input_shape: Any) -> Any:
    readme_model(input_shape)


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (broken, {}, "raised RuntimeError.*out of cheese.*Expected a function"),
        (forgetful, {}, "returned None.*expected a keras.Model"),
        (readme_model, {"layer": "feature_map"}, "no layer 'feature_map'.*did you mean 'feature_grid'"),
        (chain((20, 24, 3), layers.Conv2D(2, 3)), {"shape": (20, 25, 3)}, r"\(20, 25, 3\) does not fit"),
        (chain((20, 24, 3), layers.Conv2D(2, 3)), {"shape": (20, 24)}, "does not fit"),
        (chain((20,), layers.Dense(2)), {}, "expected an image"),
    ],
)
def test_bad_input_is_answered_in_plain_words(model: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=message):
        build(model, **arguments)


def test_what_is_neither_model_nor_function_is_refused() -> None:
    with pytest.raises(ReceptiveFieldError, match="expected a function of one parameter"):
        KerasReceptiveField("resnet50")  # type: ignore[arg-type]


class Augmenting(keras.Model):
    """Data augmentation in code, as many tutorials have it; its layers train unless they are told not to."""

    def __init__(self) -> None:
        super().__init__()
        self.flip, self.turn = layers.RandomFlip(), layers.RandomRotation(0.2)
        self.conv = layers.Conv2D(4, (3, 5))

    def call(self, image: Any) -> Any:
        return self.conv(self.turn(self.flip(image)))


def augmenting_graph() -> keras.Model:
    image = keras.Input((20, 28, 3))
    x = layers.RandomContrast(0.3)(layers.RandomZoom(0.2)(layers.RandomFlip()(image)))
    return keras.Model(image, layers.Conv2D(4, (3, 5))(layers.Dropout(0.5)(x, training=True)))


def augmenting_code() -> keras.Model:
    model = Augmenting()
    model(np.zeros((1, 20, 28, 3), np.float32))
    return model


@pytest.mark.parametrize("builder", [augmenting_graph, augmenting_code])
def test_augmentation_leaves_images_alone_outside_training(builder: Any, recwarn: pytest.WarningsRecorder) -> None:
    model = builder()
    rf = KerasReceptiveField(model)
    description = rf.compute((20, 28, 3))
    assert description == ReceptiveFieldDescription(offset=(2.5, 1.5), stride=(1.0, 1.0), size=Size(w=5, h=3))
    assert not [str(warning.message) for warning in recwarn if "rfwidget" in warning.filename]
    kernel = model.weights[-2].numpy().sum(axis=-1) / 4
    image = np.random.default_rng(0).random((20, 28, 3), np.float32)
    np.testing.assert_allclose(rf.gradient_at((7, 4), image)[4:7, 7:12], kernel, rtol=1e-5)


def test_contrast_that_looks_at_all_pixels_is_unbounded() -> None:
    rf = KerasReceptiveField(chain((20, 28, 3), layers.AutoContrast(), layers.Conv2D(4, (3, 5))))
    assert rf.compute().size == Size(math.inf, math.inf)
