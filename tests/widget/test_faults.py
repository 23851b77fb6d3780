"""Models, users and kernels misbehave; after each fault there is something to see, and the next click is right."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rfwidget import RFWidget
from rfwidget.network import Patch
from rfwidget.types import GridPoint
from rfwidget.widget import view
from rfwidget.widget.overlay import Overlay
from tests.box_filter import BoxNetwork, BoxReceptiveField

SHAPE = (40, 64, 3)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    monkeypatch.setattr(Overlay, "send", lambda _, content, *__: messages.append(content))
    return messages


@pytest.fixture
def widget(sent: list[Any]) -> Iterator[RFWidget]:  # noqa: ARG001 - its messages are caught
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert made.wait(20)
    yield made
    made.close()


def request(widget: RFWidget, x: int, y: int, seq: int) -> None:
    content = {"kind": "request", "client": "page", "seq": seq, "revision": widget._overlay.revision}
    widget._overlay._handle_custom_msg({**content, "cell": [x, y]}, [])


def kinds(sent: list[dict[str, Any]], seq: int) -> list[str]:
    """What a page has been told of its request."""
    return [content["kind"] for content in sent if content.get("client") == "page" and content.get("seq") == seq]


def is_right(widget: RFWidget, x: int, y: int) -> bool:
    assert widget.wait(20)
    expected = widget.rf.gradient_at((x, y))
    return (
        widget._overlay.state == "ready"
        and widget.selected == GridPoint(x, y)
        and widget.gradient is not None
        and np.array_equal(widget.gradient, expected)
    )


def with_gradient(monkeypatch: pytest.MonkeyPatch, change: Callable[[Patch], Patch]) -> None:
    """Let every network's gradients pass through a function."""
    original = BoxNetwork.gradient
    monkeypatch.setattr(BoxNetwork, "gradient", lambda *arguments: change(original(*arguments)))


def test_a_model_that_wants_to_end_the_program_is_an_error_like_others(
    widget: RFWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        with_gradient(patched, lambda _: sys.exit("enough"))
        request(widget, 1, 1, 1)
        assert widget.wait(20)
    assert widget._overlay.state == "error"
    assert "SystemExit: enough" in widget._overlay.error["message"]
    request(widget, 2, 3, 2)
    assert is_right(widget, 2, 3)


def test_a_model_that_raises_at_the_third_call_shows_it_and_answers_the_fourth(
    widget: RFWidget, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def third_fails(patch: Patch) -> Patch:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the third call")
        return patch

    monkeypatch.setattr(widget._study, "look_ahead", lambda *_: None)
    with_gradient(monkeypatch, third_fails)
    for seq in (1, 2, 3):
        request(widget, seq, 1, seq)
        assert widget.wait(20)
    assert kinds(sent, 3)[-1] == "failure"
    assert widget._overlay.state == "error"
    assert "the third call" in widget._overlay.error["message"]
    assert widget.gradient is None
    request(widget, 4, 1, 4)
    assert is_right(widget, 4, 1)


def test_a_model_that_returns_nan_shows_it_in_plain_words(widget: RFWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        with_gradient(broken, lambda patch: patch._replace(values=patch.values * np.nan))
        request(widget, 5, 5, 1)
        assert widget.wait(20)
        assert "not finite" in widget._overlay.error["message"]
    request(widget, 6, 5, 2)
    assert is_right(widget, 6, 5)


def test_clicks_on_a_slow_model_are_acknowledged_at_once_and_only_the_last_is_computed(
    widget: RFWidget, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, computed = threading.Event(), []

    def slowly(patch: Patch) -> Patch:
        gate.wait(20)
        computed.append((patch.left, patch.top))
        return patch

    monkeypatch.setattr(widget._study, "look_ahead", lambda *_: None)
    with_gradient(monkeypatch, slowly)
    for seq in range(1, 9):
        request(widget, seq, 2, seq)
        assert kinds(sent, seq) == ["ack"]
    gate.set()
    assert widget.wait(20)
    assert computed == [(4, 4), (32, 4)]
    assert [kinds(sent, seq)[-1] for seq in range(1, 9)] == ["answer", *["superseded"] * 6, "answer"]
    assert is_right(widget, 8, 2)


def test_closing_during_a_slow_gradient_neither_hangs_nor_answers(
    widget: RFWidget, sent: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), threading.Event()

    def slowly(patch: Patch) -> Patch:
        begun.set()
        gate.wait(20)
        return patch

    with_gradient(monkeypatch, slowly)
    request(widget, 1, 1, 1)
    assert begun.wait(20)
    request(widget, 2, 2, 2)
    widget.close()
    gate.set()
    assert widget._engine.worker.join(20)
    assert "answer" not in kinds(sent, 2)
    assert widget._answer is None or widget._answer.cell != GridPoint(2, 2)


def test_a_layer_changed_while_another_is_measured_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun = threading.Event(), threading.Event()
    original = BoxReceptiveField._build

    def slowly(self: BoxReceptiveField, *arguments: Any, **options: Any) -> BoxNetwork:
        if arguments[2] == "wide":
            begun.set()
            gate.wait(20)
        return original(self, *arguments, **options)

    monkeypatch.setattr(BoxReceptiveField, "_build", slowly)
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE, output_layer="wide")
    assert begun.wait(20)
    widget.output_layer = "tall"
    gate.set()
    assert widget.wait(20)
    assert (widget.output_layer, widget._overlay.layer, widget._overlay.state) == ("tall", "tall", "ready")
    widget.close()


def test_a_layer_taken_back_before_it_is_measured_is_not_shown(widget: RFWidget) -> None:
    widget.output_layer = "tall"
    widget.output_layer = "wide"
    assert widget.wait(20)
    assert (widget.output_layer, widget._overlay.layer) == ("wide", "wide")


def test_an_interrupt_in_the_message_handler_leaves_the_next_click_right(
    widget: RFWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        interrupted.setattr(widget._engine, "ask_for", interrupt)
        with pytest.raises(KeyboardInterrupt):
            request(widget, 3, 3, 1)
    request(widget, 4, 3, 2)
    assert is_right(widget, 4, 3)


@pytest.mark.parametrize("trait", ["selected", "output_layer"])
def test_an_observer_that_raises_does_not_keep_the_layer_from_being_shown(widget: RFWidget, trait: str) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("the user's own mistake")

    widget.selected = (13, 17)
    assert widget.wait(20)
    widget.observe(refuse, trait)

    def choose_tall() -> None:
        widget.output_layer = "tall"
        widget.wait(20)

    with pytest.raises(RuntimeError, match="own mistake"):
        choose_tall()
    widget.unobserve(refuse, trait)
    assert widget.wait(20)
    assert (widget.output_layer, widget._overlay.layer, widget._overlay.state) == ("tall", "tall", "ready")
    assert widget._overlay.selected == list(widget.selected)
    assert is_right(widget, *widget.selected)


def test_a_call_that_raises_on_the_main_thread_does_not_hold_up_the_others() -> None:
    from rfwidget.widget.main_thread import MainThread

    done: list[str] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: done.append("told"))
        main = MainThread()
        main._waiting.extend([lambda: 1 / 0, lambda: done.append("next")])
        main.post(lambda: done.append("last"))
        while "last" not in done:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 20))
    assert done == ["told", "next", "last"]


def test_of_a_huge_grid_the_feature_map_stays_behind_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MAX_SHOWN_CELLS", 14 * 18 - 1)
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE, selected=(3, 4))
    assert widget.wait(20)
    assert widget._overlay.feature_map is None
    assert "14 x 18 cells is too large to be shown" in widget._overlay.status
    assert is_right(widget, 3, 4)
    widget.close()
