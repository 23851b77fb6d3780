"""Sends every operation of a model to its replacement in the probe, and looks into what has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from rfwidget.keras.graph import Observe, Walker, is_keras_own
from rfwidget.keras.hints import Effect, Hint, hints_of
from rfwidget.keras.inside import for_inference, intercepted, unwrap, wrap
from rfwidget.keras.probe import DTYPE, Probe
from rfwidget.keras.rules import rule_for
from rfwidget.keras.rules_ops import rule_for_operation
from rfwidget.keras.rules_shapes import as_it_is

_GUESS = Effect(exact=False, linear=False, separable=False)


class Dispatch:
    """Runs models through a probe.

    Args:
        probe: the building blocks.
        observe: told of every operation and nested model, as by `Walker`.
    """

    def __init__(self, probe: Probe, observe: Observe | None = None) -> None:
        self._probe = probe
        self._observe = observe
        self._notes: dict[str, None] = {}
        self._walker: Walker

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be seen through, as sentences."""
        return tuple(self._notes)

    @property
    def calls(self) -> dict[str, int]:
        """How often code called each of the layers inside it."""
        return self._walker.calls

    def run(self, model: Any, inputs: Sequence[Any], target: str | None = None, call: int = 1) -> Any:
        """Output of the layer ``target`` (of the model, if None) for the flat list of the model's inputs.

        Of the calls of that layer by code, the one with that number counts.
        """
        self._walker = Walker(self._apply, target=target, call=call, observe=self._observe)
        # Eager float64 is a matter for the CPU; and whatever code runs as it is must not change the model.
        with keras.device("cpu"), keras.StatelessScope():
            return self._walker.run(model, inputs)

    def _apply(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not isinstance(operation, keras.Layer):
            return self._operation(operation, args, kwargs)
        rule = rule_for(operation)
        if rule is None:
            return self._inside(operation, path, args, kwargs)
        try:
            outputs = self._replaced(lambda: rule(self._probe, operation, *args, **kwargs), (args, kwargs))
        except NotImplementedError:  # a rule for most such layers, but not for this one
            return self._inside(operation, path, args, kwargs)
        function = getattr(operation, "activation", None)
        return outputs if _is_pointwise(function) else self._activated(function, path, outputs)

    def _replaced(self, function: Any, arguments: Any) -> Any:
        return self._probe.run(function, [leaf for leaf in keras.tree.flatten(arguments) if ops.is_tensor(leaf)])

    def _operation(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rule = rule_for_operation(operation)
        if not any(Hint.of(leaf) for leaf in keras.tree.flatten((args, kwargs))):
            return as_it_is(operation, args, kwargs)  # the image has no part in it
        if rule is not None and not self._unclear(operation, args):
            try:
                return self._replaced(lambda: rule(self._probe, operation, *args, **kwargs), (args, kwargs))
            except NotImplementedError:  # a rule for most such operations, but not for this one
                pass
        self._probe.need_full_width()
        self._tell(
            f"the operation {operation.name!r} ({type(operation).__name__}) has no linear twin: it was measured as it "
            "is, by its gradient at a few images"
        )
        return self._guessed(lambda: _in_single(operation, args, kwargs), (args, kwargs))

    def _unclear(self, operation: Any, args: tuple[Any, ...]) -> bool:
        """Whether an operation names axes that the probe would take for others."""
        if not self._probe.channels_first or type(operation).__name__ == "Concatenate":
            return False
        names_axes = any(hasattr(operation, name) for name in ("axis", "axes", "pad_width", "target_shape", "newshape"))
        is_map = any(len(getattr(leaf, "shape", ())) == 4 for leaf in keras.tree.flatten(args))
        return is_map and (names_axes or type(operation).__name__ == "GetItem")

    def _activated(self, function: Any, path: str, x: Any) -> Any:
        """An activation that Keras does not know: any code may hide in it."""
        try:
            with intercepted(self._inner):
                return unwrap(function(self._wrap(x)))
        except Exception:
            self._probe.need_full_width()
            self._tell_opaque(path, function)
            return self._guessed(lambda: ops.cast(function(x), DTYPE), x)

    def _inside(self, layer: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A layer whose code must be run to know what it does."""
        kwargs = for_inference(layer, kwargs)
        try:
            with self._walker.in_code(path), intercepted(self._inner):
                return unwrap(layer.call(*self._wrap(args), **self._wrap(kwargs)))
        except Exception:
            self._probe.need_full_width()
            self._tell_opaque(path, layer)
            with self._walker.in_code(path):
                return self._opaque(layer, args, kwargs)

    def _inner(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A layer or operation met inside code that runs on values."""
        return self._wrap(self._walker.apply(operation, unwrap(args), unwrap(kwargs)))

    def _wrap(self, structure: Any) -> Any:
        return wrap(structure, thin=self._probe.thin)

    def _opaque(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The layer's code on real numbers; the layers inside are still replaced.

        Hints do not survive foreign code between two layers, so the last one known goes on, marked as a guess. It goes
        on every tensor without one: a loop over time hands on its state with a hint, and its images without.
        """
        latest = _GUESS.after(hints_of((args, kwargs)))

        def inner(operation: Any, inner_args: tuple[Any, ...], inner_kwargs: dict[str, Any]) -> Any:
            nonlocal latest
            arguments = (inner_args, inner_kwargs)
            kind = next((t.dtype for t in keras.tree.flatten(arguments) if ops.is_tensor(t)), DTYPE)
            inner_args, inner_kwargs = _cast(arguments, DTYPE)
            if latest is not None:
                inner_args, inner_kwargs = _labelled((inner_args, inner_kwargs), latest, overwrite=False)
            outputs = self._walker.apply(operation, inner_args, inner_kwargs)
            latest = _GUESS.after(hints_of(outputs)) or latest
            return _cast(outputs, kind)

        # In the layer's own precision: foreign code may refuse any other, and its gradient too.
        kind = layer.compute_dtype
        with intercepted(inner):
            outputs = _cast(layer.call(*_cast(args, kind), **_cast(kwargs, kind)), DTYPE)
        return outputs if latest is None else _labelled(outputs, latest)

    def _guessed(self, function: Any, arguments: Any) -> Any:
        """Outputs of code that runs as it is."""
        outputs = function()
        hint = _GUESS.after(hints_of(arguments))
        return outputs if hint is None else _labelled(outputs, hint)

    def _tell_opaque(self, path: str, code: Any) -> None:
        kind = getattr(code, "__name__", type(code).__name__)
        self._tell(
            f"{path or 'the model'} ({kind}) runs code that cannot be seen through: it was measured as it is, by its "
            "gradient at a few images, so a path that none of them opens would be missed"
        )

    def _tell(self, note: str) -> None:
        """Take down what could not be seen through."""
        self._notes[note] = None


def _in_single(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation in single precision, which all of them support, gradients included."""
    return _cast(as_it_is(operation, _cast(args, "float32"), _cast(kwargs, "float32")), DTYPE)


def _labelled(structure: Any, hint: Hint, *, overwrite: bool = True) -> Any:
    """Copies of all float tensors of a nested structure with a hint; the originals may be the user's own.

    Without ``overwrite``, those that carry a hint keep it.
    """

    def labelled(leaf: Any) -> Any:
        if not _is_float(leaf) or (not overwrite and Hint.of(leaf) is not None):
            return leaf
        copy = ops.copy(leaf)
        hint.put_on(copy)
        return copy

    return keras.tree.map_structure(labelled, structure)


def _cast(structure: Any, dtype: Any) -> Any:
    """All float tensors of a nested structure in another precision, with their hints."""

    def cast(leaf: Any) -> Any:
        if not _is_float(leaf):
            return leaf
        result = ops.cast(leaf, dtype)
        if (hint := Hint.of(leaf)) is not None:
            hint.put_on(result)
        return result

    return keras.tree.map_structure(cast, structure)


def _is_float(leaf: Any) -> bool:
    return bool(ops.is_tensor(leaf)) and "float" in keras.backend.standardize_dtype(leaf.dtype)


def _is_pointwise(function: Any) -> bool:
    """Whether an activation is one of Keras' own: each of them acts on a cell alone."""
    return function is None or getattr(function, "__module__", "").startswith("keras.") or is_keras_activation(function)


def is_keras_activation(function: Any) -> bool:
    """Whether an activation is a layer that Keras defines."""
    return isinstance(function, keras.Layer) and is_keras_own(function) and rule_for(function) is not None
