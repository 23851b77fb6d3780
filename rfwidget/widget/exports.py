"""What leaves the widget: a picture, a page without a kernel, the code that shows the same again.

A base class of `RFWidget`. Each of them holds what the widget shows at the moment it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rfwidget import _validation
from rfwidget._progress import Progress, reporting
from rfwidget.errors import ReceptiveFieldError
from rfwidget.estimator import ReceptiveField
from rfwidget.image import get_default_images
from rfwidget.types import Rect
from rfwidget.widget.contours import measure_contours
from rfwidget.widget.drawings import NOTHING, Drawings, Layer, build_drawings
from rfwidget.widget.engine import Engine
from rfwidget.widget.html import DEFAULT_LIMIT, Exhibit, write_page
from rfwidget.widget.main_thread import MainThread
from rfwidget.widget.png import paint, png_bytes
from rfwidget.widget.questions import Questions
from rfwidget.widget.scene import StageLayout
from rfwidget.widget.strip import plain_rows
from rfwidget.widget.view import View

_LONGEST_WAIT = 600.0
"""Seconds to wait for a layer before a page is written."""


class Exports(Questions):
    """Picture, page and code, for a widget that has an engine."""

    _VIEW = (
        *("selected", "channel", "show_heat", "show_dots", "show_rectangles", "show_naive"),
        *("heat_opacity", "colormap", "signed", "query", "asking", "show_erf", "compare_layer"),
    )
    """The traits that make the picture, beside the layer and the image."""

    wait: Callable[..., bool]
    _engine: Engine
    _main: MainThread

    def save_png(self, path: str | Path) -> None:
        """Save what the widget shows as a PNG file, with what has been asked beyond the selected cell.

        Outlines of the effective field and the layer to compare with come from the background: in a script, call
        ``wait(background=True)`` first.
        """
        file = _validation.file_path(path, "rf.png")
        self._main.drain()
        file.write_bytes(self._picture()())

    def to_html(
        self,
        path: str | Path,
        layers: Sequence[str] | None = None,
        cells: int | Sequence[Sequence[int]] | None = None,
        max_bytes: int = DEFAULT_LIMIT,
        progress: Progress | bool | None = None,
    ) -> int:
        """Write one self-contained file in which a reader hovers, clicks and asks: no kernel, no network.

        Gradient maps are computed now and embedded, with the present image, channel and colours; a click shows the
        nearest of them. Layers that are not shown now are measured, without a change to the widget. The page asks
        what the widget asks: ``query`` first, ``compare_layer``, and with ``show_erf`` the effective field of each
        layer.

        Args:
            path: of the file.
            layers: names of the layers that a reader can choose, the first one shown first; None: the present one.
            cells: how many gradient maps per layer, evenly spread over its grid; or the cells ``(x, y)``; None: up to
                100.
            max_bytes: refuse to write a larger file.
            progress: called with the fraction done (0..1) and a few words; True shows a progress bar.

        Returns:
            Size of the file in bytes.

        Raises:
            ReceptiveFieldError: if a layer or cell is unknown, a gradient or an effective field cannot be computed, or
                the file would grow too large; then nothing is written.
        """
        file = _validation.file_path(path, "rf.html")
        if not self.wait(_LONGEST_WAIT) or self._view is None:
            raise ReceptiveFieldError("no layer has been measured: wait until the widget shows one, then try again")
        if self.compare_layer is not None and self._survey is None:
            self.wait(_LONGEST_WAIT, background=True)  # the other layer's field comes with those of all
        exhibit = Exhibit(
            view=self._view,
            selected=self.selected,
            layers=(self._view.layer,)
            if layers is None
            else tuple(_validation.series("layers", layers, "names of layers")),
            rows=plain_rows(self._survey) if self._survey is not None else [],
            opacity=self.heat_opacity if self.show_heat else 0.0,
            scene_of=self._scene_of,
            contours_of=self._contours_of if self.show_erf else None,
            compare=self._overlay.compare,
            query=self._overlay.query,
            asking=self.asking,
        )
        with reporting(progress, "page") as report:
            return self._engine.perform(lambda: write_page(file, self.rf, exhibit, cells, max_bytes, report))

    def code(self) -> str:
        """The line of Python that shows this view again; ``model`` stands for the model, ``image`` for an own image."""
        arguments = ["model"]
        if self.output_layer is not None:
            arguments.append(f"output_layer={self.output_layer!r}")
        if not isinstance(self.image, str):
            arguments.append("image=image")
        elif self.image != get_default_images()[0]:
            arguments.append(f"image={self.image!r}")
        for name in self._VIEW:
            value = getattr(self, name)
            if value != self.traits()[name].default_value:
                arguments.append(f"{name}={tuple(value) if isinstance(value, tuple) else value!r}")
        return f"RFWidget({', '.join(arguments)})"

    def __repr__(self) -> str:
        return self.code()

    def _picture(self) -> Callable[[], bytes]:
        """What the widget shows now, to be painted as a PNG file on any thread."""
        scene, answered, opacity = self._scene(), self._shown_answer, self.heat_opacity
        heat = answered.heat if answered is not None and self.show_heat else None
        drawings = self._drawings(scene.layout)
        return lambda: png_bytes(paint(scene, heat, drawings, opacity))

    def _drawings(self, layout: StageLayout) -> Drawings:
        """What the overlay draws in the browser."""
        view, query = self._view, self._overlay.query
        if view is None:
            return NOTHING
        return build_drawings(
            layout,
            view.input_shape,
            Layer(view.layer, view.field, view.grid),
            self.selected,
            query=None if query is None else Rect(*query),
            contours=self._overlay.contours,
            other=self._other_layer,
        )

    @property
    def _other_layer(self) -> Layer | None:
        """The layer to compare with, if it has been measured."""
        for row in self._survey or ():
            if self._survey is not None and row.name == self.compare_layer and not row.note:
                return Layer(row.name, self._survey.field(row.name), row.grid)
        return None

    def _contours_of(self, rf: ReceptiveField, view: View, progress: Progress) -> dict[str, Any]:
        return measure_contours(rf, view, self._engine.prepare, progress)

    def _download(self) -> None:
        self._overlay.download("receptive-field.png", self._picture()())

    def _copy(self) -> None:
        self._overlay.copy(self.code())
