"""Attentions of a Keras model, seen while it runs on numbers.

Beside every tensor goes where its elements stand on the image (`rfwidget._measure.tokens`). What an operation does to
places is told by the rules that tell it of spans, over a domain of places; the numbers are computed as ever. Code runs
on proxies, as it does when it is looked at, so that every operation of Keras in it is met: the softmax among them, and
fused attentions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from rfwidget._measure import tokens
from rfwidget._measure.tokens import Places
from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras.backends import backend
from rfwidget.keras.domains import Domain, Padding, padded_by
from rfwidget.keras.interpreter import (
    SEPARATOR,
    Interpreter,
    Proxy,
    call_as_keras_does,
    for_inference,
    intercepted,
    is_keras_own,
)
from rfwidget.keras.rules import rule_for
from rfwidget.network import Attention

_LOOKED_INTO = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
)
"""Layers with a rule that says nothing of the weights inside."""


class Standing:
    """A tensor, and where its elements stand."""

    def __init__(self, tensor: Any, places: Places) -> None:
        self.tensor, self.places = tensor, places

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(self.tensor.shape)


class Attending:
    """One run of a model.

    Args:
        target: path of the layer at which it ends; None: it runs to its end.
        call: which of the layer's calls is meant.
        check: called with how many numbers all weights together have; what it raises ends the run.

    Attributes:
        attentions: in the order in which they are met.
        lost: layers and operations behind which places are not known.
    """

    def __init__(self, target: str | None, call: int, check: Callable[[int], None]) -> None:
        self._interpreter = Interpreter(self._apply, target=target, call=call)
        self._check, self._held = check, 0
        self._domain = _PlaceDomain()
        self.attentions: list[Attention] = []
        self.lost: list[str] = []

    def run(self, model: Any, feeds: Sequence[Any]) -> Any:
        """What the layer gives, with `Standing` for what depends on the image.

        Args:
            model: the user's, only read.
            feeds: its inputs; `Standing` for the image.
        """
        return self._interpreter.run(model, feeds)

    def _apply(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kwargs = for_inference(operation, kwargs)
        if not _flowing((args, kwargs)):
            return call_as_keras_does(operation, args, kwargs)
        own = _OWN.get(type(operation).__name__) if is_keras_own(operation) else None
        rule = None if isinstance(operation, _LOOKED_INTO) else rule_for(operation)
        try:
            if own is not None:
                return own(self, operation, path, args, kwargs)
            if rule is not None:
                places = rule(self._domain, operation, *_mapped(args, _places_of), **_mapped(kwargs, _places_of))
                return _together(_called(operation, args, kwargs), places)
        except NotImplementedError:  # a rule for most such operations, but not for this one
            pass
        return self._inside(operation, path, args, kwargs)

    def _inside(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Code, call by call; where it does not speak to Keras, places are not known behind it."""
        count, held = len(self.attentions), self._held
        if isinstance(operation, keras.Layer):
            try:
                with self._interpreter.in_code(path), intercepted(self._inner), backend.kept(operation):
                    return _mapped(operation.call(*_mapped(args, _proxy), **_mapped(kwargs, _proxy)), _unproxied)
            except ReceptiveFieldError:
                raise
            except Exception:
                self.attentions, self._held = self.attentions[:count], held
        self.lost.append(path)
        axes = len(_flowing((args, kwargs))[0].places.own)
        return _mapped(_called(operation, args, kwargs), lambda leaf: _nowhere(leaf, axes))

    def _inner(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outputs = self._interpreter.apply(operation, _mapped(args, _unproxied), _mapped(kwargs, _unproxied))
        return _mapped(outputs, _proxy)

    # -- what makes an attention ---------------------------------------------------------------------------------------

    def softmax(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Along one axis, or several of which all are keys'."""
        x = args[0] if args else next(iter(kwargs.values()))
        if not isinstance(x, Standing):
            raise NotImplementedError(f"{operation.name}: only its mask comes from the image")
        numbers = _called(operation, args, kwargs)
        axes = [axis % len(x.shape) for axis in keras.tree.flatten(operation.axis)]
        rest = [axis for axis in range(len(x.shape)) if axis not in axes]
        order, kept = [*rest, *axes], [x.shape[axis] for axis in rest]

        def flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return values.transpose(order).reshape(*kept, -1)

        def back(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return values.reshape([x.shape[axis] for axis in order]).transpose(np.argsort(order))

        behind, attention = tokens.attended(
            tokens.moved(x.places, flat), -1, _name_of(path), lambda: flat(_singles(numbers))
        )
        self._keep(attention)
        return Standing(numbers, tokens.moved(behind, back))

    def fused(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``keras.ops.dot_product_attention``: ``(batch, tokens, heads, channels)``."""
        given = {**dict(zip(("query", "key", "value", "bias", "mask", "scale"), args, strict=False)), **kwargs}
        numbers, weights = _called(operation, args, kwargs), _weights(operation, given)
        query, key = (_places_of(given[name]) for name in ("query", "key"))
        query, key = (part if isinstance(part, Places) else None for part in (query, key))
        if query is None and key is None:
            raise NotImplementedError(f"{operation.name}: of values alone")
        if key is not None and key.shape[2] != weights.shape[1]:
            key = Places(key.own.repeat(weights.shape[1] // key.shape[2], axis=3))
        lengths = dict(zip("bhqk", weights.shape, strict=True))
        scores = tokens.product([query, key], ["bqhc", "bkhc"], "bhqk", lengths)
        behind, attention = tokens.attended(scores, -1, _name_of(path), lambda: weights)
        self._keep(attention)
        own = np.swapaxes(behind.own[..., :1], 2, 3)
        return Standing(numbers, Places(np.broadcast_to(own, (len(own), *numbers.shape))))

    def product(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ARG002
        """Of matrices, or as ``einsum``."""
        factors = [*args, *kwargs.values()]
        if len(factors) != 2:
            raise NotImplementedError(f"{operation.name}: a product of {len(factors)}")
        numbers = _called(operation, args, kwargs)
        labels, result = _labels(operation, [len(factor.shape) for factor in factors])
        lengths = dict(zip(result, numbers.shape, strict=True))
        parts: list[Places | None] = []
        for factor, own in zip(factors, labels, strict=True):
            shape = [lengths.get(label, n) for label, n in zip(own, factor.shape, strict=True)]
            parts.append(tokens.joined([factor.places], shape) if isinstance(factor, Standing) else None)
        found = tokens.product(parts, labels, result, lengths)
        by_weights = isinstance(factors[0], Standing) and isinstance(factors[1], keras.Variable)
        return Standing(numbers, Places(found.own) if by_weights else found)

    def _keep(self, attention: Attention | None) -> None:
        if attention is not None:
            self._held += attention.weights.size
            self._check(self._held)
            self.attentions.append(attention)


_OWN: Mapping[str, Callable[..., Any]] = {
    "Softmax": Attending.softmax,
    "DotProductAttention": Attending.fused,
    "Matmul": Attending.product,
    "Einsum": Attending.product,
}
"""Operations, and layers of the same name, that have a way of their own."""


def _weights(operation: Any, given: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """Weights ``(batch, heads, queries, keys)`` of a fused attention, from its arguments."""
    query, key = (ops.cast(_number(given[name]), "float32") for name in ("query", "key"))
    if key.shape[2] != query.shape[2]:  # several queries share one key
        key = ops.repeat(key, query.shape[2] // key.shape[2], axis=2)
    scale = given.get("scale")
    scores = ops.einsum("bqhc,bkhc->bhqk", query, key)
    scores = scores * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if given.get("bias") is not None:
        scores = scores + ops.cast(_number(given["bias"]), "float32")
    cap = getattr(operation, "attn_logits_soft_cap", None)
    if cap is not None:
        scores = ops.tanh(scores / cap) * cap
    allowed = None if given.get("mask") is None else ops.cast(_number(given["mask"]), "bool")
    if getattr(operation, "is_causal", False):
        causal = ops.convert_to_tensor(np.tril(np.ones(scores.shape[-2:], bool)))
        allowed = causal if allowed is None else ops.logical_and(allowed, causal)
    if allowed is not None:
        scores = ops.where(allowed, scores, -1e30)
    return _singles(ops.softmax(scores, axis=-1))


def _labels(operation: Any, ranks: Sequence[int]) -> tuple[list[list[Any]], list[Any]]:
    """Labels of the factors of a product, and of its result."""
    written = getattr(operation, "subscripts", None)
    if written is None:
        return _of_matrices(*ranks)
    given, arrow, result = written.replace(" ", "").partition("->")
    words = given.split(",")
    if len(words) != len(ranks) or not arrow:
        raise NotImplementedError(f"{operation.name}: {written}")
    rest = max(rank - len(word.replace("...", "")) for word, rank in zip(words, ranks, strict=True))

    def spelled(word: str, count: int) -> list[Any]:
        before, dots, behind = word.partition("...")
        return [*before, *range(rest - count, rest), *behind] if dots else [*word]

    labels = [spelled(word, rank - len(word.replace("...", ""))) for word, rank in zip(words, ranks, strict=True)]
    return labels, spelled(result, rest)


def _of_matrices(first: int, second: int) -> tuple[list[list[Any]], list[Any]]:
    count = max(first - 2, second - 2, 0)
    lead = list(range(count))
    rows, columns = ["m"] * (first > 1), ["n"] * (second > 1)
    ahead = [lead[count - max(rank - 2, 0) :] for rank in (first, second)]
    return [[*ahead[0], *rows, "k"], [*ahead[1], "k", *columns]], [*lead, *rows, *columns]


def _name_of(path: str) -> str:
    """An attention goes by the layer in which its softmax is."""
    return path.rpartition(SEPARATOR)[0] or path


# -- tensors with their places -----------------------------------------------------------------------------------------


def _mapped(structure: Any, function: Callable[[Any], Any]) -> Any:
    return keras.tree.map_structure(function, structure)


def _flowing(structure: Any) -> list[Standing]:
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, Standing)]


def _number(leaf: Any) -> Any:
    return leaf.tensor if isinstance(leaf, Standing) else leaf


def _places_of(leaf: Any) -> Any:
    return leaf.places if isinstance(leaf, Standing) else leaf


def _proxy(leaf: Any) -> Any:
    if not isinstance(leaf, Standing):
        return leaf
    return Proxy(leaf, lambda: None, keras.backend.standardize_dtype(leaf.tensor.dtype))


def _unproxied(leaf: Any) -> Any:
    return leaf.value if isinstance(leaf, Proxy) else leaf


def _called(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operation as it is, on numbers."""
    return call_as_keras_does(operation, _mapped(args, _number), _mapped(kwargs, _number))


def _together(numbers: Any, places: Any) -> Any:
    """Results with their places."""
    known = [leaf for leaf in keras.tree.flatten(places) if isinstance(leaf, Places)]
    flat = keras.tree.flatten(numbers)
    if len(known) != len(flat):
        raise NotImplementedError("other results than the rule knows of")
    found = [
        Standing(leaf, part if part.shape == tuple(leaf.shape) else _stretched(part, tuple(leaf.shape)))
        for leaf, part in zip(flat, known, strict=True)
    ]
    return keras.tree.pack_sequence_as(numbers, found)


def _stretched(places: Places, shape: tuple[int, ...]) -> Places:
    found = tokens.joined([places], shape)
    if found is None:
        raise NotImplementedError("another shape than the rule knows of")
    return found


def _nowhere(leaf: Any, count: int) -> Any:
    return Standing(leaf, Places(np.zeros((count, *leaf.shape), np.float32))) if ops.is_tensor(leaf) else leaf


def _singles(tensor: Any) -> npt.NDArray[np.float32]:
    return np.asarray(ops.convert_to_numpy(ops.cast(tensor, "float32")))


# -- places ------------------------------------------------------------------------------------------------------------


class _PlaceDomain(Domain):
    """Where elements stand."""

    def is_value(self, leaf: Any) -> bool:
        """Whether it is a `Places`."""
        return isinstance(leaf, Places)

    def join(self, tensors: Sequence[Any], shape: Sequence[int] | None = None) -> Any:
        """Those of the tensors that are as large as the result."""
        shapes = [tensor.shape for tensor in tensors] + ([] if shape is None else [tuple(shape)])
        return tokens.joined(tensors, np.broadcast_shapes(*shapes))

    def mix(self, x: Any, axis: int, results: int, groups: int = 1) -> Any:
        """In the middle of the channels."""
        if groups > 1:
            own = x.own.take(np.repeat(np.arange(groups) * (x.shape[axis] // groups), results // groups), 1 + axis)
            return Places(own)
        own = tokens.reduced(x, [axis], keepdims=True).own
        lengths = list(own.shape)
        lengths[1 + axis] = results
        return Places(np.broadcast_to(own, lengths))

    def repeat(self, x: Any, axis: int, times: int) -> Any:
        """As NumPy."""
        return tokens.moved(x, lambda plane: plane.repeat(times, axis))

    def window(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        padding: Padding,
    ) -> Any:  # fmt: skip
        """In the middle of the window."""
        for place, (axis, size, stride, dilation) in enumerate(zip(axes, sizes, strides, dilations, strict=True)):
            before, after = padded_by(padding, place, x.shape[axis], size, stride, dilation)
            results = (x.shape[axis] + before + after - (size - 1) * dilation - 1) // stride + 1
            if (size, stride, before, after) != (1, 1, 0, 0):
                x = tokens.window(x, axis, size, stride=stride, dilation=dilation, before=before, results=results)
        return x

    def transposed(
        self, x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
        starts: Sequence[int], lengths: Sequence[int],
    ) -> Any:  # fmt: skip
        """Between the elements that reach it."""
        for axis, size, stride, dilation, start, length in zip(
            axes, sizes, strides, dilations, starts, lengths, strict=True
        ):
            x = tokens.resampled(x, axis, (np.arange(length) + start - dilation * (size - 1) / 2) / stride)
        return x

    def pad(self, x: Any, axis: int, before: int, after: int) -> Any:
        """Without a place."""
        axis %= len(x.shape)
        cut = [slice(None)] * len(x.shape)
        cut[axis] = slice(max(0, -before), x.shape[axis] - max(0, -after))
        amounts = [(max(0, before), max(0, after)) if a == axis else (0, 0) for a in range(len(x.shape))]
        return tokens.moved(x, lambda plane: np.pad(plane[tuple(cut)], amounts))

    def read(self, x: Any, axis: int, reads: Sequence[npt.NDArray[Any]]) -> Any:
        """In the middle of what is read."""
        axis %= len(x.shape)

        def taken(index: npt.NDArray[Any]) -> Any:
            there = (index >= 0).reshape([-1 if a == axis else 1 for a in range(len(x.shape))])
            return tokens.moved(x, lambda plane: plane.take(np.maximum(index, 0), axis) * there)

        if len(reads) == 1:
            return taken(np.asarray(reads[0]))
        both = [taken(np.asarray(index)).own for index in reads]
        return tokens.reduced(Places(np.stack(both, axis=1)), [0], keepdims=False)

    def reduce(self, x: Any, axes: Sequence[int], *, keepdims: bool = False) -> Any:
        """In the middle of all."""
        return tokens.reduced(x, axes, keepdims=keepdims)

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """As NumPy."""
        return tokens.moved(x, lambda plane: plane.reshape(shape))

    def transpose(self, x: Any, order: Sequence[int]) -> Any:
        """As NumPy."""
        return tokens.moved(x, lambda plane: plane.transpose(order))

    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """As NumPy."""
        own = [tensor.own for tensor in tensors]
        return Places(np.concatenate(own, axis=1 + axis % len(tensors[0].shape)))

    def cumulate(self, x: Any, axis: int) -> Any:  # noqa: ARG002 - an element has its own place
        """Where they are."""
        return x

    def nowhere(self, shape: Sequence[int], like: Any) -> Any:
        """Without a place."""
        return Places(np.zeros((len(like.own), *shape), np.float32))
