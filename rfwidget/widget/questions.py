"""What a user can ask of the widget beyond one cell: which cells see this, how do layers compare, what is really used.

A base class of `RFWidget` that holds the traits of these questions and follows them; the widget itself is about the
selected cell. The slow answers come from a `Study`.
"""

from __future__ import annotations

from typing import Any

import traitlets

from rfwidget import checks
from rfwidget.errors import ReceptiveFieldError, unknown_layer
from rfwidget.geometry import check_box, check_pixel
from rfwidget.survey import Survey
from rfwidget.types import GridPoint, Rect, Size
from rfwidget.widget.overlay import Choice, Overlay, Query
from rfwidget.widget.settings import Settings
from rfwidget.widget.still import Still
from rfwidget.widget.strip import plain_rows
from rfwidget.widget.study import Study
from rfwidget.widget.traits import Checked, Flag
from rfwidget.widget.view import View


class Questions(Settings):
    """Traits of the questions beyond one cell, for a widget that has an overlay and a study."""

    query = Checked(None, help="Pixel (x, y) or box (left, top, right, bottom) whose cells are marked; None: none.")
    asking = Flag(False, help="Clicks and drags on the image ask which cells see it, as they do with Shift.")
    show_erf = Flag(False, help="Outline 50 and 95 % of the effective receptive field at the selected cell.")
    compare_layer = Checked(None, help="Name of a layer whose field is drawn beside that of the selected cell.")

    _overlay: Overlay
    _study: Study
    _still: Still
    _survey: Survey | None = None

    @property
    def survey(self) -> Survey | None:
        """Receptive fields of all layers, as in the strip below the image; None until they have been measured."""
        return self._survey

    def _take_questions(self) -> None:
        """Follow the traits and the pages from here on."""
        self.observe(self._on_query, "query")
        self.observe(self._on_asking, "asking")
        self.observe(self._on_show_erf, "show_erf")
        self.observe(self._on_compare_layer, "compare_layer")
        self._overlay.on_message(Query, self._on_page_query)
        self._overlay.on_message(Choice, self._on_page_choice)
        self._overlay.set(query=_edges(self.query), asking=self.asking, compare=self.compare_layer or "")

    @traitlets.validate("query")
    def _check_query(self, proposal: dict[str, Any]) -> GridPoint | Rect | None:
        value = proposal["value"]
        if value is None:
            return None
        image = Size(self._shape[1], self._shape[0])
        try:
            length = len(value)
        except TypeError:
            length = 0
        if length not in (2, 4):
            raise ReceptiveFieldError(
                f"query is {value!r}: expected a pixel (x, y) or a box (left, top, right, bottom)"
            )
        return check_pixel(value, image) if length == 2 else check_box(value, image)

    @traitlets.validate("compare_layer")
    def _check_compare_layer(self, proposal: dict[str, Any]) -> str | None:
        value = proposal["value"]
        if value is not None and not isinstance(value, str):
            raise ReceptiveFieldError(
                f"compare_layer is {checks.brief(value)}: expected the name of a layer, or None for no comparison"
            )
        if value is not None and self._view is not None and value not in self.rf.layers:
            raise unknown_layer(value, self.rf.layers)
        return value

    def _on_query(self, change: dict[str, Any]) -> None:
        self._overlay.set(query=_edges(change["new"]))
        self._still.renew()

    def _on_asking(self, change: dict[str, Any]) -> None:
        self._overlay.set(asking=change["new"])
        if not change["new"]:
            self.query = None

    def _on_show_erf(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            self._study.drop_outline()
            self._overlay.set(contours=None)
            self._still.renew()
        elif self._view is not None:
            self._study.outline(self._view)

    def _on_compare_layer(self, change: dict[str, Any]) -> None:
        self._overlay.set(compare=change["new"] or "")
        self._still.renew()

    def _on_page_query(self, query: Query) -> None:
        """A page has asked about a box; runs in a message handler."""
        if query.box is None:
            self.query = None
            return
        left, top, right, bottom = query.box
        height, width = self._shape[:2]
        if right <= width and bottom <= height:
            self.query = (left, top) if (right - left, bottom - top) == (1, 1) else query.box

    def _on_page_choice(self, choice: Choice) -> None:
        """A page wants another layer; runs in a message handler."""
        if self._view is not None and choice.name in self.rf.layers:
            self.output_layer = choice.name

    def _question(self, view: View) -> None:
        """Ask everything of a new view that depends on it."""
        if self.query is not None and not _inside(self.query, view):
            self.query = None
        known = self._survey
        if known is None or known.input_shape != view.input_shape:
            self._survey = None
            self._overlay.set(layers=[])
            self._study.survey(view)
        self._overlay.set(contours=None)
        if self.show_erf:
            self._study.outline(view)

    # What has come of it; the study's listener, on the main thread ----------------------------------------------------

    def on_survey(self, survey: Survey) -> None:
        """Show the strip, unless the image has another size by now."""
        if self._view is not None and survey.input_shape == self._view.input_shape:
            self._survey = survey
            self._overlay.set(layers=plain_rows(survey))
            if self.compare_layer is not None:
                self._still.renew()

    def on_contours(self, view: View, contours: dict[str, Any]) -> None:
        """Show the outlines, unless something else is shown by now."""
        if self.show_erf and self._view is not None and view.revision == self._view.revision:
            self._overlay.set(contours=contours)
            self._still.renew()

    def on_background(self, words: str) -> None:
        """Say what is going on while nobody waits."""
        self._overlay.set(background=words)


def _edges(query: GridPoint | Rect | None) -> list[int] | None:
    """A pixel or a box as left, top, right, bottom."""
    if query is None:
        return None
    edges = query if isinstance(query, Rect) else (query.x, query.y, query.x + 1, query.y + 1)
    return [int(edge) for edge in edges]


def _inside(query: GridPoint | Rect, view: View) -> bool:
    _, _, right, bottom = _edges(query) or (0, 0, 0, 0)
    return right <= view.input_shape.w and bottom <= view.input_shape.h
