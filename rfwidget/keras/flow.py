"""A model run over a domain: every operation by its rule, and code without a rule looked into."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import keras

from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import masks
from rfwidget.keras.backends import backend
from rfwidget.keras.domains import Domain, OpaqueError
from rfwidget.keras.interpreter import (
    Interpreter,
    Observe,
    Proxy,
    assigned,
    for_inference,
    intercepted,
    is_keras_own,
    untouched,
)
from rfwidget.keras.rules import rule_for


class Trace(Protocol):
    """Follows code that does not speak to Keras.

    Attributes:
        followed: names of code that could be followed, in this way or call by call.
    """

    followed: set[str]

    def __call__(self, function: Any, args: Any, kwargs: Any, interpreter: Interpreter, name: str) -> Any:
        """The outputs of a function; OpaqueError where that cannot be told."""

    def is_masked(self, value: Any) -> bool:
        """Whether some elements of what a function gave are known to be hidden by a constant."""


Before = Callable[[str, tuple[Any, ...], dict[str, Any]], None]


class Flow:
    """Runs models over a domain.

    Args:
        domain: what flows.
        observe: told of every operation and nested model after it ran, as by `Interpreter`.
        before: told of every operation before it runs, with its path and arguments; what it raises ends the run.
        trace: follows code that does not speak to Keras; None: such code is opaque.
    """

    def __init__(
        self,
        domain: Domain,
        observe: Observe | None = None,
        before: Before | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._domain = domain
        self._observe = observe
        self._before = before
        self._trace = trace
        self._interpreter: Interpreter

    def calls(self, path: str) -> int:
        """How often a layer has been called so far."""
        return self._interpreter.calls(path)

    def run(self, model: Any, inputs: Sequence[Any], target: str | None = None, call: int = 1) -> Any:
        """Output of the layer ``target`` (of the model, if None) for the flat list of the model's inputs.

        Of the calls of that layer, the one with that number counts.
        """
        self._interpreter = Interpreter(self._apply, target=target, call=call, observe=self._observe)
        # Eager float64 is a matter for the CPU; and whatever code runs as it is must not change the model.
        with keras.device("cpu"), untouched():
            return self._interpreter.run(model, inputs)

    def _flows(self, arguments: Any) -> bool:
        return any(self._domain.is_value(leaf) for leaf in keras.tree.flatten(arguments))

    def _apply(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._before is not None:
            self._before(path, args, kwargs)
        if not self._flows((args, kwargs)):
            return _as_it_is(operation, args, kwargs)  # the image has no part in it
        rule = None if _is_reassigned(operation) or self._masks(operation, args, kwargs) else rule_for(operation)
        if rule is None:
            return self._inside(operation, path, args, kwargs)
        try:
            outputs = rule(self._domain, operation, *args, **kwargs)
        except NotImplementedError:  # a rule for most such layers, but not for this one
            return self._inside(operation, path, args, kwargs)
        function = getattr(operation, "activation", None) if isinstance(operation, keras.Layer) else None
        return outputs if _is_pointwise(function) else self._code(function, path, (outputs,), {})

    def _masks(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether it matters to the result which elements a constant hides: rules do not look at numbers."""
        if masks.makes_one(operation, (args, kwargs), self._domain.is_value):
            return True
        if self._trace is None or not masks.carries_one(operation):
            return False
        return any(map(self._trace.is_masked, keras.tree.flatten((args, kwargs))))

    def _inside(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An operation whose code must be run to know what it does."""
        if not isinstance(operation, keras.Layer):
            return self._traced(operation.call, operation.name, args, kwargs)
        return self._code(operation.call, path, args, for_inference(operation, kwargs), operation)

    def _code(self, function: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any], layer: Any = None) -> Any:
        """Code that speaks to Keras is followed call by call; any other by what its framework makes of it."""
        with _variables_kept(layer):
            try:
                with self._interpreter.in_code(path), intercepted(self._inner):
                    outputs = self._unwrap(function(*self._wrap(args), **self._wrap(kwargs)))
                if self._trace is not None:
                    self._trace.followed.add(path or "the model")
                return outputs
            except (ReceptiveFieldError, OpaqueError):
                raise
            except Exception:
                with self._interpreter.in_code(path):
                    return self._traced(function, path or "the model", args, kwargs, layer)

    def _traced(
        self, function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], layer: Any = None
    ) -> Any:
        if self._trace is None:
            kind = type(layer).__name__ if layer is not None else getattr(function, "__name__", "code")
            raise OpaqueError(f"{name} ({kind}) runs code that numbers cannot be followed through")
        return self._trace(function, args, kwargs, self._interpreter, name)

    def _inner(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A layer or operation met inside code that runs on proxies."""
        if not isinstance(operation, keras.Layer):
            leaves = keras.tree.flatten((args, kwargs))
            if any(inspect.isfunction(leaf) or inspect.ismethod(leaf) for leaf in leaves):
                # Branches and loops: what their functions close over is followed where all of the code is drawn.
                raise NotImplementedError(f"{operation.name} takes functions")
            if masks.makes_one(operation, (args, kwargs), lambda leaf: isinstance(leaf, Proxy)):
                # What that means shows in what the code makes of it: all of it is followed together.
                raise NotImplementedError(f"{operation.name} masks elements")
            args, kwargs = keras.tree.map_structure(_as_assigned, (args, kwargs))
            if type(operation).__name__ in _PRODUCTS:
                args, kwargs = keras.tree.map_structure(_unless_only_zeros, (args, kwargs))
        outputs = self._interpreter.apply(operation, self._unwrap(args), self._unwrap(kwargs))
        return self._wrap(outputs, _kind_of(operation))

    def _wrap(self, structure: Any, dtype: str = "float32") -> Any:
        return keras.tree.map_structure(
            lambda leaf: Proxy(leaf, self._refuse_shape, dtype) if self._domain.is_value(leaf) else leaf, structure
        )

    def _unwrap(self, structure: Any) -> Any:
        return keras.tree.map_structure(lambda leaf: leaf.value if isinstance(leaf, Proxy) else leaf, structure)

    def _refuse_shape(self) -> None:
        """Shapes of thin tensors are not those of the model."""
        self._domain.need_full_width()


def _variables_kept(layer: Any) -> AbstractContextManager[None]:
    """While code of a layer runs: it must not change what the layer holds."""
    return nullcontext() if layer is None or is_keras_own(layer) else backend.kept(layer)


def _is_reassigned(layer: Any) -> bool:
    """Whether code has assigned something to a layer's kernel, such as a product with a mask."""
    if not isinstance(layer, keras.Layer):
        return False
    return any(_as_assigned(variable) is not variable for variable in layer.trainable_variables)


def _as_assigned(leaf: Any) -> Any:
    """What code has assigned to a weight; the weight itself if nothing, or only zeros, which are no mask."""
    value = assigned(leaf) if isinstance(leaf, keras.Variable) else None
    return leaf if value is None or not bool(keras.ops.any(value)) else value


_PRODUCTS = {"Conv", "ConvTranspose", "DepthwiseConv", "Dot", "Einsum", "Matmul", "SeparableConv", "Tensordot"}


def _unless_only_zeros(leaf: Any) -> Any:
    """A factor of a product; ones for what holds zeros only: no mask, but weights before they were trained."""
    is_weight = keras.ops.is_tensor(leaf) and "float" in keras.backend.standardize_dtype(leaf.dtype)
    return keras.ops.ones_like(leaf) if is_weight and not bool(keras.ops.any(leaf)) else leaf


def _kind_of(operation: Any) -> str:
    """The type of numbers that an operation gives, as far as code asks for it."""
    name = type(operation).__name__
    if name in {"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual", "LogicalNot", "LogicalAnd"}:
        return "bool"
    if name in {"Argmax", "Argmin", "Argsort"}:
        return "int32"
    return str(keras.backend.standardize_dtype(operation.dtype)) if name == "Cast" else "float32"


def _as_it_is(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operation itself, on what does not come from the image."""
    if not isinstance(operation, keras.Layer):
        return operation.call(*args, **kwargs)
    return operation.call(*args, **for_inference(operation, kwargs))


def _is_pointwise(function: Any) -> bool:
    """Whether an activation is one of Keras' own: each of them acts on a cell alone."""
    if function is None or getattr(function, "__module__", "").startswith("keras."):
        return True
    return isinstance(function, keras.Layer) and is_keras_own(function) and rule_for(function) is not None
