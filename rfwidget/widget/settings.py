"""What a user can set of the picture: layer, image, cell and looks, with their checks; and the scene that they make.

A base class of `RFWidget` that holds the traits; what follows from them is the widget's own affair.
"""

from __future__ import annotations

from typing import Any

import traitlets

from rfwidget import _validation
from rfwidget._validation import cell_inside
from rfwidget.errors import unknown_layer
from rfwidget.estimator import ReceptiveField
from rfwidget.image import as_array, as_model_input, as_picture, default_input
from rfwidget.types import GridPoint, GridShape, Size
from rfwidget.widget.heat import lookup_table
from rfwidget.widget.scene import Scene, build_scene
from rfwidget.widget.traits import Checked, Flag, Fraction
from rfwidget.widget.view import Answer, View

_BEYOND_ANY_GRID = Size(2**31, 2**31)


class Settings(traitlets.HasTraits):
    """Traits of what is shown, for a widget that has an estimator and a view."""

    selected = traitlets.Any(None, help="The cell (x, y) whose gradient map is shown; None: none.")
    output_layer = traitlets.Any(None, help="Name of the layer; setting it measures that layer.")
    image = traitlets.Any(None, help="Array (height, width, channels) or the name of a sample image.")
    channel = traitlets.Any(None, help="Output channel of the gradient maps; None: the mean of all.")
    show_heat = Flag(True, help="Show the gradient map.")
    show_dots = Flag(True, help="Show the centres of all receptive fields.")
    show_rectangles = Flag(True, help="Show the fields of the first, central and last cell.")
    show_naive = Flag(False, help="Show those cells if the grid were stretched linearly over the image.")
    heat_opacity = Fraction(0.8, help="Opacity of the gradient map, 0..1.")
    colormap = Checked("coolwarm", help="Name of a matplotlib colour map.")
    signed = Flag(True, help="Show the sign of the gradient; otherwise its magnitude.")

    rf: ReceptiveField
    _shape: tuple[int, ...]
    _fixed_shape: bool
    _view: View | None
    _answer: Answer | None

    @traitlets.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> GridPoint | None:
        if proposal["value"] is None:
            return None
        return cell_inside(proposal["value"], _BEYOND_ANY_GRID if self._view is None else self._view.grid)

    @traitlets.validate("channel")
    def _check_channel(self, proposal: dict[str, Any]) -> int | None:
        value = proposal["value"]
        return _validation.channel_index(value, 2**31 if self._view is None else self._view.channels)

    @traitlets.validate("image")
    def _check_image(self, proposal: dict[str, Any]) -> Any:
        value = proposal["value"]
        if isinstance(value, str):
            default_input(GridShape(None, 1, 1, 3), value)
            return value
        pixels = as_array(value)
        if self._fixed_shape:
            as_model_input(pixels, _grid_shape(self._shape))
        return pixels

    @traitlets.validate("colormap")
    def _check_colormap(self, proposal: dict[str, Any]) -> str:
        lookup_table(proposal["value"])
        return str(proposal["value"])

    @traitlets.validate("output_layer")
    def _check_output_layer(self, proposal: dict[str, Any]) -> str | None:
        value = _validation.layer_name("output_layer", proposal["value"])
        if self._view is not None and value is not None and value not in self.rf.layers:
            raise unknown_layer(value, self.rf.layers)
        return value

    def _scene(self) -> Scene:
        view = self._view
        if view is None:
            shape = _grid_shape(self._shape)
            pixels = default_input(shape, self.image) if isinstance(self.image, str) else self.image
            return build_scene(as_picture(pixels), shape)
        return self._scene_of(view)

    def _scene_of(self, view: View) -> Scene:
        return build_scene(
            view.picture,
            view.input_shape,
            view.field,
            view.grid,
            dots=self.show_dots,
            rectangles=self.show_rectangles,
            naive=self.show_naive,
        )

    @property
    def _shown_answer(self) -> Answer | None:
        """The answer to the selected cell; an older one is not what the widget shows."""
        return self._answer if self._answer is not None and self._answer.cell == self.selected else None


def _grid_shape(shape: tuple[int, ...]) -> GridShape:
    return GridShape(None, shape[1], shape[0], shape[2])
