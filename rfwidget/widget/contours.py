"""Outlines of the effective receptive field, for the browser to draw at any cell (js/contours.ts)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._progress import Progress
from rfwidget.effective import EffectiveField
from rfwidget.estimator import ReceptiveField
from rfwidget.image import default_input, get_default_images
from rfwidget.types import GridShape
from rfwidget.widget.view import View

Prepare = Callable[[npt.NDArray[Any], GridShape], npt.NDArray[np.float32]]
"""From pixels to the model's input."""

SHARES = (0.5, 0.95)
"""Shares of the gradient's mass that are outlined."""


def measure_contours(rf: ReceptiveField, view: View, prepare: Prepare, progress: Progress) -> dict[str, Any]:
    """Outline the effective receptive field of a view's layer: central cells, the shown image and the samples.

    The mean over cells and images is what the effective field is; it is drawn at any cell, for it moves with them.

    Args:
        rf: an estimator of the layer.
        view: of the layer.
        prepare: makes a model input of a sample image.
        progress: told how far the work has come.
    """
    shape = view.input_shape
    samples = (prepare(default_input(shape, name), shape) for name in get_default_images())
    return plain_contours(rf.effective([view.image, *samples], channel=view.style.channel, progress=progress))


def plain_contours(effective: EffectiveField) -> dict[str, Any]:
    """Outlines as `Contours` in js/model.ts: where they begin for a cell, and closed lines for each of `SHARES`."""
    x, y = ({"start": float(frame.start), "stride": float(frame.stride)} for frame in effective.frames)
    levels = [
        {"share": share, "loops": [line.ravel().tolist() for line in effective.contour(share)]} for share in SHARES
    ]
    return {"x": x, "y": y, "levels": levels}
