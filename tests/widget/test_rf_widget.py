"""RFWidget in Python, without a browser, over a small framework of our own."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.network import Patch
from rfwidget.types import GridPoint, Size
from rfwidget.widget import engine
from rfwidget.widget.overlay import Overlay
from tests.box_filter import BoxReceptiveField

SHAPE = (40, 64, 3)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], Any]]:
    """The messages to the browser."""
    messages: list[tuple[dict[str, Any], Any]] = []
    monkeypatch.setattr(Overlay, "send", lambda _, content, buffers=None: messages.append((content, buffers)))
    return messages


@pytest.fixture
def widget(sent: list[Any]) -> Iterator[RFWidget]:  # noqa: ARG001 - its messages are caught
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert made.wait(20)
    yield made
    made.close()


def request(widget: RFWidget, x: Any, y: Any, seq: int = 1, revision: int | None = None, client: str = "page") -> None:
    """A message from a page."""
    revision = widget._overlay.revision if revision is None else revision
    content = {"kind": "request", "client": client, "seq": seq, "revision": revision, "cell": [x, y]}
    widget._overlay._handle_custom_msg(content, [])


def answers(sent: list[tuple[dict[str, Any], Any]], kind: str = "answer") -> list[dict[str, Any]]:
    return [content for content, _ in sent if content["kind"] == kind]


def test_it_shows_the_central_cell_at_first(widget: RFWidget) -> None:
    assert widget.selected == GridPoint(7, 9)
    assert widget.output_layer == "wide"
    assert widget.rf_params is not None
    assert widget.rf_params.size == Size(12, 6)
    np.testing.assert_array_equal(widget.gradient, widget.rf.gradient_at((7, 9)))
    assert widget._overlay.grid == [14, 18]
    assert widget._overlay.state == "ready"


def test_setting_the_cell_in_python_shows_it_in_the_browser(widget: RFWidget, sent: list[Any]) -> None:
    widget.selected = (2, 3)
    assert widget.wait(20)
    assert widget._overlay.selected == [2, 3]
    np.testing.assert_array_equal(widget.gradient, widget.rf.gradient_at((2, 3)))
    last = answers(sent)[-1]
    assert last["cell"] == [2, 3]
    assert last["box"] == [8, 6, 20, 12]
    assert last["client"] == ""


def test_a_request_is_answered_at_once_and_sets_the_cell(
    widget: RFWidget, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_MOMENT", 20)
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "selected")
    request(widget, 4, 5, seq=7)
    assert widget.wait(20)
    assert widget.selected == GridPoint(4, 5) == seen[-1]
    kinds = [(c["kind"], c["seq"]) for c, _ in sent if c.get("client") == "page"]
    assert kinds == [("answer", 7)]
    content, (rgba,) = next((c, b) for c, b in sent if c["kind"] == "answer" and c["seq"] == 7)
    left, top, right, bottom = content["box"]
    assert len(rgba) == 4 * (right - left) * (bottom - top)


def test_a_request_that_takes_long_is_acknowledged_first(
    widget: RFWidget, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert widget.wait(20, background=True)
    release, gradient = threading.Event(), widget.rf.network.gradient

    def slow(*arguments: Any) -> Patch:
        assert release.wait(20)
        return gradient(*arguments)

    monkeypatch.setattr(widget.rf.network, "gradient", slow)
    request(widget, 4, 5, seq=7)
    assert [(c["kind"], c["seq"]) for c, _ in sent if c.get("client") == "page"] == [("ack", 7)]
    request(widget, 5, 5, seq=8)
    request(widget, 6, 5, seq=9)
    release.set()
    assert widget.wait(20)
    kinds = [(c["kind"], c["seq"]) for c, _ in sent if c.get("client") == "page"]
    assert sorted(kinds) == [("ack", 7), ("ack", 8), ("ack", 9), ("answer", 7), ("answer", 9), ("superseded", 8)]


def test_the_same_cell_again_is_answered_again(widget: RFWidget, sent: list[Any]) -> None:
    for seq in (1, 2, 3):
        request(widget, 4, 5, seq=seq)
        assert widget.wait(20)
    assert [c["seq"] for c in answers(sent) if c["client"] == "page"] == [1, 2, 3]


def test_serials_grow_over_all_pages(widget: RFWidget, sent: list[Any]) -> None:
    for seq, client in ((1, "a"), (1, "b"), (2, "a")):
        request(widget, seq, 1, seq=seq, client=client)
        assert widget.wait(20)
    serials = [c["serial"] for c in answers(sent)]
    assert serials == sorted(set(serials))


@pytest.mark.parametrize(("x", "y", "revision"), [(14, 0, None), (0, 18, None), (2, 2, 0), (2, 2, 99)])
def test_a_request_for_what_is_not_shown_is_turned_down(
    widget: RFWidget, sent: list[Any], x: int, y: int, revision: int | None
) -> None:
    request(widget, x, y, revision=revision)
    assert widget.wait(20)
    assert widget.selected == GridPoint(7, 9)
    assert [c["kind"] for c, _ in sent if c.get("client") == "page"] == ["superseded"]


def test_changing_the_layer_keeps_the_place_on_the_image(widget: RFWidget) -> None:
    widget.selected = (0, 0)
    widget.output_layer = "tall"
    assert widget.wait(20)
    assert widget._overlay.layer == "tall"
    assert widget._overlay.grid == [60, 11]
    # The field of cell (0, 0) was centred at (6, 3); fields of "tall" are centred at 2.5 + i and 4.5 + 3j.
    assert widget.selected in (GridPoint(3, 0), GridPoint(4, 0))


def test_the_newest_of_many_layers_is_shown(widget: RFWidget) -> None:
    for name in ("tall", "wide", "tall", "wide", "tall"):
        widget.output_layer = name
    assert widget.wait(20)
    assert (widget.output_layer, widget._overlay.layer) == ("tall", "tall")


def test_an_image_of_another_size_is_measured_anew() -> None:
    widget = RFWidget(BoxReceptiveField())
    assert widget.wait(20)
    widget.image = np.zeros((50, 30, 3), np.uint8)
    assert widget.wait(20)
    assert (widget.rf.input_shape.w, widget.rf.input_shape.h) == (30, 50)
    assert widget._overlay.image_size == [30, 50]
    widget.close()


def test_no_image_is_the_sample_photograph(widget: RFWidget) -> None:
    widget.image = "rings"
    widget.image = None
    assert widget.image == "grace_hopper"


def test_preprocess_stands_between_the_image_and_the_model() -> None:
    seen = []

    def preprocess(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        seen.append((image.dtype, image.shape, float(image.max())))
        return image / 255

    image = np.full(SHAPE, 255, np.uint8)
    widget = RFWidget(BoxReceptiveField(), image=image, preprocess=preprocess)
    assert widget.wait(20)
    assert seen == [(np.float32, SHAPE, 255.0)]
    assert widget._view is not None
    assert widget._view.image.max() == 1
    widget.close()


def test_an_error_while_answering_shows_in_the_widget_and_the_next_click_works(
    widget: RFWidget, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def fail(*_: object) -> Patch:
            raise RuntimeError("out of cheese")

        broken.setattr(widget.rf.network, "gradient", fail)
        request(widget, 1, 1, seq=1)
        assert widget.wait(20)
    assert widget._overlay.state == "error"
    assert widget._overlay.error is not None
    assert "out of cheese" in widget._overlay.error["message"]
    assert "Traceback" in widget._overlay.error["details"]
    assert answers(sent, "failure")[-1]["seq"] == 1
    request(widget, 2, 2, seq=2)
    assert widget.wait(20)
    assert (widget._overlay.state, widget._overlay.error) == ("ready", None)
    assert widget.selected == GridPoint(2, 2)


def test_an_error_while_measuring_shows_in_the_widget() -> None:
    widget = RFWidget(BoxReceptiveField(), output_layer="tal")
    assert widget.wait(20)
    assert widget._overlay.state == "error"
    assert "did you mean 'tall'" in widget._overlay.error["message"]
    widget.output_layer = "tall"
    assert widget.wait(20)
    assert widget._overlay.state == "ready"
    widget.close()


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("selected", (14, 0), "outside the 14x18 grid"),
        ("selected", "ab", "no cell"),
        ("output_layer", "tal", "did you mean 'tall'"),
        ("output_layer", 3, "expected the name"),
        ("channel", 3, "0..2"),
        ("channel", -1, "0..2"),
        ("channel", True, "None"),
        ("colormap", "coolwarn", "did you mean 'coolwarm'"),
        ("image", "ringz", "did you mean 'rings'"),
        ("image", np.zeros((3, 3)), "3x3 pixels"),
        ("image", [[None]], "cannot be used"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_changes(widget: RFWidget, trait: str, value: Any, words: str) -> None:
    before = getattr(widget, trait)
    with pytest.raises(ReceptiveFieldError, match=words):
        setattr(widget, trait, value)
    assert getattr(widget, trait) is before
    widget.selected = (1, 1)
    assert widget.wait(20)
    assert widget._overlay.selected == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": 3}, "expected a function"),
        ({"input_shape": (3, 4)}, "expected \\(height, width, channels\\)"),
        ({"preprocess": 3}, "expected a function of the image"),
        ({"image": "lena"}, "no sample image"),
        ({"show_dot": False}, "did you mean 'show_dots'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        RFWidget(**{"model": BoxReceptiveField(), **arguments})


def test_the_code_shows_the_view_again(widget: RFWidget) -> None:
    widget.set_trait("output_layer", "tall")
    widget.channel = 2
    widget.show_dots = False
    widget.image = "rings"
    assert widget.wait(20)
    widget.selected = (3, 4)
    assert widget.wait(20)
    model = BoxReceptiveField()
    again = eval(widget.code(), {"RFWidget": RFWidget, "model": model})  # noqa: S307 - our own line
    assert again.wait(20)
    for trait in ("selected", "output_layer", "channel", "show_dots", "image"):
        assert getattr(again, trait) == getattr(widget, trait)
    again.close()


def test_it_prints_as_its_code_and_so_do_all_its_parts_print(widget: RFWidget) -> None:
    assert repr(widget) == widget.code()
    for part in widget.children:
        assert type(part).__name__ in repr(part)


def test_the_saved_picture_shows_the_heat_map_only_inside_the_field(widget: RFWidget, tmp_path: Path) -> None:
    pictures = {}
    for name, cell in (("a", (2, 3)), ("b", (10, 12))):
        widget.selected = cell
        assert widget.wait(20)
        widget.save_png(tmp_path / f"{name}.png")
        pictures[name] = np.asarray(Image.open(tmp_path / f"{name}.png"), int)
    differs = np.abs(pictures["a"] - pictures["b"]).max(axis=2) > 0
    layout = widget._scene().layout
    fields = np.zeros_like(differs)
    for cell in ((2, 3), (10, 12)):
        left, top, right, bottom = (round(2 * edge) for edge in layout.place(widget.rf.rect_at(cell)))
        fields[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4] = True
    assert differs[fields].any()
    assert not differs[~fields].any()


def test_a_closed_widget_ends_its_thread_and_can_be_collected() -> None:
    widget = RFWidget(BoxReceptiveField())
    assert widget.wait(20)
    worker, alive = widget._engine.worker, weakref.ref(widget)
    widget.close()
    assert worker.join(5)
    del widget
    gc.collect()
    assert alive() is None
