"""The words of the widget that depend on what the model takes: signals have samples and intervals, images pixels and
boxes, volumes voxels.

They travel to the page as data, so that its code is the same for all.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Terms(NamedTuple):
    """What things are called.

    Attributes:
        thing: what the model takes.
        element: the smallest part of it.
        part: a larger part of it that can be asked about.
        first: where the first cell's field is.
        last: where the last cell's field is.
        unit: of lengths.
        before: what stands before the edges of a part.
        whole: all that a field covers.
    """

    thing: str
    element: str
    part: str
    first: str
    last: str
    unit: str
    before: str
    whole: str


TERMS = {
    1: Terms("signal", "sample", "an interval", "at the beginning", "at the end", "samples", "samples ", "length"),
    2: Terms("image", "pixel", "a box", "top left", "bottom right", "px", "the box ", "area"),
    3: Terms(
        "volume",
        "voxel",
        "a box",
        "at the front, top left",
        "at the back, bottom right",
        "voxels",
        "the box ",
        "volume",
    ),
}
"""By the number of axes of the model's input."""

_ARROWS = {1: "\u2190 \u2192", 2: "\u2190 \u2191 \u2192 \u2193", 3: "\u2190 \u2191 \u2192 \u2193, Page up, down"}
_CORNERS = {1: "ends", 2: "corners", 3: "corners"}
_DROP = ("drop, paste", "look at a picture of your own")

_THROUGH = ("Alt + wheel", "the next cell along the axis that the section cuts; the slider does so along z")

_CUTS = ("thin crosses, faint boxes", "where the other sections cut; boxes that this section does not meet")

_ABSENT = {1: ("show_pixels",), 3: ("show_erf", "show_pixels", "live")}
"""Switches that there are not: a drawing is all that is shown of a signal; of volumes no maps are held."""

_BUTTONS = {
    "open": ("Open\u2026", "Open a picture: choose a file, drop it here, or paste it"),
    "code": ("Code", "Copy the line of Python that shows this view again"),
    "png": ("PNG", "Save what is shown as a picture"),
    "page": ("Page", "Save a page that works without a kernel"),
    "screen": ("", "Fill the screen"),
    "help": ("?", "Help"),
}
"""What stands on the buttons of the bar, and what they do."""

_MAPS = {
    "attention": ("attention", "What the selected cell's token attends to in the last attention, mean of the heads"),
    "rollout": ("rollout", "Attention of the selected cell's token rolled out over depth"),
}
"""What stands in place of the gradient map where another heat map is shown."""

Rows = list[tuple[str, str]]


def words_to_json(axes: int) -> dict[str, Any]:
    """As `Words` in js/protocol.ts, for inputs of so many axes.

    >>> words_to_json(1)["labels"]["show_dots"]
    ('centres', 'Centres of the receptive fields of the cells')
    """
    terms = TERMS[axes]
    return {
        "thing": terms.thing.capitalize(),
        "element": terms.element,
        "unit": terms.unit,
        "part": terms.before,
        "whole": terms.whole,
        "help": _help(axes),
        "keys": _keys(axes),
        "labels": {**_BUTTONS, **_MAPS, **_chips(axes)},
    }


def heat_in_words(axes: int, heat: str) -> str:
    """What a heat map is called, of one of `rfwidget.widget.view.HEAT_MAPS`.

    >>> heat_in_words(2, "gradient"), heat_in_words(2, "rollout")
    ('gradient map', 'rollout')
    """
    return (_MAPS.get(heat) or _chips(axes)["show_heat"])[0]


def _help(axes: int) -> list[tuple[str, Rows]]:
    """The sheet with mouse, keys and colours."""
    thing, element, part, *_ = TERMS[axes]
    mouse = [
        ("hover", f"receptive field{'' if axes == 3 else ' and gradient map'} of the nearest cell"),
        ("click, drag", f"select that cell: its gradient map is {'computed and ' if axes == 3 else ''}drawn"),
        ("Shift + click or drag", f"mark the cells that see a {element}, or all of {part}"),
        ("Ctrl + wheel, pinch", "zoom; drag with Alt, the middle button or two fingers to move"),
        ("double click", f"the whole {thing} again"),
        *([_DROP] if axes == 2 else []),
        *([_THROUGH] if axes == 3 else []),
    ]
    keys = [
        (_ARROWS[axes], "next cell, with Shift five further"),
        ("Home, End", "first and last cell"),
        ("Enter", "draw the cell anew"),
        ("q", "which cells see the centre of the selected field?"),
        ("+ \u2212 0", f"zoom in, out, whole {thing}"),
        ("Esc, Tab", "end the question, leave"),
    ]
    colours = [
        ("red, blue, green", "theoretical receptive field of the first, central and last cell"),
        ("white", "field of the selected cell; thin: of the one under the pointer; a cross marks the centre"),
        ("gradient map", f"where the cell's output depends on the {thing}, with the model's own weights"),
        ("dashed, fading", f"what overhangs the {thing}; arrows tell by how much"),
        *([_CUTS] if axes == 3 else []),
        ("yellow", "what was asked about, and the layer to compare with"),
        ("pale bars", f"layers whose field is larger than the {thing}, or that see no more than those before them"),
    ]
    return [("Mouse", mouse), ("Keys", keys), ("Colours", colours)]


def _keys(axes: int) -> str:
    """The keys in sentences, for those who hear them."""
    _, element, *_ = TERMS[axes]
    along = " and, along z, Page up and Page down" if axes == 3 else ""
    return (
        f"Arrow keys{along} move to the next cell, with Shift five cells; Home and End go to the {_CORNERS[axes]};"
        " Enter draws the cell anew; Q asks which cells see the centre of the selected one's field, as a click with"
        f" Shift does for any {element}; Escape ends that; plus, minus and zero zoom; question mark opens the help;"
        " Escape and Tab leave."
    )


def _chips(axes: int) -> dict[str, tuple[str, str]]:
    """For each switch what stands on it, and what it does."""
    thing, element, part, first, last, *_ = TERMS[axes]
    chips = {
        "show_first": ("first", f"Field of the first cell, {first}"),
        "show_central": ("central", "Field of the central cell"),
        "show_last": ("last", f"Field of the last cell, {last}"),
        "show_dots": ("centres", "Centres of the receptive fields of the cells"),
        "show_heat": ("gradient map", f"d(cell) / d({thing}) of the selected cell"),
        "spotlight": ("spotlight", f"Dim the {thing} around the selected field"),
        "show_erf": ("effective", "Outlines of the effective receptive field: 50 and 95 % of the mass"),
        "asking": (
            "who sees it?",
            f"Click a {element} or draw {part} to mark the cells that see it, as with Shift",
        ),
        "show_naive": ("naive grid", f"The same cells if the grid were stretched over the {thing}"),
        "show_pixels": (f"model's {element}s", f"The {thing} as the model gets it"),
        "live": ("live", "The gradient map follows the pointer, where it is there already"),
    }
    for absent in _ABSENT.get(axes, ()):
        del chips[absent]
    return chips
