"""Code that does not speak to Keras, followed through what its framework makes of it.

Each backend follows code by its own means onto the same spans. Code that cannot be followed, for it leaves its
framework (NumPy, ``.numpy()``), is run on numbers to see what shapes it gives: what comes out may depend on everything
that went in, and says that it is unknown.
"""

from __future__ import annotations

import itertools
import math
import weakref
from types import FunctionType
from typing import Any

import keras
import numpy as np

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried
from rfwidget.keras.backends import backend
from rfwidget.keras.code import Code, LeavesError, as_its_layer
from rfwidget.keras.domains import OpaqueError
from rfwidget.keras.interpreter import call_as_keras_does, for_inference, intercepted

_MOST = 1 << 26
"""Code is not run on more numbers than that, to see what shapes it gives."""

_QUICK = 1 << 20
"""Nor on more than that, if it failed for a reason that is mostly a shape that does not suit it."""


class Tracer:
    """Follows code, for one run of a model.

    Args:
        followed: names of code that could be followed in other runs; what can be in this one is added. If such code
            fails on an image of another size, that does not suit it: it is not run on numbers, for which there may be
            no memory.

    Attributes:
        followed: the same.
    """

    def __init__(self, followed: set[str]) -> None:
        self._follower = backend.follower()
        self.followed = followed

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
        if not kwargs and len(args) == 1 and _acts_alone(function, args[0]):
            return args[0]
        code = Code(function, args, kwargs, interpreter, name)
        try:
            outputs, pointwise = self._follower.follow(code)
        except LeavesError as error:
            if name in self.followed:
                raise error.cause or OpaqueError(f"{name}: {error}") from None
            return self._run_on_numbers(code, str(error), error.cause)
        self.followed.add(name)
        if pointwise and not kwargs and len(args) == 1 and isinstance(function, FunctionType):
            _ALONE.setdefault(function, set()).add(args[0].shape)
        return outputs

    def is_masked(self, value: Any) -> bool:
        """Whether some elements of what was given here are known to be hidden by a constant."""
        return isinstance(value, Carried) and self._follower.is_masked(value)

    # -- on numbers ----------------------------------------------------------------------------------------------------

    def _run_on_numbers(self, code: Code, reason: str, cause: Exception | None) -> Any:
        """Run the code on numbers, for the shapes; layers that it calls are told what may reach them."""
        function, args, kwargs, interpreter, name = code
        everything = code.carried
        count = sum(math.prod(leaf.shape) for leaf in everything)
        if count > _MOST or (isinstance(cause, ValueError) and count > _QUICK):
            raise cause or OpaqueError(f"{name}: {reason}, and it is given too many numbers to try out")
        types = itertools.cycle(code.types)
        seen: dict[int, tuple[Any, Carried]] = {}
        note = f"{name}: {reason}"

        def numbers_of(leaf: Any, low: float = 0.5) -> Any:
            if not isinstance(leaf, Carried):
                return leaf
            drawn = np.random.default_rng(len(seen)).random(leaf.shape, np.float32)
            drawn *= 1.5 - low
            drawn += low
            tensor = keras.ops.cast(drawn, next(types))
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
                outputs = as_its_layer(function)(*given[0], **given[1])
            again = as_its_layer(function)(*others[0], **others[1])
        except Exception as error:
            raise (cause or error) from None
        found = keras.tree.map_structure(carried_of, outputs)
        if _shapes(outputs) != _shapes(again):
            raise OpaqueError(f"{name}: how large the result is, is decided by the image")
        return found


_ALONE: weakref.WeakKeyDictionary[Any, set[tuple[int, ...]]] = weakref.WeakKeyDictionary()
"""Functions that act on each element alone, and the shapes of tensors with which that was seen: activations."""


def _acts_alone(function: Any, x: Any) -> bool:
    """Whether a function is known to act on each element alone; a user's may be another at another shape."""
    shapes = _ALONE.get(function, ()) if isinstance(function, FunctionType) else ()
    theirs = str(getattr(function, "__module__", "")).startswith(backend.OWN)
    return isinstance(x, Carried) and bool(shapes) and (theirs or x.shape in shapes)


def _shapes(structure: Any) -> list[Any]:
    return [tuple(getattr(leaf, "shape", ())) for leaf in keras.tree.flatten(structure)]
