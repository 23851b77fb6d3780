"""Gradient maps as translucent pictures and feature maps as opaque ones, through a look-up table."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._validation import brief
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.geometry import rect_of_support
from rfwidget.network import Patch

Box = tuple[int, int, int, int]
"""Whole pixels of the image, given by their edges: left, top, right, bottom."""

_FAINTEST = 0.25
"""Opacity of a pixel that has any gradient at all, so that the responding region shows as a whole."""

_OPAQUE = 0.6
"""Place on the colour bar from which on a pixel hides the photograph."""

_SATURATED = 0.99
"""Part of the responding pixels that are not yet shown in the strongest colour."""

_DECADES = 3
"""Powers of ten that the logarithmic scale tells apart."""

SHARES = (0.5, 0.95)
"""Shares of a gradient map's mass for which a box is named."""

MAP_COLOURS = "viridis"
"""Colours of feature maps."""


class Heat(NamedTuple):
    """A coloured gradient map, cut to the pixels that respond.

    Attributes:
        left: column of the image at which it stands.
        top: row of the image at which it stands.
        rgba: uint8 ``(h, w, 4)``, straight alpha; of height and width 0 if nothing responds.
        ticks: of its colour bar: the place, 0..1 from the beginning, and the value there in words.
        mass: for each of `SHARES` a box of the image that holds it; none if nothing responds.
    """

    left: int
    top: int
    rgba: npt.NDArray[np.uint8]
    ticks: tuple[tuple[float, str], ...] = ()
    mass: tuple[tuple[float, Box], ...] = ()

    @property
    def box(self) -> Box:
        """Left, top, right and bottom edge in image pixels."""
        h, w = self.rgba.shape[:2]
        return self.left, self.top, self.left + w, self.top + h


class _Scale(NamedTuple):
    """How magnitudes become places on the colour bar: both are parts of the full value, 0..1.

    ``place`` takes the magnitudes; ``value`` is its inverse, for the ticks.
    """

    place: Callable[[npt.NDArray[np.floating]], npt.NDArray[np.floating]]
    value: Callable[[float], float]


_LOG = 10.0**_DECADES - 1
_EVEN = {
    "linear": _Scale(lambda part: part, lambda at: at),
    "sqrt": _Scale(np.sqrt, lambda at: at**2),
    "log": _Scale(
        lambda part: np.log1p(part * _LOG) / np.log1p(_LOG), lambda at: math.expm1(at * math.log1p(_LOG)) / _LOG
    ),
}
"""The scales that depend on the strongest response alone."""

HEAT_SCALES = (*_EVEN, "percentile")
"""Names of the scales. Percentile: a pixel's place is the share of the mass that lies in weaker pixels."""


def heat_map(patch: Patch, colormap: str = "magma", signed: bool = False, scale: str = "sqrt") -> Heat:
    """Colour a gradient map.

    Args:
        patch: the gradient; each pixel counts with the mean of its channels.
        colormap: name of a matplotlib colour map.
        signed: run the map from the most negative to the most positive response; otherwise from none to the strongest.
        scale: one of `HEAT_SCALES`: how magnitudes are told apart.
    """
    values = patch.values.mean(axis=2)
    responds: npt.NDArray[np.bool_] = np.any(patch.values, axis=2)
    box = rect_of_support(responds)
    rows, columns = slice(int(box.top), int(box.bottom)), slice(int(box.left), int(box.right))
    values, responds = values[rows, columns], responds[rows, columns]
    left, top = patch.left + int(box.left), patch.top + int(box.top)
    magnitude = np.abs(values)
    strong = magnitude[responds]
    # Not the maximum: a few pixels of a deep network can outshine all others by far.
    full = float(np.quantile(strong, _SATURATED) or strong.max()) if strong.size else 0.0
    if scale == "percentile":
        level = _share_below(magnitude)
    else:
        level = _EVEN[scale].place(np.clip(magnitude / (full or 1.0), 0, 1))
    index = np.rint(127.5 + 127.5 * np.sign(values) * level) if signed else np.rint(255 * level)
    rgba = lookup_table(colormap)[index.astype(np.uint8)]
    opacity = _FAINTEST + (1 - _FAINTEST) * np.clip(level / _OPAQUE, 0, 1)
    rgba[:, :, 3] = np.where(responds, np.rint(255 * opacity), 0)
    ticks = _ticks(full, signed, scale) if full else ()
    return Heat(left, top, rgba, ticks, _mass(magnitude, left, top))


def _share_below(magnitude: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """For each pixel the share of the mass that lies in weaker ones, 0..1; the strongest are at 1."""
    flat = magnitude.ravel().astype(np.float64)
    order = np.argsort(flat)
    below = np.empty(flat.size)
    below[order] = np.cumsum(flat[order])
    return (below / (below.max(initial=0.0) or 1.0)).reshape(magnitude.shape)


def _ticks(full: float, signed: bool, scale: str) -> tuple[tuple[float, str], ...]:
    """Ticks at the beginning, the middle and the end of the colour bar, and one between of a logarithmic one."""
    if scale == "percentile":
        places = [(0.0, "0"), (0.05, "95 %"), (0.5, "50 %"), (1.0, "max")]
    else:
        places = [(at, _brief(full * _EVEN[scale].value(at))) for at in (0.0, 0.5, 1.0)]
    if not signed:
        return tuple(places)
    upper = [(0.5 + at / 2, words) for at, words in places]
    return (*((0.5 - at / 2, f"\u2212{words}") for at, words in reversed(places[1:])), *upper)


def _brief(value: float) -> str:
    """A number in a few characters.

    >>> _brief(0.0123), _brief(3.2e-7), _brief(0)
    ('0.012', '3.2e-7', '0')
    """
    if not value:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}e{int(power)}"


def _mass(magnitude: npt.NDArray[np.floating], left: int, top: int) -> tuple[tuple[float, Box], ...]:
    """For each of `SHARES` a small box that holds it."""
    mass = magnitude.astype(np.float64)
    if not mass.any() or not np.isfinite(mass).all():
        return ()
    found = []
    for share in SHARES:
        x, y, right, bottom = tight_box(mass, share)
        found.append((share, (left + x, top + y, left + right, top + bottom)))
    return tuple(found)


def tight_box(mass: npt.NDArray[np.float64], share: float) -> Box:
    """A small box that holds a share of a map's mass: rows and columns at its sides are given up, the lightest first.

    >>> tight_box(np.array([[0, 1, 0], [1, 96, 2], [0, 0, 0]], np.float64), 0.95)
    (1, 1, 2, 2)
    """
    total = np.zeros((mass.shape[0] + 1, mass.shape[1] + 1))
    total[1:, 1:] = mass.cumsum(axis=0).cumsum(axis=1)
    sums = total.tolist()
    spare = (1 - share) * sums[-1][-1]
    left, top, right, bottom = 0, 0, mass.shape[1], mass.shape[0]

    def inside(x: int, y: int, x_end: int, y_end: int) -> float:
        return float(sums[y_end][x_end] - sums[y][x_end] - sums[y_end][x] + sums[y][x])

    while right - left > 1 or bottom - top > 1:
        sides = [
            (inside(left, top, left + 1, bottom), (1, 0, 0, 0)),
            (inside(right - 1, top, right, bottom), (0, 0, -1, 0)),
            (inside(left, top, right, top + 1), (0, 1, 0, 0)),
            (inside(left, bottom - 1, right, bottom), (0, 0, 0, -1)),
        ]
        wide, high = right - left, bottom - top
        usable = [(weight, step) for weight, step in sides if (wide > 1 if step[0] or step[2] else high > 1)]
        weight, step = min(usable, key=lambda side: side[0] / (high if side[1][0] or side[1][2] else wide))
        if weight > spare:
            break
        spare -= weight
        left, top, right, bottom = left + step[0], top + step[1], right + step[2], bottom + step[3]
    return left, top, right, bottom


def default_colormap(signed: bool) -> str:
    """The colour map that suits signs, or magnitudes."""
    return "coolwarm" if signed else "magma"


def colour_stops(colormap: str, count: int = 16) -> list[str]:
    """Colours of a map from its beginning to its end, as CSS writes them.

    >>> colour_stops("gray", 2)
    ['#000000', '#ffffff']
    """
    table = lookup_table(colormap)
    colours = table[np.rint(np.linspace(0, 255, count)).astype(int), :3].tolist()
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours]


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


def value_range(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    """The lowest and the highest finite value of a feature map; 0 and 0 if there are none."""
    finite = values[np.isfinite(values)].astype(np.float64)
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def colour_feature_map(values: npt.NDArray[np.float32], colormap: str = MAP_COLOURS) -> npt.NDArray[np.uint8]:
    """A feature map ``(h, w)`` as opaque RGBA, from its lowest to its highest finite value; grey where it is NaN."""
    low, high = value_range(values)
    inside = np.clip(np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low), low, high)
    index = np.rint((inside - low) * (255 / ((high - low) or 1.0)))
    coloured: npt.NDArray[np.uint8] = lookup_table(colormap)[index.astype(np.uint8)]
    coloured[np.isnan(values)] = (128, 128, 128, 255)
    return coloured
