"""The kernel side's work: measuring a layer, answering cells, on a thread of its own.

Heat maps go to the browser straight from that thread; everything that ends in a trait goes through `MainThread`.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rfwidget.errors import ReceptiveFieldError
from rfwidget.estimator import ReceptiveField
from rfwidget.image import as_model_input, as_picture, default_input
from rfwidget.types import GridPoint, GridShape, Size
from rfwidget.widget.ahead import Ahead
from rfwidget.widget.heat import colour_feature_map
from rfwidget.widget.main_thread import MainThread
from rfwidget.widget.overlay import Overlay, Request
from rfwidget.widget.view import Answer, Style, View, answer
from rfwidget.widget.worker import Cancelled, Urgency, Worker

Preprocess = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

T = TypeVar("T")

_PROGRESS_INTERVAL = 0.1
"""Seconds between two reports of progress."""

_MOMENT = 0.03
"""Seconds within which an answer needs no acknowledgement."""


class Wish(NamedTuple):
    """What is to be shown.

    Attributes:
        revision: greater than that of every wish before.
        layer: name of the output layer; None: the last one with a grid.
        shape: the model's input ``(h, w, c)``.
        image: array ``(h, w, c)`` or name of a sample image.
        style: how gradient maps are computed and coloured.
    """

    revision: int
    layer: str | None
    shape: tuple[int, ...]
    image: Any
    style: Style


class Listener(Protocol):
    """Told of results, on the main thread."""

    def on_progress(self, fraction: float, words: str) -> None:
        """A measurement has come so far."""

    def on_view(self, view: View, features: npt.NDArray[np.uint8]) -> None:
        """A wish has come true; with the coloured feature map."""

    def on_answer(self, answered: Answer) -> None:
        """A cell has been answered."""

    def on_failure(self, message: str, details: str) -> None:
        """A wish or a cell has failed: in plain words, and with the traceback."""


class Engine:
    """Fulfils wishes and answers cells, the newest of each kind only.

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
        self.worker = Worker(name="rfwidget")
        self.ahead = Ahead(rf)

    def fulfil(self, wish: Wish) -> None:
        """Measure the wanted layer and prepare the wanted image; an older wish under way is given up."""
        self.worker.submit(Urgency.SETUP, partial(self._fulfil, wish))

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

    def prepare(self, pixels: npt.NDArray[Any], shape: GridShape) -> npt.NDArray[np.float32]:
        """The model's input for the pixels of an image."""
        values = as_model_input(pixels, shape)
        if self._preprocess is not None:
            values = as_model_input(self._preprocess(values.copy()), shape)
        return values

    def perform(self, job: Callable[[], T]) -> T:
        """Do a job on the worker's thread, where all calls of the framework belong, and wait for it.

        Returns:
            What the job returns; an exception of the job is raised here.

        Raises:
            ReceptiveFieldError: if the widget has been closed.
        """
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(job())
            except BaseException as error:
                outcome.set_exception(error)

        self.worker.submit(Urgency.TASK, run).wait()
        if not outcome.done():
            raise ReceptiveFieldError("the widget has been closed: make a new one")
        return outcome.result()

    def _fulfil(self, wish: Wish) -> None:
        try:
            if not self._is_measured(wish):
                self._rf.compute(wish.shape, self._input_layer, wish.layer, progress=self._reporter())
            view = self._view(wish)
            features = colour_feature_map(self._rf.feature_map(view.image, wish.style.channel))
        except Cancelled:
            raise
        except BaseException as error:  # SystemExit too: nobody else would hear of it on this thread
            self._main.post(partial(self._listener.on_failure, *explain(error)))
        else:
            self._main.post(partial(self._listener.on_view, view, features))

    def _answer(self, view: View, cell: GridPoint, request: Request | None) -> None:
        begin = time.perf_counter()
        self._serial += 1
        try:
            answered = self.ahead.take(view, cell) or answer(self._rf, view, cell)
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
            box=answered.heat.box,
            rect=answered.rect,
            milliseconds=1000 * (time.perf_counter() - begin),
            rgba=answered.heat.rgba.tobytes(),
        )
        self._main.post(partial(self._listener.on_answer, answered))

    def _reporter(self) -> Callable[[float, str], None]:
        last = -_PROGRESS_INTERVAL

        def report(fraction: float, words: str) -> None:
            nonlocal last
            self.worker.check()
            now = time.monotonic()
            if now - last >= _PROGRESS_INTERVAL:
                last = now
                self._main.post(partial(self._listener.on_progress, fraction, words))

        return report

    def _is_measured(self, wish: Wish) -> bool:
        """Whether the estimator's last result is the wanted one already."""
        try:
            known = self._rf.input_shape
        except ReceptiveFieldError:
            return False
        return wish.layer in (None, self._rf.output_layer) and wish.shape == (known.h, known.w, known.c)

    def _view(self, wish: Wish) -> View:
        rf, shape = self._rf, self._rf.input_shape
        pixels = default_input(shape, wish.image) if isinstance(wish.image, str) else wish.image
        return View(
            revision=wish.revision,
            field=rf.field,
            input_shape=shape,
            grid=Size(rf.output_shape.w, rf.output_shape.h),
            channels=rf.channels,
            layer=rf.output_layer,
            image=self.prepare(pixels, shape),
            picture=as_picture(pixels),
            style=wish.style,
        )


def explain(error: BaseException) -> tuple[str, str]:
    """Plain words for the read-out, and the traceback behind them."""
    words = str(error) if isinstance(error, ReceptiveFieldError) else f"{type(error).__name__}: {error}"
    return words, "".join(traceback.format_exception(error))
