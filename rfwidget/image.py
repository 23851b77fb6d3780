"""Sample images, and the conversion between pictures and a model's input.

Sizes here are ``(width, height)``, as everywhere; arrays are ``[y, x, c]``. No picture is downloaded: the photograph is
the public-domain portrait of Grace Hopper that matplotlib ships, the others are painted at any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from rfwidget._validation import brief, flag, whole
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.ranks import RANKS, measured
from rfwidget.signals import get_default_signal, get_default_signals, get_default_volume
from rfwidget.types import GridShape, ImageShape, Size

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""How the names of picture files end."""

MAX_PIXELS = 2**26
"""Largest image that is drawn, read or shown: 8192 x 8192 pixels."""

MAX_VALUES = 2**28
"""Largest image in values, pixels times channels: 1 GiB as float32."""


@overload
def get_default_image(
    shape: Sequence[int],
    tile_factor: int = ...,
    shade: bool = ...,
    as_image: Literal[False] = ...,
    name: str = ...,
) -> npt.NDArray[np.uint8]: ...


@overload
def get_default_image(
    shape: Sequence[int], tile_factor: int = ..., shade: bool = ..., *, as_image: Literal[True], name: str = ...
) -> Image.Image: ...


def get_default_image(
    shape: Sequence[int],
    tile_factor: int = 0,
    shade: bool = True,
    as_image: bool = False,
    name: str = "grace_hopper",
) -> npt.NDArray[np.uint8] | Image.Image:
    """A sample image of any size, on request surrounded by tiles of itself.

    Args:
        shape: ``(width, height)`` or ``(width, height, channels)`` in pixels, such as ``ImageShape(160, 96)``; three
            channels are RGB (the default), one is grey.
        tile_factor: rings of copies around the image: the result is ``2 * tile_factor + 1`` times as wide and high.
        shade: show the surrounding tiles in grey, so that the central one stands out.
        as_image: return a ``PIL.Image.Image`` instead of an array.
        name: one of `get_default_images`.

    Returns:
        uint8 array ``(height, width, channels)``, or the same as a PIL image.

    Raises:
        ReceptiveFieldError: for an unknown name, a shape that is none, or one of more than `MAX_PIXELS`.

    >>> get_default_image(shape=(32, 32), tile_factor=1).shape
    (96, 96, 3)
    >>> get_default_image(shape=(160, 96, 1), name="rings").shape
    (96, 160, 1)
    """
    shape = _image_shape(shape)
    tiles = 2 * whole("tile_factor", tile_factor, low=0) + 1
    shade, as_image = flag("shade", shade), flag("as_image", as_image)
    check_image_size(shape.w * tiles, shape.h * tiles)
    picture = _render(name, Size(shape.w, shape.h))
    if tiles > 1:
        around = picture.convert("L").convert("RGB") if shade else picture
        tiled = Image.new("RGB", (shape.w * tiles, shape.h * tiles))
        for row in range(tiles):
            for column in range(tiles):
                tile = picture if row == column == tile_factor else around
                tiled.paste(tile, (column * shape.w, row * shape.h))
        picture = tiled
    if shape.c == 1:
        picture = picture.convert("L")
    if as_image:
        return picture
    return np.asarray(picture, dtype=np.uint8).reshape(picture.height, picture.width, shape.c)


def get_default_images() -> list[str]:
    """Names of the sample images, the photograph first.

    >>> get_default_images()
    ['grace_hopper', 'checkerboard', 'rings', 'text', 'gradient']
    """
    return list(_PICTURES)


def as_input_shape(shape: Any) -> tuple[int | None, ...]:
    """The argument ``input_shape``: ``(height, width, channels)`` of images, ``(length, channels)`` of sequences,
    ``(depth, height, width, channels)`` of volumes; or an `ImageShape` or a `GridShape`, whose fields have names.

    Raises:
        ReceptiveFieldError: if it is none; each entry is a whole number of at least 1, or None for any.

    >>> as_input_shape(ImageShape(w=160, h=96))
    (96, 160, 3)
    """
    if isinstance(shape, ImageShape):
        shape = (shape.h, shape.w, shape.c)
    elif isinstance(shape, GridShape):
        shape = (*shape.lengths, shape.c)
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence) or len(shape) - 1 not in RANKS:
        raise ReceptiveFieldError(
            f"input_shape is {brief(shape)}: expected (height, width, channels), image.shape say; {RANKS[1].order} for "
            f"sequences, {RANKS[3].order} for volumes"
        )
    sides = tuple(None if side is None else whole("each entry of input_shape", side, low=1) for side in shape)
    check_size([side or 1 for side in sides[:-1]], sides[-1] or 1)
    return sides


def as_array(image: Any) -> npt.NDArray[Any]:
    """An image given as an array or a PIL image, as an array ``(h, w, c)`` with its own values.

    Raises:
        ReceptiveFieldError: if it is no image: not numeric, wrong number of axes, empty, NaN or infinite, too large.
    """
    array = _as_numbers(image)
    check_finite(array)
    return array


def as_model_input(image: Any, shape: GridShape) -> npt.NDArray[np.float32]:
    """An image as the float32 input ``(h, w, c)`` of a model, values unchanged.

    A grey image serves a model of any number of channels, and an RGB image one of a single channel.

    Raises:
        ReceptiveFieldError: if the image does not fit the input, or holds NaN or infinite values.
    """
    array = fit_model(image, shape)
    check_finite(array)
    return np.array(array, np.float32, order="C")


def fit_model(image: Any, shape: GridShape) -> npt.NDArray[Any]:
    """As `as_model_input`, but without a look at the values or a copy: it costs the same at any size.

    Returns:
        ``(h, w, c)`` (``(l, c)``, ``(d, h, w, c)``) of any real type, often a view of ``image``.

    Raises:
        ReceptiveFieldError: if the image does not fit the input.
    """
    rank = RANKS[len(shape.size)]
    array = _as_numbers(image, len(shape.size))
    *lengths, c = array.shape
    if tuple(lengths) != shape.lengths:
        by = "" if len(lengths) == 1 else " (width x height)" if len(lengths) == 2 else " (width x height x depth)"
        change = "resize" if len(lengths) == 2 else "cut"
        own = measured(shape.size).split()[0]
        raise ReceptiveFieldError(
            f"the {rank.thing} is {measured(reversed(lengths))}{by}, the model input {own}: "
            f"{change} the {rank.thing}, or compute again with input_shape={rank.thing}.shape"
        )
    if c == shape.c:
        return array
    if c == 1:
        return np.broadcast_to(array, (*lengths, shape.c))
    if shape.c == 1:
        return array.astype(np.float32) @ np.full((c, 1), 1 / c, dtype=np.float32)
    raise ReceptiveFieldError(
        f"the {rank.thing} has {c} channels, the model input {shape.c}: give one with 1 or {shape.c}"
    )


def check_finite(array: npt.NDArray[Any]) -> None:
    """Refuse an image, or a part of one, with values that are no numbers."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ReceptiveFieldError("the image holds NaN or infinite values: replace them, with np.nan_to_num say")


def as_picture(image: Any) -> npt.NDArray[np.uint8]:
    """What a person should see of an image array: uint8 RGB ``(h, w, 3)``.

    uint8 and floats within 0..1 or 0..255 are shown as they are; any other range (an image after ``preprocess``, 16-bit
    data) is stretched to 0..255. Of more than three channels the first three are shown, of two their mean.
    """
    array = as_array(image)
    if array.shape[2] == 2:
        array = array.mean(axis=2, keepdims=True)
    array = array[:, :, [0, 0, 0]] if array.shape[2] == 1 else array[:, :, :3]
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    values = array.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if array.dtype == np.bool_ or (array.dtype.kind == "f" and low >= 0 and high <= 1):
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    return np.rint((values - low) * (255 / ((high - low) or 1.0))).astype(np.uint8)


def default_input(shape: GridShape, name: str | None = None) -> npt.NDArray[Any]:
    """A sample image at the size of a model's input, ``(h, w, c)``; unusual channel counts repeat its colours.

    For sequences and volumes it is one of `rfwidget.signals`.
    """
    if len(shape.size) == 1:
        return get_default_signal((shape.w, shape.c), name or "chirp")
    if len(shape.size) == 3:
        return get_default_volume((shape.d, shape.h, shape.w, shape.c), name or "phantom")
    picture = get_default_image(ImageShape(shape.w, shape.h, 1 if shape.c == 1 else 3), name=name or "grace_hopper")
    return picture if shape.c in (1, 3) else picture[:, :, np.arange(shape.c) % 3]


def default_inputs(shape: GridShape) -> list[npt.NDArray[Any]]:
    """All sample images, or signals, or volumes, at the size of a model's input."""
    names: dict[int, list[str | None]] = {1: [*get_default_signals()], 2: [*get_default_images()], 3: [None]}
    return [default_input(shape, name) for name in names[len(shape.size)]]


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture file as RGB ``(h, w, 3)``, turned as the camera was held.

    Raises:
        ReceptiveFieldError: if there is no such file, it is no picture, or it is too large.
    """
    try:
        with Image.open(path) as picture:
            check_image_size(*picture.size)
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except FileNotFoundError as error:
        raise ReceptiveFieldError(f"no such file: {str(path)!r}") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ReceptiveFieldError(f"{path} is no picture that can be read: {error}") from error


def fit_picture(pixels: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """An RGB picture ``(h, w, 3)`` scaled to fill a size, its overhanging sides cut off equally."""
    filled = ImageOps.fit(Image.fromarray(pixels, "RGB"), (int(size.w), int(size.h)), Image.Resampling.LANCZOS)
    return np.asarray(filled)


def check_image_size(width: int, height: int, channels: int = 1) -> None:
    """Refuse images of more than `MAX_PIXELS`, or `MAX_VALUES`, before anything is allocated for them."""
    check_size((height, width), channels)


def check_size(lengths: Sequence[int], channels: int = 1) -> None:
    """As `check_image_size`, for sequences and volumes too; lengths are in the order of arrays."""
    rank, sizes = RANKS[len(lengths)], measured(reversed(lengths))
    some = f"{'an' if rank.thing == 'image' else 'a'} {rank.thing} of {sizes}"
    change = "resize it first" if rank.thing == "image" else "take a part of it"
    if math.prod(lengths) > MAX_PIXELS:
        raise ReceptiveFieldError(f"{some} is too large: at most {MAX_PIXELS:,} {rank.unit}, {change}")
    if math.prod(lengths) * channels > MAX_VALUES:
        raise ReceptiveFieldError(
            f"{some} and {channels} channels is too large: at most {MAX_VALUES:,} values, give fewer channels or "
            f"{change}"
        )


def _as_numbers(image: Any, rank: int = 2) -> npt.NDArray[Any]:
    """Channels last."""
    word, order = RANKS[rank].thing, RANKS[rank].order
    if isinstance(image, Image.Image) and rank == 2:
        check_image_size(*image.size)
        image = image if image.mode in ("L", "RGB", "F", "I", "I;16") else image.convert("RGB")
    try:
        array = _channels_last(image, rank) if _is_torch(image) else np.asarray(image)
    except Exception as error:  # frameworks raise all sorts of errors for tensors without values
        raise ReceptiveFieldError(f"{type(image).__name__} is no {word}: give an array {order}") from error
    a_word = f"{'an' if word == 'image' else 'a'} {word}"
    if array.dtype.kind not in "biuf":
        raise ReceptiveFieldError(
            f"{a_word} of type {array.dtype} cannot be used: give numbers {order}, uint8 or float"
        )
    if array.ndim == rank:
        array = array[..., None]
    if array.ndim != rank + 1 or 0 in array.shape:
        without = "(height, width)" if rank == 2 else order.replace(", channels", "")
        raise ReceptiveFieldError(
            f"{a_word} of shape {array.shape} cannot be used: expected {order} or {without}, "
            f"one {word} without a batch axis, no side of 0"
        )
    check_size(array.shape[:-1], array.shape[-1])
    return array


def _is_torch(image: Any) -> bool:
    return type(image).__module__.partition(".")[0] in ("torch", "torchvision") and hasattr(image, "detach")


def _channels_last(tensor: Any, rank: int) -> npt.NDArray[Any]:
    """A PyTorch tensor ``(c, h, w)``, alone in its batch or without one, in the order of all other images."""
    values = tensor.detach().cpu()
    values = values.float() if values.dtype.itemsize == 2 else values  # NumPy has no bfloat16
    array: npt.NDArray[Any] = values.numpy()
    array = array[0] if array.ndim == rank + 2 and array.shape[0] == 1 else array
    return np.moveaxis(array, 0, -1) if array.ndim == rank + 1 else array


def _image_shape(shape: Any) -> ImageShape:
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence) or len(shape) not in (2, 3):
        raise ReceptiveFieldError(f"shape is {brief(shape)}: expected (width, height) or (width, height, channels)")
    values = ImageShape(*(whole("each entry of shape", side, low=1) for side in shape))
    if values.c not in (1, 3):
        raise ReceptiveFieldError(f"shape asks for {values.c} channels: expected 3 (RGB) or 1 (grey)")
    return values


def _render(name: str, size: Size) -> Image.Image:
    if not isinstance(name, str) or name not in _PICTURES:
        known = ", ".join(map(repr, _PICTURES))
        raise ReceptiveFieldError(f"no sample image {brief(name)}; there are {known}{suggest(name, _PICTURES)}")
    return _PICTURES[name](int(size.w), int(size.h))


def _grace_hopper(w: int, h: int) -> Image.Image:
    """The photograph."""
    from matplotlib import cbook  # matplotlib is not needed by the drawn images

    photo = Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    return ImageOps.fit(photo, (w, h), Image.Resampling.LANCZOS, centering=(0.5, 0.15))


def _checkerboard(w: int, h: int) -> Image.Image:
    """Squares, at least eight along the shorter side."""
    y, x = np.mgrid[:h, :w]
    side = max(1, min(w, h) // 8)
    dark = ((x // side + y // side) % 2).astype(bool)
    colours = np.where(dark[:, :, None], np.array([38, 50, 72]), np.array([236, 228, 208]))
    return Image.fromarray(colours.astype(np.uint8), "RGB")


def _rings(w: int, h: int) -> Image.Image:
    """Five soft rings around the centre."""
    y, x = np.mgrid[:h, :w]
    radius = np.hypot(x + 0.5 - w / 2, y + 0.5 - h / 2) / (min(w, h) / 2)
    wave = 0.5 + 0.5 * np.cos(2 * math.pi * 5 * radius)
    inner, outer = np.array([250, 214, 120]), np.array([30, 84, 124])
    return Image.fromarray(np.rint(outer + wave[:, :, None] * (inner - outer)).astype(np.uint8), "RGB")


def _text(w: int, h: int) -> Image.Image:
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


def _gradient(w: int, h: int) -> Image.Image:
    """Colours that change steadily along both axes."""
    x = np.broadcast_to(np.linspace(0, 255, w), (h, w))
    y = np.broadcast_to(np.linspace(0, 255, h)[:, None], (h, w))
    return Image.fromarray(np.rint(np.stack([x, y, 255 - (x + y) / 2], axis=2)).astype(np.uint8), "RGB")


_PICTURES: dict[str, Callable[[int, int], Image.Image]] = {
    "grace_hopper": _grace_hopper,
    "checkerboard": _checkerboard,
    "rings": _rings,
    "text": _text,
    "gradient": _gradient,
}
"""All sample pictures by name, the photograph first: each is painted at any width and height."""
