"""Gradient maps as bytes and as translucent pictures, feature maps as opaque ones, through look-up tables."""

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

Edges = tuple[int, ...]
"""Whole pixels, or voxels: all first edges before all last ones, x before y before z."""

_FAINTEST = 0.08
"""Opacity of a pixel that has any gradient at all: more, and pixels without any would look brighter than those."""

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


class Levels(NamedTuple):
    """A gradient map in one byte a pixel, cut to the pixels that respond: how it is kept, and how it travels.

    A byte of 0 is a pixel without any gradient. The others are ``128 + 127 * root``, rounded: the root, with its sign,
    of the pixel's part of the full value, cut off at the full value. With roots, neighbouring bytes are close in colour
    on a linear, a square root and a logarithmic scale alike.

    Attributes:
        left: column of the image at which it stands.
        top: row of the image at which it stands.
        values: uint8 ``(h, w)``; of height and width 0 if nothing responds.
        full: the magnitude that the ends of the bytes stand for.
        weight: sum of all magnitudes, in full values.
        mass: for each of `SHARES` a box of the image, or of the volume, that holds it; none if nothing responds, or
            nobody asked.
        step: pixels of the image along each side of one of these: 1, or 2 where the map is a coarse one.
    """

    left: int
    top: int
    values: npt.NDArray[np.uint8]
    full: float = 0.0
    weight: float = 0.0
    mass: tuple[tuple[float, Edges], ...] = ()
    step: int = 1

    @property
    def box(self) -> Box:
        """Left, top, right and bottom edge in image pixels."""
        h, w = self.values.shape
        return self.left, self.top, self.left + w * self.step, self.top + h * self.step


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
    mass: tuple[tuple[float, Edges], ...] = ()

    @property
    def box(self) -> Box:
        """Left, top, right and bottom edge in image pixels."""
        h, w = self.rgba.shape[:2]
        return self.left, self.top, self.left + w, self.top + h


class Colouring(NamedTuple):
    """How gradient maps are coloured; none of it needs another gradient.

    Attributes:
        colormap: name of a matplotlib colour map.
        signed: run the map from the most negative to the most positive response; otherwise from none to the strongest.
        scale: how magnitudes are told apart, one of `HEAT_SCALES`.
    """

    colormap: str = "magma"
    signed: bool = False
    scale: str = "sqrt"


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
"""Names of the scales. Percentile: a pixel's place is the share of the mass that lies in pixels no stronger."""

_ZERO = 128
_MOST = 127
"""The byte of a response of zero, and how far the bytes of the strongest are from it."""


def levels_of(patch: Patch, *, mass: bool = False, step: int = 1) -> Levels:
    """A gradient map in one byte a pixel.

    Args:
        patch: the gradient; each pixel counts with the mean of its channels.
        mass: also find the boxes that hold `SHARES` of it.
        step: 2: one byte for the mean of each 2x2 pixels.
    """
    values = patch.values.mean(axis=2)
    responds: npt.NDArray[np.bool_] = np.any(patch.values, axis=2)
    left, top = patch.left, patch.top
    if step > 1:  # blocks begin at whole steps of the image, so that those of all cells lie on each other
        ends = ((top % step, -(top + values.shape[0]) % step), (left % step, -(left + values.shape[1]) % step))
        values, responds = np.pad(values, ends), np.pad(responds, ends)
        shape = (values.shape[0] // step, step, values.shape[1] // step, step)
        values, responds = values.reshape(shape).mean(axis=(1, 3)), np.any(responds.reshape(shape), axis=(1, 3))
        left, top = left - left % step, top - top % step
    box = rect_of_support(responds)
    rows, columns = slice(int(box.top), int(box.bottom)), slice(int(box.left), int(box.right))
    values, responds = values[rows, columns], responds[rows, columns]
    left, top = left + step * columns.start, top + step * rows.start
    magnitude = np.abs(values)
    strong = magnitude[responds]
    full = _saturated(strong) if strong.size else 0.0
    root = np.sqrt(np.clip(magnitude / (full or 1.0), 0, 1))
    levels = np.where(responds, np.rint(_ZERO + _MOST * np.copysign(root, values)), 0).astype(np.uint8)
    weight = float(strong.sum(dtype=np.float64) / full) if full else 0.0
    return Levels(left, top, levels, full, weight, _mass(magnitude, left, top) if mass else (), step)


def _saturated(strong: npt.NDArray[np.floating]) -> float:
    """The magnitude from which on a pixel has the strongest colour."""
    # Not the maximum: a few pixels of a deep network can outshine all others by far.
    place = _SATURATED * (strong.size - 1)
    low, high = (
        float(value) for value in np.partition(strong, (int(place), math.ceil(place)))[[int(place), math.ceil(place)]]
    )
    return low + (high - low) * (place % 1) or float(strong.max())


def palette(colouring: Colouring) -> npt.NDArray[np.uint8]:
    """The colour of each byte of `Levels`, RGBA ``(256, 4)``; on the percentile scale, that of its share (`shares`)."""
    index, opacity = places_in_table(signed=colouring.signed, scale=colouring.scale)
    table = lookup_table(colouring.colormap)[index]
    table[:, 3] = opacity
    table[0] = 0
    return table


def places_in_table(*, signed: bool, scale: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """For each byte of `Levels` which of the 256 colours of a map it has, and how opaque it is, 0..255.

    Neither depends on the colour map; the arguments are those of `Colouring`.
    """
    byte = np.arange(256)
    root = np.minimum(np.abs(byte - _ZERO) / _MOST, 1)
    even = _EVEN.get(scale)
    level = root if even is None else even.place(root**2)
    index = np.rint(127.5 + 127.5 * np.sign(byte - _ZERO) * level) if signed else np.rint(255 * level)
    opacity = np.rint(255 * (_FAINTEST + (1 - _FAINTEST) * np.clip(level / _OPAQUE, 0, 1)))
    opacity[0] = 0
    return index.astype(np.uint8), opacity.astype(np.uint8)


def shares(levels: Levels) -> npt.NDArray[np.uint8]:
    """For each byte of a map the one as far from 128 as the share of the mass in pixels no stronger, ``(256,)``.

    js/view/palette.ts does the same.
    """
    strength = np.abs(levels.values[levels.values > 0].astype(int) - _ZERO)
    mass = np.bincount(strength, minlength=_MOST + 1) * (np.arange(_MOST + 1) / _MOST) ** 2
    share = np.minimum(np.cumsum(mass) / (levels.weight or 1.0), 1)
    share[_MOST] = 1  # what is cut off at the full value is counted in the weight alone
    byte = np.arange(256)
    moved = _ZERO + np.sign(byte - _ZERO) * np.floor(_MOST * share[np.minimum(np.abs(byte - _ZERO), _MOST)] + 0.5)
    moved[0] = 0
    return moved.astype(np.uint8)


def colour(levels: Levels, colouring: Colouring) -> Heat:
    """A gradient map in colours, as the page shows it."""
    bytes_ = levels.values
    if colouring.scale == "percentile":
        bytes_ = shares(levels)[bytes_]
    ticks = tuple(
        (place, part if isinstance(part, str) else _brief(levels.full * part)) for place, part in bar_ticks(colouring)
    )
    return Heat(levels.left, levels.top, palette(colouring)[bytes_], ticks if levels.full else (), levels.mass)


def heat_map(patch: Patch, colormap: str = "magma", signed: bool = False, scale: str = "sqrt") -> Heat:
    """Colour a gradient map; the arguments are those of `Colouring`."""
    return colour(levels_of(patch, mass=True), Colouring(colormap, signed, scale))


def bar_ticks(colouring: Colouring) -> list[tuple[float, float | str]]:
    """Ticks at the beginning, the middle and the end of the colour bar.

    Returns:
        The place, 0..1 from the beginning, and what stands there: a part of a map's full value, or words.
    """
    places: list[tuple[float, float | str]]
    if colouring.scale == "percentile":
        # There is room for one of the two beside zero: 5 % of the bar apart, or half as far if it is signed.
        places = [(0.0, "0") if colouring.signed else (0.05, "95 %"), (0.5, "50 %"), (1.0, "max")]
    else:
        places = [(at, _EVEN[colouring.scale].value(at)) for at in (0.0, 0.5, 1.0)]
    if not colouring.signed:
        return places
    lower: list[tuple[float, float | str]] = [
        (0.5 - at / 2, f"\u2212{part}" if isinstance(part, str) else -part) for at, part in reversed(places[1:])
    ]
    return [*lower, *((0.5 + at / 2, part) for at, part in places)]


def _brief(value: float) -> str:
    """A number in a few characters, as `short` in js/view/colour-bar.ts writes it.

    >>> _brief(0.0123), _brief(3.2e-7), _brief(-1234), _brief(0)
    ('0.012', '3.2e-7', '\u22121200', '0')
    """
    if 1e-3 <= abs(value) < 1e4:
        text = f"{float(f'{value:.2g}'):.6g}"
    elif value:
        digits, power = f"{value:.1e}".split("e")
        text = f"{digits}e{int(power)}"
    else:
        text = "0"
    return text.replace("-", "\u2212", 1) if value < 0 else text


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


def mass_boxes(patch: Patch) -> tuple[tuple[float, Edges], ...]:
    """For each of `SHARES` a small box of a volume that holds it: left, top, front, right, bottom and back edge."""
    mass = np.abs(patch.values.mean(axis=-1)).astype(np.float64)
    if not mass.any() or not np.isfinite(mass).all():
        return ()
    found = []
    for share in SHARES:
        low, high = tight_bounds(mass, share)
        edges = (*(at + start for at, start in zip(reversed(low), patch.start, strict=True)),)
        found.append((share, (*edges, *(at + start for at, start in zip(reversed(high), patch.start, strict=True)))))
    return tuple(found)


def tight_bounds(mass: npt.NDArray[np.float64], share: float) -> tuple[list[int], list[int]]:
    """As `tight_box`, of a map with any number of axes: the first place of each, and the one after the last.

    >>> tight_bounds(np.array([[0, 1, 0], [1, 96, 2], [0, 0, 0]], np.float64), 0.95)
    ([1, 1], [2, 2])
    """
    low, high = [0] * mass.ndim, list(mass.shape)
    spare = (1 - share) * mass.sum()
    while any(last - first > 1 for first, last in zip(low, high, strict=True)):
        inside = mass[tuple(slice(*ends) for ends in zip(low, high, strict=True))]
        sides = []
        for axis in range(mass.ndim):
            if inside.shape[axis] > 1:
                rest = inside.size // inside.shape[axis]
                first, last = (float(inside.take(at, axis).sum()) for at in (0, -1))
                sides += [(first / rest, first, axis, 0), (last / rest, last, axis, 1)]
        _, weight, axis, end = min(sides)
        if weight > spare:
            break
        spare -= weight
        if end:
            high[axis] -= 1
        else:
            low[axis] += 1
    return low, high


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
