"""The abstract estimator over a framework of our own: everything but building and backpropagating is its part."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from rfwidget.errors import NotComputedError, ReceptiveFieldError
from rfwidget.types import GridShape, ImageShape, Rect, Size
from tests.box_filter import BoxReceptiveField

mpl.use("agg")

SHAPE = (40, 64, 3)


@pytest.fixture
def rf() -> BoxReceptiveField:
    made = BoxReceptiveField()
    made.compute(SHAPE)
    return made


def test_a_framework_needs_to_say_only_how_to_build_and_to_backpropagate(rf: BoxReceptiveField) -> None:
    described = rf.rf_params
    assert described.size == Size(12, 6)
    assert described.stride == (4.0, 2.0)
    assert described.offset == (6.0, 3.0)
    assert rf.uniform == (True, True)


def test_it_prints_what_it_has_measured(rf: BoxReceptiveField) -> None:
    assert repr(rf) == (f"BoxReceptiveField('wide' on 'image', image 64x40, grid 14x18: {rf.rf_params})")
    assert repr(BoxReceptiveField()) == "BoxReceptiveField(nothing measured yet: call compute())"


def test_shapes_are_width_first(rf: BoxReceptiveField) -> None:
    assert rf.input_shape == GridShape(n=None, w=64, h=40, c=3)
    assert rf.output_shape == GridShape(n=None, w=14, h=18, c=1)
    assert rf.channels == 3
    assert rf.layers == {"wide": Size(14, 18), "tall": Size(60, 11)}


def test_rectangles_follow_from_offset_stride_and_size(rf: BoxReceptiveField) -> None:
    assert rf.rect_at((0, 0)) == Rect(0, 0, 12, 6)
    assert rf.rect_at((13, 17)) == Rect(52, 34, 64, 40) == rf.rect_at((13, 17), clip=True)


def test_the_gradient_is_that_of_a_box(rf: BoxReceptiveField) -> None:
    gradient = rf.gradient_at((2, 3))
    assert gradient.shape == SHAPE
    expected = np.zeros(SHAPE)
    expected[6:12, 8:20] = 1 / (12 * 6 * 3)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    one = rf.gradient_at((2, 3), channel=1)
    np.testing.assert_allclose(one[:, :, 1], 3 * expected[:, :, 1], rtol=1e-6)
    assert not one[:, :, [0, 2]].any()


def test_gradients_of_many_cells_are_those_of_each(rf: BoxReceptiveField) -> None:
    cells = [(2, 3), (13, 17), (0, 0)]
    gradients = rf.gradients_at(cells, channel=2)
    assert gradients.shape == (3, *SHAPE)
    assert gradients.dtype == np.float32
    for cell, gradient, patch in zip(cells, gradients, rf.gradient_patches(cells, channel=2), strict=True):
        np.testing.assert_array_equal(gradient, rf.gradient_at(cell, channel=2))
        np.testing.assert_array_equal(gradient[patch.rows, patch.columns], patch.values)
    assert rf.gradients_at([]).shape == (0, *SHAPE)


def test_patches_are_computed_as_they_are_asked_for(rf: BoxReceptiveField, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    gradient = rf.network.gradient
    monkeypatch.setattr(
        rf.network, "gradient", lambda image, cell, channel: asked.append(cell) or gradient(image, cell, channel)
    )
    patches = rf.gradient_patches((x, 5) for x in range(14))
    assert not asked
    next(patches)
    assert asked == [(0, 5)]


def test_a_wing_is_told_when_to_prepare(rf: BoxReceptiveField, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(rf.network, "prepare", lambda image: shapes.append(image.shape))
    rf.prepare()
    rf.prepare(np.zeros((40, 64), np.uint8))
    assert shapes == [SHAPE, SHAPE]


def test_pixels_count_only_where_the_cell_looks(rf: BoxReceptiveField) -> None:
    image = np.zeros(SHAPE)
    image[0, 0] = np.nan
    assert rf.gradient_at((13, 17), image).any()
    with pytest.raises(ReceptiveFieldError, match="NaN"):
        rf.gradient_at((0, 0), image)
    with pytest.raises(ReceptiveFieldError, match="NaN"):
        rf.feature_map(image)


@pytest.mark.parametrize("pixel", [(0, 0), (10, 7), (63, 39), (20, 0)])
def test_the_cells_that_see_a_pixel_are_those_whose_rectangles_hold_it(
    rf: BoxReceptiveField, pixel: tuple[int, int]
) -> None:
    seeing = rf.cells_seeing(pixel)
    assert seeing.shape == (18, 14)
    for y in range(18):
        for x in range(14):
            left, top, right, bottom = rf.rect_at((x, y))
            assert seeing[y, x] == (left <= pixel[0] < right and top <= pixel[1] < bottom)


def test_the_feature_map_is_the_mean_of_each_box(rf: BoxReceptiveField) -> None:
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    features = rf.feature_map(image)
    assert features.shape == (18, 14)
    np.testing.assert_allclose(features[3, 2], image[6:12, 8:20].mean(), rtol=1e-4)


def test_an_image_shape_may_be_named(rf: BoxReceptiveField) -> None:
    before = rf.rf_params
    assert rf.compute(ImageShape(w=64, h=40)) == before
    assert rf.input_shape == GridShape(None, 64, 40, 3)


def test_plots_take_and_return_axes(rf: BoxReceptiveField) -> None:
    ax = Figure().add_subplot()
    assert rf.plot_gradient_at((2, 3), ax=ax) is ax
    ax = Figure().add_subplot()
    assert rf.plot_rf_grid(plot_naive_rf=True, ax=ax) is ax
    assert ax.get_title() == "wide"


def test_nothing_can_be_asked_before_computing() -> None:
    with pytest.raises(NotComputedError, match="call compute"):
        BoxReceptiveField().rect_at((0, 0))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda rf: rf.rect_at((14, 0)), r"cell \(14, 0\) is outside the 14x18 grid"),
        (lambda rf: rf.rect_at((-1, 0)), "outside"),
        (lambda rf: rf.rect_at((0.5, 0)), "whole numbers"),
        (lambda rf: rf.rect_at((1, 2, 3)), "no cell of the grid"),
        (lambda rf: rf.rect_at("ab"), "no cell of the grid"),
        (lambda rf: rf.rect_at(None), "no cell of the grid"),
        (lambda rf: rf.rect_at((np.nan, 0)), "no cell of the grid"),
        (lambda rf: rf.cells_seeing((64, 0)), "no pixel of the 64x40 image"),
        (lambda rf: rf.gradient_at((0, 0), channel=3), r"None \(mean\) or a whole number 0..2"),
        (lambda rf: rf.gradient_at((0, 0), channel=True), "channel True"),
        (lambda rf: rf.gradient_at((0, 0), image=np.zeros((64, 40, 3))), "40x64 pixels"),
        (lambda rf: rf.gradients_at([(0, 0), (14, 0)]), "outside"),
        (lambda rf: rf.gradient_patches([(0, 0)], channel=9), "channel 9"),
        (lambda rf: rf.plot_rf_grid(custom_image=np.zeros((4, 4, 3))), "4x4 pixels"),
        (lambda rf: rf.compute(SHAPE, output_layer="tal"), "did you mean 'tall'"),
    ],
)
def test_a_wrong_question_is_refused_and_changes_nothing(rf: BoxReceptiveField, ask, words: str) -> None:
    before = (rf.rf_params, rf.network)
    with pytest.raises(ReceptiveFieldError, match=words):
        ask(rf)
    assert (rf.rf_params, rf.network) == before


def test_progress_grows_to_one_and_an_error_in_it_ends_the_work(rf: BoxReceptiveField) -> None:
    seen: list[float] = []
    rf.compute(SHAPE, output_layer="tall", progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    before = rf.network

    def stop(fraction: float, words: str) -> None:
        raise KeyboardInterrupt(words, fraction)

    with pytest.raises(KeyboardInterrupt):
        rf.compute(SHAPE, output_layer="wide", progress=stop)
    assert rf.network is before


def test_a_gradient_that_is_not_finite_is_an_error(rf: BoxReceptiveField, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = rf.gradient_patch((0, 0))
    monkeypatch.setattr(rf.network, "gradient", lambda *_: patch._replace(values=patch.values * np.nan))
    with pytest.raises(ReceptiveFieldError, match="not finite"):
        rf.gradient_at((0, 0))


def test_a_survey_can_be_ended_while_a_single_layer_is_built(rf: BoxReceptiveField) -> None:
    told: list[float] = []

    def stop_late(fraction: float, _: str) -> None:
        told.append(fraction)
        if fraction > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rf.survey(SHAPE, progress=stop_late)
    assert told == sorted(told)
    assert len(rf.survey(SHAPE)) == 2
