from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rfwidget.errors import ReceptiveFieldError
from rfwidget.signals import get_default_signal, get_default_signals, get_default_volume


@pytest.mark.parametrize("name", get_default_signals())
def test_sample_signals_have_any_length_and_channels_that_differ(name: str) -> None:
    signal = get_default_signal((700, 3), name)
    assert (signal.shape, signal.dtype) == ((700, 3), np.float32)
    assert 0.5 < np.abs(signal).max() <= 1
    assert not np.allclose(signal[:, 0], signal[:, 1])
    assert get_default_signal((700,), name).shape == (700, 1)


def test_the_sample_volume_has_any_size_and_bodies_inside() -> None:
    volume = get_default_volume((12, 20, 31, 2))
    assert (volume.shape, volume.dtype) == ((12, 20, 31, 2), np.float32)
    assert volume.min() >= 0
    assert volume.max() <= 1
    assert volume[0, 0, 0, 0] < 0.01 < volume[6, 10, 15, 0]


@pytest.mark.parametrize("shape", [(), (0,), (1, 2, 3), "long", (2.5,)])
def test_shapes_that_are_none_are_refused(shape: Any) -> None:
    with pytest.raises(ReceptiveFieldError, match="expected"):
        get_default_signal(shape)


def test_an_unknown_signal_is_answered_with_those_there_are() -> None:
    with pytest.raises(ReceptiveFieldError, match="no sample signal 'speach'; there are 'chirp', 'speech', 'ecg', did"):
        get_default_signal((10,), "speach")
