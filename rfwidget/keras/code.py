"""Code that does not speak to Keras, as its framework is asked to follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import keras

from rfwidget._measure.spans import Carried
from rfwidget.keras.interpreter import call_as_keras_does


class LeavesError(Exception):
    """The framework cannot follow the code.

    Args:
        reason: in words.
        cause: what the code raised, if it did.
    """

    def __init__(self, reason: str, cause: Exception | None = None) -> None:
        super().__init__(reason)
        self.cause = cause


class Code(NamedTuple):
    """A function with what it is called with.

    Attributes:
        function: the code.
        args: its arguments, with `Carried` for what depends on the image.
        kwargs: the same.
        interpreter: runs the layers that the code calls.
        name: of the layer, for messages.
    """

    function: Any
    args: Any
    kwargs: Any
    interpreter: Any
    name: str

    @property
    def carried(self) -> list[Carried]:
        """What depends on the image, in order."""
        return [leaf for leaf in keras.tree.flatten((self.args, self.kwargs)) if isinstance(leaf, Carried)]

    @property
    def types(self) -> list[str]:
        """The types of numbers that these stand for: those given when the model was built, else the layer's own."""
        count = len(self.carried)
        operation = getattr(self.function, "__self__", None)
        usual = str(keras.config.floatx())
        if not isinstance(operation, keras.Operation):
            return [usual] * count
        usual = operation.compute_dtype if isinstance(operation, keras.Layer) else usual
        nodes = operation._inbound_nodes
        told = [keras.backend.standardize_dtype(tensor.dtype) for tensor in nodes[0].input_tensors] if nodes else []
        if len(told) != count:
            return [usual] * count
        return [usual if "float" in dtype else dtype for dtype in told]

    @property
    def trained(self) -> set[int]:
        """Identities of variables of the code's layer that are trained, also where they are frozen just now."""
        layer = getattr(self.function, "__self__", None)
        if not isinstance(layer, keras.Layer):
            return set()
        return {id(variable) for part in layer._flatten_layers() for variable in part._trainable_variables}

    @property
    def run(self) -> Callable[..., Any]:
        """The code as a function of tensors, one for each `Carried`."""

        def filled(*tensors: Any) -> Any:
            queue = iter(tensors)
            args, kwargs = keras.tree.map_structure(
                lambda leaf: next(queue) if isinstance(leaf, Carried) else leaf, (self.args, self.kwargs)
            )
            return as_its_layer(self.function)(*args, **kwargs)

        return filled


def as_its_layer(function: Any) -> Any:
    """The code of a layer that computes in another type than its weights have is for Keras to call: it casts them."""
    layer = getattr(function, "__self__", None)
    if isinstance(layer, keras.Layer) and layer.compute_dtype != layer.variable_dtype:
        return lambda *args, **kwargs: call_as_keras_does(layer, args, kwargs)
    return function


def plain(structure: Any) -> Any:
    """Lists, tuples and dictionaries of the usual kind."""
    if isinstance(structure, dict):
        return {key: plain(part) for key, part in structure.items()}
    if isinstance(structure, tuple) and not hasattr(structure, "_fields"):
        return tuple(map(plain, structure))
    return list(map(plain, structure)) if isinstance(structure, list) else structure


class Follower(Protocol):
    """Follows code through what its framework makes of it, for one run of a model."""

    def follow(self, code: Code) -> tuple[Any, bool]:
        """What the code gives, with `Carried` for what depends on the image; and whether it acts on each element alone.

        Raises:
            LeavesError: if it cannot be followed.
        """

    def is_masked(self, x: Carried) -> bool:
        """Whether some elements of what it gave are known to be zero, or off beside others, by construction."""
