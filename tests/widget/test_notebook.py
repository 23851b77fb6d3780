"""The kernel around the widget."""

from typing import Any

import comm
import pytest

from rfwidget.widget.canvas import MARKS, SceneCanvas
from rfwidget.widget.overlay import Overlay


class Remembering(comm.DummyComm):  # type: ignore[misc]
    """As comms of ipykernel 7.4 after the sub-shell that the widget last spoke from has been closed."""

    def _reply_subshell_for(self, _data: Any, _named: Any) -> str:
        return "closed"


@pytest.mark.parametrize("part", [Overlay, lambda: SceneCanvas().widget[MARKS]])
def test_what_a_page_says_is_handled_where_the_page_wants_it_whatever_the_widget_said_before(monkeypatch, part):
    monkeypatch.setattr(comm, "create_comm", Remembering)
    widget = part()
    assert isinstance(widget.comm, Remembering)
    assert widget.comm._reply_subshell_for({}, "open") == "open"
    widget.close()
