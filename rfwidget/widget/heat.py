"""Gradient maps as translucent pictures and feature maps as opaque ones, through a look-up table."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._validation import brief
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.geometry import rect_of_support
from rfwidget.network import Patch

_FAINTEST = 0.18
"""Opacity of a pixel that has any gradient at all, so that the responding region shows as a whole."""

_SATURATED = 0.99
"""Part of the responding pixels that are not yet shown in the strongest colour."""

_GAMMA = 0.6
"""Exponent of the rise of opacity with the gradient's magnitude; below 1, weak responses show."""


class Heat(NamedTuple):
    """A coloured gradient map, cut to the pixels that respond.

    Attributes:
        left: column of the image at which it stands.
        top: row of the image at which it stands.
        rgba: uint8 ``(h, w, 4)``, straight alpha; of height and width 0 if nothing responds.
    """

    left: int
    top: int
    rgba: npt.NDArray[np.uint8]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge in image pixels."""
        h, w = self.rgba.shape[:2]
        return self.left, self.top, self.left + w, self.top + h


def heat_map(patch: Patch, colormap: str = "coolwarm", signed: bool = True) -> Heat:
    """Colour a gradient map.

    Args:
        patch: the gradient; each pixel counts with the mean of its channels.
        colormap: name of a matplotlib colour map.
        signed: run the map from the most negative to the most positive response; otherwise from none to the strongest.
    """
    values = patch.values.mean(axis=2)
    responds: npt.NDArray[np.bool_] = np.any(patch.values, axis=2)
    box = rect_of_support(responds)
    rows, columns = slice(int(box.top), int(box.bottom)), slice(int(box.left), int(box.right))
    values, responds = values[rows, columns], responds[rows, columns]
    strong = np.abs(values[responds])
    # Not the maximum: a few pixels of a deep network can outshine all others by far.
    full = float(np.quantile(strong, _SATURATED) or strong.max()) if strong.size else 0.0
    level = np.clip(values / (full or 1.0), -1, 1)
    index = np.rint(127.5 + 127.5 * level) if signed else np.rint(255 * np.abs(level))
    rgba = lookup_table(colormap)[index.astype(np.uint8)]
    opacity = _FAINTEST + (1 - _FAINTEST) * np.abs(level) ** _GAMMA
    rgba[:, :, 3] = np.where(responds, np.rint(255 * opacity), 0)
    return Heat(patch.left + int(box.left), patch.top + int(box.top), rgba)


def lookup_table(colormap: str) -> npt.NDArray[np.uint8]:
    """The 256 colours of a matplotlib colour map, ``(256, 4)``.

    Raises:
        ReceptiveFieldError: if matplotlib has no such map.
    """
    from matplotlib import colormaps

    if not isinstance(colormap, str) or colormap not in colormaps:
        raise ReceptiveFieldError(
            f"no colour map {brief(colormap)}{suggest(colormap, colormaps)}; "
            "expected a name from matplotlib.colormaps, 'coolwarm' or 'viridis' say"
        )
    return _table(colormap)


@lru_cache(maxsize=16)
def _table(colormap: str) -> npt.NDArray[np.uint8]:
    from matplotlib import colormaps

    table: npt.NDArray[np.uint8] = colormaps[colormap](np.linspace(0, 1, 256), bytes=True)
    table.setflags(write=False)
    return table


def colour_feature_map(values: npt.NDArray[np.float32], colormap: str = "viridis") -> npt.NDArray[np.uint8]:
    """A feature map ``(h, w)`` as opaque RGBA, from its lowest to its highest finite value; grey where it is NaN."""
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    inside = np.clip(np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low), low, high)
    index = np.rint((inside - low) * (255 / ((high - low) or 1.0)))
    coloured: npt.NDArray[np.uint8] = lookup_table(colormap)[index.astype(np.uint8)]
    coloured[np.isnan(values)] = (128, 128, 128, 255)
    return coloured
