"""The controls around the image. They set the widget's traits and follow them; they decide nothing.

Image files from a user's disk, or from a stranger's, are read here: with care, or refused in words.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets as w
import numpy as np
import numpy.typing as npt
import traitlets
from PIL import Image, ImageOps, UnidentifiedImageError

from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import check_image_size, fit_picture, get_default_images
from rfwidget.types import Size
from rfwidget.widget.scene import CORNERS, DOT_COLOUR, Look

_MANY_LAYERS = 12
"""From this many layers on they can be searched."""

_COLORMAPS = ("coolwarm", "RdBu_r", "seismic", "PiYG", "viridis", "magma", "inferno", "hot", "gray")

_OWN_IMAGE = "your image"

_NO_LAYER = ("no other layer", None)

_SNUG = {"description_width": "initial"}
"""Style of a control that stands right behind its label."""


FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
"""Formats that are read. Pillow knows many more; some start other programs, and few are looked after."""

_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


class Controls(w.VBox):  # type: ignore[misc]
    """Rows of ipywidgets bound to an `RFWidget`.

    Args:
        widget: whose traits to set and follow; they are all that is known of it here.
        save: called when the picture is to be saved.
        copy: called when the code is to be copied.
    """

    def __init__(self, widget: Any, save: Callable[[], None], copy: Callable[[], None]) -> None:
        self._widget = widget
        self._grids: dict[str, Size] = {}
        self._following = False
        self._layer = w.Dropdown(options=[], description="Layer", style=_SNUG, layout=w.Layout(width="280px"))
        self._search = w.Text(
            placeholder="search layers", continuous_update=True, layout=w.Layout(width="130px", display="none")
        )
        self._image = w.Dropdown(
            options=get_default_images(), description="Image", style=_SNUG, layout=w.Layout(width="200px")
        )
        self._upload = w.FileUpload(accept="image/*", description="Upload", layout=w.Layout(width="auto"))
        self._channel = w.Dropdown(
            options=[("mean of all channels", None), ("one channel", 0)],
            description="Channel",
            style=_SNUG,
            layout=w.Layout(width="230px"),
        )
        self._channel_index = w.BoundedIntText(min=0, max=0, layout=w.Layout(width="80px", display="none"))
        self._colormap = w.Dropdown(
            options=_with(_COLORMAPS, widget.colormap),
            description="Colours",
            style=_SNUG,
            layout=w.Layout(width="180px"),
        )
        self._sign = w.ToggleButtons(
            options=[("signed", True), ("magnitude", False)],
            style={"button_width": "100px"},
            layout=w.Layout(width="auto", min_width="0"),
        )
        self._opacity = w.FloatSlider(
            min=0,
            max=1,
            step=0.05,
            description="Opacity",
            readout_format=".0%",
            style=_SNUG,
            layout=w.Layout(width="240px"),
        )
        self._other_layer = w.Dropdown(
            options=[_NO_LAYER], description="Compare", style=_SNUG, layout=w.Layout(width="300px")
        )
        self._message = w.Label(layout=w.Layout(display="none"))
        toggles = [
            (w.ToggleButton(description=words, tooltip=hint, layout=w.Layout(width="auto")), name)
            for name, words, hint in (
                ("show_heat", "gradient", "The gradient map of the selected cell"),
                ("show_rectangles", "rectangles", "Receptive fields of the first, central and last cell"),
                ("show_dots", "centres", "Centres of the receptive fields of all cells"),
                (
                    "show_erf",
                    "effective",
                    "Outlines of the effective receptive field: 50 and 95 % of the gradient's mass",
                ),
                ("asking", "who sees it?", "Click a pixel or draw a box to mark the cells that see it, as with Shift"),
                ("show_naive", "naive grid", "The same cells if the grid were stretched over the image"),
            )
        ]
        save_button = w.Button(description="Save PNG", icon="download", layout=w.Layout(width="auto"))
        copy_button = w.Button(description="Copy code", icon="copy", layout=w.Layout(width="auto"))
        save_button.on_click(lambda _: save())
        copy_button.on_click(lambda _: copy())
        more = w.Accordion(
            [
                w.VBox(
                    [
                        _row(self._channel, self._channel_index, self._colormap),
                        _row(self._sign, self._opacity),
                        self._other_layer,
                    ]
                )
            ],
            titles=("More",),
        )
        super().__init__(
            [
                legend(),
                _row(self._layer, self._search, self._image, self._upload),
                _row(*(button for button, _ in toggles), save_button, copy_button),
                self._message,
                more,
            ]
        )
        self.add_class("rfwidget-controls")
        for button, name in toggles:
            traitlets.link((widget, name), (button, "value"))
        traitlets.link((widget, "signed"), (self._sign, "value"))
        traitlets.link((widget, "heat_opacity"), (self._opacity, "value"))
        self._follow()
        widget.observe(lambda _: self._follow(), ["image", "channel", "colormap", "output_layer", "compare_layer"])
        self._search.observe(lambda _: self._list_layers(), "value")
        self._layer.observe(self._try("output_layer", lambda: self._layer.value), "value")
        self._other_layer.observe(self._try("compare_layer", lambda: self._other_layer.value), "value")
        self._image.observe(self._choose_image, "value")
        self._upload.observe(self._take_upload, "value")
        self._channel.observe(self._try("channel", lambda: self._channel.value), "value")
        self._channel_index.observe(self._try("channel", lambda: self._channel_index.value), "value")
        self._colormap.observe(self._try("colormap", lambda: self._colormap.value), "value")

    def show_layers(self, grids: Mapping[str, Size], channels: int) -> None:
        """Offer these layers, and this many channels of the current one."""
        self._grids = dict(grids)
        self._search.layout.display = None if len(grids) > _MANY_LAYERS else "none"
        self._channel_index.max = channels - 1
        self._list_layers()
        self._follow()

    def say(self, words: str) -> None:
        """Show a line of plain text below the controls; none if empty."""
        self._message.value = words
        self._message.layout.display = None if words else "none"

    def _list_layers(self) -> None:
        wanted = self._search.value.strip().lower()
        current = self._widget.output_layer
        shown = [name for name in self._grids if wanted in name.lower() or name == current]
        with self._quietly():
            self._layer.options = [(_layer_line(name, self._grids[name]), name) for name in shown]
            if current in shown:
                self._layer.value = current

    def _follow(self) -> None:
        """Show the widget's traits."""
        widget = self._widget
        if widget.output_layer in self._grids:
            self._list_layers()
        name = widget.image if isinstance(widget.image, str) else _OWN_IMAGE
        self._channel_index.layout.display = "none" if widget.channel is None else None
        with self._quietly():
            self._other_layer.options = [_NO_LAYER, *((layer, layer) for layer in self._grids)]
            # By index: ipywidgets takes the value None for no choice at all, and shows an empty line.
            others = [None, *self._grids]
            self._other_layer.index = others.index(widget.compare_layer) if widget.compare_layer in others else 0
            self._image.options = _with(get_default_images(), name)
            self._image.value = name
            self._channel.index = 0 if widget.channel is None else 1
            self._channel_index.value = widget.channel or 0
            self._colormap.options = _with(_COLORMAPS, widget.colormap)
            self._colormap.value = widget.colormap

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """While the controls follow the widget, their changes are not the user's."""
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def _try(self, trait: str, value: Callable[[], Any]) -> Callable[[object], None]:
        def assign(_: object) -> None:
            if not self._following:
                self._assign(trait, value())

        return assign

    def _assign(self, trait: str, value: Any) -> None:
        """Set a trait of the widget; if it is refused, say why and show what holds."""
        try:
            setattr(self._widget, trait, value)
        except ReceptiveFieldError as error:
            self.say(str(error))
            self._follow()
        else:
            self.say("")

    def _choose_image(self, change: dict[str, Any]) -> None:
        if not self._following and change["new"] != _OWN_IMAGE:
            self._assign("image", change["new"])

    def _take_upload(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            return
        try:
            pixels = read_upload(bytes(change["new"][0]["content"]))
        except ReceptiveFieldError as error:
            self.say(str(error))
        else:
            height, width = self._widget.model_input_shape[:2]
            self._assign("image", fit_picture(pixels, Size(width, height)))
        self._upload.value = ()


def legend() -> w.HTML:
    """What the three rectangles and the dots mean. The text is our own: nothing of the user's goes into HTML."""
    lines = [
        f'<svg width="26" height="8" aria-hidden="true">{_strokes(look)}</svg> {word} cell'
        for word, look in CORNERS.items()
    ]
    dot = (
        f'<svg width="10" height="8" aria-hidden="true"><circle cx="5" cy="4" r="2.5" fill="{DOT_COLOUR}"/></svg> '
        "centres of all cells"
    )
    shown = w.HTML("&ensp;&ensp;".join([*lines, dot]))
    shown.add_class("rfwidget-legend")
    return shown


def _strokes(look: Look) -> str:
    """A short line over its halo, in SVG."""
    line = '<line x1="1" y1="4" x2="25" y2="4"'
    dashes = " ".join(map(str, look.dash))
    return (
        f'{line} stroke="{look.halo}" stroke-width="{look.halo_width:g}" stroke-opacity="{look.halo_opacity:g}"/>'
        f'{line} stroke="{look.colour}" stroke-width="{look.width:g}" stroke-dasharray="{dashes}"/>'
    )


def _layer_line(name: str, grid: Size) -> str:
    return f"{name}  ({grid.w:g}×{grid.h:g})"  # noqa: RUF001 - the multiplication sign is meant


def _with(options: Any, value: str) -> list[str]:
    return [*options] if value in options else [*options, value]


def _row(*children: w.Widget) -> w.HBox:
    return w.HBox(list(children), layout=w.Layout(flex_flow="row wrap", align_items="center"))


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
