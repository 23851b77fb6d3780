"""What is wanted of the kernel, what is computed, and what is there before anybody asks.

The engine fulfils view requests and answers cells on a thread of its own; what nobody waits for is done there too, as
background tasks: the maps that pages are to hold, all layers, effective receptive fields. Heat maps go to the
browser straight from that thread; everything that ends in a trait goes through `MainThread` to the listener.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rfwidget._progress import Progress
from rfwidget.errors import ReceptiveFieldError
from rfwidget.estimator import ReceptiveField
from rfwidget.image import as_picture
from rfwidget.network import Patch
from rfwidget.survey import Survey
from rfwidget.types import GridPoint, GridShape, ImageShape, Rect, Size
from rfwidget.widget.heat import Levels, colour_feature_map, levels_of, value_range
from rfwidget.widget.notebook import cell_runs
from rfwidget.widget.overlay import Hint, Overlay, Request
from rfwidget.widget.photograph import ShownImage, SignalImage, VolumeImage, sample_inputs
from rfwidget.widget.resident import Plan, Residents, plan
from rfwidget.widget.scene import contours_to_json
from rfwidget.widget.sections import cut_levels, cut_through, layer_of_cells
from rfwidget.widget.view import View, heat_patches, nearest_cell
from rfwidget.widget.worker import Cancelled, Check, IdleTasks, MainThread, Urgency, Worker

Preprocess = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

T = TypeVar("T")

_PROGRESS_INTERVAL = 0.1
"""Seconds between two reports of progress."""

_LOOK = 0.1
"""Seconds between two looks at a job that is waited for."""

_MOMENT = 0.03
"""Seconds within which an answer needs no acknowledgement."""

_QUIET, _QUIET_FOR_SLOW = 0.1, 0.6
"""Seconds after a click before maps are made again; longer where one takes longer than a click may wait."""


class Answer(NamedTuple):
    """The response to one cell."""

    view: View
    cell: GridPoint
    rect: Rect
    patch: Patch
    levels: Levels


def answer(rf: ReceptiveField, view: View, cell: GridPoint) -> Answer:
    """Backpropagate from a cell, or follow its attention."""
    (patch,) = heat_patches(rf, view, [cell])
    return Answer(view, cell, view.field.rect(cell), patch, levels_shown(view, cell, patch))


def levels_shown(view: View, cell: GridPoint, patch: Patch) -> Levels:
    """The heat map of a cell as bytes; of a volume, as the sections through the cell show it."""
    if view.axes != 3:
        return levels_of(patch, mass=True)
    size = view.input_shape.size
    return cut_levels(patch, cut_through(view.field, cell, size), view.input_shape, mass=True)


def full_gradient(answered: Answer) -> npt.NDArray[np.float32]:
    """The map over the whole image, ``(h, w, c)``, or the whole volume."""
    patch, shape = answered.patch, answered.view.input_shape
    full = np.zeros((*shape.lengths, patch.values.shape[-1]), np.float32)
    starts = zip(reversed(patch.start), patch.values.shape[:-1], strict=True)
    full[tuple(slice(start, start + length) for start, length in starts)] = patch.values
    return full


class ViewRequest(NamedTuple):
    """What is to be shown.

    Attributes:
        revision: greater than that of every request before.
        layer: name of the output layer; None: the last one with a grid.
        shape: the model's input ``(h, w, c)``, of volumes ``(d, h, w, c)``.
        image: what is looked at.
        channel: of the output whose gradient maps are shown; None: the mean of all.
        bands: of an image of many bands those that are shown as red, green and blue; None: the first three.
        heat: what heat maps show, one of `rfwidget.widget.view.HEAT_MAPS`.
    """

    revision: int
    layer: str | None
    shape: tuple[int, ...]
    image: ShownImage
    channel: int | None
    bands: tuple[int, int, int] | None = None
    heat: str = "gradient"


class Features(NamedTuple):
    """The layer's output on the image: coloured, uint8 RGBA ``(h, w, 4)``, with its lowest and highest value."""

    rgba: npt.NDArray[np.uint8]
    low: float
    high: float


class Listener(Protocol):
    """Told of results, on the main thread."""

    def on_progress(self, fraction: float, words: str) -> None:
        """A measurement has come so far."""

    def on_view(self, view: View, features: Features, remark: str) -> None:
        """A view request has been fulfilled; with the feature map, and a remark on the layer that was chosen."""

    def on_layers(self, layers: Mapping[str, Size]) -> None:
        """The layers that can be chosen, with their grids."""

    def on_answer(self, answered: Answer) -> None:
        """A cell has been answered."""

    def on_failure(self, message: str, details: str) -> None:
        """A view request or a cell has failed: in words for the user, and with the traceback."""

    def on_survey(self, survey: Survey) -> None:
        """All layers have been measured, at this image size."""

    def on_contours(self, view: View, contours: dict[str, Any]) -> None:
        """The effective receptive field of a view's layer has been outlined."""

    def on_attentions(self, view: View, there: bool) -> None:
        """Whether there is attention on the way to a view's layer."""

    def on_channels(self, view: View, channels: list[int], sheet: npt.NDArray[np.uint8]) -> None:
        """Pictures of the strongest channels, RGBA below each other."""

    def on_plan(self, view: View, plan: Plan) -> None:
        """Fewer maps of a view are held than was planned."""

    def on_weights(self, view: View) -> None:
        """The weights are others than when the maps of a view were made."""

    def on_background(self, words: str) -> None:
        """What is being computed while nobody waits, or why it could not be; empty: nothing."""


class Engine:
    """Fulfils view requests and answers cells, the newest of each kind only.

    Args:
        rf: the estimator.
        input_layer: name of the image input; None: the model's first.
        preprocess: from the shown image to the model's input; None: as it is.
        overlay: where heat maps are sent.
        main: where the listener is told.
        listener: told of results.
    """

    def __init__(
        self,
        rf: ReceptiveField,
        input_layer: str | None,
        preprocess: Preprocess | None,
        overlay: Overlay,
        main: MainThread,
        listener: Listener,
    ) -> None:
        self._rf = rf
        self._input_layer = input_layer
        self._preprocess = preprocess
        self._overlay = overlay
        self._main = main
        self._listener = listener
        self._serial = 0
        self._survey: Survey | None = None
        self._pausing = threading.Lock()
        self._paused = False  # pages have been told that a cell runs
        self.worker = Worker(name="rfwidget", ended=rf.release)
        self._residents = Residents(rf, self._send_maps, self._replan, self._weights_changed)
        self.background = BackgroundTasks(self, rf, self._residents, main, listener)

    def show(self, request: ViewRequest) -> None:
        """Measure the wanted layer and prepare the wanted image; an older request under way is given up."""
        self.worker.submit(Urgency.SETUP, partial(self._show, request))

    def ask(self, view: View, cell: GridPoint) -> None:
        """Have a cell answered of our own accord; all pages show the answer."""
        self.worker.submit(Urgency.REQUEST, partial(self._answer, view, cell, None))

    def ask_for(self, request: Request, view: View) -> None:
        """Have the cell answered that a page has asked for; all pages show the answer.

        Gives the worker a moment before it returns: an answer that comes at once then needs neither an acknowledgement
        before it nor to share the interpreter with the end of the message handler.
        """
        prompt = self.worker.settled
        dropped = partial(self._overlay.supersede, request)
        over = self.worker.submit(Urgency.REQUEST, partial(self._answer, view, request.cell, request), dropped)
        if not (prompt and over.wait(_MOMENT)):
            self._overlay.acknowledge(request)

    def hold(self, view: View | None, budget: float) -> Plan:
        """Have pages hold the maps of a view, as many as a budget of bytes has room for; None: of none.

        They are made once a page tells where its pointer is.
        """
        planned = Plan(0) if view is None else plan(view, budget)
        self._residents.show(view, planned)
        return planned

    def hint(self, hint: Hint) -> None:
        """A page tells where its pointer is."""
        if not self._residents.hint(hint):
            return
        with self._pausing:
            self._paused = paused = cell_runs()
            if paused:  # all that a page says takes from the cell
                self._overlay.pause(on=True)
        if not paused:
            self.background.maps()

    def cell_ended(self) -> None:
        """A cell of the notebook has run: the weights may be others by now, and maps that were missing can be made."""
        with self._pausing:
            paused, self._paused = self._paused, False
            if paused:
                self._overlay.pause(on=False)
        if self._residents.recheck() or paused:
            self.background.maps()

    def prepare(self, pixels: npt.NDArray[Any], shape: GridShape) -> npt.NDArray[np.float32]:
        """The model's input for the pixels of an image."""
        return self._rf.model_input(pixels, shape, self._preprocess)

    def contours(self, rf: ReceptiveField, view: View, progress: Progress) -> dict[str, Any]:
        """Outlines of the effective receptive field of a view's layer: central cells, the shown image and the samples.

        The mean over cells and images is what the effective field is; it is drawn at any cell, for it moves with them.
        Belongs on the worker's thread.

        Args:
            rf: an estimator of the layer.
            view: of the layer.
            progress: told how far the work has come.
        """
        shape = view.input_shape
        samples = (self.prepare(pixels, shape) for pixels in sample_inputs(shape, view.axes))
        return contours_to_json(rf.effective([view.image, *samples], channel=view.channel, progress=progress))

    def perform(self, job: Callable[[Check], T]) -> T:
        """Do a job on the worker's thread, where all calls of the framework belong, and wait for it.

        An interrupt of the waiting ends the job as well.

        Args:
            job: called with a `Check`, to be called now and then: it ends the job if nobody waits any more.

        Returns:
            What the job returns; an exception of the job is raised here.

        Raises:
            ReceptiveFieldError: if the widget has been closed.
        """
        outcome: Future[T] = Future()
        given_up = threading.Event()

        def check() -> None:
            if given_up.is_set():
                raise Cancelled
            self.worker.check()

        def run() -> None:
            try:
                check()
                outcome.set_result(job(check))
            except BaseException as error:
                outcome.set_exception(error)

        over = self.worker.submit(Urgency.TASK, run)
        try:
            while not over.wait(_LOOK):  # a wait without an end cannot be interrupted everywhere
                pass
        except BaseException:
            given_up.set()
            raise
        if not outcome.done():
            raise ReceptiveFieldError("the widget has been closed: make a new one")
        return outcome.result()

    def aside(self, job: Callable[[Check], None], failed: Callable[[str, str], None]) -> None:
        """Do a job on the worker's thread without waiting; tell on the main thread why it failed, if it does."""

        def run() -> None:
            try:
                job(self.worker.check)
            except Cancelled:
                raise
            except BaseException as error:
                self._main.post(partial(failed, *explain(error)))

        self.worker.submit(Urgency.TASK, run)

    def channels(self, view: View) -> None:
        """Have pictures of the strongest channels of a view made."""
        self.aside(lambda check: self._channels(view, check), lambda words, _: self._listener.on_background(words))

    def _channels(self, view: View, check: Check) -> None:
        check()
        numbers, sheet = channel_sheet(self._rf.network.feature_map(view.image))
        self._main.post(partial(self._listener.on_channels, view, numbers, sheet))

    def survey(self, shape: GridShape, progress: Progress) -> Survey:
        """All layers at an image size; what is known is not measured again. Belongs on the worker's thread."""
        known = self._survey
        if known is None or known.input_shape[1:] != shape[1:]:
            known = self._survey = self._rf.survey(named_shape(shape), self._input_layer, progress=progress)
        return known

    def _show(self, request: ViewRequest) -> None:
        try:
            remark, report = "", _paced(self.worker.check, self._tell_progress)
            if not self._is_measured(request):
                self._measure(request, request.layer, report)
                if request.layer is None:
                    remark = self._step_back(request, report)
            view, fallback = self._with_heat_map(self._view(request))
            remark = "; ".join(filter(None, (remark, fallback)))
            values = self._rf.feature_map(view.image, request.channel)
            features = Features(colour_feature_map(values), *value_range(values))
        except Cancelled:
            raise
        except BaseException as error:  # SystemExit too: nobody else would hear of it on this thread
            self._main.post(partial(self._listener.on_failure, *explain(error)))
            self._offer_layers(request)
        else:
            self._main.post(partial(self._listener.on_view, view, features, remark))

    def _offer_layers(self, request: ViewRequest) -> None:
        """After a layer that is none: tell which there are, if that is not known yet."""
        if request.layer is None:
            return
        try:
            self._measure(request._replace(layer=None), None, lambda *_: self.worker.check())
        except Cancelled:
            raise
        except Exception:
            return  # what went wrong has been told already
        self._main.post(partial(self._listener.on_layers, self._rf.layers))

    def _measure(self, request: ViewRequest, layer: str | None, progress: Progress) -> None:
        shape = GridShape.of(request.shape[:-1], request.shape[-1])
        self._rf.compute(named_shape(shape), self._input_layer, layer, progress=progress)

    def _step_back(self, request: ViewRequest, progress: Progress) -> str:
        """Measure the last layer whose field fits the image, if that of the last one does not; why, in words."""
        shape, last = self._rf.input_shape, self._rf.output_layer
        if _fits(self._rf.field.description.size, shape):
            return ""
        try:
            survey = self.survey(shape, progress)
        except Cancelled:
            raise
        except Exception:
            return ""  # the layer that has been measured is shown; why others cannot be is said in the strip's place
        fitting = [row.name for row in survey if not row.note and _fits(row.size, shape)]
        if not fitting or fitting[-1] == last:
            return ""
        self._measure(request, fitting[-1], progress)
        return f"the last layer whose field fits the image; those behind it, up to {last}, are in the strip below"

    def _with_heat_map(self, view: View) -> tuple[View, str]:
        """The view with gradient maps where its layer has none of those that are wanted; why, in words."""
        if view.heat == "gradient":
            return view, ""
        try:
            heat_patches(self._rf, view, [nearest_cell(view, None)])
        except Cancelled:
            raise
        except Exception as error:
            return view._replace(heat="gradient"), f"gradient map, not {view.heat}: {explain(error)[0]}"
        return view, ""

    def _answer(self, view: View, cell: GridPoint, request: Request | None) -> None:
        begin = time.perf_counter()
        self._serial += 1
        try:
            answered = answer(self._rf, view, cell)
        except BaseException as error:
            message, details = explain(error)
            self._overlay.fail(request, serial=self._serial, revision=view.revision, message=message, details=details)
            self._main.post(partial(self._listener.on_failure, message, details))
            return
        self._overlay.answer(
            request,
            serial=self._serial,
            revision=view.revision,
            cell=cell,
            rect=answered.rect,
            milliseconds=1000 * (time.perf_counter() - begin),
            levels=answered.levels,
        )
        self._residents.keep(view, cell, answered.levels, asked_for=request is not None)
        self._main.post(partial(self._listener.on_answer, answered))

    def _send_maps(self, view: View, maps: Sequence[tuple[GridPoint, Levels]]) -> None:
        self._overlay.send_maps(view.revision, maps)

    def _replan(self, view: View, plan: Plan) -> None:
        self._main.post(partial(self._listener.on_plan, view, plan))

    def _weights_changed(self, view: View) -> None:
        self._main.post(partial(self._listener.on_weights, view))

    def _tell_progress(self, fraction: float, words: str) -> None:
        self._main.post(partial(self._listener.on_progress, fraction, words))

    def _is_measured(self, request: ViewRequest) -> bool:
        """Whether the estimator's last result is the wanted one already."""
        try:
            known = self._rf.input_shape
        except ReceptiveFieldError:
            return False
        return request.layer in (None, self._rf.output_layer) and request.shape == (*known.lengths, known.c)

    def _view(self, request: ViewRequest) -> View:
        rf, shape = self._rf, self._rf.input_shape
        shown = request.image.fitted(shape)
        model_input = self.prepare(shown.pixels, shape)
        signal, volume = isinstance(request.image, SignalImage), isinstance(request.image, VolumeImage)
        pixels = shown.pixels if request.bands is None else shown.pixels[:, :, list(request.bands)]
        if volume:  # the planes one below the other are a picture like any other
            own = as_picture(pixels.reshape(-1, *pixels.shape[2:])).reshape(*pixels.shape[:3], 3)
        else:
            own = shown.photo if signal and shown.photo is not None else as_picture(pixels)
        prepared = signal or volume or self._preprocess is not None
        return View(
            revision=request.revision,
            field=rf.field,
            input_shape=shape,
            grid=rf.output_shape.size,
            channels=rf.channels,
            layer=rf.output_layer,
            image=model_input,
            picture=own,
            channel=request.channel,
            photo=shown.photo,
            said=f"{shown.said}; {values_in_words(model_input, prepared=prepared)}",
            axes=1 if signal else 3 if volume else 2,
            heat=request.heat,
        )


class BackgroundTasks:
    """What is computed while nobody waits: the maps that pages are to hold, all layers, effective receptive fields.

    No click is ever kept waiting for more than one step of these tasks.

    Args:
        engine: computes outlines, and lends its worker.
        rf: the estimator.
        residents: makes the maps.
        main: where the listener is told.
        listener: told of results.
    """

    def __init__(
        self,
        engine: Engine,
        rf: ReceptiveField,
        residents: Residents,
        main: MainThread,
        listener: Listener,
    ) -> None:
        self._contours = engine.contours
        self._all_layers = engine.survey
        self._rf = rf
        self._residents = residents
        self._main = main
        self._listener = listener
        self._tasks = IdleTasks(engine.worker)

    def maps(self) -> None:
        """Make maps, before the other tasks and in turns with them."""
        self._tasks.want("maps", self._residents.produce, first=True, quiet=self._quiet)

    def _quiet(self) -> float:
        return _QUIET_FOR_SLOW if self._residents.slow else _QUIET

    def survey(self, view: View) -> None:
        """Measure all layers at the size of a view's image."""
        self._tasks.want("layers", partial(self._survey, view))

    def outline(self, view: View) -> None:
        """Outline the effective receptive field of a view's layer, as `Engine.contours`."""
        self._tasks.want("effective", partial(self._outline, view))

    def attentions(self, view: View) -> None:
        """See whether there is attention on the way to a view's layer."""
        self._tasks.want("attention", partial(self._attentions, view))

    def drop_outline(self) -> None:
        """Give up outlining."""
        self._tasks.forget("effective")
        self._tell("")

    def _survey(self, view: View, check: Check) -> None:
        with self._telling("all layers", check) as report:
            survey = self._all_layers(view.input_shape, report)
            self._main.post(partial(self._listener.on_survey, survey))

    def _outline(self, view: View, check: Check) -> None:
        with self._telling("effective receptive field", check) as report:
            contours = self._contours(self._rf, view, report)
            self._main.post(partial(self._listener.on_contours, view, contours))

    def _attentions(self, view: View, check: Check) -> None:
        check()
        try:
            there = bool(self._rf.attentions)
        except ReceptiveFieldError:
            there = False
        self._main.post(partial(self._listener.on_attentions, view, there))

    @contextmanager
    def _telling(self, title: str, check: Check) -> Iterator[Callable[[float, str], None]]:
        """Tells how far a task has come, and why it failed: its errors disturb nothing else."""
        report = _paced(check, lambda fraction, _: self._tell(f"{title}: {fraction:.0%}"))
        try:
            yield report
        except Cancelled:
            self._tell("")
            raise
        except BaseException as error:
            self._tell(f"{title}: {explain(error)[0]}")
        else:
            self._tell("")

    def _tell(self, words: str) -> None:
        self._main.post(partial(self._listener.on_background, words))


_MOST_CHANNELS = 40
"""Channels on the sheet."""

_THUMBNAIL = 48
"""Longer side of a picture on the sheet of channels, in pixels."""


def channel_sheet(values: npt.NDArray[np.float32]) -> tuple[list[int], npt.NDArray[np.uint8]]:
    """The strongest channels of a feature map ``(h, w, c)`` by their mean magnitude, and pictures of them in a column.

    Of a volume's map ``(d, h, w, c)`` the central plane counts.

    >>> numbers, sheet = channel_sheet(np.array([[[1, 0, -3]]], np.float32))
    >>> numbers, sheet.shape
    ([2, 0, 1], (3, 1, 4))
    """
    if values.ndim == 4:
        values = layer_of_cells(values, None)
    strength = np.abs(np.nan_to_num(values)).mean(axis=(0, 1))
    numbers = [int(number) for number in np.argsort(-strength, kind="stable")[:_MOST_CHANNELS]]
    every = max(1, math.ceil(max(values.shape[:2]) / _THUMBNAIL))
    return numbers, np.concatenate([colour_feature_map(values[::every, ::every, number]) for number in numbers])


def named_shape(shape: GridShape) -> GridShape | ImageShape:
    """The shape of an input by names: frameworks differ in the order."""
    return ImageShape(shape.w, shape.h, shape.c) if len(shape.size) == 2 else shape._replace(n=None)


def values_in_words(image: npt.NDArray[np.float32], *, prepared: bool) -> str:
    """The range of the values that go into a model; one that many models do not expect is pointed out.

    Args:
        image: the model's input.
        prepared: whether a ``preprocess`` of the user's has made it.
    """
    low, high = float(image.min()), float(image.max())
    words = f"values {low:.3g} to {high:.3g}"
    if high > 2 and not prepared:
        words += " \u2013 does the model scale them?"
    return words


def _fits(size: Size, image: GridShape) -> bool:
    """Whether a field is no larger than the image."""
    return all(length <= side for length, side in zip(size, image.size, strict=False))  # of a signal there is w alone


def _paced(check: Check, tell: Progress) -> Progress:
    """A report of progress that ends the work if it is not wanted any more, and tells of it now and then."""
    last = -_PROGRESS_INTERVAL

    def report(fraction: float, words: str) -> None:
        nonlocal last
        check()
        now = time.monotonic()
        if now - last >= _PROGRESS_INTERVAL:
            last = now
            tell(fraction, words)

    return report


def explain(error: BaseException) -> tuple[str, str]:
    """Words for the read-out, and the traceback behind them."""
    words = str(error) if isinstance(error, ReceptiveFieldError) else f"{type(error).__name__}: {error}"
    return words, "".join(traceback.format_exception(error))
