"""Outlines of the effective receptive field, for the browser to draw at any cell (js/contours.ts)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget.effective import EffectiveField

SHARES = (0.5, 0.95)
"""Shares of the gradient's mass that are outlined."""

_GRAIN = 1 / 12
"""A map is smoothed over its stride, or over this part of its size: outlines of single pixels cannot be read."""

# Steps along a pixel's edges, with the pixel on the right hand: along its top, down its right edge, ...
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def plain_contours(effective: EffectiveField) -> dict[str, Any]:
    """Outlines as `Contours` in js/model.ts: where they begin for a cell, and closed lines for each of `SHARES`."""
    smooth = effective.map
    for axis, frame in ((1, effective.frames[0]), (0, effective.frames[1])):
        smooth = _smoothed(smooth, max(frame.stride, frame.size * _GRAIN), axis)
    outlined = effective._replace(map=smooth)
    x, y = ({"start": float(frame.start), "stride": float(frame.stride)} for frame in effective.frames)
    return {
        "x": x,
        "y": y,
        "levels": [{"share": share, "loops": outline(outlined.mask(share))} for share in SHARES],
    }


def outline(mask: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Borders of the True pixels of a map ``(h, w)`` as closed lines along pixel edges.

    Args:
        mask: the pixels; those that touch at a corner only are apart.

    Returns:
        Corners of each line, x, y, x, y, ...; holes have lines of their own.

    >>> outline(np.array([[0, 1, 1], [0, 0, 0]], bool))
    [[1, 0, 3, 0, 3, 1, 1, 1]]
    """
    leaving = _edges(mask)
    loops = []
    while leaving:
        start = next(iter(leaving))
        loops.append(_walk(leaving, start, leaving[start][0]))
    return loops


def _edges(mask: npt.NDArray[np.bool_]) -> dict[tuple[int, int], list[int]]:
    """Numbers of the `_STEPS` that leave each corner along the border of the mask, row by row."""
    inside = np.pad(mask, 1)
    leaving: dict[tuple[int, int], list[int]] = {}
    # Seen from a pixel: where the neighbour lies behind an edge, and where the step along the edge begins.
    sides = (((-1, 0), (0, 0)), ((0, 1), (1, 0)), ((1, 0), (1, 1)), ((0, -1), (0, 1)))
    for step, ((down, right), (dx, dy)) in enumerate(sides):
        border = inside & ~np.roll(inside, (-down, -right), (0, 1))
        for y, x in np.argwhere(border[1:-1, 1:-1]).tolist():
            leaving.setdefault((x + dx, y + dy), []).append(step)
    return leaving


def _walk(leaving: dict[tuple[int, int], list[int]], start: tuple[int, int], step: int) -> list[int]:
    """One closed line; its steps are taken out of ``leaving``."""
    corners: list[int] = []
    at, before = start, None
    while at in leaving:
        choices = leaving[at]
        # Where two lines cross, the right turn stays with its pixel.
        if before is not None:
            step = next(turn % 4 for turn in (before + 1, before, before - 1) if turn % 4 in choices)
        choices.remove(step)
        if not choices:
            del leaving[at]
        if step != before:
            corners += at
        at, before = (at[0] + _STEPS[step][0], at[1] + _STEPS[step][1]), step
        if at == start:
            break
    return corners


def _smoothed(values: npt.NDArray[np.float64], width: float, axis: int) -> npt.NDArray[np.float64]:
    """Moving mean over an odd number of pixels along an axis, not beyond the map."""
    half = min(int(width), values.shape[axis]) // 2
    if half < 1:
        return values
    sums = np.cumsum(np.pad(values, [(half + 1, half) if k == axis else (0, 0) for k in (0, 1)]), axis=axis)
    taken = np.arange(values.shape[axis])
    smooth: npt.NDArray[np.float64] = np.take(sums, taken + 2 * half + 1, axis) - np.take(sums, taken, axis)
    return np.maximum(smooth, 0.0)
