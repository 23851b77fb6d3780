"""Random blueprints: every layer with a receptive field, in networks of 1 to 8 layers.

Random numbers come from one seed per network rather than from one hypothesis draw per parameter: hypothesis would vary
one number at a time, and 200 examples would be a few dozen networks.
"""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tests.blueprints import (
    Blueprint,
    Conv,
    Fork,
    Layer,
    Pad,
    Pair,
    Pointwise,
    Pool,
    Upsample,
    Windows,
    fitting_length,
    grid_length,
    period,
    reach,
)

MAX_REACH = 48  # pixels; keeps the images of the oracle small
MAX_PERIOD = 18
ONE: Pair = (1, 1)
KINDS = ["conv"] * 30 + ["depthwise"] * 10 + ["separable"] * 8 + ["grouped"]  # grouped: compiled anew in every call


def blueprints() -> st.SearchStrategy[Blueprint]:
    """Networks with an image that they accept, often smaller than the receptive field."""
    return st.integers(0, 2**32 - 1).map(lambda seed: random_blueprint(random.Random(seed)))  # noqa: S311


def random_blueprint(rng: random.Random) -> Blueprint:
    """A network of 1 to 8 layers (a fork counts as one) that grows the field by less than ``MAX_REACH``."""
    layers: tuple[Layer, ...] = ()
    depth = rng.randint(1, 8)
    makers = [*[_conv] * 4, _pool, _pool, _fork, _fork, _transposed, _upsample, _margin, _pointwise, _windows]
    while len(layers) < depth:
        longer = (*layers, rng.choice(makers)(rng))
        if all(_fits(longer, axis) for axis in (0, 1)):
            layers = longer
        elif rng.random() < 0.1:
            break
    if all(isinstance(layer, Pointwise) for layer in layers):
        layers = (_conv(rng, stride=ONE), *layers)
    width, height = (fitting_length(layers, axis, fitting_length(layers, axis) + rng.randint(0, 30)) for axis in (0, 1))
    return Blueprint(layers, width, height, rng.randint(1, 3))


def _fits(layers: tuple[Layer, ...], axis: int) -> bool:
    """Whether the oracle can afford it, and some image suits it (a skip connection may demand what nothing gives)."""
    small = reach(layers, axis)[0] < MAX_REACH and period(layers, axis) <= MAX_PERIOD
    return small and any(grid_length(layers, axis, length) for length in range(1, 4 * MAX_REACH))


def _pair(rng: random.Random, low: int, high: int) -> Pair:
    """One number per axis, small ones more often."""
    return min(rng.randint(low, high), rng.randint(low, high)), min(rng.randint(low, high), rng.randint(low, high))


def _conv(rng: random.Random, stride: Pair | None = None, same: bool | None = None) -> Conv:
    """Any convolution that Keras runs on a CPU: dilation only without stride, depthwise strides equal on both axes."""
    kind = rng.choice(
        ["conv"] * 10 + ["masked", "raw"] + ["depthwise"] * 4 + ["separable"] * 3 + ["grouped"]
    )  # Keras compiles each grouped
    if stride is None:
        stride = rng.choice([ONE, ONE, ONE, (2, 2), (2, 1), (1, 2), (3, 3), (3, 2), (1, 3)])
    if stride[0] != stride[1] and kind in ("depthwise", "separable"):
        kind = "conv"
    dilation = rng.choice([ONE, ONE, (2, 2), (2, 1), (1, 3), (3, 2)]) if stride == ONE else ONE
    return Conv(kind, _pair(rng, 1, 7), stride, dilation, rng.random() < 0.5 if same is None else same)


def _pool(rng: random.Random, stride: Pair | None = None, same: bool | None = None) -> Pool:
    if stride is None:
        stride = rng.choice([(2, 2), (2, 2), (2, 1), (1, 2), (3, 2), ONE])
    kind = rng.choice(["max", "max", "average", "average", "raw", "binned"])
    if kind == "binned":
        return Pool(kind, stride, stride) if not same else Pool("average", stride, stride, same=True)
    return Pool(kind, _pair(rng, 1, 4), stride, rng.random() < 0.5 if same is None else same)


def _transposed(rng: random.Random, stride: Pair | None = None, same: bool | None = None) -> Conv:
    """No kernel is smaller than the stride: such a layer leaves cells that see nothing at all."""
    stride = _pair(rng, 1, 3) if stride is None else stride
    kernel = (stride[0] + rng.randint(0, 3), stride[1] + rng.randint(0, 3))
    return Conv("transposed", kernel, stride, same=rng.random() < 0.5 if same is None else same)


def _upsample(rng: random.Random, factor: Pair | None = None) -> Upsample:
    """Bilinear by 1 and 2 only: at other factors float rounding decides what a cell depends on."""
    factor = _pair(rng, 1, 3) if factor is None else factor
    return Upsample(factor, max(factor) <= 2 and rng.random() < 0.5)


def _margin(rng: random.Random) -> Pad:
    sign = rng.choice([1, -1])
    return Pad(*(sign * rng.randint(0, 3) for _ in range(4)))


def _windows(rng: random.Random) -> Windows:
    return Windows((rng.randint(1, 4), rng.randint(2, 3)))


def _pointwise(rng: random.Random) -> Pointwise:
    return Pointwise(
        rng.choice(["normalise", "activation", "prelu", "dropout", "rescale", "operation", "sort", "foreign"])
    )


def _shift(rng: random.Random) -> tuple[Layer, ...]:
    """A map moved by whole cells, its size unchanged."""
    right, down = rng.randint(0, 2), rng.randint(0, 2)
    return Pad(left=right, top=down), Pad(right=-right, bottom=-down)


def _padded_conv(rng: random.Random, stride: Pair) -> tuple[Layer, ...]:
    """A "valid" convolution behind uneven margins: the grid of a "same" one, the centres elsewhere."""
    conv = _conv(rng, stride=stride, same=False)
    missing = [(conv.kernel[axis] - 1) * conv.dilation[axis] for axis in (0, 1)]
    left, top = rng.randint(0, missing[0]), rng.randint(0, missing[1])
    return Pad(left, missing[0] - left, top, missing[1] - top), conv


def _direct_path(rng: random.Random, stride: Pair) -> tuple[Layer, ...]:
    """A path whose grid is the input's divided by the stride, rounded up."""
    choices = [
        lambda: (_conv(rng, stride, same=True),),
        lambda: (_pool(rng, stride, same=True),),
        lambda: _padded_conv(rng, stride),
    ]
    if stride == ONE:
        choices += [lambda: (), lambda: _shift(rng)]
    return rng.choice(choices)()


def _fork(rng: random.Random) -> Fork:
    """Two or three paths of one stride, or an hourglass beside a skip connection."""
    merge = rng.choice(["add", "add", "concatenate", "concatenate", "multiply", "maximum", "gate"])
    stride = rng.choice([ONE, ONE, (2, 2), (2, 1), (3, 2)])
    if stride == ONE or rng.random() < 0.5:
        paths = [_direct_path(rng, stride) for _ in range(rng.randint(2, 3))]
        return Fork(merge, tuple(paths))
    up = _upsample(rng, stride) if rng.random() < 0.5 else _transposed(rng, stride, same=True)
    return Fork(merge, ((*_direct_path(rng, stride), up), _direct_path(rng, ONE)))
