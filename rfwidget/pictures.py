"""The estimator's pictures: each method gathers what is known and hands it to a function of `rfwidget.plotting`.

`Pictures` is the part of `rfwidget.base.ReceptiveField` that draws; it holds nothing of its own. Matplotlib loads when
a picture is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rfwidget import _validation
from rfwidget._validation import cell_inside
from rfwidget.image import as_model_input, default_input
from rfwidget.types import Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rfwidget.effective import EffectiveField
    from rfwidget.geometry import FieldGeometry
    from rfwidget.survey import Survey
    from rfwidget.types import GridShape


class Estimator(Protocol):
    """What the pictures ask of an estimator."""

    @property
    def input_layer(self) -> str:
        """Name of the image input."""

    @property
    def output_layer(self) -> str:
        """Name of the measured layer."""

    @property
    def input_shape(self) -> GridShape:
        """Shape of the image."""

    @property
    def output_shape(self) -> GridShape:
        """Grid of the layer."""

    @property
    def field(self) -> FieldGeometry:
        """Receptive fields of all cells."""

    def gradient_at(self, point: Sequence[int], image: Any = None, channel: int | None = None) -> Any:
        """Gradient of a cell with respect to the image."""

    def survey(self, input_shape: Sequence[int | None] | None = None, input_layer: str | None = None) -> Survey:
        """Receptive fields of all layers."""

    def effective(self) -> EffectiveField:
        """Effective receptive field of the layer."""


class Pictures:
    """Methods that draw; every one takes and returns Axes."""

    def plot_gradient_at(
        self: Estimator,
        point: Sequence[int],
        image: Any = None,
        channel: int | None = None,
        ax: Axes | None = None,
        figsize: tuple[float, float] = (7, 7),
    ) -> Axes:
        """Plot the gradient map of a cell: normalised, with the cell's receptive field outlined.

        Args:
            point: the cell, ``(x, y)``.
            image: model input ``(height, width, channels)``, also shown underneath; None: the sample photograph.
            channel: output channel; None: the mean of all.
            ax: drawn into; a new figure if None.
            figsize: width and height of a new figure in inches.
        """
        from rfwidget.plotting import plot_gradient

        cell = cell_inside(point, Size(self.output_shape.w, self.output_shape.h))
        return plot_gradient(
            self.gradient_at(cell, image, channel),
            self.field.rect(cell),
            self.input_shape,
            image=image,
            title=f"{self.output_layer}, cell ({cell.x}, {cell.y})",
            ax=ax,
            figsize=figsize,
        )

    def plot_rf_grid(
        self: Estimator,
        custom_image: Any = None,
        plot_naive_rf: bool = False,
        ax: Axes | None = None,
        figsize: tuple[float, float] = (6, 6),
    ) -> Axes:
        """Plot the output grid over an image, with the receptive fields of the first, central and last cell.

        Args:
            custom_image: picture of the size of the input; None: the sample photograph.
            plot_naive_rf: also draw where these cells would lie if the grid were stretched linearly over the image.
            ax: drawn into; a new figure if None.
            figsize: width and height of a new figure in inches.
        """
        from rfwidget.plotting import plot_grid

        shape, grid = self.input_shape, Size(self.output_shape.w, self.output_shape.h)
        image = default_input(shape) if custom_image is None else custom_image
        as_model_input(image, shape)
        naive = _validation.flag("plot_naive_rf", plot_naive_rf)
        return plot_grid(
            self.field, shape, grid, image, plot_naive_rf=naive, title=self.output_layer, ax=ax, figsize=figsize
        )

    def plot_rf_grids(
        self: Estimator,
        layers: Sequence[str],
        custom_image: Any = None,
        axes: Sequence[Axes] | None = None,
    ) -> list[Axes]:
        """Plot the grids of several layers side by side, on the image of the last ``compute``.

        Args:
            layers: names of the layers.
            custom_image: picture of the size of the input; None: the sample photograph.
            axes: drawn into, one per layer; a new figure if None.

        Raises:
            ReceptiveFieldError: if a layer is unknown or could not be measured.
        """
        from rfwidget.charts import on_one_scale, side_by_side
        from rfwidget.plotting import plot_grid

        shape = self.input_shape
        image = default_input(shape) if custom_image is None else custom_image
        as_model_input(image, shape)
        names = _validation.series("layers", layers, "names of layers")
        survey = self.survey((shape.h, shape.w, shape.c), self.input_layer)
        fields = [(survey[layer], survey.field(layer)) for layer in names]
        panels = side_by_side(len(fields), axes)
        for (row, field), ax in zip(fields, panels, strict=True):
            plot_grid(field, shape, row.grid, image, title=row.name, ax=ax)
        on_one_scale(panels)
        return panels

    def plot_effective(
        self: Estimator,
        effective: EffectiveField | None = None,
        ax: Axes | None = None,
        figsize: tuple[float, float] = (7, 6),
    ) -> Axes:
        """Plot the effective receptive field: where the gradient's mass lies within the theoretical field.

        Args:
            effective: what `effective` gave; None: measured now, on the sample images.
            ax: drawn into; a new figure if None.
            figsize: width and height of a new figure in inches.
        """
        from rfwidget.charts import plot_effective

        return plot_effective(effective or self.effective(), title=self.output_layer, ax=ax, figsize=figsize)
