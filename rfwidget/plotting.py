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

from rfwidget import _validation
from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.image import as_picture
from rfwidget.types import GridPoint, GridShape, Rect, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes


FIRST, CENTRAL, LAST = "red", "blue", "green"
"""Colours of the first (top left), the central and the last (bottom right) cell."""

CORNER_STYLES = ((FIRST, "-", "first"), (CENTRAL, "--", "central"), (LAST, "-.", "last"))
"""Colour, dash pattern and word for the three cells: colour is never the only sign."""

SIZE, STRIDE, IDLE = "#0b61a4", "#c25700", "#8a8a8a"
"""Colours of sizes, strides and unproductive layers; they differ in brightness, and for the colour-blind."""

CONTOURS = ((0.5, "-"), (0.95, "--"))
"""Shares of the mass drawn as contours, and their dash patterns."""

_NAMES = 14  # layers that are named on the axis
_DOTTED = 40  # more layers than these are drawn as a line without dots


class Layer(Protocol):
    """What a chart shows of a layer; a `rfwidget.survey.LayerRow`. Pairs are ``(x, y)``."""

    @property
    def size(self) -> Size:
        """Extent of the receptive field in pixels."""

    @property
    def stride(self) -> tuple[float, float]:
        """Its shift from one cell to the next, in pixels."""

    @property
    def unproductive(self) -> tuple[bool, bool]:
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


class Mass(Protocol):
    """What a picture shows of a mass within a field; a `rfwidget.effective.EffectiveField`."""

    @property
    def map(self) -> npt.NDArray[np.float64]:
        """The mass of each pixel."""

    @property
    def size(self) -> Size:
        """Extent of the theoretical field."""

    @property
    def ratio(self) -> tuple[float, float]:
        """Effective by theoretical size along ``(x, y)``."""

    def contour(self, fraction: float) -> list[npt.NDArray[np.int64]]:
        """Closed lines around a share of the mass."""

    def contour_ratio(self, fraction: float) -> float:
        """Share of the field's area inside them."""


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


def corner_cells(grid: Size) -> tuple[GridPoint, GridPoint, GridPoint]:
    """First, central and last cell of a grid.

    >>> corner_cells(Size(16, 9))
    (GridPoint(x=0, y=0), GridPoint(x=8, y=4), GridPoint(x=15, y=8))
    """
    w, h = int(grid.w), int(grid.h)
    return GridPoint(0, 0), GridPoint(w // 2, h // 2), GridPoint(w - 1, h - 1)


def normalised_gradient(gradient: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A gradient map as one signed value per pixel in -1..1: the mean over channels, by its largest magnitude.

    Args:
        gradient: ``(h, w, c)``.
    """
    values: npt.NDArray[np.float64] = gradient.astype(np.float64).mean(axis=2)
    peak = float(np.abs(values).max(initial=0.0))
    return values / peak if peak > 0 else values


def finite_rect(rect: Rect, image: GridShape) -> Rect:
    """The rectangle with infinite edges brought to those of the image, so that it can be drawn."""
    return Rect(
        rect.left if np.isfinite(rect.left) else 0,
        rect.top if np.isfinite(rect.top) else 0,
        rect.right if np.isfinite(rect.right) else image.w,
        rect.bottom if np.isfinite(rect.bottom) else image.h,
    )


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
        gradient: ``(h, w, c)``.
        rect: the receptive field of the cell.
        image_shape: the model's input.
        image: shown faintly underneath, if given.
        title: of the axes.
        ax: drawn into; a new figure of ``figsize`` inches if None.
        figsize: width and height of a new figure in inches.
    """
    ax = axes_for(ax, figsize)
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
    ax.imshow(as_picture(image), extent=(0, image_shape.w, image_shape.h, 0), interpolation="nearest")
    xs, ys = np.meshgrid(*cell_centres(field, grid))
    dot = float(np.clip(130 / max(grid), 1.5, 4))  # points; dots of a fine grid must not hide the image
    ax.plot(xs.ravel(), ys.ravel(), ".", color="limegreen", markersize=dot, label="centres", zorder=2)
    rects = []
    for point, (colour, dash, word) in zip(corner_cells(grid), CORNER_STYLES, strict=True):
        rect = finite_rect(field.rect(point), image_shape)
        rects.append(rect)
        _outline(ax, rect, colour, dash, f"{word} cell ({point.x}, {point.y})")
        centre = (field.x.centre_at(point.x), field.y.centre_at(point.y))
        ax.plot(*centre, "o", color=colour, markeredgecolor="white", markersize=7, zorder=4)
        if plot_naive_rf:
            naive = naive_rect(point, image_shape, grid)
            _outline(ax, naive, colour, ":", "naive" if colour == FIRST else None, width=1.2)
    ax.set_title(title, parse_math=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)
    _frame(ax, image_shape, rects)
    return ax


def cell_centres(field: FieldGeometry, grid: Size) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centres of the receptive fields of all columns and of all rows, in pixels."""
    columns, rows = (
        np.array([axis.centre_at(cell) for cell in range(int(cells))], dtype=np.float64)
        for axis, cells in zip(field, grid, strict=True)
    )
    return columns, rows


def naive_rect(point: GridPoint, image_shape: GridShape, grid: Size) -> Rect:
    """The part of the image that a cell would see if the grid were stretched linearly over it."""
    w, h = image_shape.w / grid.w, image_shape.h / grid.h
    return Rect(point.x * w, point.y * h, (point.x + 1) * w, (point.y + 1) * h)


def axes_for(ax: Axes | None, figsize: tuple[float, float]) -> Axes:
    """The given Axes, or those of a new figure of ``figsize`` inches."""
    _validation.check_axes(ax)
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=_validation.figure_size(figsize), layout="constrained")[1]


def plot_survey(
    survey: Layers, *, title: str = "", ax: Axes | None = None, figsize: tuple[float, float] = (9, 5)
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
    effective: Mass, *, title: str = "", ax: Axes | None = None, figsize: tuple[float, float] = (7, 6)
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
    """Whether both axes have the same numbers throughout."""
    return bool(np.array_equal(pairs[:, 0], pairs[:, 1], equal_nan=True))


def _mark_image(ax: Axes, width: int, height: int) -> None:
    words = [(width, "image")] if width == height else [(width, "image width"), (height, "image height")]
    for length, word in words:
        ax.axhline(length, color="black", linestyle=":", linewidth=1, zorder=1)
        ax.annotate(
            f"{word} {length}", (0.01, length), xycoords=("axes fraction", "data"), va="bottom", fontsize="small"
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
