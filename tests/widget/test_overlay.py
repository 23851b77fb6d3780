import gzip
import math
import re
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint, Rect
from rfwidget.widget import overlay as module
from rfwidget.widget.overlay import Action, Choice, Overlay, Query, Request, Setting, Upload, parse_message

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
    overlay.answer(REQUEST, box=(0, 0, 1, 1), rect=Rect(0, 0, 1, 1), rgba=bytes(4), **ANSWER)
    overlay.fail(REQUEST, serial=9, revision=2, message="", details="")
    overlay.download("field.png", b"png")
    overlay.copy("text")
    names = alternatives("KernelMessage")
    assert [content["kind"].capitalize() for content, _ in sent] == names
    for name, (content, buffers) in zip(names, sent, strict=True):
        fields = [field for field in interface(name) if field != "kind"]
        in_buffer = {"rgba", "content"}.intersection(fields)
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
        {"cell": [1, 2, 3]},
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
    if isinstance(content, dict) and content.get("kind") not in ("query", "layer"):
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


def test_answer_carries_its_pixels_as_a_buffer_and_infinite_edges_as_null(sent):
    rect = Rect(-2, 4, 5, math.inf)
    Overlay().answer(REQUEST, box=(6, 8, 11, 11), rect=rect, rgba=bytes(range(60)), **ANSWER)
    [(content, buffers)] = sent
    assert content == {
        "kind": "answer",
        "client": "page",
        "seq": 4,
        "serial": 9,
        "revision": 2,
        "cell": [1, 2],
        "box": [6, 8, 11, 11],
        "rect": [-2, 4, 5, None],
        "milliseconds": 1.5,
        "ticks": [],
        "mass": [],
    }
    assert buffers == [bytes(range(60))]


def test_answer_tells_of_its_colours_and_of_its_mass(sent):
    ticks, mass = ((0.0, "0"), (1.0, "3e-4")), ((0.5, (7, 8, 9, 10)),)
    Overlay().answer(REQUEST, box=(0, 0, 1, 1), rect=Rect(0, 0, 1, 1), rgba=bytes(4), ticks=ticks, mass=mass, **ANSWER)
    assert (sent[0][0]["ticks"], sent[0][0]["mass"]) == ([[0.0, "0"], [1.0, "3e-4"]], [[0.5, [7, 8, 9, 10]]])


def test_answer_to_nobody_has_the_empty_client(sent):
    Overlay().answer(None, box=(0, 0, 1, 1), rect=Rect(0, 0, 1, 1), rgba=bytes(4), **ANSWER)
    assert (sent[0][0]["client"], sent[0][0]["seq"]) == ("", 0)


def test_answer_whose_pixels_do_not_fill_its_box_is_refused(sent):
    with pytest.raises(ReceptiveFieldError, match="59 bytes does not fill 5x3 pixels"):
        Overlay().answer(REQUEST, box=(6, 8, 11, 11), rect=Rect(0, 0, 1, 1), rgba=bytes(59), **ANSWER)
    assert sent == []


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
