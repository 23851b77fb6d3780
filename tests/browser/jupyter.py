"""A real notebook server on a port of its own, and a page of it driven through Playwright."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import ConsoleMessage, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.waiting import passes

ROOT = Path(__file__).parents[2]
PATIENCE = 120_000
"""Milliseconds to wait for a kernel that starts TensorFlow on a busy machine."""

_ANY_CELL = re.compile(r"^\d+(,\d+)+$")

_HARMLESS = (
    "Could not restore the debugger state",  # JupyterLab's own, now and then, when a kernel restarts
    "Failed to load resource: the server responded with a status of 404",  # a workspace or setting not saved yet
    "net::ERR_INTERNET_DISCONNECTED",
    "Cannot read properties of null (reading 'kernel')",  # JupyterLab's own, in a notebook without a kernel
)


class Server:
    """A running notebook server."""

    def __init__(self, url: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.url, self.folder, self.process = url, folder, process

    def add_notebook(self, name: str, cells: Sequence[str]) -> str:
        """Write a notebook of code cells; its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        nbformat.write(notebook, self.folder / name)
        return name

    @contextmanager
    def settings(self, plugin: str, **values: object) -> Iterator[None]:
        """Have pages that load now find these settings of a plugin, such as ``notebook-extension:tracker``."""
        extension, name = plugin.split(":")
        file = self.folder / ".jupyter/lab/@jupyterlab" / extension / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
        try:
            yield
        finally:
            file.unlink()


@contextmanager
def serve(folder: Path, *command: str, ready: str = "/api") -> Iterator[Server]:
    """Start ``python -m COMMAND`` in a folder, on a free loopback port, without tokens, news or a browser."""
    port = _free_port()
    settings = folder / ".jupyter"
    # Under pytest, ipykernel hides what native code writes to standard error; a user's kernel does not.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environment = {
        **inherited,
        "JUPYTER_CONFIG_DIR": str(settings),
        "JUPYTER_DATA_DIR": str(settings / "data"),
        "JUPYTER_RUNTIME_DIR": str(settings / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings / "lab"),
        "JUPYTERLAB_WORKSPACES_DIR": str(settings / "workspaces"),
        "IPYTHONDIR": str(settings / "ipython"),
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    page_settings = settings / "labconfig" / "page_config.json"
    page_settings.parent.mkdir(parents=True)
    page_settings.write_text('{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}')
    # A notebook is saved when a test says so, not when two minutes have passed on a slow machine.
    documents = settings / "lab/@jupyterlab/docmanager-extension/plugin.jupyterlab-settings"
    documents.parent.mkdir(parents=True)
    documents.write_text('{"autosave": false}')
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", *command, f"--port={port}"],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    server = Server(f"http://127.0.0.1:{port}", folder, process)
    try:
        _wait_until_up(server, ready)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


_BARE = ("--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.token=", "--ServerApp.port_retries=0")
LAB = ("jupyter", "lab", *_BARE, "--LabApp.expose_app_in_browser=True")
NOTEBOOK = ("jupyter", "notebook", *_BARE, "--JupyterNotebookApp.expose_app_in_browser=True")


@contextmanager
def serve_lab(folder: Path) -> Iterator[Server]:
    """A JupyterLab with the repository's notebooks in it."""
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder)
    with serve(folder, *LAB) as server:
        yield server


class LabPage:
    """A page of JupyterLab with one notebook open."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.problems: list[str] = []
        page.on("console", lambda message: self._note_error(message))
        page.on("pageerror", lambda error: self._note(f"page error: {error}"))

    def open(self, notebook: str, *, reset: bool = True) -> None:
        """Open a notebook in a workspace of its own and wait for its kernel."""
        workspace = notebook.removesuffix(".ipynb")
        self.page.goto(f"{self.server.url}/lab/workspaces/{workspace}/tree/{notebook}{'?reset' if reset else ''}")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=PATIENCE)
        self.wait_for_kernel()

    def wait_for_kernel(self, status: str = "idle", *, timeout: float = PATIENCE) -> None:
        """Wait until the kernel is connected and has nothing to do, or is ``"busy"``."""
        self.page.wait_for_function(
            """status => {
                const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
                return kernel?.connectionStatus === "connected" && kernel.status === status;
            }""",
            arg=status,
            timeout=timeout,
        )

    def command(self, name: str) -> None:
        """Run a command of JupyterLab, such as ``notebook:run-all-cells``."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def execute(self, code: str) -> str:
        """Run code in the notebook's kernel, beside its cells; what it prints."""
        printed: str = self.page.evaluate(
            """async ([code, patience]) => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({ code });
                let printed = "";
                future.onIOPub = ({ header, content }) => {
                    if (header.msg_type === "stream") printed += content.text;
                    if (header.msg_type === "error") printed += content.traceback.join("\\n");
                };
                const late = new Promise((_, refuse) => {
                    const error = new Error(`the kernel has not answered in ${patience} ms: ${code}`);
                    setTimeout(() => refuse(error), patience);
                });
                await Promise.race([future.done, late]);
                return printed;
            }""",
            [code, PATIENCE],
        )
        return printed.strip()

    def expect_in_kernel(self, expression: str, printed: str) -> None:
        """Wait until an expression prints so in the kernel.

        What the page sets may come later than code that is sent after it: a kernel with sub-shells takes both at once.
        """

        def prints() -> None:
            now = self.execute(f"print({expression})")
            assert now == printed, f"{expression} is {now}, not {printed}"

        passes(self.page, prints, every=0.05)

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def run_all(self) -> None:
        """Run all cells of the notebook."""
        self.command("notebook:run-all-cells")

    def overlay(self, index: int = 0) -> Locator:
        """The overlay of a widget, scrolled into view, when its first heat map is painted."""
        overlay = self.page.locator(".rfwidget-overlay").nth(index)
        overlay.wait_for(timeout=PATIENCE, state="attached")
        expect(overlay).to_have_attribute("data-state", "ready", timeout=PATIENCE)
        expect(overlay).to_have_attribute("data-painted", _ANY_CELL, timeout=PATIENCE)
        overlay.scroll_into_view_if_needed()
        return overlay

    def shut_down_kernels(self) -> None:
        """End all kernels of the server."""
        self.page.evaluate("() => window.jupyterapp?.serviceManager.sessions.shutdownAll()")

    def _note_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"{message.text} ({message.location['url']})")

    def _note(self, problem: str) -> None:
        if not any(words in problem for words in _HARMLESS):
            self.problems.append(problem)


@contextmanager
def notebook_7(page: Page, folder: Path, name: str, cells: Sequence[str]) -> Iterator[LabPage]:
    """A new notebook open in Notebook 7, on a server of its own, its kernel ready; the page is closed at the end.

    Lab and Notebook do not share a server: Jupyter finds static files by name alone, and the two have equal names.
    """
    with serve(folder, *NOTEBOOK) as server:
        notebook = LabPage(page, server)
        address = f"{server.url}/notebooks/{server.add_notebook(name, cells)}"
        page.goto(address)
        try:
            notebook.wait_for_kernel(timeout=PATIENCE / 4)
        except PlaywrightTimeout:  # on a busy machine, Notebook 7 may ask which kernel to use: not so the second time
            page.goto(address)
            notebook.wait_for_kernel()
        yield notebook
        page.close()


def click_cell(overlay: Locator, x: int, y: int, centre: tuple[float, float], scale: float) -> None:
    """Click where the receptive field of a cell is centred, and wait until its heat map is on the canvas.

    Args:
        overlay: the overlay, which covers exactly the image.
        x: column of the cell.
        y: row of the cell.
        centre: centre of the cell's receptive field in image pixels.
        scale: CSS pixels per image pixel.
    """
    overlay.click(position={"x": centre[0] * scale, "y": centre[1] * scale})
    expect(overlay).to_have_attribute("data-painted", f"{x},{y}")


def choose_layer(page: Page, name: str) -> None:
    """Choose a layer by its name in the bar."""
    field = page.get_by_role("combobox", name="Layer")
    field.fill(name)
    field.press("Enter")


def drag_finger(page: Page, start: tuple[float, float], dx: float, dy: float) -> None:
    """Put a finger down at a place of the window, move it, and lift it; the page's context must have touch."""
    touch = page.context.new_cdp_session(page)
    places = [{"x": start[0] + dx * k / 10, "y": start[1] + dy * k / 10} for k in range(11)]
    for place in places:
        kind = "touchStart" if place is places[0] else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_up(server: Server, path: str) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(server.url + path, timeout=5):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError("the notebook server did not start:\n" + (server.folder / "server.log").read_text()[-3000:])
