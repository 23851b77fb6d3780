"""Notebook hosts that cannot be run here, as far as they can be stood in for.

An RFWidget lives in this process, on an event loop of its own; its overlay is shown in a frame of another origin, under
a host's content security policy, by a widget manager that offers what the host's does (`foreign_host.js`). The page
around the frame carries the messages, as hosts' pages do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from unittest import mock

import anywidget
import comm
from comm.base_comm import BaseComm

from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField

SCRIPT = Path(__file__).with_name("foreign_host.js")
ANYWIDGET = Path(anywidget.__file__).parent / "nbextension" / "index.js"

T = TypeVar("T")


class Host(NamedTuple):
    """What a host offers.

    Attributes:
        name: "colab", "vscode" or "strict".
        policy: its content security policy; None: it has none.
        binary: what binary data are in the page: "Uint8Array", "DataView" or "ArrayBuffer".
        loading: what becomes of the canvas: "error", ipywidgets' stand-in for what did not load; "never", nobody says;
            "refused".
        kernel: whether the manager knows the kernel.
    """

    name: str
    policy: str | None
    binary: str
    loading: str
    kernel: bool


COLAB = Host(
    "colab",
    # What its manager needs: it fetches scripts and makes functions of their text.
    "default-src 'none'; script-src 'self' blob: 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'",
    binary="Uint8Array",
    loading="error",
    kernel=False,
)
VSCODE = Host("vscode", None, binary="DataView", loading="never", kernel=True)
VSCODE_WITH_POLICY = VSCODE._replace(
    # The setting `notebook.experimental.enableCsp`; its own addresses stand as 'self'.
    policy="default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' https: http: data:; font-src 'self' https:; connect-src https:; child-src https: data:",
)
STRICT = Host(
    "strict",
    "default-src 'none'; script-src 'self' blob:; style-src 'unsafe-inline'; img-src data:",
    binary="ArrayBuffer",
    loading="refused",
    kernel=False,
)

OUTER = """<!doctype html><meta charset="utf-8"><title>host</title>
<style>body { margin: 0 } iframe { width: 1250px; height: 950px; border: 0 }</style>
<iframe src="INNER"></iframe>
<script type="module">
const frame = document.querySelector("iframe").contentWindow;
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const ask = async (path, body) => (await fetch(path, { method: "POST", body: JSON.stringify(body ?? null) })).json();
let known = 0;
async function listen() {
  for (;;) {
    for (const { data, buffers } of await ask("/poll", known)) {
      known += 1;
      frame.postMessage({ kind: "message", data, buffers: buffers.map(bytes) }, "*");
    }
  }
}
addEventListener("message", async ({ data }) => {
  if (data.kind === "send") await ask("/send", { content: data.content, buffers: data.buffers.map(text) });
  if (data.kind !== "hello") return;
  const { state, paths, buffers, sent } = await ask("/open");
  known = sent;
  frame.postMessage({ kind: "open", state, paths, buffers: buffers.map(bytes) }, "*");
  void listen();
});
</script>
"""
INNER = """<!doctype html><meta charset="utf-8"><title>output</title>
<script type="application/json" id="host">HOST</script><script type="module" src="/host.js"></script>
"""


class Kernel:
    """A widget on an event loop in a thread, as in a kernel; what its overlay says is kept."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._said = threading.Condition()
        self._messages: list[dict[str, Any]] = []
        self.deaf = False
        kernel = self

        class Wire(BaseComm):
            def publish_msg(
                self,
                msg_type: str,
                data: dict[str, Any] | None = None,
                metadata: dict[str, Any] | None = None,  # noqa: ARG002
                buffers: list[bytes] | None = None,
                **_: Any,
            ) -> None:
                if msg_type == "comm_msg":
                    kernel._keep(self.comm_id, data or {}, buffers or [])

        async def make() -> RFWidget:
            return RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), output_layer="wide")

        with mock.patch.object(comm, "create_comm", Wire):
            self.widget: RFWidget = asyncio.run_coroutine_threadsafe(make(), self._loop).result(120)
        self._overlay = self.widget._overlay
        self._id = self._overlay.comm.comm_id
        assert self.widget.wait(120)

    def _keep(self, comm_id: str, data: dict[str, Any], buffers: list[bytes]) -> None:
        with self._said:
            self._messages.append({"from": comm_id, "data": data, "buffers": [_text(buffer) for buffer in buffers]})
            self._said.notify_all()

    @property
    def _own(self) -> list[dict[str, Any]]:
        return [message for message in self._messages if message["from"] == self._id]

    def run(self, call: Callable[[], T]) -> T:
        """Run something where message handlers run."""

        async def wrapped() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(wrapped(), self._loop).result(120)

    def expect(self, value: Callable[[], T], wanted: T) -> None:
        """Wait until a value where message handlers run is this one."""
        until = time.monotonic() + 90
        while (found := self.run(value)) != wanted:
            assert time.monotonic() < until, f"{found} is not {wanted}"
            time.sleep(0.05)

    def open(self, _: None) -> dict[str, Any]:
        """What a page gets that comes now."""

        def state() -> dict[str, Any]:
            from ipywidgets.widgets.widget import _remove_buffers

            found, paths, buffers = _remove_buffers(self._overlay.get_state())
            plain = {"state": found, "paths": paths, "buffers": [_text(buffer) for buffer in buffers]}
            return {**plain, "sent": len(self._own)}

        return self.run(state)

    def poll(self, known: int) -> list[dict[str, Any]]:
        """Messages that a page does not know; waits for one."""
        with self._said:
            self._said.wait_for(lambda: len(self._own) > known, 5)
            return self._own[known:]

    def send(self, message: dict[str, Any]) -> None:
        """A message of the page."""
        if self.deaf:
            return
        buffers = [memoryview(base64.b64decode(buffer)) for buffer in message["buffers"]]
        data = {"method": "custom", "content": message["content"]}
        self.run(lambda: self._overlay.comm.handle_msg({"content": {"data": data}, "buffers": buffers}))

    def close(self) -> None:
        """End it."""
        self.run(self.widget.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _text(buffer: bytes | memoryview) -> str:
    return base64.b64encode(bytes(buffer)).decode()


@contextmanager
def hosted(host: Host) -> Iterator[tuple[Kernel, str]]:
    """A widget in a host; and the address of the page."""
    kernel = Kernel()
    answers = {"/open": kernel.open, "/poll": kernel.poll, "/send": kernel.send}
    known = {
        "/frame": (INNER.replace("HOST", json.dumps({**host._asdict(), "host": host.name})), "text/html"),
        "/host.js": (SCRIPT.read_text(), "text/javascript"),
        "/anywidget.js": (ANYWIDGET.read_text(), "text/javascript"),
        "/favicon.ico": ("", "image/x-icon"),
    }

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            found = known.get(self.path, (OUTER.replace("INNER", f"http://localhost:{port}/frame"), "text/html"))
            policy = {"Content-Security-Policy": host.policy} if host.policy and self.path == "/frame" else {}
            self._reply(*found, policy)

        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._reply(json.dumps(answers[self.path](given)), "application/json", {})

        def _reply(self, text: str, kind: str, headers: dict[str, str]) -> None:
            content = text.encode()
            self.send_response(200)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kernel, f"http://127.0.0.1:{port}/"
    finally:
        server.shutdown()
        server.server_close()
        kernel.close()
