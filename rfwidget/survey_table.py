"""A survey as text, as HTML for notebooks, and as columns of plain values.

Every name goes through ``html.escape``. Colours are JupyterLab's variables with fallbacks that can be read on dark and
on light ground; an unproductive layer is marked by a word as well as by its colour.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfwidget.survey import LayerRow, Survey

HEADINGS = ("layer", "size", "stride", "offset", "grid", "remarks")

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


def as_text(survey: Survey) -> str:
    """A table of plain text under one line that says what was surveyed."""
    lines = [HEADINGS, *(_cells(row) for row in survey)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    table = [
        "  ".join(
            cell.ljust(width) if heading in ("layer", "remarks") else cell.rjust(width)
            for cell, width, heading in zip(line, widths, HEADINGS, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([_title(survey), "", *table])


def as_html(survey: Survey) -> str:
    """A table for notebooks; bars show the sizes, full width being the image."""
    head = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
    body = "".join(_html_row(row, survey.input_shape.w) for row in survey)
    return (
        f'{_STYLE}<div class="rfwidget-survey"><table><caption>{html.escape(_title(survey))}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def as_columns(survey: Survey) -> dict[str, list[Any]]:
    """Columns of plain values; pairs become two columns, ``_w`` and ``_h`` or ``_x`` and ``_y``."""
    columns: dict[str, list[Any]] = {"layer": [row.name for row in survey]}
    for name in ("size", "stride", "offset", "grid", "reads", "unbounded", "uniform", "exceeds_input", "unproductive"):
        ends = ("w", "h") if name in ("size", "grid", "reads") else ("x", "y")
        for axis, end in enumerate(ends):
            columns[f"{name}_{end}"] = [getattr(row, name)[axis] for row in survey]
    columns["note"] = [row.note for row in survey]
    return columns


def _title(survey: Survey) -> str:
    shape = survey.input_shape
    count = len(survey)
    return f"{count} layer{'' if count == 1 else 's'} on {survey.input_layer!r}, {shape.w} x {shape.h} pixels"


def _cells(row: LayerRow) -> tuple[str, ...]:
    return (
        row.name,
        _pair(row.size, " x "),
        _pair(row.stride, " x "),
        _pair(row.offset, ", "),
        f"{row.grid.w} x {row.grid.h}",
        "; ".join(_remarks(row)),
    )


def _remarks(row: LayerRow) -> list[str]:
    if row.note:
        return ["sees nothing" if row.size == (0, 0) else f"not measured: {row.note}"]
    flags = (
        (row.unbounded, "unbounded"),
        ((not row.uniform[0], not row.uniform[1]), "not uniform"),
        (tuple(e and not u for e, u in zip(row.exceeds_input, row.unbounded, strict=True)), "exceeds the image"),
        (row.unproductive, "unproductive"),
    )
    return [word + ("" if all(pair) else f" along {'xy'[list(pair).index(True)]}") for pair, word in flags if any(pair)]


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
    """One number where both axes agree."""
    words = ["?" if math.isnan(v) else "\N{INFINITY}" if math.isinf(v) else f"{v:g}" for v in values]
    return words[0] if words[0] == words[1] else join.join(words)
