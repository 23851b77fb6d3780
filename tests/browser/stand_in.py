"""A widget without a network: the real canvas and overlay, with answers that a test predicts, breaks or withholds.

Runs in a kernel. The image is 160 x 96, the grid 32 x 16; fields are 34 x 30 pixels, with strides of 4 and 5, and
overhang the image on the left and at the top. A heat map is plain magenta.
"""

from __future__ import annotations

import numpy as np
from ipywidgets import Box

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.canvas import HEAT, SceneCanvas
from rfwidget.widget.heat import Levels
from rfwidget.widget.overlay import Overlay, Request
from rfwidget.widget.scene import build_scene

IMAGE = GridShape(None, 160, 96, 3)
GRID = Size(32, 16)
FIELD = FieldGeometry(AxisField(1, 4, ((-10, 24),)), AxisField(1, 5, ((-5, 25),)))
MAGENTA = (255, 0, 255)


class StandIn:
    """Answers every request at once; ``mode`` is "answer", "fail" or "withhold"."""

    def __init__(self) -> None:
        self.mode = "answer"
        self.requests: list[Request] = []
        picture = np.tile(np.linspace(60, 200, IMAGE.w).astype(np.uint8)[None, :, None], (IMAGE.h, 1, 3))
        scene = build_scene(picture, IMAGE, FIELD, GRID, dots=False, rectangles=())
        self.canvas = SceneCanvas()
        self.canvas.show(scene)
        self.overlay = Overlay(
            canvas=self.canvas.widget.model_id,
            heat_layer=HEAT,
            image_size=[IMAGE.w, IMAGE.h],
            scale=scene.layout.scale,
            margin=list(scene.layout.margin),
            grid=[int(GRID.w), int(GRID.h)],
            field=FIELD.to_json(),
            selected=[16, 8],
            label="Receptive fields",
            layer="layer",
            heat_opacity=1.0,
            palette={"rgba": bytes([*MAGENTA, 255] * 256), "ranked": False, "ticks": []},
            feature_map={"size": [32, 16], "range": [0.0, 1.0], "rgba": bytes([128, 128, 128, 255] * (32 * 16))},
        )
        self.overlay.on_message(Request, self._on_request)
        self.stage = Box([self.canvas.widget, self.overlay])
        self.stage.add_class("rfwidget-stage")

    def _on_request(self, request: Request) -> None:
        self.requests.append(request)
        self.overlay.acknowledge(request)
        self.overlay.selected = list(request.cell)
        serial = len(self.requests)
        if self.mode == "fail":
            self.overlay.fail(
                request, serial=serial, revision=0, message="no <b>memory</b> left", details="Traceback (last call)"
            )
        elif self.mode == "answer":
            self._answer(request, serial)

    def _answer(self, request: Request, serial: int) -> None:
        rect = FIELD.rect(request.cell)
        left, top, right, bottom = (int(edge) for edge in inside(rect))
        levels = Levels(left, top, np.full((bottom - top, right - left), 255, np.uint8), full=1.0, weight=1.0)
        self.overlay.answer(
            request,
            serial=serial,
            revision=0,
            cell=request.cell,
            rect=rect,
            milliseconds=1.0,
            levels=levels,
        )


def inside(rect: Rect) -> Rect:
    """The part of a rectangle that lies in the image."""
    return Rect(max(0, rect.left), max(0, rect.top), min(IMAGE.w, rect.right), min(IMAGE.h, rect.bottom))


def centre(x: int, y: int) -> tuple[float, float]:
    """Centre of a cell's receptive field, in image pixels."""
    return FIELD.rect(GridPoint(x, y)).center
