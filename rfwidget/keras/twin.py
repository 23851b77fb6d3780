"""A model seen through a probe: surveyed once, then run at any size.

The `Survey` is one run of the whole model's twin at the requested size. It tells for every layer its grid and its
hints, so that asking for another layer costs nothing. Afterwards `Twin.function` gives the twin up to a layer as a
plain function of images, for whoever backpropagates through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget.keras.dispatch import Dispatch
from rfwidget.keras.graph import symbolic_output
from rfwidget.keras.hints import Hint
from rfwidget.keras.probe import DTYPE, NeedsFullWidth, Probe


class Entry(NamedTuple):
    """What one layer gives at the requested size.

    Attributes:
        height: rows of the grid.
        width: columns of the grid.
        channels: channels of the real layer.
        hint: how the grid depends on the image.
        named: whether it is a layer (not a bare operation such as ``x + y``).
    """

    height: int
    width: int
    channels: int
    hint: Hint
    named: bool


class Inputs(NamedTuple):
    """How the inputs of a model are fed.

    Attributes:
        shapes: shape of every input at the requested size, without the batch.
        image: position of the image among them.
    """

    shapes: tuple[tuple[int, ...], ...]
    image: int


class Twin:
    """The probe of a whole model.

    Args:
        model: the user's model, only read.
        inputs: how it is fed.
        local: leave out global context.
    """

    def __init__(self, model: Any, inputs: Inputs, *, local: bool) -> None:
        self._model = model
        self._inputs = inputs
        self._local = local
        self.thin = True
        self.notes: tuple[str, ...] = ()
        self.failure: Exception | None = None
        try:
            self.entries = self._survey()
        except NeedsFullWidth:
            self.thin = False
            self.entries = self._survey()

    def function(self, target: str, axis: int | None) -> Callable[[Any], Any]:
        """The twin from ``[n, h, w, c]`` to the layer; with ``axis``, of that axis alone (the other has length 1)."""

        def run(images: Any) -> Any:
            dispatch = Dispatch(Probe(thin=self.thin, axis=axis, local=self._local))
            return dispatch.run(self._model, self._feed(images, axis), target=target)

        return run

    def channels(self) -> int:
        """Channels of the images that `function` takes."""
        return 1 if self.thin else self._inputs.shapes[self._inputs.image][-1]

    def _feed(self, images: Any, axis: int | None) -> list[Any]:
        """All inputs of the model: the images, and zeros for the others, enlarged as the images are."""
        asked = self._inputs.shapes[self._inputs.image]
        feeds = []
        for position, shape in enumerate(self._inputs.shapes):
            if position == self._inputs.image:
                feeds.append(images)
                continue
            size = list(shape)
            if len(size) == 3:
                for i in (0, 1):
                    size[i] = 1 if axis not in (None, i) else size[i] * images.shape[1 + i] // asked[i]
            if self.thin:
                size[-1] = 1
            feeds.append(ops.zeros((images.shape[0], *size), DTYPE))
        return feeds

    def _survey(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}

        def observe(operation: Any, path: str, outputs: Any) -> None:
            if not ops.is_tensor(outputs) or len(outputs.shape) != 4:
                return
            hint = Hint.of(outputs)
            if hint is not None and path not in entries:
                _, height, width, channels = outputs.shape
                symbolic = symbolic_output(self._model, path)
                channels = channels if symbolic is None else int(symbolic.shape[-1])
                entries[path] = Entry(height, width, channels, hint, isinstance(operation, keras.Layer))

        dispatch = Dispatch(Probe(thin=self.thin, local=self._local), observe)
        height, width, _ = self._inputs.shapes[self._inputs.image]
        images = ops.convert_to_tensor(ramp(1, height, width, self.channels()))
        Hint().put_on(images)
        self.failure = None
        try:
            dispatch.run(self._model, self._feed(images, None))
        except NeedsFullWidth:
            raise
        except Exception as error:
            # What lies behind (a head for another size, say) need not run; the layers before it can be measured.
            self.failure = error
        self.notes = dispatch.notes
        return entries


def ramp(n: int, height: int, width: int, channels: int, *, falling: bool = False) -> npt.NDArray[np.float64]:
    """Images in 0.5..1.5 that grow along both axes, so that code which selects always selects one end."""
    y, x = np.linspace(0, 0.5, height)[:, None], np.linspace(0, 0.5, width)[None, :]
    image = 1.5 - (x + y) if falling else 0.5 + (x + y)
    return np.broadcast_to(image[None, :, :, None], (n, height, width, channels)).astype(DTYPE)
