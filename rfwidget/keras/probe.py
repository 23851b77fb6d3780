"""The probe: a network's linear, positive twin, in which influence is never hidden.

A `Probe` stands in for every operation of a model while a `Walker` runs it. It keeps what decides *where* a cell looks
(windows, strides, padding, resizing, branches) and replaces what decides *how much*: activations and normalisations
become the identity, maxima and products become averages, kernels become positive numbers that conserve mass. All
values are float64, so the faintest path still counts. This module holds the building blocks; what replaces which
operation is said in `rfwidget.keras.rules`, and nothing here backpropagates.

Tensors are ``[n, y, x, c]``. Pairs of numbers that belong to the two axes follow that order here, ``(y, x)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget.keras.hints import NEUTRAL, Effect, Hint

Pair = tuple[int, int]
DTYPE = "float64"

_TAPS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}


class NeedsFullWidth(BaseException):
    """Raised where an operation tells channels apart, so that one channel per tensor does not do."""


class Probe:
    """Building blocks of the linear twin.

    Args:
        thin: one channel per tensor. Enough unless some operation tells channels apart.
        axis: 0 or 1 to keep windows, strides and padding along y or x only, which is what a cell far from the borders
            of the other axis sees; None keeps both.
        local: leave out what mixes the whole image (``ignore_global_context``).
        channels_first: whether the model's maps are ``[n, c, y, x]`` between its layers.
    """

    def __init__(
        self, *, thin: bool = True, axis: int | None = None, local: bool = False, channels_first: bool = False
    ) -> None:
        self.thin = thin
        self.axis = axis
        self.local = local
        self.channels_first = channels_first
        self.effect = NEUTRAL
        self._random = np.random.default_rng(20)

    # -- bookkeeping -------------------------------------------------------------------------------------------------

    def run(self, function: Callable[[], Any], inputs: Sequence[Any]) -> Any:
        """Result of ``function``, labelled with what it does to the hints of its inputs."""
        outer, self.effect = self.effect, NEUTRAL
        try:
            outputs = function()
        finally:
            effect, self.effect = self.effect, outer
        hint = effect.after([Hint.of(tensor) for tensor in inputs])
        if hint is None:
            return outputs
        for tensor in keras.tree.flatten(outputs):
            if keras.ops.is_tensor(tensor):
                hint.put_on(tensor)
        return outputs

    def note(self, **changes: Any) -> None:
        """Record what the current operation does, for the hints of its outputs."""
        self.effect = self.effect.then(Effect(**changes))

    def _kept(self, pair: Sequence[Any], neutral: Any) -> Any:
        """The pair with the axis that is not measured made neutral."""
        return tuple(value if self.axis in (None, i) else neutral for i, value in enumerate(pair))

    # -- channels ----------------------------------------------------------------------------------------------------

    def need_full_width(self) -> None:
        """Refuse to go on with one channel per tensor."""
        if self.thin:
            raise NeedsFullWidth

    def channel_axis(self, rank: int) -> int:
        """Where a tensor between two layers has its channels."""
        return 1 if self.channels_first and rank == 4 else rank - 1

    def mix(self, x: Any, channels: int, groups: int = 1) -> Any:
        """``channels`` channels, each a different mixture of all channels of its group."""
        if self.thin:
            return ops.mean(x, axis=-1, keepdims=True)
        shape = tuple(x.shape)
        x = ops.mean(ops.reshape(x, (*shape[:-1], groups, shape[-1] // groups)), axis=-1)
        return self.spread(ops.repeat(x, channels // groups, axis=-1))

    def spread(self, x: Any) -> Any:
        """The same map, a little different in every channel, so that differences of channels do not vanish."""
        weights = self._random.uniform(0.9, 1.1, x.shape[-1])
        return x if self.thin else x * ops.convert_to_tensor(weights, DTYPE)

    def positive(self, constant: Any) -> Any:
        """Positive numbers in the place of a constant; anything that is no array, or comes from the image, stays."""
        shape = tuple(getattr(constant, "shape", ()))
        if not shape or Hint.of(constant) is not None:
            return constant
        return ops.convert_to_tensor(self._random.uniform(0.9, 1.1, shape) / shape[-1], DTYPE)

    # -- windows -----------------------------------------------------------------------------------------------------

    def window(
        self,
        x: Any,
        size: Sequence[int],
        strides: Sequence[int],
        dilation: Sequence[int] = (1, 1),
        padding: str = "valid",
    ) -> Any:
        """Each channel averaged over a moving window: what is left of a convolution or a pooling."""
        size, strides, dilation = self._kept(size, 1), self._kept(strides, 1), self._kept(dilation, 1)
        self.note(
            reach=tuple((k - 1) * d for k, d in zip(size, dilation, strict=True)),
            step=tuple(Fraction(s) for s in strides),
        )
        if size == strides == (1, 1):
            return x
        return self._per_channel(x, lambda image: _convolve(image, self._weights(size), strides, dilation, padding))

    def transposed(
        self,
        x: Any,
        size: Sequence[int],
        strides: Sequence[int],
        dilation: Sequence[int],
        padding: str,
        output_padding: Sequence[int] | None,
    ) -> Any:
        """Each channel through a transposed window."""
        size, strides, dilation = self._kept(size, 1), self._kept(strides, 1), self._kept(dilation, 1)
        extra = None if output_padding is None else self._kept(output_padding, 0)
        self.note(
            reach=tuple(-(-k * d // s) + 1 for k, d, s in zip(size, dilation, strides, strict=True)),
            step=tuple(Fraction(1, s) for s in strides),
        )
        # No backend runs this dilated on a CPU: zeros between the weights do the same.
        spaced = np.zeros(tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)))
        spaced[:: dilation[0], :: dilation[1]] = self._weights(size) * np.prod(strides)
        kernel = ops.convert_to_tensor(spaced[:, :, None, None], DTYPE)
        return self._per_channel(
            x, lambda image: ops.conv_transpose(image, kernel, strides, padding, extra, "channels_last")
        )

    def _weights(self, size: Sequence[int]) -> npt.NDArray[np.float64]:
        """Positive weights that sum to one, slightly random so that nothing can cancel by symmetry."""
        weights = self._random.uniform(0.9, 1.1, tuple(size))
        result: npt.NDArray[np.float64] = weights / weights.sum()
        return result

    @staticmethod
    def _per_channel(x: Any, function: Callable[[Any], Any]) -> Any:
        n, h, w, c = x.shape
        if c == 1:
            return function(x)
        folded = function(ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (n * c, h, w, 1)))
        return ops.transpose(ops.reshape(folded, (n, c, *folded.shape[1:3])), (0, 2, 3, 1))

    # -- sizes -------------------------------------------------------------------------------------------------------

    def pad(self, x: Any, amounts: Sequence[Pair]) -> Any:
        """Zeros around the map; ``amounts`` are ``((top, bottom), (left, right))``."""
        amounts = self._kept(amounts, (0, 0))
        self.note(reach=tuple(max(pair) for pair in amounts))
        return ops.pad(x, ((0, 0), *amounts, (0, 0)))

    def crop(self, x: Any, amounts: Sequence[Pair]) -> Any:
        """The map without its borders; ``amounts`` are ``((top, bottom), (left, right))``."""
        (top, bottom), (left, right) = self._kept(amounts, (0, 0))
        self.note(reach=(max(top, bottom), max(left, right)))
        return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right, :]

    def resize(self, x: Any, factors: Sequence[Fraction], interpolation: str) -> Any:
        """The map enlarged by ``factors``, every output reading the cells its interpolation reads."""
        taps = _TAPS.get(interpolation)
        if taps is None:
            raise NotImplementedError(f"interpolation {interpolation!r}")
        factors = self._kept(factors, Fraction(1))
        self.note(reach=(taps + 1, taps + 1), step=tuple(1 / factor for factor in factors))
        for axis, factor in enumerate(factors, start=1):
            if factor != 1:
                x = _resample(x, axis, int(x.shape[axis] * factor), taps)
        return x

    def resize_to(self, x: Any, size: Sequence[int], interpolation: str) -> Any:
        """The map at a fixed size, which forbids images of other sizes than the one asked for."""
        self.note(resizable=False)
        factors = tuple(Fraction(int(new), x.shape[axis]) for axis, new in enumerate(size, start=1))
        return self.resize(x, factors, interpolation)

    # -- branches and the whole image --------------------------------------------------------------------------------

    def average(self, tensors: Sequence[Any]) -> Any:
        """What is left of a sum, a product, a maximum, ... of branches."""
        return sum(tensors[1:], start=tensors[0]) / float(len(tensors)) if len(tensors) > 1 else tensors[0]

    def everywhere(self, x: Any, axes: Sequence[int]) -> Any:
        """Mean along ``axes`` (kept, with one entry): what is left of a global pooling or a normalisation."""
        if not self.local:
            places = (2, 3) if self.channels_first else (1, 2)
            self.note(context=tuple(axis in axes for axis in places) if len(x.shape) == 4 else (True, True))
        return ops.mean(x, axis=tuple(axes), keepdims=True) * (0.0 if self.local else 1.0)


def _convolve(
    image: Any, weights: npt.NDArray[np.float64], strides: Sequence[int], dilation: Sequence[int], padding: str
) -> Any:
    kernel = ops.convert_to_tensor(weights[:, :, None, None], DTYPE)
    if max(strides) == 1 or max(dilation) == 1:
        return ops.conv(image, kernel, strides, padding, "channels_last", dilation)
    # No backend runs strides together with dilation: take every s-th result instead.
    if padding == "same":
        amounts = []
        for length, k, s, d in zip(image.shape[1:3], weights.shape, strides, dilation, strict=True):
            total = max((-(-length // s) - 1) * s + (k - 1) * d + 1 - length, 0)
            amounts.append((total // 2, total - total // 2))
        image = ops.pad(image, ((0, 0), *amounts, (0, 0)))
    dense = ops.conv(image, kernel, 1, "valid", "channels_last", dilation)
    return dense[:, :: strides[0], :: strides[1], :]


def _resample(x: Any, axis: int, length: int, taps: int) -> Any:
    """One axis read at half-pixel centres; every tap that an interpolation of that radius reads counts."""
    old = int(x.shape[axis])
    # Exact in integers: centre * 2 * length = (2 i + 1) * old - length.
    numerator = (2 * np.arange(length) + 1) * old - length
    if taps == 0:
        nearest = (2 * np.arange(length) + 1) * old // (2 * length)
        return ops.take(x, nearest, axis=axis)
    floor, rest = np.divmod(numerator, 2 * length)
    shape = [1] * len(x.shape)
    shape[axis] = length
    total: Any = 0.0
    for tap in range(1 - taps, taps + 1):
        weight = np.where(rest == 0, float(tap == 0), 0.5 / taps)  # at a cell's own centre no other cell is read
        values = ops.take(x, np.clip(floor + tap, 0, old - 1), axis=axis)
        total = total + values * ops.convert_to_tensor(weight.reshape(shape), DTYPE)
    return total
