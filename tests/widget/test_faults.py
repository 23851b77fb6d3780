"""Models, users and kernels misbehave; after each fault there is something to see, and the next click is right."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rfwidget import RFWidget
from rfwidget.network import Patch
from rfwidget.types import GridPoint
from rfwidget.widget import engine, view
from tests.box_filter import BoxNetwork, BoxReceptiveField
from tests.widget.live_page import LivePage, all_ended, worker_threads

SHAPE = (40, 64, 3)


@pytest.fixture
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert made.wait(20)
    yield made
    made.close()


@pytest.fixture
def page(widget: RFWidget) -> LivePage:
    return LivePage(widget)


def is_right(widget: RFWidget, page: LivePage, x: int, y: int) -> bool:
    assert widget.wait(20)
    expected = widget.rf.gradient_at((x, y))
    return (
        page.state.state == "ready"
        and widget.selected == GridPoint(x, y)
        and widget.gradient is not None
        and np.array_equal(widget.gradient, expected)
    )


def with_gradient(monkeypatch: pytest.MonkeyPatch, change: Callable[[Patch], Patch]) -> None:
    """Let every network's gradients pass through a function."""
    original = BoxNetwork.gradient
    monkeypatch.setattr(BoxNetwork, "gradient", lambda *arguments: change(original(*arguments)))


def test_a_model_that_wants_to_end_the_program_is_an_error_like_others(
    widget: RFWidget, monkeypatch: pytest.MonkeyPatch, page: LivePage
) -> None:
    with monkeypatch.context() as patched:
        with_gradient(patched, lambda _: sys.exit("enough"))
        page.request(1, 1, 1)
        assert widget.wait(20)
    assert page.state.state == "error"
    assert "SystemExit: enough" in page.state.error["message"]
    page.request(2, 3, 2)
    assert is_right(widget, page, 2, 3)


def test_a_model_that_raises_at_the_third_call_shows_it_and_answers_the_fourth(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def third_fails(patch: Patch) -> Patch:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the third call")
        return patch

    with_gradient(monkeypatch, third_fails)
    for seq in (1, 2, 3):
        page.request(seq, 1, seq)
        assert widget.wait(20)
    assert page.told(3)[-1] == ("failure", 3)
    assert page.state.state == "error"
    assert "the third call" in page.state.error["message"]
    assert widget.gradient is None
    page.request(4, 1, 4)
    assert is_right(widget, page, 4, 1)


def test_a_model_that_returns_nan_shows_it_in_plain_words(
    widget: RFWidget, monkeypatch: pytest.MonkeyPatch, page: LivePage
) -> None:
    with monkeypatch.context() as broken:
        with_gradient(broken, lambda patch: patch._replace(values=patch.values * np.nan))
        page.request(5, 5, 1)
        assert widget.wait(20)
        assert "not finite" in page.state.error["message"]
    page.request(6, 5, 2)
    assert is_right(widget, page, 6, 5)


def test_clicks_on_a_slow_model_are_acknowledged_at_once_and_only_the_last_is_computed(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, computed = threading.Event(), []

    def slowly(patch: Patch) -> Patch:
        gate.wait(20)
        computed.append((patch.left, patch.top))
        return patch

    with_gradient(monkeypatch, slowly)
    for seq in range(1, 9):
        page.request(seq, 2, seq)
        assert page.told(seq) == [("ack", seq)]
    gate.set()
    assert widget.wait(20)
    assert computed == [(4, 4), (32, 4)]
    assert [page.told(seq)[-1][0] for seq in range(1, 9)] == ["answer", *["superseded"] * 6, "answer"]
    assert is_right(widget, page, 8, 2)


def test_closing_during_a_slow_gradient_neither_hangs_nor_answers(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), threading.Event()

    def slowly(patch: Patch) -> Patch:
        begun.set()
        gate.wait(20)
        return patch

    with_gradient(monkeypatch, slowly)
    page.request(1, 1, 1)
    assert begun.wait(20)
    page.request(2, 2, 2)
    threads = worker_threads()
    widget.close()
    gate.set()
    assert all_ended(threads)
    assert ("answer", 2) not in page.told(2)
    assert [content["cell"] for content in page.got("answer", "failure")] in ([], [[1, 1]])


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
    page = LivePage(widget)
    assert begun.wait(20)
    widget.output_layer = "tall"
    gate.set()
    assert widget.wait(20)
    assert (widget.output_layer, page.state.layer, page.state.state) == ("tall", "tall", "ready")
    widget.close()


def test_a_layer_taken_back_before_it_is_measured_is_not_shown(widget: RFWidget, page: LivePage) -> None:
    widget.output_layer = "tall"
    widget.output_layer = "wide"
    assert widget.wait(20)
    assert (widget.output_layer, page.state.layer) == ("wide", "wide")


def test_an_interrupt_in_the_message_handler_leaves_the_next_click_right(
    widget: RFWidget, monkeypatch: pytest.MonkeyPatch, page: LivePage
) -> None:
    with monkeypatch.context() as interrupted:

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        interrupted.setattr(engine.Engine, "ask_for", interrupt)
        with pytest.raises(KeyboardInterrupt):
            page.request(3, 3, 1)
    page.request(4, 3, 2)
    assert is_right(widget, page, 4, 3)


@pytest.mark.parametrize("trait", ["selected", "output_layer"])
def test_an_observer_that_raises_does_not_keep_the_layer_from_being_shown(
    widget: RFWidget, trait: str, page: LivePage
) -> None:
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
    assert (widget.output_layer, page.state.layer, page.state.state) == ("tall", "tall", "ready")
    assert page.state.selected == list(widget.selected)
    assert is_right(widget, page, *widget.selected)


def test_of_a_huge_grid_the_feature_map_stays_behind_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MAX_SHOWN_CELLS", 14 * 18 - 1)
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE, selected=(3, 4))
    page = LivePage(widget)
    assert widget.wait(20)
    assert page.state.feature_map is None
    assert "14 x 18 cells is too large to be shown" in page.state.status
    assert is_right(widget, page, 3, 4)
    widget.close()
