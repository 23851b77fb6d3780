"""Measures of closed lines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def area(line: npt.NDArray[np.int64]) -> float:
    """Signed area; positive for lines that keep what they surround on the right hand, y pointing down."""
    (x0, y0), (x1, y1) = line.T, np.roll(line, -1, axis=0).T
    return float((x0 * y1 - x1 * y0).sum() / 2)
