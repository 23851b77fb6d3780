"""Assertions for the tests of other people's projects: what a layer must see, checked against what it sees.

The command ``rfwidget check`` asks the same questions. Nothing here needs weights or data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rfwidget import _validation
from rfwidget.errors import ReceptiveFieldError
from rfwidget.estimator import ReceptiveField
from rfwidget.loading import estimator_of
from rfwidget.ranks import RANKS
from rfwidget.ranks import measured as measured_in

Lengths = float | Sequence[float]
"""A number for all axes, or one each: ``(x, y)``, ``(width, height)``; of volumes ``(x, y, z)``."""

__all__ = ["Expectation", "assert_receptive_field", "expectations"]


class Expectation(NamedTuple):
    """One thing that is expected of a receptive field.

    Attributes:
        what: the quantity, in a word.
        expected: what should be, in words.
        measured: what is, in words.
        holds: whether it is as expected.
    """

    what: str
    expected: str
    measured: str
    holds: bool


def assert_receptive_field(
    model: Any,
    layer: str | None = None,
    *,
    input_shape: Any = None,
    size: Lengths | None = None,
    stride: Lengths | None = None,
    offset: Lengths | None = None,
    at_least: Lengths | None = None,
    max_stride: Lengths | None = None,
    covers: Lengths | None = None,
) -> None:
    """Assert what a layer sees. Lengths are in pixels, one number for both axes or ``(x, y)``.

    Args:
        model: a model of any framework, a function that builds one, or an estimator.
        layer: name of the layer; None: the last one with a grid.
        input_shape: the image, as for `ReceptiveField.compute`.
        size: exactly this width and height; ``math.inf`` where it should see everything.
        stride: exactly this shift per cell.
        offset: exactly this centre of the field of cell (0, 0).
        at_least: no less than this width and height.
        max_stride: no more than this shift per cell.
        covers: an object of this width and height is seen whole by some cell, wherever it lies on the image.

    Raises:
        AssertionError: if something is not so; the message has expected and measured side by side.
        ReceptiveFieldError: if the layer cannot be measured, or nothing is expected of it.

    >>> from torch import nn
    >>> assert_receptive_field(nn.Conv2d(3, 8, kernel_size=(5, 3), stride=2), size=(3, 5), max_stride=4)
    """
    rf = estimator_of(model)
    rf.compute(input_shape, output_layer=layer)
    found = expectations(
        rf, size=size, stride=stride, offset=offset, at_least=at_least, max_stride=max_stride, covers=covers
    )
    if not all(expectation.holds for expectation in found):
        shape = rf.input_shape
        title = f"receptive field of layer {rf.output_layer!r} on {measured_in(shape.size)}"
        raise AssertionError("\n".join([title, *_side_by_side(found)]))


def expectations(
    rf: ReceptiveField,
    *,
    size: Lengths | None = None,
    stride: Lengths | None = None,
    offset: Lengths | None = None,
    at_least: Lengths | None = None,
    max_stride: Lengths | None = None,
    covers: Lengths | None = None,
) -> list[Expectation]:
    """Each thing that is expected of a computed estimator, and whether it is so; as `assert_receptive_field`.

    Raises:
        ReceptiveFieldError: if nothing is expected, or what is expected is no length.
    """
    measured = rf.rf_params
    asked = (
        ("size", size, measured.size, "", np.equal),
        ("stride", stride, measured.stride, "", np.equal),
        ("offset", offset, measured.offset, "", np.equal),
        ("size", at_least, measured.size, "at least ", np.greater_equal),
        ("stride", max_stride, measured.stride, "at most ", _within),
    )
    found = []
    for what, value, is_, words, compare in asked:
        if value is not None:
            lengths = _lengths(what, value, len(is_), signed=what == "offset")
            holds = bool(np.all(compare(np.asarray(is_, float), lengths)))
            found.append(Expectation(what, words + _times(lengths), _times(is_), holds))
    if covers is not None:
        found.append(_covering(rf, _lengths("covers", covers, len(measured.size))))
    if not found:
        raise ReceptiveFieldError("nothing is expected: give size, stride, offset, at_least, max_stride or covers")
    return found


def _within(measured: Any, most: Any) -> Any:
    return np.abs(measured) <= most  # a mirrored grid has a negative stride


def _covering(rf: ReceptiveField, lengths: Sequence[float]) -> Expectation:
    """Whether an object of some size is seen whole by one cell, wherever it lies on the image."""
    shape, grid = rf.input_shape, rf.output_shape
    expected = f"{_times(lengths)} anywhere"
    missed = []
    axes = RANKS[len(lengths)].axes
    for name, field, length, image, cells in zip(axes, rf.field, lengths, shape.size, grid.size, strict=True):
        if length > image:
            thing, sizes = RANKS[len(axes)].thing, measured_in(shape.size, by=" x ")
            raise ReceptiveFieldError(f"covers is {_times(lengths)}: the {thing} has {sizes} only")
        edges = np.array([field.edges_at(cell) for cell in range(int(cells))], float)
        starts = np.arange(int(image - length) + 1)
        seen = ((edges[:, :1] <= starts) & (edges[:, 1:] >= starts + length)).any(axis=0)
        if not seen.all():
            start = int(starts[~seen][0])
            missed.append(f"{name} {start} to {start + length:g}")
    if missed:
        return Expectation("object", expected, f"not seen whole at {', '.join(missed)}", holds=False)
    return Expectation("object", expected, "seen whole everywhere", holds=True)


def _side_by_side(found: Sequence[Expectation]) -> list[str]:
    rows = [("", "expected", "measured"), *(line[:3] for line in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    marks = ["", *("" if line.holds else "  <-- differs" for line in found)]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + mark).rstrip()
        for row, mark in zip(rows, marks, strict=True)
    ]


def _lengths(name: str, value: Any, count: int, *, signed: bool = False) -> tuple[float, ...]:
    """One number for each axis."""
    try:
        given = (value,) * count if isinstance(value, (int, float, np.number)) else tuple(value)
        lengths = tuple(float(length) for length in given)
        if isinstance(value, (str, bytes)) or len(lengths) != count or any(not signed and n <= 0 for n in lengths):
            raise ValueError(value)
        if any(np.isnan(lengths)):
            raise ValueError(value)
    except (TypeError, ValueError) as error:
        raise ReceptiveFieldError(
            f"{name} is {_validation.brief(value)}: expected a number of {RANKS[count].unit}, or one for each axis "
            f"{RANKS[count].pair}"
        ) from error
    return lengths


def _times(lengths: Sequence[float]) -> str:
    return " x ".join("unbounded" if np.isinf(length) else f"{length:g}" for length in lengths)
