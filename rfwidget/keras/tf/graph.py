"""Drawing a function as a graph of TensorFlow's operations, with the Keras layers that it calls noted in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from rfwidget.keras.interpreter import call_as_keras_does, intercepted

_NOTED = "_rfwidget_layer_calls"


class LayerCall(NamedTuple):
    """A layer that was called while a graph was drawn.

    Attributes:
        layer: the layer.
        args: what it was called with; tensors are those of the graph.
        kwargs: the same.
        outputs: names of the tensors that stand for its outputs; None for what is no tensor.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[str | None, ...]

    @property
    def tensors(self) -> list[Any]:
        """Tensors of the graph among the arguments."""
        return [leaf for leaf in keras.tree.flatten((self.args, self.kwargs)) if is_symbolic(leaf)]


class Drawn(NamedTuple):
    """A function as a graph.

    Attributes:
        graph: with one placeholder for each tensor, and more for what the function reads from outside.
        captured: what these stand for.
        variables: that are read.
        outputs: what the function returned, with tensors of the graph.
    """

    graph: Any
    captured: Sequence[Any]
    variables: Sequence[Any]
    outputs: Any


def draw(function: Callable[..., Any], specs: Sequence[Any]) -> Drawn:
    """Draw a function of tensors.

    Args:
        function: called with one tensor for each spec.
        specs: shapes and types of the tensors.

    Raises:
        Exception: whatever the function raises.
    """
    notes = _Notes()
    with intercepted(notes.called), _silent():
        try:
            concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
        except tf.errors.OperatorNotAllowedInGraphError:  # ``if tensor:``
            concrete = tf.function(function, autograph=True).get_concrete_function(*specs)
    graph = concrete.graph
    return Drawn(graph, concrete.captured_inputs, graph.variables, graph.structured_outputs)


@contextmanager
def _silent() -> Iterator[None]:
    """Without TensorFlow's advice on how to write functions: the user has not asked for this one."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(before)


def layer_calls(graph: Any) -> list[LayerCall]:
    """The layers that were called while a graph was drawn, in order."""
    return list(getattr(graph, _NOTED, ()))


def is_symbolic(leaf: Any) -> bool:
    """Whether it is a tensor of a graph."""
    return bool(tf.is_symbolic_tensor(leaf))


class _Notes:
    """Takes down which layers a function calls, but not what these call."""

    def __init__(self) -> None:
        self._inside = False

    def called(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A layer is called."""
        if self._inside or not any(map(is_symbolic, keras.tree.flatten((args, kwargs)))):
            return call_as_keras_does(layer, args, kwargs)
        # Tensors from a graph around this one become its own.
        args, kwargs = keras.tree.map_structure(
            lambda leaf: tf.identity(leaf) if is_symbolic(leaf) else leaf, (args, kwargs)
        )
        self._inside = True
        try:
            outputs = call_as_keras_does(layer, args, kwargs)
        finally:
            self._inside = False
        outputs = keras.tree.map_structure(lambda leaf: tf.identity(leaf) if is_symbolic(leaf) else leaf, outputs)
        names = tuple(leaf.name if is_symbolic(leaf) else None for leaf in keras.tree.flatten(outputs))
        graph = tf.compat.v1.get_default_graph()
        setattr(graph, _NOTED, [*layer_calls(graph), LayerCall(layer, args, kwargs, names)])
        return outputs
