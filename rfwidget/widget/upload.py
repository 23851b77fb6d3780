"""Image files from a user's disk, or from a stranger's: read with care, or refused in words."""

from __future__ import annotations

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import check_image_size

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
"""Formats that are read. Pillow knows many more; some start other programs, and few are looked after."""

_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def read_upload(content: bytes) -> npt.NDArray[np.uint8]:
    """An image file of a common kind as RGB ``(h, w, 3)``, turned as its camera held it; of a film the first picture.

    Raises:
        ReceptiveFieldError: if it is no image, damaged, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a file says too much or too little
            with Image.open(io.BytesIO(content), formats=FORMATS) as file:
                check_image_size(*file.size)  # before anything is decoded
                return np.array(_to_rgb(ImageOps.exif_transpose(file)))
    except ReceptiveFieldError:
        raise
    except UnidentifiedImageError as error:
        raise ReceptiveFieldError(
            f"the uploaded file is no image that can be read: expected one of {', '.join(FORMATS)}"
        ) from error
    except Image.DecompressionBombError as error:
        raise ReceptiveFieldError("the uploaded image is too large: resize it first") from error
    except Exception as error:  # a damaged file makes decoders raise all sorts of errors
        raise ReceptiveFieldError(
            f"the uploaded image cannot be read, is it damaged? {type(error).__name__}: {error}"
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB; grey of more than 8 bits is scaled down to 8, transparency laid on white."""
    if image.mode in _GREY:
        values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0, neginf=0).clip(min=0)
        return Image.fromarray((values / max(values.max(), 1) * 255).astype(np.uint8), "L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")
