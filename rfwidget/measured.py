"""What an estimator knows once a layer has been measured: the part of `rfwidget.base.ReceptiveField` that remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rfwidget._validation import cell_inside
from rfwidget.errors import NotComputedError
from rfwidget.geometry import FieldGeometry
from rfwidget.network import Network
from rfwidget.types import GridPoint, GridShape, ReceptiveFieldDescription, Size


class Computed(NamedTuple):
    """What one successful ``compute`` leaves behind; replaced as a whole, so that a failed call changes nothing."""

    network: Network
    field: FieldGeometry


class Measured:
    """Facts about the layer that was measured last."""

    _computed: Computed | None = None

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
    def uniform(self) -> tuple[bool, bool]:
        """Whether all cells see the same extent, one stride apart, along ``(x, y)``.

        If not (branches with misaligned centres, transposed convolutions, resizing), ``rf_params`` describes the
        smallest box that, moved by the mean stride, contains every cell's receptive field; `rect_at` is exact for each.
        """
        return (self.field.x.uniform, self.field.y.uniform)

    def _require(self) -> Computed:
        if self._computed is None:
            raise NotComputedError(
                "nothing has been measured yet: call compute(input_shape=(height, width, channels)) first"
            )
        return self._computed

    def _cell(self, point: Sequence[int]) -> GridPoint:
        return cell_inside(point, Size(self.output_shape.w, self.output_shape.h))
