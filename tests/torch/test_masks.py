"""Constant masks of attention: what they hide is not seen, what they do not is."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rfwidget.torch import TorchReceptiveField
from rfwidget.types import GridPoint
from tests.torch.test_against_oracle import mismatches
from tests.torch.windowed_attention import KINDS, ShiftedWindows

ROWS, COLUMNS = 5, 8


class Rows(nn.Module):
    """Rows of a map attend to each other.

    Args:
        weigh: makes weights of their scores, ``(1, 5, 5)``.
        mask: buffer or parameter that it may use.
    """

    def __init__(self, weigh: Callable[[Tensor, Tensor], Tensor], mask: Tensor) -> None:
        super().__init__()
        self.weigh, self.mask = weigh, mask

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        weights = self.weigh(rows @ rows.transpose(1, 2) * 0.1, self.mask)
        return (weights @ rows).unflatten(2, (x.shape[1], -1)).permute(0, 2, 1, 3)


def softmax_of_sum(scores: Tensor, mask: Tensor) -> Tensor:
    return (scores + mask).softmax(dim=-1)


def seen(weigh: Callable[[Tensor, Tensor], Tensor], mask: Tensor) -> list[tuple[int, int]]:
    """First row, and last row + 1, that each row sees."""
    rf = TorchReceptiveField(Rows(weigh, mask))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the mask has one size
        rf.compute((2, ROWS, COLUMNS))
    rects = [rf.rect_at(GridPoint(3, y), clip=True) for y in range(ROWS)]
    return [(rect.top, rect.bottom) for rect in rects]


def mask_of(value: float) -> Tensor:
    """Row 0 may see the first three; row 2 none of them, so all alike."""
    mask = torch.zeros(ROWS, ROWS)
    mask[0, 3:] = mask[2] = value
    return mask


EVERYTHING = [(0, ROWS)] * ROWS
ROW_0_MASKED = [(0, 3), *EVERYTHING[1:]]


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind in KINDS for value in (-100.0, float("-inf")) if kind != "by hand"]
    + [("by hand", -100.0)],
)  # fmt: skip
def test_shifted_windows_see_what_pixels_show(kind: str, value: float) -> None:
    torch.manual_seed(1)
    windows = ShiftedWindows(4, (3, 4), (1, 2), kind, value)
    module = nn.Sequential(nn.Conv2d(2, 4, (1, 2)), windows, nn.Conv2d(4, 4, (2, 1))).double().eval()
    assert mismatches(module, 3, fields=True) == []


def test_two_shifts_one_after_the_other_see_what_pixels_show() -> None:
    torch.manual_seed(2)
    first, second = ShiftedWindows(3, (2, 3), (0, 0), "added"), ShiftedWindows(3, (2, 3), (1, 1), "fused")
    module = nn.Sequential(nn.Conv2d(2, 3, (1, 2), stride=(1, 2)), first, second).double().eval()
    assert mismatches(module, 5, fields=True) == []


@pytest.mark.parametrize("value", [-100.0, -1e9, torch.finfo(torch.float32).min])
def test_a_row_that_is_masked_altogether_sees_all(value: float) -> None:
    assert seen(softmax_of_sum, mask_of(value)) == ROW_0_MASKED


def test_a_small_negative_number_is_no_mask() -> None:
    assert seen(softmax_of_sum, mask_of(-20.0)) == EVERYTHING


def test_masks_that_are_scaled_down_or_taken_back_hide_nothing() -> None:
    assert seen(lambda scores, mask: ((scores + mask) * 0.1).softmax(dim=-1), mask_of(-100.0)) == EVERYTHING
    assert seen(lambda scores, mask: ((scores + mask) - mask).softmax(dim=-1), mask_of(-100.0)) == EVERYTHING


def test_a_mask_that_is_taken_away_twice_is_one() -> None:
    assert seen(lambda scores, mask: (scores - mask).softmax(dim=-1), -mask_of(-100.0)) == ROW_0_MASKED


def test_minus_infinity_in_a_parameter_is_a_mask_and_other_numbers_there_are_weights() -> None:
    assert seen(softmax_of_sum, nn.Parameter(mask_of(-100.0))) == EVERYTHING
    forbidden = mask_of(float("-inf"))
    forbidden[2] = 0
    assert seen(softmax_of_sum, nn.Parameter(forbidden)) == ROW_0_MASKED


def test_a_maximum_of_scores_sees_none_that_are_masked() -> None:
    def weigh(scores: Tensor, mask: Tensor) -> Tensor:
        return (scores + mask).amax(dim=-1, keepdim=True) * torch.eye(ROWS)

    assert seen(weigh, mask_of(-100.0)) == ROW_0_MASKED


def test_a_mask_that_is_written_over_hides_nothing() -> None:
    def weigh(scores: Tensor, mask: Tensor) -> Tensor:
        scores = scores + mask
        scores[:, :, 3:] = scores[:, :, :2].clone()
        return scores.softmax(dim=-1)

    assert seen(weigh, mask_of(-100.0)) == EVERYTHING


def test_what_makes_something_else_of_a_mask_says_so() -> None:
    rf = TorchReceptiveField(Rows(lambda scores, mask: (scores + mask).sigmoid(), mask_of(-100.0)))
    with pytest.warns(UserWarning, match="mask of attention is not followed through 'sigmoid'"):
        rf.compute((2, ROWS, COLUMNS))


def test_shifted_windows_have_the_field_of_cells_far_from_the_border() -> None:
    torch.manual_seed(1)
    module = nn.Sequential(ShiftedWindows(2, (3, 4), (0, 0), "added"), ShiftedWindows(2, (3, 4), (1, 2), "added"))
    rf = TorchReceptiveField(module)
    rf.compute((2, 24, 40))
    # A window of the second layer takes parts of two windows of the first, along each axis.
    assert [rf.rect_at(GridPoint(18, y))[1::2] for y in range(9, 13)] == [(6, 12), (9, 15), (9, 15), (9, 15)]
    assert [rf.rect_at(GridPoint(x, 10))[::2] for x in range(16, 20)] == [(12, 20), (12, 20), (16, 24), (16, 24)]
