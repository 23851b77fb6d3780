"""The sample pictures: one photograph and four drawings, painted at any size.

No picture is downloaded: the photograph is the public-domain portrait of Grace Hopper that matplotlib ships.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps


def grace_hopper(w: int, h: int) -> Image.Image:
    """The photograph."""
    from matplotlib import cbook  # matplotlib is not needed by the drawn images

    photo = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    return ImageOps.fit(photo, (w, h), Image.Resampling.LANCZOS, centering=(0.5, 0.15))


def checkerboard(w: int, h: int) -> Image.Image:
    """Squares, at least eight along the shorter side."""
    y, x = np.mgrid[:h, :w]
    side = max(1, min(w, h) // 8)
    dark = ((x // side + y // side) % 2).astype(bool)
    colours = np.where(dark[:, :, None], np.array([38, 50, 72]), np.array([236, 228, 208]))
    return Image.fromarray(colours.astype(np.uint8), "RGB")


def rings(w: int, h: int) -> Image.Image:
    """Five soft rings around the centre."""
    y, x = np.mgrid[:h, :w]
    radius = np.hypot(x + 0.5 - w / 2, y + 0.5 - h / 2) / (min(w, h) / 2)
    wave = 0.5 + 0.5 * np.cos(2 * math.pi * 5 * radius)
    inner, outer = np.array([250, 214, 120]), np.array([30, 84, 124])
    return Image.fromarray(np.rint(outer + wave[:, :, None] * (inner - outer)).astype(np.uint8), "RGB")


def text(w: int, h: int) -> Image.Image:
    """Lines of capitals in three colours."""
    picture = Image.new("RGB", (w, h), (248, 246, 240))
    draw = ImageDraw.Draw(picture)
    height = max(6, min(w, h) // 6)
    font = ImageFont.load_default(size=height)
    line = "receptive field "
    for row in range(h // height + 1):
        words = (line[row * 5 % len(line) :] + line * (2 + 4 * w // (height * len(line)))).upper()
        draw.text((2, row * height), words, font=font, fill=((24, 24, 28), (150, 40, 40), (36, 74, 140))[row % 3])
    return picture


def gradient(w: int, h: int) -> Image.Image:
    """Colours that change steadily along both axes."""
    x = np.broadcast_to(np.linspace(0, 255, w), (h, w))
    y = np.broadcast_to(np.linspace(0, 255, h)[:, None], (h, w))
    return Image.fromarray(np.rint(np.stack([x, y, 255 - (x + y) / 2], axis=2)).astype(np.uint8), "RGB")


PICTURES: dict[str, Callable[[int, int], Image.Image]] = {
    "grace_hopper": grace_hopper,
    "checkerboard": checkerboard,
    "rings": rings,
    "text": text,
    "gradient": gradient,
}
"""All sample pictures by name: each is painted at any width and height."""
