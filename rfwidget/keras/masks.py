"""Constants by which an operation hides elements: rules look at no numbers, so it is followed by what it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from rfwidget._measure.masks import low

_CARRIERS = frozenset(
    {
        *("Softmax", "Exp", "Divide", "TrueDivide", "Multiply", "Add", "Subtract", "Where", "Cast", "StopGradient"),
        *("Reshape", "Transpose", "Swapaxes", "Moveaxis", "ExpandDims", "Squeeze", "GetItem", "Slice", "BroadcastTo"),
        *("Tile", "Matmul", "Einsum"),
    }
)
"""Operations whose results are hidden where what they are given is, or that leave out what is."""

_CARRYING_LAYERS = (layers.Softmax, layers.Activation, layers.Reshape, layers.Permute, layers.Dot)


def carries_one(operation: Any) -> bool:
    """Whether it matters to an operation which elements of what it is given are hidden."""
    if isinstance(operation, keras.Layer):
        return isinstance(operation, _CARRYING_LAYERS)
    return type(operation).__name__ in _CARRIERS


def makes_one(operation: Any, arguments: Any, flows: Callable[[Any], bool]) -> bool:
    """Whether an operation hides elements of what depends on the image, by a constant.

    Args:
        operation: of Keras.
        arguments: what it is called with.
        flows: whether something depends on the image.
    """
    kind = type(operation).__name__
    if kind not in ("Multiply", "LogicalAnd", "Where", "Add", "Subtract"):
        return False
    leaves = keras.tree.flatten(arguments)
    if not any(map(flows, leaves)):
        return False
    if kind == "Where":
        return not flows(leaves[0])
    constants = [numbers for leaf in leaves if not flows(leaf) and (numbers := _numbers(leaf)) is not None]
    if kind in ("Multiply", "LogicalAnd"):
        return any(not numbers.all() for numbers in constants)
    return any(low(numbers) is not None or low(-numbers) is not None for numbers in constants)


def _numbers(leaf: Any) -> npt.NDArray[Any] | None:
    """The numbers of a constant; None of weights, and of what is no number.

    Tensors may be made of weights: where all of it is zero, it is what weights are before they are trained.
    """
    if isinstance(leaf, (bool, int, float, np.ndarray, np.generic)):
        return np.asarray(leaf, np.float32)
    if isinstance(leaf, keras.Variable):
        if leaf.trainable:
            return None
    elif not ops.is_tensor(leaf):
        return None
    kind = keras.backend.standardize_dtype(leaf.dtype)
    if not kind.startswith(("float", "bfloat", "int", "uint", "bool")):
        return None
    numbers: npt.NDArray[Any] = np.asarray(ops.convert_to_numpy(ops.cast(leaf, "float32")))
    return numbers if numbers.any() else None
