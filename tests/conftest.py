"""All tests: the same random draws every time, so that what passed once passes again."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Weights of a network, above all: a small one can be born dead."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what others draw from
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
