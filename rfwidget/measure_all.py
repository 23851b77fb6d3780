"""Measuring all layers of a `Network`: together where the network can, the others one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

from rfwidget._progress import Progress, part
from rfwidget.errors import NoInfluenceError, ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.measure import nothing
from rfwidget.network import LayerField, Network
from rfwidget.survey import LayerRow, Survey
from rfwidget.types import GridShape, Size

_UNKNOWN = Size(math.nan, math.nan)
_NO = (False, False)


def survey_network(
    network: Network, measure_alone: Callable[[str, Progress], FieldGeometry], progress: Progress
) -> Survey:
    """A survey of all layers that have a grid.

    Args:
        network: from the image to any layer.
        measure_alone: gives the fields of one layer by name and tells its progress, or raises ReceptiveFieldError.
        progress: called with a fraction 0..1 and a few words.
    """
    known = dict(network.all_fields(part(progress, 0, 0.3)))
    shape = network.input_shape
    notes = {name: nothing(name) for name, layer in known.items() if layer.field is None}
    before = Size(1, 1)
    for place, name in enumerate(network.layers):
        if name not in known:
            begin, end = (0.3 + 0.7 * count / len(network.layers) for count in (place, place + 1))
            progress(begin, f"measuring {name}")
            try:
                # Where nothing tells what a layer reads, it is taken to be the layer before.
                known[name] = LayerField(measure_alone(name, part(progress, begin, end)), before)
            except NoInfluenceError as error:
                known[name], notes[name] = LayerField(None, before), str(error)
            except ReceptiveFieldError as error:
                known[name], notes[name] = LayerField(None, _UNKNOWN), str(error)
        if (field := known[name].field) is not None:
            before = field.description.size
    rows = [_row(name, grid, known[name], notes.get(name, ""), shape) for name, grid in network.layers.items()]
    fields = {name: field for name in network.layers if (field := known[name].field) is not None}
    progress(1.0, "surveyed")
    return Survey(rows, fields, shape, network.input_layer)


def _row(name: str, grid: Size, layer: LayerField, note: str, image: GridShape) -> LayerRow:
    field, reads = layer.field, layer.reads
    if field is None:
        size = _UNKNOWN if reads is _UNKNOWN else Size(0, 0)
        return LayerRow(name, size, (math.nan, math.nan), (math.nan, math.nan), grid, reads, _NO, _NO, _NO, _NO, note)
    described = field.description
    return LayerRow(
        name=name,
        size=described.size,
        stride=described.stride,
        offset=described.offset,
        grid=grid,
        reads=reads,
        unbounded=described.unbounded,
        uniform=(field.x.uniform, field.y.uniform),
        exceeds_input=(described.size.w > image.w, described.size.h > image.h),
        unproductive=(reads.w >= image.w, reads.h >= image.h),
    )
