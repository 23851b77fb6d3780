"""A page of a notebook without a browser: it knows a widget by what is sent to it, and speaks in messages alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, TypeVar

from ipywidgets import Widget

from rfwidget import RFWidget
from rfwidget.widget.overlay import Overlay

W = TypeVar("W", bound=Widget)


class LivePage:
    """What a page on show knows of a widget from the moment on when it is made.

    Attributes:
        overlay: the model that the page talks to.
        state: the synced traits, as they have been sent.
        messages: content and buffers of all custom messages, in their order.
        cell: the selected cell: what was asked for here, an answer's cell, or the trait, whichever came last.
    """

    def __init__(self, widget: RFWidget) -> None:
        self.overlay = part_of(widget, Overlay)
        self.state = SimpleNamespace(**self.overlay.get_state())
        self.messages: list[tuple[dict[str, Any], list[Any]]] = []
        self.cell = self.state.selected
        self._comm = self.overlay.comm  # a page may still speak when the widget has been closed
        self._comm.publish_msg = self._receive

    def request(self, x: Any, y: Any, seq: int = 1, revision: int | None = None, client: str = "page") -> None:
        """Ask for a cell, of the revision on show unless another one is given."""
        revision = self.state.revision if revision is None else revision
        if revision == self.state.revision and x < self.state.grid[0] and y < self.state.grid[1]:
            self.cell = [x, y]
        self.tell(kind="request", client=client, seq=seq, revision=revision, cell=[x, y])

    def tell(self, *buffers: bytes, **content: Any) -> None:
        """Send a custom message."""
        tell(self._comm, content, [memoryview(buffer) for buffer in buffers])

    def assign(self, state: dict[str, Any]) -> None:
        """Set synced traits, as pages of other widgets do."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        self._comm.handle_msg({"content": {"data": data}, "buffers": []})

    def got(self, *kinds: str) -> list[dict[str, Any]]:
        """The messages of some kinds."""
        return [content for content, _ in self.messages if content["kind"] in kinds]

    def told(self, seq: int | None = None, client: str = "page") -> list[tuple[str, int]]:
        """Kind and number of what was sent to a client, or of what it was told of one request."""
        mine = [content for content, _ in self.messages if content.get("client") == client]
        return [(content["kind"], content["seq"]) for content in mine if seq in (None, content["seq"])]

    def _receive(self, _: str, data: Any = None, __: Any = None, buffers: Any = None, **___: Any) -> None:
        data = data or {}
        if data.get("method") == "update":
            vars(self.state).update(data["state"])
            self.cell = data["state"].get("selected", self.cell)
        elif data.get("method") == "custom":
            content = data["content"]
            self.messages.append((content, buffers))
            if content["kind"] == "answer" and content["revision"] == self.state.revision:
                self.cell = content["cell"]


def tell(comm: Any, content: Any, buffers: Any = ()) -> None:
    """Send any content over a widget's comm, as a page does."""
    comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": list(buffers)})


def parts(widget: Widget) -> Iterator[Widget]:
    """A widget and all inside it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


def part_of(widget: Widget, kind: type[W], **traits: Any) -> W:
    """The one part of a kind, or the one of these traits."""
    [found] = [
        part
        for part in parts(widget)
        if isinstance(part, kind) and all(getattr(part, name) == value for name, value in traits.items())
    ]
    return found


def worker_threads() -> set[threading.Thread]:
    """The threads on which widgets compute."""
    return {thread for thread in threading.enumerate() if thread.name == "rfwidget"}


def all_ended(threads: set[threading.Thread]) -> bool:
    """Whether threads end within some seconds."""
    for thread in threads:
        thread.join(20)
    return not any(thread.is_alive() for thread in threads)
