"""Measuring layers of any `Network` as it knows best: all at once where it can, else one at a time from single cells.

And which cells see some pixels, from the responses to them. Nothing here knows a framework.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure import backward
from rfwidget._measure.looks import Fields
from rfwidget._progress import Progress, part
from rfwidget.errors import NoInfluenceError, ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.network import LayerField, Network
from rfwidget.types import GridPoint, Rect, Size


def measure_layer(network: Network, progress: Progress) -> FieldGeometry:
    """Receptive fields of all cells of a network's layer.

    Args:
        network: what to measure.
        progress: called with a fraction 0..1 and a few words; what it raises ends the measurement.

    Raises:
        ReceptiveFieldError: if the image does not influence the layer at all, or no honest number can be given.
    """
    layer = network.output_layer
    known = network.fields([layer], progress).get(layer)
    if known is None:
        return backward.measure(network, progress)
    if known.field is None:
        raise _error(known, layer)
    if known.warning:
        warnings.warn(known.warning, stacklevel=4)
    progress(1.0, "measured")
    return known.field


def _error(known: LayerField, layer: str) -> ReceptiveFieldError:
    return ReceptiveFieldError(known.reason) if known.reason else NoInfluenceError(backward.nothing(layer))


def partial_words(layer: str, fields: Fields) -> str:
    """Why only the parts of receptive fields inside the image are known."""
    inside = "the receptive fields given there are the parts inside the image"
    if fields.cut_short:
        return f"to see all that {layer!r} sees, images would have to be so long that it costs too much: {inside}"
    if all(fields.resizable):
        return (
            f"the cells of {layer!r} do not repeat on any image that was looked at, or are not clear of its borders: "
            f"{inside}"
        )
    return (
        f"{layer!r} can only be run on images of the requested size, and its cells are not clear of the borders: "
        f"{inside}. Ask for a larger input_shape, if the model can be built for it"
    )


def coupled_words(layer: str) -> str:
    """What to say of a layer whose cells see something else along an axis where they stand elsewhere along another."""
    return (
        f"what the cells of {layer!r} see along one axis depends on where they stand along another (it grows step by "
        "step, as in a ConvLSTM, or lines are sheared or computed in other ways): the fields given hold those of all "
        "cells in a line; rect_at(point, clip=True) is exact for each cell"
    )


class LayerFields(NamedTuple):
    """Receptive fields of all layers that have a grid, by name, in the order of the network; read-only.

    Attributes:
        known: of the layers that could be measured; the field is None where the image does not influence a layer.
        notes: why a layer has no field, and what is not known of one, in words.
    """

    known: Mapping[str, LayerField]
    notes: Mapping[str, str]


def measure_layers(
    network: Network, measure_alone: Callable[[str, Progress], FieldGeometry], progress: Progress
) -> LayerFields:
    """Receptive fields of all layers that have a grid.

    Args:
        network: from the image to any layer.
        measure_alone: gives the fields of one layer by name and tells its progress, or raises ReceptiveFieldError.
        progress: called with a fraction 0..1 and a few words.
    """
    together = network.fields(list(network.layers), part(progress, 0, 0.9))
    known: dict[str, LayerField] = {}
    notes: dict[str, str] = {}
    before = Size(*(1,) * len(network.input_shape.size))
    for place, name in enumerate(network.layers):
        if name in together:
            found = together[name]
            if found.field is not None or not found.reason:
                known[name] = found
            if note := (str(_error(found, name)) if found.field is None else found.warning):
                notes[name] = note
        else:
            begin, end = (0.9 * count / len(network.layers) for count in (place, place + 1))
            progress(begin, f"measuring {name}")
            try:
                # Where nothing tells what a layer reads, it is taken to be the layer before.
                known[name] = LayerField(measure_alone(name, part(progress, begin, end)), before)
            except NoInfluenceError as error:
                known[name], notes[name] = LayerField(None, before), str(error)
            except ReceptiveFieldError as error:
                notes[name] = str(error)
        if name in known and (field := known[name].field) is not None:
            before = field.description.size
    progress(1.0, "surveyed")
    return LayerFields(MappingProxyType(known), MappingProxyType(notes))


def cells_seeing(network: Network, pixel: GridPoint) -> npt.NDArray[np.bool_]:
    """Cells ``[y, x]`` that a pixel ``(x, y)`` of the image influences; those that look past it, through the holes of
    a dilated kernel say, are not among them.
    """
    mask = np.zeros((1, *network.input_shape.lengths), bool)
    mask[(0, *pixel.place)] = True
    seeing: npt.NDArray[np.bool_] = network.response(mask)[0] != 0
    return seeing


def cells_covering(network: Network, box: Rect) -> npt.NDArray[np.bool_]:
    """Cells ``[y, x]`` whose visible rectangle holds all of a box of the image, given in whole pixels.

    A cell's rectangle holds the box if the cell sees something at or left of its first column, at or right of its last,
    at or above its first row and at or below its last: two responses for each axis answer for all cells at once.
    """
    lengths = network.input_shape.lengths
    masks = np.zeros((2 * len(lengths), *lengths), bool)
    for number, (low, high) in enumerate(box.edges):
        across: tuple[Any, ...] = (slice(None),) * (len(lengths) - 1 - number)
        masks[(2 * number, *across, slice(None, int(low) + 1))] = True
        masks[(2 * number + 1, *across, slice(int(high) - 1, None))] = True
    covering: npt.NDArray[np.bool_] = np.all(network.response(masks) != 0, axis=0)
    return covering
