"""What is drawn of a volume: the marks of an image, in each of its three sections.

As in `rfwidget.widget.scene`, in CSS pixels of one stage. Boxes of corner cells are drawn in every section as they lie
in the plane; those that the section does not meet are faint, which depends on where it cuts (`Line.through`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from rfwidget.geometry import FieldGeometry
from rfwidget.marks import corner_cells, finite_rect, naive_rect
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.scene import (
    CORNERS,
    EDGE,
    NAIVE,
    OVERHANG,
    SELECTED,
    STAGE_SIDE,
    Dots,
    Label,
    Layer,
    Line,
    Look,
    Margin,
    Mark,
    Path,
    Scene,
    SceneMark,
    StageLayout,
    Tag,
    compared_cell,
    cut_off,
    dots_of,
    found_cells,
    marked_cell,
    nested,
    tag_of,
    tags_apart,
)
from rfwidget.widget.sections import Section, Voxel, cut_through, picture_of, picture_size, sections_of

_WIDEST = 1.4
"""Largest width of the picture, as a part of its height."""

CROSSHAIR = Look("white", 1, (5, 4), "black", 2, 0.55)
"""Where the other sections cut."""


def plan_sections(size: Size, height: float = STAGE_SIDE) -> StageLayout:
    """Zoom and margins for the picture of a volume: around each section there is half a gap for what overhangs."""
    width, high = picture_size(size)
    gap = width - size.w - size.d
    scale = min(height / (high + gap), _WIDEST * height / (width + gap))
    margin = math.ceil(EDGE + gap / 2 * scale)
    return StageLayout(Size(int(width), int(high)), scale, Margin(margin, margin, margin, margin))


def section_layout(layout: StageLayout, section: Section, size: Size) -> StageLayout:
    """The stage as one with a section for its image."""
    scale, (wide, high) = layout.scale, section.shape(size)
    left, top = layout.margin.left + section.left * scale, layout.margin.top + section.top * scale
    right, bottom = layout.size.w - left - wide * scale, layout.size.h - top - high * scale
    return StageLayout(Size(wide, high), scale, Margin(left, top, right, bottom))


def room_of(layout: StageLayout, section: Section, size: Size) -> Rect:
    """The part of the stage in which a section's lines may be: up to the middle of the gaps."""
    width, _ = picture_size(size)
    half = (width - size.w - size.d) / 2 * layout.scale
    placed = section_layout(layout, section, size).place(Rect(0, 0, *section.shape(size)))
    return Rect(placed.left - half, placed.top - half, placed.right + half, placed.bottom + half)


def build_section_scene(
    volume: npt.NDArray[np.uint8],
    shape: GridShape,
    field: FieldGeometry | None = None,
    grid: Size | None = None,
    cell: GridPoint | None = None,
    *,
    dots: bool = True,
    rectangles: Collection[str] = tuple(CORNERS),
    naive: bool = False,
    height: float = STAGE_SIDE,
) -> Scene:
    """Scene of a volume and, once it is known, of the grid in it; see `rfwidget.widget.scene.build_scene`.

    Args:
        volume: RGB as shown, ``(d, h, w, 3)``.
        shape: of the model's input.
        field: receptive fields of all cells; None: not measured yet.
        grid: the layer's grid.
        cell: whose field the sections cut through the centre; None: they cut through the centre of the volume.
        dots: show the centres of all cells.
        rectangles: which of the boxes to show, of the words of `CORNERS`.
        naive: show where these would be if the grid were stretched linearly over the volume.
        height: CSS pixels that the picture is high.
    """
    size = shape.size
    layout, cut = plan_sections(size, height), _cut(field, cell, size)
    marks: list[SceneMark] = []
    tags: list[Tag] = []
    if field is not None and grid is not None:
        for section in sections_of(size):
            own, flat = section_layout(layout, section, size), GridShape(None, *section.shape(size), shape.c)
            room = room_of(layout, section, size)
            seen: list[Rect] = []
            if dots:
                marks.append(Dots(dots_of(section.fields(field), flat, Size(*section.shape(grid)), own)))
            for point, (word, look), stretched in zip(corner_cells(grid), CORNERS.items(), NAIVE, strict=True):
                if naive:
                    box = naive_rect(point, shape, grid)
                    marks.append(_outline(own.place(section.flat(box)), room, stretched, section, box))
                if word not in rectangles:
                    continue
                box = field.rect(point)
                if box.is_empty:
                    continue
                finite = finite_rect(box, shape)
                rect = own.place(section.flat(finite))
                marks.append(_outline(nested(rect, seen, look), room, look, section, finite))
                seen.append(rect)
                if section.through == 2:
                    words = f"{word}{cut_off(section.flat(box), flat)}"
                    tags.append(tag_of(words, rect, layout, look.colour))
    return Scene(layout, picture_of(volume, cut, 255), (*marks, *tags_apart(tags, layout.size)), cut)


def _cut(field: FieldGeometry | None, cell: GridPoint | None, size: Size) -> Voxel:
    if field is not None and cell is not None:
        return cut_through(field, cell, size)
    x, y, z = (int(length) // 2 for length in size)
    return x, y, z


def _outline(rect: Rect, room: Rect, look: Look, section: Section, box: Rect) -> Line:
    """The rectangle of a box in a section, its line inside, cut off at the section's room."""
    low, high = box.edges[section.through]
    half, (left, top, right, bottom) = look.width / 2, rect
    inside = Rect(left + half, top + half, right - half, bottom - half)
    return Line(visible_sides(inside, room), look, through=(section.through, low, high))


def visible_sides(rect: Rect, room: Rect) -> tuple[Path, ...]:
    """The outline of a rectangle as far as it lies in a room: closed if all of it does.

    >>> visible_sides(Rect(-5, 2, 3, 4), Rect(0, 0, 9, 9))
    (((0, 2), (3, 2)), ((3, 2), (3, 4)), ((3, 4), (0, 4)))
    """
    left, top, right, bottom = rect
    corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    if room.left <= left and right <= room.right and room.top <= top and bottom <= room.bottom:
        return (corners,)
    inside = [
        (min(max(x, room.left), room.right), min(max(y, room.top), room.bottom)) for x, y in corners
    ]  # a side out of sight comes to lie on the room's border
    seen = (room.top <= top, right <= room.right, bottom <= room.bottom, room.left <= left)
    return tuple(
        (inside[side], inside[side + 1])
        for side, shown in enumerate(seen)
        if shown and inside[side] != inside[side + 1]
    )


def section_marks_over(
    layout: StageLayout,
    shape: GridShape,
    shown: Layer,
    selected: GridPoint | None,
    *,
    query: Rect | None = None,
    other: Layer | None = None,
) -> tuple[Mark, ...]:
    """The marks over the scene of a volume, back to front; see `rfwidget.widget.scene.marks_over`."""
    size, lines, rest = shape.size, [], []
    cut = _cut(shown.field, selected, size)
    for section in sections_of(size):
        own, room = section_layout(layout, section, size), room_of(layout, section, size)
        marks = [*_crosshair(section, own, cut), *_of_section(section, own, shape, shown, selected, query, other, cut)]
        for mark in marks:
            if isinstance(mark, Line):
                clip = room if mark.clip is None else _common(mark.clip, room)
                lines.append(mark._replace(clip=clip))
            else:
                rest.append(mark)
    return (*lines, *sorted(rest, key=lambda mark: isinstance(mark, Label)))


def _of_section(
    section: Section,
    own: StageLayout,
    shape: GridShape,
    shown: Layer,
    selected: GridPoint | None,
    query: Rect | None,
    other: Layer | None,
    cut: Voxel,
) -> Iterator[Mark]:
    """The marks of an image for one section."""
    flat = GridShape(None, *section.shape(shape.size), shape.c)
    here = _flat_layer(shown, section)
    if selected is not None:
        cell = GridPoint(selected[section.across], selected[section.down])
        box = shown.field.rect(selected)
        label = "" if other is None or section.through != 2 else shown.name
        if other is not None:
            there = _flat_layer(other, section)
            yield from compared_cell(own, flat, here, there if label else there._replace(name=""), cell)
        if not box.is_empty:
            centre = (here.field.x.centre_at(cell.x), here.field.y.centre_at(cell.y))
            yield from marked_cell(own, flat, section.flat(box), centre, SELECTED, OVERHANG, label)
    if query is not None:
        low, high = query.edges[section.through]
        through = section.through
        if shown.field[through].holding(low, high, int(shown.grid[through])):
            found = [*found_cells(own, here, section.flat(query))]
            yield from found if low <= cut[through] < high else found[1:]
        elif low <= cut[through] < high:
            yield next(iter(found_cells(own, here, section.flat(query))))


def _flat_layer(layer: Layer, section: Section) -> Layer:
    return Layer(layer.name, section.fields(layer.field), Size(*section.shape(layer.grid)))


def _crosshair(section: Section, own: StageLayout, cut: Voxel) -> Iterable[Mark]:
    """Where the other two sections cut, and the section's axes in words."""
    whole = own.place(Rect(0, 0, *own.image))
    x = whole.left + (cut[section.across] + 0.5) * own.scale
    y = whole.top + (cut[section.down] + 0.5) * own.scale
    paths = (((x, whole.top), (x, whole.bottom)), ((whole.left, y), (whole.right, y)))
    yield Line(paths, CROSSHAIR, whole)
    yield Label(section_title(section, cut), whole.left + 4, whole.bottom - 5)


def section_title(section: Section, cut: Voxel) -> str:
    """The axes of a section, and where it cuts; js/view/sections.ts says the same."""
    across, down, through = ("xyz"[axis] for axis in section[:3])
    return f"{across} \u2192 {down} \u2193, {through} = {cut[section.through]}"


def _common(one: Rect, other: Rect) -> Rect:
    left, top = max(one.left, other.left), max(one.top, other.top)
    return Rect(left, top, max(min(one.right, other.right), left), max(min(one.bottom, other.bottom), top))
