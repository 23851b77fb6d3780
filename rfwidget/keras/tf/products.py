"""Rules of products that are summed, of transforms and of what is known of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.places import masked, mixed
from rfwidget._measure.spans import Carried
from rfwidget.keras.tf.table import Call, rule


@rule("MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3", even=False)
def matmul(call: Call) -> Carried:
    """Rows times columns."""
    if call.kind == "MatMul":
        turned = bool(call.attr("transpose_a")), bool(call.attr("transpose_b"))
    else:
        turned = bool(call.attr("adj_x")), bool(call.attr("adj_y"))
    rank = max(len(call.shape(0)), len(call.shape(1)))
    lead = list(range(rank - 2))
    left = [*lead[rank - len(call.shape(0)) :], *(("k", "i") if turned[0] else ("i", "k"))]
    right = [*lead[rank - len(call.shape(1)) :], *(("j", "k") if turned[1] else ("k", "j"))]
    return _summed(call, [left, right], [*lead, "i", "j"])


@rule("SparseTensorDenseMatMul")
def sparse_product(call: Call) -> Carried:
    """A matrix of few numbers, at constant places, times another."""
    x = call.only(3)
    places, shape = call.numbers(0), [int(n) for n in call.numbers(2)]
    mask = np.zeros(shape, bool)
    mask[tuple(places.T)] = True if call.nonzero(1) is None else call.nonzero(1)
    mask = mask.T if call.attr("adjoint_a") else mask
    return mixed(spans.transpose(x, (1, 0)) if call.attr("adjoint_b") else x, 0, mask.T)


@rule("Einsum")
def einsum(call: Call) -> Carried:
    """Products summed over labelled axes."""
    given, _, result = call.attr("equation").replace(" ", "").partition("->")
    labels = []
    for place, part in enumerate(given.split(",")):
        rank = len(call.shape(place))
        before, dots, behind = part.partition("...")
        hidden = rank - len(before) - len(behind)
        # Axes behind dots are counted from the end, as broadcasting does.
        labels.append([*before, *(range(-hidden, 0) if dots else ()), *behind])
    before, dots, behind = result.partition("...")
    most = max((-n for own in labels for n in own if isinstance(n, int)), default=0)
    return _summed(call, labels, [*before, *(range(-most, 0) if dots else ()), *behind])


def _summed(call: Call, labels: Sequence[Sequence[Any]], result: Sequence[Any]) -> Carried:
    flowing = [place for place in range(len(labels)) if call.carried(place) is not None]
    lengths: dict[Any, int] = {}
    for place, own in enumerate(labels):
        for label, n in zip(own, call.shape(place), strict=True):
            lengths[label] = max(lengths.get(label, 1), n)
    shape = [lengths[label] for label in result]
    parts = []
    for place in flowing:
        x = call.needed(place)
        others = [other for other in range(len(labels)) if other != place]
        mask = call.nonzero(others[0]) if len(others) == 1 else None
        if mask is None or any(len(set(own)) < len(own) for own in labels):
            parts.append(spans.contract([x], [labels[place]], result))
            continue
        x = spans.broadcast(x, [lengths[label] for label in labels[place]])
        mask, there = _fitted(mask, call.shape(others[0]), labels[others[0]], lengths, labels[place])
        parts.append(masked_product(x, labels[place], mask, there, result))
    return spans.join(parts, shape)


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


# -- transforms --------------------------------------------------------------------------------------------------------


@rule("FFTND IFFTND RFFTND IRFFTND")
def fourier_along(call: Call) -> Carried:
    """The same along some axes; of each only so many elements as are asked for."""
    x = call.only(0)
    shape = list(x.shape)
    told = [int(n) for n in call.numbers(1)]
    axes = [int(axis) % x.rank for axis in call.numbers(2)]
    for place, (axis, n) in enumerate(zip(axes, told, strict=True)):
        last = place == len(axes) - 1
        read = n // 2 + 1 if last and call.kind == "IRFFTND" else n
        x = spans.pad(x, axis, 0, read - x.shape[axis])
        shape[axis] = n // 2 + 1 if last and call.kind == "RFFTND" else n
    return spans.broadcast(spans.reduce(x, axes, keepdims=True), shape)


_TRANSFORMED = {"FFT": 1, "FFT2D": 2, "FFT3D": 3}
_FOURIER = " ".join(f"{before}{name}" for before in ("", "I", "R", "IR") for name in _TRANSFORMED)


@rule(f"{_FOURIER} BatchFFT BatchFFT2D BatchFFT3D BatchIFFT BatchIFFT2D BatchIFFT3D")
def fourier(call: Call) -> Carried:
    """Every frequency depends on all elements along the last axes."""
    x = call.only(0)
    count = next((n for name, n in sorted(_TRANSFORMED.items(), reverse=True) if call.kind.endswith(name)), 1)
    mixed = x
    lengths = list(x.shape[x.rank - count :])
    if "RFFT" in call.kind:
        told = [int(n) for n in call.numbers(1)]
        for place, n in enumerate(told):
            axis = x.rank - count + place
            last = place == count - 1
            read = n // 2 + 1 if last and call.kind.startswith("I") else n
            mixed = spans.pad(mixed, axis, 0, read - mixed.shape[axis])
            lengths[place] = n if not last or call.kind.startswith("I") else n // 2 + 1
    mixed = spans.reduce(mixed, range(x.rank - count, x.rank), keepdims=True)
    return spans.broadcast(mixed, (*x.shape[: x.rank - count], *lengths))


# -- matrices ----------------------------------------------------------------------------------------------------------


@rule("Cholesky MatrixInverse MatrixSquareRoot MatrixExponential MatrixLogarithm MatrixDeterminant"
      " LogMatrixDeterminant Qr Svd SelfAdjointEigV2 Eig Lu MatrixSolve MatrixTriangularSolve MatrixSolveLs"
      " TridiagonalSolve")  # fmt: skip
def of_whole_matrices(call: Call) -> list[Carried]:
    """Every result depends on all of the matrices that it is made of."""
    seen = spans.join([spans.reduce(x, [-2, -1], keepdims=True) for x in call.all_carried])
    results = []
    for shape in call.static_shapes:
        if shape is None:
            return [spans.everything(call.all_carried, call.static_shape)]
        lead = spans.reshape(seen, seen.shape[:-2])
        wide = spans.reshape(lead, (*lead.shape, *(1,) * (len(shape) - lead.rank)))
        results.append(spans.broadcast(wide, shape))
    return results
