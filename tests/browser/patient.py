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
from rfwidget.types import GridPoint, ReceptiveFieldDescription
from tests.box_filter import BoxReceptiveField


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

    def compute(
        self,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        output_layer: str | None = None,
        *,
        ignore_global_context: bool = False,
        progress: Progress | None = None,
    ) -> ReceptiveFieldDescription:
        try:
            while output_layer == "tall" and progress is not None and not self.gate.is_set():
                progress(0.5, "half way through tall")
                time.sleep(0.01)
        except BaseException:
            self.cancelled.append(output_layer)
            raise
        options = {"ignore_global_context": ignore_global_context, "progress": progress}
        description = super().compute(input_shape, input_layer, output_layer, **options)
        gradient = self.network.gradient

        def breakable(image: npt.NDArray[np.float32], point: GridPoint, channel: int | None) -> Patch:
            if self.broken:
                raise RuntimeError("out of <b>memory</b>")
            return gradient(image, point, channel)

        self.network.gradient = breakable  # type: ignore[method-assign]
        return description


def show(**arguments: Any) -> tuple[Any, PatientReceptiveField]:
    """An RFWidget over a patient estimator, displayed; and that estimator."""
    from IPython.display import display

    from rfwidget import RFWidget

    rf = PatientReceptiveField()
    widget = RFWidget(rf, **{"input_shape": (40, 64, 3), **arguments})
    display(widget)
    return widget, rf
