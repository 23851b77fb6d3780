"""What may flow through a Keras model while an interpreter runs it: spans, touched pixels, or linear numbers.

Rules (`rfwidget.keras.rules`) are written once, in the primitives of a `Domain`: windows, reductions, joins, movements.
`SpanDomain` carries what every element depends on (`rfwidget._measure.spans`), touched sets included. `LinearDomain`
carries float64 numbers through a linear, positive twin of the network, in which influence is never hidden: activations
are the identity, maxima and products are averages, kernels are positive numbers that conserve mass.

Tensors have the layout of the layer at hand; axes are said by number.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried

DTYPE = "float64"

Padding = str | Sequence[tuple[int, int]]
"""``"valid"``, ``"same"``, ``"causal"``, or elements before and behind, one pair for each axis."""


class OpaqueError(Exception):
    """Code that this domain cannot follow."""


class NeedsFullWidth(BaseException):
    """Raised where an operation tells channels apart, so that one channel per tensor does not do."""


class Domain(ABC):
    """The primitives in which rules are written.

    Attributes:
        thin: whether tensors have one channel only, whatever the model's have.
    """

    thin = False

    def need_full_width(self) -> None:  # noqa: B027 - most domains have all channels
        """Refuse to go on where tensors have fewer channels than the model's."""

    def is_whole(self, operation: Any, axis: int, *, covers: bool) -> bool:  # noqa: ARG002
        """Whether a pooling is meant to cover a whole axis; ``covers``: it does so in this run."""
        return covers

    @abstractmethod
    def is_value(self, leaf: Any) -> bool:
        """Whether something flows here, that is, may depend on the image; anything else is a constant."""

    @abstractmethod
    def join(self, tensors: Sequence[Any], shape: Sequence[int] | None = None) -> Any:
        """Sums, products, maxima, ... of tensors; stretched to a shape as by broadcasting."""

    @abstractmethod
    def mix(self, x: Any, axis: int, results: int, groups: int = 1) -> Any:
        """Channels, each a mixture of all channels of its group."""

    @abstractmethod
    def repeat(self, x: Any, axis: int, times: int) -> Any:
        """Each element of an axis several times in a row."""

    @abstractmethod
    def window(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        padding: Padding,
    ) -> Any:  # fmt: skip
        """Each channel through a moving window: what is left of a convolution or a pooling."""

    @abstractmethod
    def transposed(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        starts: Sequence[int], lengths: Sequence[int],
    ) -> Any:  # fmt: skip
        """Each channel through a transposed window, of whose results those from a start on are kept."""

    @abstractmethod
    def pad(self, x: Any, axis: int, before: int, after: int) -> Any:
        """Zeros before and behind the elements of an axis; negative numbers cut elements off."""

    @abstractmethod
    def read(self, x: Any, axis: int, reads: Sequence[npt.NDArray[Any]]) -> Any:
        """Each result a mixture of several elements of an axis, by number; -1 is none."""

    @abstractmethod
    def reduce(self, x: Any, axes: Sequence[int], *, keepdims: bool = False) -> Any:
        """Sums, means, maxima, ... along axes."""

    @abstractmethod
    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """The same elements in another shape."""

    @abstractmethod
    def transpose(self, x: Any, order: Sequence[int]) -> Any:
        """The axes in another order."""

    @abstractmethod
    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """Tensors one behind the other."""

    @abstractmethod
    def cumulate(self, x: Any, axis: int) -> Any:
        """Each element with all before it along an axis: what is left of a recurrence, or of a running sum."""

    @abstractmethod
    def nowhere(self, shape: Sequence[int], like: Any) -> Any:
        """A tensor that does not depend on the image."""

    def stepwise(self, x: Any) -> Any:
        """The same tensor, of which each step along an axis may see further along others than the one before it."""
        return x

    def take(self, x: Any, axis: int, index: Any) -> Any:
        """Elements of an axis by number."""
        return self.read(x, axis, [np.asarray(index)])

    def everywhere(self, x: Any, axes: Sequence[int]) -> Any:
        """Each element with all others along some axes: what is left of a normalisation or an attention."""
        return self.join([x, self.reduce(x, axes, keepdims=True)])


def same_padding(length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    """Elements before and behind for ``"same"``: the last window may reach further than the first."""
    total = max((-(-length // stride) - 1) * stride + (size - 1) * dilation + 1 - length, 0)
    return total // 2, total - total // 2


def padded_by(padding: Padding, place: int, length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    """Elements before and behind along one axis of a window.

    Args:
        padding: of all axes.
        place: number of the axis among them.
        length: of the tensor there.
        size: of the window.
        stride: from one window to the next.
        dilation: from one element of the window to the next.
    """
    if padding == "same":
        return same_padding(length, size, stride, dilation)
    if padding == "causal":
        return (size - 1) * dilation, 0
    return (0, 0) if isinstance(padding, str) else padding[place]


class SpanDomain(Domain):
    """Spans, and touched sets of pixels beside them.

    Args:
        blur: let each channel of concatenated maps depend on what any of them does: much less work, and the same to
            whoever mixes all channels. NeedsFullWidth is raised where some are told from others afterwards.
        first_from: tensors of so many axes and more are ``[n, c, ...]``; None: none are.
        whole: poolings that cover a whole axis at the size asked for, and so at any size.
        learning: whether this is the run at that size, which fills in ``whole``.
    """

    def __init__(
        self,
        *,
        blur: bool = False,
        first_from: int | None = None,
        whole: set[tuple[int, int]] | None = None,
        learning: bool = False,
    ) -> None:
        self._whole = set() if whole is None else whole
        self._learning = learning
        self._blur = blur
        self._first_from = first_from

    def _channel_axis(self, rank: int) -> int:
        return 1 if self._first_from is not None and rank >= self._first_from else rank - 1

    def is_whole(self, operation: Any, axis: int, *, covers: bool) -> bool:
        """As it was at the size asked for."""
        if self._learning and covers:
            self._whole.add((id(operation), axis))
        return (id(operation), axis) in self._whole

    def _check(self, x: Carried, *, kept: bool) -> None:
        """Refuse what tells blurred channels apart."""
        if x.marks.blurred and not kept:
            raise NeedsFullWidth

    def is_value(self, leaf: Any) -> bool:
        """Whether it is a `Carried`."""
        return isinstance(leaf, Carried)

    def join(self, tensors: Sequence[Any], shape: Sequence[int] | None = None) -> Any:
        """The union."""
        return spans.join(tensors, shape)

    def mix(self, x: Any, axis: int, results: int, groups: int = 1) -> Any:
        """The union of each group."""
        mixed = spans.grouped(x, x.axis(axis), groups, results)
        return spans.sharp(mixed) if groups == 1 and x.axis(axis) == self._channel_axis(x.rank) else mixed

    def repeat(self, x: Any, axis: int, times: int) -> Any:
        """By number."""
        return spans.take(x, axis, np.repeat(np.arange(x.shape[axis]), times)) if times != 1 else x

    def window(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        padding: Padding,
    ) -> Any:  # fmt: skip
        """Axis by axis."""
        for place, (axis, size, stride, dilation) in enumerate(zip(axes, sizes, strides, dilations, strict=True)):
            before, after = padded_by(padding, place, x.shape[axis], size, stride, dilation)
            x = spans.window(x, axis, size, stride=stride, dilation=dilation, before=before, after=after)
        return x

    def transposed(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        starts: Sequence[int], lengths: Sequence[int],
    ) -> Any:  # fmt: skip
        """Axis by axis."""
        for axis, size, stride, dilation, start, length in zip(
            axes, sizes, strides, dilations, starts, lengths, strict=True
        ):
            x = spans.transposed_window(x, axis, size, stride=stride, dilation=dilation, start=start, length=length)
        return x

    def pad(self, x: Any, axis: int, before: int, after: int) -> Any:
        """Nothing around it, and a border met."""
        return spans.pad(x, axis, before, after)

    def read(self, x: Any, axis: int, reads: Sequence[npt.NDArray[Any]]) -> Any:
        """The union of what is read."""
        self._check(x, kept=x.axis(axis) != self._channel_axis(x.rank))
        return spans.read(x, axis, reads)

    def reduce(self, x: Any, axes: Sequence[int], *, keepdims: bool = False) -> Any:
        """The union along the axes."""
        return spans.reduce(x, axes, keepdims=keepdims)

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """As NumPy."""
        same = self._channel_axis(x.rank) == x.rank - 1 and tuple(shape)[-1:] == x.shape[-1:]
        self._check(x, kept=same or tuple(shape) == x.shape)
        return spans.reshape(x, shape)

    def transpose(self, x: Any, order: Sequence[int]) -> Any:
        """As NumPy."""
        self._check(x, kept=order[-1] == x.rank - 1 or tuple(order) in _LAYOUTS)
        return spans.transpose(x, order)

    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """As NumPy."""
        rank = tensors[0].rank
        if self._blur and axis % rank == self._channel_axis(rank) and rank > 2:
            return spans.blurred(tensors, axis)
        return spans.concatenate(tensors, axis)

    def stepwise(self, x: Any) -> Any:
        """Marked."""
        return spans.marked(x, spans.Marks(stepwise=True))

    def cumulate(self, x: Any, axis: int) -> Any:
        """The union so far."""
        return spans.cumulate(x, axis)

    def nowhere(self, shape: Sequence[int], like: Any) -> Any:
        """Empty spans."""
        return spans.nowhere(shape, like)


class LinearDomain(Domain):
    """Float64 numbers through a linear, positive twin.

    Args:
        thin: one channel per tensor. Enough unless some operation tells channels apart.
        local: leave out what mixes the whole image (``ignore_global_context``).
        first_from: tensors of so many axes and more are ``[n, c, ...]``; None: none are.
    """

    def __init__(self, *, thin: bool = True, local: bool = False, first_from: int | None = None) -> None:
        self.thin = thin
        self._local = local
        self._first_from = first_from
        self._random = np.random.default_rng(20)

    def is_value(self, leaf: Any) -> bool:
        """Whether it is a tensor: other inputs are zeros that flow too."""
        return bool(ops.is_tensor(leaf)) and keras.backend.standardize_dtype(leaf.dtype) == DTYPE

    def need_full_width(self) -> None:
        """Refuse to go on with one channel per tensor."""
        if self.thin:
            raise NeedsFullWidth

    def _channel_axis(self, rank: int) -> int:
        return 1 if self._first_from is not None and rank >= self._first_from else rank - 1

    def join(self, tensors: Sequence[Any], shape: Sequence[int] | None = None) -> Any:
        """The average: a product of means would overflow."""
        joined = sum(tensors[1:], start=tensors[0]) / float(len(tensors)) if len(tensors) > 1 else tensors[0]
        if shape is None:
            return joined
        stretched = list(np.broadcast_shapes(tuple(joined.shape), self._thinned(tuple(shape))))
        return joined if stretched == list(joined.shape) else joined + ops.zeros(stretched, DTYPE)

    def _thinned(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not self.thin or not shape:
            return shape
        axis = self._channel_axis(len(shape))
        return (*shape[:axis], 1, *shape[axis + 1 :])

    def mix(self, x: Any, axis: int, results: int, groups: int = 1) -> Any:
        """A different mixture for every result."""
        axis %= len(x.shape)
        if self.thin:
            return ops.mean(x, axis=axis, keepdims=True)
        shape = tuple(x.shape)
        grouped = (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
        mean = ops.mean(ops.reshape(x, grouped), axis=axis + 1)
        return self._spread(ops.repeat(mean, results // groups, axis=axis), axis)

    def _spread(self, x: Any, axis: int) -> Any:
        """A little different in every channel, so that differences of channels do not vanish."""
        shape = [1] * len(x.shape)
        shape[axis] = x.shape[axis]
        return x * ops.convert_to_tensor(self._random.uniform(0.9, 1.1, shape), DTYPE)

    def repeat(self, x: Any, axis: int, times: int) -> Any:
        """Each a little different."""
        if self.thin and axis % len(x.shape) == self._channel_axis(len(x.shape)):
            return x
        return self._spread(ops.repeat(x, times, axis=axis), axis % len(x.shape))

    def window(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        padding: Padding,
    ) -> Any:  # fmt: skip
        """A mean with positive weights that sum to one, slightly random so that nothing cancels by symmetry."""
        if all(n == 1 for n in (*sizes, *strides)) and isinstance(padding, str):
            return x
        amounts = [
            padded_by(padding, place, x.shape[axis], size, stride, dilation)
            for place, (axis, size, stride, dilation) in enumerate(zip(axes, sizes, strides, dilations, strict=True))
        ]
        kernel = ops.convert_to_tensor(self._weights(sizes)[..., None, None], DTYPE)
        strided = max(dilations) == 1

        def convolve(image: Any) -> Any:
            image = ops.pad(image, ((0, 0), *amounts, (0, 0)))
            # No backend runs strides together with dilation: take every s-th result instead.
            found = ops.conv(
                image, kernel, tuple(strides) if strided else 1, "valid", "channels_last", tuple(dilations)
            )
            return found if strided else found[(slice(None), *(slice(None, None, s) for s in strides))]

        return self._per_channel(x, axes, convolve)

    def transposed(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        starts: Sequence[int], lengths: Sequence[int],
    ) -> Any:  # fmt: skip
        """Zeros between the weights do for dilation, which no backend runs here on a CPU."""
        spaced = np.zeros([(k - 1) * d + 1 for k, d in zip(sizes, dilations, strict=True)])
        spaced[tuple(slice(None, None, d) for d in dilations)] = self._weights(sizes) * math.prod(strides)
        kernel = ops.convert_to_tensor(spaced[..., None, None], DTYPE)

        def convolve(image: Any) -> Any:
            full = ops.conv_transpose(image, kernel, tuple(strides), "valid", None, "channels_last")
            for axis, (start, length) in enumerate(zip(starts, lengths, strict=True), start=1):
                missing = start + length - full.shape[axis]
                if missing > 0:
                    full = ops.pad(full, [(0, missing) if a == axis else (0, 0) for a in range(len(full.shape))])
            cuts = (slice(start, start + length) for start, length in zip(starts, lengths, strict=True))
            return full[(slice(None), *cuts)]

        return self._per_channel(x, axes, convolve)

    def _weights(self, sizes: Sequence[int]) -> npt.NDArray[np.float64]:
        weights = self._random.uniform(0.9, 1.1, tuple(sizes))
        result: npt.NDArray[np.float64] = weights / weights.sum()
        return result

    @staticmethod
    def _per_channel(x: Any, axes: Sequence[int], function: Callable[[Any], Any]) -> Any:
        """A function of ``[n, ..., 1]`` for each entry of all other axes."""
        others = [axis for axis in range(len(x.shape)) if axis not in axes]
        order = [*others, *axes]
        moved = ops.transpose(x, order)
        kept = tuple(moved.shape[: len(others)])
        found = function(ops.reshape(moved, (math.prod(kept), *moved.shape[len(others) :], 1)))
        found = ops.reshape(found, (*kept, *found.shape[1:-1]))
        return ops.transpose(found, [order.index(axis) for axis in range(len(order))])

    def pad(self, x: Any, axis: int, before: int, after: int) -> Any:
        """Zeros."""
        axis %= len(x.shape)
        keys = [slice(None)] * len(x.shape)
        keys[axis] = slice(max(0, -before), x.shape[axis] - max(0, -after))
        amounts = [(max(0, before), max(0, after)) if a == axis else (0, 0) for a in range(len(x.shape))]
        return ops.pad(x[tuple(keys)], amounts)

    def read(self, x: Any, axis: int, reads: Sequence[npt.NDArray[Any]]) -> Any:
        """The mean of what is read."""
        axis %= len(x.shape)
        if axis == self._channel_axis(len(x.shape)) and len(x.shape) > 2:
            self.need_full_width()
        total: Any = 0.0
        for index in reads:
            shape = [1] * len(x.shape)
            shape[axis] = len(index)
            weight = np.where(index < 0, 0.0, 1 / len(reads)).reshape(shape)
            total = total + ops.take(x, np.maximum(index, 0), axis=axis) * ops.convert_to_tensor(weight, DTYPE)
        return total

    def reduce(self, x: Any, axes: Sequence[int], *, keepdims: bool = False) -> Any:
        """The mean; of places, nothing where global context is left out."""
        rank = len(x.shape)
        axes = sorted({axis % rank for axis in axes})
        mean = ops.mean(x, axis=tuple(axes), keepdims=keepdims)
        places = [axis for axis in axes if axis not in (0, self._channel_axis(rank))]
        return mean * 0.0 if self._local and places else mean

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """On all channels, unless only channels are left."""
        shape = tuple(shape)
        if self.thin and math.prod(x.shape[1:]) == 1 and sum(n != 1 for n in shape[1:]) <= 1:
            return ops.reshape(x, (x.shape[0], *(1 for _ in shape[1:])))
        if self.thin and shape == tuple(x.shape):
            return x
        self.need_full_width()
        return ops.reshape(x, shape)

    def transpose(self, x: Any, order: Sequence[int]) -> Any:
        """The channels must stay the last axis where there is only one."""
        if self.thin and order[-1] != len(order) - 1 and tuple(order) not in _LAYOUTS:
            raise NeedsFullWidth
        return ops.transpose(x, tuple(order))

    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """Of thin tensors the average will do: whoever reads one channel reads them all."""
        rank = len(tensors[0].shape)
        if self.thin and axis % rank == self._channel_axis(rank):
            return self.join(tensors)
        return ops.concatenate(list(tensors), axis=axis)

    def cumulate(self, x: Any, axis: int) -> Any:
        """Running means."""
        if self._local:
            return x
        return self.join([x, ops.cumsum(x, axis=axis) / float(x.shape[axis])])

    def nowhere(self, shape: Sequence[int], like: Any) -> Any:  # noqa: ARG002 - the signature of all domains
        """Zeros."""
        return ops.zeros(self._thinned(tuple(shape)), DTYPE)


_LAYOUTS = {(0, 2, 1), (0, 3, 1, 2), (0, 2, 3, 1), (0, 4, 1, 2, 3), (0, 2, 3, 4, 1)}
