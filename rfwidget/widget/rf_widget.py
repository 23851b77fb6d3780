"""RFWidget: receptive fields live on an image in a notebook.

This module wires the parts; the public traits stand in its base classes (`settings`, `questions`), and so does what
leaves the widget (`exports`). Trait observers and message handlers only note what is wanted; the engine does the work,
and tells this class on the main thread what has come of it.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
from IPython.display import display
from ipywidgets import Box, VBox, Widget

from rfwidget import checks
from rfwidget.base import ReceptiveField
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.image import as_array, as_input_shape, get_default_images
from rfwidget.plotting import finite_rect
from rfwidget.types import GridPoint, ReceptiveFieldDescription
from rfwidget.widget.canvas import HEAT, SceneCanvas
from rfwidget.widget.controls import Controls
from rfwidget.widget.engine import Engine, Preprocess, Wish
from rfwidget.widget.exports import Exports
from rfwidget.widget.main_thread import Lull, MainThread
from rfwidget.widget.overlay import Overlay, Request
from rfwidget.widget.still import Still
from rfwidget.widget.study import Study
from rfwidget.widget.view import Answer, Style, View, full_gradient, nearest_cell

_SETTLED = 0.3
"""Seconds after the last click or step of a drag after which pages yet to come are told of the selected cell."""


class RFWidget(Exports, VBox):  # type: ignore[misc]
    """Shows what each cell of a convolutional network sees, live on an image.

    Move the mouse over the image to see receptive fields; click a cell, or drag, to backpropagate from it. The arrow
    keys move the selected cell. Measuring runs beside the notebook; errors appear inside the widget.

    Click with Shift, or draw a box with Shift, to mark the cells that see the pixel or all of the box; Escape ends
    that. The switch "who sees it?" does without Shift. The bars below the image are all layers: press one, or move with
    the arrow keys, to look at it.

    Args:
        model: a function of ``input_shape`` that builds a Keras model, a built model, or any `ReceptiveField`.
        input_shape: ``(height, width, channels)`` of the model's input; None: the image's, the model's own, or 96x96x3.
        input_layer: name of the image input; None: the model's first.
        output_layer: name of the layer to look at; None: the last one with a 2-D grid.
        image: array ``(height, width, channels)``, or the name of a sample image; None: the sample photograph.
        init_weights: use constant positive weights for the gradient maps as well.
        preprocess: called with the float32 image ``(height, width, channels)`` before it goes into the model.
        **view: any of the other traits, such as ``selected=(8, 8)`` or ``show_dots=False``.

    Raises:
        ReceptiveFieldError: if an argument cannot be used.

    Example::

        RFWidget(build_model)
    """

    def __init__(
        self,
        model: Any,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        output_layer: str | None = None,
        image: Any = None,
        init_weights: bool = False,
        preprocess: Preprocess | None = None,
        **view: Any,
    ) -> None:
        checks.function("preprocess", preprocess, "the image")
        checks.layer_name("input_layer", input_layer)
        for name in set(view).difference(self._VIEW):
            raise ReceptiveFieldError(f"RFWidget has no {name!r}{suggest(name, self._VIEW)}; see help(RFWidget)")
        self.rf = _estimator(model, init_weights)
        self._fixed_shape = input_shape is not None
        self._shape = _wanted_shape(input_shape, image, self.rf)
        self._revision = 0
        self._view: View | None = None
        self._answer: Answer | None = None
        self._follow_only = False
        self._main = MainThread()
        self._canvas = SceneCanvas()
        self._overlay = Overlay(canvas=self._canvas.widget.model_id, heat_layer=HEAT)
        self._overlay.on_message(Request, self._on_request)
        self._engine = Engine(self.rf, input_layer, preprocess, self._overlay, self._main, self)
        self._study = Study(
            self.rf, input_layer, self._engine.prepare, self._engine.worker, self._main, self, self._engine.ahead
        )
        self._still = Still(self._picture, self._main)
        self._lull = Lull(self._main, _SETTLED, self._tell_selected)
        stage = Box([self._canvas.widget, self._overlay])
        stage.add_class("rfwidget-stage")
        try:
            super().__init__(
                output_layer=output_layer, image=get_default_images()[0] if image is None else image, **view
            )
        except Exception:  # a trait is refused: nobody else knows the parts
            _close_tree(stage)
            raise
        self.add_class("rfwidget")
        self._controls = Controls(self, save=self._download, copy=self._copy)
        self.children = [stage, self._controls]
        self.observe(self._on_layer, "output_layer")
        self.observe(self._on_image, "image")
        self.observe(self._on_selected, "selected")
        self.observe(self._on_style, ["channel", "colormap", "signed"])
        self.observe(self._on_scene, ["show_dots", "show_rectangles", "show_naive"])
        self.observe(self._on_heat, ["show_heat", "heat_opacity"])
        self._overlay.set(show_heat=self.show_heat, heat_opacity=self.heat_opacity)
        self._take_questions()
        weakref.finalize(self, self._engine.worker.stop)
        self._show_scene()
        self._wish()

    @property
    def rf_params(self) -> ReceptiveFieldDescription | None:
        """Offset, stride and size of the shown layer's receptive fields; None until it has been measured."""
        self._main.drain()
        return None if self._view is None else self._view.field.description

    @property
    def gradient(self) -> npt.NDArray[np.float32] | None:
        """Gradient map of the selected cell, ``(height, width, channels)``; None if there is none yet."""
        self._main.drain()
        answered = self._shown_answer
        return None if answered is None else full_gradient(answered)

    @property
    def model_input_shape(self) -> tuple[int, ...]:
        """Wanted shape of the model's input, ``(height, width, channels)``."""
        return self._shape

    def wait(self, timeout: float = 60.0, *, background: bool = False) -> bool:
        """Block until the shown layer is measured and the selected cell answered; for scripts and tests.

        Args:
            timeout: seconds to wait at most.
            background: wait also for what nobody is kept waiting for: the strip of layers, the effective field.

        Returns:
            Whether all work was done in time; a failure counts as done and stands in the read-out.
        """
        end, worker = time.monotonic() + checks.seconds("timeout", timeout), self._engine.worker
        wait = worker.wait_idle if background else worker.wait_settled
        while True:
            done = wait(max(0.0, end - time.monotonic()))
            self._main.drain()
            if done and (worker.idle if background else worker.settled):
                return True
            if time.monotonic() >= end:
                return False

    def close(self) -> None:
        """Stop all work and free everything in the browser."""
        if "_engine" in self.__dict__:  # ipywidgets also closes what a refused constructor leaves behind
            self.unobserve_all()  # the traits of a closed widget may still be set; nothing is to follow them
            self._engine.worker.stop()
            self._canvas.close()
            _close_parts(self)
        super().close()

    # What is wanted: checks and observers of the traits, and requests from the browser --------------------------------

    def _on_layer(self, _: dict[str, Any]) -> None:
        if not self._follow_only:  # also back to the layer on show: another one may be under way
            self._wish()

    def _on_image(self, change: dict[str, Any]) -> None:
        if change["new"] is None:  # as in the constructor; traitlets does not ask validators about None
            self.image = get_default_images()[0]
            return
        if not isinstance(change["new"], str):
            self._shape = (*change["new"].shape[:2], self._shape[2])
        self._wish()

    def _on_style(self, _: dict[str, Any]) -> None:
        self._wish()

    def _on_scene(self, _: dict[str, Any]) -> None:
        self._show_scene()
        self._still.renew()

    def _on_heat(self, change: dict[str, Any]) -> None:
        self._overlay.set(**{change["name"]: change["new"]})
        self._still.renew()

    def _on_selected(self, change: dict[str, Any]) -> None:
        cell = change["new"]
        if self._follow_only or self._view is None:
            return
        self._overlay.set(selected=None if cell is None else list(cell))
        if cell is not None:
            self._engine.ask(self._view, cell)

    def _on_request(self, request: Request) -> None:
        """A page asks for a cell; runs in a message handler."""
        view, (x, y) = self._view, request.cell
        if view is None or request.revision != view.revision or x >= view.grid.w or y >= view.grid.h:
            self._overlay.supersede(request)
            return
        self._engine.ask_for(request, view)
        self._follow(selected=request.cell)
        self._lull.stir()

    def _wish(self) -> None:
        """Have the present traits shown."""
        self._revision += 1
        self._overlay.set(state="busy", status="preparing", progress=0.0, error=None)
        style = Style(self.channel, self.colormap, self.signed)
        self._engine.fulfil(Wish(self._revision, self.output_layer, self._shape, self.image, style))

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

    # What has come of it; the engine's listener, on the main thread ---------------------------------------------------

    def on_progress(self, fraction: float, words: str) -> None:
        """Show how far a measurement has come."""
        if self._overlay.state == "busy":
            self._overlay.set(progress=fraction, status=words)

    def on_view(self, view: View, features: npt.NDArray[np.uint8]) -> None:
        """Show another layer, image or style; the selection stays where it was on the image."""
        if view.revision != self._revision:
            return
        before, self._view, self._answer = self._view, view, None
        if self.selected is None:
            cell = nearest_cell(view, None) if before is None else None
        elif before is None:
            cell = GridPoint(min(self.selected.x, int(view.grid.w) - 1), min(self.selected.y, int(view.grid.h) - 1))
        else:
            cell = nearest_cell(view, finite_rect(before.field.rect(self.selected), before.input_shape).center)
        self._show_scene()
        size = [int(view.grid.w), int(view.grid.h)]
        self._overlay.set(
            grid=size,
            field=view.field.to_json(),
            revision=view.revision,
            selected=None if cell is None else list(cell),
            layer=view.layer,
            feature_map={"size": size, "rgba": features.tobytes()} if view.few_cells else None,
            label=f"Receptive fields of layer {view.layer}",
            state="ready",
            status="" if view.few_cells else f"the feature map of {size[0]} x {size[1]} cells is too large to be shown",
            progress=-1.0,
            error=None,
        )
        self._controls.show_layers(self.rf.layers, view.channels)
        self._question(view)
        if cell is not None:
            self._engine.ask(view, cell)
        self._follow(output_layer=view.layer, selected=cell)  # last: observers of the user's may raise

    def on_answer(self, answered: Answer) -> None:
        """Keep the newest gradient map."""
        if self._view is None or answered.view.revision != self._view.revision:
            return
        self._answer = answered
        self._study.look_ahead(answered)
        if self._overlay.state == "error":
            self._overlay.set(state="ready", error=None)
        self._still.renew()

    def on_failure(self, message: str, details: str) -> None:
        """Show what went wrong; what was shown before stays usable."""
        self._overlay.set(state="error", progress=-1.0, status="", error={"message": message, "details": details})

    # What is shown ----------------------------------------------------------------------------------------------------

    def _show_scene(self) -> None:
        scene = self._scene()
        size, layout = scene.layout.image, scene.layout
        self._canvas.show(scene)
        self._overlay.set(image_size=[int(size.w), int(size.h)], scale=layout.scale, margin=list(layout.margin))

    def _ipython_display_(self, **_: Any) -> None:
        """Two outputs: the live view, and the picture that is left when there is no kernel."""
        display({**self._repr_mimebundle_(), "text/plain": ""}, raw=True)
        self._still.show()

    def _tell_selected(self) -> None:
        """Pages on show know the cell from its answer; this is for a page that is loaded later."""
        if self.selected is not None:
            self._overlay.set(selected=list(self.selected))


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


def _estimator(model: Any, init_weights: bool) -> ReceptiveField:
    if isinstance(model, ReceptiveField):
        return model
    from rfwidget.keras import KerasReceptiveField

    return KerasReceptiveField(model, init_weights=init_weights)


def _wanted_shape(input_shape: Any, image: Any, rf: ReceptiveField) -> tuple[int, ...]:
    """The model's input ``(h, w, c)`` that the arguments ask for."""
    own = rf.default_input_shape()
    if input_shape is None:
        return own if image is None or isinstance(image, str) else (*as_array(image).shape[:2], own[2])
    given = as_input_shape(input_shape)
    return tuple(default if side is None else side for side, default in zip(given, own, strict=True))
