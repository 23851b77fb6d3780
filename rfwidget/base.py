"""The abstract estimator: measuring, questions and plots for a network of any framework.

A framework's wing derives from `ReceptiveField` and says how a network is built and how it backpropagates
(`rfwidget.network.Network`); everything else is here or in the pure modules this one calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from rfwidget.network import Network

Progress = Callable[[float, str], None]


class ReceptiveField(ABC):
    """Exact theoretical receptive fields and gradient maps of one layer of a network."""

    @abstractmethod
    def _build(
        self,
        input_shape: Sequence[int | None] | None,
        input_layer: str | None,
        output_layer: str | None,
        *,
        ignore_global_context: bool,
        progress: Progress,
    ) -> Network:
        """Build the network from ``input_layer`` to ``output_layer``."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)
