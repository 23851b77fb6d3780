"""Rules of products that are summed, of transforms and of what is known of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rfwidget._measure import spans
from rfwidget._measure.places import mixed
from rfwidget._measure.products import Factor, summed
from rfwidget._measure.spans import Carried
from rfwidget.keras.tf.table import Call, rule


@rule("MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3")
def matmul(call: Call) -> Carried:
    """Rows times columns."""
    if call.name == "MatMul":
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
    factors = [Factor(call.carried(place), call.shape(place), call.nonzero(place)) for place in range(len(labels))]
    return summed(factors, labels, result)


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
        read = n // 2 + 1 if last and call.name == "IRFFTND" else n
        x = spans.pad(x, axis, 0, read - x.shape[axis])
        shape[axis] = n // 2 + 1 if last and call.name == "RFFTND" else n
    return spans.broadcast(spans.reduce(x, axes, keepdims=True), shape)


_TRANSFORMED = {"FFT": 1, "FFT2D": 2, "FFT3D": 3}
_FOURIER = " ".join(f"{before}{name}" for before in ("", "I", "R", "IR") for name in _TRANSFORMED)


@rule(f"{_FOURIER} BatchFFT BatchFFT2D BatchFFT3D BatchIFFT BatchIFFT2D BatchIFFT3D")
def fourier(call: Call) -> Carried:
    """Every frequency depends on all elements along the last axes."""
    x = call.only(0)
    count = next((n for name, n in sorted(_TRANSFORMED.items(), reverse=True) if call.name.endswith(name)), 1)
    mixed = x
    lengths = list(x.shape[x.rank - count :])
    if "RFFT" in call.name:
        told = [int(n) for n in call.numbers(1)]
        for place, n in enumerate(told):
            axis = x.rank - count + place
            last = place == count - 1
            read = n // 2 + 1 if last and call.name.startswith("I") else n
            mixed = spans.pad(mixed, axis, 0, read - mixed.shape[axis])
            lengths[place] = n if not last or call.name.startswith("I") else n // 2 + 1
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
