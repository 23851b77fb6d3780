"""Widgets that follow each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import rfwidget
from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import LivePage

Pair = tuple[RFWidget, RFWidget]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two layers, on images of which one is twice as large as the other."""
    small = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), output_layer="wide")
    large = RFWidget(BoxReceptiveField(), input_shape=(80, 128, 3), output_layer="tall")
    assert small.wait(20)
    assert large.wait(20)
    yield small, large
    small.close()
    large.close()


def centre(widget: RFWidget) -> tuple[float, ...]:
    rect = widget.rf.rect_at(widget.selected)
    return rect.center


def test_a_cell_selected_in_one_is_selected_in_the_other_at_the_same_place(pair: Pair) -> None:
    small, large = pair
    rfwidget.link(small, large)
    for cell in ((2, 3), (0, 0), (13, 17)):
        small.selected = cell
        x, y = centre(small)
        assert centre(large) == pytest.approx((2 * x, 2 * y), abs=2)
    large.selected = (40, 5)
    x, y = centre(large)
    assert centre(small) == pytest.approx((x / 2, y / 2), abs=2)


def test_it_begins_where_the_first_one_is_and_a_click_is_followed(pair: Pair) -> None:
    small, large = pair
    small.selected = (2, 3)
    link = rfwidget.link(small, large)
    assert centre(large) == pytest.approx([2 * at for at in centre(small)], abs=2)
    assert small.selected == GridPoint(2, 3), "it is pulled off its own cell"
    page = LivePage(small)
    page.request(10, 12)
    assert small.selected == GridPoint(10, 12)
    assert centre(large) == pytest.approx([2 * at for at in centre(small)], abs=2)
    link.unlink()
    before = large.selected
    small.selected = (0, 0)
    assert large.selected == before


def test_anything_else_is_refused(pair: Pair) -> None:
    for widgets in ((), (pair[0],), (pair[0], 3)):
        with pytest.raises(ReceptiveFieldError, match="link got"):
            rfwidget.link(*widgets)
