import gzip
import math
import re
import typing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint, Rect
from rfwidget.widget import overlay as module
from rfwidget.widget.heat import Colouring, Levels
from rfwidget.widget.overlay import (
    Action,
    Choice,
    Hint,
    Overlay,
    Query,
    Request,
    Setting,
    Upload,
    palette_to_json,
    parse_message,
)

PROTOCOL_TS = Path(__file__).parents[2] / "js" / "protocol.ts"
MORE = ({"kind": "set", "name": "show_dots", "value": False}, {"kind": "act", "name": "png"}, {"kind": "other"})
GOOD = {"kind": "request", "client": "page", "seq": 3, "revision": 2, "cell": [5, 7]}


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(Overlay, "send", lambda _, content, buffers=None: messages.append((content, buffers)))
    return messages


def own_traits():
    return [name for name in vars(Overlay) if Overlay.class_traits(sync=True).get(name) is vars(Overlay)[name]]


def interface(name):
    """Fields of an interface, those that it inherits first."""
    text = PROTOCOL_TS.read_text()
    parents, body = re.search(
        rf"export interface {name}(?: extends ([\w, ]+))? \{{\n(.*?)\n\}}", text, re.DOTALL
    ).groups()
    inherited = [field for parent in (parents or "").split(", ") if parent for field in interface(parent)]
    return inherited + re.findall(r"^  (\w+): ", body, re.MULTILINE)


def alternatives(name):
    return re.search(rf"export type {name} = (.*);", PROTOCOL_TS.read_text())[1].split(" | ")


def test_traits_are_those_of_the_typescript_model_in_the_same_order():
    assert own_traits() == interface("SyncedState")


@pytest.mark.parametrize("kind", typing.get_args(module.PageMessage))
def test_what_a_page_says_has_the_fields_that_it_sends(kind):
    # "content" travels as the message's buffer.
    assert ["kind", *kind._fields] == interface(kind.__name__)


def test_a_page_says_nothing_else():
    kinds = [kind.__name__ for kind in typing.get_args(module.PageMessage)]
    assert kinds == alternatives("PageMessage")
    text = PROTOCOL_TS.read_text()
    named = [re.search(rf"interface {kind} \{{\n  kind: \"(\w+)\"", text)[1] for kind in kinds]
    assert named == list(module._PARSERS)


def test_what_the_kernel_says_has_the_fields_that_the_page_reads_in_the_same_order(sent):
    overlay = Overlay()
    overlay.acknowledge(REQUEST)
    overlay.supersede(REQUEST)
    overlay.answer(REQUEST, rect=Rect(0, 0, 1, 1), levels=LEVELS, **ANSWER)
    overlay.send_maps(2, [(GridPoint(1, 2), LEVELS)])
    overlay.pause(on=True)
    overlay.fail(REQUEST, serial=9, revision=2, message="", details="")
    overlay.download("field.png", b"png")
    overlay.copy("text")
    names = alternatives("KernelMessage")
    assert [content["kind"].capitalize() for content, _ in sent] == names
    for name, (content, buffers) in zip(names, sent, strict=True):
        fields = [field for field in interface(name) if field != "kind"]
        in_buffer = {"levels", "content"}.intersection(fields)
        assert [field for field in content if field != "kind"] == [field for field in fields if field not in in_buffer]
        assert len(buffers or []) == len(in_buffer)


def test_built_files_travel_as_text():
    overlay = Overlay()
    assert isinstance(overlay._esm, str)
    assert "export" in overlay._esm
    assert ".rfwidget-overlay" in overlay._css


def test_missing_build_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_STATIC", tmp_path)
    with pytest.raises(ReceptiveFieldError, match=r"overlay\.js is missing.*npm run build"):
        Overlay()


def test_well_formed_request_arrives_as_a_value(sent):
    overlay, seen = Overlay(), []
    overlay.on_message(Request, seen.append)
    overlay._handle_custom_msg(GOOD, [])
    assert seen == [Request("page", 3, 2, GridPoint(5, 7))]
    overlay.acknowledge(seen[0])
    overlay.supersede(seen[0])
    assert [content for content, _ in sent] == [
        {"kind": "ack", "client": "page", "seq": 3},
        {"kind": "superseded", "client": "page", "seq": 3},
    ]


def test_each_kind_of_message_goes_to_its_own_handler():
    overlay, seen = Overlay(), {Request: [], Query: [], Choice: [], Setting: [], Action: []}
    for kind, heard in seen.items():
        overlay.on_message(kind, heard.append)
    for content in (GOOD, {"kind": "query", "box": [1, 2, 3, 4]}, {"kind": "layer", "name": "mix"}, *MORE):
        overlay._handle_custom_msg(content, [])
    assert list(seen.values()) == [
        [Request("page", 3, 2, GridPoint(5, 7))],
        [Query((1, 2, 3, 4))],
        [Choice("mix")],
        [Setting("show_dots", False)],
        [Action("png")],
    ]


def test_an_upload_arrives_with_its_bytes_and_without_them_not_at_all():
    overlay, seen = Overlay(), []
    overlay.on_message(Upload, seen.append)
    content = {"kind": "upload", "name": "photo.jpg"}
    overlay._handle_custom_msg(content, [memoryview(b"file")])
    for buffers in ([], [memoryview(b"a"), memoryview(b"b")], None, ["text"]):
        overlay._handle_custom_msg(content, buffers)
    overlay._handle_custom_msg({**content, "content": "file"}, [])
    overlay._handle_custom_msg({**content, "name": "x" * 1001}, [memoryview(b"file")])
    assert seen == [Upload("photo.jpg", b"file")]


@pytest.mark.parametrize(
    "content",
    [
        *({"kind": "set", "name": name, "value": 1} for name in ("selected", "rf", "close", "__class__", 3, None, [])),
        *({"kind": "set", "name": "channel", "value": value} for value in ([], {}, float("nan"), 2**60, "x" * 1001)),
        {"kind": "set", "name": "channel"},
        *({"kind": "act", "name": name} for name in ("close", 3, None, [])),
    ],
)
def test_settings_and_actions_that_there_are_not_are_dropped(content):
    assert parse_message(content) is None


def test_a_message_that_nobody_wants_is_dropped(sent):
    Overlay()._handle_custom_msg(GOOD, [])
    assert sent == []


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "answer"},
        {"client": ""},
        {"client": "x" * 65},
        {"client": 1},
        {"seq": 0},
        {"seq": True},
        {"seq": 1.0},
        {"seq": 2**53},
        {"revision": -1},
        {"revision": None},
        {"cell": [1]},
        {"cell": [1, 2, 3, 4]},
        {"cell": [1, -2]},
        {"cell": [1.5, 2]},
        {"cell": ["1", "2"]},
        {"cell": {"0": 1, "1": 2}},
        {"kind": "other"},
        {"kind": ["request"]},
    ],
)
def test_malformed_request_is_dropped_without_a_word(sent, change):
    overlay, seen = Overlay(), []
    overlay.on_message(Request, seen.append)
    overlay._handle_custom_msg({**GOOD, **change}, [])
    assert (seen, sent) == ([], [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(GOOD)), inner),
)


@given(JSON | st.fixed_dictionaries({name: JSON | st.just(value) for name, value in GOOD.items()}))
def test_any_message_is_a_request_within_limits_or_nothing(content):
    request = parse_message(content)
    if isinstance(content, dict) and content.get("kind") not in ("query", "layer", "hint"):
        assert isinstance(request, Request | None)
    if isinstance(request, Request):
        assert content["kind"] == "request"
        assert 0 < len(request.client) <= 64
        assert all(type(number) is int for number in (request.seq, request.revision, *request.cell))
        assert request.seq >= 1
        assert min(request.revision, *request.cell) >= 0


@given(JSON | st.fixed_dictionaries({"kind": st.just("query"), "box": JSON | st.lists(st.integers(-3, 9), max_size=5)}))
def test_any_message_is_a_query_for_a_box_or_for_none_or_nothing(content):
    query = parse_message(content)
    if isinstance(content, dict) and content.get("kind") == "query":
        assert isinstance(query, Query | None)
    if isinstance(query, Query) and query.box is not None:
        left, top, right, bottom = query.box
        assert content["box"] == [left, top, right, bottom]
        assert all(type(edge) is int for edge in query.box)
        assert 0 <= left < right
        assert 0 <= top < bottom


@pytest.mark.parametrize(
    "content", [None, {"kind": "query"}, {"kind": "other", "box": None}, {"kind": "layer", "name": 1}]
)
def test_what_is_no_query_and_no_choice_is_nothing(content):
    assert parse_message(content) is None


def test_a_query_for_none_ends_one():
    assert parse_message({"kind": "query", "box": None}) == Query(None)


REQUEST = Request("page", 4, 2, GridPoint(1, 2))
ANSWER = {"serial": 9, "revision": 2, "cell": GridPoint(1, 2), "milliseconds": 1.5}
LEVELS = Levels(6, 8, np.arange(15, dtype=np.uint8).reshape(3, 5), 0.25, 7.0, ((0.5, (7, 8, 9, 10)),))


def test_answer_carries_its_pixels_as_a_buffer_and_infinite_edges_as_null(sent):
    rect = Rect(-2, 4, 5, math.inf)
    Overlay().answer(REQUEST, rect=rect, levels=LEVELS, **ANSWER)
    [(content, buffers)] = sent
    assert content == {
        "kind": "answer",
        "client": "page",
        "seq": 4,
        "cell": [1, 2],
        "box": [6, 8, 11, 11],
        "step": 1,
        "full": 0.25,
        "weight": 7.0,
        "serial": 9,
        "revision": 2,
        "rect": [-2, 4, 5, None],
        "milliseconds": 1.5,
        "mass": [[0.5, [7, 8, 9, 10]]],
    }
    assert buffers == [bytes(range(15))]


def test_answer_to_nobody_has_the_empty_client(sent):
    Overlay().answer(None, rect=Rect(0, 0, 1, 1), levels=LEVELS, **ANSWER)
    assert (sent[0][0]["client"], sent[0][0]["seq"]) == ("", 0)


def test_maps_of_many_cells_travel_in_one_buffer_in_their_order(sent):
    coarse = Levels(4, 2, np.full((2, 3), 9, np.uint8), full=0.5, weight=2.0, step=2)
    Overlay().send_maps(7, [(GridPoint(1, 2), LEVELS), (GridPoint(3, 0), coarse)])
    [(content, buffers)] = sent
    assert (content["kind"], content["revision"]) == ("maps", 7)
    assert [(m["cell"], m["box"], m["step"]) for m in content["maps"]] == [
        ([1, 2], [6, 8, 11, 11], 1),
        ([3, 0], [4, 2, 10, 6], 2),
    ]
    assert buffers == [bytes(range(15)) + bytes([9] * 6)]


HINT = {"kind": "hint", "client": "page", "revision": 2, "cell": [5, 7], "came": 3, "near": False, "shown": True}


def test_a_hint_arrives_as_a_value_and_a_malformed_one_not_at_all():
    assert parse_message(HINT) == Hint("page", 2, GridPoint(5, 7), 3, near=False, shown=True)
    for change in (
        {"client": ""},
        {"revision": -1},
        {"cell": [1]},
        {"cell": None},
        {"came": 1.5},
        {"near": 0},
        {"shown": 1},
    ):
        assert parse_message({**HINT, **change}) is None


def test_the_palette_travels_as_a_table_of_256_colours_with_the_marks_of_the_bar():
    table = palette_to_json(Colouring("gray", signed=False, scale="linear"))
    assert (len(table["rgba"]), table["ranked"], table["ticks"]) == (1024, False, [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]])
    assert palette_to_json(Colouring(scale="percentile"))["ranked"]


def test_failure_keeps_words_and_traceback_apart(sent):
    Overlay().fail(REQUEST, serial=9, revision=2, message="the layer is gone", details="Traceback ...")
    assert sent[0][0] == {
        "kind": "failure",
        "client": "page",
        "seq": 4,
        "serial": 9,
        "revision": 2,
        "message": "the layer is gone",
        "details": "Traceback ...",
    }


def test_new_overlay_knows_nothing_and_has_no_error():
    overlay = Overlay()
    assert (overlay.field, overlay.selected, overlay.error, overlay.feature_map) == (None, None, None, None)
    assert (overlay.state, overlay.progress) == ("ready", -1.0)


@pytest.mark.parametrize("name", ["overlay.js", "standalone.js"])
def test_bundle_is_small_and_loads_nothing_from_elsewhere(name):
    code = (Path(module.__file__).parent / "static" / name).read_bytes()
    assert len(gzip.compress(code)) < 25_000
    assert not re.search(rb"""\bimport\b\s*\(|from\s*["']https?:|["']https?://(?!www\.w3\.org/2000/svg)""", code)
