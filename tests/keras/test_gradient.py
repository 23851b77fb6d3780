"""Backpropagation as plain functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops

from rfwidget.keras.backends import backend

IMAGE = np.random.default_rng(0).random((6, 9, 2), np.float32)


def squares_of_rows(images: Any) -> Any:
    """Two channels: the square of each pixel's first colour, and three times its second."""
    return ops.stack([images[..., 0] ** 2, 3 * images[..., 1]], axis=-1)


def expected(row: int, column: int, first: float, second: float) -> np.ndarray:
    gradient = np.zeros_like(IMAGE)
    gradient[row, column] = first * 2 * IMAGE[row, column, 0], second * 3
    return gradient


def test_a_compiled_gradient_is_that_of_the_weighted_channels_of_each_images_cell() -> None:
    gradient = backend.CompiledGradient(squares_of_rows, (2, *IMAGE.shape))
    images, places = np.stack([IMAGE, 2 * IMAGE]), [(1, 7), (5, 0)]
    gradients = gradient(images, places, np.array([0.25, 2], np.float32))
    np.testing.assert_allclose(gradients[0], expected(1, 7, 0.25, 2), rtol=1e-6)
    np.testing.assert_allclose(gradients[1], expected(5, 0, 0.5, 2), rtol=1e-6)


def test_it_is_traced_at_the_first_call_and_never_again() -> None:
    gradient = backend.CompiledGradient(squares_of_rows, (1, *IMAGE.shape))
    assert gradient.traces == 0
    for cell in range(100):
        weights = np.eye(2, dtype=np.float32)[cell % 2]
        gradient(cell * IMAGE[None], [(cell % 6, cell % 9)], weights)
    assert gradient.traces == 1


def test_a_place_that_the_image_does_not_reach_has_no_gradient() -> None:
    gradient = backend.CompiledGradient(lambda images: ops.zeros((*images.shape[:3], 1)), (1, *IMAGE.shape))
    gradients = gradient(IMAGE[None], [(2, 3)], np.ones(1, np.float32))
    assert gradients.shape == (1, *IMAGE.shape)
    assert not gradients.any()


def test_a_strided_pointwise_convolution_does_not_corrupt_memory() -> None:
    layer = layers.Conv2D(2, 1, strides=2, use_bias=False)
    gradient = backend.CompiledGradient(layer, (1, 12, 32, 2))
    image = np.random.default_rng(1).random((1, 12, 32, 2), np.float32)
    for cell in range(96):
        found = gradient(image, [(cell // 16, cell % 16)], np.array([1, 0], np.float32))[0]
        y, x = 2 * (cell // 16), 2 * (cell % 16)
        np.testing.assert_array_equal(found[y, x], np.asarray(layer.kernel.value)[0, 0, :, 0])
        assert np.count_nonzero(found) == 2


def test_the_forward_network_tells_its_channels_and_its_output() -> None:
    network = backend.CompiledNetwork(squares_of_rows, IMAGE.shape)
    assert network.channels == 2
    np.testing.assert_allclose(network.feature_map(IMAGE)[..., 1], 3 * IMAGE[..., 1], rtol=1e-6)
