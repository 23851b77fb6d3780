"""Code of JAX: drawn as a jaxpr, alone, and the jaxpr walked over spans."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import jax
import keras

from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.code import Code, LeavesError, plain
from rfwidget.keras.interpreter import forgotten, weights_read
from rfwidget.keras.jax.draw import draw
from rfwidget.keras.jax.values import Constant, Flowing, Mask
from rfwidget.keras.jax.walk import Walk


class Follower:
    """As `rfwidget.keras.code.Follower`.

    What is known of the tensors that it gives besides what they depend on is kept for code that reads them later.
    """

    def __init__(self) -> None:
        self._facts: dict[int, tuple[weakref.ref[Carried], Flowing]] = {}

    def follow(self, code: Code) -> tuple[Any, bool]:
        """What the code gives, and whether it acts on each element alone."""
        given = [
            self._fact(x) or Flowing(x, jax.dtypes.canonicalize_dtype(dtype))
            for x, dtype in zip(code.carried, code.types, strict=True)
        ]
        specs: list[Any] = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in given]
        read: list[tuple[Any, Any]] = []
        try:
            with forgotten(), weights_read(lambda variable, value: read.append((variable, value))):
                drawn = draw(code.run, specs)
        except Exception as error:
            raise LeavesError(f"its code leaves JAX ({type(error).__name__})", error) from error

        def call_layer(call: Any, values: Sequence[Any]) -> Sequence[Any]:
            args, kwargs = call.arguments([self._outer(value) for value in values])
            found = keras.tree.flatten(code.interpreter.apply(call.layer, args, kwargs))
            found = [leaf for leaf in found if leaf is not None]
            return [self._inner(leaf, result.dtype) for leaf, result in zip(found, call.results, strict=True)]

        trained = code.trained
        weights = {id(value): variable.trainable or id(variable) in trained for variable, value in read}
        walk = Walk(code.name, call_layer, weights)
        try:
            values = walk.closed(drawn.jaxpr, given)
        except UnknownError as error:
            raise LeavesError(str(error)) from error
        leaves, structure = jax.tree.flatten(drawn.outputs)
        outputs = jax.tree.unflatten(structure, [self._outer(value) for value, _ in zip(values, leaves, strict=True)])
        return plain(outputs), walk.pointwise

    def is_masked(self, x: Carried) -> bool:
        """As `rfwidget.keras.code.Follower`."""
        fact = self._fact(x)
        return fact is not None and (fact.mask.off is not None or fact.mask.zero is not None)

    def _outer(self, value: Any) -> Any:
        if not isinstance(value, Flowing):
            return value.held
        self._facts[id(value.carried)] = (weakref.ref(value.carried), value)
        return value.carried

    def _inner(self, leaf: Any, dtype: Any) -> Any:
        if isinstance(leaf, Carried):
            return self._fact(leaf) or Flowing(leaf, dtype, Mask())
        return Constant.of(leaf)

    def _fact(self, x: Carried) -> Flowing | None:
        """What is known of a tensor, if it was given here."""
        known = self._facts.get(id(x))
        return known[1] if known is not None and known[0]() is x else None
