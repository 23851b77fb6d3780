from __future__ import annotations

import math
import pickle

import numpy as np

from rfwidget.types import GridShape, ImageShape, ReceptiveFieldDescription, Rect, Size


def test_the_description_prints_as_the_contract_says() -> None:
    described = ReceptiveFieldDescription(offset=(17.0, 17.0), stride=(4.0, 4.0), size=Size(w=34, h=34))
    line = "ReceptiveFieldDescription(offset=(17.0, 17.0), stride=(4.0, 4.0), size=Size(w=34, h=34))"
    assert str(described) == line


def test_values_unpack_pickle_and_compare_with_numpy() -> None:
    described = ReceptiveFieldDescription((17.0, 9.5), (4.0, 2.0), Size(34, 19))
    offset, stride, (w, h) = described
    assert (offset, stride, w, h) == ((17.0, 9.5), (4.0, 2.0), 34, 19)
    assert pickle.loads(pickle.dumps(described)) == described  # noqa: S301 - our own value
    np.testing.assert_allclose(described.size, (34, 19))


def test_width_stands_before_height() -> None:
    assert ImageShape(160, 96)._asdict() == {"w": 160, "h": 96, "c": 3}
    assert GridShape(None, w=40, h=16, c=8)[1:] == (40, 16, 8)
    assert Rect(left=1, top=2, right=11, bottom=5).size == Size(w=10, h=3)
    assert Rect(left=1, top=2, right=11, bottom=5).center == (6.0, 3.5)


def test_unbounded_is_told_per_axis() -> None:
    assert ReceptiveFieldDescription((0.5, 4.0), (1.0, 1.0), Size(math.inf, 8)).unbounded == (True, False)
