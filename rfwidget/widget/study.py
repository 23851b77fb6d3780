"""The slow questions about a network, answered while nobody waits: all layers, and the effective receptive field.

Both are tasks of a `Background`, so that no click is ever kept waiting for more than one of their steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from rfwidget.estimator import ReceptiveField
from rfwidget.survey import Survey
from rfwidget.widget.ahead import Ahead
from rfwidget.widget.background import Background, Check
from rfwidget.widget.contours import Prepare, measure_contours
from rfwidget.widget.engine import explain
from rfwidget.widget.main_thread import MainThread
from rfwidget.widget.view import Answer, View
from rfwidget.widget.worker import Cancelled, Worker

_INTERVAL = 0.2
"""Seconds between two reports of progress."""


class Listener(Protocol):
    """Told of results, on the main thread."""

    def on_survey(self, survey: Survey) -> None:
        """All layers have been measured, at this image size."""

    def on_contours(self, view: View, contours: dict[str, Any]) -> None:
        """The effective receptive field of a view's layer has been outlined."""

    def on_background(self, words: str) -> None:
        """What is being computed, or why it could not be; empty: nothing."""


class Study:
    """Measures all layers, and outlines effective receptive fields.

    Args:
        rf: the estimator.
        input_layer: name of the image input; None: the model's first.
        prepare: makes a model input of an image.
        worker: does the work.
        main: where the listener is told.
        listener: told of results.
        ahead: filled with the answers of neighbours.
    """

    def __init__(
        self,
        rf: ReceptiveField,
        input_layer: str | None,
        prepare: Prepare,
        worker: Worker,
        main: MainThread,
        listener: Listener,
        ahead: Ahead,
    ) -> None:
        self._rf = rf
        self._input_layer = input_layer
        self._prepare = prepare
        self._main = main
        self._listener = listener
        self._ahead = ahead
        self._background = Background(worker)

    def look_ahead(self, answered: Answer) -> None:
        """Answer the neighbours of a cell before anybody asks."""
        self._background.want("neighbours", partial(self._ahead.fill, answered.view, answered.cell))

    def survey(self, view: View) -> None:
        """Measure all layers at the size of a view's image."""
        self._background.want("layers", partial(self._survey, view))

    def outline(self, view: View) -> None:
        """Outline the effective receptive field of a view's layer, as `measure_contours`."""
        self._background.want("effective", partial(self._outline, view))

    def drop_outline(self) -> None:
        """Give up outlining."""
        self._background.forget("effective")
        self._tell("")

    def _survey(self, view: View, check: Check) -> None:
        shape = view.input_shape
        with self._telling("all layers", check) as report:
            survey = self._rf.survey((shape.h, shape.w, shape.c), self._input_layer, progress=report)
            self._main.post(partial(self._listener.on_survey, survey))

    def _outline(self, view: View, check: Check) -> None:
        with self._telling("effective receptive field", check) as report:
            contours = measure_contours(self._rf, view, self._prepare, report)
            self._main.post(partial(self._listener.on_contours, view, contours))

    @contextmanager
    def _telling(self, title: str, check: Check) -> Iterator[Callable[[float, str], None]]:
        """Tells how far a task has come, and why it failed: its errors disturb nothing else."""
        last = -_INTERVAL

        def report(fraction: float, _: str) -> None:
            nonlocal last
            check()
            now = time.monotonic()
            if now - last >= _INTERVAL:
                last = now
                self._tell(f"{title}: {fraction:.0%}")

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
