"""Pixels of the picture that is made without a browser: two of them per CSS pixel, six per pixel of the image here."""

from __future__ import annotations

import io
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rfwidget.types import GridPoint, Rect
from rfwidget.widget.png import paint, png_bytes
from rfwidget.widget.scene import Label, Line, Mark, build_scene, marks_over
from tests.widget.test_scene import CONTOURS, HEIGHT, IMAGE, LAYOUT, OTHER, SHOWN

GREY, WHITE, BLACK, YELLOW = (128, 128, 128), (255, 255, 255), (0, 0, 0), (255, 225, 77)
PLAIN = np.full((96, 160, 3), 128, np.uint8)
SCENE = build_scene(PLAIN, IMAGE, SHOWN.field, SHOWN.grid, dots=False, rectangles=(), height=HEIGHT)
CELL = GridPoint(10, 6)
"""Its field is 37..71 by 30..52."""

Colours = list[tuple[int, ...]]


def painted(*marks: Mark) -> npt.NDArray[np.uint8]:
    return np.asarray(paint(SCENE, over=marks))


def x(pixel: float) -> int:
    """First column of the picture that shows a column of the image."""
    return round(2 * (LAYOUT.margin.left + 3 * pixel))


def y(pixel: float) -> int:
    return round(2 * (LAYOUT.margin.top + 3 * pixel))


def colours(pixels: npt.NDArray[np.uint8]) -> Colours:
    return [tuple(pixel) for pixel in pixels.tolist()]


def runs(pixels: npt.NDArray[np.uint8]) -> list[tuple[tuple[int, ...], int]]:
    """Colours along a line, and how many pixels each of them lasts."""
    return [(colour, len(list(group))) for colour, group in groupby(colours(pixels))]


def test_png_file_names_its_maker_in_the_first_bytes_where_the_overlay_looks():
    file = png_bytes(Image.new("RGBA", (300, 200), "navy"))
    assert b"Software\0rfwidget" in file[:120]  # js/view/saved-output.ts decodes 160 characters of base64
    assert Image.open(io.BytesIO(file)).size == (300, 200)


def test_the_selected_rectangle_is_a_white_line_in_a_black_halo_beside_its_edges() -> None:
    pixels = painted(*marks_over(LAYOUT, IMAGE, SHOWN, CELL))
    across = [GREY, *[BLACK] * 2, *[WHITE] * 4, *[BLACK] * 2, GREY]
    for column in (x(37) - 5, x(71) + 5):
        assert colours(pixels[y(35), column - 5 : column + 5]) == across
    for row in (y(30) - 5, y(52) + 5):
        assert colours(pixels[row - 5 : row + 5, x(45)]) == across
    assert colours(pixels[y(41), x(54) - 10 : x(54) + 10]) == [WHITE] * 20  # the cross
    assert np.all(pixels[y(55) : y(96), x(0) : x(160)] == 128)


def test_what_overhangs_is_dashed_in_black_on_the_white_ground() -> None:
    """Cell (0, 0) sees from column -3 on, and its upper edge is that of the image."""
    pixels = painted(*marks_over(LAYOUT, IMAGE, SHOWN, GridPoint(0, 0)))
    left = runs(pixels[y(2) : y(20), x(-3) - 5])
    assert {colour for colour, _ in left} == {BLACK, WHITE}
    assert {length for _, length in left[1:-1]} == {8}
    assert colours(pixels[y(0) - 9 : y(0) - 1, x(15)]) == [*[BLACK] * 2, *[WHITE] * 4, *[BLACK] * 2]
    assert np.all(pixels[:, : x(-3) - 7] == 255)  # the halo is as white as the ground


def test_the_query_is_a_box_in_short_yellow_dashes_and_its_cells_are_diamonds() -> None:
    pixels = painted(*marks_over(LAYOUT, IMAGE, SHOWN, None, query=Rect(51, 40, 71, 49)))
    along = runs(pixels[y(49), x(51) + 20 : x(51) + 80])
    assert {colour for colour, _ in along} == {YELLOW, BLACK}
    assert {length for _, length in along[1:-1]} == {4}
    for i in range(8, 16):
        for j in range(4, 11):
            left, top = 4 * i - 3, 5 * j
            found = left <= 51 and left + 34 >= 71 and top <= 40 and top + 22 >= 49
            assert (tuple(pixels[y(5 * j + 11), x(4 * i + 14)]) == YELLOW) == found
    column, row = x(4 * 10 + 14), y(5 * 6 + 11)
    assert tuple(pixels[row, column - 7]) == tuple(pixels[row - 7, column]) == BLACK


def test_the_other_layer_has_long_yellow_dashes_in_a_black_halo() -> None:
    pixels = painted(*marks_over(LAYOUT, IMAGE, SHOWN, CELL, other=OTHER))
    # The nearest cell sees 12..92 by 19..69.
    along = runs(pixels[y(19) - 5, x(12) - 7 : x(90)])
    assert set(along[1:-1]) == {(YELLOW, 24), (BLACK, 10)}
    assert colours(pixels[y(19) - 10 : y(19), x(12) + 5]) == [
        GREY,
        *[BLACK] * 2,
        *[YELLOW] * 4,
        *[BLACK] * 2,
        GREY,
    ]


def test_contours_are_white_solid_and_dashed_in_an_even_dark_halo() -> None:
    contours = {
        **CONTOURS,
        "levels": [{**level, "loops": [[0, 0, 30, 0, 30, 20, 0, 20]]} for level in CONTOURS["levels"]],
    }
    half, most = marks_over(LAYOUT, IMAGE, SHOWN, CELL, contours=contours)[:2]
    left, top = x(38), y(15)
    solid = painted(half)
    assert runs(solid[top, left : x(68)]) == [(WHITE, x(68) - left)]
    halo = (26, 26, 26)  # 80 % black over the grey
    assert set(colours(solid[top - 3, left - 3 : left + 60])) == {halo}  # also at the corner, where two lines meet
    assert tuple(solid[top - 5, left + 30]) == GREY
    dashed = runs(painted(most)[top, left : x(68)])
    assert set(dashed[:-2]) == {(WHITE, 12), (halo, 6)}


def test_a_pattern_runs_around_the_corners() -> None:
    """Steps of two CSS pixels are shorter than the dashes: begun anew at every corner, they would leave no gap."""
    steps = [(60.0 + 2 * (k // 2), 60.0 + 2 * ((k + 1) // 2)) for k in range(61)]
    look = marks_over(LAYOUT, IMAGE, SHOWN, CELL, contours=CONTOURS)[1].look
    pixels = painted(Line((tuple(steps),), look))
    diagonal = [tuple(pixels[2 * round(b), 2 * round(a)]) for a, b in steps[1:-1]]
    assert 0.5 < sum(colour == WHITE for colour in diagonal) / len(diagonal) < 0.9


@pytest.mark.parametrize(
    ("place", "moved"), [((4000, 200), True), ((100, -50), True), ((100, 4000), True), ((100, 200), False)]
)
def test_a_label_is_whole_wherever_it_should_stand(place: tuple[float, float], moved: bool) -> None:
    def box(label: Label) -> tuple[int, int, int, int]:
        rows, columns = np.nonzero(np.any(painted(label) != painted(), axis=2))
        return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())

    left, top, right, bottom = box(Label("block3_conv1", *place))
    ideal = box(Label("block3_conv1", 150, 150))
    assert abs((right - left) - (ideal[2] - ideal[0])) <= 1
    assert abs((bottom - top) - (ideal[3] - ideal[1])) <= 1
    assert (left < 2 * place[0] - 4 or not top < 2 * place[1] < bottom + 4) == moved


def test_labels_that_would_meet_stand_below_each_other() -> None:
    labels = [Label("first layer", 150, 120), Label("second layer", 170, 124), Label("50 %", 200, 126)]
    apart = [Label(label.text, label.x, 60 + 100 * k) for k, label in enumerate(labels)]
    blank = painted()
    ink = [np.count_nonzero(np.any(painted(*some) != blank, axis=2)) for some in (labels, apart)]
    assert ink[0] == ink[1]


def test_a_name_over_several_lines_is_written_in_one() -> None:
    assert np.array_equal(
        painted(Label("two\nlines", 100, 100)),
        painted(Label("two lines", 100, 100)),
    )
