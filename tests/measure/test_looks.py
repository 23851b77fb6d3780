"""From looks to fields: few looks where something repeats, an end where nothing does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rfwidget._measure import looks, spans
from rfwidget._measure.looks import Fields, Look
from rfwidget._measure.spans import Carried

Network = Callable[[Carried], list[Carried]]


def measured(network: Network, lengths: tuple[int, int]) -> tuple[Fields, list[tuple[int, ...]], int]:
    """Fields of the last map of a network, the sizes that were looked at, and the work of the longer looks."""
    seen: list[tuple[int, ...]] = []
    work = 0

    def look(size: tuple[int, ...]) -> Look:
        nonlocal work
        made = Look(size)
        for tensor in network(spans.image((1, 1, *size), (2, 3))):
            made.add(tensor, (2, 3))
        seen.append(size)
        work += made.work * (size != lengths)
        return made

    asked = look(lengths)
    return looks.measure(look, asked, [len(asked.maps) - 1]), seen, work


def _chain(x: Carried) -> list[Carried]:
    maps = [x]
    for size, stride in ((7, 2), (3, 2), (5, 1)):
        for axis in (2, 3):
            x = spans.window(x, axis, size, stride=stride, before=size // 2, after=size // 2)
        maps.append(x)
    return maps


def test_one_longer_look_serves_both_axes() -> None:
    fields, seen, _ = measured(_chain, (60, 84))
    assert len(seen) == 2
    y, x = fields.axes[3]  # type: ignore[misc]
    assert (y.size, y.stride, x.size, x.stride) == (27, 4, 27, 4)
    assert fields.period == (4, 4)
    assert not fields.partial
    assert not fields.cut_short


def test_a_mirrored_map_lies_where_the_image_has_it() -> None:
    fields, _, _ = measured(lambda x: [spans.window(spans.take(x, 3, np.arange(x.shape[3])[::-1]), 3, 3)], (10, 20))
    _, x = fields.axes[0]  # type: ignore[misc]
    assert (x.stride, x.edges_at(0), x.edges_at(17)) == (-1, (17, 20), (0, 3))


def test_what_is_added_to_its_mirror_image_or_to_another_scale_of_it_sees_the_more_the_longer_the_image_is() -> None:
    def mirrored(length: int) -> np.ndarray:
        return np.arange(length)[::-1]

    def enlarged(length: int) -> np.ndarray:
        return np.arange(length) // 2

    def rolled(length: int) -> np.ndarray:
        return np.roll(np.arange(length), 5)

    for moved, size in ((mirrored, np.inf), (enlarged, np.inf), (rolled, 8)):
        for lengths in ((18, 40), (31, 26)):

            def network(x: Carried, moved: Callable[[int], np.ndarray] = moved) -> list[Carried]:
                x = spans.window(spans.window(x, 3, 3, before=1, after=1), 2, 5, before=2, after=2)
                return [spans.join([x, spans.take(x, 3, moved(x.shape[3]))])]

            fields, _, _ = measured(network, lengths)
            y, x = fields.axes[0]  # type: ignore[misc]
            assert (y.size, x.size) == (5, size), (moved, lengths)
            assert not fields.partial


def test_what_never_repeats_has_an_end_and_is_called_partial() -> None:
    def mixed_up(x: Carried) -> list[Carried]:
        for axis in (2, 3):
            x = spans.take(x, axis, np.random.default_rng(x.shape[axis]).permutation(x.shape[axis]))
        return [x]

    fields, seen, work = measured(mixed_up, (40, 56))
    assert fields.partial == {0}
    assert len(seen) <= 1 + looks._LOOKS
    assert work <= looks._WORK


def test_a_network_of_large_planes_is_not_looked_at_for_ever() -> None:
    """Every cell of it sees rows of its own for each column: planes are as large as maps."""

    def sheared(x: Carried) -> list[Carried]:
        maps = [x]
        for _ in range(40):
            flat = spans.reshape(x, (1, 1, -1))
            x = spans.reshape(spans.take(flat, 2, np.roll(np.arange(flat.shape[2]), 1)), x.shape)
            x = spans.window(x, 2, 9, before=4, after=4)
            maps.append(x)
        return maps

    _, seen, work = measured(sheared, (64, 64))
    assert work <= 1.5 * looks._WORK  # the work of the last look is an estimate
    assert len(seen) <= 1 + looks._LOOKS
