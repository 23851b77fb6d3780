"""A scene and its heat map into a picture, without a browser: for `RFWidget.save_png` and for saved notebooks."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from rfwidget.types import Rect
from rfwidget.widget.heat import Heat
from rfwidget.widget.scene import LINE, Box, Scene

_SHARPNESS = 2
"""Picture pixels per CSS pixel."""

_COMPRESSION = 3
"""Of PNG files, 0..9: a third larger than at best, and twenty times as fast."""


def paint(scene: Scene, heat: Heat | None = None, selected: Rect | None = None, opacity: float = 0.8) -> Image.Image:
    """Paint what the widget shows.

    Args:
        scene: picture, dots and rectangles.
        heat: gradient map of the selected cell.
        selected: receptive field of the selected cell, in CSS pixels of the stage.
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
    if selected is not None:
        _outline(ImageDraw.Draw(image, "RGBA"), Box(selected, "black", (), "", LINE))
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
        _outline(draw, box)
    for box in scene.boxes:
        if box.label:
            _label(draw, box)


def _size(scene: Scene) -> tuple[int, int]:
    size = scene.layout.size
    return round(size.w * _SHARPNESS), round(size.h * _SHARPNESS)


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file that names its maker: by that the overlay knows the still it hides (js/still.ts)."""
    maker = PngInfo()
    maker.add_text("Software", "rfwidget")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=_COMPRESSION, pnginfo=maker)
    return file.getvalue()


def _outline(draw: ImageDraw.ImageDraw, box: Box) -> None:
    half = box.width / 2
    left, top, right, bottom = (edge * _SHARPNESS for edge in box.rect)
    inset = half * _SHARPNESS
    corners = (
        (left + inset, top + inset),
        (right - inset, top + inset),
        (right - inset, bottom - inset),
        (left + inset, bottom - inset),
    )
    sides = list(zip(corners, (*corners[1:], corners[0]), strict=True))
    for start, end in sides:
        draw.line((start, end), fill=(255, 255, 255, 178), width=round((box.width + 2) * _SHARPNESS))
    for start, end in sides:
        for piece in _dashes(start, end, box.dash):
            draw.line(piece, fill=box.colour, width=round(box.width * _SHARPNESS))


def _dashes(
    start: tuple[float, float], end: tuple[float, float], dash: tuple[float, ...]
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The drawn pieces of a dashed line; Pillow draws solid lines only."""
    if not dash:
        return [(start, end)]
    a, b = np.array(start), np.array(end)
    length = float(np.hypot(*(b - a)))
    pieces, at, step = [], 0.0, 0
    while at < length:
        stop = min(length, at + dash[step % len(dash)] * _SHARPNESS)
        if step % 2 == 0:
            first, last = a + (b - a) * (at / length), a + (b - a) * (stop / length)
            pieces.append(((float(first[0]), float(first[1])), (float(last[0]), float(last[1]))))
        at, step = stop, step + 1
    return pieces


def _label(draw: ImageDraw.ImageDraw, box: Box) -> None:
    x, y = max(0.0, box.rect.left) * _SHARPNESS, max(0.0, box.rect.top) * _SHARPNESS
    font = ImageFont.load_default(size=11 * _SHARPNESS)
    width = draw.textlength(box.label, font=font) + 8 * _SHARPNESS
    draw.rectangle((x, y, x + width, y + 16 * _SHARPNESS), fill=box.colour)
    draw.text((x + 4 * _SHARPNESS, y + 8 * _SHARPNESS), box.label, font=font, fill="white", anchor="lm")
