"""A scene, its heat map and the marks over it into a picture, without a browser: for `RFWidget.save_png` and for
saved notebooks."""

from __future__ import annotations

import io
import math
import pathlib
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby, pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from rfwidget.types import Rect
from rfwidget.widget.heat import Heat
from rfwidget.widget.scene import (
    DIAMOND,
    DOT_COLOUR,
    DOT_RADIUS,
    FADE,
    FAINT,
    LABEL_FONT,
    SPOTLIGHT,
    TAG_FONT,
    TAG_HEIGHT,
    TAG_PADDING,
    YELLOW,
    Diamonds,
    Dots,
    Label,
    Line,
    Mark,
    Path,
    Scene,
    Tag,
)

_Edges = tuple[float, float, float, float]
"""Left, top, right and bottom edge in picture pixels."""

SHARPNESS = 2
"""Picture pixels per CSS pixel."""

_COMPRESSION = 3
"""Of PNG files, 0..9: a third larger than at best, and twenty times as fast."""


def paint(
    scene: Scene,
    heat: Heat | None = None,
    over: Iterable[Mark] = (),
    opacity: float = 0.8,
    spots: Iterable[tuple[Rect, Rect]] = (),
) -> Image.Image:
    """Paint what the widget shows.

    Args:
        scene: the picture and the marks that stay.
        heat: gradient map of the selected cell.
        over: marks over all of it.
        opacity: of the gradient map, 0..1.
        spots: parts of the image, in its pixels, that are dimmed around a field in them.
    """
    layout = scene.layout
    image = Image.new("RGBA", _size(scene), "white")
    zoom, down = (scale * SHARPNESS for scale in layout.scales)
    size = (round(layout.image.w * zoom), round(layout.image.h * down))
    exact = scene.picture.shape[1::-1] == tuple(layout.image)
    resampling = Image.Resampling.NEAREST if exact and zoom >= 1 else Image.Resampling.LANCZOS
    pixels = Image.fromarray(scene.picture, "RGB").resize(size, resampling).convert("RGBA")
    for dimmed in spots:
        (left, top, right, bottom), hole = (
            [round(edge * along) for edge, along in zip(rect, (zoom, down, zoom, down), strict=True)] for rect in dimmed
        )
        veil = Image.new("RGBA", (right - left, bottom - top), (0, 0, 0, round(255 * SPOTLIGHT)))
        veil.paste((0, 0, 0, 0), (hole[0] - left, hole[1] - top, hole[2] - left, hole[3] - top))
        pixels.alpha_composite(veil, (left, top))
    if heat is not None and heat.rgba.size:
        faded = heat.rgba.copy()
        faded[:, :, 3] = np.rint(faded[:, :, 3] * opacity)
        (x, y, _, _), placed = layout.margin, layout.place_heat(Rect(*heat.box))
        at = (placed.left - x, placed.top - y, placed.right - x, placed.bottom - y)
        left, top, right, bottom = (round(edge * SHARPNESS) for edge in at)
        resampling = Image.Resampling.NEAREST if zoom >= 1 else Image.Resampling.LANCZOS
        map_ = Image.fromarray(faded, "RGBA").resize((max(right - left, 1), max(bottom - top, 1)), resampling)
        pixels.alpha_composite(map_, (left, top))
    image.paste(pixels, (round(layout.margin.left * SHARPNESS), round(layout.margin.top * SHARPNESS)))
    tags = [mark for mark in scene.marks if isinstance(mark, Tag)]
    _draw(image, (*(mark for mark in scene.marks if not isinstance(mark, Tag)), *over, *tags), scene.cut)
    return Image.composite(image, Image.new("RGBA", image.size, "white"), _fading(*image.size)).convert("RGB")


def _fading(width: int, height: int) -> Image.Image:
    """How much of a picture is left near its border, where lines that go on fade away."""
    ramps = []
    for length in (width, height):
        inside = np.minimum(np.arange(length) + 0.5, length - 0.5 - np.arange(length))
        ramps.append(np.clip(inside / (FADE * SHARPNESS), 0, 1))
    return Image.fromarray(np.rint(255 * ramps[1][:, None] * ramps[0]).astype(np.uint8), "L")


def _draw(image: Image.Image, marks: Iterable[Mark], cut: tuple[int, int, int] | None) -> None:
    taken: list[_Edges] = []
    for mark in marks:
        draw = ImageDraw.Draw(image, "RGBA")
        match mark:
            case Line():
                _draw_line(image, mark, FAINT if mark.is_faint(cut) else 1.0)
            case Dots(centres):
                # Pillow's discs hold the pixels at both ends.
                reach = DOT_RADIUS * SHARPNESS - 0.5
                for x, y in centres * SHARPNESS:
                    draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=DOT_COLOUR)
            case Diamonds(centres):
                for centre in centres:
                    _draw_diamond(draw, *centre)
            case Tag():
                _write_tag(draw, mark)
            case Label():
                _write_label(draw, mark, image.size, taken)


def _draw_diamond(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    for half, colour in ((DIAMOND + 0.5, "black"), (DIAMOND - 0.5, YELLOW)):
        corners = ((x - half, y), (x, y - half), (x + half, y), (x, y + half))
        draw.polygon([(at * SHARPNESS, down * SHARPNESS) for at, down in corners], fill=colour)


def _size(scene: Scene) -> tuple[int, int]:
    size = scene.layout.size
    return round(size.w * SHARPNESS), round(size.h * SHARPNESS)


def small_png(image: Image.Image) -> bytes:
    """As `png_bytes`, in 256 colours, for it stays in people's notebooks: a quarter of the size."""
    return png_bytes(image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE))


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file that names its maker: by that js/view/saved-output.ts knows which output to hide."""
    maker = PngInfo()
    maker.add_text("Software", "rfwidget")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=_COMPRESSION, pnginfo=maker)
    return file.getvalue()


def _draw_line(image: Image.Image, line: Line, opacity: float) -> None:
    """The line over its halo."""
    look = line.look
    paths = [tuple((x * SHARPNESS, y * SHARPNESS) for x, y in path) for path in line.paths]
    pieces = [piece for path in paths for piece in _dashes(path, [part * SHARPNESS for part in look.dash])]
    sheet = Rect(0, 0, *image.size)
    if line.clip is not None:
        clip = [round(edge * SHARPNESS) for edge in line.clip]
        sheet = Rect(*(max(edge, 0) for edge in clip[:2]), *map(min, clip[2:], image.size))
    _ink(image, sheet, paths, round(look.halo_width * SHARPNESS), look.halo, look.halo_opacity * opacity)
    _ink(image, sheet, pieces, round(look.width * SHARPNESS), look.colour, opacity)


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
        if low < high:  # the rest of a dash may be shorter than half a pixel
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


@lru_cache
def font(size: float, *, bold: bool = True) -> ImageFont.FreeTypeFont:
    """Letters of a size in CSS pixels, arrows among them: those that come with matplotlib."""
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(get_data_path()) / "fonts/ttf" / name, size * SHARPNESS)


def _write_label(draw: ImageDraw.ImageDraw, label: Label, size: tuple[int, int], taken: list[_Edges]) -> None:
    """A label, moved to where the picture holds all of it, and below those before where they would meet."""
    face, edge = font(LABEL_FONT), round(1.5 * SHARPNESS)
    text = " ".join(label.text.split())
    left, top, right, bottom = draw.textbbox((0, 0), text, font=face, anchor="ls", stroke_width=edge)
    x = max(min(label.x * SHARPNESS, size[0] - right), -left)
    y = max(min(label.y * SHARPNESS, size[1] - bottom), -top)
    for box in sorted(taken, key=lambda box: box[1]):
        if x + left < box[2] and box[0] < x + right and y + top < box[3] and box[1] < y + bottom:
            y = min(box[3] - top, size[1] - bottom)
    taken.append((x + left, y + top, x + right, y + bottom))
    draw.text((x, y), text, font=face, fill="white", anchor="ls", stroke_width=edge, stroke_fill="black")


def _write_tag(draw: ImageDraw.ImageDraw, tag: Tag) -> None:
    x, y, height, padding = (at * SHARPNESS for at in (tag.x, tag.y, TAG_HEIGHT, TAG_PADDING))
    face = font(TAG_FONT)
    draw.rectangle((x, y, x + draw.textlength(tag.text, font=face) + 2 * padding, y + height), fill=tag.colour)
    draw.text((x + padding, y + height / 2), tag.text, font=face, fill="white", anchor="lm")
