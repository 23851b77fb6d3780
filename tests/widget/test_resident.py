"""Gradient maps that pages hold before anybody asks: made when somebody looks, nearest first, and in nobody's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from rfwidget import RFWidget
from rfwidget.network import Patch
from rfwidget.types import GridPoint, Size
from rfwidget.widget import notebook, resident
from rfwidget.widget import rf_widget as module
from rfwidget.widget.heat import levels_of
from rfwidget.widget.resident import nearest_first, plan
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import LivePage, all_ended, worker_threads

CELLS = 14 * 18


@pytest.fixture
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), selected=(3, 4))
    assert made.wait(20, background=True)
    yield made
    made.close()


@pytest.fixture
def page(widget: RFWidget) -> LivePage:
    return LivePage(widget)


def hint(
    page: LivePage, *cell: int, came: int = 0, near: bool = False, shown: bool = True, client: str = "page"
) -> None:
    about = {"client": client, "revision": page.state.revision, "cell": list(cell)}
    page.tell(kind="hint", **about, came=came, near=near, shown=shown)


def maps(page: LivePage) -> list[tuple[tuple[int, ...], dict[str, Any], bytes]]:
    """Cell, head and bytes of each map that has come, in their order."""
    found = []
    for content, buffers in page.messages:
        if content["kind"] != "maps":
            continue
        assert content["revision"] == page.state.revision
        start = 0
        for head in content["maps"]:
            left, top, right, bottom = head["box"]
            size = (right - left) * (bottom - top) // head["step"] ** 2
            found.append((tuple(head["cell"]), head, bytes(buffers[0])[start : start + size]))
            start += size
        assert start == len(buffers[0])
    return found


def test_nothing_is_made_before_a_page_looks(widget: RFWidget, page: LivePage) -> None:
    assert page.state.live_cells == CELLS
    time.sleep(0.3)
    assert widget.wait(20, background=True)
    assert page.got("maps") == []


def test_all_cells_come_the_nearest_first_each_with_its_own_map(widget: RFWidget, page: LivePage) -> None:
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    found = maps(page)
    away = [(x - 10) ** 2 + (y - 2) ** 2 for (x, y), _, _ in found]
    assert away == sorted(away)
    assert {cell for cell, _, _ in found} == {(x, y) for x in range(14) for y in range(18)}
    for cell, head, content in found[:: CELLS // 7]:
        levels = levels_of(widget.rf.gradient_patch(cell))
        assert (tuple(head["box"]), head["full"], head["weight"]) == (levels.box, levels.full, levels.weight)
        assert content == levels.values.tobytes()
    assert len(page.got("maps")) < CELLS / 4, "many travel together"


def test_what_has_been_sent_is_not_sent_again_unless_it_was_lost(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    hint(page, 3, 3, came=CELLS)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == CELLS
    monkeypatch.setattr(resident, "_LOST", -1.0)
    with_gradients(widget, monkeypatch, lambda _: pytest.fail("what is there is not made again"))
    hint(page, 3, 3, came=CELLS - 1)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == 2 * CELLS


def test_another_page_gets_what_is_there_without_another_gradient(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    with_gradients(widget, monkeypatch, lambda _: pytest.fail("what is there is not made again"))
    page.messages.clear()
    hint(page, 0, 0, client="other")
    assert widget.wait(20, background=True)
    assert len(maps(page)) == CELLS


ONE = 12 * 6 + resident._OVERHEAD
"""Bytes of a map on its way."""


def test_no_more_is_sent_ahead_than_a_limit_until_a_page_tells_that_some_has_come(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, many in (("_AHEAD", 30), ("_AHEAD_LEAST", 8), ("_AHEAD_MOST", 60)):
        monkeypatch.setattr(resident, name, many * ONE)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    first = len(maps(page))
    assert 30 <= first < 30 + max(resident._BATCHES)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == first
    rounds = 0
    while (came := len(maps(page))) < CELLS:
        rounds += 1
        assert rounds < CELLS / 8
        hint(page, 10, 2, came=came)
        assert widget.wait(20, background=True)
        assert came < len(maps(page)) < came + 60 + max(resident._BATCHES)
    cells = [cell for cell, _, _ in maps(page)]
    assert len(cells) == len(set(cells)) == CELLS


def test_the_slowest_page_that_looks_sets_the_pace_and_one_that_does_not_look_sets_none(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_AHEAD", "_AHEAD_LEAST", "_AHEAD_MOST"):
        monkeypatch.setattr(resident, name, 30 * ONE)
    hint(page, 10, 2)
    hint(page, 10, 2, client="slow")
    assert widget.wait(20, background=True)
    sent = len(maps(page))
    hint(page, 10, 2, came=sent)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == sent < CELLS
    hint(page, 10, 2, client="slow", shown=False)
    hint(page, 10, 2, came=sent)
    assert widget.wait(20, background=True)
    assert len(maps(page)) > sent


def test_over_a_slow_connection_nothing_is_lost_as_long_as_something_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told, size = [100.0], 500, 1000.0
    monkeypatch.setattr(resident, "time", SimpleNamespace(monotonic=lambda: now[0]))
    slow = resident._Page(told=0, came=0)
    for came in range(0, 100, 5):
        now[0] += 1
        slow.hear(came, told, size)
        assert not slow.forget_lost(told, sent_at=100.0)
    assert slow.on_its_way(told) == 405
    assert not slow.has_room(told, size)
    assert slow.has_room(120, size), "what comes in two rounds may be on its way, but not less than the least"
    assert not slow.has_room(95 + 66, size)
    now[0] += resident._LOST + 1
    slow.hear(95, told, size)
    assert slow.forget_lost(told, sent_at=100.0)
    assert slow.on_its_way(told) == 0
    assert not slow.forget_lost(told, sent_at=100.0)


@pytest.mark.parametrize("near", [False, True])
def test_batches_are_larger_while_no_click_is_near(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch, near: bool
) -> None:
    made: list[int] = []
    patches = resident.heat_patches

    def slowly(rf: Any, view: Any, cells: Any, at_once: int) -> list[Patch]:
        made.append(at_once)
        time.sleep(0.01 * len(cells))
        return patches(rf, view, cells, at_once=at_once)

    monkeypatch.setattr(resident, "heat_patches", slowly)
    monkeypatch.setattr(resident, "_CALM", 10.0)  # also on a machine that is busy with other things
    monkeypatch.setattr(resident, "LEASE", 60.0)
    hint(page, 10, 2, near=near)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == CELLS
    assert (max(made) < 16) == near


def test_a_click_that_has_been_tells_that_another_is_near(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[bool] = []
    batch = resident.Pace.batch
    monkeypatch.setattr(resident.Pace, "batch", lambda pace, *, calm: noted.append(calm) or batch(pace, calm=calm))
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert noted
    assert all(noted)
    widget.channel = 1
    assert widget.wait(20, background=True)
    noted.clear()
    page.request(1, 1)
    assert widget.wait(20)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert noted
    assert not any(noted)


def with_gradients(widget: RFWidget, monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    gradient = widget.rf.network.gradient

    def changed(*call: Any) -> Patch:
        change(call[1])
        return gradient(*call)

    monkeypatch.setattr(widget.rf.network, "gradient", changed)


def test_a_click_waits_for_one_batch_at_most(widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[GridPoint] = []
    asked = threading.Event()

    def note(cell: GridPoint) -> None:
        made.append(cell)
        if len(made) == 40:
            asked.set()
            time.sleep(0.2)  # the click comes while this batch is made

    with_gradients(widget, monkeypatch, note)
    hint(page, 10, 2)
    assert asked.wait(20)
    begun = len(made)
    page.request(0, 17)
    assert widget.wait(20)
    place = made.index(GridPoint(0, 17))
    assert place - begun < max(resident._BATCHES)
    assert widget.wait(20, background=True)
    assert {cell for cell, _, _ in maps(page)} | {(0, 17)} >= {(x, y) for x in range(14) for y in range(18)}


def test_a_batch_of_a_slow_network_is_one_map_and_a_very_slow_one_makes_none(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "_SLOWEST", 0.005)
    with_gradients(widget, monkeypatch, lambda _: time.sleep(0.01))
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert 1 <= len(maps(page)) <= 8
    assert widget.wait(20)
    assert page.state.live_cells == 0


def test_of_a_network_that_takes_long_for_all_cells_only_the_nearest_are_made(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "_WORK", 0.3)
    with_gradients(widget, monkeypatch, lambda _: time.sleep(0.01))
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert page.state.live_cells < 31
    assert 5 <= len(maps(page)) < CELLS / 2


def test_a_page_that_nobody_can_see_ends_it_at_once_and_so_does_silence(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    with_gradients(widget, monkeypatch, lambda _: gate.wait(20))
    hint(page, 10, 2)
    hint(page, 10, 2, shown=False)
    gate.set()
    assert widget.wait(20, background=True)
    assert len(maps(page)) <= 1
    monkeypatch.setattr(resident, "LEASE", -1.0)  # as if a page had told of itself long ago
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert len(maps(page)) <= 1


def test_nothing_is_made_while_a_cell_of_the_notebook_runs(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook._CELLS, "running", 1)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert page.got("maps") == []
    monkeypatch.setattr(notebook._CELLS, "running", 0)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == CELLS


def test_closing_ends_it(widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, begun = worker_threads(), threading.Event()
    with_gradients(widget, monkeypatch, lambda _: (begun.set(), time.sleep(0.01)))
    hint(page, 10, 2)
    assert begun.wait(20)
    threads = worker_threads() | threads
    widget.close()
    assert all_ended(threads)
    assert len(maps(page)) < CELLS


def test_off_makes_nothing_and_on_again_makes_all(widget: RFWidget, page: LivePage) -> None:
    widget.live = False
    assert page.state.live_cells == 0
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert page.got("maps") == []
    page.tell(kind="set", name="live", value=True)
    assert (widget.live, page.state.live_cells) == (True, CELLS)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == CELLS


def test_another_channel_begins_anew_and_other_colours_do_not(widget: RFWidget, page: LivePage) -> None:
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    revision, rgba = page.state.revision, page.overlay.palette["rgba"]
    page.messages.clear()
    widget.signed, widget.heat_scale, widget.colormap = True, "log", "PiYG"
    assert widget.wait(20, background=True)
    assert (page.state.revision, page.messages) == (revision, [])
    assert page.overlay.palette["rgba"] != rgba
    widget.channel = 1
    assert widget.wait(20, background=True)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert page.state.revision > revision
    assert len(maps(page)) == CELLS


def test_a_hint_of_another_revision_or_beyond_the_grid_does_no_harm(widget: RFWidget, page: LivePage) -> None:
    page.tell(kind="hint", client="page", revision=99, cell=[1, 1], came=0, near=True, shown=True)
    assert widget.wait(20, background=True)
    assert page.got("maps") == []
    hint(page, 10**6, 10**6)
    assert widget.wait(20, background=True)
    assert maps(page)[0][0] == (13, 17)


def test_a_page_that_has_lost_the_news_of_a_view_is_told_again(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = page.state.revision
    widget.channel = 1
    assert widget.wait(20, background=True)
    new, page.state.revision = page.state.revision, old
    answers = len(page.got("answer"))
    hint(page, 1, 1)
    assert widget.wait(20, background=True)
    assert page.state.revision == old, "it may still be on its way"
    monkeypatch.setattr(module, "_LOST", 0.0)
    hint(page, 1, 1)
    assert widget.wait(20, background=True)
    assert page.state.revision == new
    assert len(page.got("answer")) == answers + 1


def test_errors_wait_for_somebody_who_asks(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with_gradients(widget, monkeypatch, lambda _: 1 // 0)
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert (page.state.live_cells, page.state.state, page.got("maps")) == (0, "ready", [])
    assert "Traceback" not in capfd.readouterr().err
    page.request(1, 1)
    assert widget.wait(20)
    assert page.state.state == "error"
    monkeypatch.undo()
    page.request(1, 1, seq=2)
    assert widget.wait(20)
    assert (page.state.live_cells, page.state.state) == (CELLS, "ready")
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert len(maps(page)) >= CELLS - 1


def test_when_a_cell_of_the_notebook_has_changed_the_weights_everything_is_shown_anew(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    revision = page.state.revision
    end_of_cell()
    assert widget.wait(20, background=True)
    assert page.state.revision == revision
    monkeypatch.setattr(widget.rf.network, "weights_mark", lambda: 7)
    end_of_cell()
    assert widget.wait(20, background=True)
    assert widget.wait(20, background=True)
    assert page.state.revision == revision + 1
    page.messages.clear()
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    assert len(maps(page)) == CELLS


def test_a_page_that_asks_while_a_cell_runs_is_told_to_rest_and_gets_its_maps_when_the_cell_has_ended(
    widget: RFWidget, page: LivePage
) -> None:
    notebook._CELLS._begin(None)
    try:
        for _ in range(3):
            hint(page, 10, 2)
        assert widget.wait(20, background=True)
        assert {content["on"] for content in page.got("pause")} == {True}
        assert maps(page) == []
    finally:
        notebook._CELLS._end(None)
    assert widget.wait(20, background=True)
    assert page.got("pause")[-1]["on"] is False
    assert len(maps(page)) == CELLS
    page.messages.clear()
    end_of_cell()
    assert page.got("pause") == [], "no page has asked since"


def test_how_long_maps_take_is_known_of_a_layer_whatever_its_image_and_channel(widget: RFWidget) -> None:
    residents = widget._engine._residents
    first = residents._pace
    first.note(1, 0.01)
    widget.channel = 1
    widget.image = np.zeros((40, 64, 3), np.uint8)
    assert widget.wait(20, background=True)
    assert residents._pace is first
    view = widget.view
    assert view is not None
    for other in (view._replace(layer="another"), view._replace(heat="attention")):
        before = residents._pace
        residents.show(other, resident.Plan(3))
        assert residents._pace is not before


def end_of_cell() -> None:
    notebook._CELLS._begin(None)
    notebook._CELLS._end(None)


def test_cells_are_counted_by_the_events_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell()
    cells = notebook._Cells()
    monkeypatch.setattr(notebook, "get_ipython", lambda: shell)
    monkeypatch.setattr(notebook, "_CELLS", cells)
    heard: list[int] = []
    shell.push({"run": lambda: notebook.cell_runs()})

    shell.push({"attach": lambda: heard.append(notebook.CellListener(lambda: heard.append(2)) and 1)})
    shell.run_cell("attach(); inside = run()")  # listened to from within a cell that has begun before
    assert (shell.user_ns["inside"], notebook.cell_runs()) == (True, False)
    listener = notebook.CellListener(lambda: heard.append(3))
    shell.run_cell("inside = run(); 1 / 0")
    assert (shell.user_ns["inside"], notebook.cell_runs(), heard[-1]) == (True, False, 3)
    shell.run_cell("get_ipython().run_cell('pass'); inside = run()")  # one within the other
    assert (shell.user_ns["inside"], notebook.cell_runs()) == (True, False)
    del listener
    shell.run_cell("pass")
    assert heard.count(3) == 2


def test_a_small_budget_holds_coarse_maps_and_a_smaller_one_fewer(widget: RFWidget, page: LivePage) -> None:
    view = widget.view
    assert view is not None
    one = 12 * 6 + resident._OVERHEAD
    assert plan(view, CELLS * one) == (CELLS, 1)
    assert plan(view, CELLS * one - 1).step == 2
    few = plan(view, 10_000)
    assert few.step == 2
    assert 0 < few.cells < CELLS
    assert plan(view, 0).cells == 0
    assert page.state.live_cells == CELLS


def test_coarse_maps_travel_as_such_and_an_answer_is_exact(
    page: LivePage, widget: RFWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "_OVERHEAD", 10**5)
    widget.live_budget = 1
    assert 0 < page.state.live_cells < 11
    hint(page, 10, 2)
    assert widget.wait(20, background=True)
    found = maps(page)
    assert len(found) == page.state.live_cells
    assert {head["step"] for _, head, _ in found} == {2}
    page.request(10, 2)
    assert widget.wait(20)
    assert page.got("answer")[-1]["step"] == 1


@pytest.mark.parametrize("budget", [-1, 5000, 1.5, "many", None])
def test_a_budget_that_is_none_is_refused(widget: RFWidget, budget: Any) -> None:
    with pytest.raises(ValueError, match="live_budget"):
        widget.live_budget = budget


@pytest.mark.parametrize(("w", "h"), [(5, 3), (40, 7), (1, 300), (300, 2), (200, 150)])
@pytest.mark.parametrize("most", [1, 30, 2000])
def test_the_nearest_cells_are_the_nearest_wherever_the_pointer_is(w: int, h: int, most: int) -> None:
    for x, y in ((0, 0), (w - 1, h - 1), (w // 2, h // 3)):
        found = nearest_first(Size(w, h), GridPoint(x, y), most)
        away = np.sort(((np.arange(w) - x) ** 2)[None] + ((np.arange(h) - y) ** 2)[:, None], axis=None)[:most]
        assert [(cell.x - x) ** 2 + (cell.y - y) ** 2 for cell in found] == away.tolist()
        assert len(set(found)) == len(found)
