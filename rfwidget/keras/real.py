"""The user's network as it is, from the image to one layer: its own operations and weights, in inference mode.

It runs inside Keras' stateless scope, so that no weight, seed, metric or loss of the model can change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from rfwidget.keras.graph import SEPARATOR, Walker
from rfwidget.keras.inside import call_as_keras_does, for_inference, intercepted
from rfwidget.keras.twin import Inputs


class RealNetwork:
    """The model up to a layer.

    Args:
        model: the user's model, only read.
        inputs: how it is fed.
        target: path of the layer; None: what the model returns.
        call: which of its calls by code is meant.
        init_weights: use constant positive kernels and zero biases instead of the model's weights.
    """

    def __init__(self, model: Any, inputs: Inputs, target: str | None, call: int, *, init_weights: bool) -> None:
        self._model = model
        self._inputs = inputs
        self._target, self._call = target, call
        self._init_weights = init_weights

    def run(self, images: Any) -> Any:
        """Output of the layer for images ``[n, h, w, c]`` of any size that the model takes.

        The other inputs of the model are ones; where they are maps, they are enlarged or cut as the image is.
        """
        feeds = [
            images if i == self._inputs.image else ops.ones(self._like(images, i))
            for i in range(len(self._inputs.shapes))
        ]
        feeds = [self._inputs.to_model(feed) for feed in feeds]
        with keras.StatelessScope(self._replaced_weights()):
            walker = Walker(lambda *call: self._as_it_is(walker, *call), target=self._target, call=self._call)
            return self._inputs.from_model(walker.run(self._model, feeds))

    def _like(self, images: Any, position: int) -> tuple[int, ...]:
        """Shape of another input that goes with images of some size."""
        shape, asked = self._inputs.shapes[position], self._inputs.shapes[self._inputs.image]
        if len(shape) == 3:
            height, width = (shape[i] * images.shape[1 + i] // asked[i] for i in (0, 1))
            shape = (height, width, shape[2])
        return (images.shape[0], *shape)

    def _as_it_is(
        self, walker: Walker, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        kwargs = for_inference(operation, kwargs)
        if self._target is None or (path and not self._target.startswith(path + SEPARATOR)):
            return call_as_keras_does(operation, args, kwargs)
        with walker.in_code(path), intercepted(walker.apply):  # the layer is somewhere in this one's code
            return call_as_keras_does(operation, args, kwargs)

    def _replaced_weights(self) -> list[tuple[Any, Any]]:
        if not self._init_weights:
            return []
        return [
            (variable, ops.full(variable.shape, value, variable.dtype))
            for variable, value in _plain(self._model.weights)
        ]


def _plain(variables: Sequence[Any]) -> list[tuple[Any, float]]:
    """Positive values for kernels, such that a layer conserves mass, and neutral ones for what shifts and scales."""
    values = []
    for variable in variables:
        name = variable.path.rsplit("/", 1)[-1]
        if "depthwise_kernel" in name:
            values.append((variable, 1 / math.prod(variable.shape[:-2])))
        elif "kernel" in name:
            values.append((variable, 1 / max(math.prod(variable.shape[:-1]), 1)))
        elif name in {"bias", "beta", "moving_mean"}:
            values.append((variable, 0.0))
        elif name in {"gamma", "moving_variance"}:
            values.append((variable, 1.0))
    return values
