"""Code of TensorFlow: drawn as a graph, alone, and the graph walked over spans."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.code import Code, LeavesError, plain
from rfwidget.keras.interpreter import forgotten
from rfwidget.keras.tf.choices import is_telling
from rfwidget.keras.tf.graph import draw, is_symbolic
from rfwidget.keras.tf.values import Constant, Flowing, Handle
from rfwidget.keras.tf.walk import Walk


class Follower:
    """As `rfwidget.keras.code.Follower`.

    Facts about the tensors that it gives (their types, and which numbers are possible) are kept for code that reads
    them later.
    """

    def __init__(self) -> None:
        self._facts: dict[int, tuple[weakref.ref[Carried], Any]] = {}

    def follow(self, code: Code) -> tuple[Any, bool]:
        """What the code gives, and whether it acts on each element alone."""
        flowing = code.carried
        given = [self._fact(leaf) for leaf in flowing]
        if any(fact is None for fact in given):
            given = [
                fact or Flowing(x, tf.as_dtype(dtype))
                for fact, x, dtype in zip(given, flowing, code.types, strict=True)
            ]
        specs = [tf.TensorSpec(value.shape, value.dtype) for value in given]
        try:
            with forgotten():
                drawn = draw(code.run, specs)
        except Exception as error:
            raise LeavesError(f"its code leaves TensorFlow ({type(error).__name__})", error) from error

        def call_layer(call: Any, value_of: Callable[[Any], Any]) -> Sequence[Any]:
            own_args, own_kwargs = keras.tree.map_structure(
                lambda leaf: self._outer(value_of(leaf)) if is_symbolic(leaf) else leaf, (call.args, call.kwargs)
            )
            found = code.interpreter.apply(call.layer, own_args, own_kwargs)
            return [self._inner(leaf) for leaf in keras.tree.flatten(found)]

        walk = Walk(code.name, call_layer, drawn.variables)
        tensors = [leaf for leaf in keras.tree.flatten(drawn.outputs) if is_symbolic(leaf)]
        try:
            values = walk.run(drawn.graph, [*given, *map(walk.captured, drawn.captured)], tensors)
        except UnknownError as error:
            raise LeavesError(str(error)) from error
        found = iter(values)
        outputs = keras.tree.map_structure(
            lambda leaf: self._outer(next(found)) if is_symbolic(leaf) else leaf, plain(drawn.outputs)
        )
        return outputs, walk.pointwise

    def is_masked(self, x: Carried) -> bool:
        """As `rfwidget.keras.code.Follower`."""
        fact = self._fact(x)
        return fact is not None and fact.mask is not None

    def _outer(self, value: Any) -> Any:
        if isinstance(value, Flowing):
            if value.mask is not None or is_telling(value):
                self._facts[id(value.carried)] = (weakref.ref(value.carried), value)
            return value.carried
        if isinstance(value, Handle):
            return value.variable
        return value.held if isinstance(value, Constant) else value

    def _inner(self, leaf: Any) -> Any:
        if isinstance(leaf, Carried):
            return self._fact(leaf) or Flowing(leaf, tf.as_dtype(keras.config.floatx()))
        return Constant.of(leaf) if leaf is not None else None

    def _fact(self, x: Carried) -> Any:
        """What is known of a tensor, if it was given here."""
        known = self._facts.get(id(x))
        return known[1] if known is not None and known[0]() is x else None
