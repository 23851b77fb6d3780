"""Pictures of sequences: the signal, what cells see of it as intervals, and gradients below it.

Every function draws into the given Axes, which become the frame of two of their own, one below the other. Sample k
covers the interval [k, k + 1), so its value stands at k + 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rfwidget.geometry import FieldGeometry
from rfwidget.marks import CORNER_STYLES, Mass, cell_centres, corner_cells, finite_rect, naive_rect
from rfwidget.types import GridShape, Rect, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LINES = 6
"""Channels of a signal that are drawn as lines; more are an image with a row for each."""

_MOST_POINTS = 4000
"""Points of a line; of longer signals each point is the lowest or the highest of some samples."""

_MOST_TICKS = 400
"""Centres of cells that are drawn one by one."""


def plot_gradient(ax: Axes, gradient: npt.NDArray[Any], rect: Rect, shape: GridShape, image: Any, title: str) -> Axes:
    """The signal with a cell's interval, and the gradient of each sample below it.

    Args:
        ax: drawn into.
        gradient: ``(l, c)``.
        rect: the receptive field of the cell.
        shape: of the model's input.
        image: the signal ``(l, c)``; None: the gradient alone.
        title: of the axes.
    """
    upper, lower = _frames(ax, title, 0.45 if image is not None else 0.0)
    span = finite_rect(rect, shape)
    if upper is not None:
        _draw_signal(upper, np.asarray(image))
        upper.axvspan(span.left, span.right, color="black", alpha=0.12, label="receptive field")
        upper.legend(loc="upper right", framealpha=0.9)
    values = gradient.astype(np.float64)
    values /= np.abs(values).max(initial=0.0) or 1.0
    lower.axvspan(span.left, span.right, color="black", alpha=0.12)
    lower.axhline(0, color="0.6", linewidth=0.8)
    _draw_signal(lower, values, cmap="coolwarm", vmin=-1, vmax=1)
    lower.set_ylabel("gradient\n(normalised)" if values.shape[1] <= _MOST_LINES else "channel")
    _limit([frame for frame in (upper, lower) if frame is not None], [span], shape)
    return ax


def plot_grid(
    ax: Axes,
    field: FieldGeometry,
    shape: GridShape,
    grid: Size,
    image: Any,
    title: str,
    *,
    naive: bool = False,
) -> Axes:
    """The signal, and below it the intervals of the first, central and last cell over the centres of all cells.

    Args:
        ax: drawn into.
        field: receptive fields of all cells.
        shape: of the model's input.
        grid: the layer's grid.
        image: the signal ``(l, c)``.
        title: of the axes.
        naive: also draw where the three cells would be if the grid were stretched linearly over the signal.
    """
    upper, lower = _frames(ax, title, 0.5)
    if upper is not None:
        _draw_signal(upper, np.asarray(image))
    spans = []
    for lane, (point, (colour, dash, word)) in enumerate(zip(corner_cells(grid), CORNER_STYLES, strict=True)):
        rect = field.rect(point)
        span = finite_rect(rect, shape)
        spans.append(span)
        height = 3.0 - lane
        lower.plot(
            [span.left, span.right], [height] * 2, dash, color=colour, linewidth=3, label=f"{word} cell {point.x}"
        )
        for edge, given, end in ((span.left, rect.left, "<"), (span.right, rect.right, ">")):
            mark = "|" if np.isfinite(given) else end  # an arrow where the interval goes on
            lower.plot(edge, height, mark, color=colour, markersize=12 if mark == "|" else 8, markeredgewidth=2)
        if naive:
            small = naive_rect(point, shape, grid)
            lower.plot([small.left, small.right], [height - 0.3] * 2, ":", color=colour, linewidth=2,
                       label="naive" if lane == 0 else None)  # fmt: skip
        if upper is not None:
            upper.axvspan(span.left, span.right, color=colour, alpha=0.1)
    (centres,) = cell_centres(field, grid)
    shown = centres[:: max(1, len(centres) // _MOST_TICKS)]
    lower.plot(shown, np.zeros_like(shown), "|", color="limegreen", markersize=8, label="centres")
    lower.set_ylim(-0.7, 3.7)
    lower.set_yticks([])
    lower.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=4, frameon=False)
    _limit([frame for frame in (upper, lower) if frame is not None], spans, shape)
    return ax


def plot_effective(ax: Axes, effective: Mass, shares: Sequence[tuple[float, Any]], title: str) -> Axes:
    """An effective field along the theoretical one, over the samples that hold most of the mass.

    Args:
        ax: drawn into.
        effective: the field.
        shares: of the mass that are marked, the smallest first.
        title: of the axes.
    """
    values = effective.map / effective.map.max()
    places = np.arange(len(values) + 1) - len(values) / 2
    for (fraction, _), colour in zip(reversed(shares), ("#9cc3e6", "#0b61a4"), strict=False):
        held = np.where(effective.mask(fraction), values, 0)
        label = f"{fraction:.0%} of the mass, {effective.area_ratio(fraction):.1%} of the length"
        ax.stairs(held, places, fill=True, color=colour, label=label)
    ax.stairs(values, places, color="black", linewidth=0.8)
    summary = f"{effective.size.w:g} samples; effective size {effective.ratio[0]:.0%} of that"
    ax.set_title(f"{title}\n{summary}" if title else summary, fontsize="medium", parse_math=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=1, frameon=False)
    ax.set_xlim(places[0], places[-1])
    ax.set_ylim(0, 1.05)
    ax.set_xlabel("x (samples from the centre)")
    ax.set_ylabel("mean |gradient|, largest = 1")
    return ax


def _frames(ax: Axes, title: str, share: float) -> tuple[Axes | None, Axes]:
    """Two Axes in place of one, the upper one with a share of the height; None: it has none."""
    ax.set_axis_off()
    ax.set_title(title, parse_math=False)
    if not share:
        return None, ax.inset_axes((0.0, 0.0, 1.0, 1.0))
    upper = ax.inset_axes((0.0, 1 - share, 1.0, share))
    lower = ax.inset_axes((0.0, 0.0, 1.0, 1 - share - 0.06), sharex=upper)
    upper.tick_params(labelbottom=False)
    return upper, lower


def _limit(frames: Sequence[Axes], spans: Sequence[Rect], shape: GridShape) -> None:
    """Show the whole signal and every interval, with a thin line where the signal ends if something overhangs it."""
    left = min([0.0, *(span.left for span in spans)])
    right = max([float(shape.w), *(span.right for span in spans)])
    pad = 0.01 * (right - left)
    for frame in frames:
        frame.set_xlim(left - pad, right + pad)
        if left < 0 or right > shape.w:
            frame.axvline(0, color="0.5", linewidth=0.8)
            frame.axvline(shape.w, color="0.5", linewidth=0.8)
    frames[-1].set_xlabel("x (samples)")


def _draw_signal(ax: Axes, signal: npt.NDArray[Any], cmap: str = "cividis", **colours: Any) -> None:
    """A line for each channel, or an image of many channels, in colours."""
    values = signal[:, None] if signal.ndim == 1 else signal
    length, channels = values.shape
    if channels > _MOST_LINES:
        ax.imshow(
            values.T, aspect="auto", extent=(0, length, channels, 0), cmap=cmap, interpolation="nearest", **colours
        )
        ax.set_ylabel("channel")
        return
    step = -(-2 * length // _MOST_POINTS)
    for channel in range(channels):
        line = values[:, channel].astype(np.float64)
        places = np.arange(length) + 0.5
        if step > 2:  # both ends of every bunch of samples: no peak is lost
            whole = length // step * step
            bunches = line[:whole].reshape(-1, step)
            line = np.stack([bunches.min(axis=1), bunches.max(axis=1)], axis=1).ravel()
            places = np.repeat(np.arange(0, whole, step) + step / 2, 2)
        ax.plot(places, line, color=_LINES[channel], linewidth=0.9)


_LINES = ("#333333", "#0b61a4", "#c25700", "#2e7d32", "#7b1fa2", "#8a8a8a")
"""Colours of the channels."""
