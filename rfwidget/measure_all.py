"""Measuring all layers of a `Network`: together where the network can, the others one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.network import LayerField, Network
from rfwidget.progress import Progress, part
from rfwidget.survey import LayerRow, Survey
from rfwidget.types import GridShape, Size

_NAN = (math.nan, math.nan)
_NO = (False, False)


def survey_network(network: Network, measure_alone: Callable[[str], FieldGeometry], progress: Progress) -> Survey:
    """A survey of all layers that have a grid.

    Args:
        network: from the image to any layer.
        measure_alone: gives the fields of one layer by name, or raises ReceptiveFieldError.
        progress: called with a fraction 0..1 and a few words.
    """
    known = dict(network.all_fields(part(progress, 0, 0.3)))
    shape = network.input_shape
    notes: dict[str, str] = {}
    before = Size(1, 1)
    for place, name in enumerate(network.layers):
        if name not in known:
            progress(0.3 + 0.7 * place / len(network.layers), f"measuring {name}")
            try:
                # Where nothing tells what a layer reads, it is taken to be the layer before.
                known[name] = LayerField(measure_alone(name), before)
            except ReceptiveFieldError as error:
                notes[name] = str(error)
                continue
        before = known[name].field.description.size
    rows = [
        _row(name, grid, known[name], shape) if name in known else _unknown(name, grid, notes[name])
        for name, grid in network.layers.items()
    ]
    progress(1.0, "surveyed")
    fields = {name: known[name].field for name in network.layers if name in known}
    return Survey(rows, fields, shape, network.input_layer)


def _row(name: str, grid: Size, layer: LayerField, image: GridShape) -> LayerRow:
    field, described = layer.field, layer.field.description
    return LayerRow(
        name=name,
        size=described.size,
        stride=described.stride,
        offset=described.offset,
        grid=grid,
        reads=layer.reads,
        unbounded=described.unbounded,
        uniform=(field.x.uniform, field.y.uniform),
        exceeds_input=(described.size.w > image.w, described.size.h > image.h),
        unproductive=(layer.reads.w >= image.w, layer.reads.h >= image.h),
    )


def _unknown(name: str, grid: Size, note: str) -> LayerRow:
    return LayerRow(name, Size(*_NAN), _NAN, _NAN, grid, Size(*_NAN), _NO, _NO, _NO, _NO, note)
