from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from rfwidget.types import GridPoint, GridShape, ImageShape, ReceptiveFieldDescription, Rect, Size


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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Size(631), "Size(w=631)"),
        (Size(w=5, h=3, d=7), "Size(w=5, h=3, d=7)"),
        (GridPoint(4), "GridPoint(x=4)"),
        (GridPoint(x=1, y=2, z=3), "GridPoint(x=1, y=2, z=3)"),
        (GridShape(None, 1000, 2), "GridShape(n=None, w=1000, c=2)"),
        (GridShape.of((5, 6, 7), 2), "GridShape(n=None, w=7, h=6, d=5, c=2)"),
        (Rect(left=-3, right=8), "Rect(left=-3, right=8)"),
        (Rect(0, 1, 2, 10, 11, 12), "Rect(left=0, top=1, front=2, right=10, bottom=11, back=12)"),
    ],
)
def test_values_have_the_fields_of_their_rank_and_print_as_they_are_made(value: object, shown: str) -> None:
    assert repr(value) == shown
    assert eval(shown) == value  # noqa: S307 - our own words
    assert type(pickle.loads(pickle.dumps(value))) is type(value)  # noqa: S301 - our own value


def test_fields_of_other_ranks_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no h"):
        _ = Size(631).h
    with pytest.raises(TypeError, match="expected left, right, or left, top, right, bottom"):
        Rect(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="expected w, or w, h, or w, h, d"):
        Size(w=1, c=2)


def test_boxes_know_their_edges_axis_by_axis() -> None:
    box = Rect(left=0, top=1, front=2, right=10, bottom=12, back=14)
    assert box.edges == ((0, 10), (1, 12), (2, 14))
    assert (box.size, box.center) == (Size(w=10, h=11, d=12), (5.0, 6.5, 8.0))
    assert Rect.of([(0, 4), (3, 3), (1, 2)]) == Rect(0, 0, 0, 0, 0, 0)
    assert Rect.of([(0, 4), (3, 3)]).is_empty
    assert GridShape.of((5, 7), 3).lengths == (5, 7)
    assert GridPoint(1, 2, 3).place == (3, 2, 1)
