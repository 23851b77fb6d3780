"""The widget as a page: no kernel, no network, the same browser code (js/page.ts), in one file unless asked otherwise.

The gradient maps are computed now and embedded as small pictures. Text from models goes into the page as JSON alone,
and a content security policy lets nothing run or load but what was written here.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import io
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from rfwidget import _validation
from rfwidget._progress import Progress, part, silent
from rfwidget._validation import cell_inside, series
from rfwidget.errors import ReceptiveFieldError
from rfwidget.estimator import ReceptiveField
from rfwidget.types import GridPoint, Size
from rfwidget.widget.controls import AUTOMATIC
from rfwidget.widget.engine import levels_shown, named_shape
from rfwidget.widget.heat import (
    HEAT_SCALES,
    Colouring,
    Levels,
    colour_feature_map,
    default_colormap,
    lookup_table,
    places_in_table,
    value_range,
)
from rfwidget.widget.overlay import map_to_json, palette_to_json, read_built
from rfwidget.widget.resident import nearest_first
from rfwidget.widget.scene import Scene, marks_to_json
from rfwidget.widget.sections import volume_to_json
from rfwidget.widget.view import View, nearest_cell
from rfwidget.widget.words import TERMS, words_to_json

PAGE_SCRIPTS = {3: "standalone-volumes.js"}
"""The browser's side of pages that are not of signals or images, by the number of axes."""

DEFAULT_LIMIT = 25_000_000
"""Bytes; more than that makes a file that neither mails nor opens well."""

_SHARP = 1600
"""Longer side of the embedded photograph, in pixels."""

_CELLS = 100
"""Gradient maps of each layer that is not shown first, if nothing else is asked for."""

_MOST_CELLS = 4096
"""Gradient maps of the layer that is shown first, if nothing else is asked for, as far as the file may grow."""

_TOGETHER = 64
"""Gradient maps in one picture."""

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0 auto;padding:20px;max-width:1280px;background:Canvas;color:CanvasText;"
    "font:14px/1.5 system-ui,sans-serif}"
    "h1{margin:0 0 4px;font-size:1.15rem}p{margin:0 0 14px;max-width:60em}"
)

_HELP = (
    "Click a {}, or draw {}, with Shift or with \u201cwho sees it?\u201d switched on, to mark the cells that see it;"
    " Escape ends that."
)


class Exhibit(NamedTuple):
    """What to show of an estimator.

    Attributes:
        view: of the present layer; its image and channel hold for all layers.
        selected: the cell shown first.
        layers: names of the layers that can be chosen, the first one shown first.
        rows: all layers for the strip, `rfwidget.widget.scene.rows_to_json`; empty: no strip.
        opacity: of the gradient maps, 0..1.
        scene_of: the layout and the marks of a view.
        controls_of: what the controls show of a view, `rfwidget.widget.controls.controls_to_json`.
        contours_of: outlines of the effective receptive field of a view's layer, measured with an estimator of it;
            None: none are shown.
        compare: name of the layer to compare with; empty: none.
        query: left, top, right and bottom edge of the pixels whose cells are marked first, or None.
        asking: whether clicks ask which cells see a place from the start, without Shift.
        height: CSS pixels that the image is high at most.
        title: heading of the page; empty: names of its layers.
        note: a sentence or two below the heading; empty: none.
    """

    view: View
    selected: GridPoint | None
    layers: tuple[str, ...]
    rows: list[dict[str, Any]]
    opacity: float
    scene_of: Callable[[View], Scene]
    controls_of: Callable[[View], dict[str, Any]]
    contours_of: Callable[[ReceptiveField, View, Progress], dict[str, Any]] | None = None
    compare: str = ""
    query: list[int] | None = None
    asking: bool = False
    height: int = 480
    title: str = ""
    note: str = ""


class _Budget:
    """Counts bytes against a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    @property
    def left(self) -> int:
        """Bytes that may still be spent."""
        return self._limit - self._used

    def spend(self, count: int, what: str) -> None:
        """Raises ReceptiveFieldError if that is more than is left."""
        self._used += count
        if self._used > self._limit:
            raise ReceptiveFieldError(
                f"the page would be larger than {self._limit} bytes: {what} already takes it to {self._used}. Embed"
                " fewer cells or layers (cells=25, layers=[...]), or raise max_bytes"
            )


def write_page(
    path: Path,
    rf: ReceptiveField,
    exhibit: Exhibit,
    cells: int | Sequence[Sequence[int]] | None = None,
    max_bytes: int = DEFAULT_LIMIT,
    progress: Progress = silent,
    inline: bool = True,
) -> int:
    """Write the page; see `RFWidget.to_html`.

    Returns:
        Size in bytes, with that of the files beside it.
    """
    content, beside = _build(rf, exhibit, cells, max_bytes, progress, inline)
    for name, text in beside.items():
        (path.parent / name).write_bytes(text)
    path.write_bytes(content)
    return len(content) + sum(map(len, beside.values()))


def page_bytes(
    rf: ReceptiveField,
    exhibit: Exhibit,
    cells: int | Sequence[Sequence[int]] | None = None,
    max_bytes: int = DEFAULT_LIMIT,
    progress: Progress = silent,
) -> bytes:
    """The page as one file; see `RFWidget.to_html`."""
    return _build(rf, exhibit, cells, max_bytes, progress, inline=True)[0]


def _build(
    rf: ReceptiveField,
    exhibit: Exhibit,
    cells: int | Sequence[Sequence[int]] | None,
    max_bytes: int,
    progress: Progress,
    inline: bool,
) -> tuple[bytes, dict[str, bytes]]:
    """The page, and by their names the files that must stand beside it: none if all is ``inline``."""
    if not exhibit.layers:
        raise ReceptiveFieldError("layers is empty: name at least one layer, or give None for the present one")
    _validation.whole("max_bytes", max_bytes, low=1)
    script, style = read_built(PAGE_SCRIPTS.get(exhibit.view.axes, "standalone.js")), read_built("overlay.css") + _STYLE
    beside = {} if inline else {_name(script, "js"): script.encode("utf-8"), _name(style, "css"): style.encode("utf-8")}
    controls = exhibit.controls_of(exhibit.view)
    page = {
        "heat_opacity": exhibit.opacity,
        "palettes": palettes_to_json(controls["colormaps"]),
        "layers": exhibit.rows,
        "compare": exhibit.compare,
        "query": exhibit.query,
        "asking": exhibit.asking,
        "height": exhibit.height,
        "controls": {
            **controls,
            "actions": False,
            "heat_map": "gradient",
            "heat_maps": ["gradient"],  # there is no kernel to run others
        },
        "input": exhibit.view.said,
        "words": words_to_json(exhibit.view.axes),
        **pictures_of(exhibit.view),
    }

    def document(shown: list[dict[str, Any]], names: Sequence[str]) -> bytes:
        title = exhibit.title or f"Receptive fields of {', '.join(map(str, names))}"
        text = _document({**page, "shown": shown}, exhibit.view.axes, title, exhibit.note, script, style, list(beside))
        return text.encode("utf-8")

    files = sum(map(len, beside.values()))
    budget = _Budget(max_bytes)
    budget.spend(len(document([], exhibit.layers)) + files, "the image")
    shown = []
    for place, name in enumerate(exhibit.layers):
        told = partial(_part, progress, place, len(exhibit.layers))
        told(0.0, f"measuring {name}")
        estimator, view = _look_at(rf, exhibit.view, name)
        selected = exhibit.selected if view is exhibit.view else None
        maps_told = told if exhibit.contours_of is None else part(told, 0, 0.5)
        # Where nobody says how many, a layer leaves room for what comes behind it.
        share = None if cells is not None else 0.9 if place == len(exhibit.layers) - 1 else 0.6
        if cells is None:
            many = _CELLS if place else _MOST_CELLS
            points = nearest_first(view.grid, selected or nearest_cell(view, None), _CELLS if view.axes == 3 else many)
        else:
            points = choose_cells(view.grid, cells, selected)
        layer = _layer(estimator, view, exhibit, points, selected, budget, share, maps_told)
        shown.append({**layer, "contours": _contours(estimator, view, exhibit, budget, part(told, 0.5, 1))})
    content = document(shown, [layer["layer"] for layer in shown])
    _Budget(max_bytes).spend(len(content) + files, "all of it together")
    return content, beside


def palettes_to_json(colormaps: Sequence[str]) -> dict[str, Any]:
    """All colours that a page can give its maps, as `Palettes` in js/hosts/page-host.ts; bytes are in base64.

    Args:
        colormaps: names of matplotlib's, and `AUTOMATIC`.
    """

    def text(table: npt.NDArray[np.uint8]) -> str:
        return base64.b64encode(table.tobytes()).decode("ascii")

    def ramp(scale: str, *, signed: bool) -> dict[str, Any]:
        index, opacity = places_in_table(signed=signed, scale=scale)
        told = palette_to_json(Colouring(default_colormap(signed), signed, scale))
        return {"index": text(index), "opacity": text(opacity), "ranked": told["ranked"], "ticks": told["ticks"]}

    named = dict.fromkeys([name for name in colormaps if name != AUTOMATIC] + [*map(default_colormap, (False, True))])
    return {
        "tables": {name: text(lookup_table(name)[:, :3]) for name in named},
        "automatic": [default_colormap(signed) for signed in (False, True)],
        "scales": {scale: [ramp(scale, signed=signed) for signed in (False, True)] for scale in HEAT_SCALES},
    }


_WIDE = 2048
"""Columns of the picture that holds a volume: its voxels one after the other."""

_MOST_VOXELS = 1 << 22
"""Voxels of a volume that a page draws; of a larger one every second, third, ... along each axis."""


def pictures_of(view: View) -> dict[str, Any]:
    """The image of a view as addresses that hold it: the photograph, and the model's own ``pixels``.

    Of a volume the pixels are all its voxels, in the order of the array; ``every`` says how many of the volume's each
    of them stands for along x, y and z.
    """
    if view.axes == 3:
        every = math.ceil((view.picture[..., 0].size / _MOST_VOXELS) ** (1 / 3))
        voxels = view.picture[::every, ::every, ::every].reshape(-1, 3)
        rows = np.zeros((math.ceil(len(voxels) / _WIDE), _WIDE, 3), np.uint8)
        rows.reshape(-1, 3)[: len(voxels)] = voxels
        grey = bool((voxels == voxels[:, :1]).all())
        pixels = Image.fromarray(rows[:, :, 0], "L") if grey else Image.fromarray(rows, "RGB")
        return {"photo": "", "pixels": address(png_file(pixels)), "every": every}
    return {"photo": _photo(view), "pixels": address(png_file(Image.fromarray(view.picture, "RGB")))}


def _photo(view: View) -> str:
    """Address of the photograph; empty where the model's own pixels are all there is."""
    if view.photo is None:
        return ""
    photo = Image.fromarray(view.photo, "RGB")
    photo.thumbnail((_SHARP, _SHARP), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90)
    return address(file.getvalue(), "jpeg")


def _part(progress: Progress, place: int, count: int, fraction: float, words: str) -> None:
    """Report the progress of one of several equal parts."""
    progress((place + fraction) / count, words)


def choose_cells(
    grid: Size, cells: int | Sequence[Sequence[int]], selected: GridPoint | None = None
) -> list[GridPoint]:
    """Cells of a grid to embed: those given, or some evenly spread ones and the selected one.

    >>> choose_cells(Size(8, 4), 2)
    [GridPoint(x=2, y=2), GridPoint(x=6, y=2)]
    """
    if not isinstance(cells, (int, np.integer)):
        pair = f"({', '.join('xyz'[: len(grid)])})"
        points = [cell_inside(point, grid) for point in series("cells", cells, f"cells {pair}, or their number")]
        if not points:
            raise ReceptiveFieldError(f"cells is empty: give at least one cell {pair}, a number of cells, or None")
        return points
    most = int(cells)
    if isinstance(cells, bool) or most < 1:
        raise ReceptiveFieldError(
            f"cells is {_validation.brief(cells)}: expected a number of cells, at least 1, or cells (x, y)"
        )
    if len(grid) == 3:
        points = _spread_out(grid, most)
        return points if selected is None or selected in points else [selected, *points]
    w, h = int(grid.w), int(grid.h)
    rows = min(h, most, max(1, round(math.sqrt(most * h / w))))
    columns = min(w, most // rows)
    rows = min(h, most // columns)
    points = [GridPoint(x, y) for y in _spread(h, rows) for x in _spread(w, columns)]
    return points if selected is None or selected in points else [selected, *points]


def _spread_out(grid: Size, most: int) -> list[GridPoint]:
    """Evenly spread cells of a volume, not more than so many: along each axis in proportion to its length.

    >>> [tuple(cell) for cell in _spread_out(Size(8, 4, 2), 9)]
    [(1, 1, 1), (3, 1, 1), (5, 1, 1), (7, 1, 1), (1, 3, 1), (3, 3, 1), (5, 3, 1), (7, 3, 1)]
    """
    counts, part = [int(count) for count in grid], (most / math.prod(grid)) ** (1 / 3)
    many = [min(count, max(1, math.floor(count * part))) for count in counts]
    while math.prod(many) > most:  # axes of few cells keep one
        many[many.index(max(many))] -= 1
    along = [_spread(count, wanted) for count, wanted in zip(counts, many, strict=True)]
    return [GridPoint(x, y, z) for z in along[2] for y in along[1] for x in along[0]]


def _spread(count: int, wanted: int) -> list[int]:
    """The middle ones of equal parts of a row of cells."""
    return [(2 * k + 1) * count // (2 * wanted) for k in range(wanted)]


def _look_at(rf: ReceptiveField, view: View, layer: str) -> tuple[ReceptiveField, View]:
    """An estimator and a view of a layer; the given ones stay as they are."""
    if layer == view.layer:
        return rf, view
    shape = view.input_shape
    other = copy.copy(rf)  # shares what has been built; its result is its own
    other.compute(named_shape(shape), rf.input_layer, layer)
    channel = view.channel
    if channel is not None and channel >= other.channels:
        channel = None
    return other, view._replace(
        field=other.field,
        grid=other.output_shape.size,
        channels=other.channels,
        layer=other.output_layer,
        channel=channel,
    )


def _layer(
    rf: ReceptiveField,
    view: View,
    exhibit: Exhibit,
    points: list[GridPoint],
    selected: GridPoint | None,
    budget: _Budget,
    share: float | None,
    progress: Progress,
) -> dict[str, Any]:
    """One layer, as `PageLayer` in js/hosts/page-host.ts; the outlines come on top.

    With ``share``, cells are left out once their maps take that part of what is left of the budget.
    """
    scene = exhibit.scene_of(view)
    layout, marks = scene.layout, marks_to_json(scene.marks)
    features, reach = "", (0.0, 0.0)
    if view.few_cells:
        values = rf.feature_map(view.image, view.channel)
        rgba = colour_feature_map(values)  # of a volume the planes one below the other
        rgba = rgba.reshape(-1, *rgba.shape[-2:])
        features, reach = address(png_file(Image.fromarray(rgba, "RGBA"))), value_range(values)
    shown = {
        "image_size": [int(layout.image.w), int(layout.image.h)],
        "scale": layout.scale,
        "stretch": layout.stretch,
        "axes": view.axes,
        "volume": volume_to_json(view.input_shape.size) if view.axes == 3 else None,
        "margin": list(layout.margin),
        "grid": [int(count) for count in view.grid],
        "field": view.field.to_json(),
        "label": f"Receptive fields of layer {view.layer}",
        "layer": view.layer,
        "dots_every": exhibit.controls_of(view)["dots_every"],
        "marks": marks,
        "features": features,
        "range": reach,
    }
    budget.spend(len(json.dumps(shown)), f"the marks of {view.layer}")
    sheets: list[dict[str, Any]] = []
    spent, most = 0, math.inf if share is None else share * budget.left
    patches = rf.gradient_patches(points, view.image, view.channel)
    waiting = zip(points, patches, strict=True)
    done = 0
    while some := [(point, levels_shown(view, point, patch)) for point, patch in islice(waiting, _TOGETHER)]:
        sheet = _sheet_within(some, most - spent, least=0 if sheets else 1)
        if sheet is None:
            break
        size, done = len(json.dumps(sheet)), done + len(sheet["maps"])
        budget.spend(size, f"gradient map {done} of {len(points)} of layer {view.layer!r}")
        spent += size
        sheets.append(sheet)
        progress(done / len(points), f"gradient map {done} of {len(points)} of {view.layer}")
        if len(sheet["maps"]) < len(some):
            break
    progress(1.0, f"gradient maps of {view.layer}")
    points = [GridPoint(*map_["cell"]) for sheet in sheets for map_ in sheet["maps"]]
    first = selected if selected in points else min(points, key=_distance_from(nearest_cell(view, None)))
    return {**shown, "selected": list(first), "sheets": sheets}


def _contours(
    rf: ReceptiveField, view: View, exhibit: Exhibit, budget: _Budget, progress: Progress
) -> dict[str, Any] | None:
    """Outlines of the effective receptive field, if they are shown."""
    if exhibit.contours_of is None:
        return None
    title = f"effective receptive field of {view.layer}"
    contours = exhibit.contours_of(rf, view, lambda fraction, words: progress(fraction, f"{title}: {words}"))
    budget.spend(len(json.dumps(contours)), f"the {title}")
    return contours


def _sheet_within(maps: list[tuple[GridPoint, Levels]], room: float, least: int) -> dict[str, Any] | None:
    """A sheet of the first of some maps: as many as have room, and at least so many; None for none."""
    while maps:
        sheet = _sheet(maps)
        size = len(json.dumps(sheet))
        if size <= room or len(maps) <= least:
            return sheet
        maps = maps[: max(least, min(len(maps) - 1, int(len(maps) * room / size)))]
    return None


def _sheet(maps: list[tuple[GridPoint, Levels]]) -> dict[str, Any]:
    """Some gradient maps in one picture of their bytes, below each other, as `Sheet` in js/hosts/page-host.ts."""
    width = max(1, *(levels.values.shape[1] for _, levels in maps))
    rows = [np.pad(levels.values, ((0, 0), (0, width - levels.values.shape[1]))) for _, levels in maps]
    pixels = np.concatenate([*rows, np.zeros((1, width), np.uint8)])  # a picture without a pixel is no picture
    return {
        "picture": address(png_file(Image.fromarray(pixels, "L"))),
        "size": [width, len(pixels)],
        "maps": [
            {**map_to_json(point, levels), "mass": [[share, list(box)] for share, box in levels.mass]}
            for point, levels in maps
        ],
    }


def _distance_from(centre: GridPoint) -> Callable[[GridPoint], int]:
    return lambda point: sum((at - there) ** 2 for at, there in zip(point, centre, strict=True))


def _document(
    page: dict[str, Any], axes: int, title: str, note: str, script: str, style: str, beside: Sequence[str]
) -> str:
    """The text of the page; script and style stand in it, or in the two files ``beside``."""
    # Without "<" no text of the user's can end the element that holds it.
    data = json.dumps(page, allow_nan=False).replace("<", "\\u003c")
    title = html.escape(title)
    said = f"<p>{html.escape(note)}</p>\n" if note else ""
    if beside:
        sources = ("'self'", "'self'")
        code, look = f'<script src="{beside[0]}"></script>', f'<link rel="stylesheet" href="{beside[1]}">'
    else:
        sources = (f"'sha256-{_digest(script)}'", f"'sha256-{_digest(style)}'")
        code, look = f"<script>{script}</script>", f"<style>{style}</style>"
    policy = (
        f"default-src 'none'; img-src data:; script-src {sources[0]}; style-src {sources[1]}; base-uri 'none';"
        " form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n{look}\n</head>\n<body>\n<h1>{title}</h1>\n{said}"
        f"<p>{_hover(axes)} {_HELP.format(TERMS[axes].element, TERMS[axes].part)}</p>\n"
        f'<script type="application/json" class="rfwidget-data">{data}</script>\n{code}\n</body>\n</html>\n'
    )


def _name(text: str, kind: str) -> str:
    """Name of a file beside a page: pages of one version share it, and those of another have their own."""
    return f"rfwidget-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:12]}.{kind}"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def png_file(image: Image.Image) -> bytes:
    """A picture as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")  # Pillow's own level: "optimize" saves 5 % and takes seven times as long
    return file.getvalue()


def address(file: bytes, kind: str = "png") -> str:
    """A picture file as an address that holds it."""
    return f"data:image/{kind};base64," + base64.b64encode(file).decode("ascii")


def _hover(axes: int) -> str:
    """What a page does under the mouse: of a volume the gradient map is that of the selected cell."""
    thing, hovered = TERMS[axes].thing, "receptive fields" if axes == 3 else "receptive fields and gradient maps"
    clicked = "the gradient map of the nearest cell" if axes == 3 else "the nearest cell"
    verb = "see" if axes == 3 else "keep"
    return f"Move over the {thing} to see {hovered}; click to {verb} {clicked} that has one in this file."
