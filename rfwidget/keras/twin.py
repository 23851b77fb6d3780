"""A model seen through a probe: surveyed once, then run at any size.

The `Survey` is one run of the whole model's twin at the requested size. It tells for every layer its grid and its
hints, so that asking for another layer costs nothing. Afterwards `Twin.function` gives the twin up to a layer as a
plain function of images, for whoever backpropagates through it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget.keras.dispatch import Dispatch
from rfwidget.keras.graph import is_graph, output_names, symbolic_outputs
from rfwidget.keras.hints import Hint
from rfwidget.keras.probe import DTYPE, NeedsFullWidth, Probe
from rfwidget.limits import check_memory


class Entry(NamedTuple):
    """What one layer gives at the requested size.

    Attributes:
        height: rows of the grid.
        width: columns of the grid.
        channels: channels of the real layer; None where only running the real network can tell.
        hint: how the grid depends on the image.
        is_layer: False for a bare operation, and for what a model's own code returns.
        offered: whether it counts as a layer: it is one; or the model returns it and it is not what the last layer
            gave; or there is no layer at all.
    """

    height: int
    width: int
    channels: int | None
    hint: Hint
    is_layer: bool
    offered: bool


class Inputs(NamedTuple):
    """How the inputs of a model are fed.

    Attributes:
        shapes: shape of every input at the requested size, without the batch; maps are ``(h, w, c)`` here.
        image: position of the image among them.
        channels_first: whether the model takes maps as ``(c, h, w)``.
    """

    shapes: tuple[tuple[int, ...], ...]
    image: int
    channels_first: bool = False

    def to_model(self, tensor: Any) -> Any:
        """A map ``[n, h, w, c]`` in the model's own layout."""
        return ops.transpose(tensor, (0, 3, 1, 2)) if self.channels_first and len(tensor.shape) == 4 else tensor

    def from_model(self, tensor: Any) -> Any:
        """A map in the model's own layout as ``[n, h, w, c]``."""
        return ops.transpose(tensor, (0, 2, 3, 1)) if self.channels_first and len(tensor.shape) == 4 else tensor


class Twin:
    """The probe of a whole model.

    Args:
        model: the user's model, only read.
        inputs: how it is fed.
        local: leave out global context.

    Attributes:
        entries: what has a grid, by path, in the order of the last calls.
        calls: how often code calls each of the layers inside it, as `Walker` counts.
        whole: path of what the model's own code returns, the name of the model; None: it has a graph, or no such grid.
        met: how often each path is met in all.
        notes: what could not be seen through, as sentences.
        failure: what ended the first look before the end of the model.
    """

    def __init__(self, model: Any, inputs: Inputs, *, local: bool) -> None:
        self._model = model
        self._inputs = inputs
        self._local = local
        self.symbols = symbolic_outputs(model)
        self.thin = True
        self.notes: tuple[str, ...] = ()
        self.failure: Exception | None = None
        self.calls: dict[str, int] = {}
        self.whole: str | None = None
        self._returned = output_names(model)
        self.met: Counter[str] = Counter()
        try:
            self.entries = self._survey()
        except NeedsFullWidth:
            self.thin = False
            self.entries = self._survey()

    @property
    def layers(self) -> dict[str, Entry]:
        """The entries that count as layers."""
        return {path: entry for path, entry in self.entries.items() if entry.offered}

    @property
    def others(self) -> list[str]:
        """Paths of what is no layer but may count as one, if not on this image then on another."""
        found = {path: entry for path, entry in self.entries.items() if not entry.is_layer}
        return [path for path, entry in found.items() if entry.offered or self._is_returned(path)]

    def _is_returned(self, path: str) -> bool:
        """Whether it is what the model returns."""
        return path in self._returned or path == self.whole

    def sizes(self, target: str, height: int, width: int) -> dict[str, tuple[int, int]]:
        """Rows and columns of every map inside the network, up to a layer, on an image of that size."""
        sizes: dict[str, tuple[int, int]] = {}

        def observe(operation: Any, path: str, outputs: Any) -> None:  # noqa: ARG001  (names of operations vary)
            for place, tensor in enumerate(keras.tree.flatten(outputs)):
                if ops.is_tensor(tensor) and len(tensor.shape) == 4:
                    sizes[f"{len(sizes)} {place}"] = tuple(self._inputs.from_model(tensor).shape[1:3])

        dispatch = Dispatch(self.probe(None), observe)
        images = ops.convert_to_tensor(ramp(1, height, width, self.channels()))
        self.run(dispatch, images, None, target)
        return sizes

    def function(self, target: str, axis: int | None) -> Callable[[Any], Any]:
        """The twin from ``[n, h, w, c]`` to the layer; with ``axis``, of that axis alone (the other has length 1)."""

        def run(images: Any) -> Any:
            return self.run(Dispatch(self.probe(axis)), images, axis, target)

        return run

    def probe(self, axis: int | None) -> Probe:
        """Building blocks of both axes (None) or of one."""
        return Probe(thin=self.thin, axis=axis, local=self._local, channels_first=self._inputs.channels_first)

    def run(self, dispatch: Dispatch, images: Any, axis: int | None, target: str | None = None) -> Any:
        """Output of a layer (None: of the model) for images, each operation replaced as ``dispatch`` says."""
        feeds, walked = self._feed(images, axis), self.walked(target)
        try:
            return self._inputs.from_model(dispatch.run(self._model, feeds, walked, self.calls.get(target or "", 1)))
        except NeedsFullWidth as error:  # not so at the requested size: code goes another way at this one
            raise RuntimeError("the model's code does not treat images of this size as it treats the others") from error

    def walked(self, target: str | None) -> str | None:
        """What a walk to a layer must look for; None: it goes to the end of the model."""
        return None if target == self.whole else target

    def channels(self) -> int:
        """Channels of the images that `function` takes."""
        return 1 if self.thin else self._inputs.shapes[self._inputs.image][-1]

    def _feed(self, images: Any, axis: int | None) -> list[Any]:
        """All inputs of the model: the images, and zeros for the others, enlarged as the images are."""
        asked = self._inputs.shapes[self._inputs.image]
        feeds = []
        for position, shape in enumerate(self._inputs.shapes):
            if position == self._inputs.image:
                image = self._inputs.to_model(images)
                Hint().put_on(image)
                feeds.append(image)
                continue
            size = list(shape)
            if len(size) == 3:
                for i in (0, 1):
                    size[i] = 1 if axis not in (None, i) else size[i] * images.shape[1 + i] // asked[i]
            if self.thin:
                size[-1] = 1
            feeds.append(self._inputs.to_model(ops.zeros((images.shape[0], *size), DTYPE)))
        return feeds

    def _survey(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        met: Counter[str] = Counter()
        latest: Any = None
        self.whole = None

        def observe(operation: Any, path: str, outputs: Any) -> None:
            nonlocal latest
            met[path] += 1
            if not ops.is_tensor(outputs) or len(outputs.shape) != 4:
                return
            hint = Hint.of(outputs)
            symbolic = self.symbols.get(path)
            is_layer = isinstance(operation, keras.Layer)
            # Operations in code get a new name at every call; those of a graph can be found again.
            if hint is not None and (is_layer or symbolic is not None or path == self.whole):
                _, height, width, channels = self._inputs.from_model(outputs).shape
                last = 1 if self._inputs.channels_first else -1
                channels = int(symbolic.shape[last]) if symbolic is not None else None if self.thin else channels
                entries.pop(path, None)  # of a layer called several times, the last call counts
                offered = is_layer or (self._is_returned(path) and not _same(outputs, latest, hint))
                entries[path] = Entry(height, width, channels, hint, is_layer, offered)
                latest = outputs if is_layer else latest

        dispatch = Dispatch(self.probe(None), observe)
        height, width, _ = self._inputs.shapes[self._inputs.image]
        needed = 8.0 * 8 * height * width * self.channels()  # the image is drawn, copied, and run through a few layers
        check_memory(f"Measuring on {width}x{height} pixels", needed, "ask for a smaller input_shape")
        images = ops.convert_to_tensor(ramp(1, height, width, self.channels()))
        self.failure = None
        try:
            outputs = dispatch.run(self._model, self._feed(images, None))
            if not is_graph(self._model) and self._model.name not in met:
                self.whole = str(self._model.name)
                observe(None, self.whole, outputs)
                self.whole = self.whole if self.whole in entries else None
        except Exception as error:
            # What lies behind (a head for another size, say) need not run; the layers before it can be measured.
            self.failure = error
        self.notes, self.calls, self.met = dispatch.notes, dispatch.calls, met
        bare = not any(entry.is_layer for entry in entries.values())
        return {path: entry._replace(offered=bare or entry.offered) for path, entry in entries.items()}


def _same(outputs: Any, latest: Any, hint: Hint) -> bool:
    """Whether outputs are what the last layer gave; where code was run as it is, that shows by the numbers only."""
    if hint.exact or latest is None or tuple(outputs.shape) != tuple(latest.shape):
        return outputs is latest
    return bool(np.allclose(ops.convert_to_numpy(outputs), ops.convert_to_numpy(latest), rtol=1e-5))


def ramp(n: int, height: int, width: int, channels: int) -> npt.NDArray[np.float64]:
    """Images in 0.5..1.5 that grow along both axes."""
    y, x = np.linspace(0, 0.5, height)[:, None], np.linspace(0, 0.5, width)[None, :]
    return _images(0.5 + x + y, n, channels)


def selecting_images(n: int, height: int, width: int, channels: int) -> list[npt.NDArray[np.float64]]:
    """Positive images of moderate size that between them let code that selects (a maximum, say) select every path.

    Ramps select one end of a window; a bright frame selects the borders, which padding would darken; sparse noise
    selects here and there.
    """
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    border = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x))
    random = np.random.default_rng(7)
    rising = y / max(height - 1, 1) + x / max(width - 1, 1)
    shapes = [rising, 2 - rising, 2 * np.exp(-border / 3), *(2 * random.random((3, height, width)) ** 4)]
    return [_images(0.1 + 0.7 * shape, n, channels) for shape in shapes]


def _images(image: npt.NDArray[np.float64], n: int, channels: int) -> npt.NDArray[np.float64]:
    return np.broadcast_to(image[None, :, :, None], (n, *image.shape, channels)).astype(DTYPE)
