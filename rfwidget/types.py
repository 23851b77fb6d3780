"""Value types, and the one statement of the axis convention.

Everything public is x before y before z, width before height before depth, as fields with names. A sequence has the
axis x alone, an image x and y, a volume x, y and z; of a video z is the time. Coordinates are pixel *edges*: pixel
column k covers the interval [k, k + 1), so a 34-wide receptive field flush with the left border spans 0..34 and its
centre is 17.0. Only arrays (``[x, c]``, ``[y, x, c]``, ``[z, y, x, c]``) and the argument ``input_shape`` keep the
framework's order: ``(length, channels)``, ``(height, width, channels)``, ``(depth, height, width, channels)`` in
Keras, with the channels first in PyTorch.

All values are tuples of plain Python numbers with named fields, as many as there are axes: they print as documented,
unpack, and compare with ``numpy.testing.assert_allclose``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

_Number = TypeVar("_Number")


class _Fields(tuple[_Number, ...]):
    """A tuple whose fields go by names, other ones for each number of axes; it has the methods of a NamedTuple."""

    __slots__ = ()
    _names: ClassVar[Mapping[int, tuple[str, ...]]]

    def __new__(cls, *values: _Number, **named: _Number) -> Self:
        """In the order of the fields, or by their names."""
        given = len(values) + len(named)
        names = cls._names.get(given, ())
        rest = names[len(values) :]
        if not names or set(rest) != set(named):
            forms = ", or ".join(", ".join(form) for form in cls._names.values())
            came = ", ".join([*(f"{value!r}" for value in values), *(f"{name}=" for name in named)])
            raise TypeError(f"{cls.__name__}({came}): expected {forms}")
        return super().__new__(cls, (*values, *(named[name] for name in rest)))

    def __getnewargs__(self) -> tuple[_Number, ...]:  # copies call __new__ with these
        return tuple(self)

    def __repr__(self) -> str:
        pairs = zip(self._fields, self, strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"

    @property
    def _fields(self) -> tuple[str, ...]:
        return self._names[len(self)]

    def _asdict(self) -> dict[str, _Number]:
        return dict(zip(self._fields, self, strict=True))

    def _replace(self, **changed: Any) -> Self:
        return type(self)(**{**self._asdict(), **changed})


def _field(name: str) -> Any:
    """A field by its name."""

    def read(self: _Fields[Any]) -> Any:
        if name not in self._fields:
            raise AttributeError(f"{self!r} has no {name}")
        return self[self._fields.index(name)]

    return property(read)


class Size(_Fields[float]):
    """Width in pixels (of a receptive field or an image) or cells (of a grid); of an image also the height, of a volume
    height and depth.

    A receptive field that grows with the image is infinite along some axis, or all.

    >>> Size(w=631), Size(34, 19), Size(w=5, h=5, d=3)
    (Size(w=631), Size(w=34, h=19), Size(w=5, h=5, d=3))
    """

    __slots__ = ()
    _names = {1: ("w",), 2: ("w", "h"), 3: ("w", "h", "d")}  # noqa: RUF012 - typed by the class above
    w: float = _field("w")
    h: float = _field("h")
    d: float = _field("d")


class ImageShape(NamedTuple):
    """Width, height and channels of an image; the Keras order is ``(h, w, c)``."""

    w: int
    h: int
    c: int = 3


class GridPoint(_Fields[int]):
    """A cell of the output grid: column x; of a map also row y, of a volume row y and plane z, all from 0."""

    __slots__ = ()
    _names = {1: ("x",), 2: ("x", "y"), 3: ("x", "y", "z")}  # noqa: RUF012
    x: int = _field("x")
    y: int = _field("y")
    z: int = _field("z")

    @property
    def place(self) -> tuple[int, ...]:
        """The indices of the cell in an array: ``(y, x)``."""
        return tuple(reversed(self))


class GridShape(_Fields[Any]):
    """Batch size (None: any), width, height, depth and channels of a network's input or of a layer's output.

    >>> GridShape.of((96, 160), 3), GridShape.of((1000,), 2)
    (GridShape(n=None, w=160, h=96, c=3), GridShape(n=None, w=1000, c=2))
    """

    __slots__ = ()
    _names = {3: ("n", "w", "c"), 4: ("n", "w", "h", "c"), 5: ("n", "w", "h", "d", "c")}  # noqa: RUF012
    n: int | None = _field("n")
    w: int = _field("w")
    h: int = _field("h")
    d: int = _field("d")
    c: int = _field("c")

    @classmethod
    def of(cls, lengths: Sequence[int], channels: int) -> GridShape:
        """From the lengths in the order of arrays."""
        return cls(None, *(int(length) for length in reversed(lengths)), int(channels))

    @property
    def size(self) -> Size:
        """The lengths along x, y and z, as far as there are such axes."""
        return Size(*self[1:-1])

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths in the order of arrays: ``(h, w)`` of an image."""
        return tuple(reversed(self[1:-1]))


class Rect(_Fields[float]):
    """A part of the image given by its edges, in pixels: columns left..right, rows top..bottom, planes front..back.

    Of a sequence it is an interval, of an image a rectangle, of a volume a box; first edges stand before last ones. It
    may overhang the image; the empty rectangle is all zeros; an axis that is unbounded on one side or on both has an
    infinite edge there.

    >>> Rect(left=0, top=4, right=34, bottom=38).size
    Size(w=34, h=34)
    >>> Rect(left=2, right=9).size
    Size(w=7)
    """

    __slots__ = ()
    _names = {  # noqa: RUF012
        2: ("left", "right"),
        4: ("left", "top", "right", "bottom"),
        6: ("left", "top", "front", "right", "bottom", "back"),
    }
    left: float = _field("left")
    top: float = _field("top")
    front: float = _field("front")
    right: float = _field("right")
    bottom: float = _field("bottom")
    back: float = _field("back")

    @classmethod
    def of(cls, edges: Iterable[Sequence[float]]) -> Rect:
        """From the first and last edge along x, y, ...; empty if it is so along any of them.

        >>> Rect.of([(0, 34), (4, 38)])
        Rect(left=0, top=4, right=34, bottom=38)
        """
        low, high = zip(*edges, strict=True)
        if any(first == last for first, last in zip(low, high, strict=True)):
            return cls(*(0,) * (2 * len(low)))
        return cls(*low, *high)

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """First and last edge along x, y and z, as far as there are such axes."""
        rank = len(self) // 2
        return tuple(zip(self[:rank], self[rank:], strict=True))

    @property
    def size(self) -> Size:
        """Width, height and depth."""
        return Size(*(last - first for first, last in self.edges))

    @property
    def center(self) -> tuple[float, ...]:
        """Centre ``(x, y)`` in pixel-edge coordinates; NaN along an axis that is unbounded on both sides."""
        return tuple((first + last) / 2 for first, last in self.edges)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return any(first == last for first, last in self.edges)


class ReceptiveFieldDescription(NamedTuple):
    """Receptive fields of a whole grid: cell (i, j) sees the ``size`` around ``offset + (i, j) * stride``.

    Attributes:
        offset: centre ``(x, y)`` of the receptive field of cell (0, 0), in pixel-edge coordinates.
        stride: shift ``(x, y)`` of the receptive field from one cell to the next, in pixels.
        size: extent in pixels, last influenced pixel + 1 - first; infinite along an unbounded axis.

    Of a sequence there is x alone, of a volume there is z too.
    """

    offset: tuple[float, ...]
    stride: tuple[float, ...]
    size: Size

    @property
    def unbounded(self) -> tuple[bool, ...]:
        """Whether the receptive field grows with the image, along ``(x, y)``."""
        return tuple(math.isinf(length) for length in self.size)
