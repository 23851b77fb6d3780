"""A signal as a picture: one line per channel, or of many channels an image with a row for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rfwidget.widget.heat import MAP_COLOURS, lookup_table
from rfwidget.widget.scene import STRIP

MOST_LINES = 8
"""Channels that get a line each; of more, each is a row of an image."""

WIDTH, HEIGHT = 1600, 640
"""Of the picture, in pixels."""

_GROUND, _RULE, _LINE = (246, 248, 250), (216, 222, 228), (36, 62, 106)
_THICK = 2.5
"""Width of a line, in pixels."""


def draw_signal(signal: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A picture of a signal ``(length, channels)``, RGB ``(HEIGHT, WIDTH, 3)``; the strip at its bottom stays empty.

    Sample k covers the same part of the width as its interval [k, k + 1) does of the length. Of a signal with more
    samples than the picture has columns, each column shows the lowest and the highest value: no peak is lost.

    >>> draw_signal(np.zeros((1000, 2))).shape
    (640, 1600, 3)
    """
    room = round(HEIGHT * (1 - STRIP))
    picture = np.full((HEIGHT, WIDTH, 3), _GROUND, np.uint8)
    values = np.asarray(signal, np.float64)
    low, high = float(values.min()), float(values.max())
    part = (values - low) / (high - low) if high > low else np.full_like(values, 0.5)
    channels = part.shape[1]
    if channels > MOST_LINES:
        table = lookup_table(MAP_COLOURS)[np.rint(255 * _thinned(part)).astype(np.uint8)][:, ::-1, :3]  # 0 lowest
        image = Image.fromarray(np.ascontiguousarray(table.transpose(1, 0, 2)), "RGB")
        picture[:room] = np.asarray(image.resize((WIDTH, room), Image.Resampling.NEAREST))
        return picture
    lane = room / channels
    for channel in range(channels):
        top, bottom = round(channel * lane), round((channel + 1) * lane)
        cover = _line(part[:, channel], bottom - top)[:, :, None]
        lane_of = picture[top:bottom]
        lane_of[:] = np.rint(lane_of * (1 - cover) + np.array(_LINE) * cover)
        picture[bottom - 1] = _RULE
    return picture


def _thinned(part: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """No more samples than columns: of each column the value farthest from the middle of all."""
    if len(part) <= WIDTH:
        return part
    starts = np.arange(WIDTH) * len(part) // WIDTH
    low, high = np.minimum.reduceat(part, starts), np.maximum.reduceat(part, starts)
    middle = part.mean(axis=0)
    farthest: npt.NDArray[np.float64] = np.where(high - middle > middle - low, high, low)
    return farthest


def _line(part: npt.NDArray[np.float64], height: int) -> npt.NDArray[np.float64]:
    """How much of each pixel ``(height, WIDTH)`` a line of values 0..1 covers, 0..1."""
    length, inset = len(part), 0.08 * height
    # The line goes through the middle of each sample's interval; columns hold what it passes.
    edges = np.arange(WIDTH + 1) * (length / WIDTH) - 0.5
    at = np.interp(edges, np.arange(length), part)
    low, high = np.minimum(at[:-1], at[1:]), np.maximum(at[:-1], at[1:])
    inside = np.clip(np.ceil(edges), 0, length).astype(int)
    for column in np.flatnonzero(inside[1:] > inside[:-1]):
        some = part[inside[column] : inside[column + 1]]
        low[column], high[column] = min(low[column], some.min()), max(high[column], some.max())
    low[1:], high[1:] = np.minimum(low[1:], low[:-1]), np.maximum(high[1:], high[:-1])  # steep lines are as thick
    top = inset + (1 - high) * (height - 2 * inset) - _THICK / 2
    bottom = inset + (1 - low) * (height - 2 * inset) + _THICK / 2
    rows = np.arange(height)[:, None]
    cover: npt.NDArray[np.float64] = np.clip(np.minimum(bottom, rows + 1) - np.maximum(top, rows), 0, 1)
    return cover
