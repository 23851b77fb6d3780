"""Code of PyTorch, run on tensors that carry what they depend on instead of numbers."""

from __future__ import annotations

from typing import Any

import keras
import torch
from torch.utils._python_dispatch import _disable_current_modes

from rfwidget._aten.interpreter import (
    Interpreter,
    NumbersNeededError,
    OwnWeightsNeededError,
    TooLargeError,
    Tracked,
    UnknownError,
)
from rfwidget._aten.rules import RULES
from rfwidget._measure import spans
from rfwidget._measure.spans import Carried, Marks
from rfwidget.keras.code import Code, LeavesError, plain
from rfwidget.keras.domains import NeedsFullWidth
from rfwidget.keras.interpreter import call_as_keras_does, forgotten, intercepted, weights_read


class Follower:
    """As `rfwidget.keras.code.Follower`."""

    def follow(self, code: Code) -> tuple[Any, bool]:
        """What the code gives; nothing is said of whether it acts on each element alone."""
        for numbers in (False, True):
            try:
                return _Run(code, numbers=numbers).outputs(), False
            except NumbersNeededError:
                continue
            except OwnWeightsNeededError as error:
                raise LeavesError("its code writes to weights") from error
            except TooLargeError as error:
                raise LeavesError("its tensors are too large to be followed") from error
        raise AssertionError("code asked for numbers that it had")

    def is_masked(self, x: Carried) -> bool:  # noqa: ARG002 - the signature of all followers
        """Nothing is kept from one run of code to the next."""
        return False


class _Run:
    """One run of code."""

    def __init__(self, code: Code, *, numbers: bool) -> None:
        self._code = code
        self._device = torch.device(keras.ops.convert_to_tensor(0.0).device)
        self._trained = code.trained
        self._guarded = {_address(tensor): self._weight(tensor) for tensor in _own_tensors(code.function)}
        self._mode = Interpreter(RULES, self._device, self._guarded, numbers=numbers)
        self._inside = False

    def outputs(self) -> Any:
        """What the code gives, with `Carried` for what depends on the image."""
        given = [
            self._tracked(x, getattr(torch, dtype))
            for x, dtype in zip(self._code.carried, self._code.types, strict=True)
        ]
        try:
            with forgotten(), weights_read(self._noted), torch.no_grad(), torch.inference_mode(False):
                with torch.autocast("cpu", enabled=False), intercepted(self._called), self._mode:
                    found = self._code.run(*given)
                outputs = keras.tree.map_structure(self._outer, plain(found))
        except UnknownError as error:
            raise LeavesError(f"its code leaves PyTorch ({error})", error) from error
        except Exception as error:
            if self._mode.failure is not None:
                raise self._mode.failure from error
            raise LeavesError(f"its code leaves PyTorch ({type(error).__name__})", error) from error
        if self._mode.failure is not None:
            raise self._mode.failure
        return outputs

    def _noted(self, variable: Any, value: Any) -> None:
        """A weight that the code reads: it holds any numbers, and must not be written to."""
        if isinstance(value, torch.Tensor) and not isinstance(value, Tracked):
            trained = variable.trainable or id(variable) in self._trained
            self._guarded[_address(value)] = self._weight(value, trained=trained)

    @staticmethod
    def _weight(tensor: torch.Tensor, *, trained: bool = True) -> torch.Tensor:
        """A parameter stands for any numbers; what is never trained is left as it is, unless it is still zero."""
        if isinstance(tensor, torch.nn.Parameter):
            return tensor if trained or not tensor.any() else tensor.detach()
        return torch.nn.Parameter(tensor, requires_grad=False) if trained and tensor.is_floating_point() else tensor

    def _tracked(self, x: Carried, dtype: torch.dtype) -> Tracked:
        if x.marks.blurred:
            raise NeedsFullWidth
        return self._mode.image(x, dtype)

    def _outer(self, leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        carried = self._mode.carried_of(leaf)
        if carried is None:
            return leaf
        if self._mode.notes:
            notes = frozenset(f"{self._code.name}: the number that {note} reads" for note in self._mode.notes)
            return spans.marked(carried, Marks(unknown=notes))
        return carried

    def _called(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A layer that the code calls: Keras' own way, on what its arguments depend on."""
        leaves = keras.tree.flatten((args, kwargs))
        flows = any(isinstance(leaf, torch.Tensor) and self._mode.carried_of(leaf) is not None for leaf in leaves)
        if self._inside or not isinstance(layer, keras.Layer) or not flows:
            return call_as_keras_does(layer, args, kwargs)
        self._inside = True
        try:
            with _disable_current_modes():
                reached = keras.tree.map_structure(self._outer, (args, kwargs))
                found = self._code.interpreter.apply(layer, *reached)
        finally:
            self._inside = False
        dtype = getattr(torch, str(layer.compute_dtype or keras.config.floatx()))
        return keras.tree.map_structure(
            lambda leaf: self._tracked(leaf, dtype) if isinstance(leaf, Carried) else leaf, found
        )


def _own_tensors(function: Any) -> list[torch.Tensor]:
    """Parameters of a layer that are none of Keras' variables: those of PyTorch modules that it holds."""
    layer = getattr(function, "__self__", None)
    return list(layer.parameters()) if isinstance(layer, torch.nn.Module) else []


def _address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata  # type: ignore[no-any-return]
