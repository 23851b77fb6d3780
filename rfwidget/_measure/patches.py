"""Gradient maps of one layer, computed on a window of the image wherever that gives the same.

The plan of the windows comes from `rfwidget._measure.windows`. It is right for networks that do the same everywhere in
the image. Others (weights that depend on the position, sizes built in, global context hidden in code of the user's) are
recognised by one comparison with a larger part of the image, and get the whole image instead.

Shapes are those of images, ``[h, w]``; of sequences they are ``[l]``, of volumes ``[d, h, w]``.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rfwidget._measure.windows import Window, whole_image
from rfwidget.network import Patch
from rfwidget.types import GridPoint, GridShape

Image = npt.NDArray[Any]
Singles = npt.NDArray[np.float32]

_VALUES_AGREE = 1e-4
_GRADIENTS_AGREE = 1e-3
"""Differences allowed, relative to the largest magnitude. Round-off may switch a ReLU that is almost zero, which moves
a gradient by a jump, but a value by next to nothing."""

_BATCH_PIXELS = 1 << 16
_BATCH_MOST = 16
"""A batch holds at most so many pixels and windows: beyond, memory grows and speed does not."""


class Gradient(Protocol):
    """Backpropagation for one shape of images.

    Attributes:
        traces: how often the network was compiled for it so far.
    """

    traces: int

    def __call__(self, images: Singles, places: Sequence[tuple[int, ...]], channels: Singles) -> Singles:
        """Gradients ``[n, h, w, c]`` of the weighted sum of the channels of one cell per image.

        Args:
            images: ``[n, h, w, c]``.
            places: ``(y, x)`` of the output, one for each image.
            channels: weight of each channel.
        """


class Backend(Protocol):
    """A network as a framework runs it, from images ``[n, h, w, c]`` of any size to ``[n, gh, gw, channels]``."""

    def gradient(self, shape: tuple[int, ...]) -> Gradient:
        """Backpropagation for images ``[n, h, w, c]`` of that shape. Nothing is compiled yet."""

    def evaluate(self, images: Singles) -> npt.NDArray[Any]:
        """Its values."""


class Patches:
    """Gradient maps of a layer's cells. Several threads may use it.

    Args:
        backend: the network.
        image: the whole image.
        grid: the layer there.
        window: the plan; `window.whole_image` to use the whole image in any case.
        check: called with the lengths, in the order of arrays, of what is backpropagated through, before it is; it may
            refuse them.

    Raises:
        whatever ``check`` raises, here for the plan, and at the first gradient if that needs the whole image.
    """

    def __init__(
        self,
        backend: Backend,
        image: GridShape,
        grid: GridShape,
        window: Window,
        check: Callable[[tuple[int, ...]], None] = lambda shape: None,  # noqa: ARG005 - nothing is refused
    ) -> None:
        check(window.shape)
        self._check = check
        self._backend = backend
        self._image = image
        self._grid = grid
        self._plan = _Compiled.of(backend, window, image.c)
        self._lock = threading.Lock()
        # Found out with the first batch: some gradients of transposed convolutions mix the images of a batch.
        self._batches_hold: bool | None = None
        self._ready: _Compiled | None = self._plan if window.whole else None

    @property
    def window(self) -> Window:
        """The windows in use; before the first gradient, those planned."""
        return (self._ready or self._plan).window

    @property
    def traces(self) -> int:
        """How often the network was traced for the gradients in use."""
        ready = self._ready or self._plan
        return sum(gradient.traces for gradient in {ready.one, *ready.batches.values()})

    def prepare(self, image: Image) -> None:
        """Compile, and find out whether windows will do; else the first gradient does it.

        Args:
            image: ``[h, w, c]``; what it shows does not matter, only its range of values.
        """
        if self.traces == 0:
            self.at(image, GridPoint(*(0,) * len(self._image.size)), None)

    def release(self) -> None:
        """Forget what has been compiled; whether windows will do stays known."""
        with self._lock:
            colours = self._image.c
            self._plan = _Compiled.of(self._backend, self._plan.window, colours)
            if self._ready is not None:
                window = self._ready.window
                self._ready = (
                    self._plan if window == self._plan.window else _Compiled.of(self._backend, window, colours)
                )

    def at(self, image: Image, point: GridPoint, channel: int | None) -> Patch:
        """Gradient map of a cell; of the mean of its channels if ``channel`` is None."""
        ready = self._checked(image)
        return ready.run(ready.one, image, [point], self._weights(channel))[0]

    def many(
        self, image: Image, points: Sequence[GridPoint], channel: int | None, at_once: int | None = None
    ) -> Iterator[Patch]:
        """Gradient maps of many cells, computed batch by batch as they are asked for; at most so many at once."""
        ready, weights = self._checked(image), self._weights(channel)
        batch = ready.batch if at_once is None else max(1, min(ready.batch, at_once))
        several = ready.several(self._backend, batch)
        waiting = iter(points)
        while some := list(islice(waiting, batch)):
            if len(some) == batch and self._batches_hold:
                yield from ready.run(several, image, some, weights)
                continue
            # The last few one by one: another size of batch would have to be traced.
            singles = [ready.run(ready.one, image, [point], weights)[0] for point in some]
            if len(some) == batch > 1 and self._batches_hold is None:
                together = ready.run(several, image, some, weights)
                self._batches_hold = all(
                    _close(a.values, b.values, _GRADIENTS_AGREE) for a, b in zip(together, singles, strict=True)
                )
            yield from singles

    def values(self, image: Image, pixels: float) -> Singles:
        """Output of the layer, ``[gh, gw, channels]``, computed on parts of the image of about so many pixels.

        Where windows will not do, it is computed on the whole image, if ``check`` lets it.
        """
        window = self._checked(image).window
        side = int(pixels ** (1 / len(window)))
        tiles = [axis.tiles(side) for axis in reversed(window)]
        result = np.empty((*self._grid.lengths, self._grid.c), np.float32)
        for chosen in itertools.product(*(some for _, some in tiles)):
            part, target, source = [], [], []
            for axis, (length, _), (start, cells) in zip(reversed(window), tiles, chosen, strict=True):
                before = axis.cells * (start // axis.period)
                part.append(slice(start, start + length))
                target.append(slice(cells.start, cells.stop))
                source.append(slice(cells.start - before, cells.stop - before))
            found = self._backend.evaluate(image[tuple(part)].astype(np.float32)[None])[0]
            result[tuple(target)] = found[tuple(source)]
        return result

    def _checked(self, image: Image) -> _Compiled:
        with self._lock:
            if self._ready is None:
                self._ready = self._plan if self._holds(image) else self._without_windows()
            return self._ready

    def _without_windows(self) -> _Compiled:
        window = whole_image(self._image, self._grid)
        self._check(window.shape)
        return _Compiled.of(self._backend, window, self._image.c)

    def _holds(self, image: Image) -> bool:
        """Whether windows give what a larger part of the image gives, up to round-off.

        The part is about twice as long and wide as a window, or the image if that is smaller: time and memory stay
        those of the receptive field. It holds noise, for a plain area of a photograph may hide any difference.
        """
        part = self._plan.window.part
        noise = _noise(
            (*(axis.image for axis in reversed(part)), self._image.c), float(image.min()), float(image.max())
        )
        try:
            return self._agree(noise, part)
        except Exception:  # a size built in somewhere: whatever the framework raises then
            return False

    def _agree(self, image: Singles, window: Window) -> bool:
        """Whether gradients and values of telling cells are the same on windows and on all of an image."""
        backward, weights = self._backend.gradient((1, *image.shape)), self._weights(None)
        forward = self._backend.evaluate(image[None])[0]
        some = False
        for point in window.telling_points:
            gradient = backward(image[None], [point.place], weights)[0]
            patch = self._plan.run(self._plan.one, image, [point], weights, window)[0]
            full = np.zeros_like(gradient)
            full[patch.part] = patch.values
            value = self._backend.evaluate(_cut(image, window, [point]))[0][window.place(point)]
            if not (_close(full, gradient, _GRADIENTS_AGREE) and _close(value, forward[point.place], _VALUES_AGREE)):
                return False
            some = some or bool(gradient.any())
        return some

    def _weights(self, channel: int | None) -> Singles:
        weights = np.zeros(self._grid.c, np.float32)
        if channel is None:
            weights[:] = 1 / self._grid.c
        else:
            weights[channel] = 1
        return weights


class _Compiled(NamedTuple):
    """The gradient compiled for windows of one size: for one of them, and for batches of up to ``batch``."""

    window: Window
    one: Gradient
    colours: int
    batch: int
    batches: dict[int, Gradient]

    @classmethod
    def of(cls, backend: Backend, window: Window, colours: int) -> _Compiled:
        """For images of so many channels. Nothing is traced yet."""
        batch = 1 if window.whole else max(1, min(_BATCH_MOST, _BATCH_PIXELS // math.prod(window.shape)))
        one = backend.gradient((1, *window.shape, colours))
        return cls(window, one, colours, batch, {1: one})

    def several(self, backend: Backend, batch: int) -> Gradient:
        """The gradient for batches of a size."""
        if batch not in self.batches:
            self.batches[batch] = backend.gradient((batch, *self.window.shape, self.colours))
        return self.batches[batch]

    def run(
        self,
        gradient: Gradient,
        image: Image,
        points: Sequence[GridPoint],
        weights: Singles,
        window: Window | None = None,
    ) -> list[Patch]:
        """Backpropagate through the windows of some cells.

        Args:
            gradient: `one`, or one of `several`.
            image: ``[h, w, c]``.
            points: as many as ``gradient`` takes.
            weights: of the channels.
            window: where the windows lie, if ``image`` is not the whole one.
        """
        window = window or self.window
        gradients = gradient(_cut(image, window, points), [window.place(point) for point in points], weights)
        return [Patch(values, *reversed(window.corner(point))) for values, point in zip(gradients, points, strict=True)]


def _cut(image: Image, window: Window, points: Sequence[GridPoint]) -> Singles:
    """The windows of some cells, ``[n, h, w, c]``."""
    images = np.empty((len(points), *window.shape, image.shape[-1]), np.float32)
    for part, point in zip(images, points, strict=True):
        starts = zip(window.corner(point), window.shape, strict=True)
        part[:] = image[tuple(slice(start, start + length) for start, length in starts)]
    return images


def _noise(shape: tuple[int, ...], low: float, high: float) -> Singles:
    """Random values as bright as an image; any, if the image tells nothing."""
    if not -math.inf < low < high < math.inf:
        low, high = 0, 1
    return np.random.default_rng(5).uniform(low, high, shape).astype(np.float32)


def _close(found: Singles, expected: Singles, tolerance: float) -> bool:
    """Whether two arrays differ by round-off only; False where one holds NaN."""
    return bool(np.abs(found - expected).max() <= tolerance * np.abs(expected).max())
