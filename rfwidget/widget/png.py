"""A scene, its heat map and the drawings over it into a picture, without a browser: for `RFWidget.save_png` and for
saved notebooks."""

from __future__ import annotations

import io
import math
from itertools import groupby, pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from rfwidget.types import Rect
from rfwidget.widget.drawings import DIAMOND, NOTHING, YELLOW, Drawings, Label, Line, Look, Path, around
from rfwidget.widget.heat import Heat
from rfwidget.widget.scene import Box, Scene

_SHARPNESS = 2
"""Picture pixels per CSS pixel."""

_COMPRESSION = 3
"""Of PNG files, 0..9: a third larger than at best, and twenty times as fast."""


def paint(scene: Scene, heat: Heat | None = None, drawings: Drawings = NOTHING, opacity: float = 0.8) -> Image.Image:
    """Paint what the widget shows.

    Args:
        scene: picture, dots and rectangles.
        heat: gradient map of the selected cell.
        drawings: over all of it.
        opacity: of the gradient map, 0..1.
    """
    layout = scene.layout
    image = Image.new("RGBA", _size(scene), "white")
    pixels = Image.fromarray(scene.picture, "RGB").convert("RGBA")
    if heat is not None and heat.rgba.size:
        faded = heat.rgba.copy()
        faded[:, :, 3] = np.rint(faded[:, :, 3] * opacity)
        pixels.alpha_composite(Image.fromarray(faded, "RGBA"), (heat.left, heat.top))
    zoom = layout.scale * _SHARPNESS
    size = (round(layout.image.w * zoom), round(layout.image.h * zoom))
    resampling = Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.LANCZOS
    corner = (round(layout.margin.left * _SHARPNESS), round(layout.margin.top * _SHARPNESS))
    image.paste(pixels.resize(size, resampling), corner)
    _draw_marks(image, scene)
    for line in drawings.lines:
        _draw_line(image, line)
    draw = ImageDraw.Draw(image)
    for x, y in drawings.diamonds:
        for half, colour in ((DIAMOND + 0.5, "black"), (DIAMOND - 0.5, YELLOW)):
            corners = ((x - half, y), (x, y - half), (x + half, y), (x, y + half))
            draw.polygon([(at * _SHARPNESS, down * _SHARPNESS) for at, down in corners], fill=colour)
    _write(draw, drawings.labels, image.size)
    return image.convert("RGB")


def paint_marks(scene: Scene) -> Image.Image:
    """Dots, rectangles and labels of a scene on clear ground, to lie over its picture."""
    image = Image.new("RGBA", _size(scene))
    _draw_marks(image, scene)
    return image


def _draw_marks(image: Image.Image, scene: Scene) -> None:
    draw = ImageDraw.Draw(image, "RGBA")
    for x, y in scene.dots * _SHARPNESS:
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="limegreen")
    for box in scene.boxes:
        _draw_line(image, _outline(box))
    draw = ImageDraw.Draw(image, "RGBA")
    for box in scene.boxes:
        if box.label:
            _label(draw, box)


def _size(scene: Scene) -> tuple[int, int]:
    size = scene.layout.size
    return round(size.w * _SHARPNESS), round(size.h * _SHARPNESS)


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file that names its maker: by that js/view/saved-output.ts knows which output to hide."""
    maker = PngInfo()
    maker.add_text("Software", "rfwidget")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=_COMPRESSION, pnginfo=maker)
    return file.getvalue()


def _outline(box: Box) -> Line:
    """The rectangle with its line inside, over a pale halo that sets it off from any picture."""
    left, top, right, bottom = box.rect
    half = box.width / 2
    path = around(Rect(left + half, top + half, right - half, bottom - half))
    return Line((path,), Look(box.colour, box.width, box.dash, "white", box.width + 2, 0.7))


def _draw_line(image: Image.Image, line: Line) -> None:
    """The line over its halo."""
    look = line.look
    paths = [tuple((x * _SHARPNESS, y * _SHARPNESS) for x, y in path) for path in line.paths]
    pieces = [piece for path in paths for piece in _dashes(path, [part * _SHARPNESS for part in look.dash])]
    sheet = Rect(0, 0, *image.size)
    if line.clip is not None:
        clip = [round(edge * _SHARPNESS) for edge in line.clip]
        sheet = Rect(*(max(edge, 0) for edge in clip[:2]), *map(min, clip[2:], image.size))
    _ink(image, sheet, paths, round(look.halo_width * _SHARPNESS), look.halo, look.halo_opacity)
    _ink(image, sheet, pieces, round(look.width * _SHARPNESS), look.colour, 1.0)


def _ink(image: Image.Image, sheet: Rect, paths: list[Path], width: int, colour: str, opacity: float) -> None:
    """Paths of one colour onto a part of the image; it is nowhere darker because two of them meet."""
    bars = [bar for path in paths for bar in _bars(path, width)]
    left = max(sheet.left, min((bar[0] for bar in bars), default=0))
    top = max(sheet.top, min((bar[1] for bar in bars), default=0))
    right = min(sheet.right, max((bar[2] for bar in bars), default=0))
    bottom = min(sheet.bottom, max((bar[3] for bar in bars), default=0))
    if left >= right or top >= bottom:
        return
    mask = Image.new("L", (int(right - left), int(bottom - top)))
    draw = ImageDraw.Draw(mask)
    for bar in bars:
        draw.rectangle((bar[0] - left, bar[1] - top, bar[2] - left - 1, bar[3] - top - 1), fill=round(255 * opacity))
    ink = Image.new("RGBA", mask.size, colour)
    ink.putalpha(mask)
    image.alpha_composite(ink, (int(left), int(top)))


def _bars(path: Path, width: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom edge of the pixels under each part of a path; at its corners the parts overlap."""
    corners = [corner for corner, _ in groupby(path)]
    closed, last, bars = corners[0] == corners[-1], len(corners) - 2, []
    for number, (start, end) in enumerate(pairwise(corners)):
        joins = (closed or number > 0, closed or number < last)
        along = 0 if start[1] == end[1] else 1
        side = round(start[1 - along] - width / 2)
        if start[along] > end[along]:
            start, end, joins = end, start, joins[::-1]
        low = round(start[along] - width / 2) if joins[0] else round(start[along])
        high = round(end[along] - width / 2) + width if joins[1] else round(end[along])
        bars.append((low, side, high, side + width) if along == 0 else (side, low, side + width, high))
    return bars


def _dashes(path: Path, dash: list[float]) -> list[Path]:
    """The drawn pieces of a dashed line: the pattern runs around its corners, as in browsers."""
    if not dash:
        return [path]
    pieces, piece = [], [path[0]]
    step, left = 0, dash[0]
    for start, end in pairwise(path):
        length, at = math.dist(start, end), 0.0
        while length - at > left:
            at += left
            turn = (start[0] + (end[0] - start[0]) * at / length, start[1] + (end[1] - start[1]) * at / length)
            if step % 2 == 0:
                pieces.append((*piece, turn))
            piece, step = [turn], step + 1
            left = dash[step % len(dash)]
        left -= length - at
        piece.append(end)
    if step % 2 == 0:
        pieces.append(tuple(piece))
    return pieces


def _write(draw: ImageDraw.ImageDraw, labels: tuple[Label, ...], size: tuple[int, int]) -> None:
    """Labels, moved to where the picture holds all of each, and below those before where they would meet."""
    font, edge = ImageFont.load_default(size=12 * _SHARPNESS), round(1.5 * _SHARPNESS)
    taken: list[tuple[float, float, float, float]] = []
    for label in labels:
        text = " ".join(label.text.split())
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font, anchor="ls", stroke_width=edge)
        x = max(min(label.x * _SHARPNESS, size[0] - right), -left)
        y = max(min(label.y * _SHARPNESS, size[1] - bottom), -top)
        for box in sorted(taken, key=lambda box: box[1]):
            if x + left < box[2] and box[0] < x + right and y + top < box[3] and box[1] < y + bottom:
                y = min(box[3] - top, size[1] - bottom)
        taken.append((x + left, y + top, x + right, y + bottom))
        draw.text((x, y), text, font=font, fill="white", anchor="ls", stroke_width=edge, stroke_fill="black")


def _label(draw: ImageDraw.ImageDraw, box: Box) -> None:
    x, y = max(0.0, box.rect.left) * _SHARPNESS, max(0.0, box.rect.top) * _SHARPNESS
    font = ImageFont.load_default(size=11 * _SHARPNESS)
    width = draw.textlength(box.label, font=font) + 8 * _SHARPNESS
    draw.rectangle((x, y, x + width, y + 16 * _SHARPNESS), fill=box.colour)
    draw.text((x + 4 * _SHARPNESS, y + 8 * _SHARPNESS), box.label, font=font, fill="white", anchor="lm")
