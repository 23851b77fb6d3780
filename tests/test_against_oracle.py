"""The estimator against the black-box oracle, on random networks; `benchmarks/verify.py` runs as many as asked."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from tests.agreement import disagreements, simplest
from tests.blueprints import Blueprint, Conv, Fork, Pad, Pool, Upsample
from tests.random_networks import blueprints


@settings(
    max_examples=300,
    derandomize=True,  # the same networks in every run
    deadline=None,
    phases=[Phase.generate],  # `simplest` shrinks by layers, which hypothesis cannot
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(blueprints())
def test_edges_of_random_networks_are_exact(blueprint):
    found = disagreements(blueprint)
    if found:
        note(f"also wrong: {simplest(blueprint)!r}")
    assert not found


@pytest.mark.parametrize(
    "blueprint",
    [
        pytest.param(
            Blueprint((Conv("conv", (4, 7), dilation=(2, 2), same=True),), 1, 13, 1),
            id="a one pixel wide image lies in the holes of the kernel",
        ),
        pytest.param(
            Blueprint((Pad(5, 0, 0, 4), Conv("conv", (3, 2), (2, 1)), Pool("max", (2, 2), (1, 2))), 9, 6, 3),
            id="border cells see only padding",
        ),
        pytest.param(
            Blueprint((Fork("add", ((Pad(2, 0), Pad(0, -2)), (Conv("conv", (1, 3), same=True),))),), 8, 5, 1),
            id="branches one and five pixels long, side by side",
        ),
        pytest.param(
            Blueprint((Conv("transposed", (3, 4), (2, 3)), Conv("conv", (2, 3), (3, 2), same=True)), 7, 10, 2),
            id="phases of a transposed convolution",
        ),
        pytest.param(
            Blueprint((Pool("max", (2, 3), (2, 2), same=True), Upsample((2, 2), True), Conv("conv", (3, 1))), 11, 9, 1),
            id="bilinear upsampling of an odd map",
        ),
        pytest.param(
            Blueprint((*[Conv("depthwise", (7, 5), same=True)] * 5, Pool("max", (3, 2), (3, 2), same=True)), 6, 4, 3),
            id="a field several times larger than the image",
        ),
    ],
)
def test_edges_are_exact_where(blueprint):
    assert not disagreements(blueprint)
