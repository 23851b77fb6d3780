"""A scene onto an ipycanvas MultiCanvas: picture below, heat map between, dots and lines on top.

ipycanvas shares one manager among all canvases of a kernel, and an error while drawing through it, anywhere, silences
them all. Ours has a manager of its own, collects the commands of one drawing, and throws them away if drawing fails.
Tags are left to the overlay.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from ipycanvas import Canvas, MultiCanvas
from ipycanvas.canvas import COMMANDS, _CanvasManager
from PIL import Image

from rfwidget.types import Size
from rfwidget.widget.notebook import hear_every_shell
from rfwidget.widget.scene import (
    DOT_COLOUR,
    DOT_RADIUS,
    Dots,
    Line,
    Look,
    Path,
    Scene,
)

PICTURE, HEAT, MARKS = range(3)
"""Layers of the canvas, back to front. The overlay in the browser paints the heat map."""

_MOST_PIXELS = 6_000_000
"""Backing pixels of one layer; larger stages get fewer per CSS pixel."""

_QUALITY = 92
"""Of photographs that are sharper than the model's input, 1..100 as JPEG files have it."""


class _OwnedMultiCanvas(MultiCanvas):  # type: ignore[misc]
    """A MultiCanvas whose commands go through a manager of its own, as do those of its layers."""

    def __init__(self, layers: int) -> None:
        manager = _CanvasManager()
        # MultiCanvas.__init__ makes its layers with the manager that all canvases of the kernel share.
        super(MultiCanvas, self).__init__(
            _canvases=[Canvas(_canvas_manager=manager) for _ in range(layers)], _canvas_manager=manager
        )

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Send what is drawn inside as one message; discard it if drawing raises."""
        manager = self._canvas_manager
        manager._caching = True
        # A page that has just been loaded knows no current canvas: name it again in every drawing.
        manager._current_canvas = None
        try:
            yield
            manager.flush()
        finally:
            manager._commands_cache, manager._buffers_cache = [], []
            manager._caching = False

    def close(self) -> None:
        for layer in self._canvases:
            layer.close()
        self._canvas_manager.close()
        super().close()


class SceneCanvas:
    """The widget that shows a scene; `widget` goes into a notebook's layout."""

    def __init__(self) -> None:
        self.widget = _OwnedMultiCanvas(3)
        self._scene: Scene | None = None
        # The page asks for a redraw in a message handler, which can run beside a cell that draws.
        self._lock = threading.Lock()
        # Only the top layer hears that a page has loaded.
        hear_every_shell(self.widget[MARKS])
        self.widget[MARKS].on_client_ready(self.redraw)

    def show(self, scene: Scene) -> None:
        """Draw a scene in place of the one before."""
        with self._lock:
            before, self._scene = self._scene, scene
            size, density = scene.layout.size, _density(scene.layout.size)
            if before is None or before.layout.size != size:
                self.widget.width, self.widget.height = round(size.w * density), round(size.h * density)
                self.widget.layout.width, self.widget.layout.height = f"{size.w:g}px", f"{size.h:g}px"
                before = None
            self._draw(scene, picture=before is None or before.picture is not scene.picture)

    def redraw(self) -> None:
        """Draw everything again, for a page that has just loaded."""
        with self._lock:
            if self._scene is not None:
                self._draw(self._scene, picture=True)

    def close(self) -> None:
        """Free the widget; nothing is drawn any more."""
        self.widget[MARKS].on_client_ready(self.redraw, remove=True)
        with self._lock:
            self._scene = None
        self.widget.close()

    def _draw(self, scene: Scene, *, picture: bool) -> None:
        if scene.cut is not None:  # the page cuts a volume itself; the ground of what lies between would shine through
            return
        with self.widget.drawing():
            if picture:
                _draw_on(self.widget[PICTURE], _density(scene.layout.size), lambda layer: _picture(layer, scene))
            _draw_on(self.widget[MARKS], _density(scene.layout.size), lambda layer: _marks(layer, scene))


def _density(size: Size) -> float:
    """2, sharp on common screens, unless that needs too much memory."""
    return float(min(2.0, (_MOST_PIXELS / (size.w * size.h)) ** 0.5))


def _draw_on(layer: Canvas, density: float, draw: Callable[[Canvas], None]) -> None:
    layer.clear()
    layer.save()
    layer.scale(density, density)
    draw(layer)
    layer.restore()


def _picture(layer: Canvas, scene: Scene) -> None:
    layout = scene.layout
    height, width = scene.picture.shape[:2]
    exact = (width, height) == tuple(layout.image)
    layer.translate(layout.margin.left, layout.margin.top)
    layer.scale(layout.image.w * layout.scale / width, layout.image.h * layout.scales[1] / height)
    layer.image_smoothing_enabled = not exact or layout.scale < 1
    if exact:
        layer.put_image_data(_rgba(scene.picture), 0, 0)
    else:
        layer._canvas_manager.send_draw_command(layer, COMMANDS["putImageData"], [0, 0], [_jpeg(scene.picture)])


def _jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    """A photograph as a file; ipycanvas' own would be of lower quality."""
    file = io.BytesIO()
    Image.fromarray(picture, "RGB").save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _rgba(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """With an alpha channel: ipycanvas sends RGB as JPEG, which would change the picture."""
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])


def _marks(layer: Canvas, scene: Scene) -> None:
    for mark in scene.marks:
        match mark:
            case Dots(centres):
                layer.fill_style = DOT_COLOUR
                layer.fill_circles(centres[:, 0], centres[:, 1], DOT_RADIUS)
            case Line(paths, look):
                for path in paths:
                    _stroke(layer, path, look)


def _stroke(layer: Canvas, path: Path, look: Look) -> None:
    """A line over its halo."""
    closed = path[0] == path[-1]
    stroke = layer.stroke_polygon if closed else layer.stroke_lines
    # ipycanvas sends tuples as they are, and the page cannot draw them
    corners = np.array(path[:-1] if closed else path, np.float64)
    layer.global_alpha = look.halo_opacity
    layer.stroke_style = look.halo
    layer.line_width = look.halo_width
    stroke(corners)
    layer.global_alpha = 1.0
    layer.set_line_dash(list(look.dash))
    layer.stroke_style = look.colour
    layer.line_width = look.width
    stroke(corners)
    layer.set_line_dash([])
