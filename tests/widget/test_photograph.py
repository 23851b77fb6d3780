"""Images from everywhere: all common kinds of files are read as they look, everything else is refused in words."""

from __future__ import annotations

import datetime
import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rfwidget import RFWidget
from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import MAX_PIXELS
from rfwidget.types import GridShape
from rfwidget.widget.photograph import SHARPEST, ArrayImage, Photograph, read_image, read_upload
from tests.box_filter import BoxReceptiveField
from tests.widget.live_page import LivePage

WIDTH, HEIGHT = 30, 20
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def two_halves(mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (WIDTH, HEIGHT), RED)
    image.paste(BLUE, (WIDTH // 2, 0, WIDTH, HEIGHT))
    return image.convert(mode)


def as_file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def assert_colour(pixels: npt.NDArray[np.uint8], x: int, y: int, colour: tuple[int, int, int]) -> None:
    assert np.abs(pixels[y, x].astype(int) - colour).max() <= 40, (pixels[y, x], colour)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("PNG", mode) for mode in ("RGB", "RGBA", "P")),
        *(("JPEG", mode) for mode in ("RGB", "CMYK", "YCbCr")),
        *((kind, "RGB") for kind in ("WEBP", "TIFF", "BMP", "PPM")),
        *(("GIF", "P"), ("TIFF", "CMYK")),
    ],
)
def test_colours_of_every_common_kind_are_read(kind: str, mode: str) -> None:
    image = two_halves()
    pixels = read_upload(as_file(image.convert(mode), kind))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.dtype == np.uint8
    assert_colour(pixels, 3, 10, RED)
    assert_colour(pixels, 27, 10, BLUE)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_grey_of_more_than_8_bits_keeps_its_gradation(mode: str) -> None:
    ramp = np.tile(np.linspace(0, 60000, WIDTH), (HEIGHT, 1))
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    pixels = read_upload(as_file(Image.fromarray(ramp.astype(kinds[mode])), "TIFF"))
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, -1].tolist() == [255, 255, 255]
    assert (np.diff(pixels[0, :, 0].astype(int)) > 0).all()


def test_a_16_bit_png_is_read() -> None:
    ramp = np.tile(np.linspace(0, 60000, WIDTH), (HEIGHT, 1)).astype(np.uint16)
    pixels = read_upload(as_file(Image.fromarray(ramp)))
    assert (pixels[0, 0, 0], pixels[0, -1, 0]) == (0, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_lie_on_white(mode: str) -> None:
    image = two_halves("RGBA")
    image.putalpha(Image.fromarray(np.tile(np.arange(WIDTH) < WIDTH // 2, (HEIGHT, 1)).astype(np.uint8) * 255))
    if mode == "P":
        palette = image.convert("RGB").quantize(4)
        clear = int(np.asarray(palette)[0, -1])
        pixels = read_upload(as_file(palette, transparency=clear))
    else:
        pixels = read_upload(as_file(image.convert(mode)))
    assert_colour(pixels, 27, 10, WHITE)
    assert np.abs(pixels[10, 3].astype(int) - WHITE).max() > 100


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_camera_was_held(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read_upload(as_file(two_halves(), "JPEG", exif=exif))
    turned = orientation >= 5
    assert pixels.shape[:2] == ((WIDTH, HEIGHT) if turned else (HEIGHT, WIDTH))
    red_first = orientation in (1, 4, 5, 6)
    assert_colour(pixels, 3, 3, RED if red_first else BLUE)
    assert_colour(pixels, pixels.shape[1] - 3, pixels.shape[0] - 3, BLUE if red_first else RED)


def test_of_an_animation_the_first_picture_is_read() -> None:
    film = as_file(two_halves(), "GIF", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT), "lime")] * 3)
    pixels = read_upload(film)
    assert_colour(pixels, 3, 10, RED)


def png_that_says(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG file with any size in its header."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8192, 8193), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    bomb = png_that_says(*size)
    assert len(bomb) < 100
    assert size[0] * size[1] > MAX_PIXELS
    with pytest.raises(ReceptiveFieldError, match="too large"):
        read_upload(bomb)


def test_a_bomb_in_a_text_chunk_is_refused_or_ignored() -> None:
    plain = as_file(two_halves())
    body = b"Comment\0\0" + zlib.compress(b"x" * 2**27, 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    with pytest.raises(ReceptiveFieldError, match="cannot be read"):
        read_upload(plain[:33] + chunk + plain[33:])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"%PDF-1.7",
        b"PK\x03\x04" + bytes(100),
        bytes(1000),
        b"\x00\x00\x01\x00\x01\x00",
    ],
)
def test_what_is_no_picture_of_a_known_kind_is_refused(content: bytes) -> None:
    with pytest.raises(ReceptiveFieldError, match="no image that can be read: expected one of PNG, JPEG"):
        read_upload(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM"])
def test_damaged_files_are_read_or_refused_and_never_raise_anything_else(kind: str) -> None:
    whole = as_file(two_halves(), kind)
    rng = random.Random(kind)  # noqa: S311 - no secret
    damaged = [whole[: len(whole) * k // 20] for k in range(20)]
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        damaged.append(bytes(content))
    refusals = []
    for content in damaged:
        try:
            assert read_upload(content).ndim == 3
        except ReceptiveFieldError as error:
            refusals.append(str(error))
    assert len(refusals) > 5
    assert all("upload" in words or "too large" in words for words in refusals)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1)])
def test_an_upload_of_any_proportions_fills_the_models_input(width: int, height: int) -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    assert widget.wait(20)
    page = LivePage(widget)
    page.tell(as_file(Image.new("RGB", (width, height), RED)), kind="upload", name="file")
    assert widget.image.shape == (40, 64, 3)
    assert widget.wait(20)
    assert page.state.state == "ready"
    widget.close()


def test_a_refused_upload_is_told_and_the_next_one_works() -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    assert widget.wait(20)
    page = LivePage(widget)
    page.tell(b"hello", kind="upload", name="hello.txt")
    assert "no image that can be read" in page.state.notice
    assert widget.image == "grace_hopper"
    page.tell(as_file(two_halves()), kind="upload", name="halves.png")
    assert page.state.notice == ""
    assert_colour(widget.image, 5, 20, RED)
    assert widget.wait(20)
    assert page.state.controls["image"] == "halves.png"
    assert page.state.input.startswith("halves.png, 30 \u00d7 20 px: cut to 30 \u00d7 19 and scaled to 64 \u00d7 40; ")
    widget.close()


def test_an_old_complaint_about_an_upload_goes_with_another_image() -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    assert widget.wait(20)
    page = LivePage(widget)
    page.tell(b"hello", kind="upload", name="hello.txt")
    widget.image = "rings"
    assert page.state.notice == ""
    widget.close()


# Arguments


@pytest.mark.parametrize("as_argument", [str, lambda path: path, lambda path: path.read_bytes(), Image.open])
def test_a_picture_comes_as_path_bytes_or_pil_image(tmp_path: Path, as_argument: Callable[[Path], Any]) -> None:
    file = tmp_path / "photo.png"
    two_halves().resize((300, 200)).save(file)
    given = as_argument(str(file) if as_argument is str else file)
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), image=given)
    assert widget.wait(20)
    page = LivePage(widget)
    assert widget.error is None
    assert page.state.image_size == [64, 40]
    assert "300 \u00d7 200 px: cut to 300 \u00d7 188 and scaled to 64 \u00d7 40" in page.state.input
    widget.close()


def test_a_picture_comes_out_of_an_upload_field_with_its_name() -> None:
    field = ipywidgets.FileUpload()
    file = {"name": "photo.png", "type": "image/png", "size": 9, "last_modified": datetime.datetime.now(datetime.UTC)}
    field.value = ({**file, "content": memoryview(as_file(two_halves().resize((300, 200))))},)
    for given in (field.value, field.value[0]):
        widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), image=given)
        assert widget.wait(20)
        assert LivePage(widget).state.input.startswith("photo.png, 300 \u00d7 200 px: cut to 300 \u00d7 188")
        widget.close()
    field.close()


def test_an_address_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(ReceptiveFieldError, match=r"is an address: .* Give the path of a file"):
        RFWidget(BoxReceptiveField(), image="https://example.com/a.jpg")


def test_the_path_of_a_file_stays_what_the_trait_holds(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    two_halves().save(file)
    widget = RFWidget(BoxReceptiveField(), image=file)
    assert widget.image == str(file)
    assert f"image={str(file)!r}" in widget.code()
    widget.close()


@pytest.mark.parametrize("name", ["nosuch.png", "ringz", ""])
def test_a_file_that_is_not_there_is_refused_in_words(name: str) -> None:
    with pytest.raises(ReceptiveFieldError, match="no sample image and no file"):
        RFWidget(BoxReceptiveField(), image=name)


def test_a_page_cannot_have_files_read(tmp_path: Path) -> None:
    file = tmp_path / "secret.png"
    two_halves().save(file)
    widget = RFWidget(BoxReceptiveField())
    assert widget.wait(20)
    LivePage(widget).tell(kind="set", name="image", value=str(file))
    assert widget.image == "grace_hopper"
    widget.close()


def test_numbers_with_the_channels_first_are_turned() -> None:
    values = np.zeros((3, 20, 30), np.float32)
    values[0, 4, 7] = 1
    shown = read_image(values, 3)
    assert isinstance(shown, ArrayImage)
    assert shown.pixels.shape == (20, 30, 3)
    assert shown.pixels[4, 7].tolist() == [1, 0, 0]


def test_a_photograph_is_kept_sharper_than_the_models_input_and_shows_the_same_part() -> None:
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], (100, 1, 3))
    shown = read_image(as_file(Image.fromarray(ramp)), 3)
    assert isinstance(shown, Photograph)
    pixels, photo, said = shown.fitted(GridShape(None, 50, 50, 3))
    assert photo is not None
    assert photo.shape == (100, 100, 3)
    assert said == "your image, 400 \u00d7 100 px: cut to 100 \u00d7 100 and scaled to 50 \u00d7 50"
    np.testing.assert_allclose(pixels[25, [2, -3], 0], photo[50, [4, -6], 0], atol=3)


def test_a_huge_photograph_is_scaled_down_and_its_own_size_is_told() -> None:
    shown = read_image(as_file(Image.new("RGB", (5000, 20), RED), "JPEG"), 3)
    assert isinstance(shown, Photograph)
    assert shown.original.shape == (8, SHARPEST, 3)
    assert shown.size == (5000, 20)
