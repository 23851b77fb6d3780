"""Looking into code that Keras does not describe: the ``call`` of subclassed models and custom layers.

Such code is run on `Value` objects. Keras takes them for symbolic tensors, so every layer and every ``keras.ops``
function in the code asks to be recorded, and `intercepted` hands that request to a function of ours instead. Only the
thread that asked is intercepted; Keras is put back as it was as soon as nobody looks inside any more.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
from keras import ops

from rfwidget.keras.probe import NeedsFullWidth

Handler = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


class Value(keras.KerasTensor):  # type: ignore[misc]  # Keras has no types
    """A tensor that looks symbolic to Keras.

    Args:
        tensor: what it stands for.
        thin: whether it has fewer channels than the code expects, so that its shape must not be asked for.
    """

    __array_ufunc__ = None  # with a NumPy array on the left, the operator of the right side counts

    def __init__(self, tensor: Any, thin: bool) -> None:
        super().__init__(tuple(tensor.shape), "float32", name="value")
        self.tensor = tensor
        self._thin = thin

    @property
    def shape(self) -> Any:
        """Shape of the tensor.

        Raises:
            NeedsFullWidth: if it has fewer channels than it should.
        """
        if self._thin:
            raise NeedsFullWidth
        return super().shape


def wrap(structure: Any, *, thin: bool) -> Any:
    """Every tensor in a nested structure as a `Value`."""
    return keras.tree.map_structure(lambda leaf: Value(leaf, thin) if ops.is_tensor(leaf) else leaf, structure)


def unwrap(structure: Any) -> Any:
    """Every `Value` in a nested structure as its tensor."""
    return keras.tree.map_structure(lambda leaf: leaf.tensor if isinstance(leaf, Value) else leaf, structure)


class _Local(threading.local):
    handler: Handler | None = None


_local = _Local()
_lock = threading.Lock()
_users = 0
_layer_call = keras.Layer.__call__
_symbolic_call = keras.Operation.symbolic_call
# A variable on the left of an operator takes numbers only: Keras does not expect a symbolic tensor there.
_OPERATORS = {
    "__add__": ops.add, "__sub__": ops.subtract, "__mul__": ops.multiply, "__truediv__": ops.true_divide,
    "__floordiv__": ops.floor_divide, "__mod__": ops.mod, "__pow__": ops.power, "__matmul__": ops.matmul,
    "__lt__": ops.less, "__le__": ops.less_equal, "__gt__": ops.greater, "__ge__": ops.greater_equal,
}  # fmt: skip
_own_operators = {name: getattr(keras.Variable, name) for name in _OPERATORS}
_variable = next(cls for cls in keras.Variable.__mro__ if "__mul__" in vars(cls))  # the class that defines them


def for_inference(operation: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a call, in inference mode unless they say otherwise; some layers train by default."""
    if "training" in _parameters(type(operation).call) and kwargs.get("training") is None:
        return {**kwargs, "training": False}
    return kwargs


@cache
def _parameters(call: Any) -> frozenset[str]:
    """Names of the parameters of a layer class's ``call``."""
    return frozenset(inspect.signature(call).parameters)


def call_as_keras_does(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call an operation past the interception."""
    if isinstance(operation, keras.Layer):
        return _layer_call(operation, *args, **kwargs)
    return operation(*args, **kwargs)


@contextmanager
def intercepted(handler: Handler) -> Iterator[None]:
    """Hand every layer call and every symbolic operation of this thread to ``handler(operation, args, kwargs)``."""
    outer = _local.handler
    _install()
    _local.handler = handler
    try:
        yield
    finally:
        _local.handler = outer
        _uninstall()


def _install() -> None:
    global _users
    with _lock:
        _users += 1
        keras.Layer.__call__ = _layer_hook
        keras.Operation.symbolic_call = _operation_hook
        for name, operator in _OPERATORS.items():
            setattr(_variable, name, _operator_hook(operator, _own_operators[name]))


def _uninstall() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            keras.Layer.__call__ = _layer_call
            keras.Operation.symbolic_call = _symbolic_call
            for name, own in _own_operators.items():
                setattr(_variable, name, own)


def _layer_hook(layer: Any, *args: Any, **kwargs: Any) -> Any:
    if _local.handler is None:
        return _layer_call(layer, *args, **kwargs)
    return _local.handler(layer, args, kwargs)


def _operation_hook(operation: Any, *args: Any, **kwargs: Any) -> Any:
    if _local.handler is None:
        return _symbolic_call(operation, *args, **kwargs)
    return _local.handler(operation, args, kwargs)


def _operator_hook(operator: Any, own: Any) -> Any:
    def hook(variable: Any, other: Any) -> Any:
        return operator(variable, other) if isinstance(other, Value) else own(variable, other)

    return hook
