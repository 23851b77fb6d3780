"""The second way of measuring: float64 numbers through a linear, positive copy of the model, and backpropagation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget.keras.domains import DTYPE, LinearDomain, NeedsFullWidth
from rfwidget.keras.flow import Flow
from rfwidget.keras.looks import Inputs


class LinearModel:
    """A linear copy of a model, as far as one layer: what influences a cell there, influences it in the model.

    Nothing is copied but the rules: see `rfwidget.keras.domains.LinearDomain`.

    Args:
        model: the user's model, only read.
        inputs: how it is fed.
        target: path of the layer; None: what the model returns.
        call: which of its calls by code is meant.
        output: which of the layer's outputs is meant.
        local: leave out global context.
    """

    def __init__(self, model: Any, inputs: Inputs, target: str | None, call: int, output: int, *, local: bool) -> None:
        self._model, self._inputs = model, inputs
        self._target, self._call, self._output = target, call, output
        self._local = local
        self._thin = True

    @property
    def thin(self) -> bool:
        """Whether maps have one channel each; not so once channels had to be told apart."""
        return self._thin

    def channels(self) -> int:
        """Channels of the images that it takes: one where channels need not be told apart."""
        return 1 if self._thin else self._inputs.shapes[self._inputs.image][-1]

    def images(self, count: int, lengths: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Images to backpropagate to, ``[count, *lengths, channels]``."""
        return np.ones((count, *lengths, self.channels()))

    def on_images(self, function: Callable[[Callable[[Any], Any]], Any]) -> Any:
        """Call a function of the model, once more with all channels if one does not do."""
        try:
            return function(self.run)
        except NeedsFullWidth:
            self._thin = False
            return function(self.run)

    def run(self, images: Any) -> Any:
        """Output ``[n, *grid, channels]`` of the layer for images ``[n, *lengths, channels]``."""
        lengths = tuple(images.shape[1:-1])
        feeds = []
        for position, shape in enumerate(self._inputs.shapes):
            if position == self._inputs.image:
                feed = images
            else:
                like = self._inputs.like(position, lengths)
                thin = self._thin and len(shape) == len(lengths) + 1
                feed = ops.zeros((images.shape[0], *like[:-1], 1) if thin else (images.shape[0], *like), DTYPE)
            feeds.append(self._inputs.to_model(feed))
        domain = LinearDomain(thin=self._thin, local=self._local, first_from=self._inputs.first_from)
        leaves = keras.tree.flatten(Flow(domain).run(self._model, feeds, self._target, self._call))
        return self._inputs.from_model(leaves[self._output])
