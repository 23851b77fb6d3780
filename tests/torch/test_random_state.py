"""The random state is as before, whatever was drawn in between."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from rfwidget.torch.random_state import random_state_kept


def drawn() -> tuple[float, ...]:
    """The next numbers of all generators; NumPy's normal ones come in pairs."""
    normals = np.random.randn(3)  # noqa: NPY002
    return (*normals.tolist(), float(np.random.rand()), random.random(), float(torch.rand(())))  # noqa: NPY002, S311


def one_normal() -> None:
    np.random.randn()  # noqa: NPY002


DRAWS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "one normal number": one_normal,
    "two normal numbers": lambda: np.random.randn(2),  # noqa: NPY002
    "all": drawn,
    "a seed": lambda: np.random.seed(1),  # noqa: NPY002
    "a round of the twister": lambda: np.random.randint(0, 2**32, 624, np.uint32),  # noqa: NPY002
}


@pytest.mark.parametrize("reserve", [False, True])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("what", DRAWS)
def test_what_was_drawn_in_between_is_not_missed(what: str, times: int, reserve: bool) -> None:
    expected = None
    for kept in (False, True):
        np.random.seed(7)  # noqa: NPY002
        random.seed(7)
        torch.manual_seed(7)
        if reserve:
            one_normal()  # the second of a pair waits
        for _ in range(times if kept else 0):
            with random_state_kept():
                DRAWS[what]()
        if kept:
            assert drawn() == expected
        else:
            expected = drawn()


def test_another_generator_of_numpy_is_put_back_too() -> None:
    usual = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(3))
    try:
        with random_state_kept():
            np.random.rand(5)  # noqa: NPY002
        assert np.random.rand() == np.random.Generator(np.random.PCG64(3)).random()  # noqa: NPY002
    finally:
        np.random.set_bit_generator(usual)
