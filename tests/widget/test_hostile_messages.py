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
from rfwidget.widget.overlay import Request, parse_message
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import LivePage, tell

MESSAGES = 10_000


@pytest.fixture
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    assert made.wait(20, background=True)
    yield made
    made.close()


@pytest.fixture
def page(widget: RFWidget) -> LivePage:
    return LivePage(widget)


def state(widget: RFWidget, page: LivePage) -> dict[str, Any]:
    return {
        **{name: getattr(widget, name) for name in RFWidget.class_own_traits()},
        **page.overlay.get_state(),
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


def test_ten_thousand_random_messages_change_nothing_and_raise_nothing(widget: RFWidget, page: LivePage) -> None:
    before, rng = state(widget, page), random.Random(7)  # noqa: S311 - no secret
    for number in range(MESSAGES):
        tell(page.overlay.comm, hostile(rng, page.state.revision), [bytes(3)] * rng.randrange(2))
        if number % 1000 == 0:
            assert state(widget, page) == before, number
    assert widget.wait(20)
    assert state(widget, page) == before
    assert {content["kind"] for content, _ in page.messages} <= {"superseded"}
    page.request(5, 7, seq=3)
    assert widget.wait(20)
    assert widget.selected == GridPoint(5, 7)


def test_what_is_sent_back_can_always_be_sent(page: LivePage) -> None:
    for client in ("\ud800", "\udc80", "a\0b", "<b>", "é"):
        page.request(1, 1, revision=0, client=client)
    for content, _ in page.messages:
        json_packer(content)


def test_a_page_cannot_set_the_overlays_traits(
    widget: RFWidget, page: LivePage, capfd: pytest.CaptureFixture[str]
) -> None:
    before, rng = state(widget, page), random.Random(8)  # noqa: S311 - no secret
    for _ in range(500):
        page.assign({rng.choice(list(page.overlay.keys)): odd(rng) for _ in range(rng.randint(1, 3))})
    assert state(widget, page) == before
    assert "Traceback" not in capfd.readouterr().err
