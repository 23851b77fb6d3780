"""Values that may be one thing or another: the results of branches, the state of loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rfwidget._measure import spans
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.tf.values import Constant, Flowing, Handle, Items


def either(ways: Sequence[Sequence[Any]], condition: Flowing) -> list[Any]:
    """Results that come from one branch or another, as a condition says."""
    return [joined(list(parts), condition) for parts in zip(*ways, strict=True)]


def joined(parts: list[Any], condition: Flowing | None) -> Any:
    """What may be one value or another."""
    if any(isinstance(part, Items) for part in parts):
        lists = [part for part in parts if isinstance(part, Items)]
        longest = max(len(one.items) for one in lists)
        padded = [[*one.items, *[None] * (longest - len(one.items))] for one in lists]
        return lists[0].with_items([joined(list(items), condition) for items in zip(*padded, strict=True)])
    present = [part for part in parts if part is not None]
    if not present or isinstance(present[0], Handle):
        return present[0] if present else None
    if all(isinstance(part, Constant) for part in parts) and _all_equal(parts):
        return parts[0]
    shapes = {tuple(part.shape) for part in present}
    if len(shapes) > 1:
        raise UnknownError("results of another shape in each branch")
    (shape,) = shapes
    flowing = [part.carried for part in present if isinstance(part, Flowing)]
    if condition is not None:
        flowing.append(spans.reshape(spans.reduce(condition.carried), (1,) * len(shape)))
    if not flowing:
        raise UnknownError("numbers of which it is not known how they change in a loop")
    return Flowing(spans.broadcast(spans.join(flowing), shape), present[0].dtype)


def _all_equal(parts: Sequence[Constant]) -> bool:
    first = parts[0]
    return all(
        one is first or (one.shape == first.shape and not one.of_weights and np.array_equal(one.numbers, first.numbers))
        for one in parts
    )


def same(old: Any, new: Any) -> bool:
    """Whether a state of a loop has settled."""
    if isinstance(old, Flowing) and isinstance(new, Flowing):
        pairs = zip(old.carried.planes, new.carried.planes, strict=True)
        return old.carried.marks == new.carried.marks and all(
            bool((spans.joined(a) == spans.joined(b)).all()) for a, b in pairs
        )
    if isinstance(old, Items) and isinstance(new, Items):
        return len(old.items) == len(new.items) and all(map(same, old.items, new.items))
    return old is new
