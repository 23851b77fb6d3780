"""RFWidget: receptive fields live on an image in a notebook.

The class holds all public traits and wires the parts. Trait observers and message handlers only note what is wanted;
the engine does the work, and tells this class on the main thread what has come of it.
"""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import traitlets
from IPython.display import display
from ipywidgets import Box, VBox, Widget
from PIL import Image

from rfwidget import _validation
from rfwidget._progress import Progress, reporting
from rfwidget._validation import box_inside, cell_inside, pixel_inside
from rfwidget.errors import ReceptiveFieldError, suggest, unknown_layer
from rfwidget.estimator import ReceptiveField
from rfwidget.geometry import FieldGeometry
from rfwidget.image import as_model_input, as_picture, fit_model
from rfwidget.survey import Survey
from rfwidget.types import GridPoint, GridShape, ReceptiveFieldDescription, Rect, Size
from rfwidget.widget.canvas import HEAT, SceneCanvas
from rfwidget.widget.controls import AUTOMATIC, controls_to_json
from rfwidget.widget.engine import (
    Answer,
    Engine,
    Features,
    Preprocess,
    ViewRequest,
    full_gradient,
)
from rfwidget.widget.heat import HEAT_SCALES, Colouring, Heat, colour, default_colormap, lookup_table
from rfwidget.widget.notebook import CellListener
from rfwidget.widget.overlay import (
    Action,
    Choice,
    Hint,
    Magnified,
    Overlay,
    Query,
    Request,
    Setting,
    Upload,
    palette_to_json,
)
from rfwidget.widget.page import DEFAULT_LIMIT, Exhibit, page_bytes, pictures_of, write_page
from rfwidget.widget.photograph import (
    OWN_IMAGE,
    ArrayImage,
    Photograph,
    ShownImage,
    SignalImage,
    VolumeImage,
    read_image,
    read_signal,
    read_volume,
    sample_names,
    sample_of,
)
from rfwidget.widget.png import paint, png_bytes, small_png
from rfwidget.widget.ranks import OneRowReceptiveField, OneRowSurvey, own_cell, own_query, shown_cell, shown_shape
from rfwidget.widget.resident import Plan
from rfwidget.widget.saved_output import SavedOutput
from rfwidget.widget.scene import (
    CORNERS,
    STAGE_SIDE,
    Layer,
    Mark,
    Scene,
    StageLayout,
    Tag,
    build_scene,
    dots_every,
    marks_over,
    marks_to_json,
    plan_layout,
    rows_to_json,
    spot_of,
)
from rfwidget.widget.section_scene import build_section_scene, plan_sections, section_marks_over
from rfwidget.widget.sections import layer_of_cells, spots_of, volume_to_json
from rfwidget.widget.sheet import Sheet, paint_sheet
from rfwidget.widget.view import HEAT_MAPS, View, centre_of, nearest_cell
from rfwidget.widget.words import TERMS, heat_in_words, words_to_json
from rfwidget.widget.worker import Check, Lull, MainThread

_SETTLED = 0.3
"""Seconds after the last click or step of a drag after which pages yet to come are told of the selected cell."""

_LONGEST_WAIT = 600.0
"""Seconds to wait for a layer before a page is written."""

_HEIGHTS = (120, 4000)
"""CSS pixels that an image can be high."""

_LOST = 2.0
"""Seconds after which a page that still speaks of an older view has not heard of the new one."""

_MOST_MEGABYTES = 4096

_RECTANGLES = ("show_first", "show_central", "show_last")

_BEYOND_ANY_GRID = Size(2**31, 2**31, 2**31)

_QUERIES = {
    1: "a sample or (left, right)",
    2: "a pixel (x, y) or a box (left, top, right, bottom)",
    3: "a voxel (x, y, z) or a box (left, top, front, right, bottom, back)",
}
"""What can be asked about, by the number of axes."""


# Trait types whose refusals are `ReceptiveFieldError` and say what to do, as everywhere in the package: those of
# traitlets raise a TraitError of their own, let NaN pass as a number, and ask no validator about None.


class _Checked(traitlets.TraitType[Any, Any]):
    """Any value that the class's validator accepts; it is asked about None as well."""

    info_text = "a value that fits"


class _Flag(traitlets.TraitType[bool, Any]):
    """True or False."""

    default_value = False

    def validate(self, obj: Any, value: Any) -> bool:  # noqa: ARG002 - traitlets' signature
        """The value as a bool."""
        return _validation.flag(str(self.name), value)


class _Fraction(traitlets.TraitType[float, Any]):
    """A number 0..1."""

    default_value = 0.0

    def validate(self, obj: Any, value: Any) -> float:  # noqa: ARG002 - traitlets' signature
        """The value as a float."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        if isinstance(value, (str, bytes)) or not 0 <= number <= 1:
            raise ReceptiveFieldError(f"{self.name} is {_validation.brief(value)}: expected a number 0..1")
        return number


class RFWidget(VBox):  # type: ignore[misc]
    """Shows what each cell of a network sees, live on an image, a signal or three sections of a volume.

    Move the mouse over the image to see receptive fields; click a cell, or drag, to backpropagate from it. The arrow
    keys move the selected cell. Measuring runs beside the notebook; errors appear inside the widget.

    While no cell of the notebook runs, the gradient maps of all cells are computed as well, nearest first, and kept in
    the page within `live_budget` megabytes: then the map follows the mouse, and nothing is waited for. A grid that is
    too large for that has coarse maps, or those around the mouse alone, and says so. Without ``live`` a map is computed
    when it is asked for.

    The bar holds layer, image and what can be saved; the column tells of the selected cell and shows the feature map
    and what is drawn; ``?`` opens a sheet with all keys. Click with Shift, or draw a box with Shift, to mark the cells
    that see the pixel or all of the box; Escape ends that. The switch "who sees it?" does without Shift. The bars below
    the image are all layers: press one, or move with the arrow keys, to look at it.

    Args:
        model: a function of ``input_shape`` that builds a Keras model, a built Keras model, a PyTorch module, or any
            `ReceptiveField`.
        input_shape: ``(height, width, channels)`` of the model's input, ``(length, channels)`` of sequences, ``(depth,
            height, width, channels)`` of volumes; of a PyTorch module with the channels first. None: the image's, the
            model's own, or 96x96x3 (224x224x3 in PyTorch; 1024x1 of sequences, 32x32x32x1 of volumes).
        input_layer: name of the image input; None: the model's first.
        output_layer: name of the layer to look at; None: the last one with a grid.
        image: array or tensor ``(height, width, channels)``, channels first as well; a picture as a PIL image, the path
            or the bytes of a file, the value of an ``ipywidgets.FileUpload``, which is cut and scaled to the model's
            input; or the name of a sample image. None: the sample photograph. For a model of sequences an array or
            tensor ``(length, channels)``, for one of volumes ``(depth, height, width, channels)``, or the name of a
            sample, see `rfwidget.signals`.
        init_weights: use constant positive weights for the gradient maps as well.
        preprocess: called with the float32 image ``(height, width, channels)`` before it goes into the model; of a
            PyTorch module with a tensor ``(channels, height, width)`` in 0..1.
        grid: cells ``(height, width)`` of layers that give tokens, where nothing else tells the shape of their grid.
        **view: any of the other traits, such as ``selected=(8, 8)`` or ``show_dots=False``.

    Raises:
        ReceptiveFieldError: if an argument cannot be used.

    Example::

        RFWidget(build_model)
    """

    selected = traitlets.Any(None, help="The cell (x, y) whose gradient map is shown; None: none.")
    output_layer = traitlets.Any(None, help="Name of the layer; setting it measures that layer.")
    image = traitlets.Any(None, help="Array, picture, path of a file, or the name of a sample image.")
    channel = traitlets.Any(None, help="Output channel of the gradient maps; None: the mean of all.")
    show_heat = _Flag(True, help="Show the gradient map.")
    show_dots = _Flag(True, help="Show the centres of all receptive fields.")
    show_rectangles = _Flag(True, help="Show the fields of the first, central and last cell: all, or those below.")
    show_first = _Flag(True, help="Show the field of the first cell.")
    show_central = _Flag(True, help="Show the field of the central cell.")
    show_last = _Flag(True, help="Show the field of the last cell.")
    show_naive = _Flag(False, help="Show those cells if the grid were stretched linearly over the image.")
    show_pixels = _Flag(False, help="Show the model's own pixels instead of the photograph they were made of.")
    spotlight = _Flag(True, help="Dim the image around the selected cell's field.")
    heat_opacity = _Fraction(0.8, help="Opacity of the gradient map, 0..1.")
    heat_scale = _Checked("sqrt", help="How magnitudes are told apart: linear, sqrt, log, or percentile of the mass.")
    heat_map = _Checked("gradient", help="What heat maps show: gradient, attention of the last layer, or rollout.")
    colormap = _Checked(None, help="Name of a matplotlib colour map; None: magma, and coolwarm for signs.")
    signed = _Flag(False, help="Show the sign of the gradient; otherwise its magnitude.")
    bands = _Checked(None, help="Three channels (r, g, b) of an image of many that are shown; None: the first three.")
    height = _Checked(STAGE_SIDE, help="Largest height of the image on the screen, in CSS pixels.")
    query = _Checked(None, help="Pixel (x, y) or box (left, top, right, bottom) whose cells are marked; None: none.")
    asking = _Flag(False, help="Clicks and drags on the image ask which cells see it, as they do with Shift.")
    show_erf = _Flag(False, help="Outline 50 and 95 % of the effective receptive field at the selected cell.")
    live = _Flag(True, help="Show the gradient map of the cell under the pointer, where it is there already.")
    live_budget = _Checked(64, help="Megabytes of gradient maps kept for that, in each page and as many in the kernel.")
    compare_layer = _Checked(None, help="Name of a layer whose field is drawn beside that of the selected cell.")

    _PICTURE_TRAITS = (
        *("selected", "channel", "show_heat", "show_dots", "show_rectangles", "show_naive"),
        *("heat_opacity", "colormap", "signed", "query", "asking", "show_erf", "compare_layer"),
        *(
            "show_first",
            "show_central",
            "show_last",
            "show_pixels",
            "spotlight",
            "heat_scale",
            "heat_map",
            "bands",
            "height",
        ),
        *("live", "live_budget"),
    )
    """The traits that make the picture, beside the layer and the image."""

    def __init__(
        self,
        model: Any,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        output_layer: str | None = None,
        image: Any = None,
        init_weights: bool = False,
        preprocess: Preprocess | None = None,
        grid: Sequence[int] | None = None,
        **view: Any,
    ) -> None:
        _validation.function("preprocess", preprocess, "the image")
        _validation.layer_name("input_layer", input_layer)
        for name in set(view).difference(self._PICTURE_TRAITS):
            raise ReceptiveFieldError(
                f"RFWidget has no {name!r}{suggest(name, self._PICTURE_TRAITS)}; see help(RFWidget)"
            )
        said = _validation.grid_lengths(grid)
        self.rf = _estimator(model, init_weights, said)
        self._untold = {
            "input_shape": input_shape,
            "input_layer": input_layer,
            "init_weights": init_weights,
            "grid": said,
        }
        self._preprocess = preprocess
        self._fixed_shape = input_shape is not None or _has_own_size(model)
        own = _wanted_shape(input_shape, image, self.rf, fixed=self._fixed_shape)
        self._axes = len(own) - 1
        self._asked: ReceptiveField = OneRowReceptiveField(self.rf) if self._axes == 1 else self.rf
        self._shape = shown_shape(own)
        self._source: tuple[Any, ShownImage] = (None, self._sample)
        self._revision = 0
        self._told_at = 0.0
        self._view: View | None = None
        self._answer: Answer | None = None
        self._survey: Survey | None = None
        self._features: Features | None = None
        self._attends = False
        self._scene_key: Any = None
        self._follow_only = False
        self._zoomed = False
        self._without_canvas = self._axes == 3  # the page cuts the volume itself, at every step of the cell
        self._sent: tuple[Any, dict[str, str]] = (None, {})
        self._main = MainThread()
        self._canvas = SceneCanvas()
        self._overlay = Overlay(
            canvas="" if self._without_canvas else self._canvas.widget.model_id,
            heat_layer=HEAT,
            axes=self._axes,
            words=words_to_json(self._axes),
        )
        self._overlay.on_message(Request, self._on_request)
        self._overlay.on_message(Query, self._on_page_query)
        self._overlay.on_message(Choice, self._on_page_choice)
        self._overlay.on_message(Setting, self._on_page_setting)
        self._overlay.on_message(Upload, self._on_page_upload)
        self._overlay.on_message(Action, self._on_page_action)
        self._overlay.on_message(Magnified, self._on_page_zoom)
        self._overlay.on_message(Hint, self._on_page_hint)
        self._engine = Engine(self._asked, input_layer, preprocess, self._overlay, self._main, self)
        self._cells = CellListener(self._engine.cell_ended)
        self._saved_output = SavedOutput(lambda: self._whole_picture(small_png), self._main)
        self._lull = Lull(self._main, _SETTLED, self._tell_selected)
        stage = Box([self._canvas.widget, self._overlay])
        stage.add_class("rfwidget-stage")
        try:
            super().__init__(output_layer=output_layer, image=self._sample.title if image is None else image, **view)
        except Exception:  # a trait is refused: nobody else knows the parts
            _close_tree(stage)
            raise
        self.add_class("rfwidget")
        self.children = [stage]
        self.observe(self._on_wanted, ["output_layer", "heat_map"])
        self.observe(self._on_image, "image")
        self.observe(self._on_selected, "selected")
        self.observe(lambda _: self._request_view(), ["channel", "bands"])
        self.observe(self._on_colouring, ["colormap", "signed", "heat_scale"])
        self.observe(
            self._on_scene,
            [
                *(f"show_{word}" for word in CORNERS),
                "show_dots",
                "show_rectangles",
                "show_naive",
                "show_pixels",
                "height",
            ],
        )
        self.observe(self._on_heat, ["show_heat", "heat_opacity"])
        self.observe(lambda _: self._show_controls(), list(self._PICTURE_TRAITS))
        self.observe(self._on_live, ["live", "live_budget"])
        self.observe(self._on_query, "query")
        self.observe(self._on_asking, "asking")
        self.observe(self._on_show_erf, "show_erf")
        self.observe(self._on_compare_layer, "compare_layer")
        self._overlay.set(
            show_heat=self.show_heat,
            heat_opacity=self.heat_opacity,
            query=self._box,
            asking=self.asking,
            compare=self.compare_layer or "",
            palette=palette_to_json(self._colouring),
        )
        self._show_controls()
        weakref.finalize(self, self._engine.worker.stop)
        self._show_scene()
        self._request_view()

    @property
    def rf_params(self) -> ReceptiveFieldDescription | None:
        """Offset, stride and size of the shown layer's receptive fields; None until it has been measured."""
        self._main.drain()
        return None if self._view is None else FieldGeometry(*self._view.field[: self._axes]).description

    @property
    def gradient(self) -> npt.NDArray[np.float32] | None:
        """Gradient map of the selected cell, ``(height, width, channels)``, of a sequence ``(length, channels)``; None
        if there is none yet. With another ``heat_map`` it is that, with one channel.
        """
        self._main.drain()
        answered = self._shown_answer
        if answered is None:
            return None
        return full_gradient(answered)[0] if self._axes == 1 else full_gradient(answered)

    @property
    def view(self) -> View | None:
        """The layer and the image on show; None until a layer has been measured."""
        self._main.drain()
        return self._view

    @property
    def error(self) -> str | None:
        """What went wrong last, in words, as the read-out has it; None if all is well."""
        self._main.drain()
        shown = self._overlay.error
        return None if shown is None else str(shown["message"])

    @property
    def survey(self) -> Survey | None:
        """Receptive fields of all layers, as in the strip below the image; None until they have been measured."""
        return self._survey.own if isinstance(self._survey, OneRowSurvey) else self._survey

    @property
    def model_input_shape(self) -> tuple[int, ...]:
        """Wanted shape of the model's input, ``(height, width, channels)``, of a sequence ``(length, channels)``, of a
        volume ``(depth, height, width, channels)``.
        """
        return self._shape[1:] if self._axes == 1 else self._shape

    @property
    def _sample(self) -> ShownImage:
        """The sample that is shown first."""
        return sample_of(self._axes, sample_names(self._axes)[0])

    @property
    def _cell(self) -> GridPoint | None:
        """The selected cell, as the picture has it."""
        return None if self.selected is None else shown_cell(self.selected)

    @property
    def _box(self) -> list[int] | None:
        """What is asked about, as the picture has it: left, top, right and bottom edge."""
        return _edges(self.query)

    def _read(self, image: Any, name: str = OWN_IMAGE) -> ShownImage:
        """What an argument stands for."""
        if self._axes == 1:
            return read_signal(image, _grid_shape(self._shape))
        if self._axes == 3:
            return read_volume(image, _grid_shape(self._shape))
        return read_image(image, self._shape[2], name)

    def wait(self, timeout: float = 60.0, *, background: bool = False) -> bool:
        """Block until the shown layer is measured and the selected cell answered; for scripts and tests.

        Args:
            timeout: seconds to wait at most.
            background: wait also for what nobody is kept waiting for: the strip of layers, the effective field.

        Returns:
            Whether all work was done in time; a failure counts as done and stands in the read-out.
        """
        end, worker = time.monotonic() + _validation.seconds("timeout", timeout), self._engine.worker
        wait = worker.wait_idle if background else worker.wait_settled
        while True:
            done = wait(max(0.0, end - time.monotonic()))
            self._main.drain()
            if done and (worker.idle if background else worker.settled):
                return True
            if time.monotonic() >= end:
                return False

    def save_png(self, path: str | Path) -> None:
        """Save what the widget shows as a PNG file, laid out as on the screen: the image with all marks, the selected
        cell in numbers, the feature map, and the strip of layers.

        Outlines of the effective field and the layer to compare with come from the background: in a script, call
        ``wait(background=True)`` first.
        """
        file = _validation.file_path(path, "rf.png")
        self._main.drain()
        file.write_bytes(self._whole_picture()())

    def to_html(
        self,
        path: str | Path,
        layers: Sequence[str] | None = None,
        cells: int | Sequence[Sequence[int]] | None = None,
        max_bytes: int = DEFAULT_LIMIT,
        progress: Progress | bool = True,
        *,
        title: str = "",
        note: str = "",
        inline: bool = True,
    ) -> int:
        """Write one self-contained file in which a reader hovers, clicks and asks: no kernel, no network.

        Gradient maps are computed now and embedded, with the present image, channel and colours; they follow the
        mouse, and a click keeps the nearest of them. Layers that are not shown now are measured, without a change to
        the widget. The page asks
        what the widget asks: ``query`` first, ``compare_layer``, and with ``show_erf`` the effective field of each
        layer.

        Args:
            path: of the file.
            layers: names of the layers that a reader can choose, the first one shown first; None: the present one.
            cells: how many gradient maps per layer, evenly spread over its grid; or the cells ``(x, y)``; None: all
                of the first layer, as far as ``max_bytes`` lets them, and up to 100 of each other one, those around the
                selected cell first.
            max_bytes: refuse to write a larger file.
            progress: called with the fraction done (0..1) and a few words; True shows a progress bar, False nothing.
            title: heading of the page; empty: the names of its layers.
            note: a sentence or two below the heading, on the weights say.
            inline: False puts script and style into two files beside it, which pages of one folder share: for servers
                whose content security policy refuses what stands inline.

        Returns:
            Size of the file in bytes, with that of the files beside it.

        An interrupt of the notebook's kernel ends the work; then nothing is written either.

        Raises:
            ReceptiveFieldError: if a layer or cell is unknown, a gradient or an effective field cannot be computed, or
                the file would grow too large; then nothing is written.
        """
        file, whole = _validation.file_path(path, "rf.html"), _validation.flag("inline", inline)
        title, note = _validation.text("title", title), _validation.text("note", note)
        self.wait(_LONGEST_WAIT)
        if self.compare_layer is not None and self._survey is None:
            self.wait(_LONGEST_WAIT, background=True)  # the other layer's field comes with those of all
        exhibit = self._exhibit(layers)._replace(title=title, note=note)
        with reporting(progress, "page") as report:
            return self._engine.perform(
                lambda check: write_page(file, self._asked, exhibit, cells, max_bytes, _checked(check, report), whole)
            )

    def _exhibit(self, layers: Sequence[str] | None) -> Exhibit:
        """What a page shows."""
        view = self._view
        if view is None:
            raise ReceptiveFieldError("no layer has been measured: wait until the widget shows one, then try again")
        names = (view.layer,) if layers is None else tuple(_validation.series("layers", layers, "names of layers"))
        return Exhibit(
            view=view,
            selected=self._cell,
            layers=names,
            rows=rows_to_json(self._survey) if self._survey is not None else [],
            opacity=self.heat_opacity if self.show_heat else 0.0,
            scene_of=self._whole_scene_of,
            controls_of=self._controls_of,
            contours_of=self._engine.contours if self.show_erf else None,
            compare=self._overlay.compare,
            query=self._overlay.query,
            asking=self.asking,
            height=self.height,
        )

    def code(self) -> str:
        """The line of Python that shows this view again; ``model`` stands for the model, a comment names what else is
        yours.
        """
        arguments, yours = ["model"], []
        for name, value in self._untold.items():
            if value not in (None, False):
                arguments.append(f"{name}={_plain(value)!r}")
        if self.output_layer is not None:
            arguments.append(f"output_layer={self.output_layer!r}")
        if not isinstance(self.image, str):
            arguments.append("image=image")
            yours.append(f"image: {self._source[1].title}")
        elif self.image != self._sample.title:
            arguments.append(f"image={self.image!r}")
        if self._preprocess is not None:
            arguments.append("preprocess=preprocess")
            yours.append("preprocess: your function")
        for name in self._PICTURE_TRAITS:
            value = getattr(self, name)
            if value != self.traits()[name].default_value:
                arguments.append(f"{name}={_plain(value)!r}")
        return f"RFWidget({', '.join(arguments)})" + (f"  # {'; '.join(yours)}" if yours else "")

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse what is no trait: a misspelt name would otherwise do nothing, and say nothing."""
        if name.startswith("_") or name in self._ASSIGNED or hasattr(type(self), name):
            super().__setattr__(name, value)
            return
        known = ("output_layer", "image", *self._PICTURE_TRAITS)
        raise ReceptiveFieldError(
            f"RFWidget has no {name!r} that can be set{suggest(name, known)}; there are {', '.join(known)}. What the"
            " constructor alone takes, such as input_layer, needs a new widget"
        )

    _ASSIGNED = ("rf", "comm", "keys")
    """Public names that are set in constructors only, ours and those of ipywidgets."""

    def close(self) -> None:
        """Stop all work and free everything in the browser."""
        if "_engine" in self.__dict__:  # ipywidgets also closes what a refused constructor leaves behind
            self.unobserve_all()  # the traits of a closed widget may still be set; nothing is to follow them
            self._engine.worker.stop()
            self._canvas.close()
            _close_parts(self)
        super().close()

    def __repr__(self) -> str:
        return self.code()

    # What is wanted: checks of the traits -----------------------------------------------------------------------------

    @traitlets.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> GridPoint | None:
        if proposal["value"] is None:
            return None
        grid = _BEYOND_ANY_GRID if self._view is None else self._view.grid
        return cell_inside(proposal["value"], Size(*grid[: self._axes]))

    @traitlets.validate("channel")
    def _check_channel(self, proposal: dict[str, Any]) -> int | None:
        value = proposal["value"]
        return _validation.channel_index(value, 2**31 if self._view is None else self._view.channels)

    @traitlets.validate("image")
    def _check_image(self, proposal: dict[str, Any]) -> Any:
        value = proposal["value"]
        if value is None:
            return None
        return self._take_image(value, self._read(value))

    def _take_image(self, value: Any, shown: ShownImage) -> Any:
        """What the trait holds for an image: names and paths as they are, everything else as an array."""
        if isinstance(value, (str, Path)):
            value = str(value)
        elif isinstance(shown, SignalImage):
            value = shown.pixels[0] if shown.pixels is not None else value
            if self._fixed_shape:
                fit_model(value, GridShape(None, self._shape[1], self._shape[2]))
        elif isinstance(shown, VolumeImage):
            value = shown.pixels if shown.pixels is not None else value
            if self._fixed_shape:
                fit_model(value, _grid_shape(self._shape))
        elif isinstance(shown, Photograph):
            own = shown.original.shape[:2]
            size = own if isinstance(value, Image.Image) and not self._fixed_shape else self._shape[:2]
            value = shown.fitted(_grid_shape((*size, 3))).pixels
        else:
            value = shown.pixels if isinstance(shown, ArrayImage) else value
            if self._fixed_shape:
                as_model_input(value, _grid_shape(self._shape))
        self._source = (value, shown)
        return value

    @traitlets.validate("colormap")
    def _check_colormap(self, proposal: dict[str, Any]) -> str | None:
        if proposal["value"] is None:
            return None
        lookup_table(proposal["value"])
        return str(proposal["value"])

    @traitlets.validate("heat_scale", "heat_map")
    def _check_choice(self, proposal: dict[str, Any]) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        known = HEAT_SCALES if name == "heat_scale" else HEAT_MAPS
        if not isinstance(value, str) or value not in known:
            raise ReceptiveFieldError(
                f"{name} is {_validation.brief(value)}{suggest(str(value), known)}: expected one of {', '.join(known)}"
            )
        return value

    @traitlets.validate("bands")
    def _check_bands(self, proposal: dict[str, Any]) -> tuple[int, ...] | None:
        value = proposal["value"]
        if value is None:
            return None
        if self._axes != 2:
            raise ReceptiveFieldError(
                f"bands is {_validation.brief(value)}: a {TERMS[self._axes].thing} has none to choose from"
            )
        numbers = tuple(_validation.series("bands", value, "three channels of the image"))
        if len(numbers) != 3:
            raise ReceptiveFieldError(f"bands is {_validation.brief(value)}: expected three channels, (3, 2, 1) say")
        return tuple(_validation.whole("each of bands", number, 0, self._shape[2] - 1) for number in numbers)

    @traitlets.validate("show_erf")
    def _check_show_erf(self, proposal: dict[str, Any]) -> bool:
        if proposal["value"] and self._axes == 3:
            raise ReceptiveFieldError(
                "the effective field of a volume has no outline in its sections: measure it with widget.rf.effective(),"
                " whose plot() draws three sections of it"
            )
        return bool(proposal["value"])

    @traitlets.validate("height")
    def _check_height(self, proposal: dict[str, Any]) -> int:
        return _validation.whole("height", proposal["value"], *_HEIGHTS)

    @traitlets.validate("live_budget")
    def _check_live_budget(self, proposal: dict[str, Any]) -> int:
        return _validation.whole("live_budget", proposal["value"], 0, _MOST_MEGABYTES)

    @traitlets.validate("output_layer")
    def _check_output_layer(self, proposal: dict[str, Any]) -> str | None:
        return self._known_layer(_validation.layer_name("output_layer", proposal["value"]))

    @traitlets.validate("query")
    def _check_query(self, proposal: dict[str, Any]) -> GridPoint | Rect | None:
        value = proposal["value"]
        if value is None:
            return None
        axes = self._axes
        image = Size(*_grid_shape(self._shape).size[:axes])
        try:
            length = len(value)
        except TypeError:
            length = axes if axes == 1 else 0  # the number of a sample
        if length not in (axes, 2 * axes):
            raise ReceptiveFieldError(f"query is {value!r}: expected {_QUERIES[axes]}")
        return pixel_inside(value, image) if length == axes else box_inside(value, image)

    @traitlets.validate("compare_layer")
    def _check_compare_layer(self, proposal: dict[str, Any]) -> str | None:
        value = proposal["value"]
        if value is not None and not isinstance(value, str):
            raise ReceptiveFieldError(
                f"compare_layer is {_validation.brief(value)}: expected the name of a layer, or None for no comparison"
            )
        return self._known_layer(value)

    def _known_layer(self, name: str | None) -> str | None:
        if name is None or self._view is None:
            return name
        # Modules that end in another layer can be measured by their own name too, and are not listed.
        if _without_token(name) not in {*self.rf.layers, _without_token(self._view.layer)}:
            raise unknown_layer(name, self.rf.layers)
        return name

    # What is wanted: observers of the traits, and messages from the browser -------------------------------------------

    def _on_wanted(self, _: dict[str, Any]) -> None:
        if not self._follow_only:  # also back to what is on show: something else may be under way
            self._request_view()

    def _on_image(self, change: dict[str, Any]) -> None:
        if change["new"] is None:  # as in the constructor; traitlets does not ask validators about None
            self.image = self._sample.title
            return
        if self._source[0] is not change["new"]:  # a value that holds again after a refused one
            self._take_image(change["new"], self._read(change["new"]))
        if not isinstance(change["new"], str):
            self._shape = (*shown_shape(change["new"].shape)[:-1], self._shape[-1])
        self._overlay.set(notice="")
        self._request_view()

    def _on_colouring(self, _: dict[str, Any]) -> None:
        self._overlay.set(palette=palette_to_json(self._colouring))
        self._saved_output.renew()

    def _on_scene(self, _: dict[str, Any]) -> None:
        self._show_scene()
        self._saved_output.renew()

    def _on_heat(self, change: dict[str, Any]) -> None:
        self._overlay.set(**{change["name"]: change["new"]})
        self._saved_output.renew()

    def _on_selected(self, change: dict[str, Any]) -> None:
        cell = change["new"]
        if self._follow_only or self._view is None:
            return
        if cell is None:  # pages that know the cell from its answer hear of the end only if the trait changes
            self._overlay.set(selected=list(shown_cell(change["old"])))
        shown = self._cell
        self._overlay.set(selected=None if shown is None else list(shown))
        if shown is not None:
            self._engine.ask(self._view, shown)

    def _on_live(self, _: dict[str, Any]) -> None:
        self._overlay.set(live_cells=self._hold_maps(self._view).cells)

    def _hold_maps(self, view: View | None) -> Plan:
        """Have pages hold the maps of a view, if that is wanted."""
        held = self.live and self._axes != 3  # of a volume a map is one of its sections: those that are on show
        return self._engine.hold(view if held else None, self.live_budget * 1e6)

    def _on_page_hint(self, hint: Hint) -> None:
        """A page tells where its pointer is; runs in a message handler."""
        view = self._view
        if view is not None and hint.revision < view.revision and time.monotonic() - self._told_at > _LOST:
            # What was told of the view was lost, with a connection that was cut.
            self._told_at = time.monotonic()
            self._overlay.send_state()
            if self._cell is not None:
                self._engine.ask(view, self._cell)
        self._engine.hint(hint)

    def _on_query(self, change: dict[str, Any]) -> None:
        self._overlay.set(query=_edges(change["new"]))
        self._saved_output.renew()

    def _on_asking(self, change: dict[str, Any]) -> None:
        self._overlay.set(asking=change["new"])
        if not change["new"]:
            self.query = None

    def _on_show_erf(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            self._engine.background.drop_outline()
            self._overlay.set(contours=None)
            self._saved_output.renew()
        elif self._view is not None:
            self._engine.background.outline(self._view)

    def _on_compare_layer(self, change: dict[str, Any]) -> None:
        self._overlay.set(compare=change["new"] or "")
        self._saved_output.renew()

    def _on_request(self, request: Request) -> None:
        """A page asks for a cell; runs in a message handler."""
        view, cell = self._view, request.cell
        if view is None or request.revision != view.revision or not _in_grid(cell, view.grid):
            self._overlay.supersede(request)
            return
        self._engine.ask_for(request, view)
        self._follow(selected=own_cell(request.cell, self._axes))
        self._lull.stir()

    def _on_page_query(self, query: Query) -> None:
        """A page has asked about a box; runs in a message handler."""
        if query.box is None:
            self.query = None
            return
        box, lengths = Rect(*query.box), _grid_shape(self._shape).size
        ends = box[len(box) // 2 :]
        if len(ends) == len(lengths) and all(end <= length for end, length in zip(ends, lengths, strict=True)):
            one = all(length == 1 for length in box.size)
            self.query = own_query(GridPoint(*query.box[: len(ends)]) if one else box, self._axes)

    def _on_page_choice(self, choice: Choice) -> None:
        """A page wants another layer; runs in a message handler."""
        if any(choice.name == name for name, *_ in self._overlay.choices):
            self.output_layer = choice.name

    def _on_page_setting(self, setting: Setting) -> None:
        """A control of a page has been moved; runs in a message handler."""
        name, value = setting
        try:
            if name == "image":
                if value in sample_names(self._axes):  # and no path: pages do not read files
                    self.image = value
            elif name == "bands":
                self.bands = _whole_numbers(str(value))
            elif name in _RECTANGLES and value and not self.show_rectangles:
                for other in _RECTANGLES:
                    setattr(self, other, other == name)
                self.show_rectangles = True
            else:
                setattr(self, name, None if value in ("", AUTOMATIC) else value)
        except ReceptiveFieldError as error:
            self._overlay.set(notice=str(error))
            self._show_controls()
        else:
            self._overlay.set(notice="")

    def _on_page_upload(self, upload: Upload) -> None:
        """A page hands over an image file; runs in a message handler."""
        try:
            if self._axes != 2:
                thing = TERMS[self._axes].thing
                raise ReceptiveFieldError(f"a {thing} comes as an array: set image= in Python")
            shown = read_image(upload.content, self._shape[2], Path(upload.name).name or OWN_IMAGE)
            self.image = shown.fitted(_grid_shape((*self._shape[:2], 3))).pixels
        except ReceptiveFieldError as error:
            self._overlay.set(notice=str(error))
            return
        self._source = (self.image, shown)
        self._request_view()

    def _on_page_action(self, action: Action) -> None:
        """A page wants something made; runs in a message handler."""
        match action.name:
            case "png":
                self._overlay.download("receptive-field.png", self._whole_picture()())
            case "code":
                self._overlay.copy(self.code())
            case "page":
                self._send_page()
            case "scene":
                self._without_canvas = True
                self._show_scene()
            case "gone":  # if another page shows the widget, its next click starts the thread again
                self._engine.worker.leave()
            case "channels" if self._view is not None:
                self._engine.channels(self._view)

    def _on_page_zoom(self, message: Magnified) -> None:
        """A page magnifies the picture, or does no more; runs in a message handler."""
        if message.zoomed != self._zoomed:
            self._zoomed = message.zoomed
            self._show_scene()

    def _send_page(self) -> None:
        """Have the standalone page of the present layer made and saved by the browser."""

        def fail(words: str, _: str) -> None:
            self._overlay.set(background="", notice=words)

        def tell(fraction: float, _: str) -> None:
            self._main.post(lambda: self._overlay.set(background="" if fraction >= 1 else f"page: {fraction:.0%}"))

        def make(check: Check) -> None:
            content = page_bytes(self._asked, exhibit, progress=_checked(check, tell))
            self._main.post(lambda: self._overlay.download("receptive-field.html", content))

        if self._view is not None:
            exhibit = self._exhibit(None)
            self._engine.aside(make, fail)

    def _request_view(self) -> None:
        """Have the present traits shown."""
        self._revision += 1
        self._overlay.set(state="busy", status="preparing", progress=0.0, error=None)
        image = self._source[1]
        self._engine.show(
            ViewRequest(self._revision, self.output_layer, self._shape, image, self.channel, self.bands, self.heat_map)
        )

    def _follow(self, **traits: Any) -> None:
        """Set public traits to what is shown already, so that nothing is asked for again.

        All are set, whatever an observer of the user's does to one of them; what the last such observer raised is
        raised in the end.
        """
        self._follow_only = True
        try:
            with ExitStack() as stack:
                for name, value in reversed(traits.items()):
                    stack.callback(setattr, self, name, value)
        finally:
            self._follow_only = False

    def _ask_beyond_one_cell(self, view: View) -> None:
        """Ask everything of a new view that depends on it."""
        if self.query is not None and not _inside(self.query, view):
            self.query = None
        known = self._survey
        if known is None or known.input_shape != view.input_shape:
            self._survey = None
            self._overlay.set(layers=[])
            self._engine.background.survey(view)
        self._engine.background.attentions(view)
        self._overlay.set(contours=None)
        if self.show_erf:
            self._engine.background.outline(view)

    # What has come of it; the engine's listener, on the main thread ---------------------------------------------------

    def on_progress(self, fraction: float, words: str) -> None:
        """Show how far a measurement has come."""
        if self._overlay.state == "busy":
            self._overlay.set(progress=fraction, status=words)

    def on_view(self, view: View, features: Features, remark: str) -> None:
        """Show another layer, image or channel; the selection stays where it was on the image."""
        if view.revision != self._revision:
            return
        before, self._view, self._answer = self._view, view, None
        self._told_at = time.monotonic()
        self._features = features
        plan = self._hold_maps(view)
        now = self._cell
        if now is None:
            cell = nearest_cell(view, None) if before is None else None
        elif before is None:
            cell = GridPoint(*(min(at, int(count) - 1) for at, count in zip(now, view.grid, strict=True)))
        else:
            cell = nearest_cell(view, centre_of(before, now))
        self._show_scene()
        size = [int(count) for count in view.grid]
        self._overlay.set(
            grid=size,
            field=view.field.to_json(),
            revision=view.revision,
            selected=None if cell is None else list(cell),
            layer=view.layer,
            feature_map={"size": size[:2], "range": [features.low, features.high], "rgba": features.rgba.tobytes()}
            if view.few_cells
            else None,
            input=view.said,
            thumbnails=None,
            live_cells=plan.cells,
            label=f"Receptive fields of layer {view.layer}",
            state="ready",
            status=remark
            if view.few_cells
            else f"the feature map of {' x '.join(map(str, size))} cells is too large to be shown",
            progress=-1.0,
            error=None,
        )
        self.on_layers(self._asked.layers)
        self._show_controls()
        self._ask_beyond_one_cell(view)
        if cell is not None:
            self._engine.ask(view, cell)
        own = None if cell is None else own_cell(cell, self._axes)
        self._follow(
            output_layer=view.layer, selected=own, heat_map=view.heat
        )  # last: observers of the user's may raise

    def on_layers(self, layers: Mapping[str, Size]) -> None:
        """Offer the layers that there are, while none is shown."""
        self._overlay.set(choices=[[name, *map(int, grid)] for name, grid in layers.items()])

    def on_answer(self, answered: Answer) -> None:
        """Keep the newest gradient map."""
        if self._view is None or answered.view.revision != self._view.revision:
            return
        self._answer = answered
        if self._overlay.state == "error":
            self._overlay.set(state="ready", error=None)
        self._saved_output.renew()

    def on_failure(self, message: str, details: str) -> None:
        """Show what went wrong; what was shown before stays usable."""
        self._overlay.set(state="error", progress=-1.0, status="", error={"message": message, "details": details})

    def on_survey(self, survey: Survey) -> None:
        """Show the strip, unless the image has another size by now."""
        if self._view is not None and survey.input_shape == self._view.input_shape:
            self._survey = survey
            self._overlay.set(layers=rows_to_json(survey))
            self._saved_output.renew()

    def on_contours(self, view: View, contours: dict[str, Any]) -> None:
        """Show the outlines, unless something else is shown by now."""
        if self.show_erf and self._view is not None and view.revision == self._view.revision:
            self._overlay.set(contours=contours)
            self._saved_output.renew()

    def on_attentions(self, view: View, there: bool) -> None:
        """Offer maps of attention, unless something else is shown by now."""
        if self._view is not None and view.revision == self._view.revision and there != self._attends:
            self._attends = there
            self._show_controls()

    def on_channels(self, view: View, channels: list[int], sheet: npt.NDArray[np.uint8]) -> None:
        """Show the sheet of channels, unless something else is shown by now."""
        if self._view is not None and view.revision == self._view.revision:
            size = [sheet.shape[1], sheet.shape[0] // len(channels)]
            self._overlay.set(thumbnails={"size": size, "channels": channels, "rgba": sheet.tobytes()})

    def on_plan(self, view: View, plan: Plan) -> None:
        """Hold fewer maps, unless something else is shown by now."""
        if self._view is not None and view.revision == self._view.revision:
            self._overlay.set(live_cells=plan.cells)

    def on_weights(self, view: View) -> None:
        """Show everything anew: what is shown was computed with other weights."""
        if view.revision == self._revision:
            self._request_view()

    def on_background(self, words: str) -> None:
        """Say what is going on while nobody waits."""
        self._overlay.set(background=words)

    # What is shown ----------------------------------------------------------------------------------------------------

    def _show_scene(self) -> None:
        scene = self._scene()
        size, layout = scene.layout.image, scene.layout
        tags = tuple(mark for mark in scene.marks if isinstance(mark, Tag))
        by_page = self._zoomed or self._without_canvas
        drawn = () if by_page else tuple(mark for mark in scene.marks if not isinstance(mark, Tag))
        self._canvas.show(scene._replace(marks=drawn))
        self._overlay.set(
            image_size=[int(size.w), int(size.h)],
            scale=layout.scale,
            stretch=layout.stretch,
            axes=self._axes,
            volume=None if self._view is None or self._axes != 3 else volume_to_json(self._view.input_shape.size),
            margin=list(layout.margin),
            height=self.height,
            marks=marks_to_json(scene.marks if by_page else tags),
            scene=self._pictures(),
        )

    def _pictures(self) -> dict[str, str] | None:
        """The image for a page that shows no canvas."""
        view = self._view
        if view is None or not self._without_canvas:
            return None
        if self._sent[0] is not view.picture:
            self._sent = view.picture, pictures_of(view)
        return self._sent[1]

    def _show_controls(self) -> None:
        if self._view is not None:
            self._overlay.set(controls=self._controls_of(self._view))

    def _controls_of(self, view: View) -> dict[str, Any]:
        """What the controls show of a view."""
        if view.axes == 3:
            scales: tuple[float, ...] = (plan_sections(view.input_shape.size, self.height).scale,) * 3
        else:
            scales = plan_layout(view.input_shape, view.field, view.grid, self.height, signal=view.axes == 1).scales
        every = max(dots_every(axis, scale) for axis, scale in zip(view.field, scales, strict=True))
        name = self.image if isinstance(self.image, str) else self._source[1].title
        images = sample_names(self._axes)
        bands = view.input_shape.c if view.axes == 2 else 1  # all channels of a signal are shown
        told = controls_to_json(
            self,
            image=name,
            images=images,
            channels=view.channels,
            dots_every=every,
            bands=bands,
            maps=HEAT_MAPS if self._attends else HEAT_MAPS[:1],
        )
        return {**told, "live": False} if view.axes == 3 else told

    def _scene(self) -> Scene:
        view = self._view
        if view is None:
            shape = _grid_shape(self._shape)
            fitted = self._source[1].fitted(shape)
            if self._axes == 3:
                return build_section_scene(np.zeros((*shape.lengths, 3), np.uint8), shape, height=self.height)
            picture = as_picture(fitted.pixels) if fitted.photo is None else fitted.photo
            return build_scene(picture, shape, height=self.height, signal=self._axes == 1)
        return self._scene_of(view)

    def _whole_scene_of(self, view: View) -> Scene:
        """With all marks: a page switches them on and off itself."""
        if view.axes == 3:
            return self._sections_of(view, naive=True)
        return build_scene(
            view.sharpest,
            view.input_shape,
            view.field,
            view.grid,
            naive=True,
            height=self.height,
            signal=view.axes == 1,
        )

    def _sections_of(self, view: View, **shown: Any) -> Scene:
        """Of a volume, cut through the selected cell."""
        cell = self._cell if view is self._view else None
        return build_section_scene(
            view.picture, view.input_shape, view.field, view.grid, cell, height=self.height, **shown
        )

    def _scene_of(self, view: View) -> Scene:
        if view.axes == 3:
            return self._sections_of(
                view,
                dots=self.show_dots,
                rectangles=[word for word in CORNERS if self._is_shown(word)],
                naive=self.show_naive,
            )
        return build_scene(
            view.picture if self.show_pixels else view.sharpest,
            view.input_shape,
            view.field,
            view.grid,
            dots=self.show_dots,
            rectangles=[word for word in CORNERS if self._is_shown(word)],
            naive=self.show_naive,
            height=self.height,
            signal=view.axes == 1,
        )

    def _is_shown(self, corner: str) -> bool:
        """Whether the field of one of `CORNERS` is drawn."""
        return bool(self.show_rectangles and getattr(self, f"show_{corner}"))

    @property
    def _shown_answer(self) -> Answer | None:
        """The answer to the selected cell; an older one is not what the widget shows."""
        return self._answer if self._answer is not None and self._answer.cell == self._cell else None

    @property
    def _colouring(self) -> Colouring:
        return Colouring(self.colormap or default_colormap(self.signed), self.signed, self.heat_scale)

    def _shown_heat(self) -> tuple[Heat | None, tuple[tuple[Rect, Rect], ...]]:
        """The gradient map on show, and the parts of the image that are dimmed around the field."""
        answered = self._shown_answer
        if answered is None or not self.show_heat:
            return None, ()
        heat, shape = colour(answered.levels, self._colouring), answered.view.input_shape
        if not self.spotlight:
            return heat, ()
        if answered.view.axes == 3:
            return heat, tuple(spots_of(answered.rect, shape.size))
        return heat, (spot_of(answered.rect, shape),)

    def _picture(self, file: Callable[[Image.Image], bytes] = png_bytes) -> Callable[[], bytes]:
        """What the widget shows now, to be painted as a PNG file on any thread."""
        scene, opacity = self._scene(), self.heat_opacity
        over, (heat, spots) = self._marks_over(scene.layout), self._shown_heat()
        return lambda: file(paint(scene, heat, over, opacity, spots))

    def _whole_picture(self, file: Callable[[Image.Image], bytes] = png_bytes) -> Callable[[], bytes]:
        """As `_picture`, with bar, column and strip around it, as on the screen."""
        view, features = self._view, self._features
        scene, over, opacity = self._scene(), self._marks_over(self._scene().layout), self.heat_opacity
        if view is None or features is None:
            return self._picture(file)
        heat, spots = self._shown_heat()
        sheet = Sheet(
            layer=view.layer,
            grid=tuple(int(count) for count in view.grid),
            cell=self._cell,
            rect=None if self._cell is None else view.field.rect(self._cell),
            heat=heat,
            map=heat_in_words(self._axes, view.heat),
            colormap=self._colouring.colormap,
            features=self._features_shown(view, features),
            reach=(features.low, features.high),
            channel=f"mean of {view.channels}" if view.channel is None else f"channel {view.channel}",
            shown=[word for word in CORNERS if self._is_shown(word)],
            said=view.said,
            rows=rows_to_json(self._survey) if self._survey is not None else [],
            image=tuple(map(int, view.input_shape.size[: self._axes])),
        )
        return lambda: file(paint_sheet(paint(scene, heat, over, opacity, spots), sheet))

    def _features_shown(self, view: View, features: Features) -> npt.NDArray[np.uint8] | None:
        """The feature map as the sheet has it; of a volume the plane of the selected cell."""
        if not view.few_cells:
            return None
        return layer_of_cells(features.rgba, self._cell) if view.axes == 3 else features.rgba

    def _marks_over(self, layout: StageLayout) -> tuple[Mark, ...]:
        """What the overlay draws in the browser."""
        view, query = self._view, self._overlay.query
        if view is None:
            return ()
        shown = Layer(view.layer, view.field, view.grid)
        if view.axes == 3:
            box = None if query is None else Rect(*query)
            return section_marks_over(layout, view.input_shape, shown, self._cell, query=box, other=self._other_layer)
        return marks_over(
            layout,
            view.input_shape,
            shown,
            self._cell,
            query=None if query is None else Rect(*query),
            contours=self._overlay.contours,
            other=self._other_layer,
        )

    @property
    def _other_layer(self) -> Layer | None:
        """The layer to compare with, if it has been measured."""
        for row in self._survey or ():
            if self._survey is not None and row.name == self.compare_layer and not row.note:
                return Layer(row.name, self._survey.field(row.name), row.grid)
        return None

    def _display_(self) -> Overlay:
        """What marimo shows: the overlay, which draws all by itself there."""
        return self._overlay

    def _ipython_display_(self, **_: Any) -> None:
        """Two outputs: the live view, and the picture that is left when there is no kernel."""
        display({**self._repr_mimebundle_(), "text/plain": ""}, raw=True)
        self._saved_output.show()

    def _tell_selected(self) -> None:
        """Pages on show know the cell from its answer; this is for a page that is loaded later."""
        if self._cell is not None:
            self._overlay.set(selected=list(self._cell))


def _close_tree(widget: Widget) -> None:
    """Close a widget and all inside it: ipywidgets keeps every widget that is not closed, and what it refers to."""
    _close_parts(widget)
    widget.close()


def _close_parts(widget: Widget) -> None:
    """Close the children, layout and style of a widget, and whatever other widgets its state refers to."""
    for name in widget.keys:
        value = getattr(widget, name)
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, Widget):
                _close_tree(part)


def _checked(check: Check, progress: Progress) -> Progress:
    """A report of progress that also ends the work if nobody waits for it any more."""

    def report(fraction: float, words: str) -> None:
        check()
        progress(fraction, words)

    return report


def _plain(value: Any) -> Any:
    """Named tuples and lists as tuples, as code has them."""
    return tuple(value) if isinstance(value, (tuple, list)) else value


def _whole_numbers(words: str) -> list[int]:
    """Whole numbers out of a text such as "3, 2, 1"."""
    try:
        return [int(word) for word in words.replace(",", " ").split()]
    except ValueError as error:
        raise ReceptiveFieldError(
            f"bands is {_validation.brief(words)}: expected three numbers, 3, 2, 1 say"
        ) from error


def _has_own_size(model: Any) -> bool:
    """Whether a model, as Keras has them, takes images of one size only."""
    shape = None if isinstance(model, ReceptiveField) else getattr(model, "input_shape", None)
    return isinstance(shape, tuple) and len(shape) in (3, 4, 5) and None not in shape[1:]


def _estimator(model: Any, init_weights: bool, grid: tuple[int, ...] | None) -> ReceptiveField:
    if isinstance(model, ReceptiveField):
        if grid is not None:
            raise ReceptiveFieldError(
                f"grid is {grid}, but the model is a {type(model).__name__}, which has been made without it: give grid="
                " to that, or the model itself to RFWidget"
            )
        return model
    if _validation.framework_of(model) == "torch":
        from rfwidget.torch import TorchReceptiveField

        return TorchReceptiveField(model, init_weights=init_weights, grid=grid)
    from rfwidget.keras import KerasReceptiveField

    rf = KerasReceptiveField(model, init_weights=init_weights, grid=grid)
    _check_keras_model(model)
    return rf


def _check_keras_model(model: Any) -> None:
    """Refuse at once, on the user's own line, a model that can never be measured."""
    if getattr(model, "built", True) is False:
        raise ReceptiveFieldError(
            f"the model {getattr(model, 'name', '')!r} is not built: it has no layers yet. Call"
            " model.build((None, height, width, channels)) or run it on an image first"
        )
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 2:
        raise ReceptiveFieldError(
            f"the model takes vectors {shape}: expected a model of images, (None, height, width, channels)"
        )
    if isinstance(shape, tuple) and not _may_have_grid(model, len(shape)):
        raise ReceptiveFieldError(
            f"no layer of the model {getattr(model, 'name', '')!r} has a grid, for the first one makes vectors of the"
            f" whole input: expected some output of {len(shape)} axes, as the input {shape} has"
        )


def _may_have_grid(model: Any, axes: int) -> bool:
    """Whether some part of a model gives so many axes; True where that shows only when it runs."""
    for part in getattr(model, "operations", None) or model.layers:
        if type(part).__name__ == "InputLayer":
            continue
        if getattr(part, "layers", None) and _may_have_grid(part, axes):
            return True
        try:
            shape = getattr(part.output, "shape", None)
        except (AttributeError, ValueError):
            return True
        if shape is None or len(shape) == axes:
            return True
    return False


def _wanted_shape(input_shape: Any, image: Any, rf: ReceptiveField, *, fixed: bool) -> Any:
    """The model's input ``(h, w, c)`` that the arguments ask for."""
    own: Any = rf.default_input_shape() if input_shape is None else rf.read_shape(input_shape)
    if input_shape is None:
        if image is None or isinstance(image, (str, Path, bytes, bytearray, memoryview)):
            return own
        if isinstance(image, Image.Image):
            return own if fixed else (image.height, image.width, own[2])
        if len(own) == 2:
            signal = read_signal(image, GridShape(None, own[0] or 1, 1, own[1])).pixels
            length = own[0] if signal is None else signal.shape[1]
            if fixed and own[0] not in (None, length):
                fit_model(image, GridShape(None, *own))
            return (length, own[1])
        if len(own) == 4:
            volume = read_volume(image, GridShape.of([side or 1 for side in own[:3]], own[3])).pixels
            if volume is None:
                return own
            if fixed:
                fit_model(volume, GridShape.of([a or b for a, b in zip(own, volume.shape[:3], strict=False)], own[3]))
            return (*volume.shape[:3], own[3])
        shown = read_image(image, own[2])
        if not isinstance(shown, ArrayImage):
            return own
        if fixed:
            as_model_input(shown.pixels, _grid_shape(own))
        height, width, channels = shown.pixels.shape
        return (height, width, own[2] if channels == 1 else channels)
    defaults = rf.default_input_shape() if None in own else own
    return tuple(default if side is None else side for side, default in zip(own, defaults, strict=True))


def _without_token(layer: str) -> str:
    """The name of a layer without the number of one of its tokens.

    >>> _without_token("norm[0]")
    'norm'
    """
    return re.sub(r"\[\d+\]$", "", layer)


def _edges(query: GridPoint | Rect | None) -> list[int] | None:
    """A pixel or a box as left, top, right, bottom, of a volume also front and back; a sequence has one row."""
    if query is None:
        return None
    pairs = query.edges if isinstance(query, Rect) else tuple((at, at + 1) for at in query)
    low, high = zip(*(pairs if len(pairs) > 1 else (*pairs, (0, 1))), strict=True)
    return [int(edge) for edge in (*low, *high)]


def _inside(query: GridPoint | Rect, view: View) -> bool:
    edges = _edges(query) or []
    ends = edges[len(edges) // 2 :]
    return all(end <= length for end, length in zip(ends, view.input_shape.size, strict=True))


def _in_grid(cell: GridPoint, grid: Size) -> bool:
    return len(cell) == len(grid) and all(at < count for at, count in zip(cell, grid, strict=True))


def _grid_shape(shape: tuple[int, ...]) -> GridShape:
    return GridShape.of(shape[:-1], shape[-1])
