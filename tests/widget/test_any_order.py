"""Whatever is done to a widget in whatever order: what it shows in the end is what was asked for last.

A random sequence of trait changes, clicks, refused values, errors of the model and waiting runs against the widget and
against the few lines here that say what must then be shown. The framework is that of tests/box_filter.py, whose
gradients have a closed form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.network import Patch
from rfwidget.types import GridPoint
from tests.box_filter import BoxNetwork, BoxReceptiveField
from tests.widget.live_page import LivePage, all_ended, worker_threads

SHAPES = [(24, 30, 3), (26, 21, 3)]
OWN = [np.arange(h * w * 3, dtype=np.uint32).reshape(h, w, 3) % 251 for h, w, _ in SHAPES]
CELLS = st.tuples(st.integers(0, 27), st.integers(0, 11))
STYLES = {"channel": [None, 0, 2], "colormap": [None, "viridis", "gray"], "signed": [True, False]}
SWITCHES = ["show_heat", "show_dots", "show_rectangles", "show_naive"]
REFUSED = [
    *(("selected", value) for value in [(-1, 0), (99, 0), "ab", (0.5, 0)]),
    *(("output_layer", value) for value in ["none", 3, ""]),
    *(("channel", value) for value in [3, -1, 0.5]),
    *(("colormap", value) for value in ["none", 3]),
    *(("image", value) for value in ["lena", np.zeros(3), [[None]]]),
    *(("heat_opacity", value) for value in [2, "x", float("nan")]),
    *((name, "perhaps") for name in SWITCHES),
]


class Moody(BoxNetwork):
    """A network that fails while its estimator says so."""

    owner: MoodyReceptiveField

    def gradient(self, image: Any, point: GridPoint, channel: int | None) -> Patch:
        if self.owner.fails:
            raise RuntimeError("out of cheese")
        return super().gradient(image, point, channel)


class MoodyReceptiveField(BoxReceptiveField):
    fails = False

    def default_input_shape(self) -> tuple[int, int, int]:
        return SHAPES[0]

    def _build(self, *arguments: Any, **options: Any) -> BoxNetwork:
        network = super()._build(*arguments, **options)
        network.__class__ = Moody
        network.owner = self  # type: ignore[attr-defined]
        return network


class AnyOrder(RuleBasedStateMachine):
    """What is done, and what must be shown."""

    @initialize()
    def open(self) -> None:
        self.rf = MoodyReceptiveField()
        self.widget = RFWidget(self.rf)
        self.page = LivePage(self.widget)
        self.layer, self.shape = "wide", self.rf.default_input_shape()
        self.style: dict[str, Any] = {"channel": None, "colormap": None, "signed": False}
        self.seq = 0
        self.closed = False
        self.failing = False
        # The cell that must be shown; "somewhere" after a change of layer or image, until it is known.
        self.cell: Any = "somewhere"
        # The cell whose gradient is known, which a failure does not take away; nothing is known of another view.
        self.answered: GridPoint | None = None
        self.settle()

    def settle(self) -> None:
        assert self.widget.wait(20), "it hangs"
        if self.cell == "somewhere":
            self.cell = self.widget.selected
        if self.cell is not None and not self.failing:
            self.answered = self.cell

    def asked(self) -> None:
        """A cell has been asked for: if the model fails now, that must be seen."""
        self.failing = self.rf.fails and self.cell is not None

    @precondition(lambda self: not self.closed)
    @rule(cell=CELLS, old=st.booleans())
    def click(self, cell: tuple[int, int], old: bool) -> None:
        self.settle()
        self.seq += 1
        grid, revision = self.page.state.grid, self.page.state.revision
        self.page.request(*cell, seq=self.seq, revision=revision - old)
        inside = cell[0] < grid[0] and cell[1] < grid[1]
        kinds = [kind for kind, _ in self.page.told(self.seq)]
        assert (kinds[:1] == ["superseded"]) == (old or not inside)
        if inside and not old:
            assert kinds, "the page is left without a word"
            self.cell = GridPoint(*cell)
            self.asked()

    @precondition(lambda self: not self.closed)
    @rule(cells=st.lists(CELLS, min_size=2, max_size=6))
    def drag(self, cells: list[tuple[int, int]]) -> None:
        for cell in cells:
            grid = self.page.state.grid
            self.click((cell[0] % grid[0], cell[1] % grid[1]), old=False)

    @precondition(lambda self: not self.closed)
    @rule(cell=st.none() | CELLS)
    def select(self, cell: tuple[int, int] | None) -> None:
        self.settle()
        grid = self.page.state.grid
        wanted = None if cell is None else GridPoint(cell[0] % grid[0], cell[1] % grid[1])
        changes = wanted != self.cell
        self.cell = self.widget.selected = wanted
        if changes and wanted is not None:  # to select nothing asks nothing, and takes no message away
            self.asked()

    @precondition(lambda self: not self.closed)
    @rule(layers=st.lists(st.sampled_from(["wide", "tall"]), min_size=1, max_size=3))
    def choose_layers(self, layers: list[str]) -> None:
        self.settle()
        had_cell = self.cell is not None
        for layer in layers:
            self.widget.output_layer = layer
        if set(layers) != {self.layer}:
            self.cell = "somewhere" if had_cell else None
            self.answered = None
            self.asked()
        self.layer = layers[-1]

    @precondition(lambda self: not self.closed)
    @rule(name=st.sampled_from(list(STYLES)), place=st.integers(0, 2))
    def choose_style(self, name: str, place: int) -> None:
        value = STYLES[name][place % len(STYLES[name])]
        if name == "channel" and value != self.style[name]:  # colours need no other gradient
            self.settle()
            self.answered = None
            self.asked()
        self.style[name] = value
        setattr(self.widget, name, value)

    @precondition(lambda self: not self.closed)
    @rule(image=st.sampled_from(["rings", "text", 0, 1]))
    def choose_image(self, image: str | int) -> None:
        self.settle()
        if isinstance(image, str):
            if isinstance(self.widget.image, str) and self.widget.image == image:
                return  # no change, so nothing is asked
            self.widget.image = image
        else:
            self.widget.image = OWN[image]
            self.shape = SHAPES[image]
        self.cell = "somewhere" if self.cell is not None else None
        self.answered = None
        self.asked()
        self.settle()

    @precondition(lambda self: not self.closed)
    @rule(name=st.sampled_from(SWITCHES), opacity=st.floats(0, 1))
    def switch(self, name: str, opacity: float) -> None:
        setattr(self.widget, name, not getattr(self.widget, name))
        self.widget.heat_opacity = opacity
        assert self.page.state.heat_opacity == opacity
        assert self.page.state.show_heat == self.widget.show_heat

    @precondition(lambda self: not self.closed)
    @rule(choice=st.sampled_from(REFUSED))
    def refuse(self, choice: tuple[str, Any]) -> None:
        name, value = choice
        before = getattr(self.widget, name)
        with pytest.raises(ReceptiveFieldError):
            setattr(self.widget, name, value)
        assert getattr(self.widget, name) is before

    @precondition(lambda self: not self.closed)
    @rule()
    def break_or_mend(self) -> None:
        self.settle()
        self.rf.fails = not self.rf.fails

    @precondition(lambda self: not self.closed)
    @rule()
    def look(self) -> None:
        self.settle()
        widget, overlay = self.widget, self.page.state
        assert (widget.output_layer, overlay.layer) == (self.layer, self.layer)
        assert {name: getattr(widget, name) for name in STYLES} == self.style
        assert widget.selected == self.cell
        assert self.page.cell == (None if self.cell is None else list(self.cell))
        assert overlay.image_size == [self.shape[1], self.shape[0]]
        assert overlay.progress == -1
        serials = [content["serial"] for content in self.page.got("answer", "failure")]
        assert serials == sorted(set(serials)), "an older answer after a newer one"
        if self.failing:
            assert overlay.state == "error"
            assert "out of cheese" in overlay.error["message"]
        else:
            assert (overlay.state, overlay.error) == ("ready", None)
        if self.cell is None or self.cell != self.answered:
            assert widget.gradient is None
            return
        box, stride = BoxReceptiveField.LAYERS[self.layer]
        left, top = int(self.cell.x * stride.w), int(self.cell.y * stride.h)
        expected = np.zeros(self.shape)
        channel = self.style["channel"]
        part = expected[top : top + int(box.h), left : left + int(box.w)]
        part[:, :, slice(None) if channel is None else channel] = 1 / (box.w * box.h * (3 if channel is None else 1))
        np.testing.assert_allclose(widget.gradient, expected, rtol=1e-5)
        if self.failing:
            return
        last = next(reversed(self.page.got("answer")), None)
        if last is not None:
            assert (last["cell"], last["revision"]) == (list(self.cell), overlay.revision)
            assert last["box"] == [left, top, left + box.w, top + box.h]

    @precondition(lambda self: not self.closed)
    @rule(often=st.integers(0, 9))
    def close(self, often: int) -> None:
        if often:  # mostly the show goes on
            return
        self.closed = True
        threads = worker_threads()
        self.widget.close()
        assert all_ended(threads)

    @precondition(lambda self: self.closed)
    @rule(cell=CELLS)
    def a_closed_widget_keeps_quiet(self, cell: tuple[int, int]) -> None:
        self.page.messages.clear()
        self.widget.show_dots = not self.widget.show_dots
        self.page.request(*cell, seq=99)
        assert self.widget.wait(1)
        assert {content["kind"] for content, _ in self.page.messages} <= {"ack", "superseded"}

    def teardown(self) -> None:
        if "widget" in self.__dict__:
            if not self.closed:
                self.look()
            self.widget.close()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking a failure takes minutes; add Phase.shrink to see a short one
    suppress_health_check=list(HealthCheck),
)
