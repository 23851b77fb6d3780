from __future__ import annotations

import numpy as np
import pytest

from rfwidget.errors import ReceptiveFieldError
from rfwidget.network import Patch
from rfwidget.widget.heat import colour_feature_map, heat_map, lookup_table


def patch_of(values: np.ndarray, left: int = 5, top: int = 3) -> Patch:
    return Patch(values.astype(np.float32)[:, :, None].repeat(3, axis=2), left, top)


def test_it_is_cut_to_the_pixels_that_respond() -> None:
    values = np.zeros((20, 30))
    values[4:9, 10:22] = 1
    heat = heat_map(patch_of(values))
    assert heat.box == (5 + 10, 3 + 4, 5 + 22, 3 + 9)
    assert heat.rgba.shape == (5, 12, 4)


def test_pixels_without_gradient_are_clear_and_all_others_show() -> None:
    values = np.eye(6, 9) * 1e-30
    values[0, 8] = 5
    alpha = heat_map(patch_of(values)).rgba[:, :, 3]
    np.testing.assert_array_equal(alpha == 0, values == 0)
    assert alpha[0, 8] == 255


def test_channels_that_cancel_still_respond() -> None:
    values = np.zeros((4, 6, 2), np.float32)
    values[1, 2] = (1, -1)
    assert heat_map(Patch(values, 0, 0)).box == (2, 1, 3, 2)


def test_the_sign_runs_from_one_end_of_the_colours_to_the_other() -> None:
    table = lookup_table("coolwarm")
    signed = heat_map(patch_of(np.array([[-2.0, 2.0]]))).rgba
    np.testing.assert_array_equal(signed[0, 0, :3], table[0, :3])
    np.testing.assert_array_equal(signed[0, 1, :3], table[255, :3])
    magnitude = heat_map(patch_of(np.array([[-2.0, 2.0]])), signed=False).rgba
    np.testing.assert_array_equal(magnitude[0, 0], magnitude[0, 1])


def test_one_pixel_far_stronger_than_all_others_does_not_hide_them() -> None:
    values = np.linspace(0.5, 1, 400).reshape(20, 20)
    values[3, 7] = 1e6
    assert (heat_map(patch_of(values)).rgba[:, :, 3] > 150).all()


def test_no_response_at_all_is_an_empty_picture() -> None:
    heat = heat_map(patch_of(np.zeros((4, 6))))
    assert heat.box[2:] == heat.box[:2]
    assert heat.rgba.size == 0


@pytest.mark.parametrize("name", ["coolwarn", "", None, 3])
def test_an_unknown_colour_map_is_refused(name: object) -> None:
    with pytest.raises(ReceptiveFieldError, match="no colour map"):
        lookup_table(name)  # type: ignore[arg-type]


def test_a_feature_map_is_coloured_from_its_lowest_to_its_highest_value() -> None:
    table = lookup_table("viridis")
    np.testing.assert_array_equal(
        colour_feature_map(np.float32([[-2, 0, 2], [2, 1, -2]])),
        [[table[0], table[128], table[255]], [table[255], table[191], table[0]]],
    )
    np.testing.assert_array_equal(colour_feature_map(np.full((2, 3), 7, np.float32)), [[table[0]] * 3] * 2)


def test_overflow_in_a_feature_map_takes_the_ends_of_the_colours_and_nan_is_grey() -> None:
    table, most = lookup_table("viridis"), np.finfo(np.float32).max
    grey = [128, 128, 128, 255]
    with np.errstate(all="raise"):
        found = colour_feature_map(np.float32([[-most, np.inf, np.nan], [most, -np.inf, 0]]))
        np.testing.assert_array_equal(found, [[table[0], table[255], grey], [table[255], table[0], table[128]]])
        np.testing.assert_array_equal(colour_feature_map(np.float32([[np.nan]])), [[grey]])
