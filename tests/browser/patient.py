"""An estimator whose measurements and gradients take as long, or fail, as a test says. Runs in a kernel."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget.base import Progress
from rfwidget.network import Patch
from rfwidget.types import GridPoint
from tests.box_filter import BoxNetwork, BoxReceptiveField


class PatientReceptiveField(BoxReceptiveField):
    """Box filters. A measurement of the layer ``tall`` goes on until `gate` is set, and half way up to then.

    Attributes:
        gate: ends measurements of ``tall``.
        cancelled: layers whose measurement was given up.
        broken: gradients raise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.cancelled: list[str | None] = []
        self.broken = False

    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,
        progress: Progress,
    ) -> BoxNetwork:
        parts = {"ignore_global_context": ignore_global_context, "progress": progress}
        network = super()._build(input_shape, input_layer, output_layer, **parts)
        try:
            while output_layer == "tall" and not self.gate.is_set():
                progress(0.5, "half way through tall")
                time.sleep(0.01)
        except BaseException:
            self.cancelled.append(output_layer)
            raise
        breakable = network.gradient

        def gradient(image: npt.NDArray[np.float32], point: GridPoint, channel: int | None) -> Patch:
            if self.broken:
                raise RuntimeError("out of <b>memory</b>")
            return breakable(image, point, channel)

        network.gradient = gradient  # type: ignore[method-assign]
        return network


def show(**arguments: Any) -> tuple[Any, PatientReceptiveField]:
    """An RFWidget over a patient estimator, displayed; and that estimator."""
    from IPython.display import display

    from rfwidget import RFWidget

    rf = PatientReceptiveField()
    widget = RFWidget(rf, **{"input_shape": (40, 64, 3), **arguments})
    display(widget)
    return widget, rf
