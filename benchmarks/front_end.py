"""How long a click takes until its heat map is on the screen, and how many cells a second a drag shows.

    python -m benchmarks.front_end               # prints, and writes docs/benchmarks-front-end.md
    python -m benchmarks.front_end --clicks 20   # a shorter run, printed only; written too with --write

Starts a JupyterLab and a Chromium of its own. Clicks on our widget come at random between clicks on a bare anywidget
that sends a number to the kernel and back: nothing over a kernel can be faster than that echo; and between clicks on a
pad that writes a number at once: nothing in a browser can be faster than that frame. ipympl does the same job with the
same gradients in a run of its own. A time runs from the pointer event to the animation frame in which the
pixels of the canvas, read back, have changed under the cell (`front_end.js`). What was there before the click and what
was waited for stand in lines of their own, with the time of one gradient beside them.

Needs the dependency groups `test` and `benchmark`.
"""

from __future__ import annotations

import argparse
import gzip
import math
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import describe_machine
from tests.browser.jupyter import PATIENCE, LabPage, Server, serve_lab

ROOT = Path(__file__).resolve().parent.parent
NOTE = ROOT / "docs" / "benchmarks-front-end.md"
OVERLAY = [ROOT / "rfwidget" / "widget" / "static" / name for name in ("overlay.js", "overlay.css")]
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")

HEAD = """# How fast a click is

Written by `python -m benchmarks.front_end`. A time runs from the pointer event to the frame in which the pixels of the
canvas have changed under the cell. The echo is a number sent to the kernel and back by a bare anywidget; its clicks
come at random between those on the widget, as do those on a pad that writes a number at once and asks nobody: the next
frame, which nothing in a browser can be before. A cell is live if its gradient map is in the page before anybody asks;
such a click waits for nothing, and tells the kernel afterwards. The others wait for the echo and one gradient.
"""

WARM_UP = 10  # clicks of each kind that do not count
APART = 6  # cells between two clicks: more than half a receptive field
PAUSE = (50, 250)  # milliseconds between two clicks
DRAGS, DRAG_SECONDS = 6, 1.5
FOLLOW_SECONDS = 10
LOOPS, LOOP_SECONDS = 7, 6
BUSY = 3  # times as many processes that want to run as there are cores

WARNING = """The machine did much else meanwhile: times vary by half from one run to the next, as does what a loop in a
cell loses. Against the echo, which had to wait as long, they say more."""

ECHO = '''
import anywidget
from IPython.display import display

class Echo(anywidget.AnyWidget):
    """Sends numbers to the kernel and back: one under way, the newest one next; below it, a pad that asks nobody."""
    _esm = """
    export default { render({ model, el }) {
        const pad = document.createElement("div");
        pad.className = "echo";
        pad.style = "width: 480px; height: 60px; background: silver; user-select: none";
        let [last, waiting, next] = [0, false, false];
        const send = () => { waiting = true; next = false; model.send({ n: ++last }); };
        pad.addEventListener("pointerdown", event => { pad.setPointerCapture(event.pointerId); send(); });
        pad.addEventListener("pointermove", event => {
            if (!event.buttons) return;
            if (waiting) next = true; else send();
        });
        model.on("msg:custom", ({ n }) => {
            pad.textContent = n;
            pad.dataset.echoed = n;
            waiting = false;
            if (next) send();
        });
        const still = document.createElement("div");
        still.className = "still";
        still.style = "width: 480px; height: 30px; background: silver; user-select: none";
        still.addEventListener("pointerdown", () => { still.textContent = ++last; });
        el.append(pad, still);
    } };
    """

echo = Echo()
echo.on_msg(lambda widget, content, buffers: widget.send(content))
display(echo)
'''

OURS = "from rfwidget import RFWidget\nwidget = RFWidget({model}, {arguments})\nwidget"

IPYMPL = """
%matplotlib widget
import matplotlib.pyplot as plt
import numpy as np
from rfwidget import KerasReceptiveField
from rfwidget.image import default_input
rf = KerasReceptiveField({model})
fields = rf.compute({arguments})
shape = rf.input_shape
image = default_input(shape)
rf.prepare(image)
figure = plt.figure(figsize=(4.8, 4.8))
axes = figure.add_axes((0, 0, 1, 1))
axes.imshow(image / 255)
heat = axes.imshow(np.zeros((shape.h, shape.w)), cmap="coolwarm", vmin=-1, vmax=1, alpha=0.8)

def on_click(event):
    point = [
        min(cells - 1, max(0, round((at + 0.5 - offset) / stride)))
        for at, offset, stride, cells in zip(
            (event.xdata, event.ydata), fields.offset, fields.stride, (rf.output_shape.w, rf.output_shape.h)
        )
    ]
    values = rf.gradient_at(point, image).mean(axis=2)
    heat.set_data(values / np.abs(values).max())
    figure.canvas.draw_idle()

figure.canvas.mpl_connect("button_press_event", on_click)
figure.canvas.header_visible = False
figure.canvas.toolbar_visible = False
plt.show()
"""


class Case(NamedTuple):
    """A network, the side of its image, and offset, stride and number of its cells along each axis."""

    name: str
    model: str
    arguments: str
    side: int
    offset: float
    stride: float
    cells: int


README = Case("README model, 96x96", "readme_model", "input_shape=(96, 96, 3)", 96, 17, 4, 16)
VGG16 = Case(
    "VGG16 up to block3_conv3, 224x224",
    "keras.applications.VGG16(weights=None)",
    "output_layer='block3_conv3'",
    224,
    2,
    4,
    56,
)
MODELS = {README: "from tests.models import readme_model\n", VGG16: "import keras\n"}


class Times(NamedTuple):
    """Milliseconds of many clicks."""

    median: float
    p95: float

    @classmethod
    def of(cls, values: list[float]) -> Times:
        return cls(float(np.median(values)), float(np.percentile(values, 95)))

    def over(self, other: Times) -> str:
        return f"{self.median / other.median:.2f} | {self.p95 / other.p95:.2f}"

    def __str__(self) -> str:
        return f"{self.median:.1f} | {self.p95:.1f}"


class Mouse:
    """The mouse by Chromium's own protocol: Playwright's asks every frame of the page before it moves a pressed one."""

    def __init__(self, page: Page) -> None:
        self._devtools = page.context.new_cdp_session(page)

    def press(self, x: float, y: float) -> None:
        self._send("mousePressed", x, y, pressed=True, clickCount=1)

    def move(self, x: float, y: float, *, pressed: bool = False) -> None:
        self._send("mouseMoved", x, y, pressed=pressed)

    def release(self, x: float, y: float) -> None:
        self._send("mouseReleased", x, y, pressed=False, button="left", clickCount=1)

    def _send(self, kind: str, x: float, y: float, *, pressed: bool, **rest: object) -> None:
        event = {"type": kind, "x": x, "y": y, "buttons": int(pressed), "button": "left" if pressed else "none", **rest}
        self._devtools.send("Input.dispatchMouseEvent", event)


class Target(NamedTuple):
    """Something to click: what is watched, and where its image lies in the window."""

    selector: str
    left: float
    top: float
    width: float


def target(page: Page, canvas: str, area: str) -> Target:
    page.locator(area).first.scroll_into_view_if_needed()
    box = page.locator(area).first.bounding_box()
    assert box is not None  # noqa: S101
    return Target(canvas, box["x"], box["y"], box["width"])


def places(case: Case, image: Target, rng: random.Random, reach: float) -> Iterator[tuple[float, float]]:
    """Where to click: centres of cells, each far from the one before, so that its surroundings held no heat map.

    They are no farther than ``reach`` cells from the central one, around which cells are live first.
    """
    x, scale, middle = 0, image.width / case.side, case.cells // 2
    while True:
        x = rng.choice([k for k in range(case.cells) if abs(k - x) >= APART and abs(k - middle) <= reach])
        y = rng.choice([k for k in range(case.cells) if abs(k - middle) <= reach])
        yield tuple(edge + scale * (case.offset + case.stride * k) for edge, k in ((image.left, x), (image.top, y)))


IN_ONE_FRAME = "() => frontEndBenchmark.frames === 1"


def click(page: Page, selector: str, place: tuple[float, float], pause: float) -> float:
    """Milliseconds from the pointer event to the frame that shows it.

    The press comes from elsewhere with nothing before it: a move would already show the map of a live cell.
    """
    page.wait_for_timeout(pause)
    page.evaluate("([selector, x, y]) => frontEndBenchmark.arm(selector, x, y)", [selector, *place])
    mouse = Mouse(page)
    mouse.press(*place)
    mouse.release(*place)
    return float(page.evaluate("() => frontEndBenchmark.result"))


def interleaved(
    page: Page, case: Case, clicks: int, *, live: bool, reach: float = math.inf
) -> tuple[Times, Times, Times]:
    """Clicks on our widget, on the echo and on the pad, in random order; on cells that are live, or on others."""
    rng = random.Random(case.side)  # noqa: S311
    image, pad = target(page, ".rfwidget-stage > canvas", ".rfwidget-overlay"), target(page, ".echo", ".echo")
    still, image = target(page, ".still", ".still"), target(page, image.selector, ".rfwidget-overlay")
    spots = places(case, image, rng, reach)
    order = ["ours", "echo", "still"] * (clicks + WARM_UP)
    rng.shuffle(order)
    times: dict[str, list[float]] = {"ours": [], "echo": [], "still": []}
    for kind in order:
        pause = rng.uniform(*PAUSE)
        if kind != "ours":
            box = pad if kind == "echo" else still
            times[kind].append(click(page, box.selector, (box.left + 40, box.top + 15), pause))
            continue
        # What is on the screen in the very next frame was there before, for no answer is as fast as that.
        while (took := click(page, image.selector, next(spots), pause)) and not live and page.evaluate(IN_ONE_FRAME):
            pass
        times[kind].append(took)
    ours, echo, frame = (Times.of(times[kind][WARM_UP:]) for kind in ("ours", "echo", "still"))
    return ours, echo, frame


class Followed(NamedTuple):
    """Of the frames in which the pointer had come to another cell, the share that showed that cell's map; and frames a
    second, on this page and on an empty one."""

    share: float
    rate: float
    empty: float


EMPTY_RATE = """async () => {
    const began = performance.now();
    let frames = 0;
    for (; performance.now() - began < 3000; frames++) await new Promise(requestAnimationFrame);
    return 1000 * frames / (performance.now() - began);
}"""


def live_frames(page: Page, case: Case) -> Followed:
    """Move over live cells for a while."""
    browser = page.context.browser
    assert browser is not None  # noqa: S101
    empty = browser.new_page()
    rate = float(empty.evaluate(EMPTY_RATE))
    empty.close()
    page.bring_to_front()
    image = target(page, ".rfwidget-stage > canvas", ".rfwidget-overlay")
    geometry = {"left": image.left, "top": image.top, "width": image.width, "side": case.side}
    cells = {"offset": case.offset, "stride": case.stride, "cells": case.cells}
    page.evaluate("([canvas, where]) => frontEndBenchmark.follow(canvas, where)", [image.selector, geometry | cells])
    mouse, began, k = Mouse(page), time.perf_counter(), 0
    while time.perf_counter() - began < FOLLOW_SECONDS:
        k += 1
        mouse.move(image.left + 5 + 7 * k % (image.width - 10), image.top + 5 + 3 * k % (image.width - 10))
    found = page.evaluate("() => frontEndBenchmark.stopFollowing()")
    took = time.perf_counter() - began
    return Followed(found["live"] / found["frames"], found["drawn"] / took, rate)


def wait_for_live(page: Page, cells: int, seconds: float) -> float:
    """Seconds from the first heat map until so many cells were live."""
    page.wait_for_function("cells => frontEndBenchmark.liveAfter(cells) !== null", arg=cells, timeout=1000 * seconds)
    return float(page.evaluate("cells => frontEndBenchmark.liveAfter(cells)", cells)) / 1000


GRADIENT = """
import time, statistics
def gradient_time():
    rf, view, times = widget.rf, widget.view, []
    for k in range(30):
        begin = time.perf_counter()
        rf.gradient_patch((k % 14, k % 13), view.image, view.channel)
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)
def time_together():
    rf, view, times = widget.rf, widget.view, []
    cells = [(k % 4 + 4, k // 4 + 4) for k in range(16)]
    for k in range(11):
        begin = time.perf_counter()
        list(rf.gradient_patches(cells, view.image, view.channel, at_once=16))
        times.append(time.perf_counter() - begin)
    return 1000 * min(times[1:]) / 16  # the first may be compiled
print(gradient_time(), time_together())
"""

LOOP = """
import time
import numpy as np
def numpy_loop(seconds):
    values, rounds, end = np.random.default_rng(0).normal(size=(300, 300)), 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        np.tanh(values @ values).sum()
        rounds += 1
    return rounds
"""


def slowdown(lab_page: LabPage) -> tuple[float, float]:
    """By how much a loop in a cell of the user's is slower while maps are missing than with live off: the part of its
    rounds that it loses in the first second, which begins with a batch under way, and in the seconds after that."""
    lab_page.execute(LOOP)
    rounds: dict[bool, list[list[int]]] = {True: [], False: []}
    for _ in range(LOOPS):
        for live in (True, False):
            lab_page.execute(f"widget.live = {live}; widget.channel = 0 if widget.channel else 1; widget.wait()")
            lab_page.page.wait_for_timeout(1000)  # maps are being made, if they are
            found = lab_page.execute(f"print(numpy_loop(1), numpy_loop({LOOP_SECONDS - 1}))")
            rounds[live].append([int(word) for word in found.split()])
    lab_page.execute("widget.live = True")
    first, rest = 1 - np.median(rounds[True], axis=0) / np.median(rounds[False], axis=0)
    return float(first), float(rest)


class Dragged(NamedTuple):
    """Cells shown per second of dragging, of so many frames a second; and echoes."""

    shown: float
    frames: float
    echoed: float


def drag_rates(page: Page) -> Dragged:
    """Drag over the widget and over the echo, in turns, with one move a frame."""
    found: dict[str, list[float]] = {"shown": [], "frames": [], "echoed": []}
    mouse = Mouse(page)
    for _ in range(DRAGS):
        for ours, selector, attribute in ((True, ".rfwidget-overlay", "data-painted"), (False, ".echo", "data-echoed")):
            box = target(page, "", selector)
            mouse.move(box.left + 5, box.top + 5)
            mouse.press(box.left + 5, box.top + 5)
            rates = page.evaluate(
                "([selector, name, seconds]) => frontEndBenchmark.drag(selector, name, seconds)",
                [selector, attribute, DRAG_SECONDS],
            )
            mouse.release(box.left + 5, box.top + 5)
            found["shown" if ours else "echoed"].append(rates["shown"])
            if ours:
                found["frames"].append(rates["frames"])
            page.wait_for_timeout(300)
    return Dragged(**{name: float(np.median(values)) for name, values in found.items()})


class Traffic:
    """Counts what goes between page and kernel."""

    def __init__(self, page: Page) -> None:
        self.sent: list[int] = []
        self.received: list[int] = []
        page.on("websocket", self._watch)

    def _watch(self, socket: object) -> None:
        socket.on("framesent", lambda payload: self.sent.append(len(payload)))  # type: ignore[attr-defined]
        socket.on("framereceived", lambda payload: self.received.append(len(payload)))  # type: ignore[attr-defined]

    def clear(self) -> None:
        self.sent.clear()
        self.received.clear()


@contextmanager
def notebook(browser: Browser, server: Server, code: str) -> Iterator[tuple[LabPage, Traffic]]:
    page = browser.new_page(viewport={"width": 1280, "height": 1150})
    traffic, lab_page = Traffic(page), LabPage(page, server)
    lab_page.open(server.add_notebook("benchmark.ipynb", [code]))
    page.evaluate(SCRIPT)
    page.evaluate("() => frontEndBenchmark.watchLive()")
    lab_page.run_all()
    yield lab_page, traffic
    lab_page.shut_down_kernels()
    page.close()


def measure_ours(browser: Browser, server: Server, case: Case, clicks: int) -> tuple[Times, list[str]]:
    code = MODELS[case] + ECHO + OURS.format(model=case.model, arguments=case.arguments)
    cells = case.cells**2
    with notebook(browser, server, code) as (lab_page, traffic):
        page = lab_page.page
        lab_page.overlay()
        within = [(300, wait_for_live(page, 300, 120))] if cells > 300 else []
        # Before all cells are live: clicks on those that are not.
        asked, echo_asked, _ = interleaved(page, case, clicks, live=False) if case is VGG16 else (None, None, None)
        # Of a slow network not all cells are live.
        page.get_by_text(re.compile("cells are live")).first.wait_for(state="attached", timeout=600_000)
        there = int(lab_page.page.locator(".rfwidget-overlay").get_attribute("data-live") or 0)
        within.append((there, wait_for_live(page, there, 1)))
        reach = math.inf if there >= cells else math.sqrt(there) / 2 - 2
        page.evaluate("() => frontEndBenchmark.stopWatching()")
        ours, echo, frame = interleaved(page, case, clicks, live=True, reach=reach)
        gradient, together = map(float, lab_page.execute(GRADIENT).split())
        lines = [
            f"| click on a live cell | {ours} | {ours.over(echo)} |",
            f"| echo | {echo} | 1 | 1 |",
            f"| the next frame | {frame} | {frame.over(echo)} |",
        ]
        if asked is not None and echo_asked is not None:
            both = Times(echo_asked.median + gradient, echo_asked.p95 + gradient)
            lines += [
                f"| click on a cell that is not live yet | {asked} | {asked.over(echo_asked)} |",
                f"| echo between those | {echo_asked} | 1 | 1 |",
                f"| that echo and one gradient | {both} | {both.over(echo_asked)} |",
            ]
        lines.append(f"| one gradient | {gradient:.1f} | | | |")
        lines.append(f"| one of sixteen made together, at best | {together:.1f} | | | |")
        told = ", ".join(f"{some} cells {seconds:.1f} s" for some, seconds in within)
        lines += ["", f"After the first picture were live: {told}."]
        if case is README:
            lines += measure_motion(page, case, traffic)
        else:
            first, rest = slowdown(lab_page)
            lines.append(
                f"A NumPy loop of {LOOP_SECONDS} seconds in a cell beside it, begun while maps are made, is {first:.1%}"
                f" slower than with live off in its first second, and {rest:.1%} in the others."
            )
    return ours, lines


def measure_motion(page: Page, case: Case, traffic: Traffic) -> list[str]:
    dragged = drag_rates(page)
    followed = live_frames(page, case)
    box = target(page, "", ".rfwidget-overlay")
    page.wait_for_timeout(2000)
    traffic.clear()
    for k in range(300):
        page.mouse.move(box.left + 7 * k % box.width, box.top + 3 * k % box.width)
    hovered = len(traffic.sent)
    traffic.clear()
    page.mouse.move(box.left + 100, box.top + 100)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(250)
    return [
        f"Dragging shows {dragged.shown:.1f} cells a second, with one move a frame and {dragged.frames:.1f} frames a"
        f" second; the echo {dragged.echoed:.1f}. The map under the pointer is on the screen"
        f" in {followed.share:.1%} of the frames in which the pointer has come to another cell, at {followed.rate:.0f}"
        f" frames a second where an empty page has {followed.empty:.0f}. A mouse that hovers over live"
        f" cells (300 moves) sends {hovered} messages. A click sends {sum(traffic.sent)} bytes and receives"
        f" {sum(traffic.received)}.",
    ]


def measure_ipympl(browser: Browser, server: Server, case: Case, clicks: int) -> Times | None:
    """Clicks on a figure of ipympl's; None where it is not installed, and no canvas would ever come."""
    if find_spec("ipympl") is None:
        return None
    with notebook(browser, server, MODELS[case] + IPYMPL.format(**case._asdict())) as (lab_page, _):
        page, canvas = lab_page.page, ".jupyter-matplotlib-canvas-container canvas"
        page.locator(canvas).first.wait_for(timeout=PATIENCE)
        lab_page.wait_for_kernel()
        image, rng = target(page, canvas, canvas), random.Random(1)  # noqa: S311
        spots = places(case, image, rng, math.inf)
        times = [click(page, canvas, next(spots), rng.uniform(*PAUSE)) for _ in range(clicks + WARM_UP)]
    return Times.of(times[WARM_UP:])


def main() -> int:
    """Measure, print, and write the note."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=0, help="of each kind; 0: 150, and write the note")
    parser.add_argument("--write", action="store_true", help="write the note also after a shorter run")
    arguments = parser.parse_args()
    clicks = arguments.clicks or 150
    lines = [f"Of {clicks} clicks of each kind; a third as many on ipympl.", ""]
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        serve_lab(Path(folder)) as server,
    ):
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("RFWIDGET_CHROMIUM") or None, args=["--no-sandbox", "--disable-gpu"]
        )
        for case in MODELS:
            ours, table = measure_ours(browser, server, case, clicks)
            theirs = measure_ipympl(browser, server, case, clicks // 3)
            table.insert(3, f"| ipympl, in a run of its own | {theirs or 'not installed |'} | | |")
            head = "| | median (ms) | p95 (ms) | median, in echoes | p95, in echoes |\n| --- | --- | --- | --- | --- |"
            lines += [f"## {case.name}", "", head, *table, ""]
            if theirs is not None:
                lines += [f"On live cells the widget is {theirs.median / ours.median:.1f} times as fast as ipympl.", ""]
        browser.close()
    sizes = ", ".join(f"`{path.name}` {len(gzip.compress(path.read_bytes())) / 1000:.1f} kB" for path in OVERLAY)
    lines += [f"The browser side, gzipped: {sizes}.", "", f"{describe_machine()}."]
    if os.getloadavg()[0] > BUSY * (os.cpu_count() or 1):
        lines += ["", WARNING]
    print("\n".join(lines))
    if arguments.write or not arguments.clicks:
        NOTE.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
