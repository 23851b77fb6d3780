"""The random state of Python, NumPy and PyTorch, put back as it was.

It is done at every click, of a millisecond or two, and NumPy takes a tenth of one to tell its state, another to take
it back. So its memory is compared instead.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

_WORDS = 625
"""Words of a Mersenne Twister: 624 of its key, and its place there."""


class _Read(NamedTuple):
    """NumPy's state when it was read as a whole, which takes a tenth of a millisecond."""

    words: npt.NDArray[np.uint32]
    state: Any


_last: _Read | None = None
_memory: tuple[Any, npt.NDArray[np.uint32]] | None = None


@contextmanager
def random_state_kept() -> Iterator[None]:
    """While code may draw random numbers that nobody is to miss."""
    words = _words()
    before = None if words is None else words.copy()
    # A generator without a normal number in reserve cannot draw without moving on: then its memory tells all.
    known = _last if before is not None and _is_known(before) else None
    state = known.state if known is not None else _read(before)
    others = torch.random.get_rng_state(), random.getstate()
    try:
        yield
    finally:
        torch.random.set_rng_state(others[0])
        random.setstate(others[1])
        now = _words()
        if known is None or now is None or not np.array_equal(known.words, now):
            np.random.set_state(state)  # noqa: NPY002


def _is_known(words: npt.NDArray[np.uint32]) -> bool:
    """Whether NumPy's state is the one that was read last, and has no normal number in reserve."""
    return _last is not None and not _last.state["has_gauss"] and np.array_equal(_last.words, words)


def _read(words: npt.NDArray[np.uint32] | None) -> Any:
    global _last
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    inner = state["state"]
    if words is not None and np.array_equal(words[:-1], inner["key"]) and words[-1] == inner["pos"]:
        _last = _Read(words, state)
    return state


def _words() -> npt.NDArray[np.uint32] | None:
    """The memory of NumPy's generator; None if it is not the usual one."""
    global _memory
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if type(generator) is not np.random.MT19937:
        return None
    if _memory is None or _memory[0] is not generator:
        memory = (ctypes.c_uint32 * _WORDS).from_address(generator.ctypes.state_address)
        _memory = generator, np.ctypeslib.as_array(memory)
    return _memory[1]
