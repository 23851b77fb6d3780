"""A survey as plain values for the strip of layers in the browser (js/strip.ts)."""

from __future__ import annotations

import math
from typing import Any

from rfwidget.survey import LayerRow, Survey


def plain_rows(survey: Survey) -> list[dict[str, Any]]:
    """One row per layer, as `LayerRow` in js/model.ts; ``field`` is None where a layer could not be measured."""
    return [_plain(row, survey) for row in survey]


def _plain(row: LayerRow, survey: Survey) -> dict[str, Any]:
    return {
        "name": row.name,
        "grid": [int(row.grid.w), int(row.grid.h)],
        "size": [side if math.isfinite(side) else None for side in row.size],
        "uniform": all(row.uniform),
        "field": None if row.note else survey.field(row.name).to_json(),
    }
