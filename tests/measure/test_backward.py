"""The measurement on networks written down as plain numbers: no framework here."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from rfwidget._measure.backward import measure
from rfwidget._measure.forward import cells_covering
from rfwidget.errors import ReceptiveFieldError
from rfwidget.network import Network, Patch
from rfwidget.types import GridPoint, GridShape, Rect, Size

Edges = Callable[[int, int], tuple[int, int]]  # cell and image length -> first and last edge, before clipping


def whole(cell: int, length: int) -> tuple[int, int]:  # noqa: ARG001
    return 0, length


def nothing(cell: int, length: int) -> tuple[int, int]:  # noqa: ARG001
    return 0, 0


def silent(fraction: float, words: str) -> None:
    assert 0 <= fraction <= 1
    assert words


class Drawn(Network):
    """Every cell sees a rectangle given by two functions, one for each axis.

    Args:
        x: edges of a column of cells, from cell and image width.
        y: edges of a row of cells, from cell and image height.
        stride: pixels per cell, ``(x, y)``.
        image: width and height.
    """

    input_layer, output_layer = "image", "cells"

    def __init__(self, x: Edges, y: Edges, stride: tuple[int, int], image: tuple[int, int] = (37, 22)) -> None:
        self.edges = (x, y)
        self.stride = stride
        self.input_shape = GridShape(None, *image, 1)
        self.period = Size(*stride)
        grid = self.grid_size(Size(*image))
        self.output_shape = GridShape(None, int(grid.w), int(grid.h), 1)
        self.layers = {"cells": grid}
        self.lengths: list[float] = []

    def grid_size(self, image: Size) -> Size:
        return Size(image.w // self.stride[0], image.h // self.stride[1])

    def sensitivity(self, image: Size, points: Sequence[GridPoint]) -> npt.NDArray[np.float64]:
        self.lengths.append(max(image))
        maps = np.zeros((len(points), int(image.h), int(image.w)))
        for one, point in zip(maps, points, strict=True):
            (left, right), (top, bottom) = (self.edges[axis](point[axis], int(image[axis])) for axis in (0, 1))
            one[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 1
        return maps

    def response(self, masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        grid, image = self.output_shape, Size(self.input_shape.w, self.input_shape.h)
        points = [GridPoint(x, y) for y in range(grid.h) for x in range(grid.w)]
        seen = np.einsum("nhw,phw->np", masks.astype(float), self.sensitivity(image, points))
        return seen.reshape(len(masks), grid.h, grid.w)

    def gradient(self, image: npt.NDArray[np.float32], point: GridPoint, channel: int | None) -> Patch:
        raise NotImplementedError

    def feature_map(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        raise NotImplementedError


def plain(low: int, high: int, stride: int) -> Edges:
    return lambda cell, length: (low + cell * stride, min(high + cell * stride, length))


def test_overhang_and_stride_are_found_on_an_image_smaller_than_the_field() -> None:
    network = Drawn(plain(-40, 63, 3), plain(-1, 2, 2), (3, 2))
    description = measure(network, silent).description
    assert description.size == Size(103, 3)
    assert description.stride == (3, 2)
    assert description.offset == (11.5, 0.5)


def test_a_proven_reach_saves_the_second_look() -> None:
    network = Drawn(plain(-40, 63, 3), plain(-1, 2, 2), (3, 2))
    measure(network, silent)
    looks = len(network.lengths)
    network.lengths.clear()
    network.reach = Size(63, 2)
    assert measure(network, silent).description.size == Size(103, 3)
    assert len(network.lengths) == 2 < looks


def test_cells_of_several_kinds_keep_their_own_edges() -> None:
    def alternating(cell: int, length: int) -> tuple[int, int]:
        place = cell // 2 * 6
        return (place - 2, min(place + 3, length)) if cell % 2 == 0 else (place, min(place + 7, length))

    network = Drawn(alternating, plain(0, 5, 1), (3, 1))
    network.period = Size(6, 1)
    geometry = measure(network, silent)
    assert (geometry.x.cells, geometry.x.pixels) == (2, 6)
    assert [geometry.rect(GridPoint(cell, 0))[::2] for cell in range(4)] == [(-2, 3), (0, 7), (4, 9), (6, 13)]
    assert not geometry.x.uniform


def test_what_fills_every_image_is_unbounded() -> None:
    network = Drawn(whole, plain(0, 5, 1), (2, 1))
    network.global_context = True
    geometry = measure(network, silent)
    assert geometry.description.size == Size(math.inf, 5)
    assert geometry.description.stride == (2, 1)


def test_what_sees_all_but_a_strip_at_the_borders_is_unbounded() -> None:
    network = Drawn(lambda _, length: (3, length - 2), plain(0, 5, 1), (2, 1))
    assert measure(network, silent).description.size == Size(math.inf, 5)


def test_so_it_is_at_the_requested_size_alone_if_global_context_is_known() -> None:
    network = Drawn(lambda _, length: (0, length - 3), plain(0, 5, 1), (4, 1))
    network.resizable = False
    network.global_context = True
    assert measure(network, silent).description.size == Size(math.inf, 5)


def test_a_field_that_all_cells_share_far_from_the_borders_is_not_taken_for_the_whole_image() -> None:
    network = Drawn(lambda _, length: (5, length - 4), plain(0, 5, 1), (4, 1))
    network.resizable = False
    network.global_context = True
    with pytest.warns(UserWarning, match="not clear enough of the borders along x"):
        geometry = measure(network, silent)
    assert geometry.rect(GridPoint(2, 0)) == Rect(5, 0, 33, 5)


def test_a_grid_that_is_turned_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Drawn(plain(0, 3, 1), plain(0, 5, 1), (1, 1))
    monkeypatch.setattr(network, "grid_size", lambda image: Size(image.h, image.w))
    with pytest.raises(ReceptiveFieldError, match="turned: its cells along y follow the image along x"):
        measure(network, silent)


def test_what_grows_without_filling_is_no_number() -> None:
    network = Drawn(lambda cell, length: (cell, length), plain(0, 5, 1), (1, 1))
    with pytest.raises(ReceptiveFieldError, match="along x still grows"):
        measure(network, silent)


def test_a_layer_the_image_does_not_reach_is_an_error() -> None:
    network = Drawn(nothing, plain(0, 5, 1), (1, 1))
    with pytest.raises(ReceptiveFieldError, match="does not influence 'cells'"):
        measure(network, silent)


def test_a_gradient_that_is_not_finite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Drawn(plain(0, 3, 1), plain(0, 5, 1), (1, 1))
    honest = network.sensitivity
    monkeypatch.setattr(network, "sensitivity", lambda image, points: honest(image, points) * np.nan)
    with pytest.raises(ReceptiveFieldError, match="not finite"):
        measure(network, silent)


def test_a_fixed_size_still_tells_the_pattern_of_its_inner_cells() -> None:
    network = Drawn(plain(-4, 7, 3), plain(-1, 2, 2), (3, 2))
    network.resizable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure(network, silent).description.size == Size(11, 3)
    assert max(network.lengths) == 37


def test_a_fixed_size_without_inner_cells_is_reported_as_such() -> None:
    network = Drawn(plain(-40, 63, 3), plain(-1, 2, 2), (3, 2))
    network.resizable = False
    with pytest.warns(UserWarning, match="parts inside the image"):
        geometry = measure(network, silent)
    assert geometry.rect(GridPoint(5, 3)) == Rect(0, 5, 37, 8)


def test_axes_that_depend_on_each_other_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Drawn(plain(-1, 2, 1), plain(-1, 2, 1), (1, 1))
    honest = network.sensitivity
    whole = Size(37, 22)

    def wider(image: Size, points: Sequence[GridPoint]) -> npt.NDArray[np.float64]:
        maps = honest(image, points)
        return np.maximum(maps, np.roll(maps, 1, axis=2)) if image == whole and len(points) == 1 else maps

    monkeypatch.setattr(network, "sensitivity", wider)
    with pytest.warns(UserWarning, match="depend on each other"):
        measure(network, silent)


def test_the_visible_rectangle_is_what_the_real_image_shows() -> None:
    def first_is_blind(cell: int, length: int) -> tuple[int, int]:
        return nothing(cell, length) if cell == 0 else (2 * cell, 2 * cell + 1)

    network = Drawn(plain(-4, 7, 3), first_is_blind, (3, 2))
    assert network.visible(GridPoint(0, 3)) == Rect(0, 6, 7, 7)
    assert network.visible(GridPoint(3, 0)) == Rect(0, 0, 0, 0)


@pytest.mark.parametrize("pixel", [(0, 0), (20, 9), (36, 21)])
def test_cells_seeing_a_pixel_have_it_in_their_visible_rectangle(pixel: tuple[int, int]) -> None:
    network = Drawn(plain(-4, 7, 3), plain(-5, 2, 2), (3, 2))
    for (y, x), seen in np.ndenumerate(cells_covering(network, Rect(*pixel, pixel[0] + 1, pixel[1] + 1))):
        rect = network.visible(GridPoint(x, y))
        assert seen == (rect.left <= pixel[0] < rect.right and rect.top <= pixel[1] < rect.bottom)


def test_an_error_in_the_progress_report_ends_the_measurement() -> None:
    def stop(fraction: float, words: str) -> None:
        raise KeyboardInterrupt(f"{words} at {fraction}")

    with pytest.raises(KeyboardInterrupt):
        measure(Drawn(plain(0, 3, 1), plain(0, 3, 1), (1, 1)), stop)
