"""What widgets and kernel say to each other through a page's websockets, with the time of each message."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from playwright.sync_api import Page, WebSocket

from tests.browser.waiting import until

_CUSTOM = re.compile(rb'"method": ?"custom", ?"content": ?(\{[^{}]*\})')
_STATE = re.compile(rb'"state": ?\{"(\w+)"')
_MAPS = re.compile(rb'"kind": ?"maps"')
ENDS = ("answer", "failure", "superseded")


class Message(NamedTuple):
    """A custom message, or one of another kind, of which the kind and the trait that it sets are known."""

    seconds: float
    content: dict[str, Any]


class Traffic:
    """Listens to a page from the moment it is made; its next websocket is heard as well."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.sent: list[Message] = []
        self.received: list[Message] = []
        page.on("websocket", self._listen)

    def clear(self) -> None:
        """Forget what has been heard."""
        self.sent.clear()
        self.received.clear()

    def requests(self) -> list[dict[str, Any]]:
        """Requests for cells that the page has sent."""
        return [content for _, content in self.sent if content.get("kind") == "request"]

    def hints(self) -> list[dict[str, Any]]:
        """Words about where maps are missing that the page has sent."""
        return [content for _, content in self.sent if content.get("kind") == "hint"]

    def wait_for_silence(self, seconds: float) -> None:
        """Wait until nothing has been said for so long."""
        begin = time.monotonic()

        def silent() -> bool:
            last = max((message.seconds for message in (*self.sent, *self.received)), default=begin)
            return time.monotonic() - max(begin, last) > seconds

        until(self._page, silent, f"silence for {seconds} s")

    def answers(self) -> list[dict[str, Any]]:
        """Heat maps that have come, whoever asked."""
        return [content for _, content in self.received if content.get("kind") == "answer"]

    def most_in_flight(self) -> int:
        """Requests of the page that were on their way at the same time, at most."""
        mine = {content["client"] for content in self.requests()}
        flying: set[tuple[str, int]] = set()
        most = 0
        for content in self._in_order():
            name = (content.get("client", ""), content.get("seq", 0))
            if content.get("kind") == "request":
                flying.add(name)
            elif content.get("kind") in ENDS and name[0] in mine:
                flying.discard(name)
            most = max(most, len(flying))
        return most

    def busiest_second(self) -> int:
        """Messages of widgets, both ways, within one second, at most."""
        times = sorted(message.seconds for message in (*self.sent, *self.received))
        return max((sum(start <= t < start + 1 for t in times) for start in times), default=0)

    def _in_order(self) -> Iterator[dict[str, Any]]:
        both = sorted((*self.sent, *self.received), key=lambda message: message.seconds)
        return (message.content for message in both)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda payload: self._note(self.sent, payload))
        socket.on("framereceived", lambda payload: self._note(self.received, payload))

    @staticmethod
    def _note(messages: list[Message], payload: bytes | str) -> None:
        raw = payload if isinstance(payload, bytes) else payload.encode()
        if _MAPS.search(raw):
            messages.append(Message(time.monotonic(), {"kind": "maps"}))
        elif found := _CUSTOM.search(raw):
            messages.append(Message(time.monotonic(), json.loads(found[1])))
        elif b"comm_msg" in raw:
            state = _STATE.search(raw)
            messages.append(Message(time.monotonic(), {"kind": "other", "state": state[1].decode() if state else ""}))


def in_order_of(painted: list[str], answers: list[dict[str, Any]]) -> bool:
    """Whether cells were painted in the order of their answers' serials, some perhaps left out."""
    coming = iter(f"{cell[0]},{cell[1]}" for cell in (a["cell"] for a in sorted(answers, key=lambda a: a["serial"])))
    return all(cell in coming for cell in painted)
