"""RFWidget: receptive fields live on an image in a notebook.

This module wires the parts: the estimator on a worker thread, the static scene on a canvas, the overlay that listens to
mouse and keys in the browser, and the controls. Message handlers and trait observers only note what is wanted; the
worker measures and backpropagates; `MainThread` carries results back to where traits may be set.
"""

from __future__ import annotations

import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import traitlets
from IPython.display import display
from ipywidgets import Box, VBox

from rfwidget.base import ReceptiveField
from rfwidget.errors import ReceptiveFieldError, unknown_layer
from rfwidget.geometry import check_point
from rfwidget.image import as_array, as_model_input, as_picture, get_default_image, get_default_images
from rfwidget.plotting import finite_rect
from rfwidget.types import GridPoint, GridShape, ImageShape, ReceptiveFieldDescription, Size
from rfwidget.widget.canvas import HEAT, SceneCanvas
from rfwidget.widget.heat import lookup_table
from rfwidget.widget.main_thread import MainThread
from rfwidget.widget.overlay import Overlay, Request
from rfwidget.widget.png import paint, png_bytes
from rfwidget.widget.scene import Scene, build_scene
from rfwidget.widget.still import Still
from rfwidget.widget.view import Answer, Style, View, answer, colour_feature_map, full_gradient, nearest_cell
from rfwidget.widget.worker import Cancelled, Urgency, Worker

Preprocess = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


class RFWidget(VBox):  # type: ignore[misc]
    """Shows what each cell of a convolutional network sees, live on an image.

    Move the mouse over the image to see receptive fields; click a cell, or drag, to backpropagate from it. The arrow
    keys move the selected cell. Measuring runs beside the notebook; errors appear inside the widget.

    Args:
        model: a function of ``input_shape`` that builds a Keras model, a built model, or any `ReceptiveField`.
        input_shape: ``(height, width, channels)`` of the model's input; None: the image's, the model's own, or 96x96x3.
        input_layer: name of the image input; None: the model's first.
        output_layer: name of the layer to look at; None: the last one with a 2-D grid.
        image: array ``(height, width, channels)``, or the name of a sample image; None: the sample photograph.
        init_weights: use constant positive weights for the gradient maps as well.
        preprocess: called with the float32 image ``(height, width, channels)`` before it goes into the model.

    Raises:
        ReceptiveFieldError: if ``model``, ``input_shape`` or ``image`` cannot be used.

    Example::

        RFWidget(build_model)
    """

    selected = traitlets.Any(None, help="The cell (x, y) whose gradient map is shown; None: none.")
    output_layer = traitlets.Unicode(None, allow_none=True, help="Name of the layer; setting it measures that layer.")
    image = traitlets.Any(None, help="Array (height, width, channels) or the name of a sample image.")
    channel = traitlets.Any(None, help="Output channel of the gradient maps; None: the mean of all.")
    show_heat = traitlets.Bool(True, help="Show the gradient map.")
    show_dots = traitlets.Bool(True, help="Show the centres of all receptive fields.")
    show_rectangles = traitlets.Bool(True, help="Show the fields of the first, central and last cell.")
    show_naive = traitlets.Bool(
        False, help="Show where those cells would be if the grid were stretched over the image."
    )
    heat_opacity = traitlets.Float(0.8, min=0.0, max=1.0, help="Opacity of the gradient map, 0..1.")
    colormap = traitlets.Unicode("coolwarm", help="Name of a matplotlib colour map.")
    signed = traitlets.Bool(True, help="Show the sign of the gradient; otherwise its magnitude.")

    def __init__(
        self,
        model: Any,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        output_layer: str | None = None,
        image: Any = None,
        init_weights: bool = False,
        preprocess: Preprocess | None = None,
    ) -> None:
        if preprocess is not None and not callable(preprocess):
            raise ReceptiveFieldError(f"preprocess is {preprocess!r}: expected a function of the image, or None")
        self.rf = _estimator(model, init_weights)
        self._preprocess = preprocess
        self._input_layer = input_layer
        self._input_shape = _image_shape(input_shape, image, self.rf)
        self._fixed_shape = input_shape is not None
        self._revision = 0
        self._serial = 0
        self._view: View | None = None
        self._answer: Answer | None = None
        self._from_browser = False
        self._main = MainThread()
        self._worker = Worker(name="rfwidget")
        self._canvas = SceneCanvas()
        self._overlay = Overlay(canvas=self._canvas.widget.model_id, heat_layer=HEAT)
        self._overlay.on_request(self._on_request)
        self._still = Still(self._png, self._main)
        stage = Box([self._canvas.widget, self._overlay])
        stage.add_class("rfwidget-stage")
        super().__init__([stage])
        self.add_class("rfwidget")
        self.set_trait("image", get_default_images()[0] if image is None else image)
        self.set_trait("output_layer", output_layer)
        self.observe(self._on_layer, "output_layer")
        self.observe(self._on_image, "image")
        self.observe(self._on_selected, "selected")
        self.observe(self._on_style, ["channel", "colormap", "signed"])
        self.observe(self._on_scene, ["show_dots", "show_rectangles", "show_naive"])
        self.observe(self._on_heat, ["show_heat", "heat_opacity"])
        weakref.finalize(self, self._worker.stop)
        self._show_scene()
        self._measure()

    @property
    def rf_params(self) -> ReceptiveFieldDescription | None:
        """Offset, stride and size of the shown layer's receptive fields; None until it has been measured."""
        self._main.drain()
        return None if self._view is None else self._view.field.description

    @property
    def gradient(self) -> npt.NDArray[np.float32] | None:
        """Gradient map of the selected cell, ``(height, width, channels)``; None if there is none yet."""
        self._main.drain()
        return None if self._answer is None else full_gradient(self._answer)

    def wait(self, timeout: float = 60.0) -> bool:
        """Block until the shown layer is measured and the selected cell answered; for scripts and tests.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether all work was done in time. Errors are in the widget's read-out.
        """
        end = time.monotonic() + timeout
        while True:
            done = self._worker.wait_idle(max(0.0, end - time.monotonic()))
            self._main.drain()
            if done and self._worker.idle:
                return True
            if time.monotonic() >= end:
                return False

    def save_png(self, path: str | Path) -> None:
        """Save what the widget shows as a PNG file."""
        self._main.drain()
        Path(path).write_bytes(self._png())

    def close(self) -> None:
        """Stop the worker and free everything in the browser."""
        self._worker.stop()
        self._overlay.close()
        self._canvas.close()
        super().close()

    # What the user wants ---------------------------------------------------------------------------------------------

    @traitlets.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> GridPoint | None:
        if proposal["value"] is None:
            return None
        if self._view is None:
            return check_point(proposal["value"], Size(2**31, 2**31))
        return check_point(proposal["value"], self._view.grid)

    @traitlets.validate("channel")
    def _check_channel(self, proposal: dict[str, Any]) -> int | None:
        value = proposal["value"]
        if value is None:
            return None
        most = 2**31 if self._view is None else self._view.channels
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or not 0 <= value < most:
            raise ReceptiveFieldError(f"channel is {value!r}: expected None (mean) or a whole number 0..{most - 1}")
        return int(value)

    @traitlets.validate("image")
    def _check_image(self, proposal: dict[str, Any]) -> Any:
        value = proposal["value"]
        if isinstance(value, str):
            get_default_image((1, 1), name=value)
            return value
        pixels = as_array(value)
        if self._fixed_shape:
            as_model_input(pixels, _grid_shape(self._input_shape))
        return pixels

    @traitlets.validate("colormap")
    def _check_colormap(self, proposal: dict[str, Any]) -> str:
        lookup_table(proposal["value"])
        return str(proposal["value"])

    @traitlets.validate("output_layer")
    def _check_output_layer(self, proposal: dict[str, Any]) -> str | None:
        value: str | None = proposal["value"]
        if self._view is not None and value is not None and value not in self.rf.layers:
            raise unknown_layer(value, self.rf.layers)
        return value

    def _on_layer(self, change: dict[str, Any]) -> None:
        if self._view is None or change["new"] != self._view.layer:
            self._measure()

    def _on_image(self, change: dict[str, Any]) -> None:
        if not isinstance(change["new"], str):
            h, w = change["new"].shape[:2]
            if (h, w) != self._input_shape[:2]:
                self._input_shape = (h, w, self._input_shape[2])
                self._measure()
                return
        self._restyle()

    def _on_style(self, change: dict[str, Any]) -> None:  # noqa: ARG002 - the signature of an observer
        self._restyle()

    def _on_scene(self, change: dict[str, Any]) -> None:  # noqa: ARG002
        self._show_scene()
        self._still.renew()

    def _on_heat(self, change: dict[str, Any]) -> None:
        setattr(self._overlay, change["name"], change["new"])
        self._still.renew()

    def _on_selected(self, change: dict[str, Any]) -> None:
        if self._from_browser or self._view is None:
            return
        self._tell(selected=None if change["new"] is None else list(change["new"]))
        if change["new"] is not None:
            self._ask(self._view, change["new"])

    def _on_request(self, request: Request) -> None:
        """A cell was clicked in the browser; runs in a message handler."""
        view = self._view
        fits = view is not None and request.revision == view.revision
        if view is None or not fits or request.cell.x >= view.grid.w or request.cell.y >= view.grid.h:
            self._overlay.supersede(request)
            return
        self._overlay.acknowledge(request)
        self._from_browser = True
        try:
            self.selected = request.cell
        finally:
            self._from_browser = False
        self._ask(view, request.cell, request)

    # The worker's jobs -----------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Measure the wanted layer on the wanted image; the newest wish replaces an older one."""
        self._revision += 1
        revision, layer, shape = self._revision, self.output_layer, self._input_shape
        wanted, style = self.image, self._style()
        self._tell(state="busy", status="building the model", progress=0.0, error=None)

        def progress(fraction: float, words: str) -> None:
            self._worker.check()
            self._main.post(lambda: self._tell(progress=fraction, status=words))

        def job() -> None:
            try:
                if not self._is_computed(layer, shape):
                    self.rf.compute(shape, self._input_layer, layer, progress=progress)
                view = self._make_view(revision, wanted, style)
                features = colour_feature_map(self.rf.feature_map(view.image, style.channel))
            except Cancelled:
                raise
            except Exception as error:
                self._main.post(partial(self._fail, error))
            else:
                self._main.post(lambda: self._adopt(view, features))

        self._worker.submit(Urgency.SETUP, job)

    def _restyle(self) -> None:
        """Show another image, channel or colour; the network stays."""
        if self._view is None:
            return
        self._measure()

    def _ask(self, view: View, cell: GridPoint, request: Request | None = None) -> None:
        """Have a cell answered, to whoever asked; all pages show the answer."""

        def job() -> None:
            begin = time.perf_counter()
            self._serial += 1
            try:
                answered = answer(self.rf, view, cell)
            except Exception as error:
                message, details = _explain(error)
                self._overlay.fail(
                    request, serial=self._serial, revision=view.revision, message=message, details=details
                )
                self._main.post(partial(self._fail, error))
                return
            spent = 1000 * (time.perf_counter() - begin)
            heat = answered.heat
            self._overlay.answer(
                request,
                serial=self._serial,
                revision=view.revision,
                cell=cell,
                box=heat.box,
                rect=answered.rect,
                milliseconds=spent,
                rgba=heat.rgba.tobytes(),
            )
            self._main.post(partial(self._settle, answered))

        dropped = partial(self._overlay.supersede, request) if request else None
        self._worker.submit(Urgency.REQUEST, job, dropped)

    def _is_computed(self, layer: str | None, shape: tuple[int | None, ...]) -> bool:
        try:
            known = self.rf.input_shape
        except ReceptiveFieldError:
            return False
        return layer in (None, self.rf.output_layer) and shape == (known.h, known.w, known.c)

    def _make_view(self, revision: int, wanted: Any, style: Style) -> View:
        shape, output = self.rf.input_shape, self.rf.output_shape
        pixels = wanted
        if isinstance(wanted, str):
            pixels = get_default_image(ImageShape(shape.w, shape.h, 1 if shape.c == 1 else 3), name=wanted)
            if shape.c > 3:
                pixels = pixels[:, :, np.arange(shape.c) % 3]
        values = as_model_input(pixels, shape)
        if self._preprocess is not None:
            values = as_model_input(self._preprocess(values.copy()), shape)
        grid = Size(output.w, output.h)
        picture = as_picture(pixels)
        return View(revision, self.rf.field, shape, grid, output.c, self.rf.output_layer, values, picture, style)

    # What is shown; on the main thread -------------------------------------------------------------------------------

    def _adopt(self, view: View, features: npt.NDArray[np.uint8]) -> None:
        if view.revision != self._revision:
            return
        before, self._view, self._answer = self._view, view, None
        centre = None
        if before is not None and self.selected is not None:
            centre = before.field.rect(self.selected).center
        cell = nearest_cell(view, centre)
        if before is None and self.selected is not None:
            cell = GridPoint(min(self.selected.x, int(view.grid.w) - 1), min(self.selected.y, int(view.grid.h) - 1))
        self._show_scene()
        self._tell(
            grid=[int(view.grid.w), int(view.grid.h)],
            field=view.field.to_json(),
            revision=view.revision,
            selected=list(cell),
            layer=view.layer,
            feature_map={"size": [int(view.grid.w), int(view.grid.h)], "rgba": features.tobytes()},
            label=f"Receptive fields of layer {view.layer}",
            state="ready",
            status="",
            progress=-1.0,
            error=None,
        )
        self._from_browser = True
        try:
            self.output_layer = view.layer
            self.selected = cell
        finally:
            self._from_browser = False
        self._ask(view, cell)

    def _settle(self, answered: Answer) -> None:
        if self._view is None or answered.view.revision != self._view.revision:
            return
        self._answer = answered
        if self._worker.idle:
            self._overlay.selected = list(answered.cell)
        if self._overlay.state == "error":
            self._tell(state="ready", error=None)
        self._still.renew()

    def _fail(self, error: Exception) -> None:
        message, details = _explain(error)
        self._tell(state="error", progress=-1.0, status="", error={"message": message, "details": details})

    def _tell(self, **state: Any) -> None:
        """Set traits of the overlay, in one message."""
        with self._overlay.hold_sync():
            for name, value in state.items():
                setattr(self._overlay, name, value)

    def _style(self) -> Style:
        return Style(self.channel, self.colormap, self.signed)

    def _scene(self) -> Scene:
        view = self._view
        if view is not None:
            return build_scene(
                view.picture,
                view.input_shape,
                view.field,
                view.grid,
                dots=self.show_dots,
                rectangles=self.show_rectangles,
                naive=self.show_naive,
            )
        shape = _grid_shape(self._input_shape)
        pixels = self.image
        if isinstance(pixels, str):
            pixels = get_default_image(ImageShape(shape.w, shape.h), name=pixels)
        return build_scene(as_picture(pixels), shape)

    def _show_scene(self) -> None:
        scene = self._scene()
        layout = scene.layout
        self._canvas.show(scene)
        self._tell(
            image_size=[int(layout.image.w), int(layout.image.h)], scale=layout.scale, margin=list(layout.margin)
        )

    def _ipython_display_(self, **_: Any) -> None:
        """Two outputs: the live view, and the picture that is left when there is no kernel."""
        display({**self._repr_mimebundle_(), "text/plain": ""}, raw=True)
        self._still.show()

    def _png(self) -> bytes:
        """What the widget shows, as a PNG file."""
        scene, answered = self._scene(), self._answer
        if answered is None or not self.show_heat:
            return png_bytes(paint(scene))
        rect = scene.layout.place(finite_rect(answered.rect, answered.view.input_shape))
        return png_bytes(paint(scene, answered.heat, rect, self.heat_opacity))


def _estimator(model: Any, init_weights: bool) -> ReceptiveField:
    if isinstance(model, ReceptiveField):
        return model
    from rfwidget.keras import KerasReceptiveField

    estimator: ReceptiveField = KerasReceptiveField(model, init_weights=init_weights)
    return estimator


def _image_shape(input_shape: Any, image: Any, rf: ReceptiveField) -> tuple[int, ...]:
    """The wanted model input ``(h, w, c)``."""
    height, width, channels = rf.default_input_shape()
    if input_shape is not None:
        if isinstance(input_shape, ImageShape):
            input_shape = (input_shape.h, input_shape.w, input_shape.c)
        given = tuple(input_shape)
        if len(given) != 3:
            raise ReceptiveFieldError(f"input_shape is {input_shape!r}: expected (height, width, channels)")
        defaults = (height, width, channels)
        return tuple(int(default if side is None else side) for side, default in zip(given, defaults, strict=True))
    if image is not None and not isinstance(image, str):
        return (*as_array(image).shape[:2], channels)
    return (height, width, channels)


def _grid_shape(shape: tuple[int, ...]) -> GridShape:
    return GridShape(None, shape[1], shape[0], shape[2])


def _explain(error: Exception) -> tuple[str, str]:
    """Plain words for the read-out, and the traceback behind them."""
    words = str(error) if isinstance(error, ReceptiveFieldError) else f"{type(error).__name__}: {error}"
    return words, "".join(traceback.format_exception(error))
