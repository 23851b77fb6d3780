"""Matplotlib charts of whole networks: growth through depth, effective fields, and things side by side.

As in `rfwidget.plotting`, every function takes and returns Axes and works without a display; colour is never the only
sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rfwidget import _validation
from rfwidget.errors import ReceptiveFieldError
from rfwidget.plotting import axes_for
from rfwidget.survey import Survey

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rfwidget.effective import EffectiveField

SIZE, STRIDE, IDLE = "#0b61a4", "#c25700", "#8a8a8a"
"""Colours of sizes, strides and unproductive layers; they differ in brightness, and for the colour-blind."""

CONTOURS = ((0.5, "-"), (0.95, "--"))
"""Shares of the mass drawn as contours, and their dash patterns."""

_NAMES = 14  # layers that are named on the axis
_DOTTED = 40  # more layers than these are drawn as a line without dots


def plot_survey(
    survey: Survey, *, title: str = "", ax: Axes | None = None, figsize: tuple[float, float] = (9, 5)
) -> Axes:
    """Growth of the receptive field through depth, against the image size and the stride.

    Width and height are drawn apart where they differ. Layers whose fields are unbounded stand above the axis as
    arrows; layers that can gain nothing at this image size stand on grey ground.

    Args:
        survey: what `ReceptiveField.survey` gave.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    from matplotlib.ticker import LogLocator

    ax = axes_for(ax, figsize)
    image = survey.input_shape
    sizes = np.array([row.size for row in survey], dtype=np.float64).reshape(-1, 2)
    strides = np.array([row.stride for row in survey], dtype=np.float64).reshape(-1, 2)
    finite = sizes[np.isfinite(sizes)]
    top = 1.6 * max([image.w, image.h, *finite.tolist()])
    depth = np.arange(len(sizes))
    for axis, (word, line) in enumerate((("width", "-"), ("height", "--"))):
        if axis == 1 and _alike(sizes):
            break
        label = "receptive field" if _alike(sizes) else f"receptive field, {word}"
        drawn = np.where(np.isfinite(sizes[:, axis]), sizes[:, axis], np.nan)
        marker = "o" if len(survey) <= _DOTTED else None
        ax.plot(depth, drawn, line, color=SIZE, marker=marker, markersize=4, linewidth=2, label=label, zorder=3)
        endless = np.isinf(sizes[:, axis])
        if endless.any():
            up = np.full(int(endless.sum()), top / 1.15)
            ax.plot(depth[endless], up, "^", color=SIZE, markersize=5, label="unbounded", zorder=3)
    for axis, (word, line) in enumerate((("x", "-"), ("y", "--"))):
        if axis == 1 and _alike(strides):
            break
        label = "stride" if _alike(strides) else f"stride along {word}"
        ax.step(depth, strides[:, axis], line, where="mid", color=STRIDE, label=label, zorder=2)
    _mark_image(ax, image.w, image.h)
    _shade_idle(ax, survey)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_locator(LogLocator(2, numticks=20))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylim(0.8, top)
    ax.set_xlim(-0.5, max(len(survey) - 0.5, 0.5))
    ax.set_ylabel("pixels")
    ax.grid(axis="y", alpha=0.25)
    title = title or f"{len(survey)} layers on {image.w} x {image.h} pixels"
    ax.set_title(title, loc="left", pad=24, parse_math=False)
    _name_layers(ax, survey.names)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=5, frameon=False, columnspacing=1.4)
    return ax


def plot_effective(
    effective: EffectiveField, *, title: str = "", ax: Axes | None = None, figsize: tuple[float, float] = (7, 6)
) -> Axes:
    """An effective field within the theoretical one, with the contours of 50 and 95 % of the mass.

    Args:
        effective: what `ReceptiveField.effective` gave.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    from matplotlib.colors import PowerNorm

    ax = axes_for(ax, figsize)
    height, width = effective.map.shape
    left, top = -width / 2, -height / 2
    shown = ax.imshow(
        effective.map / effective.map.max(),
        cmap="magma",
        norm=PowerNorm(0.4, 0, 1),
        extent=(left, -left, -top, top),
        interpolation="nearest",
    )
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.04)
    bar.set_label("mean |gradient|, largest = 1")
    handles = [_contour(ax, effective, fraction, dash, (left, top)) for fraction, dash in CONTOURS]
    ratios = effective.ratio
    share = (
        f"{ratios[0]:.0%}"
        if math.isclose(ratios[0], ratios[1], abs_tol=0.005)
        else f"{ratios[0]:.0%} x {ratios[1]:.0%}"
    )
    summary = f"{effective.size.w:g} x {effective.size.h:g} pixels; effective size {share} of that"
    ax.set_title(f"{title}\n{summary}" if title else summary, fontsize="medium", parse_math=False)
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=1, frameon=False)
    ax.set_xlim(left, -left)
    ax.set_ylim(-top, top)
    ax.set_xlabel("x (pixels from the centre)")
    ax.set_ylabel("y (pixels from the centre)")
    return ax


def compare(*things: Any, labels: Sequence[str] | None = None, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Two or more models or layers side by side, on one scale.

    Args:
        things: all of one kind: `Survey` (growth through depth), `EffectiveField`, or computed `ReceptiveField`
            estimators (grids over the image).
        labels: titles; None: none for surveys and effective fields, the layer for estimators.
        axes: drawn into, one for each; a new figure if None.

    Raises:
        ReceptiveFieldError: if there are fewer than two, or they are not of one kind.
    """
    from rfwidget.base import ReceptiveField
    from rfwidget.effective import EffectiveField

    kind = next((k for k in (Survey, EffectiveField, ReceptiveField) if all(isinstance(t, k) for t in things)), None)
    if len(things) < 2 or kind is None:
        raise ReceptiveFieldError(
            f"compare got {[type(thing).__name__ for thing in things]}: expected at least two of one kind, Survey, "
            "EffectiveField or ReceptiveField"
        )
    titles = [""] * len(things) if labels is None else _validation.series("labels", labels, "titles")
    if len(titles) != len(things):
        raise ReceptiveFieldError(f"{len(titles)} labels for {len(things)} things: expected one for each")
    panels = side_by_side(len(things), axes)
    for thing, title, ax in zip(things, titles, panels, strict=True):
        if isinstance(thing, Survey):
            plot_survey(thing, title=title, ax=ax)
        elif isinstance(thing, EffectiveField):
            plot_effective(thing, title=title, ax=ax)
        else:
            thing.plot_rf_grid(ax=ax)
            ax.set_title(title or thing.output_layer, parse_math=False)
    on_one_scale(panels, along="y" if kind is Survey else "xy")
    return panels


def side_by_side(count: int, axes: Sequence[Axes] | None, figsize: tuple[float, float] = (5.5, 5.5)) -> list[Axes]:
    """Axes for some panels: those given, or those of a new figure with panels of ``figsize`` inches.

    Raises:
        ReceptiveFieldError: if there are no panels, or not one of the given Axes for each.
    """
    if count < 1:
        raise ReceptiveFieldError("nothing to draw: give at least one layer")
    if axes is not None:
        given = list(np.ravel(np.asarray(axes, dtype=object)))
        for ax in given:
            _validation.check_axes(ax)
        if len(given) != count:
            raise ReceptiveFieldError(f"{len(given)} axes for {count} panels: expected one for each")
        return given
    import matplotlib.pyplot as plt

    width, height = _validation.figure_size(figsize)
    size = (width * count, height)
    return list(plt.subplots(1, count, figsize=size, layout="constrained", squeeze=False)[1][0])


def on_one_scale(panels: Sequence[Axes], along: str = "xy") -> None:
    """Give panels the same limits, so that lengths can be compared by eye; a reversed axis stays reversed."""
    for axis in along:
        limits = [getattr(ax, f"get_{axis}lim")() for ax in panels]
        low, high = min(min(pair) for pair in limits), max(max(pair) for pair in limits)
        for ax, (first, last) in zip(panels, limits, strict=True):
            getattr(ax, f"set_{axis}lim")((low, high) if first < last else (high, low))


def _alike(pairs: Any) -> bool:
    """Whether both axes have the same numbers throughout."""
    return bool(np.array_equal(pairs[:, 0], pairs[:, 1], equal_nan=True))


def _mark_image(ax: Axes, width: int, height: int) -> None:
    words = [(width, "image")] if width == height else [(width, "image width"), (height, "image height")]
    for length, word in words:
        ax.axhline(length, color="black", linestyle=":", linewidth=1, zorder=1)
        ax.annotate(
            f"{word} {length}", (0.01, length), xycoords=("axes fraction", "data"), va="bottom", fontsize="small"
        )


def _shade_idle(ax: Axes, survey: Survey) -> None:
    """Grey ground under unproductive layers."""
    idle = [place for place, row in enumerate(survey) if all(row.unproductive)]
    runs: list[list[int]] = []
    for place in idle:
        if runs and runs[-1][1] == place - 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    for number, (first, last) in enumerate(runs):
        label = "unproductive" if number == 0 else None
        ax.axvspan(
            first - 0.5, last + 0.5, facecolor=IDLE, alpha=0.22, hatch="//", edgecolor="white", label=label, zorder=0
        )


def _name_layers(ax: Axes, names: Sequence[str]) -> None:
    step = math.ceil(len(names) / _NAMES) or 1
    # The last layer is always named, so places are counted from the end.
    places = list(range(len(names) - 1, -1, -step))
    ax.set_xticks(places, [_plain(names[place]) for place in places], rotation=40, ha="right", fontsize="small")


def _plain(name: str) -> str:
    """A name in which matplotlib finds no mathematics, shortened from the left."""
    short = name if len(name) <= 28 else "..." + name[-25:]
    return short.replace("$", r"\$")


def _contour(ax: Axes, effective: EffectiveField, fraction: float, dash: Any, corner: tuple[float, float]) -> Any:
    """The contour of a share of the mass; returns its entry of the legend."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    lines = [np.concatenate([line, line[:1]]) + corner for line in effective.contour(fraction)]
    ax.add_collection(LineCollection(lines, colors="white", linestyles=dash, linewidths=1.3, zorder=2))
    ratio = effective.contour_ratio(fraction)
    return Line2D([], [], color="0.35", linestyle=dash, label=f"{fraction:.0%} of the mass, {ratio:.1%} of the area")
