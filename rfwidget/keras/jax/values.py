"""What stands for the values of a jaxpr while it is walked.

`Constant` depends on no pixel (`rfwidget.keras.calls`), `Flowing` depends on the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rfwidget._measure.spans import Carried
from rfwidget.keras import calls
from rfwidget.keras.calls import Bools, UnknownError


class Constant(calls.Constant):
    """A value that depends on no pixel, as JAX or NumPy holds it."""

    @classmethod
    def of(cls, numbers: Any) -> Constant:
        """Numbers that are known."""
        array = numbers if hasattr(numbers, "dtype") else np.asarray(numbers)
        return cls(array, array.shape, array.dtype)

    @staticmethod
    def _made(numbers: npt.NDArray[Any], dtype: Any) -> Any:
        return np.asarray(numbers).astype(dtype)

    @property
    def is_numeric(self) -> bool:
        """Whether there are numbers: keys of random generators are none."""
        return not jax.dtypes.issubdtype(self.dtype, jax.dtypes.extended)

    @property
    def is_real(self) -> bool:
        """Whether its numbers are real ones."""
        return bool(jnp.issubdtype(self.dtype, jnp.floating))


class Mask(NamedTuple):
    """What is known of some elements besides what they depend on; arrays broadcast to the value.

    Attributes:
        off: those that are as good as minus infinity, so that a softmax makes nothing of them; None: none.
        zero: those that are zero by construction; None: none.
    """

    off: Bools | None = None
    zero: Bools | None = None


class Flowing:
    """A value that depends on the image.

    Args:
        carried: what its elements depend on.
        dtype: of its numbers.
        mask: what is known of its elements besides.
    """

    def __init__(self, carried: Carried, dtype: Any, mask: Mask | None = None) -> None:
        self.carried, self.dtype, self.mask = carried, dtype, mask or Mask()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the value."""
        return self.carried.shape


# -- running primitives ------------------------------------------------------------------------------------------------

_NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "abs": np.abs, "max": np.maximum,
    "min": np.minimum, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "floor": np.floor, "sqrt": np.sqrt, "exp": np.exp,
}  # fmt: skip
"""Primitives that NumPy runs as they are, without compiling anything."""


def run(equation: Any, arrays: Sequence[Any]) -> list[Any]:
    """A primitive run on numbers."""
    name, parameters = equation.primitive.name, equation.params
    if name in _NUMPY and all(isinstance(array, np.ndarray) for array in arrays):
        return [np.asarray(_NUMPY[name](*arrays)).astype(equation.outvars[0].aval.dtype)]
    if name == "iota":
        shape, dimension = parameters["shape"], parameters["dimension"]
        line = np.arange(shape[dimension], dtype=parameters["dtype"])
        return [np.broadcast_to(line.reshape([-1 if a == dimension else 1 for a in range(len(shape))]), shape)]
    if name == "broadcast_in_dim" and isinstance(arrays[0], np.ndarray):
        shape, axes = parameters["shape"], parameters["broadcast_dimensions"]
        lengths = [1] * len(shape)
        for axis, n in zip(axes, arrays[0].shape, strict=True):
            lengths[axis] = n
        return [np.broadcast_to(arrays[0].reshape(lengths), shape)]
    if name == "convert_element_type" and isinstance(arrays[0], np.ndarray):
        return [arrays[0].astype(parameters["new_dtype"])]
    try:
        result = equation.primitive.bind(*arrays, **parameters)
    except Exception as error:
        raise UnknownError(f"{name}: {error}") from error
    results = list(result) if equation.primitive.multiple_results else [result]
    return [np.asarray(r) if jax.dtypes.issubdtype(r.dtype, np.number) or r.dtype == bool else r for r in results]


_KEEP = frozenset(
    {"convert_element_type", "reshape", "transpose", "broadcast_in_dim", "squeeze", "stop_gradient", "neg", "slice",
     "split", "exp", "sqrt", "square", "abs", "logistic", "copy", "rev", "optimization_barrier", "reduce_precision",
     "expand_dims", "copy_p"}
)  # fmt: skip
"""Primitives that leave weights without zeros."""


def folded(equation: Any, inputs: Sequence[Any]) -> list[Constant]:
    """A primitive on what depends on no pixel, worked out at once unless weights are among that."""
    if not any(value.of_weights for value in inputs):
        return [Constant.of(array) for array in run(equation, [value.held for value in inputs])]
    latest: dict[int, list[Any]] = {}

    def result(place: int) -> Callable[[int], Any]:
        def work_out(number: int) -> Any:
            if number not in latest:
                latest.clear()
                latest[number] = run(equation, [value.drawn(number) for value in inputs])
            return latest[number][place]

        return work_out

    dense = equation.primitive.name in _KEEP and inputs[0].dense
    return [
        Constant(result(place), out.aval.shape, out.aval.dtype, dense=dense)
        for place, out in enumerate(equation.outvars)
    ]
