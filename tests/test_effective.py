"""Effective receptive fields against closed forms: uniform convolutions, single taps, and Gaussians."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import keras
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from rfwidget.effective import FRACTIONS, EffectiveField, Frame, central_cells, nearest_gaussian, outline
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField
from rfwidget.keras import KerasReceptiveField
from rfwidget.plotting import plot_effective
from rfwidget.types import GridPoint
from tests.box_filter import BoxReceptiveField
from tests.models import chain
from tests.outlines import area

mpl.use("agg")

SHAPE = (40, 64, 3)


def box() -> BoxReceptiveField:
    rf = BoxReceptiveField()
    rf.compute(SHAPE)
    return rf


def uniform_stack(n: int, kernel: tuple[int, int], shape: tuple[int, int, int]) -> KerasReceptiveField:
    convs = [layers.Conv2D(1, kernel, kernel_initializer="ones", use_bias=False) for _ in range(n)]
    rf = KerasReceptiveField(chain(shape, *convs))
    rf.compute()
    return rf


@pytest.mark.parametrize(("n", "kernel"), [(1, (3, 5)), (4, (3, 5)), (7, (4, 3))])
def test_uniform_convolutions_have_the_variance_of_added_boxes(n: int, kernel: tuple[int, int]) -> None:
    effective = uniform_stack(n, kernel, (48, 56, 1)).effective()
    kh, kw = kernel
    assert effective.size == (n * (kw - 1) + 1, n * (kh - 1) + 1)
    assert_allclose(np.square(effective.radius), [n * (kw**2 - 1) / 12, n * (kh**2 - 1) / 12], rtol=1e-5)
    assert_allclose(effective.center, [effective.size.w / 2, effective.size.h / 2], rtol=1e-6)
    assert_allclose(effective.ratio, 4 * np.array(effective.radius) / effective.size)


def test_many_uniform_convolutions_are_nearly_gaussian() -> None:
    effective = uniform_stack(12, (3, 5), (64, 80, 1)).effective(points=[(10, 12)])
    fit = effective.fit_gaussian()
    assert fit.r_squared > 0.999
    assert_allclose(fit.sigma, effective.radius, rtol=0.03)
    assert_allclose(fit.center, effective.center, atol=1e-3)


def test_a_box_needs_its_share_of_the_area() -> None:
    effective = box().effective()
    for fraction in FRACTIONS:
        assert effective.area_ratio(fraction) == math.ceil(fraction * 72 - 1e-9) / 72
        assert effective.mask(fraction).sum() == math.ceil(fraction * 72 - 1e-9)
    assert list(effective.area_ratios) == list(FRACTIONS)
    assert effective.map.shape == (6, 12)
    assert effective.map.sum() == pytest.approx(1)


def perimeter(mask: npt.NDArray[np.bool_]) -> int:
    padded = np.pad(mask, 1)
    return sum(int(np.count_nonzero(np.diff(padded.astype(int), axis=axis))) for axis in (0, 1))


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 7))))
def test_outlines_are_closed_axis_parallel_and_hold_the_area_and_length_of_the_mask(
    mask: npt.NDArray[np.bool_],
) -> None:
    loops = outline(mask)
    assert sum(map(area, loops)) == np.count_nonzero(mask)
    length = 0
    for loop in loops:
        steps = np.abs(np.roll(loop, -1, axis=0) - loop)
        assert ((steps == 0).sum(axis=1) == 1).all()
        length += int(steps.sum())
    assert length == perimeter(mask)


def test_pixels_that_touch_at_a_corner_are_apart_and_a_hole_has_a_line_of_its_own() -> None:
    assert len(outline(np.eye(2, 3, dtype=bool))) == 2
    ring = np.ones((3, 4), bool)
    ring[1, 1:3] = False
    assert sorted(map(area, outline(ring))) == [-2, 12]


def test_lines_turn_at_every_corner() -> None:
    [line] = outline(np.array([[0, 1, 1], [1, 1, 1]], bool))
    assert line.ravel().tolist() == [1, 0, 3, 0, 3, 2, 0, 2, 0, 1, 1, 1]


def noisy(seed: int, stride: float = 4) -> EffectiveField:
    """A Gaussian mass that jumps from pixel to pixel, as that of real networks does."""
    y, x = np.mgrid[:60, :90] + 0.5
    bell = np.exp(-(((x - 45) / 15) ** 2) / 2 - ((y - 30) / 9) ** 2 / 2)
    map_ = bell * np.random.default_rng(seed).gamma(0.3, size=bell.shape)
    frames = (Frame(90, -3, stride, 90), Frame(60, 2, stride, 60))
    return EffectiveField(map_ / map_.sum(), frames, 1, (GridPoint(0, 0),), False)


@pytest.mark.parametrize("fraction", [0.5, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_plot_and_legend_show_the_contour_and_its_area(fraction: float, seed: int) -> None:
    effective = noisy(seed)
    inside = sum(map(area, effective.contour(fraction)))
    assert effective.contour_ratio(fraction) == inside / (90 * 60)
    ax = plot_effective(effective, ax=Figure().add_subplot())
    drawn = ax.collections[(0.5, 0.95).index(fraction)].get_segments()
    assert sum(area(line[:-1]) for line in drawn) == inside
    assert [line[0].tolist() for line in drawn] == [line[-1].tolist() for line in drawn]
    words = ax.get_legend().get_texts()[(0.5, 0.95).index(fraction)].get_text()
    assert words == f"{fraction:.0%} of the mass, {inside / (90 * 60):.1%} of the area"


@pytest.mark.parametrize("fraction", [0.5, 0.95, 1])
def test_a_contour_holds_its_share_of_the_mass_and_no_less_than_the_smallest_set(fraction: float) -> None:
    effective = noisy(3)
    region = np.zeros((60, 90), bool)
    for line in effective.contour(fraction):
        for (x0, y0), (x1, y1) in zip(line, np.roll(line, -1, axis=0), strict=True):
            if x0 == x1:  # inside are the pixels with an odd number of such edges on their left
                region[min(y0, y1) : max(y0, y1), x0:] ^= True
    held = effective.map[region].sum()
    assert held >= fraction - 1e-9
    assert held - effective.map[region].max() < fraction
    assert effective.area_ratio(fraction) <= effective.contour_ratio(fraction) == region.sum() / (90 * 60)


def test_where_nothing_is_to_be_smoothed_the_contour_is_the_border_of_the_smallest_set() -> None:
    map_ = np.random.default_rng(1).random((11, 10))
    effective = EffectiveField(map_, (Frame(10, 0, 1, 10), Frame(11, 0, 1, 11)), 1, (GridPoint(0, 0),), False)
    for line, expected in zip(effective.contour(0.5), outline(effective.mask(0.5)), strict=True):
        assert line.tolist() == expected.tolist()
    assert effective.contour_ratio(0.5) == effective.area_ratio(0.5)


def test_a_single_tap_is_one_pixel_of_a_wide_field() -> None:
    kernel = np.zeros((3, 5, 1, 1), np.float32)
    kernel[0, 4] = 1
    model = chain((32, 48, 1), layers.Conv2D(1, (3, 5), use_bias=False, name="tap"))
    model.set_weights([kernel])
    rf = KerasReceptiveField(model)
    rf.compute()
    effective = rf.effective()
    assert effective.area_ratio(0.99) == 1 / 15
    assert effective.center == (4.5, 0.5)
    assert effective.radius == (0, 0)
    assert effective.mask(0.5)[0, 4]


def test_gradients_of_both_signs_count_alike() -> None:
    model = chain((32, 48, 1), layers.Conv2D(1, (1, 3), use_bias=False))
    model.set_weights([np.array([-2, 1, 1], np.float32).reshape(1, 3, 1, 1)])
    rf = KerasReceptiveField(model)
    rf.compute()
    assert_allclose(rf.effective().map, [[0.5, 0.25, 0.25]])


def test_images_are_averaged_and_each_counts() -> None:
    rng = np.random.default_rng(3)
    model = chain(SHAPE, layers.Conv2D(4, (5, 3), activation="relu"), layers.Conv2D(2, (3, 5)))
    rf = KerasReceptiveField(model)
    rf.compute()
    images = rng.normal(size=(3, *SHAPE)).astype(np.float32)
    point = (20, 15)
    left, top, right, bottom = (int(edge) for edge in rf.rect_at(point))
    expected = sum(np.abs(rf.gradient_at(point, image)).sum(axis=2) for image in images)[top:bottom, left:right]
    effective = rf.effective(images, points=[point])
    assert_allclose(effective.map, expected / expected.sum(), rtol=1e-5)
    assert effective.rect_at(point) == rf.rect_at(point)
    assert effective.images == 3
    assert rf.effective(images, n=2, points=[point]).images == 2
    assert rf.effective(iter(images), points=[point]).images == 3
    assert rf.effective(images[0], points=[point]).images == 1


def test_fields_of_all_cells_are_laid_over_each_other() -> None:
    rf = uniform_stack(2, (3, 5), (32, 48, 1))
    one, many = rf.effective(points=[(12, 9)]), rf.effective(points=[(3, 4), (20, 11), (12, 9)])
    assert_allclose(one.map, many.map, rtol=1e-5)
    assert not many.overhangs


def test_central_cells_keep_clear_of_the_borders_where_they_can() -> None:
    assert set(central_cells(AxisField(1, 2, ((-10, 9),)), cells=24, length=48)) == {12, 11, 13}
    assert central_cells(AxisField(1, 8, ((-20, 30),)), cells=6, length=48) == [3]
    assert central_cells(AxisField(1, 8, ((-math.inf, math.inf),)), cells=6, length=48) == [3]
    model = chain((16, 24, 1), *(layers.Conv2D(1, (3, 9), padding="same") for _ in range(3)))
    rf = KerasReceptiveField(model)
    rf.compute()
    effective = rf.effective()
    assert effective.overhangs
    assert {point.x for point in effective.points} == {12}
    assert effective.size == (25, 7)


def test_an_unbounded_field_is_measured_on_the_image() -> None:
    image = keras.Input((16, 24, 1))
    x = layers.Conv2D(2, (3, 5), padding="same")(image)
    x = layers.Multiply()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)])
    rf = KerasReceptiveField(keras.Model(image, x))
    assert math.isinf(rf.compute().size.w)
    effective = rf.effective(points=[(3, 4)])
    assert effective.map.shape == (16, 24)
    assert effective.rect_at((3, 4)) == (0, 0, 24, 16)
    assert effective.area_ratio(1.0) == 1


def test_cells_that_see_different_extents_share_one_frame() -> None:
    rf = KerasReceptiveField(
        chain((32, 48, 1), layers.Conv2D(1, (3, 5)), layers.UpSampling2D((2, 3)), layers.Conv2D(1, (2, 4)))
    )
    rf.compute()
    assert rf.uniform == (False, False)
    points = [(x, y) for x in range(9, 18) for y in range(8, 14)]
    effective = rf.effective(points=points)
    for point in points:
        inner, outer = rf.rect_at(point), effective.rect_at(point)
        assert outer.left <= inner.left
        assert inner.right <= outer.right
        assert outer.top <= inner.top
        assert inner.bottom <= outer.bottom
    alone = sum(np.abs(rf.gradient_at(point, np.zeros((32, 48, 1)))).sum() for point in points)
    assert alone > 0
    assert effective.map.sum() == pytest.approx(1)


def test_a_gaussian_is_found_again() -> None:
    y, x = np.mgrid[:31, :47] + 0.5
    values = 0.7 * np.exp(-((x - 21.3) ** 2) / (2 * 6.5**2) - (y - 17.9) ** 2 / (2 * 3.25**2))
    found = nearest_gaussian(values)
    assert_allclose([found.amplitude, *found.center, *found.sigma], [0.7, 21.3, 17.9, 6.5, 3.25], rtol=1e-6)
    assert found.r_squared == pytest.approx(1)


def test_the_figures_are_printed_and_the_map_is_not() -> None:
    text = repr(box().effective())
    assert text.startswith("EffectiveField(size=Size(w=12, h=6), radius=(3.452, 1.708)")
    assert "array" not in text


def differing(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, 32, 48, 3)).astype(np.float32)


def relu_net() -> KerasReceptiveField:
    """A network whose gradients depend on the image."""
    convs = [layers.Conv2D(4, (3, 5), activation="relu") for _ in range(3)]
    rf = KerasReceptiveField(chain((32, 48, 3), *convs))
    rf.compute()
    return rf


def test_the_field_of_two_sets_is_the_sum_of_their_fields() -> None:
    rf, images = relu_net(), differing(20)
    whole = rf.effective(images)
    for cut in (1, 7, 19):
        a, b = rf.effective(images[:cut]), rf.effective(images[cut:])
        assert not np.array_equal(a.map, b.map)
        for both in (a + b, b + a, sum([a, b])):
            np.testing.assert_array_equal(both.map, whole.map)
            assert both.images == 20
        assert (a + b).spread == pytest.approx(whole.spread)
        np.testing.assert_array_equal(rf.effective(images[cut:][::-1]).map, b.map)


def test_fields_of_other_cells_or_layers_cannot_be_added() -> None:
    rf = box()
    field = rf.effective()
    with pytest.raises(ReceptiveFieldError, match="their points differ"):
        field + rf.effective(points=[(0, 0)])
    rf.compute(SHAPE, output_layer="tall")
    with pytest.raises(ReceptiveFieldError, match="their frames"):
        field + rf.effective(points=field.points)
    with pytest.raises(ReceptiveFieldError, match="made from a map alone"):
        field + field._replace(mass=None)
    with pytest.raises(TypeError):
        field + 1


def test_a_saved_field_is_the_same_when_it_is_loaded(tmp_path: Path) -> None:
    rf, images = relu_net(), differing(10)
    field = rf.effective(images[:6])
    field.save(tmp_path / "field.npz")
    again = EffectiveField.load(tmp_path / "field.npz")
    np.testing.assert_array_equal(again.map, field.map)
    assert again[1:5] == field[1:5]
    assert again.spread == field.spread
    assert type(again.frames[0].start) is type(field.frames[0].start)
    np.testing.assert_array_equal((again + rf.effective(images[6:])).map, rf.effective(images).map)
    with pytest.raises(ReceptiveFieldError, match="made from a map alone"):
        noisy(0).save(tmp_path / "noisy.npz")


def test_another_file_is_no_field(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("field")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", about=np.array([{}], dtype=object))
    for name in ("text", "other", "pickled"):
        with pytest.raises(ReceptiveFieldError, match=rf"{name}\.npz is no effective field"):
            EffectiveField.load(tmp_path / f"{name}.npz")
    with pytest.raises(ReceptiveFieldError, match="no such file"):
        EffectiveField.load(tmp_path / "nowhere.npz")


def test_measuring_stops_when_the_field_is_steady() -> None:
    rf = relu_net()
    taken = 0

    def endless() -> Iterator[npt.NDArray[np.float32]]:
        nonlocal taken
        for seed in itertools.count():
            for image in differing(10, seed):
                taken += 1
                yield image

    rough, fine = (rf.effective(endless(), points=[(9, 9)], tolerance=tolerance) for tolerance in (0.05, 0.02))
    for field, tolerance in ((rough, 0.05), (fine, 0.02)):
        assert field.spread is not None
        assert max(field.spread.values()) <= tolerance
    assert 16 <= rough.images < fine.images < 3000
    assert taken == rough.images + fine.images
    steady = relu_net().effective(differing(5), tolerance=0.5)
    assert steady.images == 5


def test_the_spread_tells_how_far_the_ratios_are_from_those_of_many_images() -> None:
    rf = relu_net()
    truth = rf.effective(differing(600), points=[(9, 9)])
    misses = []
    for seed in range(1, 13):
        field = rf.effective(differing(24, seed), points=[(9, 9)])
        assert field.spread is not None
        misses.append([(field.area_ratios[f] - truth.area_ratios[f]) / max(field.spread[f], 0.005) for f in FRACTIONS])
    assert np.sqrt(np.mean(np.square(misses))) < 2


def test_one_image_tells_no_spread() -> None:
    assert box().effective(np.zeros((1, *SHAPE))).spread is None
    assert noisy(0).spread is None


def test_a_data_set_without_an_end_needs_one() -> None:
    class Endless:
        def cardinality(self) -> int:
            return -1

        def __iter__(self) -> Iterator[object]:
            return itertools.repeat(np.zeros(SHAPE))

    with pytest.raises(ReceptiveFieldError, match=r"never ends: say how many images to take, n=1000, or tol"):
        box().effective(Endless())
    assert box().effective(Endless(), n=3).images == 3
    assert box().effective(Endless(), tolerance=0.1).images == 16


def test_progress_is_told_for_every_gradient() -> None:
    told: list[float] = []
    box().effective([np.zeros(SHAPE)] * 2, points=[(0, 0), (3, 4)], progress=lambda fraction, _: told.append(fraction))
    assert told == [0, 0.25, 0.5, 0.75, 1]


def test_what_progress_raises_ends_the_work() -> None:
    def stop(fraction: float, words: str) -> None:  # noqa: ARG001
        raise InterruptedError

    with pytest.raises(InterruptedError):
        box().effective(progress=stop)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": []}, "images is empty"),
        ({"images": np.zeros((0, *SHAPE))}, "images is empty"),
        ({"images": 5}, "images is int"),
        ({"images": np.zeros((2, 10, 10, 3))}, "10"),
        ({"n": 0}, "n is 0"),
        ({"n": True}, "n is True"),
        ({"tolerance": 0}, "tolerance is 0: expected a share"),
        ({"tolerance": "fine"}, "tolerance is 'fine'"),
        ({"client": 5}, "client is 5: expected a dask"),
        ({"points": []}, "points is empty"),
        ({"points": [(14, 0)]}, "outside the 14x18 grid"),
        ({"channel": 7}, "channel 7"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=message):
        box().effective(**arguments)


def test_a_dead_network_has_no_effective_field() -> None:
    model = chain((16, 24, 1), layers.Conv2D(1, 3, kernel_initializer="zeros"))
    rf = KerasReceptiveField(model)
    rf.compute()
    with pytest.raises(ReceptiveFieldError, match=r"zero on all .* images"):
        rf.effective()


@pytest.mark.parametrize("fraction", [0, -0.5, 1.2, math.nan])
def test_a_fraction_is_a_share(fraction: float) -> None:
    with pytest.raises(ReceptiveFieldError, match="expected a share"):
        box().effective().mask(fraction)
    with pytest.raises(ReceptiveFieldError, match="expected a share"):
        box().effective().contour(fraction)
