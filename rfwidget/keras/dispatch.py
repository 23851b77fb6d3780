"""Sends every operation of a model to its replacement in the probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from rfwidget.keras.graph import Observe, Walker
from rfwidget.keras.probe import Probe
from rfwidget.keras.rules import rule_for


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

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be seen through, as sentences."""
        return tuple(self._notes)

    def run(self, model: Any, inputs: Sequence[Any], target: str | None = None) -> Any:
        """Output of the layer ``target`` (of the model, if None) for the flat list of the model's inputs."""
        return Walker(self._apply, target=target, observe=self._observe).run(model, inputs)

    def _apply(self, operation: Any, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rule = rule_for(operation)
        if rule is None:
            raise NotImplementedError(f"{path}: no rule for {type(operation).__name__}")
        inputs = [tensor for tensor in keras.tree.flatten((args, kwargs)) if ops.is_tensor(tensor)]
        return self._probe.run(lambda: rule(self._probe, operation, *args, **kwargs), inputs)
