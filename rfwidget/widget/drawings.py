"""What the browser draws over the scene, as plain values: the selected cell, and answers to what was asked beyond it.

The same marks with the same looks as js/marks.ts, js/querymarks.ts, js/contours.ts and js/overlay.css, for pictures
made without a browser. Nothing here paints; all positions are CSS pixels of the stage, as in `rfwidget.widget.scene`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.plotting import finite_rect
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.scene import StageLayout

Path = tuple[tuple[float, float], ...]
"""Corners ``(x, y)`` of a line whose parts run along the axes; it is closed if it ends where it begins."""


class Look(NamedTuple):
    """How a line is painted: its colour, width and dashes in CSS pixels, and those of the solid halo under it."""

    colour: str
    width: float
    dash: tuple[float, ...]
    halo: str
    halo_width: float
    halo_opacity: float


class Line(NamedTuple):
    """Lines of one look; where they cross they are one. ``clip``: shown inside this rectangle only."""

    paths: tuple[Path, ...]
    look: Look
    clip: Rect | None = None


class Label(NamedTuple):
    """White letters with a black edge; ``x`` is where they begin, ``y`` their base line."""

    text: str
    x: float
    y: float


class Drawings(NamedTuple):
    """Back to front: lines, diamonds around their centres ``(x, y)``, labels."""

    lines: tuple[Line, ...] = ()
    diamonds: tuple[tuple[float, float], ...] = ()
    labels: tuple[Label, ...] = ()

    def over(self, below: Drawings) -> Drawings:
        """These drawings on top of others."""
        return Drawings(below.lines + self.lines, below.diamonds + self.diamonds, below.labels + self.labels)


class Layer(NamedTuple):
    """A layer's name, the receptive fields of its cells, and its grid."""

    name: str
    field: FieldGeometry
    grid: Size


NOTHING = Drawings()

YELLOW = "#ffe14d"
SELECTED = Look("white", 2, (), "black", 4, 1.0)
OVERHANG = Look("black", 2, (4, 4), "white", 4, 0.7)
"""Around the image lies the page, and that of a picture is white."""
COMPARED = Look(YELLOW, 2, (12, 5), "black", 4, 1.0)
QUERY = Look(YELLOW, 2, (2, 2), "black", 4, 1.0)
CONTOUR = Look("white", 2, (), "black", 3.5, 0.8)

DIAMOND = 3.5
"""Half the width of a diamond, in CSS pixels."""

_CROSS = 5.0  # half its width in CSS pixels
_BLEED = 2.5  # CSS pixels: a rectangle flush with the image keeps its whole line
_LETTERS = 14.0  # CSS pixels: height of a label's line
_SPACING = 7.0  # least CSS pixels between two diamonds


def build_drawings(
    layout: StageLayout,
    image: GridShape,
    shown: Layer,
    selected: GridPoint | None,
    *,
    query: Rect | None = None,
    contours: dict[str, Any] | None = None,
    other: Layer | None = None,
) -> Drawings:
    """All drawings over a scene, in the order in which the browser has them.

    Args:
        layout: of the stage.
        image: the model's input.
        shown: the layer on show.
        selected: its selected cell.
        query: pixels whose cells are marked.
        contours: outlines of the effective receptive field, `rfwidget.widget.contours.plain_contours`.
        other: the layer to compare with.
    """
    drawings = NOTHING
    if selected is not None:
        if contours is not None:
            drawings = _contours(layout, contours, selected)
        if other is not None:
            drawings = _compared(layout, image, shown, other, selected).over(drawings)
        rect, centre = shown.field.rect(selected), _centre(shown.field, selected)
        label = "" if other is None else shown.name
        drawings = _marked(layout, image, rect, centre, SELECTED, OVERHANG, label).over(drawings)
    if query is not None:
        drawings = _found(layout, shown, query).over(drawings)
    return drawings


def around(rect: Rect) -> Path:
    """The edges of a rectangle."""
    left, top, right, bottom = rect
    return ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))


def _compared(layout: StageLayout, image: GridShape, shown: Layer, other: Layer, selected: GridPoint) -> Drawings:
    """The cell of the other layer whose field is centred nearest to that of the selected one."""
    columns, rows = other.grid
    x, y = _centre(shown.field, selected)
    cell = GridPoint(other.field.x.nearest(x, int(columns)), other.field.y.nearest(y, int(rows)))
    rect, centre = other.field.rect(cell), _centre(other.field, cell)
    return _marked(layout, image, rect, centre, COMPARED, COMPARED, other.name, below=True)


def _centre(field: FieldGeometry, cell: GridPoint) -> tuple[float, float]:
    return field.x.centre_at(cell.x), field.y.centre_at(cell.y)


def _marked(
    layout: StageLayout,
    image: GridShape,
    rect: Rect,
    centre: tuple[float, float],
    inside: Look,
    outside: Look,
    label: str,
    *,
    below: bool = False,
) -> Drawings:
    """One cell: its rectangle, inside the image and where it overhangs, a cross at its centre, and a label."""
    if rect.left == rect.right:
        return NOTHING
    at = layout.place(finite_rect(rect, image))
    (x, y), scale, size = centre, layout.scale, layout.size
    x, y = layout.margin.left + x * scale, layout.margin.top + y * scale
    cross = (((x - _CROSS, y), (x + _CROSS, y)), ((x, y - _CROSS), (x, y + _CROSS)))
    box, window = (around(at),), layout.place(Rect(0, 0, layout.image.w, layout.image.h))
    window = Rect(window.left - _BLEED, window.top - _BLEED, window.right + _BLEED, window.bottom + _BLEED)
    lines = (Line(box, outside), Line(box, inside, window), Line(cross, inside._replace(dash=())))
    base = _base_below(at.bottom, size.h) if below else _base_above(at.top)
    return Drawings(lines, labels=(Label(label, max(at.left, 0) + 3, base),) if label else ())


def _base_above(edge: float) -> float:
    """Base line of a label above an edge, or below it where there is no room."""
    return max(edge, 0) + _LETTERS if edge < _LETTERS else edge - 5


def _base_below(edge: float, stage: float) -> float:
    """Base line of a label below an edge, or above it where there is no room."""
    return min(edge, stage) - 5 if edge + _LETTERS > stage else edge + _LETTERS


def _found(layout: StageLayout, shown: Layer, box: Rect) -> Drawings:
    """The box asked about, and the centres of the cells that hold it."""
    (left, top, right, bottom), margin = box, layout.margin
    columns = _places(shown.field.x, shown.field.x.holding(left, right, int(shown.grid.w)), margin.left, layout.scale)
    rows = _places(shown.field.y, shown.field.y.holding(top, bottom, int(shown.grid.h)), margin.top, layout.scale)
    return Drawings((Line((around(layout.place(box)),), QUERY),), tuple((x, y) for y in rows for x in columns))


def _places(axis: AxisField, cells: Sequence[int], margin: float, scale: float) -> list[float]:
    """Centres along an axis, thinned to a readable distance; the kept ones lie in the middle."""
    every = max(1, math.ceil(_SPACING / (axis.stride * scale)))
    start = ((len(cells) - 1) % every + 1) // 2 % every
    return [margin + axis.centre_at(cell) * scale for cell in cells[start::every]]


def _contours(layout: StageLayout, contours: dict[str, Any], cell: GridPoint) -> Drawings:
    """The outlines at a cell: each share with a dash pattern and a label."""
    frames, scale = (contours["x"], contours["y"]), layout.scale
    left, top = (math.floor(frame["start"] + at * frame["stride"]) for frame, at in zip(frames, cell, strict=True))
    left, top = layout.margin.left + left * scale, layout.margin.top + top * scale
    lines, labels = [], []
    for level in contours["levels"]:
        paths = tuple(tuple((left + x * scale, top + y * scale) for x, y in _corners(loop)) for loop in level["loops"])
        larger = level["share"] > 0.5
        lines.append(Line(paths, CONTOUR._replace(dash=(6, 3)) if larger else CONTOUR))
        # The smaller region's label stands above it, the larger one's to its right.
        corners = [corner for path in paths for corner in path]
        if corners:
            x, y = max(corners, key=lambda at: at[0]) if larger else min(corners, key=lambda at: at[1])
            labels.append(Label(f"{100 * level['share']:.0f} %", x + 3, y + (4 if larger else -5)))
    return Drawings(tuple(lines), labels=tuple(labels))


def _corners(loop: Sequence[int]) -> list[tuple[int, int]]:
    """Corners of a closed line given as x, y, x, y, ..., the first one also at the end."""
    corners = list(zip(loop[::2], loop[1::2], strict=True))
    return [*corners, *corners[:1]]
