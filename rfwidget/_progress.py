"""Telling a caller how far slow work has come: nobody, a function of theirs, or a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rfwidget import _validation

Progress = Callable[[float, str], None]
"""Called with the fraction done (0..1) and a few words; an exception it raises ends the work and reaches the caller."""


def silent(fraction: float, words: str) -> None:
    """Report to nobody."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """What a step of the work calls with its own fraction 0..1, as ``start`` to ``end`` of the whole."""
    return lambda fraction, words: progress(start + (end - start) * fraction, words)


@contextmanager
def reporting(progress: Progress | bool | None, title: str) -> Iterator[Progress]:
    """What to call while the work goes on.

    Args:
        progress: a function, called as it is; True: a progress bar in the notebook or terminal; else nobody is told.
        title: of the bar.
    """
    if callable(progress):
        yield progress
    elif progress is None or not _validation.flag("progress (unless it is a function)", progress):
        yield silent
    else:
        from tqdm.auto import tqdm

        with tqdm(total=100, desc=title, unit="%", bar_format="{desc}: {percentage:3.0f}% |{bar}| {postfix}") as bar:

            def show(fraction: float, words: str) -> None:
                bar.set_postfix_str(words, refresh=False)
                bar.update(round(100 * fraction) - bar.n)

            yield show
