"""Reverse query, strip, effective field and comparison in Python, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint, Rect
from tests.box_filter import BoxReceptiveField

SHAPE = (40, 64, 3)


@pytest.fixture
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert made.wait(60, background=True)
    yield made
    made.close()


def tell(widget: RFWidget, **content: Any) -> None:
    """A message from a page."""
    widget._overlay._handle_custom_msg(content, [])


def test_a_query_from_python_reaches_the_browser(widget: RFWidget) -> None:
    widget.query = (30, 20)
    assert (widget.query, widget._overlay.query) == (GridPoint(30, 20), [30, 20, 31, 21])
    widget.query = (3.5, 4, 20, 30)
    assert (widget.query, widget._overlay.query) == (Rect(3, 4, 20, 30), [3, 4, 20, 30])
    widget.query = None
    assert widget._overlay.query is None


def test_a_query_from_the_browser_reaches_python(widget: RFWidget) -> None:
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "query")
    tell(widget, kind="query", box=[30, 20, 31, 21])
    tell(widget, kind="query", box=[0, 0, 64, 40])
    tell(widget, kind="query", box=[0, 0, 65, 40])  # outside the image
    tell(widget, kind="query", box=[4, 4, 4, 9])  # empty
    tell(widget, kind="query", box=None)
    assert seen == [GridPoint(30, 20), Rect(0, 0, 64, 40), None]


def test_asking_reaches_the_browser_and_its_end_ends_the_query(widget: RFWidget) -> None:
    widget.asking = True
    assert widget._overlay.asking
    widget.query = (3, 4)
    widget.asking = False
    assert not widget._overlay.asking
    assert widget.query is None
    assert widget._overlay.query is None


def test_a_query_that_lies_outside_a_new_image_ends() -> None:
    widget = RFWidget(BoxReceptiveField(), query=(90, 20))
    assert widget.wait(20)
    assert widget._overlay.query == [90, 20, 91, 21]
    widget.image = np.zeros((50, 80, 3), np.uint8)
    assert widget.wait(20)
    assert (widget.query, widget._overlay.query) == (None, None)
    widget.close()


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("query", (64, 0), "no pixel of the 64x40 image"),
        ("query", (0, 0, 65, 4), "not inside the 64x40 image"),
        ("query", (1, 2, 3), "expected a pixel"),
        ("query", 7, "expected a pixel"),
        ("query", "ab", "no pixel"),
        ("compare_layer", "tal", "did you mean 'tall'"),
        ("compare_layer", 3, "expected the name"),
    ],
)
def test_a_wrong_question_is_refused_and_nothing_changes(widget: RFWidget, trait: str, value: Any, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        setattr(widget, trait, value)
    assert getattr(widget, trait) is None


def test_the_strip_holds_all_layers_with_the_fields_that_compute_gives(widget: RFWidget) -> None:
    assert widget.survey is not None
    assert [row["name"] for row in widget._overlay.layers] == ["wide", "tall"]
    for row in widget._overlay.layers:
        rf = BoxReceptiveField()
        params = rf.compute(SHAPE, output_layer=row["name"])
        assert row["size"] == list(params.size)
        assert row["field"] == rf.field.to_json()
        assert row["grid"] == [rf.output_shape.w, rf.output_shape.h]


def test_another_layer_keeps_the_strip_and_another_image_size_renews_it(widget: RFWidget) -> None:
    survey = widget.survey
    widget.output_layer = "tall"
    assert widget.wait(20, background=True)
    assert widget.survey is survey
    widget.close()
    other = RFWidget(BoxReceptiveField())
    assert other.wait(20, background=True)
    other.image = np.zeros((50, 80, 3), np.uint8)
    assert other.wait(20, background=True)
    assert other.survey.input_shape[1:3] == (80, 50)
    assert other._overlay.layers[0]["grid"] == [18, 23]
    other.close()


def test_a_layer_chosen_in_the_browser_is_shown(widget: RFWidget) -> None:
    tell(widget, kind="layer", name="no such layer")
    tell(widget, kind="layer", name=3)
    assert widget.output_layer == "wide"
    tell(widget, kind="layer", name="tall")
    assert widget.wait(20)
    assert (widget.output_layer, widget._overlay.layer) == ("tall", "tall")


def test_the_effective_field_of_a_box_filter_is_the_box(widget: RFWidget) -> None:
    widget.show_erf = True
    assert widget.wait(60, background=True)
    contours = widget._overlay.contours
    assert (contours["x"], contours["y"]) == ({"start": 0.0, "stride": 4.0}, {"start": 0.0, "stride": 2.0})
    half, nearly_all = (level["loops"] for level in contours["levels"])
    assert [level["share"] for level in contours["levels"]] == [0.5, 0.95]
    for loops in (half, nearly_all):
        assert all(0 <= x <= 12 for loop in loops for x in loop[::2])
        assert all(0 <= y <= 6 for loop in loops for y in loop[1::2])
    widget.show_erf = False
    assert widget._overlay.contours is None


def test_outlines_belong_to_the_layer_on_show(widget: RFWidget) -> None:
    widget.show_erf = True
    widget.output_layer = "tall"
    assert widget.wait(60, background=True)
    assert widget._overlay.contours["y"]["stride"] == 3.0


def test_what_fails_in_the_background_says_so_and_disturbs_nothing(
    widget: RFWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr(widget.rf, "effective", fail)
    widget.show_erf = True
    assert widget.wait(20, background=True)
    assert widget._overlay.background == "effective receptive field: RuntimeError: out of cheese"
    assert (widget._overlay.state, widget._overlay.error) == ("ready", None)
    widget.selected = (1, 1)
    assert widget.wait(20)
    assert widget._overlay.selected == [1, 1]


def test_the_layer_to_compare_with_reaches_the_browser(widget: RFWidget) -> None:
    widget.compare_layer = "tall"
    assert widget._overlay.compare == "tall"
    widget.compare_layer = None
    assert widget._overlay.compare == ""


def test_the_code_asks_the_same_questions_again(widget: RFWidget) -> None:
    widget.query, widget.compare_layer, widget.show_erf = (3, 4, 9, 8), "tall", True
    again = eval(widget.code(), {"RFWidget": RFWidget, "model": BoxReceptiveField()})  # noqa: S307 - our own line
    assert (again.query, again.compare_layer, again.show_erf) == (Rect(3, 4, 9, 8), "tall", True)
    again.close()
