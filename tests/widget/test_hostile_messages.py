"""Messages of a page are input like any other: whatever they hold, they change nothing that they may not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jupyter_client.session import json_packer

from rfwidget import RFWidget
from rfwidget.types import GridPoint
from rfwidget.widget.overlay import Overlay, Request, parse_message
from tests.box_filter import BoxReceptiveField

MESSAGES = 10_000


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    messages: list[Any] = []
    monkeypatch.setattr(Overlay, "send", lambda _, content, buffers=None: messages.append((content, buffers)))
    return messages


@pytest.fixture
def widget(sent: list[Any]) -> Iterator[RFWidget]:  # noqa: ARG001 - its messages are caught
    made = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    assert made.wait(20, background=True)
    yield made
    made.close()


def state(widget: RFWidget) -> dict[str, Any]:
    return {
        **{name: getattr(widget, name) for name in RFWidget.class_own_traits()},
        **widget._overlay.get_state(),
        "shape": widget.model_input_shape,
    }


ODD: tuple[Callable[[random.Random], Any], ...] = (
    lambda _: None,
    lambda rng: rng.random() < 0.5,
    lambda rng: rng.choice([0, 1, -1, 2**31, 2**53, 2**63, -(2**70), 10**300]),
    lambda rng: rng.choice([0.0, 0.5, -1.5, 1e308, math.nan, math.inf, -math.inf]),
    lambda rng: rng.choice(["", "request", "__proto__", "\ud800", "\0", "é" * 70, "1", "click", "x" * 100_000]),
    lambda rng: [odd(rng) for _ in range(rng.randrange(4))],
    lambda rng: {rng.choice(["0", "x", "kind", "cell", "length"]): odd(rng) for _ in range(rng.randrange(3))},
)


def odd(rng: random.Random) -> Any:
    """Anything that JSON can hold, and some things that only a broken page sends."""
    return rng.choice(ODD)(rng)


def hostile(rng: random.Random, revision: int) -> Any:
    """A message that is nearly right, or not at all; never quite right."""
    if rng.random() < 0.3:
        return odd(rng)
    good = {"client": "page", "seq": 3, "revision": revision, "cell": [5, 7], "kind": "request"}
    message: dict[str, Any] = {**good, "kind": rng.choice(["request", "request", "request", "query", "layer", "copy"])}
    for name in rng.sample(sorted(good), rng.randint(1, 3)):
        message[name] = odd(rng)
        if name == "cell" and rng.random() < 0.5:
            message[name] = [odd(rng), odd(rng)]
    if rng.random() < 0.2:
        del message[rng.choice(sorted(message))]
    if rng.random() < 0.1:
        message[rng.choice(["box", "name", "text", "__class__"])] = odd(rng)
    asked = parse_message(message)
    if isinstance(asked, Request) and asked.revision == revision and asked.cell.x < 14 and asked.cell.y < 18:
        message["seq"] = 0
    return message


def test_ten_thousand_random_messages_change_nothing_and_raise_nothing(widget: RFWidget, sent: list[Any]) -> None:
    before, rng = state(widget), random.Random(7)  # noqa: S311 - no secret
    overlay = widget._overlay
    sent.clear()
    for number in range(MESSAGES):
        overlay._handle_custom_msg(hostile(rng, overlay.revision), [bytes(3)] * rng.randrange(2))
        if number % 1000 == 0:
            assert state(widget) == before, number
    assert widget.wait(20)
    assert state(widget) == before
    assert {content["kind"] for content, _ in sent} <= {"superseded"}
    good = {"client": "page", "seq": 3, "revision": overlay.revision, "cell": [5, 7]}
    overlay._handle_custom_msg({"kind": "request", **good}, [])
    assert widget.wait(20)
    assert widget.selected == GridPoint(5, 7)


def test_what_is_sent_back_can_always_be_sent(widget: RFWidget, sent: list[Any]) -> None:
    for client in ("\ud800", "\udc80", "a\0b", "<b>", "é"):
        message = {"kind": "request", "client": client, "seq": 1, "revision": 0, "cell": [1, 1]}
        widget._overlay._handle_custom_msg(message, [])
    for content, _ in sent:
        json_packer(content)


def test_a_page_cannot_set_the_overlays_traits(widget: RFWidget, capfd: pytest.CaptureFixture[str]) -> None:
    before, rng = state(widget), random.Random(8)  # noqa: S311 - no secret
    overlay = widget._overlay
    for _ in range(500):
        changes = {rng.choice(list(overlay.keys)): odd(rng) for _ in range(rng.randint(1, 3))}
        message = {"content": {"data": {"method": "update", "state": changes, "buffer_paths": []}}, "buffers": []}
        overlay._handle_msg(message)
    assert state(widget) == before
    assert "Traceback" not in capfd.readouterr().err
