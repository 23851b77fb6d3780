"""Architectures of sequences whose receptive fields are known from outside, as numbers that both wings' tests share.

TCN: Bai, Kolter and Koltun 2018, blocks of two causal convolutions: ``1 + 2 * (k - 1) * sum(d)`` over all stacks.
WaveNet: van den Oord et al. 2016. wav2vec 2.0: Baevski et al. 2020, "25 ms at 16 kHz, every 20 ms".
"""

from __future__ import annotations

from typing import NamedTuple


class Tcn(NamedTuple):
    """Blocks of two causal convolutions with a skip connection."""

    kernel: int
    dilations: tuple[int, ...]
    stacks: int
    field: int


TCNS = (Tcn(2, (1, 2), 1, 7), Tcn(8, (1, 2, 4, 8), 3, 631), Tcn(4, (1, 2, 4, 8, 16, 32, 64), 1, 763))


class WaveNet(NamedTuple):
    """A causal convolution of ``first`` samples, if any, and gated causal convolutions with residuals."""

    first: int
    kernel: int
    dilations: tuple[int, ...]
    field: int


_CYCLE = (1, 2, 4, 8, 16, 32)
WAVENETS = (
    WaveNet(2, 2, tuple(2**n for n in range(10)), 1025),
    WaveNet(1, 3, _CYCLE * 4, 505),
    WaveNet(1, 2, _CYCLE * 4, 253),
)

WAV2VEC = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
"""Kernel and stride of each convolution; together they see 400 samples, 320 apart."""
