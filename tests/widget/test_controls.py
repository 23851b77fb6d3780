"""What the controls of a page set, and what they show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rfwidget import RFWidget, TorchReceptiveField
from rfwidget.errors import ReceptiveFieldError
from rfwidget.widget import rf_widget
from rfwidget.widget.controls import AUTOMATIC
from rfwidget.widget.sheet import Sheet
from tests.box_filter import BoxReceptiveField
from tests.torch.attention_by_hand import HEIGHT, WIDTH, Transformer
from tests.widget.live_page import LivePage

SHAPE = (40, 64, 3)


@pytest.fixture
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert made.wait(60, background=True)
    yield made
    made.close()


@pytest.fixture
def page(widget: RFWidget) -> LivePage:
    return LivePage(widget)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, False) for name in ("show_heat", "show_dots", "show_first", "show_central", "show_last", "spotlight")),
        *((name, True) for name in ("show_naive", "show_pixels", "show_erf", "signed", "asking")),
        *(("channel", 2), ("heat_opacity", 0.3), ("heat_scale", "log"), ("colormap", "viridis")),
        *(("image", "rings"), ("compare_layer", "tall")),
    ],
)
def test_a_control_sets_the_trait_of_its_name_and_follows_it(
    widget: RFWidget, page: LivePage, name: str, value: Any
) -> None:
    page.tell(kind="set", name=name, value=value)
    assert getattr(widget, name) == value
    assert widget.wait(60, background=True)
    shown = vars(page.state) | page.state.controls
    assert shown[{"compare_layer": "compare"}.get(name, name)] == value
    assert page.state.notice == ""


def test_what_stands_for_nothing_sets_none(widget: RFWidget, page: LivePage) -> None:
    widget.channel, widget.colormap, widget.compare_layer = 1, "viridis", "tall"
    for name, value in (("channel", None), ("colormap", AUTOMATIC), ("compare_layer", None)):
        page.tell(kind="set", name=name, value=value)
        assert getattr(widget, name) is None


def test_one_rectangle_comes_back_alone_after_all_were_switched_off(widget: RFWidget, page: LivePage) -> None:
    widget.show_rectangles = False
    assert not any(page.state.controls[f"show_{word}"] for word in ("first", "central", "last"))
    page.tell(kind="set", name="show_last", value=True)
    shown = [page.state.controls[f"show_{word}"] for word in ("first", "central", "last")]
    assert shown == [False, False, True]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("channel", 3, "0..2"),
        ("channel", "two", "None"),
        ("colormap", "coolwarn", "did you mean 'coolwarm'"),
        ("heat_scale", "logg", "expected one of linear, sqrt, log, percentile"),
        ("heat_opacity", 7, "0..1"),
        ("show_dots", "yes", "True or False"),
        ("compare_layer", "tal", "did you mean 'tall'"),
        ("bands", "a, b", "three numbers"),
        ("bands", "0, 1", "three channels"),
        ("bands", "0, 1, 3", "0..2"),
    ],
)
def test_what_is_refused_is_told_and_nothing_changes(
    widget: RFWidget, page: LivePage, name: str, value: Any, words: str
) -> None:
    before = getattr(widget, name)
    page.tell(kind="set", name=name, value=value)
    assert words in page.state.notice
    assert getattr(widget, name) == before
    page.tell(kind="set", name="show_naive", value=True)
    assert page.state.notice == ""


@pytest.mark.parametrize("name", ["rf", "selected", "output_layer", "query", "_view", "close", "layout", "nosuch"])
def test_a_page_sets_nothing_else(widget: RFWidget, page: LivePage, name: str) -> None:
    before = getattr(widget, name, None)
    page.tell(kind="set", name=name, value=None)
    page.tell(kind="set", name=name, value="tall")
    assert getattr(widget, name, None) == before


def test_a_wrong_layer_leaves_all_layers_to_choose_from() -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE, output_layer="tal")
    assert widget.wait(20)
    page = LivePage(widget)
    assert "did you mean 'tall'" in str(widget.error)
    assert page.state.choices == [["wide", 14, 18], ["tall", 60, 11]]
    page.tell(kind="layer", name="tall")
    assert widget.wait(20)
    assert (widget.error, page.state.layer) == (None, "tall")
    widget.close()


def test_centres_that_are_not_all_drawn_are_counted(widget: RFWidget, page: LivePage) -> None:
    assert page.state.controls["dots_every"] == 1
    widget.height = 120
    assert page.state.controls["dots_every"] == 4  # 2 pixels apart, at 1.875 times their size


def test_the_code_the_picture_and_the_page_are_made_for_the_browser(widget: RFWidget, page: LivePage) -> None:
    for name in ("code", "png", "page"):
        page.tell(kind="act", name=name)
    assert widget.wait(60)
    [copied] = page.got("copy")
    assert copied["text"] == widget.code()
    files = [
        (content["name"], bytes(buffers[0])[:8]) for content, buffers in page.messages if buffers and "name" in content
    ]
    assert files == [("receptive-field.png", b"\x89PNG\r\n\x1a\n"), ("receptive-field.html", b"<!doctyp")]


def test_a_page_without_the_canvas_gets_the_photograph_and_all_marks(widget: RFWidget, page: LivePage) -> None:
    assert page.overlay.scene is None
    assert {mark["kind"] for mark in page.overlay.marks} == {"tag"}
    page.tell(kind="act", name="scene")
    assert {mark["kind"] for mark in page.overlay.marks} == {"tag", "line", "dots"}
    assert page.overlay.scene["pixels"].startswith("data:image/png;base64,")
    before = page.overlay.scene
    widget.show_dots = False
    assert page.overlay.scene == before
    assert "dots" not in {mark["kind"] for mark in page.overlay.marks}
    widget.image = "rings"
    assert widget.wait(60)
    assert page.overlay.scene["pixels"] != before["pixels"]


def test_marimo_is_given_the_overlay(widget: RFWidget, page: LivePage) -> None:
    assert widget._display_() is page.overlay


def test_a_sheet_shows_the_channels_the_strongest_first(widget: RFWidget, page: LivePage) -> None:
    page.tell(kind="act", name="channels")
    assert widget.wait(60)
    sheet = page.overlay.thumbnails
    values = widget.rf.network.feature_map(widget._view.image)
    strength = np.abs(values).mean(axis=(0, 1))
    assert sorted(sheet["channels"]) == [0, 1, 2]
    assert strength[sheet["channels"]].tolist() == sorted(strength.tolist(), reverse=True)
    assert len(sheet["rgba"]) == 3 * 4 * sheet["size"][0] * sheet["size"][1]
    widget.output_layer = "tall"
    assert widget.wait(60)
    assert page.state.thumbnails is None


def test_maps_of_attention_are_offered_where_there_is_attention_and_shown(page: LivePage) -> None:
    assert page.state.controls["heat_maps"] == ["gradient"]
    rf = TorchReceptiveField(Transformer("fused", "multi-head"))
    made = RFWidget(rf, input_shape=(3, HEIGHT, WIDTH), output_layer="grid")
    assert made.wait(60, background=True)
    other = LivePage(made)
    assert other.state.controls["heat_maps"] == ["gradient", "attention", "rollout"]
    image = made.view.image
    gradient = made.gradient
    assert_allclose(gradient, rf.gradient_at(made.selected, image), rtol=1e-3, atol=1e-6)
    for name, map_of in (("attention", rf.attention_at), ("rollout", rf.rollout_at)):
        other.tell(kind="set", name="heat_map", value=name)
        made.selected = (1, 2)
        assert made.wait(60, background=True)
        assert made.error is None
        assert_allclose(made.gradient[..., 0], map_of((1, 2), image).on_image(), rtol=1e-5)
    made.heat_map = "gradient"
    assert made.wait(60)
    assert made.gradient.shape == (HEIGHT, WIDTH, 3)
    made.close()


def test_a_layer_without_attention_falls_back_to_its_gradient_and_says_so() -> None:
    rf = TorchReceptiveField(Transformer("fused"))
    made = RFWidget(rf, input_shape=(3, HEIGHT, WIDTH), output_layer="grid", heat_map="attention", selected=(1, 2))
    assert made.wait(60, background=True)
    page = LivePage(made)
    assert (made.heat_map, page.state.status) == ("attention", "")
    page.tell(kind="layer", name="embed")
    assert made.wait(60, background=True)
    assert (made.error, made.heat_map, made.selected) == (None, "gradient", (1, 2))
    assert page.state.status.startswith("gradient map, not attention: there is no attention on the way to this layer")
    assert (page.state.controls["heat_map"], page.state.controls["heat_maps"]) == ("gradient", ["gradient"])
    assert_allclose(made.gradient, rf.gradient_at((1, 2), made.view.image), rtol=1e-3, atol=1e-6)
    made.heat_map = "rollout"
    assert made.wait(60)
    assert (made.error, made.heat_map) == (None, "gradient")
    made.close()


def test_a_class_token_is_a_layer_that_can_be_set_and_left_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sheets: list[Sheet] = []
    monkeypatch.setattr(rf_widget, "paint_sheet", lambda picture, sheet: sheets.append(sheet) or picture)
    rf = TorchReceptiveField(Transformer("fused"))
    made = RFWidget(rf, input_shape=(3, HEIGHT, WIDTH), output_layer="mixers.0", heat_map="attention")
    assert made.wait(60)
    image, [token] = made.view.image, rf.extra_tokens
    seen = rf.attention_at(prefix=0, image=image).on_image()
    made.output_layer = token
    assert made.wait(60)
    assert (made.error, made.output_layer, made.view.grid, made.heat_map) == (None, token, (1, 1), "attention")
    assert_allclose(made.gradient[..., 0], seen, rtol=1e-5)
    made._whole_picture()()
    assert (sheets[-1].layer, sheets[-1].map) == (token, "attention")
    made.output_layer = "mixers.0"
    assert made.wait(60)
    assert (made.error, made.view.layer) == (None, "mixers.0")
    with pytest.raises(ReceptiveFieldError, match=r"no layer 'mixer\[0\]'.*did you mean"):
        made.output_layer = "mixer[0]"
    made.close()
