"""Bugs of an earlier receptive-field library; none may come back."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rfwidget.keras import KerasReceptiveField
from rfwidget.types import Rect


def stack(*layers: keras.Layer, shape: tuple[int, int, int] = (96, 96, 3)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *layers])


def conv(kernel, filters=4, **options) -> keras.Layer:
    return keras.layers.Conv2D(filters, kernel, **options)


def test_rows_are_not_taken_for_x_on_a_non_square_image():
    model = stack(conv((3, 7), strides=(1, 2)), conv((2, 5), strides=(3, 1)), shape=(40, 90, 3))
    rf = KerasReceptiveField(model)
    description = rf.compute()
    assert description == ((7.5, 2), (2, 3), (15, 4))
    assert (rf.input_shape.w, rf.input_shape.h) == (90, 40)
    assert (rf.output_shape.w, rf.output_shape.h) == (38, 13)
    assert rf.rect_at((37, 12)) == Rect(74, 36, 89, 40)


def test_size_is_measured_not_counted():
    rf = KerasReceptiveField(stack(conv((3, 2), dilation_rate=(4, 7)), shape=(30, 40, 1)))
    assert rf.compute().size == (8, 9)
    assert np.count_nonzero(rf.gradient_at((5, 6))) == 6


def test_negative_gradients_are_kept():
    model = stack(conv((3, 5), filters=1), shape=(20, 28, 1))
    model.set_weights([-np.ones((3, 5, 1, 1)), np.zeros(1)])
    rf = KerasReceptiveField(model)
    assert rf.compute() == ((2.5, 1.5), (1, 1), (5, 3))
    gradient = rf.gradient_at((4, 2))[..., 0]
    assert_allclose(gradient[2:5, 4:9], -1, rtol=1e-6)
    assert_allclose(gradient.sum(), -15, rtol=1e-6)


def test_dead_units_give_no_nan():
    model = stack(conv((3, 5), activation="relu"), conv((2, 3), activation="relu"), shape=(20, 28, 1))
    model.set_weights([np.zeros((3, 5, 1, 4)), -np.ones(4), np.zeros((2, 3, 4, 4)), -np.ones(4)])
    rf = KerasReceptiveField(model)
    assert rf.compute() == ((3.5, 2), (1, 1), (7, 4))
    assert not rf.gradient_at((4, 2)).any()


def test_a_grid_of_one_cell_works():
    layers = conv(5), keras.layers.MaxPooling2D(2), conv(5), keras.layers.MaxPooling2D(2), conv(4)
    rf = KerasReceptiveField(stack(*layers, shape=(28, 28, 1)))
    assert rf.compute() == ((14, 14), (4, 4), (28, 28))
    assert (rf.output_shape.w, rf.output_shape.h) == (1, 1)
    assert rf.gradient_at((0, 0)).shape == (28, 28, 1)
    assert rf.cells_seeing((27, 0)).tolist() == [[True]]
    rf.plot_rf_grid()


@pytest.mark.parametrize(("shape", "grid"), [((8, 64, 3), (60, 4)), ((64, 8, 3), (4, 60)), ((5, 64, 3), (60, 1))])
def test_last_cell_of_a_non_square_grid_is_reached(shape, grid):
    rf = KerasReceptiveField(stack(conv(5), shape=shape))
    rf.compute()
    last = grid[0] - 1, grid[1] - 1
    assert (rf.output_shape.w, rf.output_shape.h) == grid
    assert rf.rect_at(last) == Rect(*last, shape[1], shape[0])
    assert rf.gradient_at(last)[-1, -1].any()
    rf.plot_gradient_at(last)


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_images_need_not_be_rgb(channels):
    rf = KerasReceptiveField(stack(conv((3, 5), activation="relu"), shape=(20, 30, channels)))
    assert rf.compute() == ((2.5, 1.5), (1, 1), (5, 3))
    assert rf.gradient_at((3, 4)).shape == (20, 30, channels)
    rf.plot_rf_grid()


def test_a_field_larger_than_the_image_is_not_cut():
    layers = [conv((7, 9), padding="same", activation="relu") for _ in range(8)]
    rf = KerasReceptiveField(stack(*layers, shape=(16, 24, 3)))
    assert rf.compute() == ((0.5, 0.5), (1, 1), (65, 49))
    assert rf.rect_at((0, 0)) == Rect(-32, -24, 33, 25)
    assert rf.rect_at((0, 0), clip=True) == Rect(0, 0, 24, 16)


CONVOLUTIONS = {
    "conv": lambda: conv((3, 5)),
    "depthwise": lambda: keras.layers.DepthwiseConv2D((3, 5)),
    "separable": lambda: keras.layers.SeparableConv2D(4, (3, 5)),
    "transposed": lambda: keras.layers.Conv2DTranspose(4, (3, 5)),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_init_weights_covers_every_convolution_and_leaves_the_users_weights_alone(kind):
    model = stack(CONVOLUTIONS[kind](), shape=(20, 28, 3))
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    rf = KerasReceptiveField(model, init_weights=True)
    rf.compute()
    gradient = rf.gradient_at((8, 7)).mean(axis=2)
    seen = gradient[gradient != 0]
    assert seen.size == 15
    assert_allclose(seen, seen[0], rtol=1e-5)
    assert seen[0] > 0
    assert not any(weight.any() for weight in model.get_weights())


def test_rectangles_are_drawn_on_pixel_edges():
    """Wherever the drawing puts the image, the rectangle covers exactly the pixels of the field."""
    width, height = 32, 21
    rf = KerasReceptiveField(stack(conv((3, 5), strides=(2, 3)), shape=(height, width, 3)))
    rf.compute()
    grid = rf.output_shape
    rect = rf.rect_at((grid.w - 1, grid.h - 1))
    for axes in (rf.plot_rf_grid(), rf.plot_gradient_at((grid.w - 1, grid.h - 1))):
        left, right, bottom, top = axes.images[-1].get_extent()
        columns, rows = np.linspace(left, right, width + 1), np.linspace(top, bottom, height + 1)
        expected = columns[rect.left], rows[rect.top], columns[rect.right], rows[rect.bottom]
        drawn = [patch.get_bbox().extents for patch in axes.patches]
        assert any(np.allclose(box, expected) for box in drawn)


def test_the_model_is_built_once_per_compute_and_never_by_a_query():
    builds = []

    def build(input_shape):
        builds.append(input_shape)
        return stack(conv((3, 5), name="grid"), shape=input_shape)

    rf = KerasReceptiveField(build)
    rf.compute(input_shape=(20, 30, 3))
    count = len(builds)
    assert count == 1
    for point in [(0, 0), (3, 4), (25, 17)]:
        rf.gradient_at(point)
        rf.rect_at(point, clip=True)
        rf.cells_seeing(point[:2])
    rf.plot_rf_grid()
    rf.plot_gradient_at((3, 4))
    assert len(builds) == count


def test_import_leaves_logging_alone():
    code = (
        "import logging; before = (list(logging.root.handlers), logging.root.level, logging.root.disabled)\n"
        "import rfwidget.keras, rfwidget.base, rfwidget.plotting\n"
        "rfwidget.KerasReceptiveField\n"
        "root = [h for h in logging.root.handlers if 'absl' not in type(h).__module__]\n"
        "assert (root, logging.root.level, logging.root.disabled) == before, root\n"
        "assert logging.getLogger('rfwidget').handlers == []\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
