"""The widget as one picture, laid out as on the screen, painted without a browser: for files, and for notebooks that
have no kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rfwidget.types import GridPoint, Rect
from rfwidget.widget.heat import MAP_COLOURS, Heat, lookup_table
from rfwidget.widget.png import SHARPNESS, font
from rfwidget.widget.scene import CORNERS
from rfwidget.widget.words import TERMS, Terms

_PAD, _COLUMN, _BAR, _STRIP, _MAP = 14, 330, 40, 126, 196
"""Room around text, width of the column, heights of bar and strip, side of the feature map, in CSS pixels."""

_TALLEST = 800
"""Height that the column never has, in CSS pixels."""

_ROW = 28
"""Height of the one row of a signal's cells, in CSS pixels."""

_INK, _DIM, _RULE, _GROUND, _BARS, _PALE, _CHOSEN = (
    *("#1f2328", "#5c6670", "#d8dee4", "#f6f8fa", "#98b7ea", "#d5dae1", "#1f63d6"),
)


class Sheet(NamedTuple):
    """What stands around the picture.

    Attributes:
        layer: name of the layer.
        grid: its width, height and, of a volume, depth in cells.
        cell: the selected cell; None: none.
        rect: its receptive field; None: there is none.
        heat: its heat map, if it is shown.
        map: what the heat map is called.
        colormap: of the heat map.
        features: the feature map, RGBA ``(h, w, 4)``; None: not shown.
        channel: which channel it shows, in words.
        reach: its lowest and highest value.
        shown: which of the fields of `CORNERS` are shown.
        said: what the model gets, in words.
        rows: all layers, `rfwidget.widget.scene.rows_to_json`.
        image: lengths of the model's input along x, y, ...
    """

    layer: str
    grid: tuple[int, ...]
    cell: GridPoint | None
    rect: Rect | None
    heat: Heat | None
    map: str
    colormap: str
    features: npt.NDArray[np.uint8] | None
    channel: str
    reach: tuple[float, float]
    shown: Sequence[str]
    said: str
    rows: Sequence[Mapping[str, Any]]
    image: tuple[int, ...]


def paint_sheet(picture: Image.Image, sheet: Sheet) -> Image.Image:
    """The picture with bar, column and strip around it.

    Args:
        picture: of the image with all marks, as `rfwidget.widget.png.paint` makes it.
        sheet: what stands around it.
    """
    wide, high = picture.width / SHARPNESS, picture.height / SHARPNESS
    said = _Pen(ImageDraw.Draw(picture)).lines(sheet.said, 11, wide - 2 * _PAD)
    foot = 10 + 14 * len(said)
    column = Image.new("RGB", (_COLUMN * SHARPNESS, _TALLEST * SHARPNESS), "white")
    body = max(high + foot, math.ceil(_column(column, _Pen(ImageDraw.Draw(column)), sheet, _PAD, 10)))
    width, height = wide + _COLUMN, _BAR + body + (_STRIP if sheet.rows else 0)
    whole = Image.new("RGB", (round(width * SHARPNESS), round(height * SHARPNESS)), "white")
    pen = _Pen(ImageDraw.Draw(whole))
    pen.box(0, 0, width, _BAR, _GROUND)
    end = pen.text(_PAD, _BAR / 2, sheet.layer, bold=True, middle=True, room=width - 120)
    pen.text(end + 10, _BAR / 2, _by(sheet.grid[: len(sheet.image)]), colour=_DIM, middle=True)
    whole.paste(picture, (0, round((_BAR + (body - foot - high) / 2) * SHARPNESS)))
    for number, words in enumerate(said):
        pen.text(_PAD, _BAR + body - foot + 4 + 14 * number, words, 11, _DIM)
    column = column.crop((0, 0, column.width, round(body * SHARPNESS)))
    whole.paste(column, (round(wide * SHARPNESS), _BAR * SHARPNESS))
    low = _BAR + body
    for line in ((0, _BAR, width, _BAR + 1), (wide, _BAR, wide + 1, low), (0, low, width, low + 1)):
        pen.box(line[0], line[1], line[2], line[3], _RULE)
    if sheet.rows:
        _strip(pen, sheet, width, _BAR + body + 8)
    return whole


class _Pen:
    """Draws in CSS pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float = 13,
        colour: str = _INK,
        *,
        bold: bool = False,
        middle: bool = False,
        to_left: bool = False,
        room: float = math.inf,
    ) -> float:
        """A line of text that begins at a place, or ends there; cut off where there is no more room. Where it ends."""
        face = font(size, bold=bold)
        words = " ".join(words.split())
        while words and self._draw.textlength(words, font=face) > room * SHARPNESS:
            words = words[:-2].rstrip() + "\u2026"
        anchor = ("r" if to_left else "l") + ("m" if middle else "a")
        self._draw.text((x * SHARPNESS, y * SHARPNESS), words, font=face, fill=colour, anchor=anchor)
        return x if to_left else x + float(self._draw.textlength(words, font=face)) / SHARPNESS

    def lines(self, words: str, size: float, room: float) -> list[str]:
        """Lines of text that fit into a width, broken between words."""
        lines: list[str] = []
        for word in words.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.width(longer, size) <= room:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def width(self, words: str, size: float) -> float:
        """Width of a line of text."""
        return float(self._draw.textlength(words, font=font(size, bold=False))) / SHARPNESS

    def dashes(self, left: float, y: float, right: float, dash: Sequence[float], colour: str, high: float = 2) -> None:
        """A lying line, dashed as browsers have it."""
        pattern, step = [*dash] or [right - left], 0
        while left < right:
            end = min(left + pattern[step % len(pattern)], right)
            if step % 2 == 0:
                self.box(left, y - high / 2, end, y + high / 2, colour)
            left, step = end, step + 1

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """A filled rectangle."""
        edges = [round(edge * SHARPNESS) for edge in (left, top, right, bottom)]
        if edges[2] > edges[0] and edges[3] > edges[1]:
            self._draw.rectangle((edges[0], edges[1], edges[2] - 1, edges[3] - 1), fill=colour)


def _column(whole: Image.Image, pen: _Pen, sheet: Sheet, x: float, y: float) -> float:
    """The selected cell in numbers, the feature map, and what the colours mean; where all that ends."""
    right = x + _COLUMN - 2 * _PAD
    pen.text(x, y, "SELECTED CELL", 10, _DIM, bold=True)
    pen.text(x, y + 17, "\u2013" if sheet.cell is None else _cell(sheet), 19, bold=True)
    y += 46
    for word, value, remark in _facts(sheet):
        pen.text(x, y, word, 12, _DIM)
        end = pen.text(x + 88, y, value, 12)
        if pen.width(remark, 12) > right - end - 8:  # as in browsers, below it
            end, y = x + 80, y + 18
        pen.text(end + 8, y, remark, 12, _DIM, room=right - end - 8)
        y += 18
    if sheet.features is not None:
        y = _rule(pen, x, y + 8)
        pen.text(x, y, "FEATURE MAP", 10, _DIM, bold=True)
        pen.text(right, y - 1, sheet.channel, 11, bold=True, to_left=True)
        h, w = sheet.features.shape[:2]
        zoom = _MAP / max(h, w)
        high = _ROW if len(sheet.image) == 1 else h * zoom
        size = (max(1, round(w * zoom * SHARPNESS)), max(1, round(high * SHARPNESS)))
        small = Image.fromarray(sheet.features, "RGBA").convert("RGB").resize(size, Image.Resampling.NEAREST)
        whole.paste(small, (round(x * SHARPNESS), round((y + 18) * SHARPNESS)))
        long = max(high, 40)
        _ramp(pen, x + w * zoom + 12, y + 18, 10, long, MAP_COLOURS)
        ticks = ((1.0, sheet.reach[0]), (0.5, sum(sheet.reach) / 2), (0.0, sheet.reach[1]))
        for at, limit in ticks if sheet.reach[0] < sheet.reach[1] else ticks[:1]:
            words = f"{limit:.3g}".replace("-", "\u2212")
            pen.text(x + w * zoom + 28, y + 18 + at * (long - 12), words, 10, _DIM)
        y += 18 + long
    y = _rule(pen, x, y + 10)
    at = x
    for word in sheet.shown:
        look = CORNERS[word]
        pen.dashes(at, y + 6, at + 26, look.dash, look.colour)
        at = pen.text(at + 32, y, word, 12) + 16
    if sheet.heat is not None and sheet.heat.ticks:
        y += 24 if sheet.shown else 0
        pen.text(x, y, sheet.map, 12, _DIM)
        _ramp(pen, x, y + 20, right - x, 8, sheet.colormap)
        for place, words in sheet.heat.ticks:
            half = pen.width(words, 10) / 2
            middle = min(max(x + place * (right - x), x + half), right - half)
            pen.text(middle - half, y + 30, words, 10, _DIM)
        y += 22
    return y + 34


def _rule(pen: _Pen, x: float, y: float) -> float:
    """A line across the column; where what is below it begins."""
    pen.box(x - _PAD, y, x + _COLUMN - _PAD, y + 1, _RULE)
    return y + 10


def _by(lengths: Sequence[Any]) -> str:
    return " \u00d7 ".join(map(str, lengths))


def _cell(sheet: Sheet) -> str:
    """The selected cell as the model has it: "(8, 4)", of a signal "8"."""
    along = (sheet.cell or ())[: len(sheet.image)]
    return f"({', '.join(map(str, along))})" if len(along) > 1 else str(along[0])


def _terms(sheet: Sheet) -> Terms:
    return TERMS[len(sheet.image)]


def _sides(sheet: Sheet, lengths: Sequence[Any]) -> str:
    """Lengths in words: "34 by 19 px", of a signal "34 samples"."""
    return f"{_by(lengths[: len(sheet.image)])} {_terms(sheet).unit}"


def _facts(sheet: Sheet) -> list[tuple[str, str, str]]:
    """As js/view/cell-report.ts has them: a word, what it says, and a remark."""
    if sheet.rect is None:
        return []
    pairs = sheet.rect.edges[: len(sheet.image)]
    if sheet.rect.is_empty:
        return [("sees", "only padding", "")]
    row = next((row for row in sheet.rows if row["name"] == sheet.layer), None)
    spans = [_span(*pair) for pair in pairs]
    place = spans[0] if len(spans) == 1 else ", ".join(map(" ".join, zip("xyz", spans, strict=False)))
    facts = [
        ("sees", place, ""),
        ("size", _sides(sheet, [_length(*pair) for pair in pairs]), "" if row is None else _stride(row)),
    ]
    inside = [min(high, side) - max(low, 0) for (low, high), side in zip(pairs, sheet.image, strict=True)]
    if sheet.heat is not None and not sheet.heat.rgba.size:
        facts.append(("gradient", "zero everywhere", ""))
    for share, box in sheet.heat.mass if sheet.heat is not None else ():
        sides = [last - first for first, last in Rect(*box).edges[: len(sheet.image)]]
        part = math.prod(sides) / max(math.prod(inside), 1)
        remark = f"{_percent(part) if part >= 0.005 else '< 1 %'} of the {_terms(sheet).whole}"
        facts.append((f"{_percent(share)} within", _sides(sheet, sides), remark))
    return facts


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _stride(row: Mapping[str, Any]) -> str:
    """ "stride 8", of both axes where they differ; empty where it is not known."""
    if row["field"] is None:
        return ""
    along = [f"{axis['pixels'] / axis['cells']:.4g}" for axis in row["field"].values()]
    along = along[: len(row["size"])]
    return "stride " + (along[0] if len(set(along)) == 1 else " \u00d7 ".join(along))


def _span(low: float, high: float) -> str:
    if math.isfinite(high - low):
        return f"{low:g} \u2013 {high:g}".replace("-", "\u2212")
    return f"all up to {high:g}" if math.isfinite(high) else f"all from {low:g} on" if math.isfinite(low) else "all"


def _length(low: float, high: float) -> str:
    return f"{high - low:g}" if math.isfinite(high - low) else "\u221e"


def _ramp(pen: _Pen, x: float, y: float, width: float, height: float, colormap: str) -> None:
    """A bar of colours along its longer side; upright, it begins at the bottom."""
    upright, table = height > width, lookup_table(colormap)
    steps = 64
    for step in range(steps):
        red, green, blue = table[round(255 * (step + 0.5) / steps), :3].tolist()
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        if upright:
            pen.box(x, y + height * (1 - (step + 1) / steps), x + width, y + height * (1 - step / steps), colour)
        else:
            pen.box(x + width * step / steps, y, x + width * (step + 1) / steps, y + height, colour)


def _strip(pen: _Pen, sheet: Sheet, width: float, y: float) -> None:
    """All layers as bars on a logarithmic axis, the image as a line, strides as brackets."""
    unit = f"{_terms(sheet).element}s".upper()
    end = pen.text(_PAD, y + 1, f"RECEPTIVE FIELD OF EVERY LAYER, IN {unit}", 10, _DIM, bold=True)
    chosen = next((row for row in sheet.rows if row["name"] == sheet.layer), None)
    if chosen is not None:
        sides = _sides(sheet, ["\u221e" if side is None else f"{side:g}" for side in chosen["size"]])
        grid = f"{_by(chosen['grid'][: len(sheet.image)])}{' cells' if len(sheet.image) == 1 else ''}"
        words = ", ".join(filter(None, (f"{sheet.layer}: {sides}", _stride(chosen), f"grid {grid}")))
        pen.text(width - _PAD, y, words, 11, bold=True, to_left=True, room=width - 2 * _PAD - end)
    side = min(sheet.image)
    name = str(side) if len(set(sheet.image)) == 1 else "\u00d7".join(map(str, sheet.image))
    name = f"{_terms(sheet).thing} {name}"
    lengths = [_against(row, sheet.image) * side for row in sheet.rows]
    top = max(2.0, side, *(length for length in lengths if math.isfinite(length))) * 1.2
    left, right, high, base = _PAD + 22, width - max(90, pen.width(name, 10) + 20), 60.0, y + 86

    def place(length: float) -> float:
        return high * min(1.0, math.log(max(length, 1.0)) / math.log(top))

    for tick in (1, 8, 64, 512):
        if tick <= top:
            pen.box(left, base - place(tick), right, base - place(tick) + 0.5, _RULE)
            pen.text(left - 6, base - place(tick) - 6, str(tick), 10, _DIM, to_left=True)
    step = min((right - left) / len(sheet.rows), 64.0)
    for number, (row, length) in enumerate(zip(sheet.rows, lengths, strict=True)):
        colour = _CHOSEN if row["name"] == sheet.layer else _PALE if length > side or row["unproductive"] else _BARS
        gap = min(1.0, step / 5)
        pen.box(left + number * step, base - place(length), left + (number + 1) * step - gap, base, colour)
    pen.dashes(left, base - place(side), right, (3, 3), _INK, 1)
    pen.text(right + 6, base - place(side) - 7, name, 10, _DIM)
    number = 0
    for words, some in groupby(map(_stride, sheet.rows)):
        count = len(list(some))
        begin, stop = left + number * step, left + (number + count) * step
        number += count
        pen.box(begin, base + 3, stop - 2, base + 4, _DIM)
        if pen.width(words, 10) < stop - begin - 2:
            pen.text((begin + stop - pen.width(words, 10)) / 2, base + 7, words, 10, _DIM)


def _against(row: Mapping[str, Any], image: tuple[int, ...]) -> float:
    """How large a layer's field is against the image; infinite if it is unbounded, 0 if it is not known."""
    if row["field"] is None:
        return 0.0
    return max(math.inf if length is None else length / side for length, side in zip(row["size"], image, strict=True))
