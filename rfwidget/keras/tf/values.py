"""What stands for the tensors of a graph while it is walked.

`Constant` depends on no pixel (`rfwidget.keras.calls`), `Flowing` depends on the image. `Items` is a list of tensors,
and `Handle` a variable that has not been read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rfwidget._measure.spans import Carried
from rfwidget.keras import calls
from rfwidget.keras.calls import UnknownError


class Constant(calls.Constant):
    """A tensor that depends on no pixel, as TensorFlow holds it."""

    @classmethod
    def of(cls, numbers: Any) -> Constant:
        """Numbers that are known."""
        tensor = tf.convert_to_tensor(numbers)
        return cls(tensor, tensor.shape, tensor.dtype)

    @staticmethod
    def _made(numbers: npt.NDArray[Any], dtype: Any) -> Any:
        return tf.constant(numbers, dtype)

    @property
    def is_numeric(self) -> bool:
        """Whether there are numbers: strings and handles are none."""
        return self.dtype not in (tf.string, tf.resource, tf.variant)


class Flowing:
    """A tensor that depends on the image.

    Args:
        carried: what its elements depend on.
        dtype: of its numbers.
        operation: what made it; None: it came from outside.
        inputs: what that was made of.
        output: which of its results it is.

    Attributes:
        mask: what is known of its elements besides (`rfwidget.keras.tf.masks`).
    """

    def __init__(
        self, carried: Carried, dtype: Any, operation: Any = None, inputs: Sequence[Any] = (), output: int = 0
    ) -> None:
        self.carried, self.dtype = carried, dtype
        self.operation, self.inputs, self.output = operation, tuple(inputs), output
        self.mask: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self.carried.shape


class Items:
    """A list of tensors, as TensorFlow's loops keep them; None where nothing has been put yet."""

    shape = ()

    def __init__(self, items: Sequence[Any], shape: Sequence[int | None] | None, dtype: Any) -> None:
        self.items = list(items)
        self.element_shape = shape
        self.dtype = dtype

    def with_item(self, place: int, item: Any) -> Items:
        """A copy with another item at a place."""
        items = [*self.items, *[None] * (place + 1 - len(self.items))]
        items[place] = item
        return Items(items, self.element_shape, self.dtype)

    def with_items(self, items: Sequence[Any]) -> Items:
        """A list of the same kind."""
        return Items(items, self.element_shape, self.dtype)


class Handle:
    """A variable that has not been read."""

    shape = ()

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def read(self) -> Constant:
        """What it holds: weights, whatever they are; but what is never trained is left as it is."""
        variable = self.variable
        shape = tuple(variable.shape)
        if variable.dtype.is_floating and (variable.trainable or not np.any(variable.numpy())):
            return Constant.weights(shape, variable.dtype)
        return Constant(variable.read_value(), shape, variable.dtype)


def depends(value: Any) -> bool:
    """Whether a value depends on the image."""
    return isinstance(value, Flowing) or (isinstance(value, Items) and any(map(depends, value.items)))


# -- running operations ------------------------------------------------------------------------------------------------


class _Signature(NamedTuple):
    """How an operation is called outside a graph.

    Attributes:
        function: that runs it.
        inputs: its parameters for tensors, in order.
        attributes: its other parameters, with the names that they have in a graph.
    """

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]


_SIGNATURES: dict[str, _Signature] = {}


def _signature(operation: Any) -> _Signature:
    kind, definition = operation.type, operation.op_def
    if kind in _SIGNATURES:
        return _SIGNATURES[kind]
    function = getattr(tf.raw_ops, kind, None)
    if function is None:
        raise UnknownError(f"the operation {kind}")
    parameters = [name for name in inspect.signature(function).parameters if name != "name"]
    inputs = [argument.name for argument in definition.input_arg]
    implied = {n for argument in definition.input_arg for n in (argument.number_attr, argument.type_list_attr)}
    implied |= {argument.type_attr for argument in definition.input_arg}
    attributes = [attr.name for attr in definition.attr if attr.name in parameters or attr.name not in implied]
    # Some have another name for Python; they come in the same order.
    free = iter([name for name in parameters if name not in inputs and name not in attributes])
    inputs_there = [name if name in parameters else next(free) for name in inputs]
    there = [(name if name in parameters else next(free, None), name) for name in attributes]
    known = _Signature(function, tuple(inputs_there), tuple((own, name) for own, name in there if own is not None))
    return _SIGNATURES.setdefault(kind, known)


def run(operation: Any, tensors: Sequence[Any]) -> list[Any]:
    """An operation of a graph run on numbers.

    Args:
        operation: of the graph.
        tensors: its inputs, in order.

    Returns:
        Its outputs, in order.

    Raises:
        UnknownError: if TensorFlow does not run it alone, or refuses the numbers.
    """
    signature = _signature(operation)
    arguments: dict[str, Any] = {}
    rest = list(tensors)
    for own, argument in zip(signature.inputs, operation.op_def.input_arg, strict=True):
        if argument.number_attr or argument.type_list_attr:
            told = operation.get_attr(argument.number_attr or argument.type_list_attr)
            count = told if isinstance(told, int) else len(told)
            arguments[own], rest = rest[:count], rest[count:]
        else:
            arguments[own], rest = rest[0], rest[1:]
    arguments.update((own, attribute(operation, name)) for own, name in signature.attributes)
    try:
        result = signature.function(**arguments)
    except Exception as error:
        raise UnknownError(f"{operation.type}: {error}") from error
    if result is None or isinstance(result, tf.Operation):
        return []
    return list(result) if isinstance(result, (list, tuple)) else [result]


def attribute(operation: Any, name: str) -> Any:
    """An attribute of an operation, in the form in which operations take it."""
    value = operation.get_attr(name)
    kind = type(value).__name__
    if kind == "TensorShapeProto":
        return tf.TensorShape(value)
    return value.decode() if isinstance(value, bytes) else value


KEEP = frozenset(
    {
        "Identity",
        "ReadVariableOp",
        "Cast",
        "Reshape",
        "Transpose",
        "ExpandDims",
        "Squeeze",
        "StopGradient",
        "Neg",
        "Snapshot",
        "ConjugateTranspose",
        "Slice",
        "StridedSlice",
        "Split",
        "SplitV",
        "Unpack",
        "Tile",
        "BroadcastTo",
        "EnsureShape",
        "Exp",
        "Sqrt",
        "Square",
        "Abs",
        "Softplus",
        "Sigmoid",
        "CheckNumerics",
        "PreventGradient",
    }
)
"""Operations that leave weights without zeros."""


def folded(operation: Any, inputs: Sequence[Any]) -> list[Constant]:
    """An operation on what depends on no pixel, worked out at once unless weights are among that."""
    if any(not isinstance(value, Constant) for value in inputs):
        raise UnknownError(operation.type)
    outputs = list(operation.outputs)
    shapes = [output.shape for output in outputs]
    if not any(value.of_weights for value in inputs):
        return [Constant(t, t.shape, t.dtype) for t in run(operation, [value.held for value in inputs])]
    if not all(shape.is_fully_defined() for shape in shapes):
        shapes = [result.shape for result in run(operation, [value.held for value in inputs])]
    latest: dict[int, list[Any]] = {}

    def result(place: int) -> Callable[[int], Any]:
        def work_out(number: int) -> Any:
            if number not in latest:
                latest.clear()
                latest[number] = run(operation, [value.drawn(number) for value in inputs])
            return latest[number][place]

        return work_out

    dense = operation.type in KEEP and inputs[0].dense
    return [
        Constant(result(place), shape, output.dtype, dense=dense and output.dtype.is_floating)
        for place, (shape, output) in enumerate(zip(shapes, outputs, strict=True))
    ]
