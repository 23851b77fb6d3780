from __future__ import annotations

from typing import Any

import ipycanvas
import numpy as np
import pytest

from rfwidget.types import GridShape
from rfwidget.widget.canvas import HEAT, MARKS, PICTURE, SceneCanvas
from rfwidget.widget.scene import Dots, Line, Scene, build_scene
from rfwidget.widget.section_scene import build_section_scene
from tests.widget.live_page import tell
from tests.widget.test_scene import FIELD, GRID, IMAGE


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What goes to the browser for drawing."""
    sent: list[Any] = []
    monkeypatch.setattr(
        ipycanvas.canvas._CanvasManager, "send", lambda self, _, buffers=None: sent.append((self, buffers))
    )
    return sent


def scene(w: int = 40, h: int = 24) -> Scene:
    return build_scene(np.zeros((h, w, 3), np.uint8), GridShape(None, w, h, 3))


def test_one_drawing_is_one_message_through_a_manager_of_its_own(messages: list[Any]) -> None:
    canvas = SceneCanvas()
    canvas.show(scene())
    assert len(messages) == 1
    manager = messages[0][0]
    assert manager is canvas.widget._canvas_manager is canvas.widget[HEAT]._canvas_manager
    assert manager is not ipycanvas.canvas._CANVAS_MANAGER
    canvas.close()


def test_an_error_while_drawing_sends_nothing_and_does_not_silence_later_drawings(
    messages: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = SceneCanvas()
    canvas.show(scene())
    with monkeypatch.context() as broken:
        broken.setattr(canvas.widget[MARKS], "clear", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            canvas.show(scene())
    assert len(messages) == 1
    canvas.show(scene())
    assert len(messages) == 2
    canvas.close()


def test_rectangles_travel_as_arrays_of_numbers_line_and_halo(messages: list[Any]) -> None:
    canvas = SceneCanvas()
    canvas.show(shown := build_scene(np.zeros((96, 160, 3), np.uint8), IMAGE, FIELD, GRID))
    lines = [mark for mark in shown.marks if isinstance(mark, Line)]
    buffers = [bytes(buffer) for buffer in messages[0][1]]
    assert len(lines) == 3
    for line in lines:
        assert buffers.count(np.array(line.paths[0][:4], np.float64).tobytes()) == 2
    canvas.close()


def test_nothing_is_drawn_below_the_sections_of_a_volume_but_there_is_room_for_them(messages: list[Any]) -> None:
    canvas = SceneCanvas()
    shown = build_section_scene(np.zeros((8, 24, 40, 3), np.uint8), GridShape.of((8, 24, 40), 1))
    canvas.show(shown)
    tell(canvas.widget[MARKS].comm, {"event": "client_ready"})
    assert messages == []
    assert canvas.widget.layout.width == f"{shown.layout.size.w:g}px"
    canvas.close()


def test_a_page_that_has_just_loaded_gets_everything(messages: list[Any]) -> None:
    canvas = SceneCanvas()
    canvas.show(scene())
    tell(canvas.widget[MARKS].comm, {"event": "client_ready"})
    assert len(messages) == 2
    canvas.close()


def test_an_unchanged_picture_is_not_sent_again(messages: list[Any]) -> None:
    canvas, first = SceneCanvas(), scene()
    canvas.show(first)
    canvas.show(first._replace(marks=(Dots(np.array([[3.0, 4.0]])),)))
    assert len(messages[1][1]) < len(messages[0][1]) or sum(map(len, messages[1][1])) < sum(map(len, messages[0][1]))
    canvas.close()


def test_backing_pixels_are_finer_than_css_pixels_but_bounded() -> None:
    canvas = SceneCanvas()
    canvas.show(shown := scene())
    size = shown.layout.size
    assert (canvas.widget.width, canvas.widget.height) == (round(2 * size.w), round(2 * size.h))
    assert canvas.widget.layout.width == f"{size.w:g}px"
    assert (canvas.widget[PICTURE].width, canvas.widget[PICTURE].height) == (canvas.widget.width, canvas.widget.height)
    canvas.close()
