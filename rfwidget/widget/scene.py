"""Everything that is drawn, as values: the picture, the marks on it, the strip of layers, the outlines.

This module knows neither models nor browsers, and paints nothing. A mark is one drawn thing in CSS pixels of the stage,
whose image begins at ``(margin.left, margin.top)``. `build_scene` gives the picture with the marks that stay; the
selected cell and answers to what was asked beyond it come from `marks_over`. One list of marks feeds all painters:
`rfwidget.widget.canvas` with ipycanvas commands, `rfwidget.widget.png` into a picture, and through that the page
without a kernel. Where the browser draws over the scene itself, js/view has the same marks with the same looks.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget.effective import EffectiveField
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.marks import CORNER_STYLES, cell_centres, corner_cells, finite_rect, naive_rect
from rfwidget.survey import LayerRow, Survey
from rfwidget.types import GridPoint, GridShape, Rect, Size

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
    """Lines of one look; where they cross they are one.

    ``clip``: shown inside this rectangle only. ``through``: faint where a section of a volume cuts this axis outside
    these edges.
    """

    paths: tuple[Path, ...]
    look: Look
    clip: Rect | None = None
    through: tuple[int, float, float] | None = None

    def is_faint(self, cut: tuple[int, int, int] | None) -> bool:
        """Whether it is a box that the section at this voxel does not meet."""
        if self.through is None or cut is None:
            return False
        axis, low, high = self.through
        return not low <= cut[axis] < high


class Dots(NamedTuple):
    """Discs of `DOT_COLOUR` and `DOT_RADIUS` around centres ``(n, 2)``."""

    centres: npt.NDArray[np.float64]


class Diamonds(NamedTuple):
    """Diamonds of `YELLOW` with a black edge around centres ``(x, y)``; `DIAMOND` is half their width."""

    centres: Path


class Tag(NamedTuple):
    """White letters on a coloured ground; ``x`` and ``y`` are its left top corner, `TAG_HEIGHT` is its height.

    ``of`` is the rectangle that it belongs to.
    """

    text: str
    x: float
    y: float
    colour: str
    of: Rect


class Label(NamedTuple):
    """White letters with a black edge; ``x`` is where they begin, ``y`` their base line."""

    text: str
    x: float
    y: float


SceneMark = Dots | Line | Tag
Mark = SceneMark | Diamonds | Label

STAGE_SIDE = 480
"""Longer side of the image on the screen, in CSS pixels, if nothing else is asked for."""

_WHOLE_ENOUGH = 0.8
"""A whole zoom factor is taken if it gives at least this part of the size that there is room for."""

DASHES: dict[str, tuple[float, ...]] = {"-": (), "--": (7, 4), "-.": (9, 4, 2, 4), ":": (2, 3)}
"""Dash patterns in CSS pixels, under matplotlib's names."""

YELLOW = "#ffe14d"
DOT_COLOUR = "#35e06a"
DOT_RADIUS = 1.4
DIAMOND = 3.5
TAG_HEIGHT, TAG_PADDING, TAG_FONT = 16.0, 4.0, 11.0
LABEL_FONT = 12.0
"""Sizes in CSS pixels."""

_LETTER = 6.7
"""Width of a tag's letters in CSS pixels, more or less."""


def _with_pale_halo(colour: str, width: float, dash: tuple[float, ...]) -> Look:
    return Look(colour, width, dash, "white", width + 2, 0.8)


_SHADES = {"red": "#e5202b", "blue": "#2b4cff", "green": "#0b7f3a"}
"""Of the named colours: white letters can be read on them, and they can be told apart on dark and on light ground."""

CORNERS = {word: _with_pale_halo(_SHADES[colour], 2, DASHES[dash]) for colour, dash, word in CORNER_STYLES}
"""Looks of the rectangles of the first, central and last cell; a pale halo sets them off from any picture."""

NAIVE = tuple(_with_pale_halo(_SHADES[colour], 2, DASHES[":"]) for colour, _, _ in CORNER_STYLES)
"""The same cells, if the grid were stretched over the image."""

SELECTED = Look("white", 2, (), "black", 4, 1.0)
OVERHANG = Look("black", 2, (4, 4), "white", 4, 0.7)
"""Around the image lies the page, and that of a picture is white."""
COMPARED = Look(YELLOW, 2, (12, 5), "black", 4, 1.0)
QUERY = Look(YELLOW, 2, (2, 2), "black", 4, 1.0)
CONTOUR = Look("white", 2, (), "black", 3.5, 0.8)

SHARES = (0.5, 0.95)
"""Shares of the gradient's mass that are outlined."""

STRIP = 0.16
"""Part of a signal's height that its gradient map takes, at the bottom."""

_FLAT = 0.4
"""Height of a signal, as a part of its width."""

_LANE = TAG_HEIGHT + 4
"""CSS pixels by which each of the intervals of a signal begins lower than the one before: their tags stand there."""

_TICK = (6.0, 13.0)
"""CSS pixels below a signal where the ticks of its cells begin and end."""

EDGE = 12.0
"""Least margin around the image in CSS pixels: room for strokes and the focus ring."""

_LEAST = (150, 4 * TAG_HEIGHT)
"""CSS pixels that a stage is wide and high at least: an image of one row has room for tags beside it."""

_MOST_OVERHANG = 0.25
"""Margin for overhanging fields, as a part of the image's longer side; what is farther out fades away."""

FADE = 7.0
"""CSS pixels at the stage's border over which lines fade."""

_DOT_SPACING = 12.0
"""Least distance between dots in CSS pixels; denser grids show every second, third, ... cell."""

_DIAMOND_SPACING = 7.0
"""Least distance between diamonds in CSS pixels."""

_CROSS = 5.0
"""Half the width of the cross at the selected cell's centre, in CSS pixels."""

_ASIDE = 2.5
"""CSS pixels by which the selected outline lies outside its field, beside the outline of a corner cell."""

_BLEED = 5.0
"""CSS pixels around the image in which a rectangle flush with it keeps its whole line."""

SPOTLIGHT = 0.45
"""Opacity of the black that dims the image around the selected field."""

_LETTERS = 14.0
"""Height of a label's line in CSS pixels."""


class Margin(NamedTuple):
    """Room around the image in CSS pixels."""

    left: float
    top: float
    right: float
    bottom: float


class StageLayout(NamedTuple):
    """Where the image stands on the stage.

    Attributes:
        image: width and height of the image in pixels.
        scale: CSS pixels per image pixel, along x.
        margin: room around the image in CSS pixels.
        stretch: how many times as high as wide a pixel is: 1, but for a signal, which is an image of one row.
    """

    image: Size
    scale: float
    margin: Margin
    stretch: float = 1.0

    @property
    def scales(self) -> tuple[float, float]:
        """CSS pixels per image pixel, along x and along y."""
        return self.scale, self.scale * self.stretch

    @property
    def is_signal(self) -> bool:
        """Whether the image is a signal, drawn as high as there is room."""
        return self.stretch != 1

    @property
    def size(self) -> Size:
        """Width and height of the stage in CSS pixels."""
        return Size(
            self.margin.left + self.image.w * self.scale + self.margin.right,
            self.margin.top + self.image.h * self.scales[1] + self.margin.bottom,
        )

    def place(self, rect: Rect) -> Rect:
        """A rectangle of image pixels, in CSS pixels of the stage."""
        x, y, (across, down) = self.margin.left, self.margin.top, self.scales
        return Rect(x + rect.left * across, y + rect.top * down, x + rect.right * across, y + rect.bottom * down)

    def place_heat(self, box: Rect) -> Rect:
        """Where a gradient map of a box of the image goes: over it, or of a signal in the strip below the lines."""
        placed = self.place(box)
        if not self.is_signal:
            return placed
        _, top, _, bottom = self.place(Rect(0, 0, self.image.w, self.image.h))
        return placed._replace(top=bottom - STRIP * (bottom - top), bottom=bottom)


class Scene(NamedTuple):
    """The picture on the stage, and the marks on it that stay, back to front; of a volume, where its sections cut."""

    layout: StageLayout
    picture: npt.NDArray[np.uint8]
    marks: tuple[SceneMark, ...]
    cut: tuple[int, int, int] | None = None


class Layer(NamedTuple):
    """A layer's name, the receptive fields of its cells, and its grid."""

    name: str
    field: FieldGeometry
    grid: Size


def plan_layout(
    image: GridShape,
    field: FieldGeometry | None,
    grid: Size | None,
    height: float = STAGE_SIDE,
    *,
    signal: bool = False,
) -> StageLayout:
    """Zoom and margins: the image with the fields that overhang it fills a square of a given side.

    Args:
        image: the model's input.
        field: receptive fields of all cells; None: not measured yet.
        grid: the layer's grid.
        height: CSS pixels of the square, but for the least margin; whole zoom factors are preferred.
        signal: whether the image is a signal, one row as long as it is: it is stretched, and wider than high.
    """
    longer = max(image.w, image.h)
    overhang = [0.0, 0.0, 0.0, 0.0]
    if field is not None and grid is not None:
        for point in corner_cells(grid):
            overhang = [max(*sides) for sides in zip(overhang, _beyond(field.rect(point), image), strict=True)]
    sides = [min(side, _MOST_OVERHANG * longer) for side in overhang]
    if signal:
        scale = height / _FLAT / 1.2 / (sides[0] + image.w + sides[2])
        sides = [sides[0], 0.0, sides[2], 0.0]
        left, top, right, bottom = (math.ceil(EDGE + side * scale) for side in sides)
        margin = Margin(left, top, right, bottom + _TICK[1])
        return StageLayout(Size(image.w, image.h), scale, margin, _FLAT * image.w / image.h)
    scale = height / max(sides[0] + image.w + sides[2], sides[1] + image.h + sides[3])
    if scale >= 1 and math.floor(scale) >= _WHOLE_ENOUGH * scale:
        scale = float(math.floor(scale))
    edges = [math.ceil(EDGE + side * scale) for side in sides]
    for axis, least in enumerate(_LEAST):
        room = min(least, height) - (edges[axis] + image.size[axis] * scale + edges[axis + 2])
        for edge in (axis, axis + 2):
            edges[edge] += max(0, math.ceil(room / 2))
    return StageLayout(Size(image.w, image.h), scale, Margin(*edges))


def _beyond(rect: Rect, image: GridShape) -> tuple[float, float, float, float]:
    """Pixels by which a field reaches beyond the image: left, top, right and bottom."""
    rect = finite_rect(rect, image)
    return -rect.left, -rect.top, rect.right - image.w, rect.bottom - image.h


def build_scene(
    picture: npt.NDArray[np.uint8],
    image: GridShape,
    field: FieldGeometry | None = None,
    grid: Size | None = None,
    *,
    dots: bool = True,
    rectangles: Collection[str] = tuple(CORNERS),
    naive: bool = False,
    height: float = STAGE_SIDE,
    signal: bool = False,
) -> Scene:
    """Scene of an image and, once it is known, of the grid over it.

    Args:
        picture: RGB as shown, ``(h, w, 3)``; of any size, it fills the image.
        image: the model's input.
        field: receptive fields of all cells; None: not measured yet.
        grid: the layer's grid.
        dots: show the centres of all cells.
        rectangles: which of the fields to show, of the words of `CORNERS`.
        naive: show where these would be if the grid were stretched linearly over the image.
        height: see `plan_layout`.
        signal: see `plan_layout`.
    """
    layout = plan_layout(image, field, grid, height, signal=signal)
    marks: list[SceneMark] = []
    tags: list[Tag] = []
    seen: list[Rect] = []
    if field is not None and grid is not None:
        if dots:
            centres = dots_of(field, image, grid, layout)
            marks.append(_ticks(centres, layout) if signal else Dots(centres))
        corners = zip(corner_cells(grid), CORNERS.items(), NAIVE, strict=True)
        for lane, (point, (word, look), stretched) in enumerate(corners):
            if naive:
                marks.append(outline_within(layout.place(naive_rect(point, image, grid)), stretched))
            if word in rectangles:
                rect = layout.place(finite_rect(field.rect(point), image))
                if signal:  # intervals lie on each other: each begins lower
                    rect = rect._replace(top=rect.top + lane * _LANE, bottom=rect.bottom - lane * look.halo_width)
                marks.append(outline_within(nested(rect, seen, look), look))
                seen.append(rect)
                tags.append(
                    tag_of(f"{word}{cut_off(field.rect(point), image, signal=signal)}", rect, layout, look.colour)
                )
    return Scene(layout, picture, (*marks, *tags_apart(tags, layout.size)))


def nested(rect: Rect, seen: Sequence[Rect], look: Look) -> Rect:
    """Where a rectangle is drawn that may be the same as some before it: inside those, for three lines on each other
    are one. Fields that are unbounded all cover the whole image.
    """
    by = look.halo_width * seen.count(rect)
    return rect if 2 * by > min(rect.size) else _grown(rect, -by)


def outline_within(rect: Rect, look: Look) -> Line:
    """The rectangle with its line inside."""
    left, top, right, bottom = rect
    half = look.width / 2
    return Line((around(Rect(left + half, top + half, right - half, bottom - half)),), look)


_ARROWS = ("\u2190", "\u2191", "\u2192", "\u2193")
"""Left, up, right, down."""

_DIAGONALS = {"\u2190\u2191": "\u2196", "\u2191\u2192": "\u2197", "\u2190\u2193": "\u2199", "\u2192\u2193": "\u2198"}


def cut_off(rect: Rect, image: GridShape, *, signal: bool = False) -> str:
    """Arrows to where a field goes on beyond the stage, with the pixels by which it overhangs the image.

    >>> cut_off(Rect(-60, -60, 40, 40), GridShape(None, 100, 100, 3))
    ' \u2196 60 px'
    """
    beyond, unit = _beyond(rect, image), "samples" if signal else "px"
    endless = "".join(arrow for arrow, edge in zip(_ARROWS, rect, strict=True) if math.isinf(edge))
    if signal and endless:
        return f" {endless} all"
    cut = [
        (arrow, side) for arrow, side in zip(_ARROWS, beyond, strict=True) if side > _MOST_OVERHANG * max(image[1:3])
    ]
    lengths = {side for _, side in cut}
    arrows = "".join(arrow for arrow, _ in cut)
    if len(lengths) == 1:
        return f" {_DIAGONALS.get(arrows, arrows)} {lengths.pop():g} {unit}"
    return "".join(f" {arrow} {side:g}" for arrow, side in cut) + (f" {unit}" if cut else "")


def tag_width(text: str) -> float:
    """Width of a tag in CSS pixels, more or less: only who writes it knows its font."""
    return 2 * TAG_PADDING + _LETTER * len(text)


def tag_of(text: str, rect: Rect, layout: StageLayout, colour: str) -> Tag:
    """A tag in a corner of a rectangle, the left top one if that is in sight; beside one that it would hide."""
    size, width = layout.size, tag_width(text)
    left, top = max(rect.left, 0.0), max(rect.top, 0.0)
    if (
        rect.left < 0 and rect.top < 0 and rect.right <= size.w and rect.bottom <= size.h
    ):  # its other corner is in sight
        left, top = rect.right - width - 2, rect.bottom - TAG_HEIGHT - 2
    elif rect.right - left < 1.5 * width or rect.bottom - top < 2 * TAG_HEIGHT:
        top = top - TAG_HEIGHT - 2 if top >= TAG_HEIGHT + 2 else rect.bottom + 2
    else:
        left, top = max(left, FADE), max(top, FADE)
    left, top = min(left, size.w - width - FADE), min(top, size.h - TAG_HEIGHT - FADE)
    return Tag(text, max(0.0, left), max(0.0, top), colour, rect)


def tags_apart(tags: Iterable[Tag], size: Size) -> list[Tag]:
    """The tags, none on another: one that would be stands in the nearest free place at one of those before it, below
    or beside rather than above.

    Args:
        tags: the first ones stay where they are.
        size: of the stage, which holds them all.
    """
    placed: list[Tag] = []
    for tag in tags:
        width, ways = tag_width(tag.text), [(tag.x, tag.y)]
        for other in placed:
            beside = (other.x - width - 1, other.x + tag_width(other.text) + 1)
            ways += [
                (tag.x, other.y + TAG_HEIGHT + 1),
                (tag.x, other.y - TAG_HEIGHT - 1),
                *((x, tag.y) for x in beside),
            ]
        moved = (tag._replace(x=x, y=y) for x, y in ways if 0 <= x <= size.w - width and 0 <= y <= size.h - TAG_HEIGHT)
        free = (at for at in moved if not any(_meet(at, other) for other in placed))
        near = min(free, key=lambda at: (at.y < tag.y, math.dist((at.x, at.y), (tag.x, tag.y))), default=tag)
        placed.append(near)
    return placed


def _meet(one: Tag, other: Tag) -> bool:
    across = one.x < other.x + tag_width(other.text) and other.x < one.x + tag_width(one.text)
    return across and abs(one.y - other.y) < TAG_HEIGHT


def dots_of(field: FieldGeometry, image: GridShape, grid: Size, layout: StageLayout) -> npt.NDArray[np.float64]:
    """Centres of the cells inside the image, thinned to a readable distance; ``(n, 2)`` in CSS pixels."""
    axes = []
    for centres, axis, pixels, edge, scale in zip(
        cell_centres(field, grid),
        field,
        (image.w, image.h),
        (layout.margin.left, layout.margin.top),
        layout.scales,
        strict=True,
    ):
        every = dots_every(axis, scale)
        kept = centres[(every - 1) // 2 :: every]
        axes.append(edge + kept[(kept >= 0) & (kept <= pixels)] * scale)
    xs, ys = np.meshgrid(*axes)
    return np.stack([xs.ravel(), ys.ravel()], axis=1)


TICK = Look("#1e9e46", 2, (), "white", 3, 0.6)


def _ticks(centres: npt.NDArray[np.float64], layout: StageLayout) -> Line:
    """The centres of a signal's cells as ticks below it."""
    base = layout.margin.top + layout.image.h * layout.scales[1]
    return Line(tuple(((x, base + _TICK[0]), (x, base + _TICK[1])) for x in centres[:, 0].tolist()), TICK)


def dots_every(axis: AxisField, scale: float) -> int:
    """Of how many neighbouring cells one centre is drawn."""
    return max(1, math.ceil(_DOT_SPACING / (axis.stride * scale)))


FAINT = 0.35
"""Opacity of a box that a section does not meet."""

_DEPTHS = (Line, Diamonds, Label)
"""What lies over a scene, back to front."""


def marks_over(
    layout: StageLayout,
    image: GridShape,
    shown: Layer,
    selected: GridPoint | None,
    *,
    query: Rect | None = None,
    contours: dict[str, Any] | None = None,
    other: Layer | None = None,
) -> tuple[Mark, ...]:
    """The marks over a scene, back to front, as the browser has them.

    Args:
        layout: of the stage.
        image: the model's input.
        shown: the layer on show.
        selected: its selected cell.
        query: pixels whose cells are marked.
        contours: outlines of the effective receptive field, `contours_to_json`.
        other: the layer to compare with.
    """
    marks: list[Mark] = []
    if selected is not None:
        if contours is not None:
            marks += _contours(layout, contours, selected)
        if other is not None:
            marks += compared_cell(layout, image, shown, other, selected)
        rect, centre = shown.field.rect(selected), _centre(shown.field, selected)
        marks += marked_cell(layout, image, rect, centre, SELECTED, OVERHANG, "" if other is None else shown.name)
    if query is not None:
        marks += found_cells(layout, shown, query)
    return tuple(sorted(marks, key=lambda mark: _DEPTHS.index(type(mark))))


def spot_of(rect: Rect, image: GridShape) -> tuple[Rect, Rect]:
    """All of an image, and the field around which it is dimmed."""
    left, top, right, bottom = finite_rect(rect, image)
    inside = Rect(
        min(max(left, 0), image.w), min(max(top, 0), image.h), min(max(right, 0), image.w), min(max(bottom, 0), image.h)
    )
    return Rect(0, 0, image.w, image.h), inside


def around(rect: Rect) -> Path:
    """The edges of a rectangle."""
    left, top, right, bottom = rect
    return ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))


def compared_cell(
    layout: StageLayout, image: GridShape, shown: Layer, other: Layer, selected: GridPoint
) -> Iterable[Mark]:
    """The cell of the other layer whose field is centred nearest to that of the selected one."""
    columns, rows = other.grid
    x, y = _centre(shown.field, selected)
    cell = GridPoint(other.field.x.nearest(x, int(columns)), other.field.y.nearest(y, int(rows)))
    rect, centre = other.field.rect(cell), _centre(other.field, cell)
    return marked_cell(layout, image, rect, centre, COMPARED, COMPARED, other.name, below=True)


def _centre(field: FieldGeometry, cell: GridPoint) -> tuple[float, float]:
    return field.x.centre_at(cell.x), field.y.centre_at(cell.y)


def marked_cell(
    layout: StageLayout,
    image: GridShape,
    rect: Rect,
    centre: tuple[float, float],
    inside: Look,
    outside: Look,
    label: str,
    *,
    below: bool = False,
) -> Iterable[Mark]:
    """One cell: its rectangle, inside the image and where it overhangs, a cross at its centre, and a label."""
    if rect.left == rect.right:
        return ()
    at = _grown(layout.place(finite_rect(rect, image)), _ASIDE)
    (x, y), (across, down), size = centre, layout.scales, layout.size
    x, y = layout.margin.left + x * across, layout.margin.top + y * down
    cross = (((x - _CROSS, y), (x + _CROSS, y)), ((x, y - _CROSS), (x, y + _CROSS)))
    box, window = (around(at),), layout.place(Rect(0, 0, layout.image.w, layout.image.h))
    window = _grown(window, _BLEED)
    lines = (Line(box, outside), Line(box, inside, window), Line(cross, inside._replace(dash=())))
    base = _base_below(at.bottom, size.h) if below else _base_above(at.top)
    return (*lines, Label(label, max(at.left, 0) + 3, base)) if label else lines


def _grown(rect: Rect, by: float) -> Rect:
    """A rectangle with room around it."""
    return Rect(rect.left - by, rect.top - by, rect.right + by, rect.bottom + by)


def _base_above(edge: float) -> float:
    """Base line of a label above an edge, or below it where there is no room."""
    return max(edge, 0) + _LETTERS if edge < _LETTERS else edge - 5


def _base_below(edge: float, stage: float) -> float:
    """Base line of a label below an edge, or above it where there is no room."""
    return min(edge, stage) - 5 if edge + _LETTERS > stage else edge + _LETTERS


def found_cells(layout: StageLayout, shown: Layer, box: Rect) -> Iterable[Mark]:
    """The box asked about, and the centres of the cells that hold it."""
    (left, top, right, bottom), margin, scales = box, layout.margin, layout.scales
    columns = _places(shown.field.x, shown.field.x.holding(left, right, int(shown.grid.w)), margin.left, scales[0])
    rows = _places(shown.field.y, shown.field.y.holding(top, bottom, int(shown.grid.h)), margin.top, scales[1])
    return Line((around(layout.place(box)),), QUERY), Diamonds(tuple((x, y) for y in rows for x in columns))


def _places(axis: AxisField, cells: Sequence[int], margin: float, scale: float) -> list[float]:
    """Centres along an axis, thinned to a readable distance; the kept ones lie in the middle."""
    every = max(1, math.ceil(_DIAMOND_SPACING / (axis.stride * scale)))
    start = ((len(cells) - 1) % every + 1) // 2 % every
    return [margin + axis.centre_at(cell) * scale for cell in cells[start::every]]


def _contours(layout: StageLayout, contours: dict[str, Any], cell: GridPoint) -> Iterable[Mark]:
    """The outlines at a cell: each share with a dash pattern and a label."""
    frames, (across, down) = (contours["x"], contours["y"]), layout.scales
    left, top = (math.floor(frame["start"] + at * frame["stride"]) for frame, at in zip(frames, cell, strict=True))
    left, top = layout.margin.left + left * across, layout.margin.top + top * down
    marks: list[Mark] = []
    for level in contours["levels"]:
        paths = tuple(tuple((left + x * across, top + y * down) for x, y in _corners(loop)) for loop in level["loops"])
        larger = level["share"] > 0.5
        marks.append(Line(paths, CONTOUR._replace(dash=(6, 3)) if larger else CONTOUR))
        # The smaller region's label stands above it, the larger one's to its right.
        corners = [corner for path in paths for corner in path]
        if corners:
            x, y = max(corners, key=lambda at: at[0]) if larger else min(corners, key=lambda at: at[1])
            marks.append(Label(f"{100 * level['share']:.0f} %", x + 3, y + (4 if larger else -5)))
    return marks


def _corners(loop: Sequence[int]) -> list[tuple[int, int]]:
    """Corners of a closed line given as x, y, x, y, ..., the first one also at the end."""
    corners = list(zip(loop[::2], loop[1::2], strict=True))
    return [*corners, *corners[:1]]


def contours_to_json(effective: EffectiveField) -> dict[str, Any]:
    """Outlines as `Contours` in js/protocol.ts: where they begin for a cell, and closed lines for each of `SHARES`."""
    x, y = ({"start": float(frame.start), "stride": float(frame.stride)} for frame in effective.frames)
    levels = [
        {"share": share, "loops": [line.ravel().tolist() for line in effective.contour(share)]} for share in SHARES
    ]
    return {"x": x, "y": y, "levels": levels}


def rows_to_json(survey: Survey) -> list[dict[str, Any]]:
    """One row per layer, as `LayerRow` in js/protocol.ts; ``field`` is None where a layer could not be measured."""
    return [_row_to_json(row, survey) for row in survey]


def _row_to_json(row: LayerRow, survey: Survey) -> dict[str, Any]:
    return {
        "name": row.name,
        "grid": [int(count) for count in row.grid],
        "size": [side if math.isfinite(side) else None for side in row.size],
        "uniform": all(row.uniform),
        "unproductive": all(row.unproductive),
        "field": None if row.note else survey.field(row.name).to_json(),
    }


def marks_to_json(marks: Iterable[SceneMark]) -> list[dict[str, Any]]:
    """The marks of a scene, as `SceneMark` in js/protocol.ts: each with the part of the picture that it belongs to."""
    return [_mark_to_json(mark) for mark in marks]


def _mark_to_json(mark: SceneMark) -> dict[str, Any]:
    match mark:
        case Dots(centres):
            at = np.round(centres, 2).ravel().tolist()
            return {"kind": "dots", "part": "dots", "at": at, "radius": DOT_RADIUS, "colour": DOT_COLOUR}
        case Line(paths, look, _, through):
            parts = {**{corner: word for word, corner in CORNERS.items()}, TICK: "dots"}
            part = parts.get(look, "naive")
            points = [[round(at, 2) for corner in path for at in corner] for path in paths]
            return {
                "kind": "line",
                "part": part,
                "paths": points,
                **look._asdict(),
                "dash": list(look.dash),
                "through": None if through is None else list(through),
            }
        case Tag(text, x, y, colour, of):
            part = next(word for word, corner in CORNERS.items() if corner.colour == colour)
            size = {"width": tag_width(text), "height": TAG_HEIGHT}
            return {
                "kind": "tag",
                "part": part,
                "text": text,
                "x": round(x, 2),
                "y": round(y, 2),
                **size,
                "colour": colour,
                "of": [round(edge, 2) for edge in of],
            }


def rect_to_json(rect: Rect) -> list[float | None]:
    """Left, top, right and bottom edge; JSON has no infinity, None stands for it."""
    return [edge if math.isfinite(edge) else None for edge in rect]
