"""Measuring all layers of a `Network`: together where the network can, the others one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from rfwidget._progress import Progress, part
from rfwidget.errors import NoInfluenceError, ReceptiveFieldError
from rfwidget.geometry import FieldGeometry
from rfwidget.measure import nothing
from rfwidget.network import LayerField, Network
from rfwidget.types import Size


class LayerFields(NamedTuple):
    """Receptive fields of all layers that have a grid, by name, in the order of the network; read-only.

    Attributes:
        known: of the layers that could be measured; the field is None where the image does not influence a layer.
        notes: why a layer has no field, for all such layers; those that are not in ``known`` could not be measured.
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
    together = network.all_fields(part(progress, 0, 0.3))
    known: dict[str, LayerField] = {}
    notes: dict[str, str] = {}
    before = Size(1, 1)
    for place, name in enumerate(network.layers):
        if name in together:
            known[name] = together[name]
            if known[name].field is None:
                notes[name] = nothing(name)
        else:
            begin, end = (0.3 + 0.7 * count / len(network.layers) for count in (place, place + 1))
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
