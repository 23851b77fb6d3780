from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import as_array, as_model_input, as_picture, default_input, get_default_image, get_default_images
from rfwidget.types import GridShape, ImageShape


def test_there_are_at_least_four_images_and_none_needs_a_download() -> None:
    assert len(get_default_images()) >= 4
    assert "lena" not in get_default_images()


@pytest.mark.parametrize("name", get_default_images())
@given(w=st.integers(1, 70), h=st.integers(1, 70))
def test_every_image_has_the_asked_width_and_height(name: str, w: int, h: int) -> None:
    image = get_default_image((w, h), name=name)
    assert image.shape == (h, w, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize("name", get_default_images())
def test_no_image_is_flat(name: str) -> None:
    assert get_default_image(ImageShape(60, 40), name=name).std() > 10


def test_tiles_surround_the_image_in_grey() -> None:
    image = get_default_image((20, 30), tile_factor=1)
    assert image.shape == (90, 60, 3)
    centre = image[30:60, 20:40]
    np.testing.assert_array_equal(centre, get_default_image((20, 30)))
    outer = image.copy()
    outer[30:60, 20:40] = 0
    np.testing.assert_array_equal(outer[:, :, 0], outer[:, :, 1])
    assert (centre[:, :, 0] != centre[:, :, 2]).any()


def test_unshaded_tiles_are_copies() -> None:
    image = get_default_image((20, 30), tile_factor=1, shade=False)
    np.testing.assert_array_equal(image[:30, :20], image[30:60, 20:40])


def test_one_channel_is_grey() -> None:
    assert get_default_image((20, 30, 1), tile_factor=1).shape == (90, 60, 1)


def test_as_image_gives_the_same_pixels_as_a_pil_image() -> None:
    image = get_default_image((20, 30), as_image=True, name="text")
    assert isinstance(image, Image.Image)
    np.testing.assert_array_equal(np.asarray(image), get_default_image((20, 30), name="text"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: get_default_image((8, 8), name="checkerbord"), "did you mean 'checkerboard'"),
        (lambda: get_default_image((8,)), "expected \\(width, height\\)"),
        (lambda: get_default_image((8, 8, 4)), "4 channels"),
        (lambda: get_default_image((8, 0)), "at least 1"),
        (lambda: get_default_image((8, 8.5)), "whole number"),
        (lambda: get_default_image((8, 8), tile_factor=-1), "tile_factor"),
        (lambda: get_default_image((100_000, 100_000)), "too large"),
        (lambda: as_array("a text"), "cannot be used"),
        (lambda: as_array(np.zeros((2, 3, 4, 5))), "without a batch axis"),
        (lambda: as_array(np.zeros((0, 3, 3))), "no side of 0"),
        (lambda: as_array(np.array([[np.nan]])), "NaN"),
        (lambda: as_model_input(np.zeros((96, 160, 3)), GridShape(None, 96, 160, 3)), "160x96 pixels"),
        (lambda: as_model_input(np.zeros((4, 6, 4)), GridShape(None, 6, 4, 3)), "4 channels"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(call, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        call()


def test_a_model_input_keeps_its_values() -> None:
    image = np.arange(24.0).reshape(4, 2, 3)
    np.testing.assert_array_equal(as_model_input(image, GridShape(None, 2, 4, 3)), image.astype(np.float32))


def test_grey_serves_any_number_of_channels_and_colour_serves_grey() -> None:
    grey = np.arange(8.0).reshape(4, 2)
    assert as_model_input(grey, GridShape(None, 2, 4, 13)).shape == (4, 2, 13)
    np.testing.assert_allclose(as_model_input(np.ones((4, 2, 3)), GridShape(None, 2, 4, 1)), np.ones((4, 2, 1)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, bool])
def test_any_array_of_an_image_can_be_shown(channels: int, dtype: type) -> None:
    picture = as_picture((np.arange(6 * 4 * channels).reshape(4, 6, channels) * 37 % 251).astype(dtype))
    assert picture.shape == (4, 6, 3)
    assert picture.dtype == np.uint8


def test_unit_range_and_byte_range_look_the_same() -> None:
    photo = get_default_image((16, 12))
    np.testing.assert_array_equal(as_picture(photo / 255), photo)
    np.testing.assert_array_equal(as_picture(photo.astype(float)), photo)


@pytest.mark.parametrize("channels", [1, 3, 5, 13])
def test_the_default_input_fits_the_model(channels: int) -> None:
    shape = GridShape(None, 20, 12, channels)
    assert as_model_input(default_input(shape), shape).shape == (12, 20, channels)
