"""Pictures of sequences and volumes: what is drawn stands where it should."""

from __future__ import annotations

import math
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.plotting import plot_gradient, plot_grid
from rfwidget.signals import get_default_signal, get_default_volume
from rfwidget.types import GridShape, Rect, Size

SIGNAL = GridShape(None, 120, 2)
VOLUME = GridShape(None, 40, 30, 20, 1)


@pytest.fixture(autouse=True)
def _no_figures_left() -> Iterator[None]:
    yield
    plt.close("all")


def inner(ax: Axes) -> list[Axes]:
    return list(ax.child_axes)


def test_a_signal_stands_above_the_intervals_of_three_cells() -> None:
    field = FieldGeometry(AxisField(1, 4, ((-2, 9),)))
    ax = plot_grid(field, SIGNAL, Size(30), get_default_signal((120, 2)))
    upper, lower = inner(ax)
    assert [line.get_xdata()[0] for line in upper.get_lines()[:2]] == [0.5, 0.5]  # samples stand in their middle
    spans = {tuple(line.get_xdata()) for line in lower.get_lines() if len(line.get_xdata()) == 2}
    assert spans - {(0, 0), (120, 120)} == {(-2, 9), (58, 69), (114, 125)}
    low, high = lower.get_xlim()
    assert low < -2
    assert high > 125


def test_an_interval_that_goes_on_ends_in_an_arrow() -> None:
    field = FieldGeometry(AxisField(1, 4, ((-math.inf, 9),)))
    _, lower = inner(plot_grid(field, SIGNAL, Size(28), get_default_signal((120, 2))))
    ends = [line for line in lower.get_lines() if len(np.atleast_1d(line.get_xdata())) == 1]
    assert sorted(str(line.get_marker()) for line in ends) == [*"<<<", *"|||"]


def test_many_channels_are_an_image_and_few_are_lines() -> None:
    for channels, images in ((2, 0), (12, 1)):
        shape = GridShape(None, 120, channels)
        gradient = np.random.default_rng(1).normal(size=(120, channels)).astype(np.float32)
        ax = plot_gradient(gradient, Rect(30, 60), shape, image=get_default_signal((120, channels)))
        assert [len(part.get_images()) for part in inner(ax)] == [images, images]


def test_long_signals_keep_their_peaks() -> None:
    shape = GridShape(None, 50_000, 1)
    gradient = np.zeros((50_000, 1), np.float32)
    gradient[31_234] = 5
    (lower,) = inner(plot_gradient(gradient, Rect(31_000, 32_000), shape))
    line = max(lower.get_lines(), key=lambda line: len(line.get_xdata()))
    assert len(line.get_xdata()) < 10_000
    assert max(line.get_ydata()) == 1


def test_a_volume_is_cut_through_the_centre_of_the_central_field() -> None:
    field = FieldGeometry(AxisField(1, 2, ((0, 7),)), AxisField(1, 3, ((-1, 5),)), AxisField(1, 1, ((0, 3),)))
    volume = get_default_volume((20, 30, 40))
    ax = plot_grid(field, VOLUME, Size(17, 9, 18), volume)
    xy, zy, xz = inner(ax)
    boxes = [[patch.get_bbox().bounds for patch in part.patches] for part in (xy, zy, xz)]
    assert boxes[0][1] == (16, 11, 7, 6)  # the central cell (8, 4, 9): x 16..23, y 11..17, z 9..12
    assert boxes[1][1] == (9, 11, 3, 6)
    assert boxes[2][1] == (16, 9, 7, 3)
    grey = volume[..., 0] / volume.max()
    np.testing.assert_allclose(xy.get_images()[0].get_array(), grey[10], atol=1e-6)
    np.testing.assert_allclose(zy.get_images()[0].get_array(), grey[:, :, 19].T, atol=1e-6)
    np.testing.assert_allclose(xz.get_images()[0].get_array(), grey[:, 14], atol=1e-6)
    widths = {round(part.get_window_extent().width / (part.get_xlim()[1] - part.get_xlim()[0]), 1) for part in (xy, xz)}
    assert len(widths) == 1  # one scale


def test_boxes_that_a_section_does_not_meet_are_thin() -> None:
    gradient = np.ones((20, 30, 40, 1), np.float32)
    field = FieldGeometry(*(AxisField(1, 10, ((0, 10),)) for _ in range(3)))
    ax = plot_grid(field, VOLUME, Size(4, 3, 2), gradient)
    first, central, last = inner(ax)[0].patches
    assert first.get_linewidth() < central.get_linewidth()
    assert last.get_linewidth() == central.get_linewidth()  # in the same plane of cells
