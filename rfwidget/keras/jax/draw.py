"""Drawing a function as a jaxpr, in which the Keras layers that it calls are primitives of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import keras
from jax.extend.core import Primitive

from rfwidget.keras.interpreter import assigned, call_as_keras_does, intercepted

LAYER = Primitive("rfwidget_keras_layer")
"""A layer that code calls; its parameter ``call`` says which, and how."""
LAYER.multiple_results = True
LAYER.def_abstract_eval(lambda *_, call: call.results)


class LayerCall:
    """A layer that was called while a jaxpr was drawn.

    Attributes:
        layer: the layer.
        results: shapes and types of its outputs, flat.
    """

    def __init__(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.layer = layer
        self._arguments = args, kwargs
        self.results: list[Any] = []

    def arguments(self, values: Sequence[Any]) -> Any:
        """What it is called with, with some values in place of those of the jaxpr."""
        given = iter(values)
        return keras.tree.map_structure(lambda leaf: next(given) if is_symbolic(leaf) else leaf, self._arguments)

    def bind(self) -> Any:
        """The layer's outputs, as the jaxpr knows them."""
        given = [leaf for leaf in keras.tree.flatten(self._arguments) if is_symbolic(leaf)]

        def call(*tensors: Any) -> Any:
            args, kwargs = self.arguments(tensors)
            return call_as_keras_does(self.layer, args, kwargs)

        shapes = jax.eval_shape(call, *given)
        flat, structure = jax.tree.flatten(shapes)
        # Abstract values as JAX makes them itself.
        self.results = [jax.core.ShapedArray(shape.shape, shape.dtype) for shape in flat]
        return jax.tree.unflatten(structure, LAYER.bind(*given, call=self))


class Drawn(NamedTuple):
    """A function as a jaxpr.

    Attributes:
        jaxpr: closed, with one input for each tensor.
        outputs: what the function returned, with shapes in place of tensors.
    """

    jaxpr: Any
    outputs: Any


def draw(function: Callable[..., Any], specs: Sequence[Any]) -> Drawn:
    """Draw a function of tensors.

    Args:
        function: called with one tensor for each spec.
        specs: shapes and types of the tensors.

    Raises:
        Exception: whatever the function raises.
    """
    inside = False

    def called(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal inside
        leaves = keras.tree.flatten((args, kwargs))
        if inside or not isinstance(layer, keras.Layer) or not any(map(is_symbolic, leaves)):
            return call_as_keras_does(layer, args, kwargs)
        if any(is_symbolic(assigned(variable)) for variable in layer.variables):
            return call_as_keras_does(layer, args, kwargs)  # its weights are part of this jaxpr
        inside = True
        try:
            return LayerCall(layer, args, kwargs).bind()
        finally:
            inside = False

    try:
        with intercepted(called):
            jaxpr, outputs = jax.make_jaxpr(function, return_shape=True)(*specs)
    except NotImplementedError:  # derivatives of layers, or many at once: then what they are made of
        jaxpr, outputs = jax.make_jaxpr(function, return_shape=True)(*specs)
    return Drawn(jaxpr, outputs)


def is_symbolic(leaf: Any) -> bool:
    """Whether it is a value of a jaxpr."""
    return isinstance(leaf, jax.core.Tracer)
