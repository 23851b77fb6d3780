"""Sample sequences and volumes, all computed: what gradients are taken on where nobody gives a signal of their own.

Arrays are ``[x, c]`` and ``[z, y, x, c]``, float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._validation import brief, whole
from rfwidget.errors import ReceptiveFieldError, suggest

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]


def get_default_signal(shape: Sequence[int], name: str = "chirp") -> Singles:
    """A sample signal of any length, between -1 and 1.

    Args:
        shape: ``(length,)`` or ``(length, channels)``; each channel has the signal at another phase.
        name: one of `get_default_signals`.

    Returns:
        float32 ``(length, channels)``.

    Raises:
        ReceptiveFieldError: for an unknown name, or a shape that is none.

    >>> get_default_signal((1000, 2), name="ecg").shape
    (1000, 2)
    """
    sides = _sides(shape, 1, "(length,) or (length, channels)")
    if not isinstance(name, str) or name not in _SIGNALS:
        known = ", ".join(map(repr, _SIGNALS))
        raise ReceptiveFieldError(f"no sample signal {brief(name)}; there are {known}{suggest(name, _SIGNALS)}")
    length, channels = sides
    time = (np.arange(length) + 0.5) / length
    return np.stack([_SIGNALS[name](time, channel / channels) for channel in range(channels)], 1).astype(np.float32)


def get_default_signals() -> list[str]:
    """Names of the sample signals.

    >>> get_default_signals()
    ['chirp', 'speech', 'ecg']
    """
    return list(_SIGNALS)


def get_default_volume(shape: Sequence[int], name: str = "phantom") -> Singles:
    """A sample volume of any size, between 0 and 1.

    Args:
        shape: ``(depth, height, width)`` or ``(depth, height, width, channels)``; channels differ in brightness.
        name: one of `get_default_volumes`: a phantom as scanners are tested with, a shell with smaller bodies inside;
            or a video, along whose z axis, the time, two discs move over a still background.

    Returns:
        float32 ``(depth, height, width, channels)``.

    Raises:
        ReceptiveFieldError: for an unknown name, or if the shape is none.

    >>> get_default_volume((8, 12, 16)).shape
    (8, 12, 16, 1)
    """
    *lengths, channels = _sides(shape, 3, "(depth, height, width) or (depth, height, width, channels)")
    if not isinstance(name, str) or name not in _VOLUMES:
        known = ", ".join(map(repr, _VOLUMES))
        raise ReceptiveFieldError(f"no sample volume {brief(name)}; there are {known}{suggest(name, _VOLUMES)}")
    z, y, x = np.meshgrid(*((np.arange(n) + 0.5) * (2 / n) - 1 for n in lengths), indexing="ij", sparse=True)
    volume = np.zeros(lengths, np.float64)
    _VOLUMES[name](volume, x, y, z)
    shades = [volume ** (1 + channel / channels) for channel in range(channels)]
    return np.stack(shades, -1).astype(np.float32)


def get_default_volumes() -> list[str]:
    """Names of the sample volumes.

    >>> get_default_volumes()
    ['phantom', 'video']
    """
    return list(_VOLUMES)


def _phantom(volume: Floats, x: Floats, y: Floats, z: Floats) -> None:
    """A shell with smaller bodies inside."""
    for (cx, cy, cz), (rx, ry, rz), value in _BODIES:
        distance = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
        _put(volume, distance, value)


def _video(volume: Floats, x: Floats, y: Floats, z: Floats) -> None:
    """A bright disc that runs around once, and a darker one that crosses from left to right."""
    volume += 0.25 + 0.1 * np.sin(4 * x + 3 * y)
    turn = math.pi * z
    _put(volume, np.hypot(x - 0.55 * np.cos(turn), y - 0.55 * np.sin(turn)) / 0.22, 0.95)
    _put(volume, np.hypot(x - 0.8 * z, y - 0.1) / 0.16, 0.05)


def _put(volume: Floats, distance: Floats, value: float) -> None:
    """A body with a soft edge, of points nearer than 1, over what is there."""
    volume += (value - volume) / (1 + np.exp(np.clip(24 * (distance - 1), -60, 60)))


def _sides(shape: Any, rank: int, expected: str) -> tuple[int, ...]:
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence) or len(shape) not in (rank, rank + 1):
        raise ReceptiveFieldError(f"shape is {brief(shape)}: expected {expected}")
    sides = tuple(whole("each entry of shape", side, low=1) for side in shape)
    return sides if len(sides) == rank + 1 else (*sides, 1)


def _chirp(time: Floats, phase: float) -> Floats:
    """A tone that rises from 3 to 40 periods per length."""
    swept: Floats = np.sin(2 * math.pi * (3 * time + 18.5 * time**2 + phase))
    return swept


def _speech(time: Floats, phase: float) -> Floats:
    """Four syllables: pulses of a voice at 60 per length, with three formants that move, and pauses between."""
    pulses = (60 * time + phase) % 1
    since = pulses / 60
    moved = 0.25 * np.sin(2 * math.pi * 2 * time)
    formants = ((420 * (1 + moved), 1.0, 90), (1100 * (1 - moved), 0.5, 130), (2300 * (1 + 0.4 * moved), 0.25, 180))
    voice = sum(
        level * np.exp(-width * since) * np.sin(2 * math.pi * pitch * since) for pitch, level, width in formants
    )
    syllables = np.clip(1.6 * np.sin(math.pi * ((4 * time) % 1)) - 0.3, 0, 1)
    spoken: Floats = 0.6 * syllables * voice
    return np.clip(spoken, -1, 1)


def _ecg(time: Floats, phase: float) -> Floats:
    """Eight heartbeats, each a sum of five bells (P, Q, R, S, T), after McSharry et al. 2003."""
    beat = (8 * time + 0.35 * phase) % 1
    bells = ((0.2, 0.025, 0.12), (0.32, 0.01, -0.1), (0.35, 0.012, 0.9), (0.38, 0.011, -0.22), (0.6, 0.04, 0.25))
    wave: Floats = sum(
        (height * np.exp(-((beat - place) ** 2) / (2 * width**2)) for place, width, height in bells),
        start=np.zeros_like(time),
    )
    return wave + 0.03 * np.sin(2 * math.pi * time)


_SIGNALS: dict[str, Callable[[Floats, float], Floats]] = {"chirp": _chirp, "speech": _speech, "ecg": _ecg}
"""All sample signals by name, from the time 0..1 and the phase 0..1 of a channel."""

_BODIES = (
    ((0.0, 0.0, 0.0), (0.85, 0.9, 0.85), 1.0),
    ((0.0, 0.0, 0.0), (0.78, 0.83, 0.78), 0.35),
    ((-0.3, -0.1, 0.0), (0.18, 0.4, 0.3), 0.1),
    ((0.3, -0.1, 0.0), (0.18, 0.35, 0.4), 0.1),
    ((0.1, 0.45, 0.25), (0.22, 0.18, 0.2), 0.75),
    ((-0.25, 0.5, -0.3), (0.1, 0.1, 0.12), 0.9),
)
"""Centre and radii ``(x, y, z)`` in half lengths of the volume, and brightness of each body; later ones cover some."""

_VOLUMES: dict[str, Callable[[Floats, Floats, Floats, Floats], None]] = {"phantom": _phantom, "video": _video}
"""All sample volumes by name: each paints into a volume, from the places -1..1 of its voxels along x, y and z."""
