"""Assertions for other people's tests: what passes, what is said of what does not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from torch import nn

from rfwidget.errors import ReceptiveFieldError
from rfwidget.testing import assert_receptive_field
from tests import nets
from tests.box_filter import BoxReceptiveField


@pytest.mark.parametrize("model", [nets.keras_net, nets.torch_net, nets.Net, nets.torch_net(), "tests.nets:keras_net"])
def test_models_of_any_kind_are_measured(model: Any) -> None:
    assert_receptive_field(model, size=(9, 7), stride=2, offset=(4.5, 3.5), at_least=7, max_stride=(2, 2))
    with pytest.raises(AssertionError):
        assert_receptive_field(model, size=(9, 7), stride=1)


def test_the_message_has_expected_and_measured_side_by_side() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_receptive_field(BoxReceptiveField(), "wide", at_least=10, max_stride=4, covers=(10, 5))
    assert str(caught.value).splitlines() == [
        "receptive field of layer 'wide' on 96x96 pixels",
        "          expected          measured",
        "  size    at least 10 x 10  12 x 6                       <-- differs",
        "  stride  at most 4 x 4     4 x 2",
        "  object  10 x 5 anywhere   not seen whole at x 3 to 13  <-- differs",
    ]


@pytest.mark.parametrize(
    ("covers", "holds"),
    [((9, 5), True), ((10, 5), False), ((9, 6), False), (9, False), ((96, 1), False), ((1, 1), True)],
)
def test_an_object_is_covered_if_it_is_seen_whole_wherever_it_lies(covers: Any, holds: bool) -> None:
    rf = BoxReceptiveField()
    rf.compute((96, 96, 3), output_layer="wide")
    # Cells lie 4 (2) pixels apart, so 12 - 4 + 1 (6 - 2 + 1) pixels always fit into one.
    assert rf.rf_params.stride == (4, 2)
    if holds:
        assert_receptive_field(rf, "wide", covers=covers)
    else:
        with pytest.raises(AssertionError, match="not seen whole"):
            assert_receptive_field(rf, "wide", covers=covers)


def test_what_grows_with_the_image_is_at_least_anything() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d((1, 1)), nn.Conv2d(4, 4, 1))
    assert_receptive_field(model, "2", input_shape=(3, 32, 32), at_least=1000, size=math.inf, covers=32)
    with pytest.raises(AssertionError, match=r"size *5 x 5 *unbounded x unbounded"):
        assert_receptive_field(model, "2", input_shape=(3, 32, 32), size=5)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({}, "nothing is expected"),
        ({"size": "9"}, "size is '9'"),
        ({"size": (1, 2, 3)}, r"size is \(1, 2, 3\)"),
        ({"at_least": 0}, "size is 0"),
        ({"stride": math.nan}, "stride is nan"),
        ({"covers": (400, 1)}, "the image has 96 x 96 pixels only"),
    ],
)
def test_what_is_no_expectation_is_refused(expected: dict[str, Any], words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        assert_receptive_field(BoxReceptiveField(), "wide", **expected)
