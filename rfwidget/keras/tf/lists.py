"""Lists of tensors, which TensorFlow's loops and its TensorArrays are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from rfwidget._measure import spans
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.tf.branches import joined
from rfwidget.keras.tf.values import Constant, Flowing, Items, depends


def on_list(operation: Any, inputs: list[Any]) -> list[Any]:
    """An operation on lists of tensors.

    Raises:
        UnknownError: if it is not one of those that loops are made of.
    """
    kind, dtype = operation.type, _element_dtype(operation)
    if kind in ("TensorListReserve", "EmptyTensorList"):
        count = int(inputs[1].numbers) if kind == "TensorListReserve" else 0
        return [Items([None] * count, _told_shape(inputs[0]), dtype)]
    if kind == "TensorListFromTensor":
        return [Items(_apart(inputs[0]), inputs[0].shape[1:], dtype)]
    if kind in ("TensorListScatterV2", "TensorListScatter"):
        rows, places = _apart(inputs[0]), [int(n) for n in inputs[1].numbers]
        made = Items([None] * (max(places, default=-1) + 1), inputs[0].shape[1:], dtype)
        for place, row in zip(places, rows, strict=True):
            made = made.with_item(place, row)
        return [made]
    items: Items = inputs[0]
    if kind == "TensorListLength":
        return [Constant.of(np.int32(len(items.items)))]
    if kind == "TensorListElementShape":
        shape = _shape_of(items)
        return [Constant.of(np.asarray(shape, operation.outputs[0].dtype.as_numpy_dtype))]
    if kind == "TensorListResize":
        count = int(inputs[1].numbers)
        return [items.with_items([*items.items, *[None] * count][:count])]
    if kind == "TensorListPushBack":
        return [items.with_items([*items.items, inputs[1]])]
    if kind == "TensorListPopBack":
        return [items.with_items(items.items[:-1]), _filled(items, items.items[-1])]
    if kind == "TensorListSetItem":
        if depends(inputs[1]):
            return [items.with_items([joined([one, inputs[2]], inputs[1]) for one in items.items])]
        return [items.with_item(int(inputs[1].numbers), inputs[2])]
    if kind == "TensorListGetItem":
        if depends(inputs[1]):
            every = [_filled(items, one) for one in items.items]
            return [joined(every, inputs[1])]
        return [_filled(items, items.items[int(inputs[1].numbers)])]
    if kind == "TensorListStack":
        return [_stacked([_filled(items, one) for one in items.items], items)]
    if kind == "TensorListGather":
        chosen = [items.items[int(n)] for n in inputs[1].numbers]
        return [_stacked([_filled(items, one) for one in chosen], items)]
    if kind == "TensorListConcatV2":
        parts = [_filled(items, one) for one in items.items]
        lengths = Constant.of(np.asarray([part.shape[0] for part in parts], np.int64))
        return [_stacked(parts, items, behind=True), lengths]
    raise UnknownError(f"the operation {kind}")


def _apart(value: Any) -> list[Any]:
    """All rows of a tensor."""
    if isinstance(value, Constant):
        return [Constant.of(row) for row in tf.unstack(value.held)]
    x = value.carried
    rows = (spans.squeeze(spans.cut(x, 0, k, k + 1), [0]) for k in range(x.shape[0]))
    return [Flowing(row, value.dtype) for row in rows]


def _shape_of(items: Items) -> tuple[int, ...]:
    found = next((tuple(one.shape) for one in items.items if one is not None), items.element_shape)
    if found is None or any(n is None or n < 0 for n in found):
        raise UnknownError("elements of unknown shape in a list")
    return tuple(int(n) for n in found if n is not None)


def _filled(items: Items, item: Any) -> Any:
    """An item; zeros where nothing has been put."""
    return Constant.of(np.zeros(_shape_of(items), items.dtype.as_numpy_dtype)) if item is None else item


def _stacked(parts: list[Any], items: Items, *, behind: bool = False) -> Any:
    """Items as one tensor."""
    if not any(map(depends, parts)):
        tensors = [part.held for part in parts]
        if not tensors:
            return Constant.of(np.zeros((0, *_shape_of(items)), items.dtype.as_numpy_dtype))
        return Constant.of(tf.concat(tensors, 0) if behind else tf.stack(tensors))
    like = next(part.carried for part in parts if isinstance(part, Flowing))
    rows = [part.carried if isinstance(part, Flowing) else spans.nowhere(part.shape, like) for part in parts]
    return Flowing(spans.concatenate(rows if behind else [spans.expand(row, 0) for row in rows], 0), items.dtype)


def _element_dtype(operation: Any) -> Any:
    for name in ("element_dtype", "dtype"):
        if name in operation.node_def.attr:
            return operation.get_attr(name)
    return tf.float32


def _told_shape(value: Any) -> tuple[int, ...] | None:
    numbers = value.numbers
    return None if numbers.ndim == 0 and numbers < 0 else tuple(int(n) for n in np.atleast_1d(numbers))
