"""The abstract estimator: measuring, questions, gradients and pictures for a network of any framework.

A framework's wing derives from `ReceptiveField` and says how a network is built and how it backpropagates
(`rfwidget.network.Network`); everything else is here or in the modules this one calls.
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget import _validation, attention
from rfwidget._measure import forward
from rfwidget._measure.checks import check
from rfwidget._measure.forward import measure_layer, measure_layers
from rfwidget._measure.memory import check_grid, check_memory
from rfwidget._progress import Progress, part, reporting, silent
from rfwidget._validation import box_inside, cell_inside, pixel_inside
from rfwidget.attention import AttentionMap, AttentionShape
from rfwidget.clusters import Job, collect_on
from rfwidget.datasets import is_endless
from rfwidget.effective import EffectiveField, collect, finish, frames_of, pick_cells
from rfwidget.errors import NotComputedError, ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.image import as_input_shape, as_model_input, check_finite, default_input, fit_model
from rfwidget.network import Attended, Network, Patch
from rfwidget.plotting import Panel, on_one_scale, plot_effective, plot_gradient, plot_grid, side_by_side
from rfwidget.ranks import RANKS
from rfwidget.survey import Survey, tabulate
from rfwidget.types import GridPoint, GridShape, ReceptiveFieldDescription, Rect, Size
from rfwidget.verification import Verification, unmeasured

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Computed(NamedTuple):
    """What one successful ``compute`` leaves behind; replaced as a whole, so that a failed call changes nothing."""

    network: Network
    field: FieldGeometry


class ReceptiveField(ABC):
    """Exact theoretical receptive fields, and gradient maps, of one layer of a network.

    Call `compute` first. `rfwidget.keras.KerasReceptiveField` is the one for Keras models; to add a framework, derive
    from this class and supply ``_build``.
    """

    _ranks: Collection[int] = (2,)
    """Numbers of axes of the inputs that it takes; the wings of this package take sequences and volumes too."""

    _computed: Computed | None = None
    _sample: npt.NDArray[Any] | None = None
    _attended: tuple[Any, Attended] | None = None

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
            input_shape: ``(height, width, channels)``, ``(length, channels)`` or ``(depth, height, width, channels)``;
                None: the model's own, or a default.
            input_layer: name of the image input; None: the model's first.
            output_layer: name of the layer; None: the last one with a 2-D grid.
            ignore_global_context: leave out paths through global context (global pooling, attention, ...) when the
                receptive field is measured.
            progress: told how far the work has come.
        """

    def __repr__(self) -> str:
        name = type(self).__name__
        if self._computed is None:
            return f"{name}(nothing measured yet: call compute())"
        shape, grid = self.input_shape, self.output_shape
        return (
            f"{name}({self.output_layer!r} on {self.input_layer!r}, {_image(shape)}, grid {_by(grid.size)}:"
            f" {self.rf_params})"
        )

    def default_input_shape(self) -> tuple[int, ...]:
        """Image shape ``(height, width, channels)`` used where none is given."""
        return (96, 96, 3)

    def read_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The argument ``input_shape`` in the framework's order, or an `ImageShape`, as ``(height, width, channels)``,
        ``(length, channels)`` or ``(depth, height, width, channels)``.

        Raises:
            ReceptiveFieldError: if it is none.
        """
        shape = as_input_shape(input_shape)
        if len(shape) - 1 not in self._ranks:
            taken = " or ".join(RANKS[rank].order for rank in self._ranks)
            raise ReceptiveFieldError(f"input_shape is {shape}: expected {taken}")
        return shape

    def model_input(
        self, image: Any, shape: GridShape, preprocess: Callable[[Any], Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """The model's input ``(height, width, channels)`` for an image, after the preprocessing that it needs.

        Args:
            image: an array ``(height, width, channels)`` or a PIL image.
            shape: of the model's input.
            preprocess: called with the image as float32 array; None: it is taken as it is.

        Raises:
            ReceptiveFieldError: if the image, or what comes of it, does not fit.
        """
        values = as_model_input(image, shape)
        return values if preprocess is None else as_model_input(preprocess(values.copy()), shape)

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
                `rfwidget.types.ImageShape`; a sequence, ``(length, channels)``; a volume, or frames, ``(depth, height,
                width, channels)``; None: the model's own, or 96x96x3.
            input_layer: name of the image input; None: the model's first.
            output_layer: name of the layer, a path such as ``"backbone/block3_conv1"`` inside nested models; None: the
                last layer with a grid of as many axes as the image, or what the model makes of it: an operation such as
                ``x + y`` by its own name, code by the name of the model. Of a layer that gives tokens it is those that
                are the places of a grid; a number in brackets behind the name, ``"norm[0]"``, is one of the others (the
                class token, say), see `extra_tokens`.
            ignore_global_context: measure the local path only, where global pooling, squeeze-and-excitation or
                attention would make the receptive field unbounded.
            progress: called with the fraction done (0..1) and a few words.

        Returns:
            Offset and stride in pixels ``(x, y)``, and size in pixels; infinite size where the receptive field grows
            with the image. Of a sequence there is x alone, of a volume there is z too; see `rfwidget.types`.

        Raises:
            ReceptiveFieldError: if the model cannot be built, a layer is unknown or has no such grid, or the shape does
                not fit. The estimator keeps its earlier result.
        """
        report = _validation.function("progress", progress, "a fraction 0..1 and a few words") or silent
        network = self._build(
            None if input_shape is None else self.read_shape(input_shape),
            _validation.layer_name("input_layer", input_layer),
            _validation.layer_name("output_layer", output_layer),
            ignore_global_context=_validation.flag("ignore_global_context", ignore_global_context),
            progress=part(report, 0, 0.5),
        )
        check_grid(network.output_shape, network.output_layer, network.input_shape)
        field = measure_layer(network, part(report, 0.5, 1))
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
        shape = None if input_shape is None else self.read_shape(input_shape)
        name = _validation.layer_name("input_layer", input_layer)
        local = _validation.flag("ignore_global_context", ignore_global_context)

        build = partial(self._build, shape, name, ignore_global_context=local)
        with reporting(progress, "survey") as report:
            network = build(None, progress=part(report, 0, 0.5))

            def alone(layer: str, told: Progress) -> FieldGeometry:
                return measure_layer(build(layer, progress=part(told, 0, 0.5)), part(told, 0.5, 1))

            known, notes = measure_layers(network, alone, part(report, 0.5, 1))
        return tabulate(network.layers, known, notes, network.input_shape, network.input_layer)

    def verify(
        self, layers: str | Sequence[str] | None = None, progress: Progress | bool | None = None
    ) -> Verification:
        """Measure layers in independent ways, and compare.

        Besides `compute`'s own way these are gradients through a linear copy of the network, where the framework's wing
        has one, and changed pixels of the real network, where it is small.

        Args:
            layers: name of a layer, names of several, or ``"all"``; None: the layer of the last ``compute``.
            progress: called with the fraction done (0..1) and a few words; True shows a progress bar.

        Returns:
            One check per layer; it prints as a table, and ``agree`` says whether no way contradicts another.

        Raises:
            ReceptiveFieldError: if nothing was computed before, or a layer is unknown or cannot be measured.
        """
        now = self.network
        if layers is None:
            names = [now.output_layer]
        elif isinstance(layers, str):
            names = list(now.layers) if layers == "all" and "all" not in now.layers else [layers]
        else:
            names = _validation.series("layers", layers, "names of layers")
        shape, found = self.read_shape(now.input_shape), []
        with reporting(progress, "verify") as report:
            for number, name in enumerate(names):
                report(number / len(names), f"checking {name}")
                network = self._build(shape, now.input_layer, name, ignore_global_context=False, progress=silent)
                try:
                    field = measure_layer(network, silent)
                except ReceptiveFieldError as error:
                    if layers != "all":
                        raise
                    found.append(unmeasured(name, len(now.input_shape.size), str(error)))
                    continue
                found.append(check(network, field))
        return Verification(found)

    def effective(
        self,
        images: Any = None,
        n: int | None = None,
        points: Sequence[Sequence[int]] | None = None,
        channel: int | None = None,
        progress: Progress | bool | None = None,
        *,
        tolerance: float | None = None,
        client: Any = None,
    ) -> EffectiveField:
        """Where the gradient's mass really lies: the mean of abs(gradient) over images and cells.

        A data set is gone through once, and no more than one batch of it is in memory.

        Args:
            images: model inputs ``(n, height, width, channels)``, any series of ``(height, width, channels)``, or a
                data set: ``tf.data.Dataset``, ``torch.utils.data.DataLoader``, ``keras.utils.PyDataset``, a generator.
                Its items are images or batches, alone or with labels behind; PyTorch's have their channels first.
                None: the sample images. With a client also a bag of Dask, or its delayed values.
            n: use the first ``n`` images only; None: all.
            points: cells ``(x, y)``; None: central ones, clear of the borders where there are such cells.
            channel: output channel; None: the mean of all.
            progress: called with the fraction done (0..1) and a few words; True shows a progress bar.
            tolerance: stop when no `EffectiveField.area_ratios` is off by more than this share of the field, as far as
                `EffectiveField.spread` tells, 0.01 say; None: take all images.
            client: a ``dask.distributed.Client``: the images are shared out among its workers, and each of them loads
                the model once. Needs ``rfwidget[dask]``.

        Raises:
            ReceptiveFieldError: if there is no image or no cell, one does not fit, or no gradient differs from zero.
        """
        steady = _validation.share("tolerance", tolerance)
        if n is None and steady is None and is_endless(images):
            raise ReceptiveFieldError("the data set never ends: say how many images to take, n=1000, or tolerance=0.01")
        with reporting(progress, "effective receptive field") as report:
            shape, index = self.input_shape, self._channel(channel)
            cells = pick_cells(points, self.field, self._grid, shape.size)
            frames = frames_of(self.field, shape)
            self.prepare()  # on the sample image: how gradients are computed must not depend on which image is first
            if client is None:
                mass = collect(self, images, cells, frames, n=n, channel=index, tolerance=steady, progress=report)
            else:
                job = Job(self, cells, frames, index)
                mass = collect_on(client, job, images, n=n, tolerance=steady, progress=report)
            return finish(mass, self.field, shape, cells, self.output_layer)

    def rect_at(self, point: Sequence[int], clip: bool = False) -> Rect:
        """Receptive field of a cell.

        Args:
            point: the cell, ``(x, y)``; along a sequence ``(x,)``, or just its number; in a volume ``(x, y, z)``.
            clip: give the first to the last pixel of the image that really influences the cell, instead of the
                theoretical rectangle, which may overhang the image. A cell that sees only padding has the empty
                rectangle, ``Rect(0, 0, 0, 0)``.

        Returns:
            Of an image ``Rect(left, top, right, bottom)``, of a sequence ``Rect(left, right)``, of a volume
            ``Rect(left, top, front, right, bottom, back)``. A recurrence that goes forward sees everything before it:
            its left edge is -inf, and its right edge finite.

        Raises:
            ReceptiveFieldError: if the cell is outside the grid.
        """
        cell = self._cell(point)
        return self.network.visible(cell) if _validation.flag("clip", clip) else self.field.rect(cell)

    def cells_seeing(self, pixel: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Which cells' receptive fields hold a pixel.

        Args:
            pixel: ``(x, y)``, whole numbers inside the image; of a sequence the number of a sample.

        Returns:
            Boolean grid ``(h, w)``, ``(l,)`` or ``(d, h, w)``; it may have holes where convolutions are dilated.

        Raises:
            ReceptiveFieldError: if the pixel is outside the image.
        """
        return forward.cells_seeing(self.network, pixel_inside(pixel, self.input_shape.size))

    def cells_covering(self, box: Sequence[float]) -> npt.NDArray[np.bool_]:
        """Which cells' receptive fields hold all of a box of the image: those that see a whole object.

        Args:
            box: `Rect` ``(left, top, right, bottom)`` in pixels, inside the image; ``(left, right)`` in a sequence,
                ``(left, top, front, right, bottom, back)`` in a volume.

        Returns:
            Boolean grid ``(h, w)``, ``(l,)`` or ``(d, h, w)``.

        Raises:
            ReceptiveFieldError: if the box is not inside the image.
        """
        return forward.cells_covering(self.network, box_inside(box, self.input_shape.size))

    # What the last compute has found ----------------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """The network from the image to the layer."""
        return self._require().network

    @property
    def field(self) -> FieldGeometry:
        """Exact receptive fields of all cells, axis by axis."""
        return self._require().field

    @property
    def rf_params(self) -> ReceptiveFieldDescription:
        """What the last ``compute`` returned."""
        return self.field.description

    @property
    def input_layer(self) -> str:
        """Name of the image input."""
        return self.network.input_layer

    @property
    def output_layer(self) -> str:
        """Name of the layer, a path inside nested models."""
        return self.network.output_layer

    @property
    def input_shape(self) -> GridShape:
        """Shape of the image: width, height and channels."""
        return self.network.input_shape

    @property
    def output_shape(self) -> GridShape:
        """Shape of what a point addresses: width and height of the grid, one value per cell (see `channels`)."""
        return self.network.output_shape._replace(c=1)

    @property
    def channels(self) -> int:
        """Number of channels of the layer's output; a cell's value is the mean of all, or one of them."""
        return self.network.output_shape.c

    @property
    def layers(self) -> Mapping[str, Size]:
        """Grids of all layers that have one, by name, in the order of the network."""
        return self.network.layers

    @property
    def extra_tokens(self) -> tuple[str, ...]:
        """Names of the tokens that the layer gives beside those of its grid, such as class tokens and registers.

        ``compute(output_layer=name)`` takes each of them as a layer whose grid is one cell. They are no part of the
        grid, of `layers` and of `survey`.
        """
        return self.network.extra_tokens

    @property
    def uniform(self) -> tuple[bool, ...]:
        """Whether all cells see the same extent, one stride apart, along ``(x, y)``.

        If not (branches with misaligned centres, transposed convolutions, resizing), ``rf_params`` describes the
        smallest box that, moved by the mean stride, contains every cell's receptive field; `rect_at` is exact for each.
        """
        return tuple(axis.uniform for axis in self.field)

    # Gradients, with the model's own weights --------------------------------------------------------------------------

    def gradient_at(
        self, point: Sequence[int], image: Any = None, channel: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Gradient of a cell with respect to the image, with the model's own weights.

        Args:
            point: the cell, ``(x, y)``.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            channel: output channel; None: the mean of all.

        Returns:
            float32 ``(height, width, channels)``, zero outside the receptive field; of a sequence
            ``(length, channels)``, of a volume ``(depth, height, width, channels)``.

        Raises:
            ReceptiveFieldError: if the cell, the channel or the image does not fit, or the gradient is not finite.
        """
        return self.gradient_patch(point, image, channel).spread(self.input_shape)

    def gradient_patch(self, point: Sequence[int], image: Any = None, channel: int | None = None) -> Patch:
        """As `gradient_at`, but only the part of the image outside which the gradient is zero."""
        cell, pixels = self._cell(point), self._pixels(image)
        patch = self.network.gradient(pixels, cell, self._channel(channel))
        return _check_patch(patch, pixels, cell)

    def gradients_at(
        self, points: Iterable[Sequence[int]], image: Any = None, channel: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Gradients of several cells: faster than one by one.

        Args:
            points: the cells, each ``(x, y)``.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            channel: output channel; None: the mean of all.

        Returns:
            float32 ``(n, height, width, channels)``. For many cells of a large image, take `gradient_patches`.

        Raises:
            ReceptiveFieldError: as `gradient_at`.
        """
        cells, shape = self._cells(points), self.input_shape
        size = 4.0 * len(cells) * math.prod(shape[1:])
        check_memory(f"An array of {len(cells)} gradient maps", size, "take gradient_patches, one map after the other")
        full = np.zeros((len(cells), *shape.lengths, shape.c), np.float32)
        for map_, patch in zip(full, self.gradient_patches(cells, image, channel), strict=True):
            map_[patch.part] = patch.values
        return full

    def gradient_patches(
        self,
        points: Iterable[Sequence[int]],
        image: Any = None,
        channel: int | None = None,
        at_once: int | None = None,
    ) -> Iterator[Patch]:
        """As `gradients_at`, but one `Patch` after the other, computed as they are asked for.

        Memory does not grow with the number of cells.

        Args:
            points: the cells, each ``(x, y)``.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            channel: output channel; None: the mean of all.
            at_once: compute at most so many together; None: as many as is fastest.
        """
        cells, pixels, index = self._cells(points), self._pixels(image), self._channel(channel)
        patches = self.network.gradients(pixels, cells, index, at_once)
        return (_check_patch(patch, pixels, cell) for cell, patch in zip(cells, patches, strict=True))

    def prepare(self, image: Any = None) -> None:
        """Do now what would make the first gradient slow (compiling, say); best on a thread in the background."""
        self.network.prepare(self._pixels(image))

    def release(self) -> None:
        """Give back what can be made again: code that was compiled for gradients, copies of the model.

        What has been measured stays. The next gradient is slow again, as the first one was.
        """
        self._attended = None
        if self._computed is not None:
            self._computed.network.release()

    def feature_map(self, image: Any = None, channel: int | None = None) -> npt.NDArray[np.float32]:
        """Output of the layer for an image, ``(h, w)``: one channel, or the mean of all."""
        index = self._channel(channel)
        values = self.network.feature_map(as_model_input(self._pixels(image), self.input_shape))
        return values.mean(axis=-1) if index is None else values[..., index]

    # Attention, from one run of the model as it is --------------------------------------------------------------------

    @property
    def attentions(self) -> Mapping[str, AttentionShape]:
        """The attentions on the way to the layer, by name, in the order in which they are computed; found by one run of
        the model on the sample photograph.
        """
        return attention.shapes(self._seen(None))

    def attention_at(
        self,
        point: Sequence[int] | None = None,
        image: Any = None,
        layer: str | None = None,
        head: int | None = None,
        prefix: int | None = None,
    ) -> AttentionMap:
        """What a token attends to, in one attention: its weights behind the softmax.

        Args:
            point: the cell, ``(x, y)``: the token that stands there, or nearest to it.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            layer: name of the attention, one of `attentions`; None: the last one on the way to the layer.
            head: number of the head; None: the mean of all.
            prefix: number of a token without a place (0: the class token, say), instead of a point.

        Returns:
            The weights, which sum to one: those of the tokens of a grid, and of tokens without a place.

        Raises:
            ReceptiveFieldError: if there is no attention on the way, or the cell, the head or the token does not fit.
        """
        token = self._token(point, prefix)
        name = _validation.layer_name("layer", layer)
        return attention.attention_map(self._seen(image), token, name, head, self.input_shape)

    def rollout_at(
        self, point: Sequence[int] | None = None, image: Any = None, prefix: int | None = None
    ) -> AttentionMap:
        """What a token attends to, rolled out over depth (Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928).

        In each layer half of a token stays as it is, and half comes by its attention, the mean of all heads; layers
        are multiplied, from the last one on the way to the layer back to where its tokens are made: the first one, or
        the first of a stage, where tokens are merged between stages.

        Args:
            point: the cell, ``(x, y)``: the token that stands there, or nearest to it.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            prefix: number of a token without a place (0: the class token, say), instead of a point.

        Raises:
            ReceptiveFieldError: as `attention_at`; or if keys are other tokens than queries.
        """
        return attention.rollout(self._seen(image), self._token(point, prefix), self.input_shape)

    def attention_maps(
        self, points: Iterable[Sequence[int]], image: Any = None, *, rolled_out: bool = False
    ) -> list[AttentionMap]:
        """`attention_at` of several cells, of the last attention, mean of the heads; or their `rollout_at`.

        Quicker than one call for each, which looks every time whether the model's weights have changed.

        Args:
            points: the cells, each ``(x, y)``.
            image: model input ``(height, width, channels)``; None: the sample photograph.
            rolled_out: roll attention out over depth.

        Raises:
            ReceptiveFieldError: as `attention_at` and `rollout_at`.
        """
        cells, seen, shape = self._cells(points), self._seen(image), self.input_shape
        if rolled_out:
            return [attention.rollout(seen, cell, shape) for cell in cells]
        return [attention.attention_map(seen, cell, None, None, shape) for cell in cells]

    # Pictures ---------------------------------------------------------------------------------------------------------

    def plot_gradient_at(
        self,
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
        cell = self._cell(point)
        return plot_gradient(
            self.gradient_at(cell, image, channel),
            self.field.rect(cell),
            self.input_shape,
            image=image,
            title=f"{self.output_layer}, cell {tuple(cell)}",
            ax=ax,
            figsize=figsize,
        )

    def plot_rf_grid(
        self,
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
        shape, grid = self.input_shape, self._grid
        image = default_input(shape) if custom_image is None else custom_image
        as_model_input(image, shape)
        naive = _validation.flag("plot_naive_rf", plot_naive_rf)
        return plot_grid(
            self.field, shape, grid, image, plot_naive_rf=naive, title=self.output_layer, ax=ax, figsize=figsize
        )

    def plot_rf_grids(
        self,
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
        shape = self.input_shape
        image = default_input(shape) if custom_image is None else custom_image
        as_model_input(image, shape)
        names = _validation.series("layers", layers, "names of layers")
        survey = self.survey(shape, self.input_layer)
        fields = [(survey[layer], survey.field(layer)) for layer in names]
        panels = side_by_side(len(fields), axes)
        for (row, field), ax in zip(fields, panels, strict=True):
            plot_grid(field, shape, row.grid, image, title=row.name, ax=ax)
        if len(shape.size) == 2:  # pictures of others hold axes of their own, as long as the input
            on_one_scale(panels)
        return panels

    def plot_effective(
        self,
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
        return plot_effective(effective or self.effective(), title=self.output_layer, ax=ax, figsize=figsize)

    # Inside -----------------------------------------------------------------------------------------------------------

    def _require(self) -> Computed:
        if self._computed is None:
            raise NotComputedError(
                "nothing has been measured yet: call compute(input_shape=(height, width, channels)) first"
            )
        return self._computed

    @property
    def _grid(self) -> Size:
        return self.output_shape.size

    @property
    def _panel(self) -> Panel:
        def draw(title: str, ax: Axes) -> None:
            self.plot_rf_grid(ax=ax)
            ax.set_title(title or self.output_layer, parse_math=False)

        return Panel("ReceptiveField", "xy" if len(self.input_shape.size) == 2 else "", draw)

    def _token(self, point: Sequence[int] | None, prefix: int | None) -> GridPoint | int:
        if (point is None) == (prefix is None):
            raise ReceptiveFieldError(
                f"point is {_validation.brief(point)} and prefix is {_validation.brief(prefix)}: expected one of the "
                "two, a cell (x, y) or the number of a token without a place"
            )
        return self._cell(point) if point is not None else _validation.whole("prefix", prefix, low=0)

    def _seen(self, image: Any) -> Attended:
        """The attentions on an image, kept for the next cell."""
        pixels, network = as_model_input(self._pixels(image), self.input_shape), self.network
        key = network, network.weights_mark(), zlib.adler32(pixels.tobytes())
        if self._attended is None or self._attended[0] != key:
            self._attended = key, network.attended(pixels)
        return self._attended[1]

    def _cell(self, point: Sequence[int]) -> GridPoint:
        return cell_inside(point, self._grid)

    def _cells(self, points: Iterable[Sequence[int]]) -> list[GridPoint]:
        return [self._cell(point) for point in _validation.series("points", points, "cells (x, y)")]

    def _channel(self, channel: int | None) -> int | None:
        return _validation.channel_index(channel, self.channels, f" of layer {self.output_layer!r}")

    def _pixels(self, image: Any) -> npt.NDArray[Any]:
        """An image that fits, as it is; its values are checked where a gradient uses them."""
        shape = self.input_shape
        if image is not None:
            return fit_model(image, shape)
        sample = self._sample
        if sample is None or sample.shape != (*shape.lengths, shape.c):
            self._sample = sample = default_input(shape)
        return sample


def _by(sizes: Iterable[float]) -> str:
    return "x".join(f"{side:g}" for side in sizes)


def _image(shape: GridShape) -> str:
    """An input in a few words: ``image 96x64``."""
    return f"{RANKS[len(shape.size)].thing} {_by(shape.size)}"


def _check_patch(patch: Patch, image: npt.NDArray[Any], cell: GridPoint) -> Patch:
    """The gradient map of a cell, if it and the pixels under it are finite."""
    check_finite(image[patch.part])
    if not np.isfinite(patch.values).all():
        raise ReceptiveFieldError(
            f"the gradient of cell {tuple(cell)} is not finite: does the model give NaN or overflow on this "
            "image? Check its weights and the range of the image (preprocess)"
        )
    return patch
