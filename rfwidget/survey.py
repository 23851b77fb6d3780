"""All layers of a network at once: a table of receptive fields, and what it says about image sizes.

Nothing here measures, knows a framework, or draws. In the table for notebooks every name goes through ``html.escape``;
its colours are JupyterLab's variables with fallbacks that can be read on dark and on light ground, and an unproductive
layer is marked by a word as well as by its colour.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from rfwidget._validation import box_inside, brief, pixel_inside
from rfwidget.errors import ReceptiveFieldError, unknown_layer
from rfwidget.extras import brought_by
from rfwidget.geometry import FieldGeometry
from rfwidget.network import LayerField
from rfwidget.plotting import Panel, plot_survey
from rfwidget.ranks import RANKS, measured
from rfwidget.types import GridShape, Rect, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Flags = tuple[bool, ...]


class LayerRow(NamedTuple):
    """One layer of a survey. Pairs are ``(x, y)``, along a sequence ``(x,)``, in a volume ``(x, y, z)``.

    Where ``note`` is not empty, unknown numbers are NaN, flags False.

    Attributes:
        name: of the layer, a path inside nested models.
        size: extent of the receptive field in pixels; infinite where it grows with the image, 0 where the image does
            not influence the layer.
        stride: shift of the receptive field from one cell to the next, in pixels.
        offset: centre of the receptive field of cell (0, 0), in pixel-edge coordinates.
        grid: cells of the layer.
        reads: the smallest size among the maps that the layer reads; ``Size(1, 1)`` for the image itself.
        unbounded: whether the field grows with the image.
        uniform: whether all cells see the same extent.
        exceeds_input: whether the field is larger than the image.
        unproductive: whether all that the layer reads already sees the whole image, so that looking further can add
            nothing.
        note: why the layer could not be measured, or what is not known of it; empty if all is.
    """

    name: str
    size: Size
    stride: tuple[float, ...]
    offset: tuple[float, ...]
    grid: Size
    reads: Size
    unbounded: Flags
    uniform: Flags
    exceeds_input: Flags
    unproductive: Flags
    note: str = ""

    @property
    def widens(self) -> Flags:
        """Whether the layer looks further than everything it reads does, for all that is known."""
        return tuple(own > read for own, read in zip(self.size, self.reads, strict=True))


class ResolutionRange(NamedTuple):
    """Image sizes that suit a network; see `Survey.resolution_range`."""

    smallest: Size
    largest: Size


class Coverage(NamedTuple):
    """How many cells of each layer see something.

    Attributes:
        counts: number of cells, by layer.
        first: the first layer, in the order of the network, of which one cell sees all of it; None if no cell does.
    """

    counts: dict[str, int]
    first: str | None


class Survey(Sequence[LayerRow]):
    """Receptive fields of all layers with a grid, in the order of the network.

    A sequence of `LayerRow`; a row is found by number or by name. Notebooks show it as a table;
    ``pandas.DataFrame(survey.to_dict())`` has one column per number.

    Args:
        rows: one per layer.
        fields: exact fields of the layers that could be measured, by name.
        input_shape: the image.
        input_layer: name of the image input.
    """

    def __init__(
        self, rows: Sequence[LayerRow], fields: Mapping[str, FieldGeometry], input_shape: GridShape, input_layer: str
    ) -> None:
        self._rows = tuple(rows)
        self._fields = dict(fields)
        self.input_shape = input_shape
        self.input_layer = input_layer

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self._rows)

    @overload
    def __getitem__(self, key: int | str) -> LayerRow: ...
    @overload
    def __getitem__(self, key: slice) -> Survey: ...
    def __getitem__(self, key: int | str | slice) -> LayerRow | Survey:
        if isinstance(key, slice):
            return Survey(self._rows[key], self._fields, self.input_shape, self.input_layer)
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of a survey of {len(self)} layers")  # ends a loop over a sequence
            return self._rows[key]
        if not isinstance(key, str):
            raise ReceptiveFieldError(f"survey[{brief(key)}]: expected the name of a layer or a number")
        row = next((row for row in self._rows if row.name == key), None)
        if row is None:
            raise unknown_layer(key, self.names)
        return row

    def __repr__(self) -> str:
        return _as_text(self)

    def _repr_html_(self) -> str:
        return _as_html(self)

    @property
    def names(self) -> list[str]:
        """Names of the layers."""
        return [row.name for row in self._rows]

    def matching(self, pattern: str) -> Survey:
        """The layers whose names fit a pattern with ``*``, ``?`` and ``[...]``, ``"*_conv1"`` say.

        Raises:
            ReceptiveFieldError: if no name does.
        """
        if not isinstance(pattern, str):
            raise ReceptiveFieldError(f"pattern is {brief(pattern)}: expected names with * and ?, '*_conv1' say")
        rows = [row for row in self._rows if fnmatchcase(row.name, pattern)]
        if not rows:
            raise unknown_layer(pattern, self.names)
        return Survey(rows, self._fields, self.input_shape, self.input_layer)

    def only(self, name: str) -> Survey:
        """One layer alone.

        Raises:
            ReceptiveFieldError: if it is unknown.
        """
        return Survey([self[name]], self._fields, self.input_shape, self.input_layer)

    def field(self, name: str) -> FieldGeometry:
        """Exact receptive fields of all cells of a layer.

        Raises:
            ReceptiveFieldError: if the layer is unknown or could not be measured.
        """
        row = self[name]
        if name not in self._fields:
            raise ReceptiveFieldError(f"layer {name!r} could not be measured: {row.note}")
        return self._fields[name]

    def unproductive(self) -> list[str]:
        """Layers that can gain nothing at this image size: all they read sees the whole image, along all axes.

        Receptive field analysis calls them unproductive (Richter et al., "Should You Go Deeper? Optimizing
        Convolutional Neural Network Architectures without Training", 2021).
        """
        return [row.name for row in self._rows if all(row.unproductive)]

    def resolution_range(self) -> ResolutionRange:
        """Image sizes for which every layer has something to look for, and one cell can see everything.

        Per axis:

        - *smallest*: the least image length at which no layer that widens the field is unproductive, that is, one
          pixel more than the largest field that such a layer reads. (A layer that does not widen the field, such as an
          activation, has nothing to gain from a larger image and does not count.)
        - *largest*: the greatest length that the widest field covers; of a larger image no cell sees the whole.

        Raises:
            ReceptiveFieldError: if there is no such range: global context makes fields unbounded on the way, or some
                layer could not be measured.
        """
        rows = [row for row in self._rows if any(row.size)]
        unknown = [row.name for row in rows if math.isnan(sum(row.size) + sum(row.reads))]
        if unknown or not rows:
            raise ReceptiveFieldError(
                f"no range of image sizes can be given: layers not known of {', '.join(unknown) or 'any layer'}"
            )
        smallest, largest = [], []
        for axis in range(len(self.input_shape.size)):
            if beyond := [row.name for row in rows if math.isinf(row.reads[axis])]:
                raise ReceptiveFieldError(
                    f"no image size suits all layers: from {beyond[0]!r} on they read what has seen the whole image, "
                    "whatever its size. Survey the local path alone: survey(ignore_global_context=True)"
                )
            smallest.append(max((int(row.reads[axis]) + 1 for row in rows if row.widens[axis]), default=1))
            largest.append(max(row.size[axis] for row in rows))
        return ResolutionRange(Size(*smallest), Size(*largest))

    def seeing(self, pixel: Sequence[int]) -> Coverage:
        """How many cells of each layer have a pixel ``(x, y)`` in their receptive fields.

        Raises:
            ReceptiveFieldError: if the pixel is outside the image.
        """
        return self.covering(Rect.of((k, k + 1) for k in pixel_inside(pixel, self.input_shape.size)))

    def covering(self, box: Sequence[float]) -> Coverage:
        """How many cells of each layer have all of a box of the image in their receptive fields.

        Args:
            box: `Rect` ``(left, top, right, bottom)`` in pixels, inside the image.

        Returns:
            The counts, and the first layer of which one cell sees all of the box. Layers that could not be measured are
            left out.

        Raises:
            ReceptiveFieldError: if the box is not inside the image.
        """
        inside = box_inside(box, self.input_shape.size)
        counts = {}
        for row in self._rows:
            if row.name in self._fields:
                field = self._fields[row.name]
                along = zip(field, inside.edges, row.grid, strict=True)
                counts[row.name] = math.prod(len(axis.holding(*edges, int(cells))) for axis, edges, cells in along)
        return Coverage(counts, next((name for name, count in counts.items() if count), None))

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns of numbers and words, by name; ``pandas.DataFrame`` takes them as they are."""
        return _as_columns(self)

    def to_dataframe(self) -> Any:
        """The table as a ``pandas.DataFrame``, one row per layer.

        Raises:
            ReceptiveFieldError: if pandas is not installed.
        """
        with brought_by("pandas", "pandas", what="it"):
            import pandas as pd
        return pd.DataFrame(self.to_dict())

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as comma-separated values, also written to a file if a path is given."""
        columns = self.to_dict()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return _written(text.getvalue(), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """The table as JSON, also written to a file if a path is given.

        One object with the image and the layers, each with the columns of `to_dict`. A number that is infinite or not
        known is null; the columns ``unbounded_x``, ``unbounded_y`` and ``note`` tell which.
        """
        columns = self.to_dict()
        layers = [dict(zip(columns, map(_finite, row), strict=True)) for row in zip(*columns.values(), strict=True)]
        shape = self.input_shape
        image = {"layer": self.input_layer, **dict(zip("whd", shape.size, strict=False)), "c": shape.c}
        return _written(json.dumps({"image": image, "layers": layers}, indent=1, allow_nan=False) + "\n", path)

    def to_html(self, path: str | Path | None = None) -> str:
        """The table as a page of its own, also written to a file if a path is given."""
        title = html.escape(_title(self))
        head = f'<meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>{title}</title>'
        page = f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{_as_html(self)}</body></html>\n'
        return _written(page, path)

    def plot(self, ax: Axes | None = None, figsize: tuple[float, float] = (9, 5)) -> Axes:
        """Growth of the receptive field through depth, against the image size and the stride.

        Args:
            ax: drawn into; a new figure if None.
            figsize: width and height of a new figure in inches.
        """
        return plot_survey(self, ax=ax, figsize=figsize)

    @property
    def _panel(self) -> Panel:
        return Panel("Survey", "y", lambda title, ax: plot_survey(self, title=title, ax=ax))


def _written(text: str, path: str | Path | None) -> str:
    """A text, also written to a file if a path is given."""
    if path is not None:
        Path(path).write_text(text, encoding="utf-8", newline="")
    return text


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tabulate(
    grids: Mapping[str, Size],
    known: Mapping[str, LayerField],
    notes: Mapping[str, str],
    input_shape: GridShape,
    input_layer: str,
) -> Survey:
    """The survey of a network whose layers have been measured.

    Args:
        grids: of all layers that have one, by name, in the order of the network.
        known: fields of the layers that could be measured.
        notes: why a layer has no field, or what is not known of it.
        input_shape: the image.
        input_layer: name of the image input.
    """
    rows = [_row(name, grid, known.get(name), notes.get(name, ""), input_shape) for name, grid in grids.items()]
    fields = {name: layer.field for name, layer in known.items() if layer.field is not None}
    return Survey(rows, fields, input_shape, input_layer)


def _row(name: str, grid: Size, layer: LayerField | None, note: str, image: GridShape) -> LayerRow:
    axes = len(image.size)
    unknown, no = (math.nan,) * axes, (False,) * axes
    field, reads = (None, Size(*unknown)) if layer is None else (layer.field, layer.reads)
    if field is None:
        size = Size(*(unknown if layer is None else (0,) * axes))
        return LayerRow(name, size, unknown, unknown, grid, reads, no, no, no, no, note)
    described = field.description
    return LayerRow(
        name=name,
        size=described.size,
        stride=described.stride,
        offset=described.offset,
        grid=grid,
        reads=reads,
        unbounded=described.unbounded,
        uniform=tuple(axis.uniform for axis in field),
        exceeds_input=tuple(own > length for own, length in zip(described.size, image.size, strict=True)),
        unproductive=tuple(read >= length for read, length in zip(reads, image.size, strict=True)),
        note=note,
    )


def in_words(row: LayerRow) -> dict[str, str]:
    """A layer as a reader should see it: name, size, stride, offset, grid and remarks, by these words."""
    return dict(zip(_HEADINGS, _cells(row), strict=True))


# The table -----------------------------------------------------------------------------------------------------------

_HEADINGS = ("layer", "size", "stride", "offset", "grid", "remarks")

_STYLE = (
    "<style>"
    ".rfwidget-survey{max-height:32em;overflow:auto;color:var(--jp-content-font-color1,inherit)}"
    ".rfwidget-survey table{border-collapse:collapse;font-size:90%;font-variant-numeric:tabular-nums}"
    ".rfwidget-survey caption{text-align:left;padding:.3em 0;color:inherit}"
    ".rfwidget-survey th,.rfwidget-survey td{padding:.15em .7em;text-align:right;white-space:nowrap;"
    "border-bottom:1px solid var(--jp-border-color2,#8886)}"
    ".rfwidget-survey th:first-child,.rfwidget-survey td:first-child,"
    ".rfwidget-survey th:last-child,.rfwidget-survey td:last-child{text-align:left}"
    ".rfwidget-survey thead th{position:sticky;top:0;"
    "background:var(--jp-layout-color1,Canvas);color:var(--jp-content-font-color1,CanvasText)}"
    ".rfwidget-survey .rfwidget-idle{color:var(--jp-warn-color0,#b35c00);font-weight:600}"
    ".rfwidget-survey .rfwidget-bar{display:inline-block;height:.6em;vertical-align:baseline;"
    "background:var(--jp-brand-color2,#4a90d9)}"
    "</style>"
)

_BAR = 60  # pixels of the page


def _as_text(survey: Survey) -> str:
    """A table of text alone under one line that says what was surveyed."""
    lines = [_HEADINGS, *(_cells(row) for row in survey)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    table = [
        "  ".join(
            cell.ljust(width) if heading in ("layer", "remarks") else cell.rjust(width)
            for cell, width, heading in zip(line, widths, _HEADINGS, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([_title(survey), "", *table])


def _as_html(survey: Survey) -> str:
    """A table for notebooks; bars show the sizes, full width being the image."""
    head = "".join(f'<th scope="col">{heading}</th>' for heading in _HEADINGS)
    body = "".join(_html_row(row, survey.input_shape.w) for row in survey)
    return (
        f'{_STYLE}<div class="rfwidget-survey"><table><caption>{html.escape(_title(survey))}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _as_columns(survey: Survey) -> dict[str, list[Any]]:
    """Columns of numbers and words; pairs become two columns, ``_w`` and ``_h`` or ``_x`` and ``_y``, triples a third,
    ``_d`` or ``_z``.
    """
    axes = len(survey.input_shape.size)
    columns: dict[str, list[Any]] = {"layer": [row.name for row in survey]}
    for name in ("size", "stride", "offset", "grid", "reads", "unbounded", "uniform", "exceeds_input", "unproductive"):
        ends = "whd" if name in ("size", "grid", "reads") else "xyz"
        for axis, end in enumerate(ends[:axes]):
            columns[f"{name}_{end}"] = [getattr(row, name)[axis] for row in survey]
    columns["note"] = [row.note for row in survey]
    return columns


def _title(survey: Survey) -> str:
    shape = survey.input_shape
    count = len(survey)
    return f"{count} layer{'' if count == 1 else 's'} on {survey.input_layer!r}, {measured(shape.size, by=' x ')}"


def _cells(row: LayerRow) -> tuple[str, ...]:
    return (
        row.name,
        _pair(row.size, " x "),
        _pair(row.stride, " x "),
        _pair(row.offset, ", "),
        " x ".join(f"{cells}" for cells in row.grid),
        "; ".join(_remarks(row)),
    )


def _remarks(row: LayerRow) -> list[str]:
    if row.note:
        return ["sees nothing" if not any(row.size) else f"not measured: {row.note}"]
    exceeds = tuple(e and not u for e, u in zip(row.exceeds_input, row.unbounded, strict=True))
    flags = (
        (row.unbounded, "unbounded"),
        (tuple(not uniform for uniform in row.uniform), "not uniform"),
        (exceeds, f"exceeds the {RANKS[len(row.size)].thing}"),
        (row.unproductive, "unproductive"),
    )
    return [word + ("" if all(pair) else f" along {_axes(pair)}") for pair, word in flags if any(pair)]


def _axes(flags: Sequence[bool]) -> str:
    """Names of the axes that are flagged."""
    return " and ".join(name for name, flag in zip("xyz", flags, strict=False) if flag)


def _html_row(row: LayerRow, width: int) -> str:
    name, size, *numbers, remarks = (html.escape(cell) for cell in _cells(row))
    share = 0.0 if math.isnan(row.size.w) else min(1.0, row.size.w / width)
    length = max(1, round(_BAR * share))
    bar = f'<span class="rfwidget-bar" style="width:{length}px;margin-right:{_BAR + 8 - length}px"></span>'
    if all(row.unproductive):
        remarks = f'<span class="rfwidget-idle">{remarks}</span>'
    middle = "".join(f"<td>{number}</td>" for number in numbers)
    return f"<tr><td>{name}</td><td>{bar}{size}</td>{middle}<td>{remarks}</td></tr>"


def _pair(values: Sequence[float], join: str) -> str:
    """One number where all axes agree."""
    words = ["?" if math.isnan(v) else "\N{INFINITY}" if math.isinf(v) else f"{v:g}" for v in values]
    return words[0] if len(set(words)) == 1 else join.join(words)
