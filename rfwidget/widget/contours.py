"""Outlines of the effective receptive field, for the browser to draw at any cell (js/contours.ts)."""

from __future__ import annotations

from typing import Any

from rfwidget.effective import EffectiveField

SHARES = (0.5, 0.95)
"""Shares of the gradient's mass that are outlined."""


def plain_contours(effective: EffectiveField) -> dict[str, Any]:
    """Outlines as `Contours` in js/model.ts: where they begin for a cell, and closed lines for each of `SHARES`."""
    x, y = ({"start": float(frame.start), "stride": float(frame.stride)} for frame in effective.frames)
    levels = [
        {"share": share, "loops": [line.ravel().tolist() for line in effective.contour(share)]} for share in SHARES
    ]
    return {"x": x, "y": y, "levels": levels}
