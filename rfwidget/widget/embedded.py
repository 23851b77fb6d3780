"""Pictures inside a page: as small as PNG files can be made quickly, and as addresses that hold the file."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def indexed_png(rgba: npt.NDArray[np.uint8]) -> bytes:
    """A heat map ``(h, w, 4)`` as a PNG file with a palette, about a quarter of the size of one without.

    Pixels of one colour differ in opacity by a few hundredths at most; they all get the mean. Clear pixels stay clear.
    """
    responds = rgba[:, :, 3] > 0
    channels = rgba[responds].astype(np.int64)
    colours, number = np.unique(channels[:, :3] @ [1 << 16, 1 << 8, 1], return_inverse=True)
    if len(colours) > 255:
        return png_file(Image.fromarray(rgba, "RGBA"))
    opacity = np.rint(np.bincount(number, channels[:, 3]) / np.bincount(number)) if len(colours) else np.zeros(0)
    index = np.zeros(responds.shape, np.uint8)
    index[responds] = number + 1
    image = Image.fromarray(index, "P")
    image.putpalette([0, 0, 0, *(int(colour) >> shift & 255 for colour in colours for shift in (16, 8, 0))])
    return png_file(image, transparency=bytes([0, *opacity.astype(np.uint8).tolist()]))


def png_file(image: Image.Image, **options: Any) -> bytes:
    """A picture as a PNG file; options are Pillow's."""
    file = io.BytesIO()
    image.save(file, "PNG", **options)  # Pillow's own level: "optimize" saves 5 % and takes seven times as long
    return file.getvalue()


def address(png: bytes) -> str:
    """A PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
