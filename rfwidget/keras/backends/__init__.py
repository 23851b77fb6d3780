"""What Keras runs on: one small module for each backend, the only ones in this wing that name its framework.

Each backpropagates by its own means and offers the same names: `sensitivity`, `evaluate`, `Compiled` and
`CompiledNetwork`, as `rfwidget.keras.backends.tensorflow` describes them. Nothing else in the wing knows which one
runs.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras

backend: Any = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
"""The module of the backend that Keras was imported with; it is one for the life of a process."""
