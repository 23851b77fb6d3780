"""The period of a network that holds unknown code, found by running it at a few sizes.

Where every operation is known, the hints give the period. Otherwise the sizes of all maps inside tell it: enlarged by
a whole number of periods, every map grows by a whole number of cells, and by the same number each time.
"""

from __future__ import annotations

import math

from rfwidget.keras.twin import Twin

# Strides that unknown code may hide are taken to divide this.
_HIDDEN = 24


def find_period(twin: Twin, target: str, size: tuple[int, int], known: tuple[int, int]) -> tuple[int, int] | None:
    """Period ``(y, x)``; None if the network runs at the size asked for only.

    Args:
        twin: the network.
        target: path of its layer.
        size: rows and columns of the image asked for.
        known: the period as far as known operations tell.
    """
    try:
        start = twin.sizes(target, *size)
        periods = []
        for axis in (0, 1):
            step = known[axis] * _HIDDEN
            growth = _growth(twin, target, size, axis, step, start)
            # Every map must move by whole cells, so the step may shrink by what all growths have in common. Code that
            # cuts maps into windows refuses that if it is no whole number of windows.
            least = step // math.gcd(step, *growth) if growth else step
            for period in (least * count for count in range(1, step // least + 1) if step % (least * count) == 0):
                if _grows(twin, target, size, axis, period, start, [g * period // step for g in growth]):
                    periods.append(period)
                    break
            else:
                return None
    except Exception:  # a size built in somewhere: whatever the framework raises then
        return None
    return periods[0], periods[1]


def _grows(
    twin: Twin,
    target: str,
    size: tuple[int, int],
    axis: int,
    step: int,
    start: dict[str, tuple[int, int]],
    expected: list[int],
) -> bool:
    """Whether the network runs on an image larger by a step, and all maps inside grow as expected."""
    try:
        return _growth(twin, target, size, axis, step, start) == expected
    except Exception:  # whatever the framework raises for a size it does not take
        return False


def _growth(
    twin: Twin, target: str, size: tuple[int, int], axis: int, step: int, start: dict[str, tuple[int, int]]
) -> list[int]:
    """Cells by which every map inside grows with the image along an axis; axes may be exchanged on the way."""
    larger = list(size)
    larger[axis] += step
    grown = twin.sizes(target, larger[0], larger[1])
    return [grown[name][i] - start[name][i] for name in start for i in (0, 1)]
