"""Pictures of volumes: three orthogonal sections through one point, with what cells see as outlines of boxes.

Every function draws into the given Axes, which become the frame of three of their own: x and y at the top left, z and y
to the right of it, x and z below it, all on one scale. Voxel k covers the interval [k, k + 1) along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget.geometry import FieldGeometry
from rfwidget.marks import CORNER_STYLES, Mass, cell_centres, corner_cells, finite_rect, naive_rect, normalised_gradient
from rfwidget.types import GridShape, Rect, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 0.12
"""Space between sections, as a share of the frame."""


class Section(NamedTuple):
    """One section of a volume.

    Attributes:
        ax: where it is drawn.
        across: the axis that goes to the right: 0 for x, 2 for z.
        down: the axis that goes down.
        through: the axis that is cut.
        at: where it is cut, in voxels.
    """

    ax: Axes
    across: int
    down: int
    through: int
    at: float

    def slice(self, volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What is seen of a volume ``(d, h, w)``, rows down."""
        length = volume.shape[2 - self.through]
        plane: npt.NDArray[Any] = np.moveaxis(volume, 2 - self.through, 0)[min(max(int(self.at), 0), length - 1)]
        left = [axis for axis in (2, 1, 0) if axis != self.through]  # axes of the plane, in the order of arrays
        return plane if left == [self.down, self.across] else plane.T

    def show(self, volume: npt.NDArray[Any], **look: Any) -> Any:
        """Draw what is seen of a volume ``(d, h, w)``."""
        plane = self.slice(volume)
        extent = (0, plane.shape[1], plane.shape[0], 0)
        return self.ax.imshow(plane, extent=extent, interpolation="nearest", **look)

    def outline(self, box: Rect, colour: str, dash: str, label: str | None, width: float = 2.0) -> None:
        """Draw the outline of a box; thin where the section does not meet it."""
        from matplotlib.patches import Rectangle

        low, high = box.edges[self.through]
        meets = low <= self.at <= high
        (left, right), (top, bottom) = box.edges[self.across], box.edges[self.down]
        patch = Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linestyle=dash, label=label,
            linewidth=width if meets else width / 2, alpha=1.0 if meets else 0.7, zorder=3,
        )  # fmt: skip
        self.ax.add_patch(patch)


def plot_gradient(ax: Axes, gradient: npt.NDArray[Any], rect: Rect, shape: GridShape, image: Any, title: str) -> Axes:
    """Sections of a gradient map through the centre of a cell's receptive field, which is outlined.

    Args:
        ax: drawn into.
        gradient: ``(d, h, w, c)``.
        rect: the receptive field of the cell.
        shape: of the model's input.
        image: the volume ``(d, h, w, c)``, shown faintly underneath, if given.
        title: of the axes.
    """
    box = finite_rect(rect, shape)
    values = normalised_gradient(gradient)
    sections = _sections(ax, title, shape, [box], box.center)
    for section in sections:
        if image is not None:
            section.show(_grey(image), cmap="gray", vmin=0, vmax=1)
        shown = section.show(values, cmap="coolwarm", vmin=-1, vmax=1, alpha=1.0 if image is None else 0.75)
        section.outline(box, "black", "-", "receptive field")
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.04)
    bar.set_label("gradient (normalised)")
    _legend(ax, sections)
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
    """Sections of a volume through the centre of the central cell's receptive field, with the boxes of three cells.

    Args:
        ax: drawn into.
        field: receptive fields of all cells.
        shape: of the model's input.
        grid: the layer's grid.
        image: the volume ``(d, h, w, c)``.
        title: of the axes.
        naive: also draw where the three cells would be if the grid were stretched linearly over the volume.
    """
    cells = corner_cells(grid)
    boxes = [finite_rect(field.rect(cell), shape) for cell in cells]
    sections = _sections(ax, title, shape, boxes, boxes[1].center)
    centres = cell_centres(field, grid)
    dot = float(np.clip(100 / max(grid), 1.0, 3.5))
    for section in sections:
        section.show(_grey(image), cmap="gray", vmin=0, vmax=1)
        across, down = np.meshgrid(centres[section.across], centres[section.down])
        section.ax.plot(across.ravel(), down.ravel(), ".", color="limegreen", markersize=dot, label="centres", zorder=2)
        for cell, box, (colour, dash, word) in zip(cells, boxes, CORNER_STYLES, strict=True):
            section.outline(box, colour, dash, f"{word} cell {tuple(cell)}")
            if naive:
                section.outline(naive_rect(cell, shape, grid), colour, ":", "naive" if word == "first" else None, 1.2)
    _legend(ax, sections)
    return ax


def plot_effective(ax: Axes, effective: Mass, title: str) -> Axes:
    """Sections of an effective field through the centre of its mass.

    Args:
        ax: drawn into.
        effective: the field.
        title: of the axes.
    """
    from matplotlib.colors import PowerNorm

    depth, height, width = effective.map.shape
    shape = GridShape(None, width, height, depth, 1)
    ratio = " x ".join(f"{share:.0%}" for share in effective.ratio)
    size = " x ".join(f"{length:g}" for length in effective.size)
    summary = f"{size} voxels; effective size {ratio} of that"
    sections = _sections(ax, f"{title}\n{summary}" if title else summary, shape, [], effective.center)
    values = effective.map / effective.map.max()
    for section in sections:
        shown = section.show(values, cmap="magma", norm=PowerNorm(0.4, 0, 1))
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.046, pad=0.04)
    bar.set_label("mean |gradient|, largest = 1")
    return ax


def _sections(ax: Axes, title: str, shape: GridShape, boxes: Sequence[Rect], centre: Sequence[float]) -> list[Section]:
    """Three sections through a point, with room for the volume and all boxes."""
    ax.set_axis_off()
    ax.set_title(title, parse_math=False, fontsize="medium")
    ranges = list(_ranges(shape, boxes))
    lengths = [high - low for low, high in ranges]
    # All on one scale: side by side x and z, one below the other y and z.
    share = 1 - _GAP
    wide, high = (share * lengths[0] / (lengths[0] + lengths[2])), (share * lengths[1] / (lengths[1] + lengths[2]))
    places = (
        (0, 1, 2, (0.0, 1 - high, wide, high)),
        (2, 1, 0, (wide + _GAP, 1 - high, share - wide, high)),
        (0, 2, 1, (0.0, 0.0, wide, share - high)),
    )
    ax.set_aspect((lengths[1] + lengths[2]) / (lengths[0] + lengths[2]))
    sections = []
    for across, down, through, bounds in places:
        inner = ax.inset_axes(bounds)
        inner.set_xlim(*ranges[across])
        inner.set_ylim(*reversed(ranges[down]))
        inner.set_autoscale_on(False)
        inner.set_xlabel(f"{'xyz'[across]} (voxels)")
        inner.set_ylabel(f"{'xyz'[down]} (voxels)")
        at = min(max(centre[through], 0.0), float(shape.size[through]) - 0.5)
        where = f"{'xyz'[through]} = {at:.4g}"
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
        inner.text(0.02, 0.97, where, transform=inner.transAxes, va="top", fontsize="small", bbox=box, zorder=5)
        sections.append(Section(inner, across, down, through, at))
    return sections


def _ranges(shape: GridShape, boxes: Sequence[Rect]) -> Iterator[tuple[float, float]]:
    """What is shown along x, y and z: the volume, every box, and a little more."""
    for axis, length in enumerate(shape.size):
        low = min([0.0, *(box.edges[axis][0] for box in boxes)])
        high = max([float(length), *(box.edges[axis][1] for box in boxes)])
        pad = 0.02 * (high - low)
        yield low - pad, high + pad


def _legend(ax: Axes, sections: Sequence[Section]) -> None:
    """In the corner that no section takes."""
    handles, labels = sections[0].ax.get_legend_handles_labels()
    ax.legend(handles, labels, loc="lower right", frameon=False, fontsize="small")


def _grey(image: Any) -> npt.NDArray[np.float64]:
    """A volume ``(d, h, w, c)`` as brightness 0..1."""
    values = np.asarray(image, np.float64)
    values = values.mean(axis=-1) if values.ndim == 4 else values
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1.0)
