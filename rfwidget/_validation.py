"""Checks of arguments: flags, whole numbers, names, functions, figures, and places of grid and image.

Each gives the argument back as a value of Python's own types, or raises a `ReceptiveFieldError` that says what came and
what was expected. Images, shapes and layers are checked where they are known, with the same words.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from rfwidget.errors import ReceptiveFieldError
from rfwidget.ranks import RANKS
from rfwidget.types import GridPoint, Rect, Size

_LONGEST = 80
"""Characters of a value that a message quotes."""

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = _LONGEST


def brief(value: object) -> str:
    """A value as messages quote it: short, on one line, and whatever its own ``repr`` does.

    >>> brief([0] * 1000)
    '[0, 0, 0, 0, 0, 0, ...]'
    """
    words = " ".join(_brief.repr(value).split())
    return words if len(words) <= 2 * _LONGEST else words[: 2 * _LONGEST] + "..."


def flag(name: str, value: Any) -> bool:
    """True or False; 1 and 0 will do."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
        return bool(value)
    raise ReceptiveFieldError(f"{name} is {brief(value)}: expected True or False")


def whole(name: str, value: Any, low: int, high: float = math.inf) -> int:
    """A whole number within bounds."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        bounds = f"of at least {low}" if math.isinf(high) else f"{low}..{high:.0f}"
        raise ReceptiveFieldError(f"{name} is {brief(value)}: expected a whole number {bounds}")
    return int(value)


def channel_index(value: Any, count: int, of: str = "") -> int | None:
    """A channel, or None for the mean of all; ``of`` says of what, in words that follow the number."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if value is None or (is_whole and 0 <= value < count):
        return None if value is None else int(value)
    raise ReceptiveFieldError(f"channel {brief(value)}{of}: expected None (mean) or a whole number 0..{count - 1}")


def seconds(name: str, value: Any) -> float:
    """A length of time."""
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and not math.isnan(value):
        return float(min(value, 1e9))
    raise ReceptiveFieldError(f"{name} is {brief(value)}: expected a number of seconds")


def share(name: str, value: Any) -> float | None:
    """A share of something, more than 0 and less than 1, or None."""
    if value is None:
        return None
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise ReceptiveFieldError(f"{name} is {brief(value)}: expected a share, more than 0 and less than 1, or None")


def file_path(value: Any, example: str) -> Path:
    """The name of a file to write."""
    if isinstance(value, (str, Path)) and str(value):
        return Path(value)
    raise ReceptiveFieldError(f"path is {brief(value)}: expected the name of a file, {example!r} say")


def text(name: str, value: Any) -> str:
    """Words for people; they may be empty."""
    if isinstance(value, str):
        return value
    raise ReceptiveFieldError(f"{name} is {brief(value)}: expected text, which may be empty")


def layer_name(name: str, value: Any) -> str | None:
    """The name of a layer, or None for the default one."""
    if value is None or (isinstance(value, str) and value):
        return value
    raise ReceptiveFieldError(f"{name} is {brief(value)}: expected the name of a layer, or None for the default")


def function(name: str, value: Any, takes: str) -> Any:
    """Something to call, or None.

    Args:
        name: of the argument.
        value: what came.
        takes: what it is called with, in words.
    """
    if value is None or callable(value):
        return value
    raise ReceptiveFieldError(f"{name} is {brief(value)}: expected a function of {takes}, or None")


def series(name: str, value: Any, of: str) -> list[Any]:
    """A series of things, as a list."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) and getattr(value, "ndim", 1) != 0:
        return list(value)
    raise ReceptiveFieldError(f"{name} is {brief(value)}: expected a list of {of}")


def figure_size(value: Any) -> tuple[float, float]:
    """Width and height of a figure in inches, at most a hundred each."""
    try:
        width, height = (float(side) for side in value)
        if isinstance(value, (str, bytes)) or not (0 < width <= 100 and 0 < height <= 100):
            raise ValueError(value)
    except (TypeError, ValueError) as error:
        raise ReceptiveFieldError(
            f"figsize is {brief(value)}: expected (width, height) in inches, more than 0 and at most 100"
        ) from error
    return width, height


def grid_lengths(value: Any) -> tuple[int, ...] | None:
    """Cells of a grid in the order of arrays, ``(height, width)``; a `Size` says which is which itself."""
    if value is None:
        return None
    if isinstance(value, Size):
        value = tuple(reversed(value))
    lengths = value if isinstance(value, (tuple, list)) else ()
    if len(lengths) not in (2, 3) or not all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in lengths
    ):
        raise ReceptiveFieldError(
            f"grid is {brief(value)}: expected the cells of a grid of tokens, (height, width) or (depth, height, width)"
        )
    return tuple(int(n) for n in lengths)


def check_axes(value: Any) -> None:
    """Something to draw into, or None."""
    if value is not None and not (hasattr(value, "imshow") and hasattr(value, "add_patch")):
        raise ReceptiveFieldError(
            f"ax is {brief(value)}: expected a matplotlib Axes, such as plt.subplots()[1], or None for a new figure"
        )


def cell_inside(point: object, grid: Size) -> GridPoint:
    """A cell of the grid as a GridPoint of plain ints; along a sequence its number alone will do.

    Raises:
        ReceptiveFieldError: if it has not one whole number for each axis or lies outside the grid.

    >>> cell_inside((3, 2), Size(8, 4)), cell_inside(5, Size(8))
    (GridPoint(x=3, y=2), GridPoint(x=5))
    """
    rank = RANKS[len(grid)]
    limits = [f"0 <= {axis} < {int(count)}" for axis, count in zip(rank.axes, grid, strict=True)]
    expected = f"expected {rank.pair} with {' and '.join(limits)}"
    words = {1: "a whole number", 2: "both whole numbers", 3: "all whole numbers"}[len(grid)]
    try:
        if isinstance(point, (str, bytes, bytearray, Set, Mapping)):  # have members, but no first one, or no numbers
            raise TypeError(point)
        given: tuple[Any, ...]
        given = (point,) if len(grid) == 1 and isinstance(point, (int, np.integer)) else tuple(point)  # type: ignore[arg-type]
        whole = [int(value) for value in given]
        if len(given) != len(grid) or any(
            isinstance(value, (bool, np.bool_, str, bytes)) or value != number
            for value, number in zip(given, whole, strict=True)
        ):
            raise ValueError(point)
    except (TypeError, ValueError, OverflowError) as error:
        raise ReceptiveFieldError(f"{brief(point)} is no cell of the grid: {expected}, {words}") from error
    if not all(0 <= cell < count for cell, count in zip(whole, grid, strict=True)):
        raise ReceptiveFieldError(f"cell {tuple(whole)} is outside the {_by(grid)} grid: {expected}")
    return GridPoint(*whole)


def _by(sizes: Iterable[float]) -> str:
    return "x".join(f"{int(side)}" for side in sizes)


def pixel_inside(pixel: object, image: Size) -> GridPoint:
    """A pixel ``(x, y)`` of the image as plain ints; of a sequence the number of a sample will do.

    Raises:
        ReceptiveFieldError: if it has not one whole number for each axis or lies outside the image.
    """
    try:
        return cell_inside(pixel, image)
    except ReceptiveFieldError as error:
        rank = RANKS[len(image)]
        raise ReceptiveFieldError(
            f"{brief(pixel)} is no {rank.unit[:-1]} of the {_by(image)} {rank.thing}: expected whole numbers "
            f"{rank.pair} inside it"
        ) from error


_EDGES = (("left", "right"), ("top", "bottom"), ("front", "back"))


def box_inside(box: object, image: Size) -> Rect:
    """A box of the image as a Rect of plain ints, grown to whole pixels; of a sequence an interval.

    Raises:
        ReceptiveFieldError: if it has not two numbers for each axis or is not inside the image.

    >>> box_inside((2.5, 0, 7, 4), Size(48, 32))
    Rect(left=2, top=0, right=7, bottom=4)
    >>> box_inside((2.5, 7), Size(48))
    Rect(left=2, right=7)
    """
    names = _EDGES[: len(image)]
    order = ", ".join([*(low for low, _ in names), *(high for _, high in names)])
    limits = [f"0 <= {low} < {high} <= {side:g}" for (low, high), side in zip(names, image, strict=True)]
    expected = f"expected Rect({order}) with {' and '.join(limits)}"
    try:
        if isinstance(box, (str, bytes, bytearray, Set, Mapping)):
            raise TypeError(box)
        given = Rect(*(float(edge) for edge in box))  # type: ignore[attr-defined]
        pairs = list(zip(given.edges, image, strict=True))
    except (TypeError, ValueError) as error:
        raise ReceptiveFieldError(f"{brief(box)} is no box: {expected}") from error
    if not all(0 <= low < high <= side for (low, high), side in pairs):
        thing = RANKS[len(image)].thing
        raise ReceptiveFieldError(f"box {tuple(given)} is not inside the {_by(image)} {thing}: {expected}")
    return Rect.of((math.floor(low), math.ceil(high)) for (low, high), _ in pairs)


def framework_of(model: object) -> str | None:
    """The framework that a model comes from, without an import of any; None for functions and classes.

    A Keras model that runs on PyTorch is a module of both: it is Keras' own.
    """
    roots = {kind.__module__.partition(".")[0].replace("tf_keras", "keras") for kind in type(model).__mro__}
    return next((name for name in ("keras", "torch") if name in roots), None)
