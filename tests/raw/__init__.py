"""Code that does not speak to Keras, written in each framework that Keras may run on: the same functions in all."""

from __future__ import annotations

import importlib
from typing import Any

import keras

raw: Any = importlib.import_module(f"{__name__}.in_{keras.backend.backend()}")
