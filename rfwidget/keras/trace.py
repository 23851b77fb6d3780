"""Code that does not speak to Keras, followed through what its framework makes of it.

On TensorFlow the code is drawn as a graph, alone, and the graph is walked over spans (`rfwidget.keras.tf`). Code that
cannot be drawn, for it leaves TensorFlow (NumPy, ``.numpy()``), is run on numbers to see what shapes it gives: what
comes out may depend on everything that went in, and says that it is unknown.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried
from rfwidget.keras.domains import OpaqueError
from rfwidget.keras.interpreter import call_as_keras_does, for_inference, intercepted


class Tracer:
    """Follows code, for one run of a model.

    Facts about the tensors that it gives (their types, and which numbers are possible) are kept for code that reads
    them later.
    """

    def __init__(self) -> None:
        self._facts: dict[int, tuple[weakref.ref[Carried], Any]] = {}

    def __call__(self, function: Any, args: Any, kwargs: Any, interpreter: Any, name: str) -> Any:
        """What a function gives.

        Args:
            function: the code.
            args: its arguments, with `Carried` for what depends on the image.
            kwargs: the same.
            interpreter: runs the layers that the code calls.
            name: of the layer, for messages.

        Returns:
            Its outputs, with `Carried` for what depends on the image.

        Raises:
            OpaqueError: if the image decides what shapes the outputs have.
            Exception: what the code raises, if it does not run on the tensors that it is given.
        """
        if keras.backend.backend() != "tensorflow":
            return self._run_on_numbers(function, args, kwargs, interpreter, name, "its code does not speak to Keras")
        from rfwidget.keras.tf.values import UnknownError

        try:
            return self._walked(function, args, kwargs, interpreter, name)
        except UnknownError as error:
            return self._run_on_numbers(function, args, kwargs, interpreter, name, str(error))

    # -- as a graph ----------------------------------------------------------------------------------------------------

    def _walked(self, function: Any, args: Any, kwargs: Any, interpreter: Any, name: str) -> Any:
        import tensorflow as tf

        from rfwidget.keras.tf.graph import draw, is_symbolic
        from rfwidget.keras.tf.values import Constant, Flowing, Handle
        from rfwidget.keras.tf.walk import Walk

        leaves = keras.tree.flatten((args, kwargs))
        flowing = [leaf for leaf in leaves if isinstance(leaf, Carried)]
        given = [self._fact(leaf) for leaf in flowing]
        if any(fact is None for fact in given):
            types = _types(function, len(flowing))
            given = [
                fact or Flowing(x, tf.as_dtype(dtype)) for fact, x, dtype in zip(given, flowing, types, strict=True)
            ]

        def rebuilt(*tensors: Any) -> Any:
            queue = iter(tensors)
            filled = [next(queue) if isinstance(leaf, Carried) else leaf for leaf in leaves]
            own_args, own_kwargs = keras.tree.pack_sequence_as((args, kwargs), filled)
            return _as_its_layer(function)(*own_args, **own_kwargs)

        specs = [tf.TensorSpec(value.shape, value.dtype) for value in given]
        try:
            drawn = draw(rebuilt, specs)
        except Exception as error:
            reason = f"its code leaves TensorFlow ({type(error).__name__})"
            return self._run_on_numbers(function, args, kwargs, interpreter, name, reason, cause=error)

        def outer(value: Any) -> Any:
            if isinstance(value, Flowing):
                return self._known(value)
            return (
                value.tensor if isinstance(value, Constant) else value.variable if isinstance(value, Handle) else value
            )

        def inner(leaf: Any) -> Any:
            if isinstance(leaf, Carried):
                return self._fact(leaf) or Flowing(leaf, tf.as_dtype(keras.config.floatx()))
            return Constant.of(leaf) if leaf is not None else None

        def call_layer(call: Any, value_of: Callable[[Any], Any]) -> Sequence[Any]:
            own_args, own_kwargs = keras.tree.map_structure(
                lambda leaf: outer(value_of(leaf)) if is_symbolic(leaf) else leaf, (call.args, call.kwargs)
            )
            return [inner(leaf) for leaf in keras.tree.flatten(interpreter.apply(call.layer, own_args, own_kwargs))]

        walk = Walk(name, call_layer, drawn.variables)
        tensors = [leaf for leaf in keras.tree.flatten(drawn.outputs) if is_symbolic(leaf)]
        values = walk.run(drawn.graph, [*given, *map(walk.captured, drawn.captured)], tensors)
        found = iter(values)
        return keras.tree.map_structure(
            lambda leaf: outer(next(found)) if is_symbolic(leaf) else leaf, _plain(drawn.outputs)
        )

    def _fact(self, x: Carried) -> Any:
        """What is known of a tensor, if it was given here."""
        known = self._facts.get(id(x))
        return known[1] if known is not None and known[0]() is x else None

    def _known(self, value: Any) -> Carried:
        x: Carried = value.carried
        self._facts[id(x)] = (weakref.ref(x), value)
        return x

    # -- on numbers ----------------------------------------------------------------------------------------------------

    def _run_on_numbers(
        self,
        function: Any,
        args: Any,
        kwargs: Any,
        interpreter: Any,
        name: str,
        reason: str,
        cause: Exception | None = None,
    ) -> Any:
        """Run the code on numbers, for the shapes; layers that it calls are told what may reach them."""
        everything = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, Carried)]
        types = itertools.cycle(_types(function, len(everything)))
        seen: dict[int, tuple[Any, Carried]] = {}
        note = f"{name}: {reason}"

        def numbers_of(leaf: Any, low: float = 0.5) -> Any:
            if not isinstance(leaf, Carried):
                return leaf
            draw = np.random.default_rng(len(seen))
            tensor = keras.ops.cast(draw.uniform(low, 1.5, leaf.shape), next(types))
            seen[id(tensor)] = (tensor, leaf)
            return tensor

        def carried_of(leaf: Any) -> Any:
            if not (keras.ops.is_tensor(leaf) or isinstance(leaf, np.ndarray)):
                return leaf
            if id(leaf) in seen:
                return seen[id(leaf)][1]
            return spans.everything(everything, tuple(leaf.shape), note)

        inside = False

        def called(layer: Any, own_args: tuple[Any, ...], own_kwargs: dict[str, Any]) -> Any:
            nonlocal inside
            if inside or not isinstance(layer, keras.Layer):
                return call_as_keras_does(layer, own_args, own_kwargs)
            inside = True
            try:
                outputs = call_as_keras_does(layer, own_args, for_inference(layer, own_kwargs))
            finally:
                inside = False
            reached = keras.tree.map_structure(carried_of, (own_args, own_kwargs))
            found = interpreter.apply(layer, *reached)
            for leaf, x in zip(keras.tree.flatten(outputs), keras.tree.flatten(found), strict=True):
                if isinstance(x, Carried):
                    seen[id(leaf)] = (leaf, x)
            return outputs

        given, others = (
            keras.tree.map_structure(lambda leaf, low=low: numbers_of(leaf, low), (args, kwargs)) for low in (0.5, -1.5)
        )
        try:
            with intercepted(called):
                outputs = _as_its_layer(function)(*given[0], **given[1])
            again = _as_its_layer(function)(*others[0], **others[1])
        except Exception as error:
            raise (cause or error) from None
        found = keras.tree.map_structure(carried_of, outputs)
        if _shapes(outputs) != _shapes(again):
            raise OpaqueError(f"{name}: how large the result is, is decided by the image")
        return found


def _as_its_layer(function: Any) -> Any:
    """The code of a layer that computes in another type than its weights have is for Keras to call: it casts them."""
    layer = getattr(function, "__self__", None)
    if isinstance(layer, keras.Layer) and layer.compute_dtype != layer.variable_dtype:
        return lambda *args, **kwargs: call_as_keras_does(layer, args, kwargs)
    return function


def _plain(structure: Any) -> Any:
    """Lists, tuples and dictionaries of the usual kind."""
    if isinstance(structure, dict):
        return {key: _plain(part) for key, part in structure.items()}
    if isinstance(structure, (list, tuple)) and not hasattr(structure, "_fields"):
        return (
            type(structure)(map(_plain, structure))
            if type(structure) in (list, tuple)
            else list(map(_plain, structure))
        )
    return structure


def _shapes(structure: Any) -> list[Any]:
    return [tuple(getattr(leaf, "shape", ())) for leaf in keras.tree.flatten(structure)]


def _types(function: Any, count: int) -> list[str]:
    """The types of numbers that code was given when its model was built; else what its layer computes in."""
    operation = getattr(function, "__self__", None)
    usual = str(keras.config.floatx())
    if not isinstance(operation, keras.Operation):
        return [usual] * count
    usual = operation.compute_dtype if isinstance(operation, keras.Layer) else usual
    nodes = operation._inbound_nodes
    told = [keras.backend.standardize_dtype(tensor.dtype) for tensor in nodes[0].input_tensors] if nodes else []
    if len(told) != count:
        return [usual] * count
    return [usual if "float" in dtype else dtype for dtype in told]
