"""What the controls around the image show, as values for the browser; js/view draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfwidget.widget.heat import MAP_COLOURS, colour_stops, default_colormap

COLORMAPS = ("magma", "inferno", "viridis", "hot", "gray", "coolwarm", "RdBu_r", "seismic", "PiYG")
"""Colour maps that are offered; any of matplotlib's can be set."""

AUTOMATIC = "automatic"
"""The colour map that suits signs or magnitudes."""


def controls_to_json(
    widget: Any, *, image: str, images: Sequence[str], channels: int, dots_every: int, bands: int, maps: Sequence[str]
) -> dict[str, Any]:
    """As `Controls` in js/protocol.ts.

    Args:
        widget: an `RFWidget`; its traits are what is shown.
        image: name of the image on show.
        images: names of the samples that are offered.
        channels: of the layer's output.
        dots_every: how many cells apart the drawn centres are.
        bands: channels of the image.
        maps: what heat maps can show of the layer.
    """
    colormap = widget.colormap or default_colormap(widget.signed)
    return {
        "image": image,
        "images": _with(images, image),
        "channel": widget.channel,
        "channels": channels,
        "colormap": widget.colormap or AUTOMATIC,
        "colormaps": _with((AUTOMATIC, *COLORMAPS), colormap),
        "colours": colour_stops(colormap),
        "map_colours": colour_stops(MAP_COLOURS),
        "signed": widget.signed,
        "heat_scale": widget.heat_scale,
        "heat_map": widget.heat_map,
        "heat_maps": _with(maps, widget.heat_map),
        "spotlight": widget.spotlight,
        "live": widget.live,
        "show_dots": widget.show_dots,
        "dots_every": dots_every,
        **{
            f"show_{word}": widget.show_rectangles and getattr(widget, f"show_{word}")
            for word in ("first", "central", "last")
        },
        "show_naive": widget.show_naive,
        "show_erf": widget.show_erf,
        "show_pixels": widget.show_pixels,
        "bands": ", ".join(map(str, widget.bands or (0, 1, 2))),
        "band_count": bands,
        "actions": True,
    }


def _with(options: Any, value: str) -> list[str]:
    return [*options] if value in options else [*options, value]
