"""Widgets that follow each other: the same place of the image is selected in all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint
from rfwidget.widget.ranks import own_cell
from rfwidget.widget.rf_widget import RFWidget
from rfwidget.widget.view import View, centre_of, nearest_cell


class Link:
    """Keeps widgets at the same place of their images, until it is undone.

    Args:
        widgets: two or more; their layers, grids, images and models may differ.
    """

    def __init__(self, *widgets: RFWidget) -> None:
        for widget in widgets:
            if not isinstance(widget, RFWidget):
                raise ReceptiveFieldError(f"link got a {type(widget).__name__}: expected widgets, link(a, b) say")
        if len(widgets) < 2:
            raise ReceptiveFieldError("link got fewer than two widgets: expected link(a, b)")
        self._widgets = widgets
        self._observers: list[Callable[[dict[str, Any]], None]] = []
        self._busy = False
        for widget in widgets:
            observer = self._observer(widget)
            self._observers.append(observer)
            widget.observe(observer, "selected")
        self._follow(widgets[0])

    def unlink(self) -> None:
        """Let the widgets go their own ways again."""
        for widget, observer in zip(self._widgets, self._observers, strict=True):
            widget.unobserve(observer, "selected")
        self._observers = []
        self._widgets = ()

    def _observer(self, widget: RFWidget) -> Callable[[dict[str, Any]], None]:
        return lambda _: self._follow(widget)

    def _follow(self, source: RFWidget) -> None:
        """Bring the others to where one of them is; they do not bring it anywhere in turn."""
        view, cell = source.view, source.selected
        if self._busy or view is None or cell is None:
            return
        self._busy = True
        try:
            for widget in self._widgets:
                other = widget.view
                if widget is not source and other is not None:
                    widget.selected = own_cell(same_place(view, cell, other), other.axes)
        finally:
            self._busy = False


def same_place(view: View, cell: GridPoint, other: View) -> GridPoint:
    """The cell of another view whose field is centred at the same part of its image's width and height."""
    if view.axes == 3 or other.axes == 3:
        return _same_place_of_volumes(view, cell, other)
    column, row = (*cell, 0)[:2]  # a sequence has one row
    x, y = view.field.x.centre_at(column), view.field.y.centre_at(row)
    across, along = other.input_shape.w / view.input_shape.w, other.input_shape.h / view.input_shape.h
    return nearest_cell(other, (x * across, y * along))


def _same_place_of_volumes(view: View, cell: GridPoint, other: View) -> GridPoint:
    """The same where there is a volume: along axes that the source does not have, the central cells."""
    lengths, own = other.input_shape.size, view.input_shape.size
    parts = [at / length for at, length in zip(centre_of(view, GridPoint(*(*cell, 0)[: len(own)])), own, strict=True)]
    parts = [*parts, 0.5][: len(lengths)]
    return nearest_cell(other, [part * length for part, length in zip(parts, lengths, strict=True)])


def link(*widgets: RFWidget) -> Link:
    """Have widgets follow each other: a cell selected in one is selected in all, by its place on the image.

    For two layers of one model, two models, or one model before and after training. Unlike ``ipywidgets.link``, which
    sets the same cell, it minds that grids differ.

    Args:
        widgets: two or more `RFWidget`; the others come to where the first one is.

    Returns:
        The link; its ``unlink()`` ends it.

    Raises:
        ReceptiveFieldError: if there are fewer than two, or something else.

    Example::

        before, after = RFWidget(untrained), RFWidget(trained)
        rfwidget.link(before, after)
    """
    return Link(*widgets)
