from __future__ import annotations

import itertools

import numpy as np
import pytest

from rfwidget.errors import ReceptiveFieldError
from rfwidget.network import Patch
from rfwidget.widget.heat import (
    HEAT_SCALES,
    Colouring,
    bar_ticks,
    colour,
    colour_feature_map,
    heat_map,
    levels_of,
    lookup_table,
    palette,
    shares,
)


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
    signed = heat_map(patch_of(np.array([[-2.0, 2.0]])), "coolwarm", signed=True).rgba
    np.testing.assert_array_equal(signed[0, 0, :3], table[0, :3])
    np.testing.assert_array_equal(signed[0, 1, :3], table[255, :3])
    magnitude = heat_map(patch_of(np.array([[-2.0, 2.0]]))).rgba
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


@pytest.mark.parametrize("scale", HEAT_SCALES)
@pytest.mark.parametrize("signed", [True, False])
def test_every_scale_grows_with_the_magnitude_and_ends_in_the_strongest_colour(scale: str, signed: bool) -> None:
    strength = np.geomspace(1e-4, 1, 50)
    rgba = heat_map(patch_of(strength[None]), "gray", signed=signed, scale=scale).rgba[0].astype(int)
    assert (np.diff(rgba[:, 0]) >= 0).all()
    assert rgba[-1].tolist() == [255] * 4
    assert rgba[0, 0] <= (140 if signed else 60)


def test_on_the_square_root_scale_a_quarter_of_the_strength_is_half_of_the_bar() -> None:
    values = np.full((1, 400), 4.0)
    values[0, 0] = 1
    assert int(heat_map(patch_of(values), "gray").rgba[0, 0, 0]) == pytest.approx(128, abs=1)


def test_on_the_percentile_scale_the_median_of_the_mass_is_in_the_middle() -> None:
    """A gradient that decays by half per pixel: the strongest one holds half of the mass."""
    values = 0.5 ** np.arange(20)[None]
    rgba = heat_map(patch_of(values), "gray", scale="percentile").rgba
    assert rgba[0, :3, 0].tolist() == pytest.approx([255, 128, 64], abs=3)


def test_the_bar_tells_the_values_at_its_places() -> None:
    values = np.full((1, 400), 4.0)
    assert heat_map(patch_of(values)).ticks == ((0.0, "0"), (0.5, "1"), (1.0, "4"))
    signed = heat_map(patch_of(values), "coolwarm", signed=True, scale="linear").ticks
    assert [words for _, words in signed] == ["\u22124", "\u22122", "0", "2", "4"]
    assert [place for place, _ in signed] == [0, 0.25, 0.5, 0.75, 1]
    assert heat_map(patch_of(np.zeros((4, 6)))).ticks == ()
    percentile = bar_ticks(Colouring("coolwarm", signed=True, scale="percentile"))
    assert [words for _, words in percentile] == ["\u2212max", "\u221250 %", "0", "50 %", "max"]
    places = [place for place, _ in percentile]
    assert min(b - a for a, b in itertools.pairwise(places)) > 0.1  # nearer, their words would touch


def test_the_boxes_hold_the_shares_of_the_mass_and_are_no_larger_than_they_must_be() -> None:
    y, x = np.mgrid[:41, :61]
    values = np.exp(-(((x - 40) / 6) ** 2) - ((y - 12) / 4) ** 2)
    (half, small), (most, large) = heat_map(patch_of(values, left=5, top=3)).mass
    assert (half, most) == (0.5, 0.95)
    for share, (left, top, right, bottom) in ((half, small), (most, large)):
        inside = values[top - 3 : bottom - 3, left - 5 : right - 5].sum() / values.sum()
        assert share <= inside < share + 0.06
        assert left < 45 < right
        assert top < 15 < bottom
    assert (small[2] - small[0]) * (small[3] - small[1]) < (large[2] - large[0]) * (large[3] - large[1]) / 2


def test_without_a_response_there_is_no_mass() -> None:
    assert heat_map(patch_of(np.zeros((4, 6)))).mass == ()


def noise(height: int = 20, width: int = 31) -> Patch:
    values = np.random.default_rng(3).normal(size=(height, width, 3)).astype(np.float32)
    values[4:7, 9:15] = 0
    return Patch(values, 7, 5)


def test_bytes_keep_sign_and_magnitude_to_half_a_step_of_the_root() -> None:
    patch = noise()
    levels, mean = levels_of(patch), patch.values.mean(axis=2)
    assert levels.box == (7, 5, 38, 25)
    responds = np.any(patch.values, axis=2)
    np.testing.assert_array_equal(levels.values == 0, ~responds)
    signed = levels.values[responds].astype(int) - 128
    root = np.sqrt(np.minimum(np.abs(mean[responds]) / levels.full, 1)) * np.sign(mean[responds])
    assert np.abs(signed / 127 - root).max() <= 0.5 / 127 + 1e-6
    assert levels.weight == pytest.approx(np.abs(mean).sum() / levels.full)


@pytest.mark.parametrize("scale", [scale for scale in HEAT_SCALES if scale != "percentile"])
@pytest.mark.parametrize("signed", [True, False])
def test_one_table_of_256_colours_is_all_that_colouring_needs(scale: str, signed: bool) -> None:
    levels, colouring = levels_of(noise()), Colouring("coolwarm", signed, scale)
    np.testing.assert_array_equal(colour(levels, colouring).rgba, palette(colouring)[levels.values])


def test_by_mass_the_table_is_that_of_roots_after_each_byte_has_moved_to_its_share() -> None:
    levels, colouring = levels_of(noise()), Colouring("gray", scale="percentile")
    moved = shares(levels)
    np.testing.assert_array_equal(colour(levels, colouring).rgba, palette(colouring)[moved[levels.values]])
    assert (moved[0], moved[1], moved[128], moved[255]) == (0, 1, 128, 255)
    assert (np.diff(moved[1:].astype(int)) >= 0).all()
    # Half of the mass lies in pixels whose share is at most a half, up to the steps of the bytes.
    strength = np.abs(moved[levels.values].astype(int) - 128)[levels.values > 0]
    magnitude = np.abs(noise().values.mean(axis=2))[levels.values > 0]
    assert magnitude[strength <= 64].sum() / magnitude.sum() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("left", "top"), [(6, 4), (7, 4), (6, 5), (7, 5)])
def test_a_coarse_map_has_the_mean_of_blocks_that_begin_at_even_pixels(left: int, top: int) -> None:
    patch = noise()._replace(left=left, top=top)
    coarse = levels_of(patch, step=2)
    image = np.zeros((40, 60))
    image[top : top + 20, left : left + 31] = patch.values.mean(axis=2)
    means = image.reshape(20, 2, 30, 2).mean(axis=(1, 3))
    x, y, right, bottom = coarse.box
    assert (x, y) == (6, 4)
    assert (right - left - 31, bottom - top - 20) == ((left + 31) % 2, top % 2)
    assert coarse.step == 2
    expected = np.sign(means) * np.sqrt(np.minimum(np.abs(means) / coarse.full, 1))
    found = (coarse.values.astype(int) - 128) / 127
    inside = expected[y // 2 : bottom // 2, x // 2 : right // 2]
    assert np.abs(np.where(coarse.values > 0, found - inside, inside)).max() <= 0.5 / 127 + 1e-6
