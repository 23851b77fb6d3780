"""What Keras runs on: one small module for each backend, the only ones in this wing that name its framework.

Each backpropagates by its own means. Nothing else in the wing knows which one runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any, Protocol, cast

import keras
import numpy as np
import numpy.typing as npt

from rfwidget._measure import patches
from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras.code import Follower

Function = Callable[..., Any]
"""Maps tensors ``[n, h, w, c]`` of any size to ``[n, gh, gw, channels]``; image k does not influence output l. Where
there are weights it takes their values too, or reads those that they have."""

Weights = Callable[[], Sequence[Any]]
"""Gives the values of a network's weights."""

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


class CompiledNetwork(Protocol):
    """The real network forward on the whole image; weights are read at every call.

    Attributes:
        channels: of the layer.
    """

    @property
    def channels(self) -> int:
        """Channels of the layer."""

    def feature_map(self, image: npt.NDArray[Any]) -> Singles:
        """Output ``[gh, gw, channels]`` for an image ``[h, w, c]``."""


class Backend(Protocol):
    """What the module of a backend offers.

    Attributes:
        OWN: how the names of the framework's own modules begin.
    """

    OWN: str

    def follower(self) -> Follower:
        """Follows code that does not speak to Keras over spans, for one run of a model."""

    def kept(self, layer: Any) -> AbstractContextManager[None]:
        """While code of a layer runs that may write to what Keras does not know of: it is as before afterwards."""

    def sensitivity(self, function: Function, images: Floats, places: Sequence[tuple[int, ...]]) -> Floats:
        """Gradient of one output place per image.

        Args:
            function: the network, in float64, on the CPU.
            images: ``[n, h, w, c]``.
            places: ``(y, x)`` of the output, one for each image.

        Returns:
            ``[n, h, w]``, the absolute gradient summed over the image's channels.
        """

    def evaluate(self, function: Function, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of a function of images, on the CPU."""

    def Compiled(self, function: Function, weights: Weights = ...) -> patches.Backend:  # noqa: N802 - a class there
        """A network as `rfwidget._measure.patches` runs it."""

    def CompiledNetwork(  # noqa: N802
        self, function: Function, shape: tuple[int, ...], weights: Weights = ...
    ) -> CompiledNetwork:
        """The network on whole images ``(h, w, c)``."""


_FOUND = keras.backend.backend()

if find_spec(f"{__name__}.{_FOUND}") is None:
    raise ReceptiveFieldError(
        f"Keras runs on {_FOUND!r}, which does not backpropagate: set KERAS_BACKEND to tensorflow, jax or torch before "
        "Keras is imported"
    )

backend: Backend = cast(Backend, importlib.import_module(f"{__name__}.{_FOUND}"))
"""The module of the backend that Keras was imported with; it is one for the life of a process."""
