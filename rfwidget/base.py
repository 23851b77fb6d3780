"""The abstract estimator: measuring and questions for a network of any framework.

A framework's wing derives from `ReceptiveField` and says how a network is built and how it backpropagates
(`rfwidget.network.Network`); everything else is here or in the pure modules this one calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget import _validation, measure
from rfwidget._progress import Progress as Progress
from rfwidget._progress import part, reporting, silent
from rfwidget._validation import box_inside, pixel_inside
from rfwidget.effective import EffectiveField, measure_effective
from rfwidget.geometry import FieldGeometry
from rfwidget.gradients import Gradients
from rfwidget.image import as_input_shape
from rfwidget.limits import check_grid
from rfwidget.measure_all import survey_network
from rfwidget.measured import Computed
from rfwidget.network import Network
from rfwidget.pictures import Pictures
from rfwidget.survey import Survey
from rfwidget.types import ReceptiveFieldDescription, Rect, Size


class ReceptiveField(Gradients, Pictures, ABC):
    """Exact theoretical receptive fields, and gradient maps, of one layer of a network.

    Call `compute` first. `rfwidget.keras.KerasReceptiveField` is the one for Keras models; to add a framework, derive
    from this class and supply ``_build``.
    """

    @abstractmethod
    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,
        progress: Progress,
    ) -> Network:
        """Build the network from an input to a layer.

        Args:
            input_shape: ``(height, width, channels)``; None: the model's own, or a default.
            input_layer: name of the image input; None: the model's first.
            output_layer: name of the layer; None: the last one with a 2-D grid.
            ignore_global_context: leave out paths through global context (global pooling, attention, ...) when the
                receptive field is measured.
            progress: told how far the work has come.
        """

    def default_input_shape(self) -> tuple[int, int, int]:
        """Image shape ``(height, width, channels)`` used where none is given."""
        return (96, 96, 3)

    def compute(
        self,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        output_layer: str | None = None,
        *,
        ignore_global_context: bool = False,
        progress: Progress | None = None,
    ) -> ReceptiveFieldDescription:
        """Measure the receptive fields of a layer.

        Args:
            input_shape: the image, ``(height, width, channels)`` as Keras writes it (``image.shape`` fits), or an
                `rfwidget.types.ImageShape`; None: the model's own, or 96x96x3.
            input_layer: name of the image input; None: the model's first.
            output_layer: name of the layer, a path such as ``"backbone/block3_conv1"`` inside nested models; None: the
                last layer with a 2-D grid, or what the model makes of it: an operation such as ``x + y`` by its own
                name, code by the name of the model.
            ignore_global_context: measure the local path only, where global pooling, squeeze-and-excitation or
                attention would make the receptive field unbounded.
            progress: called with the fraction done (0..1) and a few words.

        Returns:
            Offset and stride in pixels ``(x, y)``, and size in pixels; infinite size where the receptive field grows
            with the image.

        Raises:
            ReceptiveFieldError: if the model cannot be built, a layer is unknown or has no 2-D grid, or the shape does
                not fit. The estimator keeps its earlier result.
        """
        report = _validation.function("progress", progress, "a fraction 0..1 and a few words") or silent
        network = self._build(
            None if input_shape is None else as_input_shape(input_shape),
            _validation.layer_name("input_layer", input_layer),
            _validation.layer_name("output_layer", output_layer),
            ignore_global_context=_validation.flag("ignore_global_context", ignore_global_context),
            progress=part(report, 0, 0.5),
        )
        check_grid(network.output_shape, network.output_layer, network.input_shape)
        field = measure.measure(network, part(report, 0.5, 1))
        network.field = field
        self._computed = Computed(network, field)
        report(1.0, "done")
        return field.description

    def survey(
        self,
        input_shape: Sequence[int | None] | None = None,
        input_layer: str | None = None,
        *,
        ignore_global_context: bool = False,
        progress: Progress | bool | None = None,
    ) -> Survey:
        """Measure all layers with a grid; what `compute` last gave stays as it is.

        Args:
            input_shape: the image, as for `compute`.
            input_layer: name of the image input; None: the model's first.
            ignore_global_context: measure local paths only, as for `compute`.
            progress: called with the fraction done (0..1) and a few words; True shows a progress bar.

        Returns:
            One row per layer, in the order of the network.

        Raises:
            ReceptiveFieldError: if the model cannot be built or has no layer with a grid, or the shape does not fit.
        """
        shape = None if input_shape is None else as_input_shape(input_shape)
        name = _validation.layer_name("input_layer", input_layer)
        local = _validation.flag("ignore_global_context", ignore_global_context)

        build = partial(self._build, shape, name, ignore_global_context=local)
        with reporting(progress, "survey") as report:
            network = build(None, progress=part(report, 0, 0.5))

            def alone(layer: str, told: Progress) -> FieldGeometry:
                return measure.measure(build(layer, progress=part(told, 0, 0.5)), part(told, 0.5, 1))

            return survey_network(network, alone, part(report, 0.5, 1))

    def effective(
        self,
        images: Any = None,
        n: int | None = None,
        points: Sequence[Sequence[int]] | None = None,
        channel: int | None = None,
        progress: Progress | bool | None = None,
    ) -> EffectiveField:
        """Where the gradient's mass really lies: the mean of abs(gradient) over images and cells.

        Args:
            images: model inputs ``(n, height, width, channels)``, or any series of ``(height, width, channels)``;
                None: the sample images.
            n: use the first ``n`` images only; None: all.
            points: cells ``(x, y)``; None: central ones, clear of the borders where there are such cells.
            channel: output channel; None: the mean of all.
            progress: called with the fraction done (0..1) and a few words; True shows a progress bar.

        Raises:
            ReceptiveFieldError: if there is no image or no cell, one does not fit, or no gradient differs from zero.
        """
        with reporting(progress, "effective receptive field") as report:
            return measure_effective(self, images, n, points, channel, report)

    def rect_at(self, point: Sequence[int], clip: bool = False) -> Rect:
        """Receptive field of a cell.

        Args:
            point: the cell, ``(x, y)``.
            clip: give the first to the last pixel of the image that really influences the cell, instead of the
                theoretical rectangle, which may overhang the image. A cell that sees only padding has the empty
                rectangle, ``Rect(0, 0, 0, 0)``.

        Raises:
            ReceptiveFieldError: if the cell is outside the grid.
        """
        cell = self._cell(point)
        return measure.visible_rect(self.network, cell) if _validation.flag("clip", clip) else self.field.rect(cell)

    def cells_seeing(self, pixel: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Which cells' receptive fields hold a pixel.

        Args:
            pixel: ``(x, y)``, whole numbers inside the image.

        Returns:
            Boolean grid ``(h, w)``; it may have holes where convolutions are dilated.

        Raises:
            ReceptiveFieldError: if the pixel is outside the image.
        """
        return measure.cells_seeing(self.network, pixel_inside(pixel, Size(self.input_shape.w, self.input_shape.h)))

    def cells_covering(self, box: Sequence[float]) -> npt.NDArray[np.bool_]:
        """Which cells' receptive fields hold all of a box of the image: those that see a whole object.

        Args:
            box: `Rect` ``(left, top, right, bottom)`` in pixels, inside the image.

        Returns:
            Boolean grid ``(h, w)``.

        Raises:
            ReceptiveFieldError: if the box is not inside the image.
        """
        inside = box_inside(box, Size(self.input_shape.w, self.input_shape.h))
        return measure.cells_covering(self.network, inside)
