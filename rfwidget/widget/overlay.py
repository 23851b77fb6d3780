"""The overlay: an anywidget over the image that draws hover and heat map, and asks for cells.

State travels as the traits below, requests and answers as custom messages. Both are mirrored by ``js/protocol.ts``,
name by name and in the same order (``tests/widget/test_overlay.py`` compares them). Nothing here computes or decides.
The messages of a page are checked here and nowhere else. Boxes travel as ``[left, top, right, bottom]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, TypeVar

import anywidget
import traitlets as t

from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint, Rect
from rfwidget.widget.heat import Colouring, Edges, Levels, bar_ticks, palette
from rfwidget.widget.notebook import hear_every_shell
from rfwidget.widget.scene import rect_to_json
from rfwidget.widget.words import words_to_json

_STATIC = Path(__file__).parent / "static"
_CLIENT = re.compile(r"[0-9A-Za-z-]{1,64}")
_LARGEST = 2**53 - 1  # beyond it JavaScript's numbers are not whole


def read_built(name: str) -> str:
    """A built file as text: anywidget keeps every instance alive that it serves from a path."""
    path = _STATIC / name
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReceptiveFieldError(
            f"the browser side of the widget is not built: {path.name} is missing; in a clone run `npm ci && npm run"
            " build`, or install the package with `pip install .`"
        ) from error


SCRIPTS = {3: "overlay-volumes.js"}
"""The browser's side of what is neither signal nor image, by the number of axes."""


class Request(NamedTuple):
    """A page asks for a cell.

    Attributes:
        client: name of the page, unique among all pages.
        seq: number of the request on that page, from 1.
        revision: the `Overlay.revision` that the page knew.
        cell: the cell; not yet checked against the grid.
    """

    client: str
    seq: int
    revision: int
    cell: GridPoint


class Query(NamedTuple):
    """A page asks which cells see a box; None: nothing any more.

    The page answers itself; the kernel is told so that `RFWidget.query` says what is shown.
    """

    box: Edges | None


class Choice(NamedTuple):
    """A page wants another layer to be shown; the name is not yet checked."""

    name: str


class Setting(NamedTuple):
    """A page wants one of its controls to have another value; the value is not yet checked.

    Attributes:
        name: one of `SETTABLE`.
        value: True or False, a whole or a real number, a short text, or None.
    """

    name: str
    value: bool | int | float | str | None


class Upload(NamedTuple):
    """A page hands over an image file.

    Attributes:
        name: of the file, for the read-out alone.
        content: the file's bytes; not yet looked at.
    """

    name: str
    content: bytes


class Action(NamedTuple):
    """A page wants something made: one of `ACTIONS`."""

    name: str


class Magnified(NamedTuple):
    """Whether a page magnifies the picture: then it draws itself what a canvas would draw too fat."""

    zoomed: bool


class Hint(NamedTuple):
    """A page tells where its pointer is, while it lacks gradient maps there.

    Attributes:
        client: name of the page.
        revision: the `Overlay.revision` that the page knew.
        cell: under the pointer, or the selected one; not yet checked against the grid.
        came: maps of that revision that have come unasked.
        near: whether the pointer is on the widget, or has just been: a click may be near.
        shown: whether somebody can see the widget; False: nothing is to be made for this page.
    """

    client: str
    revision: int
    cell: GridPoint
    came: int
    near: bool
    shown: bool


PageMessage = Request | Query | Choice | Setting | Upload | Action | Magnified | Hint
"""What a page can say."""

SETTABLE = (
    *(
        "image",
        "channel",
        "colormap",
        "signed",
        "heat_scale",
        "heat_map",
        "heat_opacity",
        "spotlight",
        "show_heat",
        "show_dots",
    ),
    *("show_first", "show_central", "show_last", "show_naive", "show_erf", "show_pixels", "asking", "compare_layer"),
    *("bands", "live"),
)
"""What the controls of a page set."""

ACTIONS = ("png", "code", "page", "channels", "scene", "gone")
"""What a page can have made: the picture, the line of Python, the standalone page, the sheet of channels, and the
photograph where no canvas shows it; and that its last view is gone."""

_LONGEST_TEXT = 1000
"""Characters of a text that a page sends."""

M = TypeVar("M", Request, Query, Choice, Setting, Upload, Action, Magnified, Hint)


class Overlay(anywidget.AnyWidget):
    """Pointer, keys, read-out and heat map over an image; the traits are its whole state."""

    canvas = t.Unicode("").tag(sync=True)
    """Model id of the MultiCanvas under the overlay; empty: none."""
    heat_layer = t.Int(0).tag(sync=True)
    """Index of the layer of that canvas that holds the heat map."""
    image_size = t.List(t.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)
    """Width and height in image pixels."""
    scale = t.Float(1.0).tag(sync=True)
    """CSS pixels per image pixel, along x."""
    stretch = t.Float(1.0).tag(sync=True)
    """How many times as high as wide an image pixel is: 1, but for a signal, which is an image of one row."""
    axes = t.Int(2).tag(sync=True)
    """Of the model's input: 1 for signals, 2 for images, 3 for volumes."""
    volume = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """Of a volume: `rfwidget.widget.sections.volume_to_json`; the image is then the picture of its sections."""
    margin = t.List(t.Float(), [0.0, 0.0, 0.0, 0.0], minlen=4, maxlen=4).tag(sync=True)
    """CSS pixels around the image: left, top, right, bottom."""
    grid = t.List(t.Int(), [0, 0], minlen=2, maxlen=3).tag(sync=True)
    """Width, height and, of a volume, depth in cells."""
    field = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """`rfwidget.geometry.FieldGeometry.to_json`, or None while it is not known."""
    selected = t.List(t.Int(), default_value=None, allow_none=True, minlen=2, maxlen=3).tag(sync=True)
    """The selected cell (x, y) or (x, y, z), or None."""
    revision = t.Int(0).tag(sync=True)
    """Grows with every change of layer, image or channel; heat maps of an older one are never shown."""
    state = t.Enum(["ready", "busy", "error"], "ready").tag(sync=True)
    """What the kernel is doing."""
    status = t.Unicode("").tag(sync=True)
    """Plain text for the read-out."""
    progress = t.Float(-1.0).tag(sync=True)
    """0 .. 1, or -1 if nothing is under way."""
    error = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """``{"message": what a user reads, "details": traceback}``, or None."""
    label = t.Unicode("").tag(sync=True)
    """Accessible name."""
    layer = t.Unicode("").tag(sync=True)
    """Name of the output layer."""
    feature_map = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """``{"size": [w, h], "range": [lowest, highest], "rgba": bytes}``, one pixel per cell, of a volume plane
    after plane; or None."""
    show_heat = t.Bool(True).tag(sync=True)
    """Whether the heat map is drawn."""
    heat_opacity = t.Float(0.7, min=0.0, max=1.0).tag(sync=True)
    """Opacity of the heat map."""
    query = t.List(t.Int(), default_value=None, allow_none=True, minlen=4, maxlen=6).tag(sync=True)
    """Box ``[left, top, right, bottom]`` of pixels, or of voxels, whose cells are marked, or None."""
    asking = t.Bool(False).tag(sync=True)
    """Whether clicks and drags on the image ask for the cells that see it, as they do with Shift."""
    layers = t.List(t.Dict(), []).tag(sync=True)
    """All layers, in the order of the network: `rfwidget.widget.scene.rows_to_json`; empty while not measured."""
    compare = t.Unicode("").tag(sync=True)
    """Name of the layer to compare with; empty: none."""
    contours = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """Outlines of the effective receptive field: `rfwidget.widget.scene.contours_to_json`, or None."""
    background = t.Unicode("").tag(sync=True)
    """What is being computed while nobody waits."""
    height = t.Int(480).tag(sync=True)
    """CSS pixels that the image is high at most."""
    choices = t.List(t.List(), []).tag(sync=True)
    """The layers that can be chosen: name, width and height of the grid."""
    controls = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """What the controls show: `rfwidget.widget.controls.controls_to_json`; None: there are none."""
    notice = t.Unicode("").tag(sync=True)
    """Why something that was wanted with the controls could not be; empty: nothing."""
    input = t.Unicode("").tag(sync=True)
    """What the model gets of the image, in words."""
    thumbnails = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """The sheet of channels, ``{"size": [w, h], "channels": [number, ...], "rgba": bytes}``, or None."""
    marks = t.List(t.Dict(), []).tag(sync=True)
    """What the page draws and not the canvas: the tags, and all marks while it is zoomed, as
    `rfwidget.widget.scene.marks_to_json`."""
    scene = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """The image under it all, for a page without the canvas: `rfwidget.widget.page.pictures_of`; None: it is there."""
    palette = t.Dict(default_value=None, allow_none=True).tag(sync=True)
    """How the bytes of heat maps are coloured: `palette_to_json`; None while it is not known."""
    live_cells = t.Int(0).tag(sync=True)
    """How many cells' heat maps a page is to hold before anybody asks; 0: none."""
    words = t.Dict(words_to_json(2)).tag(sync=True)
    """What depends on the kind of the model's input: `rfwidget.widget.words.words_to_json`."""

    def __init__(self, **traits: Any) -> None:
        self._esm = read_built(SCRIPTS.get(traits.get("axes", 2), "overlay.js"))
        self._css = read_built("overlay.css")
        self._handlers: dict[type, Callable[[Any], None]] = {}
        super().__init__(**traits)
        hear_every_shell(self)
        self.on_msg(self._receive)

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Ignore what a page says of the traits: the kernel alone sets them, pages only ask."""

    def set(self, **traits: Any) -> None:
        """Set several traits in one message to the browser."""
        with self.hold_sync():
            for name, value in traits.items():
                setattr(self, name, value)

    def on_message(self, kind: type[M], handler: Callable[[M], None]) -> None:
        """Have a handler called with every well-formed message of a kind; it takes the place of the one before."""
        self._handlers[kind] = handler

    def _receive(self, _widget: object, content: object, buffers: object) -> None:
        """Hand a page's message to the handler of its kind; malformed ones are dropped without a word."""
        message = parse_message(content, buffers)
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def acknowledge(self, request: Request) -> None:
        """Tell the page that its request has arrived: from here on its time-out runs."""
        self.send({"kind": "ack", "client": request.client, "seq": request.seq})

    def supersede(self, request: Request) -> None:
        """Tell the page that a newer request has taken the place of this one."""
        self.send({"kind": "superseded", "client": request.client, "seq": request.seq})

    def answer(
        self,
        request: Request | None,
        *,
        serial: int,
        revision: int,
        cell: GridPoint,
        rect: Rect,
        milliseconds: float,
        levels: Levels,
    ) -> None:
        """Send a heat map to all pages.

        Args:
            request: the request it answers; None: the kernel draws of its own accord.
            serial: greater than that of every earlier answer and failure.
            revision: the revision the heat map belongs to.
            cell: its cell.
            rect: the cell's receptive field.
            milliseconds: what the computation took.
            levels: the map.
        """
        content = {
            "kind": "answer",
            **_address(request),
            **map_to_json(cell, levels),
            "serial": serial,
            "revision": revision,
            "rect": rect_to_json(rect),
            "milliseconds": milliseconds,
            "mass": [[share, list(place)] for share, place in levels.mass],
        }
        self.send(content, [levels.values.tobytes()])

    def send_maps(self, revision: int, maps: Sequence[tuple[GridPoint, Levels]]) -> None:
        """Send gradient maps for all pages to hold; their bytes travel one after the other."""
        content = {"kind": "maps", "revision": revision, "maps": [map_to_json(cell, levels) for cell, levels in maps]}
        self.send(content, [b"".join(levels.values.tobytes() for _, levels in maps)])

    def pause(self, *, on: bool) -> None:
        """Tell all pages that no maps are made for a while, or that it is over; until then they need not ask."""
        self.send({"kind": "pause", "on": on})

    def fail(self, request: Request | None, *, serial: int, revision: int, message: str, details: str = "") -> None:
        """Tell all pages that a heat map could not be made: in words for the user, with a traceback to unfold."""
        failure = {"serial": serial, "revision": revision, "message": message, "details": details}
        self.send({"kind": "failure", **_address(request), **failure})

    def download(self, name: str, content: bytes) -> None:
        """Have the browser save a file, a picture or a page by the end of its name."""
        self.send({"kind": "download", "name": name}, [content])

    def copy(self, text: str) -> None:
        """Have the browser put a text on the clipboard."""
        self.send({"kind": "copy", "text": text})


def palette_to_json(colouring: Colouring) -> dict[str, Any]:
    """As `Palette` in js/protocol.ts."""
    return {
        "rgba": palette(colouring).tobytes(),
        "ranked": colouring.scale == "percentile",
        "ticks": [list(tick) for tick in bar_ticks(colouring)],
    }


def parse_message(content: object, buffers: object = ()) -> PageMessage | None:
    """What a page says; None if it is malformed or none of ours.

    Args:
        content: the message.
        buffers: its binary buffers; only an upload has one.

    >>> parse_message({"kind": "request", "client": "a", "seq": 1, "revision": 0, "cell": [2, 3]})
    Request(client='a', seq=1, revision=0, cell=GridPoint(x=2, y=3))
    >>> parse_message({"kind": "query", "box": [2, 3, 5, 4]})
    Query(box=(2, 3, 5, 4))
    >>> parse_message({"kind": "layer", "name": "mix"})
    Choice(name='mix')
    >>> parse_message({"kind": "query", "box": [5, 3, 2, 4]}) is None
    True
    """
    if not isinstance(content, dict):
        return None
    kind = content.get("kind")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        return None
    return parse({**content, "content": _only_buffer(buffers)})


def _only_buffer(buffers: object) -> bytes | None:
    """The bytes of a message that has one buffer."""
    if not isinstance(buffers, (list, tuple)) or len(buffers) != 1 or not isinstance(buffers[0], (bytes, memoryview)):
        return None
    return bytes(buffers[0])


def _request(content: dict[str, Any]) -> Request | None:
    client, seq, revision = (content.get(name) for name in ("client", "seq", "revision"))
    cell = _wholes(content.get("cell"), 2, 3)
    if not isinstance(client, str) or not _CLIENT.fullmatch(client):
        return None
    if cell is None or not _is_whole(seq) or not _is_whole(revision) or not seq:
        return None
    return Request(client, seq, revision, GridPoint(*cell))


def _query(content: dict[str, Any]) -> Query | None:
    if "box" not in content:
        return None
    if content["box"] is None:
        return Query(None)
    edges = _wholes(content["box"], 4, 6)
    if edges is None:
        return None
    half = len(edges) // 2
    some = all(first < last for first, last in zip(edges[:half], edges[half:], strict=True))
    return Query(tuple(edges)) if some else None


def _choice(content: dict[str, Any]) -> Choice | None:
    name = content.get("name")
    return Choice(name) if isinstance(name, str) else None


def _setting(content: dict[str, Any]) -> Setting | None:
    name, value = content.get("name"), content.get("value")
    if not isinstance(name, str) or name not in SETTABLE or "value" not in content:
        return None
    if isinstance(value, str):
        return Setting(name, value) if len(value) <= _LONGEST_TEXT else None
    if value is None or isinstance(value, bool):
        return Setting(name, value)
    if isinstance(value, (int, float)) and abs(value) <= _LARGEST:  # NaN compares with nothing
        return Setting(name, value)
    return None


def _upload(content: dict[str, Any]) -> Upload | None:
    name, file = content.get("name"), content["content"]
    if not isinstance(name, str) or len(name) > _LONGEST_TEXT or file is None:
        return None
    return Upload(name, file)


def _action(content: dict[str, Any]) -> Action | None:
    name = content.get("name")
    return Action(name) if isinstance(name, str) and name in ACTIONS else None


def _magnified(content: dict[str, Any]) -> Magnified | None:
    zoomed = content.get("zoomed")
    return Magnified(zoomed) if isinstance(zoomed, bool) else None


def _hint(content: dict[str, Any]) -> Hint | None:
    client, revision, came = (content.get(name) for name in ("client", "revision", "came"))
    near, shown = content.get("near"), content.get("shown")
    cell = _wholes(content.get("cell"), 2, 3)
    if not isinstance(client, str) or not _CLIENT.fullmatch(client):
        return None
    if cell is None or not _is_whole(revision) or not _is_whole(came):
        return None
    if not isinstance(near, bool) or not isinstance(shown, bool):
        return None
    return Hint(client, revision, GridPoint(*cell), came, near, shown)


_PARSERS: Mapping[str, Callable[[dict[str, Any]], PageMessage | None]] = {
    "request": _request,
    "query": _query,
    "layer": _choice,
    "set": _setting,
    "upload": _upload,
    "act": _action,
    "zoom": _magnified,
    "hint": _hint,
}
"""The kinds of messages, by the name that they travel under."""


def _is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number, from 0, that JavaScript can hold."""
    return type(value) is int and 0 <= value <= _LARGEST


def _wholes(value: object, *lengths: int) -> list[int] | None:
    """A list of so many whole numbers, or None if the value is none."""
    if not isinstance(value, list) or len(value) not in lengths or not all(map(_is_whole, value)):
        return None
    return value


def map_to_json(cell: GridPoint, levels: Levels) -> dict[str, Any]:
    """As `LevelMap` in js/protocol.ts; its bytes travel in a buffer."""
    return {
        "cell": list(cell),
        "box": list(levels.box),
        "step": levels.step,
        "full": levels.full,
        "weight": levels.weight,
    }


def _address(request: Request | None) -> dict[str, Any]:
    """Whose request a message answers; the empty client: nobody's."""
    return {"client": request.client if request else "", "seq": request.seq if request else 0}
