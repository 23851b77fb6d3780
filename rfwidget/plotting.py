"""Everything that is drawn with matplotlib: single layers, whole networks, and things side by side.

Every function takes and returns Axes and works without a display; colour is never the only sign.

Matplotlib's ``imshow`` puts the centre of pixel k at k. All geometry here is in pixel edges, so the image is laid into
``extent=(0, width, height, 0)``: then data coordinates *are* pixel edges and every rectangle is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rfwidget import _validation, plotting_lines, plotting_sections
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.image import as_picture
from rfwidget.marks import (
    CORNER_STYLES,
    FIRST,
    Mass,
    axes_for,
    cell_centres,
    corner_cells,
    finite_rect,
    naive_rect,
    normalised_gradient,
)
from rfwidget.ranks import RANKS, measured
from rfwidget.types import GridShape, Rect, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes


SIZE, STRIDE, IDLE = "#0b61a4", "#c25700", "#8a8a8a"
"""Colours of sizes, strides and unproductive layers; they differ in brightness, and for the colour-blind."""

CONTOURS = ((0.5, "-"), (0.95, "--"))
"""Shares of the mass drawn as contours, and their dash patterns."""

_WAYS = (("width", "-"), ("height", "--"), ("depth", ":"))
"""Word and line of the sizes along x, y and z."""

_NAMES = 14  # layers that are named on the axis
_DOTTED = 40  # more layers than these are drawn as a line without dots


class Layer(Protocol):
    """What a chart shows of a layer; a `rfwidget.survey.LayerRow`. Pairs are ``(x, y)``."""

    @property
    def size(self) -> Size:
        """Extent of the receptive field in pixels."""

    @property
    def stride(self) -> tuple[float, ...]:
        """Its shift from one cell to the next, in pixels."""

    @property
    def unproductive(self) -> tuple[bool, ...]:
        """Whether looking further adds nothing."""


class Layers(Protocol):
    """What a chart shows of a network; a `rfwidget.survey.Survey`."""

    @property
    def input_shape(self) -> GridShape:
        """The image."""

    @property
    def names(self) -> list[str]:
        """Names of the layers."""

    def __iter__(self) -> Iterator[Layer]: ...

    def __len__(self) -> int: ...


class Panel(NamedTuple):
    """How a thing is drawn beside others of its kind; every thing that `compare` takes has one as ``_panel``.

    Attributes:
        kind: of things that can stand beside each other.
        along: the axes that share one scale.
        draw: draws it under a title, or under its own if that is empty, into Axes.
    """

    kind: str
    along: str
    draw: Callable[[str, Axes], object]


def plot_gradient(
    gradient: npt.NDArray[Any],
    rect: Rect,
    image_shape: GridShape,
    *,
    image: Any = None,
    title: str = "",
    ax: Axes | None = None,
    figsize: tuple[float, float] = (7, 7),
) -> Axes:
    """A gradient map, normalised, with the cell's receptive field outlined and a colour bar.

    Args:
        gradient: ``(h, w, c)``; ``(l, c)`` of a sequence is drawn as a line below the signal, ``(d, h, w, c)`` of a
            volume as three sections through the centre of the field.
        rect: the receptive field of the cell.
        image_shape: the model's input.
        image: shown faintly underneath, if given.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    ax = axes_for(ax, figsize)
    if len(rect.edges) == 1:
        return plotting_lines.plot_gradient(ax, gradient, rect, image_shape, image, title)
    if len(rect.edges) == 3:
        return plotting_sections.plot_gradient(ax, gradient, rect, image_shape, image, title)
    extent = (0, image_shape.w, image_shape.h, 0)
    values = normalised_gradient(gradient)
    alpha: Any = 1.0
    if image is not None:
        ax.imshow(as_picture(image).mean(axis=2), cmap="gray", extent=extent, vmin=0, vmax=255)
        alpha = 0.75
    shown = ax.imshow(values, cmap="coolwarm", vmin=-1, vmax=1, extent=extent, alpha=alpha, interpolation="nearest")
    _outline(ax, finite_rect(rect, image_shape), "black", "-", "receptive field")
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.04)
    bar.set_label("gradient (normalised)")
    ax.set_title(title, parse_math=False)
    ax.legend(loc="upper right", framealpha=0.9)
    _frame(ax, image_shape, [finite_rect(rect, image_shape)])
    return ax


def plot_grid(
    field: FieldGeometry,
    image_shape: GridShape,
    grid: Size,
    image: Any,
    *,
    plot_naive_rf: bool = False,
    title: str = "",
    ax: Axes | None = None,
    figsize: tuple[float, float] = (6, 6),
) -> Axes:
    """The output grid over the image: centres of all cells, and the fields of the first, central and last cell.

    Of a sequence they are intervals below the signal; of a volume boxes in three sections through the centre of the
    central cell's field.

    Args:
        field: receptive fields of all cells.
        image_shape: the model's input.
        grid: the layer's grid.
        image: the picture underneath, of the size of the input.
        plot_naive_rf: also draw where the three cells would be if the grid were stretched linearly over the image.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    ax = axes_for(ax, figsize)
    if len(grid) == 1:
        return plotting_lines.plot_grid(ax, field, image_shape, grid, image, title, naive=plot_naive_rf)
    if len(grid) == 3:
        return plotting_sections.plot_grid(ax, field, image_shape, grid, image, title, naive=plot_naive_rf)
    ax.imshow(as_picture(image), extent=(0, image_shape.w, image_shape.h, 0), interpolation="nearest")
    xs, ys = np.meshgrid(*cell_centres(field, grid))
    dot = float(np.clip(130 / max(grid), 1.5, 4))  # points; dots of a fine grid must not hide the image
    ax.plot(xs.ravel(), ys.ravel(), ".", color="limegreen", markersize=dot, label="centres", zorder=2)
    rects = []
    for point, (colour, dash, word) in zip(corner_cells(grid), CORNER_STYLES, strict=True):
        rect = finite_rect(field.rect(point), image_shape)
        rects.append(rect)
        _outline(ax, rect, colour, dash, f"{word} cell {tuple(point)}")
        centre = (field.x.centre_at(point.x), field.y.centre_at(point.y))
        ax.plot(*centre, "o", color=colour, markeredgecolor="white", markersize=7, zorder=4)
        if plot_naive_rf:
            naive = naive_rect(point, image_shape, grid)
            _outline(ax, naive, colour, ":", "naive" if colour == FIRST else None, width=1.2)
    ax.set_title(title, parse_math=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)
    _frame(ax, image_shape, rects)
    return ax


def plot_survey(
    survey: Layers, *, title: str = "", ax: Axes | None = None, figsize: tuple[float, float] = (9, 5)
) -> Axes:
    """Growth of the receptive field through the layers, against the image size and the stride.

    Width, height and depth are drawn apart where they differ. Layers whose fields are unbounded stand above the axis as
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
    axes = len(image.size)
    sizes = np.array([row.size for row in survey], dtype=np.float64).reshape(-1, axes)
    strides = np.array([row.stride for row in survey], dtype=np.float64).reshape(-1, axes)
    finite = sizes[np.isfinite(sizes)]
    top = 1.6 * max([*image.size, *finite.tolist()])
    depth = np.arange(len(sizes))
    for axis, (word, line) in enumerate(_WAYS[:axes]):
        if axis and _alike(sizes):
            break
        label = "receptive field" if _alike(sizes) else f"receptive field, {word}"
        drawn = np.where(np.isfinite(sizes[:, axis]), sizes[:, axis], np.nan)
        marker = "o" if len(survey) <= _DOTTED else None
        ax.plot(depth, drawn, line, color=SIZE, marker=marker, markersize=4, linewidth=2, label=label, zorder=3)
        endless = np.isinf(sizes[:, axis])
        if endless.any():
            up = np.full(int(endless.sum()), top / 1.15)
            ax.plot(depth[endless], up, "^", color=SIZE, markersize=5, label="unbounded", zorder=3)
    for axis, (name, (_, line)) in enumerate(zip("xyz", _WAYS[:axes], strict=False)):
        if axis and _alike(strides):
            break
        label = "stride" if _alike(strides) else f"stride along {name}"
        ax.step(depth, strides[:, axis], line, where="mid", color=STRIDE, label=label, zorder=2)
    _mark_image(ax, image.size)
    _shade_idle(ax, survey)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_locator(LogLocator(2, numticks=20))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_ylim(0.8, top)
    ax.set_xlim(-0.5, max(len(survey) - 0.5, 0.5))
    ax.set_ylabel(RANKS[axes].unit)
    ax.grid(axis="y", alpha=0.25)
    title = title or f"{len(survey)} layers on {measured(image.size, by=' x ')}"
    columns = 5 if len(ax.get_legend_handles_labels()[0]) <= 5 else 3  # of volumes there may be two rows
    ax.set_title(title, loc="left", pad=24 if columns == 5 else 40, parse_math=False)
    _name_layers(ax, survey.names)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=columns, frameon=False, columnspacing=1.4)
    return ax


def plot_effective(
    effective: Mass, *, title: str = "", ax: Axes | None = None, figsize: tuple[float, float] = (7, 6)
) -> Axes:
    """An effective field within the theoretical one, with the contours of 50 and 95 % of the mass.

    Of a sequence it is a line over the samples that hold 50 and 95 % of the mass; of a volume three sections through
    the centre of the mass.

    Args:
        effective: what `ReceptiveField.effective` gave.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    from matplotlib.colors import PowerNorm

    ax = axes_for(ax, figsize)
    if effective.map.ndim == 1:
        return plotting_lines.plot_effective(ax, effective, CONTOURS, title)
    if effective.map.ndim == 3:
        return plotting_sections.plot_effective(ax, effective, title)
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
    panels: list[Any] = [getattr(thing, "_panel", None) for thing in things]
    kinds = {panel.kind if isinstance(panel, Panel) else None for panel in panels}
    if len(things) < 2 or len(kinds) > 1 or None in kinds:
        raise ReceptiveFieldError(
            f"compare got {[type(thing).__name__ for thing in things]}: expected at least two of one kind, Survey, "
            "EffectiveField or ReceptiveField"
        )
    titles = [""] * len(things) if labels is None else _validation.series("labels", labels, "titles")
    if len(titles) != len(things):
        raise ReceptiveFieldError(f"{len(titles)} labels for {len(things)} things: expected one for each")
    drawn_into = side_by_side(len(things), axes)
    for panel, title, ax in zip(panels, titles, drawn_into, strict=True):
        panel.draw(title, ax)
    on_one_scale(drawn_into, along=panels[0].along)
    return drawn_into


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


def _outline(ax: Axes, rect: Rect, colour: str, dash: str, label: str | None, width: float = 2.0) -> None:
    from matplotlib.patches import Rectangle

    corner, size = (rect.left, rect.top), rect.size
    ax.add_patch(
        Rectangle(
            corner, size.w, size.h, fill=False, edgecolor=colour, linestyle=dash, linewidth=width, label=label, zorder=3
        )
    )


def _frame(ax: Axes, image_shape: GridShape, rects: list[Rect]) -> None:
    """Show the whole image and every rectangle, with a thin line where the image ends if something overhangs it."""
    left = min([0.0, *(rect.left for rect in rects)])
    top = min([0.0, *(rect.top for rect in rects)])
    right = max([float(image_shape.w), *(rect.right for rect in rects)])
    bottom = max([float(image_shape.h), *(rect.bottom for rect in rects)])
    pad = 0.01 * max(right - left, bottom - top)
    ax.set_xlim(left - pad, right + pad)
    ax.set_ylim(bottom + pad, top - pad)
    ax.set_aspect("equal")
    ax.set_xlabel("x (pixels)")
    ax.set_ylabel("y (pixels)")
    if left < 0 or top < 0 or right > image_shape.w or bottom > image_shape.h:
        _outline(ax, Rect(0, 0, image_shape.w, image_shape.h), "0.5", "-", None, width=0.8)


def _alike(pairs: Any) -> bool:
    """Whether all axes have the same numbers throughout."""
    return all(np.array_equal(pairs[:, 0], other, equal_nan=True) for other in pairs.T[1:])


def _mark_image(ax: Axes, size: Size) -> None:
    thing = RANKS[len(size)].thing
    words = [(length, f"{thing} {word}") for length, (word, _) in zip(size, _WAYS, strict=False)]
    words = words if len(set(size)) > 1 else [(size[0], thing)]
    for length, word in words:
        ax.axhline(length, color="black", linestyle=":", linewidth=1, zorder=1)
        ax.annotate(
            f"{word} {length:g}", (0.01, length), xycoords=("axes fraction", "data"), va="bottom", fontsize="small"
        )


def _shade_idle(ax: Axes, survey: Layers) -> None:
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
    ax.set_xticks(places, [_safe(names[place]) for place in places], rotation=40, ha="right", fontsize="small")


def _safe(name: str) -> str:
    """A name in which matplotlib finds no mathematics, shortened from the left."""
    short = name if len(name) <= 28 else "..." + name[-25:]
    return short.replace("$", r"\$")


def _contour(ax: Axes, effective: Mass, fraction: float, dash: Any, corner: tuple[float, float]) -> Any:
    """The contour of a share of the mass; returns its entry of the legend."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    lines = [np.concatenate([line, line[:1]]) + corner for line in effective.contour(fraction)]
    ax.add_collection(LineCollection(lines, colors="white", linestyles=dash, linewidths=1.3, zorder=2))
    ratio = effective.contour_ratio(fraction)
    return Line2D([], [], color="0.35", linestyle=dash, label=f"{fraction:.0%} of the mass, {ratio:.1%} of the area")
