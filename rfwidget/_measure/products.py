"""Products of several tensors, summed over labelled axes, with constants among them that may hold zeros: masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.places import masked
from rfwidget._measure.spans import Carried


class Factor(NamedTuple):
    """A factor of a product.

    Attributes:
        carried: what it depends on; None: on no pixel.
        shape: its shape.
        nonzero: where it is not zero by construction; it broadcasts to the shape. None: everywhere.
    """

    carried: Carried | None
    shape: tuple[int, ...]
    nonzero: npt.NDArray[np.bool_] | None


def summed(factors: Sequence[Factor], labels: Sequence[Sequence[Any]], result: Sequence[Any]) -> Carried:
    """A product of tensors, summed over all labels that are not among those of the result, as in ``einsum``.

    Args:
        factors: at least one depends on the image.
        labels: for each factor, the label of each of its axes.
        result: labels of the result; each is one of some factor.
    """
    lengths: dict[Any, int] = {}
    for factor, own in zip(factors, labels, strict=True):
        for label, n in zip(own, factor.shape, strict=True):
            lengths[label] = max(lengths.get(label, 1), n)
    parts = []
    for place, (x, _, _) in enumerate(factors):
        if x is None:
            continue
        others = [other for other in range(len(labels)) if other != place]
        mask = factors[others[0]].nonzero if len(others) == 1 else None
        if mask is None or any(len(set(own)) < len(own) for own in labels):
            parts.append(spans.contract([x], [labels[place]], result))
            continue
        x = spans.broadcast(x, [lengths[label] for label in labels[place]])
        mask, there = _fitted(mask, factors[others[0]].shape, labels[others[0]], lengths, labels[place])
        parts.append(masked_product(x, labels[place], mask, there, result))
    return spans.join(parts, [lengths[label] for label in result])


def _fitted(
    mask: npt.NDArray[np.bool_],
    shape: Sequence[int],
    labels: Sequence[Any],
    lengths: dict[Any, int],
    others: Sequence[Any],
) -> tuple[npt.NDArray[np.bool_], list[Any]]:
    """A mask at the lengths of its labels, without those along which it does not differ and that the other has."""
    mask = mask.reshape((1,) * (len(shape) - mask.ndim) + mask.shape)
    gone = tuple(axis for axis, label in enumerate(labels) if mask.shape[axis] == 1 and label in others)
    kept = [label for axis, label in enumerate(labels) if axis not in gone]
    return np.broadcast_to(mask.squeeze(gone), [lengths[label] for label in kept]), kept


def masked_product(
    x: Carried, own: Sequence[Any], mask: npt.NDArray[np.bool_], others: Sequence[Any], result: Sequence[Any]
) -> Carried:
    """A tensor times a constant with zeros in it, summed over all labels that are not among those of the result.

    Args:
        x: the tensor.
        own: labels of its axes.
        mask: where the constant is not zero.
        others: labels of its axes.
        result: labels of the result; each is one of the tensor or of the constant.
    """
    gone = [axis for axis, label in enumerate(own) if label not in result and label not in others]
    x, own = spans.reduce(x, gone), [label for label in own if label in result or label in others]
    gone_there = tuple(axis for axis, label in enumerate(others) if label not in result and label not in own)
    mask, others = np.asarray(mask.any(axis=gone_there)), [label for label in others if label in result or label in own]
    shared = [label for label in own if label in others and label in result]
    kept = [label for label in own if label not in others]
    summed = [label for label in own if label not in result]
    new = [label for label in others if label not in own]
    x = spans.transpose(x, [own.index(label) for label in (*shared, *kept, *summed)])
    mask = mask.transpose([others.index(label) for label in (*shared, *summed, *new)])
    lead, middle = x.shape[: len(shared)], x.shape[len(shared) : len(shared) + len(kept)]
    tail, count = mask.shape[len(shared) + len(summed) :], math.prod(lead)
    flat = spans.reshape(x, (count, math.prod(middle), -1))
    masks = mask.reshape(count, flat.shape[2], -1)
    if masks.shape[1] == masks.shape[2] == 1:
        product = masked(flat, masks)
    elif (masks == masks[:1]).all():
        product = spans.mix(flat, 2, masks[0])
    else:
        product = spans.concatenate([spans.mix(spans.cut(flat, 0, k, k + 1), 2, masks[k]) for k in range(count)], 0)
    product = spans.reshape(product, (*lead, *middle, *tail))
    order = [*shared, *kept, *new]
    return spans.transpose(product, [order.index(label) for label in result])
