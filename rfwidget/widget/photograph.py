"""The image that a widget looks at: where it comes from, how it is fitted to a model's input, and in words.

Image files from a user's disk, or from a stranger's, are read here: with care, or refused in words.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from rfwidget._validation import brief
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.image import as_array, as_model_input, check_image_size, default_input, get_default_images
from rfwidget.ranks import measured
from rfwidget.signals import get_default_signal, get_default_signals, get_default_volumes
from rfwidget.types import GridShape
from rfwidget.widget.signal_picture import draw_signal

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
"""Formats that are read. Pillow knows many more; some start other programs, and few are looked after."""

SHARPEST = 2048
"""Longer side of a photograph as it is kept, in pixels; a larger one is scaled down."""

OWN_IMAGE = "your image"
"""What an image without a name is called."""

_SHARP_SAMPLE = 600
"""Longer side at which a sample photograph is drawn, in pixels."""

_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


class Fitted(NamedTuple):
    """An image at the size of a model's input.

    Attributes:
        pixels: what goes to the model, ``(h, w, c)``, before any preprocessing.
        photo: the same part of the photograph it was made of, uint8 RGB of any size; None: there is none.
        said: where it comes from and what was done to it.
    """

    pixels: npt.NDArray[Any]
    photo: npt.NDArray[np.uint8] | None
    said: str


class SampleImage(NamedTuple):
    """One of the sample images, by its name."""

    name: str

    @property
    def title(self) -> str:
        """Its name."""
        return self.name

    def fitted(self, shape: GridShape) -> Fitted:
        """The image painted at a size; the photograph also larger, where that is sharper."""
        photo = None
        if self.name == get_default_images()[0]:
            zoom = max(1, _SHARP_SAMPLE // max(shape.w, shape.h))
            photo = default_input(GridShape(None, shape.w * zoom, shape.h * zoom, 3), self.name) if zoom > 1 else None
        return Fitted(default_input(shape, self.name), photo, f"{self.name}, {shape.w} \u00d7 {shape.h} px")


class ArrayImage(NamedTuple):
    """Numbers, which go into the model as they are."""

    pixels: npt.NDArray[Any]

    @property
    def title(self) -> str:
        """What it is: numbers have no name."""
        return OWN_IMAGE

    def fitted(self, shape: GridShape) -> Fitted:  # noqa: ARG002 - the other kinds fit a shape
        """The numbers; whoever takes them says if they do not fit."""
        height, width, channels = self.pixels.shape
        return Fitted(self.pixels, None, f"your image, {width} \u00d7 {height} px, {channels} channels")


class Photograph(NamedTuple):
    """A picture that is cut and scaled to what a model wants.

    Attributes:
        original: uint8 RGB ``(h, w, 3)``, no side longer than `SHARPEST`.
        name: of the file, or what it is.
        size: width and height before it was scaled down.
    """

    original: npt.NDArray[np.uint8]
    name: str
    size: tuple[int, int]

    @property
    def title(self) -> str:
        """Its name."""
        return self.name

    def fitted(self, shape: GridShape) -> Fitted:
        """Filling a size, its overhanging sides cut off equally."""
        height, width = self.original.shape[:2]
        zoom = min(width / shape.w, height / shape.h)
        wide, high = max(1, round(shape.w * zoom)), max(1, round(shape.h * zoom))
        left, top = (width - wide) // 2, (height - high) // 2
        part = self.original[top : top + high, left : left + wide]
        small = Image.fromarray(part, "RGB").resize((shape.w, shape.h), Image.Resampling.LANCZOS)
        said = f"{self.name}, {self._said(shape, wide / width, high / height)}"
        return Fitted(np.asarray(small), part if zoom > 1 else None, said)

    def _said(self, shape: GridShape, across: float, along: float) -> str:
        width, height = self.size
        cut = (round(width * across), round(height * along))
        steps = [f"cut to {cut[0]} \u00d7 {cut[1]}"] if cut != self.size else []
        steps += [f"scaled to {shape.w} \u00d7 {shape.h}"] if cut != (shape.w, shape.h) else []
        return f"{width} \u00d7 {height} px" + (f": {' and '.join(steps)}" if steps else "")


class SignalImage(NamedTuple):
    """A signal, which is an image of one row, and a drawing of it: a sample by its name, or numbers.

    Attributes:
        title: name of the sample, or what the numbers are.
        pixels: ``(1, length, channels)``; None: the sample's, at any length.
    """

    title: str
    pixels: npt.NDArray[Any] | None = None

    def fitted(self, shape: GridShape) -> Fitted:
        """The signal, which is never cut or scaled; whoever takes it says if it does not fit."""
        pixels = self.pixels
        if pixels is None:
            pixels = get_default_signal((shape.w, shape.c), self.title)[None]
        _, length, channels = pixels.shape
        many = f", {channels} channels" if channels > 1 else ""
        return Fitted(pixels, draw_signal(pixels[0]), f"{self.title}, {length} samples{many}")


class VolumeImage(NamedTuple):
    """A volume: a sample by its name, or numbers.

    Attributes:
        title: name of the sample, or what the numbers are.
        pixels: ``(depth, height, width, channels)``; None: the sample's, of any size.
    """

    title: str
    pixels: npt.NDArray[Any] | None = None

    def fitted(self, shape: GridShape) -> Fitted:
        """The volume, which is never cut or scaled; whoever takes it says if it does not fit."""
        pixels = self.pixels
        if pixels is None:
            pixels = default_input(shape, self.title)
        *lengths, channels = pixels.shape
        many = f", {channels} channels" if channels > 1 else ""
        size = measured(reversed(lengths), " \u00d7 ")
        return Fitted(pixels, None, f"{self.title}, {size}{many}")


ShownImage = SampleImage | ArrayImage | Photograph | SignalImage | VolumeImage
"""What a widget can look at."""

OWN_SIGNAL = "your signal"
"""What a signal without a name is called."""


OWN_VOLUME = "your volume"
"""What a volume without a name is called."""


def sample_names(axes: int) -> list[str]:
    """Names of the sample signals, images or volumes, by the number of axes."""
    return {1: get_default_signals, 2: get_default_images, 3: get_default_volumes}[axes]()


def sample_of(axes: int, name: str) -> ShownImage:
    """One of them."""
    return SignalImage(name) if axes == 1 else SampleImage(name) if axes == 2 else VolumeImage(name)


def sample_inputs(shape: GridShape, axes: int) -> Iterator[npt.NDArray[Any]]:
    """All samples at the size of a model's input, ``(h, w, c)``."""
    for name in sample_names(axes):
        yield get_default_signal((shape.w, shape.c), name)[None] if axes == 1 else default_input(shape, name)


def read_signal(signal: Any, shape: GridShape) -> SignalImage:
    """What an argument stands for, where a model takes sequences.

    Args:
        signal: name of a sample signal, or numbers: an array ``(length, channels)`` or ``(length,)``, a tensor.
        shape: of the model's input, an image of one row.

    Raises:
        ReceptiveFieldError: if it is neither.
    """
    if isinstance(signal, str):
        if signal not in get_default_signals():
            known = get_default_signals()
            raise ReceptiveFieldError(
                f"no sample signal {brief(signal)}; there are {', '.join(map(repr, known))}{suggest(signal, known)}. A"
                " signal of your own is an array (length, channels)"
            )
        return SignalImage(signal)
    numbers = signal if hasattr(signal, "shape") else np.asarray(signal)
    length = int(numbers.shape[0]) if len(numbers.shape) in (1, 2) else shape.w
    if len(numbers.shape) == 2 and length == shape.c and numbers.shape[1] != shape.c:  # channels first
        length = int(numbers.shape[1])
        numbers = numbers.T
    pixels = as_model_input(numbers, GridShape(None, length, shape.c))
    return SignalImage(OWN_SIGNAL, pixels[None])


def read_volume(volume: Any, shape: GridShape) -> VolumeImage:
    """What an argument stands for, where a model takes volumes.

    Args:
        volume: name of a sample volume, or numbers: an array ``(depth, height, width, channels)`` or without channels,
            a tensor, channels first as well.
        shape: of the model's input.

    Raises:
        ReceptiveFieldError: if it is neither.
    """
    if isinstance(volume, str):
        known = get_default_volumes()
        if volume not in known:
            raise ReceptiveFieldError(
                f"no sample volume {brief(volume)}; there are {', '.join(map(repr, known))}{suggest(volume, known)}. A"
                " volume of your own is an array (depth, height, width, channels)"
            )
        return VolumeImage(volume)
    numbers = volume if hasattr(volume, "shape") else np.asarray(volume)
    sides = tuple(int(side) for side in numbers.shape)
    if len(sides) == 4 and sides[0] == shape.c and sides[3] != shape.c and not hasattr(numbers, "detach"):
        numbers = np.moveaxis(np.asarray(numbers), 0, -1)
        sides = numbers.shape
    elif len(sides) == 4 and hasattr(numbers, "detach"):
        sides = (*sides[1:], sides[0])
    lengths = sides[:3] if len(sides) in (3, 4) else shape.lengths
    return VolumeImage(OWN_VOLUME, as_model_input(numbers, GridShape.of(lengths, shape.c)))


def read_image(image: Any, channels: int, name: str = OWN_IMAGE) -> ShownImage:
    """What an argument stands for.

    Args:
        image: name of a sample image, path of a file, the bytes of one, the value of an ``ipywidgets.FileUpload``, a
            PIL image, or numbers: an array ``(height, width, channels)``, a tensor, channels first as well.
        channels: of the model's input.
        name: of a picture that does not bring one.

    Raises:
        ReceptiveFieldError: if it is none of these, or cannot be read.
    """
    if isinstance(image, str) and image in get_default_images():
        return SampleImage(image)
    if isinstance(image, str) and image.startswith(("http://", "https://")):
        raise ReceptiveFieldError(
            f"{brief(image)} is an address: images are not fetched. Give the path of a file, its bytes, a PIL image or"
            " numbers"
        )
    chosen = image[0] if isinstance(image, (tuple, list)) and len(image) == 1 else image
    if isinstance(chosen, Mapping) and isinstance(chosen.get("content"), (bytes, memoryview)):
        return _photograph(read_upload(bytes(chosen["content"])), str(chosen.get("name", name)))
    if isinstance(image, (str, Path)):
        return _photograph(_open(Path(image)), Path(image).name)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _photograph(read_upload(bytes(image)), name)
    if isinstance(image, Image.Image):
        check_image_size(*image.size)
        return _photograph(np.array(_to_rgb(ImageOps.exif_transpose(image))), name)
    array = as_array(image)
    first = array.shape[0] == channels and array.shape[2] not in (1, 3, 4, channels)
    return ArrayImage(np.moveaxis(array, 0, -1) if first else array)


def _open(path: Path) -> npt.NDArray[np.uint8]:
    if not path.is_file():
        known = get_default_images()
        raise ReceptiveFieldError(
            f"no sample image and no file {brief(str(path))}; there are {', '.join(map(repr, known))}"
            f"{suggest(str(path), known)}"
        )
    try:
        return read_upload(path.read_bytes(), f"the file {path.name}")
    except OSError as error:
        raise ReceptiveFieldError(f"the file {path.name} cannot be read: {error}") from error


def _photograph(pixels: npt.NDArray[np.uint8], name: str) -> Photograph:
    height, width = pixels.shape[:2]
    shrink = SHARPEST / max(width, height)
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        pixels = np.asarray(Image.fromarray(pixels, "RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
    return Photograph(pixels, name, (width, height))


def read_upload(content: bytes, what: str = "the uploaded file") -> npt.NDArray[np.uint8]:
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
            f"{what} is no image that can be read: expected one of {', '.join(FORMATS)}"
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
