"""All tests: the same random draws every time, and the same operations of TensorFlow on every processor, so that what
passed once passes again."""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest
from hypothesis import settings

# On by default only where there is AVX-512; without it TensorFlow lacks operations: see keras/test_processors.py.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Weights of a network, above all: a small one can be born dead."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what others draw from
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
