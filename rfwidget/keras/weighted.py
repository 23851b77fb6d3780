"""The user's network as it is, from the image to one layer: its own operations and weights, in inference mode.

It runs inside Keras' stateless scope, so that no weight, seed, metric or loss of the model can change.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget._measure import tokens
from rfwidget._measure.tokens import Places
from rfwidget.keras.attending import Attending, Standing
from rfwidget.keras.interpreter import SEPARATOR, Interpreter, call_as_keras_does, for_inference, intercepted
from rfwidget.keras.looks import Inputs
from rfwidget.network import Attended

_LARGE = 1 << 25
_LOOKED_AT = 1 << 16
"""Values of a model from which on its checksum looks at so many of each weight, about, and not at all."""


class WeightedNetwork:
    """The model up to a layer.

    Args:
        model: the user's model, only read.
        inputs: how it is fed.
        target: path of the layer; None: what the model returns.
        call: which of its calls by code is meant.
        output: which of the layer's outputs is meant.
        init_weights: use constant positive kernels and zero biases instead of the model's weights.
    """

    def __init__(
        self, model: Any, inputs: Inputs, target: str | None, call: int, output: int, *, init_weights: bool
    ) -> None:
        self._model = model
        self._inputs = inputs
        self._target, self._call, self._output = target, call, output
        self._init_weights = init_weights

    def weights(self) -> list[Any]:
        """Values of the model's weights now, or those in their place: for backends that compile functions of them.

        (Compiled by JAX 0.10.2, some convolutions give NaN where their kernel is known to hold one number only.)
        """
        return [self._in_their_place.get(id(variable), variable.value) for variable in self._model.weights]

    @cached_property
    def _in_their_place(self) -> dict[int, Any]:
        return {id(variable): value for variable, value in self._replaced_weights()}

    def run(self, images: Any, weights: Sequence[Any] | None = None) -> Any:
        """Output of the layer for images ``[n, h, w, c]`` of any size that the model takes.

        The other inputs of the model are ones; where they are maps, they are enlarged or cut as the image is. A model
        that takes so many images at once gets each of them as often.

        Args:
            images: the images.
            weights: values of the model's weights, as `weights` gives them; None: they are read.
        """
        batch = self._inputs.batch
        if batch is None or batch == images.shape[0]:
            return self._at_once(images, weights)
        times = [batch, *(1 for _ in images.shape[1:])]
        parts = [self._at_once(ops.tile(images[k : k + 1], times), weights)[:1] for k in range(images.shape[0])]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts)

    def attended(
        self,
        image: npt.NDArray[Any],
        as_grid: Callable[[Callable[[Any], Any]], Callable[[Any], Any]],
        rolled: tuple[Sequence[int], int] | None,
        check: Callable[[int], None],
    ) -> Attended:
        """The attentions on the way to the layer, for one image ``(*lengths, c)``.

        Args:
            image: the image.
            as_grid: makes a function that gives maps of one that gives what the layer gives.
            rolled: where the layer is one token of several, the order of axes in which these are the second one, and
                its number.
            check: called with how many numbers all weights together have; what it raises ends the run.
        """
        if self._inputs.batch not in (None, 1):
            nowhere = np.full((*self._inputs.lengths, len(self._inputs.lengths)), np.nan, np.float32)
            return Attended(nowhere, unseen=f"the model takes {self._inputs.batch} images at once")
        whole = ops.convert_to_tensor(image[None])
        images = self._inputs.to_model(whole)
        feeds = self._feeds(images, image.shape[:-1])
        axes = self._inputs.places(len(images.shape)) or ()
        feeds[self._inputs.image] = Standing(images, tokens.image(tuple(images.shape), axes))
        run = Attending(self._target, self._call, check)
        with keras.StatelessScope(self._replaced_weights()):
            output = keras.tree.flatten(run.run(self._model, feeds))[self._output]
        unseen = f"tokens are not followed through {', '.join(dict.fromkeys(run.lost))}" if run.lost else ""
        if not isinstance(output, Standing):
            return Attended(np.full((*image.shape[:-1], image.ndim - 1), np.nan, np.float32), unseen=unseen)

        def unrolled(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
            tensor = ops.convert_to_tensor(np.ascontiguousarray(plane))
            return np.asarray(ops.convert_to_numpy(as_grid(lambda _: self._inputs.from_model(tensor))(whole)))

        places = tokens.moved(Places(output.places.own), unrolled)
        cells = tokens.cells(places, range(1, image.ndim), places.shape[1:-1])
        prefix = None
        if rolled is not None:
            order, number = rolled
            turned = tokens.moved(Places(output.places.own), lambda plane: plane.transpose(order))
            prefix = tokens.prefix_of(turned, number % turned.shape[1])
        return Attended(cells, tuple(run.attentions), prefix, unseen)

    def mark(self) -> int:
        """A checksum of the model's weights; of very large models, of some values of each weight."""
        weights = [] if self._init_weights else self._model.weights
        count = sum(math.prod(variable.shape) for variable in weights)
        mark = 1
        for variable in weights:
            flat = ops.reshape(variable.value, (-1,))
            if count > _LARGE:
                flat = flat[:: max(1, math.prod(variable.shape) // _LOOKED_AT)]
            values = np.ascontiguousarray(ops.convert_to_numpy(flat))
            mark = zlib.adler32(values.view(np.uint8).data, mark)
        return mark

    def _at_once(self, images: Any, weights: Sequence[Any] | None) -> Any:
        feeds = self._feeds(self._inputs.to_model(images), tuple(images.shape[1:-1]))
        given = self._replaced_weights() if weights is None else list(zip(self._model.weights, weights, strict=True))
        with keras.StatelessScope(given):
            interpreter = Interpreter(
                lambda *call: self._as_it_is(interpreter, *call), target=self._target, call=self._call
            )
            leaves = keras.tree.flatten(interpreter.run(self._model, feeds))
            return self._inputs.from_model(leaves[self._output])

    def _feeds(self, images: Any, lengths: Sequence[int]) -> list[Any]:
        """All inputs of the model, in its own layout; those that are no images are ones."""
        ones = [ops.ones((images.shape[0], *self._inputs.like(i, lengths))) for i in range(len(self._inputs.shapes))]
        return [images if i == self._inputs.image else self._inputs.to_model(one) for i, one in enumerate(ones)]

    def _as_it_is(
        self, interpreter: Interpreter, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        kwargs = for_inference(operation, kwargs)
        if self._target is None or (path and not self._target.startswith(path + SEPARATOR)):
            return call_as_keras_does(operation, args, kwargs)
        with interpreter.in_code(path), intercepted(interpreter.apply):  # the layer is somewhere in this one's code
            return call_as_keras_does(operation, args, kwargs)

    def _replaced_weights(self) -> list[tuple[Any, Any]]:
        if not self._init_weights:
            return []
        return [
            (variable, ops.full(variable.shape, value, variable.dtype))
            for variable, value in _conserving(self._model.weights)
        ]


def _conserving(variables: Sequence[Any]) -> list[tuple[Any, float]]:
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
