"""Widgets come and go: nothing of them stays, neither objects nor threads nor memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import tracemalloc
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import all_ended, parts, worker_threads

CYCLES = 100
SHAPE = (24, 30, 3)


def live() -> list[weakref.ref[Any]]:
    """One whole life: measured, clicked, restyled, painted, closed; references to all that must die."""
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert widget.wait(20)
    widget.selected = (1, 1)
    widget.show_naive = True
    widget.output_layer = "tall"
    assert widget.wait(20)
    with tempfile.TemporaryDirectory() as folder:
        widget.save_png(Path(folder) / "rf.png")
    threads, seen = worker_threads(), [weakref.ref(part) for part in (*parts(widget), widget.rf)]
    widget.close()
    assert all_ended(threads)
    return seen


def alive() -> Counter[str]:
    """Objects of ours, whoever holds them."""
    return Counter(
        type(thing).__qualname__ for thing in gc.get_objects() if str(type(thing).__module__).startswith("rfwidget.")
    )


def test_after_a_hundred_lives_nothing_is_left(capfd: Any) -> None:
    live()
    gc.collect()
    registry = ipywidgets.widgets.widget._instances
    known, running = len(registry), len(worker_threads())
    ours = alive()
    seen = [reference for _ in range(CYCLES) for reference in live()]
    gc.collect()
    assert sum(reference() is not None for reference in seen) == 0
    assert not alive() - ours  # what earlier tests have left may have gone meanwhile
    assert len(worker_threads()) == running
    assert len(registry) == known
    assert capfd.readouterr().err == ""


def test_memory_is_flat_over_many_lives() -> None:
    used = []
    tracemalloc.start()
    try:
        for _ in range(3):
            for _ in range(20):
                live()
            gc.collect()
            used.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # What leaks, leaks in every life; what others fill once (caches), they fill in one of the rounds.
    assert min(used[1] - used[0], used[2] - used[1]) < 20 * 1_000, f"{used} bytes after 20, 40 and 60 lives"


def test_a_refused_constructor_leaves_no_thread_and_no_widget() -> None:
    gc.collect()
    registry = ipywidgets.widgets.widget._instances
    known, running = len(registry), len(worker_threads())
    for _ in range(10):
        try:
            RFWidget(BoxReceptiveField(), input_shape=SHAPE, selected="no cell")
        except ValueError:
            continue
        raise AssertionError("it was not refused")
    gc.collect()
    assert len(worker_threads()) == running
    assert len(registry) == known


OPEN = """
import ctypes, gc
from collections import Counter
from pathlib import Path
import keras
from rfwidget import RFWidget
from tests.widget.live_page import all_ended, worker_threads

def held():
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what has been freed goes back to the system
    kinds = Counter(type(thing).__name__ for thing in gc.get_objects())
    return kinds["FuncGraph"], kinds["Operation"], int(Path("/proc/self/statm").read_text().split()[1]) * 4096

model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(64, 96, 3))

def opened(count):
    others, shown = worker_threads(), []
    for _ in range(count):
        widget = RFWidget(model, output_layer="block4_conv3", image="rings")
        assert widget.wait(120, background=True), widget.error
        shown.append(widget)
    working = held()
    for widget in shown:
        widget._engine.worker._rest = 0.01
        widget.selected = (1, 2)
        assert widget.wait(60, background=True)
    assert all_ended(worker_threads() - others)
    return shown, working

first = opened(2)  # what is loaded and cached once
shown, working = opened(8)
idle = held()
shown[3].selected = (3, 1)
assert shown[3].wait(60) and shown[3].gradient.any()
print(*working, *idle)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_widgets_that_nobody_touches_give_back_what_they_have_compiled() -> None:
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    graphs, operations, working, idle_graphs, idle_operations, idle = map(int, done.stdout.split())
    assert graphs >= 8, "a graph of TensorFlow's for each widget at work"
    assert operations > 8 * 50
    assert (idle_graphs, idle_operations) == (0, 0)
    assert idle < working
