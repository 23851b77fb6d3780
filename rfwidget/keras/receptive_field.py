"""`KerasReceptiveField`: the abstract estimator for Keras models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from rfwidget.base import Progress, ReceptiveField
from rfwidget.errors import ReceptiveFieldError, suggest
from rfwidget.keras.build import build_model, read_inputs
from rfwidget.keras.network import KerasNetwork
from rfwidget.keras.real import RealNetwork
from rfwidget.keras.twin import Inputs, Twin
from rfwidget.types import GridShape


class KerasReceptiveField(ReceptiveField):
    """Exact receptive fields of a Keras model's layers.

    Args:
        model: a function of one parameter ``input_shape`` that builds the model, or a built `keras.Model`. The model
            is never changed.
        init_weights: let gradient maps use constant positive kernels and zero biases instead of the model's weights.

    Raises:
        ReceptiveFieldError: if ``model`` is neither.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((32, 48, 3)), keras.layers.Conv2D(8, (3, 5), strides=2)])
    >>> rf = KerasReceptiveField(model)
    >>> rf.compute()
    ReceptiveFieldDescription(offset=(2.5, 1.5), stride=(2.0, 2.0), size=Size(w=5, h=3))
    """

    def __init__(self, model: keras.Model | Callable[[Any], keras.Model], init_weights: bool = False) -> None:
        if not callable(model):
            raise ReceptiveFieldError(
                f"model is {model!r}: expected a function of one parameter input_shape that returns a keras.Model, "
                "or a built keras.Model"
            )
        super().__init__()
        self._model = model
        self._init_weights = bool(init_weights)
        self._twins: dict[tuple[Any, ...], tuple[keras.Model, Inputs, Twin]] = {}

    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,
        progress: Progress,
    ) -> KerasNetwork:
        progress(0.0, "building the model")
        model = build_model(self._model, input_shape)
        names, inputs = read_inputs(model, input_shape, input_layer)
        progress(0.2, "reading the model")
        twin = Twin(model, inputs, local=ignore_global_context)
        target = _choose(twin, output_layer)
        progress(0.4, "found the layer")
        real = RealNetwork(model, inputs, target, init_weights=self._init_weights)
        height, width, channels = inputs.shapes[inputs.image]
        shape = GridShape(None, width, height, channels)
        return KerasNetwork(twin, real, names[inputs.image], target, shape)


def _choose(twin: Twin, wanted: str | None) -> str:
    """Path of the layer to measure."""
    layers = {path: entry for path, entry in twin.entries.items() if entry.named}
    if wanted is None:
        growing = [path for path, entry in layers.items() if None not in entry.hint.scale]
        if growing or layers:
            return (growing or list(layers))[-1]
        raise ReceptiveFieldError(
            "the model has no layer with a two-dimensional grid: expected some output (batch, height, width, channels)"
        ) from twin.failure
    if wanted in twin.entries:
        return wanted
    known = ", ".join(layers) if len(layers) <= 30 else ", ".join([*list(layers)[:10], "...", *list(layers)[-10:]])
    raise ReceptiveFieldError(
        f"no layer {wanted!r} with a two-dimensional grid; layers with a grid: {known}{suggest(str(wanted), layers)}"
    ) from twin.failure
