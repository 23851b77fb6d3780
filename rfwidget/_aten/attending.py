"""Attentions of code of PyTorch, seen while it runs on numbers.

A dispatch mode takes down where the elements of each tensor stand (`rfwidget._measure.tokens`) beside the numbers, that
are computed as ever; so it meets every softmax, and every fused attention with its queries, keys, mask and scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from rfwidget._aten.interpreter import leaves, mapped, plan_of
from rfwidget._aten.rules import RULES
from rfwidget._measure import tokens
from rfwidget._measure.tokens import Places
from rfwidget.network import Attention

_MOVES = frozenset((
    "view", "_unsafe_view", "reshape", "_reshape_alias", "view_copy", "permute", "transpose", "t", "numpy_T",
    "expand", "slice", "select", "unsqueeze", "squeeze", "split", "split_with_sizes", "chunk", "unbind", "cat",
    "stack", "roll", "flip", "repeat", "index_select", "gather", "index", "flatten", "unflatten", "narrow",
    "constant_pad_nd", "pad", "pixel_shuffle", "pixel_unshuffle", "im2col", "col2im", "movedim", "swapaxes",
    "unfold", "tile", "as_strided", "take_along_dim", "diagonal", "repeat_interleave", "upsample_nearest2d",
    "view_as", "expand_as", "concat", "concatenate", "rot90", "native_channel_shuffle", "channel_shuffle",
))  # fmt: skip
_REDUCTIONS = frozenset((
    "sum", "mean", "amax", "amin", "max", "min", "prod", "logsumexp", "var", "std", "norm", "linalg_vector_norm",
))  # fmt: skip
_FUSED = frozenset(
    {
        "scaled_dot_product_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_attention_math",
        "_scaled_dot_product_cudnn_attention",
        "_scaled_dot_product_fused_attention_overrideable",
    }
)
_SOFTMAX = frozenset({"softmax", "_softmax", "_safe_softmax"})


class Attending(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The dispatch mode of one run on numbers.

    Args:
        name: tells where in the model the run is, for the name of an attention.
        check: called with how many numbers all weights together have; what it raises ends the run.

    Attributes:
        attentions: in the order in which they are met.
        lost: operations behind which places are not known.
    """

    def __init__(self, name: Callable[[], str], check: Callable[[int], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name, self._check = name, check
        self._places: Any = WeakTensorKeyDictionary()
        self.attentions: list[Attention] = []
        self.lost: set[str] = set()
        self._held = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def image(self, tensor: torch.Tensor, axes: Sequence[int]) -> None:
        """Say of a tensor that it is the image."""
        self._places[tensor] = tokens.image(tensor.shape, axes)

    def places(self, tensor: Any) -> Places | None:
        """Where the elements of a tensor stand; None: nowhere, or that is not known."""
        found: Places | None = self._places.get(tensor) if isinstance(tensor, torch.Tensor) else None
        return found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation, and take down where its results stand."""
        kwargs = kwargs or {}
        plan = plan_of(func, RULES)
        arguments = {**plan.defaults, **dict(zip(plan.arguments, args, strict=False)), **kwargs}
        given = [leaf for leaf in leaves(arguments) if self.places(leaf) is not None]
        if not given:
            return func(*args, **kwargs)
        if not _is_known(plan.name) and not plan.writes and not plan.pointwise:
            with self:
                whole = func.decompose(*args, **kwargs)
            if whole is not NotImplemented:
                return whole
        before = {id(leaf): self.places(leaf) for leaf in given}
        result = func(*args, **kwargs)
        results = [leaf for leaf in leaves(result) if isinstance(leaf, torch.Tensor)]
        for tensor, places in zip(results, self._of_results(func, plan.name, args, kwargs, arguments, results, before),
                                  strict=False):  # fmt: skip
            if places is None:
                self._places.pop(tensor, None)
            elif places.shape == tuple(tensor.shape):
                self._places[tensor] = places
        return result

    def _of_results(
        self,
        func: Any,
        name: str,
        args: Any,
        kwargs: Any,
        arguments: dict[str, Any],
        results: Sequence[torch.Tensor],
        before: dict[int, Places | None],
    ) -> Sequence[Places | None]:
        """Places of all results."""
        if not results:
            return []
        shape = tuple(results[0].shape)
        x = before.get(id(arguments.get("self", arguments.get("input"))))
        if name in _SOFTMAX and x is not None:
            return [self._softmax(x, int(arguments["dim"]), results[0])]
        if name in _FUSED:
            return [self._fused(arguments, before)]
        if name in _MOVES:
            return self._moved(func, args, kwargs, before)
        if name in _PRODUCTS:
            return [_product(name, arguments, before, shape)]
        if name in _WINDOWS and x is not None:
            found = _WINDOWS[name](arguments, x, shape)
            return [found] * len(results)
        if name in _REDUCTIONS and x is not None and arguments.get("other") is None:
            dims = arguments.get("dim")
            axes = range(len(x.shape)) if dims in (None, []) else [dims] if isinstance(dims, int) else dims
            found = tokens.reduced(x, list(axes), keepdims=bool(arguments.get("keepdim")))
            return [found] * len(results)
        known = [places for places in before.values() if places is not None]
        joined = tokens.joined(known, shape)
        if joined is None:
            self.lost.add(name)
        return [joined]

    def _softmax(self, x: Places, axis: int, result: torch.Tensor) -> Places:
        behind, attention = tokens.attended(x, axis, self._name(), lambda: result.detach().float().cpu().numpy())
        self._keep(attention)
        return behind

    def _fused(self, arguments: dict[str, Any], before: dict[int, Places | None]) -> Places | None:
        """An attention in one operation: its weights are worked out from what it is given."""
        query, key = arguments["query"], arguments["key"]
        places = [before.get(id(tensor)) for tensor in (query, key)]
        if places[0] is None and places[1] is None:
            return None
        scores = weights_of(arguments)
        lead = [f"l{n}" for n in range(query.dim() - 2)]
        lengths = dict(zip((*lead, "q", "k"), scores.shape, strict=True))
        grouped = [
            p if p is None or p.shape[:-2] == tuple(scores.shape[:-2]) else _repeated(p, tuple(scores.shape[:-2]))
            for p in places
        ]
        of_scores = tokens.product(grouped, [[*lead, "q", "c"], [*lead, "k", "c"]], [*lead, "q", "k"], lengths)
        behind, attention = tokens.attended(of_scores, -1, self._name(), lambda: scores.float().cpu().numpy())
        self._keep(attention)
        own = behind.own[..., :1]
        shape = (*query.shape[:-1], arguments["value"].shape[-1])
        return Places(np.broadcast_to(own, (len(own), *shape)))

    def _keep(self, attention: Attention | None) -> None:
        if attention is not None:
            self._held += attention.weights.size
            self._check(self._held)
            self.attentions.append(attention)

    def _moved(self, func: Any, args: Any, kwargs: Any, before: dict[int, Places | None]) -> list[Places | None]:
        """The same movement, of places; what has none is zeros."""
        known = [places for places in before.values() if places is not None]
        count, paired = len(known[0].own), all(places.other is not None for places in known)
        kwargs = {k: v for k, v in kwargs.items() if k not in ("dtype", "value", "memory_format", "layout")}

        def moved(number: int, part: str) -> list[np.ndarray[Any, Any]]:
            def swapped(value: Any) -> Any:
                if not isinstance(value, torch.Tensor):
                    return value
                places = before.get(id(value))
                if places is not None:
                    return torch.from_numpy(np.ascontiguousarray(getattr(places, part)[number]))
                return torch.zeros(value.shape) if value.is_floating_point() else value.cpu()

            if func._schema.name.endswith("constant_pad_nd"):
                given: Any = (swapped(args[0]), args[1], 0.0)
            else:
                given = mapped(args, swapped)
            made = func(*given, **mapped(kwargs, swapped))
            return [leaf.numpy() for leaf in leaves(made) if isinstance(leaf, torch.Tensor)]

        own = [moved(number, "own") for number in range(count)]
        other = [moved(number, "other") for number in range(count)] if paired else None
        found: list[Places | None] = []
        for place in range(len(own[0])):
            planes = _present(np.stack([part[place] for part in own]))
            second = None if other is None else _present(np.stack([part[place] for part in other]))
            found.append(Places(planes, second, any(p.lone for p in known)))
        return found


def weights_of(arguments: dict[str, Any]) -> torch.Tensor:
    """Weights ``(..., queries, keys)`` of `torch.nn.functional.scaled_dot_product_attention`, from its arguments."""
    query, key = arguments["query"].float(), arguments["key"].float()
    bias = arguments.get("attn_mask", arguments.get("attn_bias"))
    scale = arguments.get("scale") or 1 / math.sqrt(query.shape[-1])
    if key.dim() > 3 and key.shape[-3] != query.shape[-3]:  # several queries share one key
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = (query @ key.transpose(-1, -2)) * scale
    if arguments.get("is_causal"):
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    if bias is not None:
        scores = scores.masked_fill(~bias, -math.inf) if bias.dtype == torch.bool else scores + bias.float()
    weights: torch.Tensor = scores.softmax(-1).nan_to_num(0.0)
    return weights


def _repeated(places: Places, lead: tuple[int, ...]) -> Places:
    """Places of keys that several heads share."""
    own = places.own
    for axis, length in enumerate(lead):
        if own.shape[1 + axis] != length:
            own = own.repeat(length // own.shape[1 + axis], axis=1 + axis)
    return Places(own)


def _present(planes: Any) -> Any:
    """Where several were added up (`fold`), their middle."""
    if planes[-1].max(initial=0) > 1:
        planes = planes / np.maximum(planes[-1], 1)
    return planes.astype(np.float32, copy=False)


# -- products ----------------------------------------------------------------------------------------------------------


def _product(
    name: str, arguments: dict[str, Any], before: dict[int, Places | None], shape: tuple[int, ...]
) -> Places | None:
    first, second = (arguments[key] for key in _PRODUCTS[name])
    places = [before.get(id(first)), before.get(id(second))]
    if places == [None, None]:
        return None
    if name == "linear":
        own, result = [f"l{n}" for n in range(first.dim() - 1)], [f"l{n}" for n in range(len(shape) - 1)]
        labels = [[*own, "k"], ["n", "k"]]
        names = [*result, "n"]
    else:
        lead = [f"l{n}" for n in range(len(shape))]
        rows, columns = first.dim() > 1, second.dim() > 1
        count = len(shape) - rows - columns
        lead = lead[:count]
        labels = [
            [*lead[count - max(first.dim() - 2, 0) :], *(["m"] if rows else []), "k"],
            [*lead[count - max(second.dim() - 2, 0) :], "k", *(["n"] if columns else [])],
        ]
        names = [*lead, *(["m"] if rows else []), *(["n"] if columns else [])]
    lengths = dict(zip(names, shape, strict=True))
    known = [_fitted(part, own, lengths) for part, own in zip(places, labels, strict=True)]
    found = tokens.product(known, labels, names, lengths)
    weight = name in ("linear", "addmm") and places[1] is None
    return Places(found.own) if weight else found


def _fitted(places: Places | None, labels: Sequence[str], lengths: dict[str, int]) -> Places | None:
    """Stretched along axes that are broadcast."""
    if places is None:
        return None
    shape = [lengths.get(label, n) for label, n in zip(labels, places.shape, strict=True)]
    own = np.broadcast_to(places.own, (len(places.own), *shape))
    other = None if places.other is None else np.broadcast_to(places.other, (len(places.own), *shape))
    return Places(own, other, places.lone)


_PRODUCTS = {
    "linear": ("input", "weight"),
    "matmul": ("self", "other"),
    "mm": ("self", "mat2"),
    "bmm": ("self", "mat2"),
    "mv": ("self", "vec"),
    "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"),
}

# -- windows -----------------------------------------------------------------------------------------------------------


def _convolved(arguments: dict[str, Any], x: Places, shape: tuple[int, ...]) -> Places:
    weight = arguments["weight"]
    axes = weight.dim() - 2
    if arguments.get("transposed"):
        found = _mixed(x, axes, shape)
        for axis in range(axes):
            stride, pad, dilation = (_at(arguments[key], axis) for key in ("stride", "padding", "dilation"))
            middle = np.arange(shape[axis - axes]) + pad - dilation * (weight.shape[2 + axis] - 1) / 2
            found = tokens.resampled(found, axis - axes, middle / stride)
        return found
    return _windowed(_mixed(x, axes, shape), arguments, weight.shape[2:], shape)


def _mixed(x: Places, axes: int, shape: tuple[int, ...]) -> Places:
    """All channels of a map together."""
    own = tokens.reduced(x, [-1 - axes], keepdims=True).own
    lengths = list(own.shape)
    lengths[-1 - axes] = shape[-1 - axes]
    return Places(np.broadcast_to(own, lengths))


def _pooled(arguments: dict[str, Any], x: Places, shape: tuple[int, ...]) -> Places:
    return _windowed(x, arguments, arguments["kernel_size"], shape)


def _windowed(x: Places, arguments: dict[str, Any], sizes: Sequence[int], shape: tuple[int, ...]) -> Places:
    axes = len(sizes) if len(sizes) > 1 else 1
    strides = arguments.get("stride") or sizes
    for axis in range(axes):
        padding = arguments.get("padding", 0)
        size, dilation = int(sizes[axis]), _at(arguments.get("dilation", 1), axis)
        before = dilation * (size - 1) // 2 if padding == "same" else 0 if padding == "valid" else _at(padding, axis)
        x = tokens.window(
            x,
            axis - axes,
            size,
            stride=_at(strides, axis),
            dilation=dilation,
            before=before,
            results=shape[axis - axes],
        )
    return x


def _resized(arguments: dict[str, Any], x: Places, shape: tuple[int, ...]) -> Places:  # noqa: ARG001
    for axis in range(2, len(shape)):
        old, new = x.shape[axis], shape[axis]
        x = tokens.resampled(x, axis, (np.arange(new) + 0.5) * old / new - 0.5)
    return x


def _adapted(arguments: dict[str, Any], x: Places, shape: tuple[int, ...]) -> Places:
    return _resized(arguments, _fronted(x, len(shape)), shape) if len(shape) > 2 else x


def _fronted(x: Places, rank: int) -> Places:
    return x if len(x.shape) == rank else Places(x.own[:, None])


def _at(values: Any, axis: int) -> int:
    if isinstance(values, int):
        return values
    return int(values[axis] if len(values) > 1 else values[0])


_WINDOWS: dict[str, Callable[[dict[str, Any], Places, tuple[int, ...]], Places]] = {
    **dict.fromkeys(("convolution", "_convolution", "conv1d", "conv2d", "conv3d"), _convolved),
    **dict.fromkeys(
        ("max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "max_pool1d", "avg_pool1d", "avg_pool2d",
         "avg_pool3d"),
        _pooled,
    ),
    **dict.fromkeys(
        ("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "_adaptive_avg_pool3d"), _adapted
    ),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "upsample_linear1d",
                     "upsample_trilinear3d", "_upsample_bicubic2d_aa"), _resized),
}  # fmt: skip


def _is_known(name: str) -> bool:
    return (
        name in _MOVES
        or name in _PRODUCTS
        or name in _WINDOWS
        or name in _REDUCTIONS
        or name in _FUSED
        or name in _SOFTMAX
        or name in ("native_layer_norm", "layer_norm", "batch_norm", "native_batch_norm", "group_norm")
    )
