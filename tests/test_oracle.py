"""The oracle itself, against closed forms."""

from __future__ import annotations

import pytest

from tests.blueprints import Blueprint, Conv, Fork, Layer, Pad, Pool, Upsample
from tests.oracle import AxisTruth, Oracle

ONE = (1, 1)


def oracle_of(*layers: Layer, width: int = 14, height: int = 11, channels: int = 2) -> Oracle:
    oracle = Oracle(Blueprint(layers, width, height, channels))
    oracle.look(8)
    return oracle


def truth_of(*layers: Layer, width: int = 14, height: int = 11) -> tuple[AxisTruth, AxisTruth]:
    oracle = oracle_of(*layers, width=width, height=height)
    return oracle.truth("x"), oracle.truth("y")


@pytest.mark.parametrize("kind", ["conv", "grouped", "depthwise", "separable"])
def test_a_valid_convolution_sees_its_dilated_kernel(kind):
    x, y = truth_of(Conv(kind, kernel=(5, 2), dilation=(2, 3)))
    assert x == AxisTruth(1, 1, ((0, 2 * 4 + 1),))
    assert y == AxisTruth(1, 1, ((0, 3 * 1 + 1),))


def test_same_padding_puts_the_extra_pixel_after_the_image():
    x, y = truth_of(Conv("conv", (5, 4), same=True))
    assert (x.edges, y.edges) == (((-2, 3),), ((-1, 3),))


def test_padding_of_a_strided_layer_depends_on_the_image_size():
    """Total padding: max(k - s, 0) where s divides the length, else max(k - length mod s, 0); smaller half first."""
    layer = Conv("conv", (5, 5), (2, 3), same=True)
    assert truth_of(layer, width=14, height=12)[0] == AxisTruth(1, 2, ((-1, 4),))
    assert truth_of(layer, width=15, height=12)[0] == AxisTruth(1, 2, ((-2, 3),))
    assert [truth_of(layer, height=h)[1].edges[0][0] for h in (12, 13, 14)] == [-1, -2, -1]


def test_sizes_and_strides_of_a_stack_multiply_through():
    layers = (
        Conv("conv", (5, 3)),
        Pool("average", (2, 3), (2, 3)),
        Conv("conv", (3, 2), (3, 1)),
        Pool("max", (2, 2), ONE),
    )
    x, y = truth_of(*layers, width=40, height=30)
    assert x == AxisTruth(1, 6, ((0, 5 + 1 + 2 * 2 + 6),))
    assert y == AxisTruth(1, 3, ((0, 3 + 2 + 1 * 3 + 3),))


def test_transposed_convolution_alternates():
    """Output i gathers the inputs j with 0 <= i - 2 j < 3: two for even i, one for odd i."""
    x, y = truth_of(Conv("transposed", (3, 2), (2, 2)))
    assert x == AxisTruth(2, 1, ((-1, 1), (0, 1)))
    assert y == AxisTruth(2, 1, ((0, 1), (0, 1)))
    assert x.box == (-1, 1)
    assert not x.uniform


def test_upsampling_nearest_repeats_and_bilinear_reads_the_neighbour():
    x, y = truth_of(Upsample((3, 2)))
    assert (x.edges, y.edges) == (((0, 1),) * 3, ((0, 1),) * 2)
    assert truth_of(Upsample((2, 2), bilinear=True))[0].edges == ((-1, 1), (0, 2))


def test_cropping_and_padding_only_move():
    x, y = truth_of(Pad(-3, -1, -2, 0), Conv("conv", (3, 3)), Pad(0, 2, 5, 1))
    assert (x.edges, y.edges) == (((3, 6),), ((-3, 0),))


def test_branches_give_the_hull_of_their_fields():
    shifted = (Pad(left=4), Pad(right=-4), Conv("conv", (3, 1), same=True))
    for merge in ("add", "concatenate", "multiply", "maximum"):
        x, y = truth_of(Fork(merge, (shifted, (Conv("conv", (1, 3), same=True),))))
        assert (x.edges, y.edges) == (((-5, 1),), ((-1, 2),))


def test_a_path_that_skips_cells_is_seen_behind_margins():
    """Rows 2 j and 2 j + 1 share what row 2 j sees; the margins must not hide it in either axis."""
    path = Pool("average", ONE, (3, 2), same=True), Upsample((3, 2))
    x, y = truth_of(Pad(1, 0, 2, 3), Fork("add", (path, ())), width=41, height=19)
    assert x == AxisTruth(3, 3, ((-1, 0), (-1, 1), (-1, 2)))
    assert y == AxisTruth(2, 2, ((-2, -1), (-2, 0)))


def test_a_margin_at_the_end_is_not_taken_for_inner_cells():
    x, y = truth_of(Conv("conv", (3, 7)), Pad(0, 3, 1, 3), width=4, height=35)
    assert x == AxisTruth(1, 1, ((0, 3),))
    assert y == AxisTruth(1, 1, ((-1, 6),))


def test_field_larger_than_the_image_is_found():
    x, _ = truth_of(*[Conv("conv", (7, 1), same=True)] * 6, width=5, height=3)
    assert x.edges == ((-18, 19),)


def test_only_visible_pixels_count_at_borders_and_holes_shrink_the_hull():
    """Taps at -2, 0 and 2: cell 0 sees pixels 0 and 2, the last cell of 4 sees pixels 1 and 3."""
    oracle = oracle_of(Conv("conv", (3, 1), dilation=(2, 1), same=True), width=4, height=3, channels=1)
    assert oracle.rects[0].tolist() == [[0, 0, 3, 1], [1, 0, 4, 1], [0, 0, 3, 1], [1, 0, 4, 1]]
    assert oracle.columns[:, 0, 0].tolist() == [True, False, True, False]


def test_cell_that_sees_only_padding_has_the_empty_rectangle():
    oracle = oracle_of(Pad(3, 0, 0, 0), Conv("conv", (2, 1)), width=5, height=4, channels=1)
    assert oracle.rects[2, :4].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 2, 1, 3], [0, 2, 2, 3]]


def test_blueprint_prints_as_what_makes_it_again():
    blueprint = Blueprint((Conv("conv", (3, 2)), Fork("add", ((Pad(1, -1),), ()))), 8, 9, 1)
    assert eval(repr(blueprint), {kind.__name__: kind for kind in (Blueprint, Conv, Fork, Pad)}) == blueprint  # noqa: S307
