"""Recurrent layers: each step sees what came before it, or behind it, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rfwidget._aten.table import required, rule
from rfwidget._measure import spans
from rfwidget._measure.spans import Carried

FUNCTIONS = ("gru", "rnn_tanh", "rnn_relu")
"""Functions of PyTorch that go through a sequence step by step, in operations of their own for every step."""


@rule("mkldnn_rnn_layer")
def one_layer(call: Any) -> list[Carried]:
    """A layer along the first axis: outputs see what came before, states everything."""
    like = call.like()
    x = required(call.carried("input"), like, call.shape_of("input"))
    states = [c for c in (call.carried("hx_"), call.carried("cx_")) if c is not None]
    seen = _along(spans.reduce(x, [-1], keepdims=True), 0, backwards=call["reverse"])
    for state in states:
        seen = spans.join([seen, spans.reduce(state, [-1], keepdims=True)])
    last = spans.reduce(seen, [0], keepdims=True)
    outputs = []
    for place, shape in enumerate(call.results):
        known = len(shape) == 3
        outputs.append(spans.broadcast(seen if place == 0 else last, shape) if known else spans.everything([x], shape))
    return outputs


def layers(
    x: Carried, states: Sequence[Carried], *, count: int, width: int, axis: int, both: bool
) -> tuple[Carried, Carried]:
    """Several layers, one above the other.

    Args:
        x: what the first reads, its channels last.
        states: what they begin with, where it depends on the image.
        count: of the layers.
        width: channels that each gives, in each direction.
        axis: along which they go.
        both: whether they go in both directions.

    Returns:
        What the last one gives, and what the last steps of all see together.
    """
    for _ in range(count):
        seen = spans.reduce(x, [-1], keepdims=True)
        for state in states:
            seen = spans.join([seen, spans.reshape(spans.reduce(state), (1,) * x.rank)])
        ways = [_along(seen, axis, backwards=way) for way in ((False, True) if both else (False,))]
        x = spans.concatenate([spans.broadcast(way, (*x.shape[:-1], width)) for way in ways], -1)
    return x, spans.reduce(x, [axis, -1], keepdims=True)


def _along(x: Carried, axis: int, *, backwards: bool) -> Carried:
    """Each element with all before it, or all behind it."""
    if not backwards:
        return spans.cumulate(x, axis)
    turned = np.arange(x.shape[axis])[::-1].copy()
    return spans.take(spans.cumulate(spans.take(x, axis, turned), axis), axis, turned)
