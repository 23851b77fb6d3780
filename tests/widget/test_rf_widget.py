"""RFWidget in Python, without a browser, over a small framework of our own."""

from __future__ import annotations

import _thread
import asyncio
import gc
import io
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.network import Patch
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget import engine
from rfwidget.widget.saved_output import SavedOutput
from rfwidget.widget.scene import Margin, StageLayout
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import LivePage, all_ended, worker_threads

SHAPE = (40, 64, 3)
YELLOW = (255, 225, 77)
BARE: dict[str, Any] = {"selected": (7, 9), "show_dots": False, "show_rectangles": False, "spotlight": False}


@pytest.fixture
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert made.wait(60, background=True)
    yield made
    made.close()


@pytest.fixture
def bare() -> Iterator[RFWidget]:
    """A widget with nothing but the gradient map on its picture."""
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE, **BARE)
    assert made.wait(60, background=True)
    yield made
    made.close()


@pytest.fixture
def page(widget: RFWidget) -> LivePage:
    return LivePage(widget)


def layout_of(page: LivePage) -> StageLayout:
    """Where the image is on the page's stage."""
    state = page.state
    return StageLayout(Size(*state.image_size), state.scale, Margin(*state.margin))


def picture(widget: RFWidget) -> npt.NDArray[np.int_]:
    """The image with all marks, the part of the saved picture that this is about."""
    return np.asarray(Image.open(io.BytesIO(widget._picture()())), int)


def changed(before: npt.NDArray[np.int_], widget: RFWidget) -> tuple[float, ...]:
    """Box of the image around all that has changed, in its pixels."""
    rows, columns = np.nonzero(np.any(picture(widget) != before, axis=2))
    layout = layout_of(LivePage(widget))
    edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    corner = (*layout.margin[:2], *layout.margin[:2])
    return tuple((edge / 2 - at) / layout.scale for edge, at in zip(edges, corner, strict=True))


def test_it_shows_the_central_cell_at_first(widget: RFWidget, page: LivePage) -> None:
    assert widget.selected == GridPoint(7, 9)
    assert widget.output_layer == "wide"
    assert widget.rf_params is not None
    assert widget.rf_params.size == Size(12, 6)
    np.testing.assert_array_equal(widget.gradient, widget.rf.gradient_at((7, 9)))
    assert page.state.grid == [14, 18]
    assert page.state.state == "ready"


def test_setting_the_cell_in_python_shows_it_in_the_browser(widget: RFWidget, page: LivePage) -> None:
    widget.selected = (2, 3)
    assert widget.wait(20)
    assert page.state.selected == [2, 3]
    np.testing.assert_array_equal(widget.gradient, widget.rf.gradient_at((2, 3)))
    last = page.got("answer")[-1]
    assert last["cell"] == [2, 3]
    assert last["box"] == [8, 6, 20, 12]
    assert last["client"] == ""


def test_a_request_is_answered_at_once_and_sets_the_cell(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_MOMENT", 20)
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "selected")
    page.request(4, 5, seq=7)
    assert widget.wait(20)
    assert widget.selected == GridPoint(4, 5) == seen[-1]
    kinds = page.told()
    assert kinds == [("answer", 7)]
    content, (levels,) = next((c, b) for c, b in page.messages if c["kind"] == "answer" and c["seq"] == 7)
    left, top, right, bottom = content["box"]
    assert len(levels) == (right - left) * (bottom - top)


def test_a_request_that_takes_long_is_acknowledged_first(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert widget.wait(20, background=True)
    release, gradient = threading.Event(), widget.rf.network.gradient

    def slow(*arguments: Any) -> Patch:
        assert release.wait(20)
        return gradient(*arguments)

    monkeypatch.setattr(widget.rf.network, "gradient", slow)
    page.request(4, 5, seq=7)
    assert page.told() == [("ack", 7)]
    page.request(5, 5, seq=8)
    page.request(6, 5, seq=9)
    release.set()
    assert widget.wait(20)
    kinds = page.told()
    assert sorted(kinds) == [("ack", 7), ("ack", 8), ("ack", 9), ("answer", 7), ("answer", 9), ("superseded", 8)]


def test_the_same_cell_again_is_answered_again(widget: RFWidget, page: LivePage) -> None:
    for seq in (1, 2, 3):
        page.request(4, 5, seq=seq)
        assert widget.wait(20)
    assert [c["seq"] for c in page.got("answer") if c["client"] == "page"] == [1, 2, 3]


def test_after_a_lull_a_page_that_is_loaded_later_knows_the_cell_too() -> None:
    async def script() -> None:
        widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
        assert widget.wait(20)
        page = LivePage(widget)
        page.request(4, 5)
        assert page.state.selected != [4, 5], "dragging does not set the trait at every step"
        while page.state.selected != [4, 5]:
            await asyncio.sleep(0.01)
        assert widget.selected == GridPoint(4, 5)
        widget.close()

    asyncio.run(asyncio.wait_for(script(), 20))


def test_a_page_hears_that_no_cell_is_selected_any_more_right_after_its_click(widget: RFWidget, page: LivePage) -> None:
    widget.selected = None
    page.request(4, 5)
    assert widget.wait(20)
    widget.selected = None
    assert page.cell is None


def test_serials_grow_over_all_pages(widget: RFWidget, page: LivePage) -> None:
    for seq, client in ((1, "a"), (1, "b"), (2, "a")):
        page.request(seq, 1, seq=seq, client=client)
        assert widget.wait(20)
    serials = [c["serial"] for c in page.got("answer")]
    assert serials == sorted(set(serials))


@pytest.mark.parametrize(("x", "y", "revision"), [(14, 0, None), (0, 18, None), (2, 2, 0), (2, 2, 99)])
def test_a_request_for_what_is_not_shown_is_turned_down(
    widget: RFWidget, page: LivePage, x: int, y: int, revision: int | None
) -> None:
    page.request(x, y, revision=revision)
    assert widget.wait(20)
    assert widget.selected == GridPoint(7, 9)
    assert page.told() == [("superseded", 1)]


def test_changing_the_layer_keeps_the_place_on_the_image(widget: RFWidget, page: LivePage) -> None:
    widget.selected = (0, 0)
    widget.output_layer = "tall"
    assert widget.wait(20)
    assert page.state.layer == "tall"
    assert page.state.grid == [60, 11]
    # The field of cell (0, 0) was centred at (6, 3); fields of "tall" are centred at 2.5 + i and 4.5 + 3j.
    assert widget.selected in (GridPoint(3, 0), GridPoint(4, 0))


def test_the_newest_of_many_layers_is_shown(widget: RFWidget, page: LivePage) -> None:
    for name in ("tall", "wide", "tall", "wide", "tall"):
        widget.output_layer = name
    assert widget.wait(20)
    assert (widget.output_layer, page.state.layer) == ("tall", "tall")


def test_an_image_of_another_size_is_measured_anew() -> None:
    widget = RFWidget(BoxReceptiveField())
    assert widget.wait(20)
    page = LivePage(widget)
    widget.image = np.zeros((50, 30, 3), np.uint8)
    assert widget.wait(20)
    assert (widget.rf.input_shape.w, widget.rf.input_shape.h) == (30, 50)
    assert page.state.image_size == [30, 50]
    widget.close()


def test_no_image_is_the_sample_photograph(widget: RFWidget) -> None:
    widget.image = "rings"
    widget.image = None
    assert widget.image == "grace_hopper"


def test_preprocess_stands_between_the_image_and_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def preprocess(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        seen.append((image.dtype, image.shape, float(image.max())))
        return image / 255

    image = np.full(SHAPE, 255, np.uint8)
    widget = RFWidget(BoxReceptiveField(), image=image, preprocess=preprocess)
    assert widget.wait(20)
    assert seen == [(np.float32, SHAPE, 255.0)]
    given, gradient = [], widget.rf.network.gradient
    monkeypatch.setattr(widget.rf.network, "gradient", lambda *call: (given.append(call[0]), gradient(*call))[1])
    widget.selected = (1, 1)
    assert widget.wait(20)
    assert {float(image.max()) for image in given} == {1.0}
    widget.close()


def test_an_error_while_answering_shows_in_the_widget_and_the_next_click_works(
    widget: RFWidget, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def fail(*_: object) -> Patch:
            raise RuntimeError("out of cheese")

        broken.setattr(widget.rf.network, "gradient", fail)
        page.request(1, 1, seq=1)
        assert widget.wait(20)
    assert page.state.state == "error"
    assert page.state.error is not None
    assert "out of cheese" in page.state.error["message"]
    assert "Traceback" in page.state.error["details"]
    assert page.got("failure")[-1]["seq"] == 1
    page.request(2, 2, seq=2)
    assert widget.wait(20)
    assert (page.state.state, page.state.error) == ("ready", None)
    assert widget.selected == GridPoint(2, 2)


def test_an_error_while_measuring_shows_in_the_widget() -> None:
    widget = RFWidget(BoxReceptiveField(), output_layer="tal")
    page = LivePage(widget)
    assert widget.wait(20)
    assert page.state.state == "error"
    assert "did you mean 'tall'" in page.state.error["message"]
    widget.output_layer = "tall"
    assert widget.wait(20)
    assert page.state.state == "ready"
    widget.close()


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("selected", (14, 0), "outside the 14x18 grid"),
        ("selected", "ab", "no cell"),
        ("output_layer", "tal", "did you mean 'tall'"),
        ("output_layer", 3, "expected the name"),
        ("channel", 3, "0..2"),
        ("channel", -1, "0..2"),
        ("channel", True, "None"),
        ("colormap", "coolwarn", "did you mean 'coolwarm'"),
        ("image", "ringz", "did you mean 'rings'"),
        ("image", np.zeros((3, 3)), "3x3 pixels"),
        ("image", [[None]], "cannot be used"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_changes(
    widget: RFWidget, trait: str, value: Any, words: str, page: LivePage
) -> None:
    before = getattr(widget, trait)
    with pytest.raises(ReceptiveFieldError, match=words):
        setattr(widget, trait, value)
    assert getattr(widget, trait) is before
    widget.selected = (1, 1)
    assert widget.wait(20)
    assert page.state.selected == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": 3}, "expected a function"),
        ({"input_shape": (3, 4)}, "expected \\(height, width, channels\\)"),
        ({"preprocess": 3}, "expected a function of the image"),
        ({"image": "lena"}, "no sample image"),
        ({"show_dot": False}, "did you mean 'show_dots'"),
        ({"grid": (3, 4)}, r"grid is \(3, 4\), but the model is a BoxReceptiveField.*give grid= to that"),
        ({"grid": 3}, "grid is 3: expected the cells of a grid of tokens"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        RFWidget(**{"model": BoxReceptiveField(), **arguments})


def test_the_code_recreates_the_view_or_says_what_it_cannot_know() -> None:
    def scaled(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return image / 255

    widget = RFWidget(
        BoxReceptiveField(), input_shape=SHAPE, init_weights=True, image=np.zeros(SHAPE), preprocess=scaled
    )
    assert widget.wait(20)
    line, comment = widget.code().split("  # ")
    assert line == (
        "RFWidget(model, input_shape=(40, 64, 3), init_weights=True, output_layer='wide', image=image,"
        " preprocess=preprocess, selected=(7, 9))"
    )
    assert comment == "image: your image; preprocess: your function"
    widget.close()


@pytest.mark.parametrize("name", ["sho_dots", "input_layer", "channels"])
def test_what_is_no_trait_cannot_be_set(widget: RFWidget, name: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=f"no '{name}' that can be set"):
        setattr(widget, name, 1)


def test_the_first_layer_shown_is_the_last_whose_field_fits_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the image were 10 pixels wide: the fields of "wide", the end of the network, have 12; those of "tall" 5."""
    assert [engine._fits(Size(*size), GridShape(None, 12, 6, 3)) for size in ((12, 6), (13, 6), (12, 7))] == [
        *(True, False, False)
    ]
    monkeypatch.setattr(engine, "_fits", lambda size, _: size.w <= 10)
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    assert widget.wait(20)
    page = LivePage(widget)
    assert (widget.error, widget.output_layer, page.state.layer) == (None, "tall", "tall")
    assert "up to wide, are in the strip" in page.state.status
    widget.output_layer = "wide"
    assert widget.wait(20)
    assert (page.state.layer, page.state.status) == ("wide", "")
    widget.close()
    asked = RFWidget(BoxReceptiveField(), input_shape=SHAPE, output_layer="wide")
    assert asked.wait(20)
    assert asked.output_layer == "wide"
    asked.close()


def test_a_page_whose_last_view_is_gone_lets_the_worker_end(widget: RFWidget, page: LivePage) -> None:
    """Not after a rest: twenty runs of a cell would leave twenty threads and what they hold."""
    thread = widget._engine.worker._thread
    assert thread is not None
    page.tell(kind="act", name="gone")
    assert all_ended({thread})
    page.request(3, 4)  # another page still shows it
    assert widget.wait(20)
    assert page.got("answer")[-1]["cell"] == [3, 4]


def test_models_that_can_never_be_measured_are_refused_at_once() -> None:
    import keras

    dense = keras.Sequential([keras.Input((10,)), keras.layers.Dense(3)])
    with pytest.raises(ReceptiveFieldError, match=r"takes vectors \(None, 10\): expected a model of images"):
        RFWidget(dense)
    with pytest.raises(ReceptiveFieldError, match="is not built"):
        RFWidget(keras.Sequential([keras.layers.Conv2D(3, 3)]))
    inputs = keras.Input((16, 20, 3))
    layers = keras.layers
    head = keras.Sequential([layers.Flatten(), layers.Dense(3)])
    flat = keras.Sequential([inputs, head, layers.Dense(2)], name="flat")
    with pytest.raises(ReceptiveFieldError, match=r"no layer of the model 'flat' has a grid, .* of 4 axes"):
        RFWidget(flat)
    # A grid inside a part that gives vectors, and one that no layer makes.
    inside = keras.Sequential([layers.Conv2D(2, (3, 2)), layers.Flatten()])
    RFWidget(keras.Sequential([inputs, inside, layers.Dense(2)])).close()
    pooled = keras.ops.max_pool(inputs, 2)
    RFWidget(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(pooled)))).close()


def test_numbers_of_another_size_are_refused_by_a_model_of_fixed_size_and_everything_stays() -> None:
    import keras

    model = keras.Sequential([keras.Input((24, 32, 3)), keras.layers.Conv2D(2, 3, name="only")])
    with pytest.raises(ReceptiveFieldError, match="the image is 40x30 pixels"):
        RFWidget(model, image=np.zeros((30, 40, 3)))
    widget = RFWidget(model)
    assert widget.wait(60)
    with pytest.raises(ReceptiveFieldError, match="the image is 40x30 pixels"):
        widget.image = np.zeros((30, 40, 3))
    assert widget.image == "grace_hopper"
    widget.image = Image.new("RGB", (40, 30), "red")  # a picture is fitted, as an upload is
    assert widget.wait(60)
    assert (widget.error, widget.image.shape) == (None, (24, 32, 3))
    assert "40 \u00d7 30 px: scaled to 32 \u00d7 24" in LivePage(widget).state.input
    widget.close()


def test_the_range_of_the_values_is_told_and_a_doubtful_one_is_pointed_out() -> None:
    for image, preprocess, words in (
        (np.full(SHAPE, 255, np.uint8), None, "values 255 to 255 \u2013 does the model scale them?"),
        (np.full(SHAPE, 0.5, np.float32), None, "values 0.5 to 0.5"),
        (np.full(SHAPE, 255, np.uint8), lambda pixels: pixels / 127.5 - 1, "values 1 to 1"),
    ):
        widget = RFWidget(BoxReceptiveField(), image=image, preprocess=preprocess)
        assert widget.wait(20)
        assert LivePage(widget).state.input.endswith(f"; {words}")
        widget.close()


def test_of_an_image_of_many_bands_three_are_shown() -> None:
    bands = np.zeros((40, 64, 13), np.float32)
    bands[:, :, 7] = 1
    widget = RFWidget(BoxReceptiveField(), image=bands, selected=None)
    assert widget.wait(20)
    assert widget.view is not None
    assert LivePage(widget).state.controls["band_count"] == 13
    assert widget.view.picture.max() == 0
    widget.bands = (0, 7, 12)
    assert widget.wait(20)
    assert widget.view.picture[3, 4].tolist() == [0, 255, 0]
    widget.close()


def test_the_error_can_be_read_in_a_script() -> None:
    widget = RFWidget(BoxReceptiveField(), output_layer="tal")
    assert widget.wait(20)
    assert "did you mean 'tall'" in str(widget.error)
    widget.output_layer = "tall"
    assert widget.wait(20)
    assert widget.error is None
    widget.close()


def test_an_interrupted_page_ends_at_once_and_is_not_written(
    widget: RFWidget, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As the interrupt of a notebook's kernel comes: in the middle of the work, on the thread that waits."""
    steps = []
    # A shell has what it starts in the background ignore interrupts; a notebook's kernel does not.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def slow(fraction: float, _: str) -> None:
        steps.append(fraction)
        if len(steps) == 1:
            _thread.interrupt_main()
        time.sleep(0.02)

    with pytest.raises(KeyboardInterrupt):
        widget.to_html(tmp_path / "page.html", progress=slow)
    begin = time.monotonic()
    widget.selected = (1, 1)
    assert widget.wait(20)
    assert time.monotonic() - begin < 1
    assert len(steps) < 50
    assert not (tmp_path / "page.html").exists()


def test_a_thread_that_has_nothing_to_do_ends_and_a_click_brings_it_back() -> None:
    others = worker_threads()
    widget = RFWidget(BoxReceptiveField(), input_shape=SHAPE)
    widget._engine.worker._rest = 0.05
    assert widget.wait(20, background=True)
    assert all_ended(worker_threads() - others)
    page = LivePage(widget)
    page.request(3, 4)
    assert widget.wait(20)
    assert widget.selected == GridPoint(3, 4)
    np.testing.assert_array_equal(widget.gradient, widget.rf.gradient_at((3, 4)))
    widget.close()


def test_the_code_shows_the_view_again(widget: RFWidget) -> None:
    widget.set_trait("output_layer", "tall")
    widget.channel = 2
    widget.show_dots = False
    widget.image = "rings"
    assert widget.wait(20)
    widget.selected = (3, 4)
    assert widget.wait(20)
    model = BoxReceptiveField()
    again = eval(widget.code(), {"RFWidget": RFWidget, "model": model})  # noqa: S307 - our own line
    assert again.wait(20)
    for trait in ("selected", "output_layer", "channel", "show_dots", "image"):
        assert getattr(again, trait) == getattr(widget, trait)
    again.close()


def test_it_prints_as_its_code_and_so_do_all_its_parts_print(widget: RFWidget) -> None:
    assert repr(widget) == widget.code()
    for part in widget.children:
        assert type(part).__name__ in repr(part)


def test_the_saved_picture_shows_the_heat_map_only_inside_the_field(widget: RFWidget, page: LivePage) -> None:
    widget.spotlight = False
    pictures = {}
    for name, cell in (("a", (2, 3)), ("b", (10, 12))):
        widget.selected = cell
        assert widget.wait(20)
        pictures[name] = picture(widget)
    differs = np.abs(pictures["a"] - pictures["b"]).max(axis=2) > 0
    layout = layout_of(page)
    fields = np.zeros_like(differs)
    for cell in ((2, 3), (10, 12)):
        left, top, right, bottom = (round(2 * edge) for edge in layout.place(widget.rf.rect_at(cell)))
        fields[max(0, top - 9) : bottom + 9, max(0, left - 9) : right + 9] = True  # the line stands beside the field
    assert differs[fields].any()
    assert not differs[~fields].any()


def test_a_closed_widget_ends_its_thread_and_can_be_collected() -> None:
    others = worker_threads()
    widget = RFWidget(BoxReceptiveField())
    assert widget.wait(20)
    threads, alive = worker_threads() - others, weakref.ref(widget)
    assert threads
    widget.close()
    assert all_ended(threads)
    del widget
    gc.collect()
    assert alive() is None


# Questions beyond one cell


def test_a_query_from_python_reaches_the_browser(widget: RFWidget, page: LivePage) -> None:
    widget.query = (30, 20)
    assert (widget.query, page.state.query) == (GridPoint(30, 20), [30, 20, 31, 21])
    widget.query = (3.5, 4, 20, 30)
    assert (widget.query, page.state.query) == (Rect(3, 4, 20, 30), [3, 4, 20, 30])
    widget.query = None
    assert page.state.query is None


def test_a_query_from_the_browser_reaches_python(widget: RFWidget, page: LivePage) -> None:
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "query")
    page.tell(kind="query", box=[30, 20, 31, 21])
    page.tell(kind="query", box=[0, 0, 64, 40])
    page.tell(kind="query", box=[0, 0, 65, 40])  # outside the image
    page.tell(kind="query", box=[4, 4, 4, 9])  # empty
    page.tell(kind="query", box=None)
    assert seen == [GridPoint(30, 20), Rect(0, 0, 64, 40), None]


def test_asking_reaches_the_browser_and_its_end_ends_the_query(widget: RFWidget, page: LivePage) -> None:
    widget.asking = True
    assert page.state.asking
    widget.query = (3, 4)
    widget.asking = False
    assert not page.state.asking
    assert widget.query is None
    assert page.state.query is None


def test_a_query_that_lies_outside_a_new_image_ends() -> None:
    widget = RFWidget(BoxReceptiveField(), query=(90, 20))
    page = LivePage(widget)
    assert widget.wait(20)
    assert page.state.query == [90, 20, 91, 21]
    widget.image = np.zeros((50, 80, 3), np.uint8)
    assert widget.wait(20)
    assert (widget.query, page.state.query) == (None, None)
    widget.close()


@pytest.mark.parametrize(
    ("trait", "value", "words"),
    [
        ("query", (64, 0), "no pixel of the 64x40 image"),
        ("query", (0, 0, 65, 4), "not inside the 64x40 image"),
        ("query", (1, 2, 3), "expected a pixel"),
        ("query", 7, "expected a pixel"),
        ("query", "ab", "no pixel"),
        ("compare_layer", "tal", "did you mean 'tall'"),
        ("compare_layer", 3, "expected the name"),
    ],
)
def test_a_wrong_question_is_refused_and_nothing_changes(widget: RFWidget, trait: str, value: Any, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        setattr(widget, trait, value)
    assert getattr(widget, trait) is None


def test_the_strip_holds_all_layers_with_the_fields_that_compute_gives(widget: RFWidget, page: LivePage) -> None:
    assert widget.survey is not None
    assert [row["name"] for row in page.state.layers] == ["wide", "tall"]
    for row in page.state.layers:
        rf = BoxReceptiveField()
        params = rf.compute(SHAPE, output_layer=row["name"])
        assert row["size"] == list(params.size)
        assert row["field"] == rf.field.to_json()
        assert row["grid"] == [rf.output_shape.w, rf.output_shape.h]


def test_another_layer_keeps_the_strip_and_another_image_size_renews_it(widget: RFWidget) -> None:
    survey = widget.survey
    widget.output_layer = "tall"
    assert widget.wait(20, background=True)
    assert widget.survey is survey
    widget.close()
    other = RFWidget(BoxReceptiveField())
    page = LivePage(other)
    assert other.wait(20, background=True)
    other.image = np.zeros((50, 80, 3), np.uint8)
    assert other.wait(20, background=True)
    assert other.survey.input_shape[1:3] == (80, 50)
    assert page.state.layers[0]["grid"] == [18, 23]
    other.close()


def test_a_layer_chosen_in_the_browser_is_shown(widget: RFWidget, page: LivePage) -> None:
    page.tell(kind="layer", name="no such layer")
    page.tell(kind="layer", name=3)
    assert widget.output_layer == "wide"
    page.tell(kind="layer", name="tall")
    assert widget.wait(20)
    assert (widget.output_layer, page.state.layer) == ("tall", "tall")


def test_the_effective_field_of_a_box_filter_is_the_box(widget: RFWidget, page: LivePage) -> None:
    widget.show_erf = True
    assert widget.wait(60, background=True)
    contours = page.state.contours
    assert (contours["x"], contours["y"]) == ({"start": 0.0, "stride": 4.0}, {"start": 0.0, "stride": 2.0})
    half, nearly_all = (level["loops"] for level in contours["levels"])
    assert [level["share"] for level in contours["levels"]] == [0.5, 0.95]
    for loops in (half, nearly_all):
        assert all(0 <= x <= 12 for loop in loops for x in loop[::2])
        assert all(0 <= y <= 6 for loop in loops for y in loop[1::2])
    widget.show_erf = False
    assert page.state.contours is None


def test_outlines_belong_to_the_layer_on_show(widget: RFWidget, page: LivePage) -> None:
    widget.show_erf = True
    widget.output_layer = "tall"
    assert widget.wait(60, background=True)
    assert page.state.contours["y"]["stride"] == 3.0


def test_what_fails_in_the_background_says_so_and_disturbs_nothing(
    widget: RFWidget, monkeypatch: pytest.MonkeyPatch, page: LivePage
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr(widget.rf, "effective", fail)
    widget.show_erf = True
    assert widget.wait(20, background=True)
    assert page.state.background == "effective receptive field: RuntimeError: out of cheese"
    assert (page.state.state, page.state.error) == ("ready", None)
    widget.selected = (1, 1)
    assert widget.wait(20)
    assert page.state.selected == [1, 1]


def test_the_layer_to_compare_with_reaches_the_browser(widget: RFWidget, page: LivePage) -> None:
    widget.compare_layer = "tall"
    assert page.state.compare == "tall"
    widget.compare_layer = None
    assert page.state.compare == ""


def test_the_code_asks_the_same_questions_again(widget: RFWidget) -> None:
    widget.query, widget.compare_layer, widget.show_erf = (3, 4, 9, 8), "tall", True
    again = eval(widget.code(), {"RFWidget": RFWidget, "model": BoxReceptiveField()})  # noqa: S307 - our own line
    assert (again.query, again.compare_layer, again.show_erf) == (Rect(3, 4, 9, 8), "tall", True)
    again.close()


# Pictures


def test_the_saved_file_holds_the_whole_instrument_and_so_does_the_button(bare: RFWidget, tmp_path: Path) -> None:
    bare.query = (30, 20)
    assert bare.wait(20, background=True)
    bare.save_png(tmp_path / "rf.png")
    saved, image = np.asarray(Image.open(tmp_path / "rf.png"), int), picture(bare)
    page = LivePage(bare)
    page.tell(kind="act", name="png")
    assert (tmp_path / "rf.png").read_bytes() == bytes(page.messages[-1][1][0])
    (height, width), (high, wide) = saved.shape[:2], image.shape[:2]
    assert wide < width, "no column"
    assert any((saved[top : top + high, :wide] == image).all() for top in range(40, height - high - 40)), "no strip"


def test_a_page_that_magnifies_draws_the_marks_itself_as_long_as_it_does(bare: RFWidget) -> None:
    page = LivePage(bare)
    bare.show_rectangles = bare.show_dots = True
    kinds = [mark["kind"] for mark in page.state.marks]
    drawn = [type(mark).__name__ for mark in bare._canvas._scene.marks]
    assert (kinds, set(drawn)) == (["tag"] * 3, {"Dots", "Line"})
    page.tell(kind="zoom", zoomed=True)
    assert [mark["kind"] for mark in page.state.marks] == ["dots", *["line"] * 3, *["tag"] * 3]
    assert not bare._canvas._scene.marks
    bare.show_dots = False
    assert [mark["kind"] for mark in page.state.marks] == [*["line"] * 3, *["tag"] * 3]
    page.tell(kind="zoom", zoomed="no")
    assert not bare._canvas._scene.marks
    page.tell(kind="zoom", zoomed=False)
    assert {mark["kind"] for mark in page.state.marks} == {"tag"}
    assert {type(mark).__name__ for mark in bare._canvas._scene.marks} == {"Line"}


def test_the_picture_shows_the_box_asked_about_and_the_cells_that_hold_it(bare: RFWidget) -> None:
    before = picture(bare)
    bare.query = (40, 12, 50, 16)
    # Columns 10 (40..52) and rows 5 (10..16), 6 (12..18): their centres are (46, 13) and (46, 15).
    assert changed(before, bare) == pytest.approx((40, 12, 50, 16), abs=0.5)
    pixels, layout = picture(bare), layout_of(LivePage(bare))
    for x, y in ((46, 13), (46, 15)):
        place = (round(2 * (layout.margin.top + y * layout.scale)), round(2 * (layout.margin.left + x * layout.scale)))
        assert tuple(pixels[place]) == YELLOW
    bare.query = None
    np.testing.assert_array_equal(picture(bare), before)


def test_the_picture_shows_the_layer_to_compare_with_and_both_names(bare: RFWidget) -> None:
    before = picture(bare)
    bare.compare_layer = "tall"
    # The selected field is 28..40 by 18..24, its centre (34, 21). Fields of "tall" are 5 x 9, every 1 and 3 pixels: the
    # nearest to it is centred at (34.5, 22.5), the later of two, 32..37 by 18..27; its name stands below.
    left, top, right, bottom = changed(before, bare)
    assert top == pytest.approx(18 - 14 / 7, abs=1)  # the name of the selected one's layer stands above
    assert bottom == pytest.approx(27 + 14 / 7, abs=1)
    assert 27 < left < 30  # the line stands beside the field
    assert 37 < right < 40


def test_a_layer_to_compare_with_that_could_not_be_measured_is_not_in_the_picture(
    bare: RFWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(bare)
    monkeypatch.setattr(BoxReceptiveField, "survey", lambda *_, **__: 1 // 0)
    other = RFWidget(BoxReceptiveField(), input_shape=SHAPE, compare_layer="tall", **BARE)
    assert other.wait(60, background=True)
    assert other.survey is None
    np.testing.assert_array_equal(picture(other), before)
    other.close()


def test_the_picture_shows_the_effective_field_at_the_selected_cell(bare: RFWidget) -> None:
    before = picture(bare)
    bare.show_erf = True
    assert bare.wait(60, background=True)
    left, top, right, bottom = changed(before, bare)
    assert 27 <= left < 29
    assert 18 - 14 / 7 < top < 19
    assert 38 < right < 46  # a label stands to the right
    assert 23 < bottom <= 24.5
    bare.show_erf = False
    np.testing.assert_array_equal(picture(bare), before)


def test_without_the_gradient_map_the_selected_rectangle_stays(bare: RFWidget) -> None:
    before = picture(bare)
    bare.show_heat = False
    left, top, right, bottom = changed(before, bare)
    assert (left, top) >= (28, 18)
    assert (right, bottom) <= (40, 24)


def test_the_spotlight_dims_the_picture_around_the_selected_field(bare: RFWidget) -> None:
    before = picture(bare)
    bare.spotlight = True
    layout = layout_of(LivePage(bare))
    left, top, right, bottom = (round(2 * edge) for edge in layout.place(bare.rf.rect_at((7, 9))))
    after = picture(bare)
    np.testing.assert_array_equal(after[top:bottom, left:right], before[top:bottom, left:right])
    corner = (slice(40, 80), slice(40, 80))
    np.testing.assert_allclose(after[corner], before[corner] * 0.55, atol=2)


def test_the_saved_output_is_renewed_with_every_answer(bare: RFWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    page, renewed = LivePage(bare), []
    what = "query"
    monkeypatch.setattr(SavedOutput, "renew", lambda _: renewed.append(what))
    bare.query = (3, 4)
    what = "page's query"
    page.tell(kind="query", box=None)
    what = "compare"
    bare.compare_layer = "tall"
    what = "survey"
    bare.on_survey(bare.survey)
    what = "contours"
    bare.show_erf = True
    assert bare.wait(60, background=True)
    what = "no contours"
    bare.show_erf = False
    assert renewed == ["query", "page's query", "compare", "survey", "contours", "no contours"]
    bare.compare_layer = None
    renewed.clear()
    bare.on_survey(bare.survey)  # it shows in the strip, whatever is compared
    assert len(renewed) == 1
