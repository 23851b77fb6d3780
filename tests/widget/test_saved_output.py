"""The picture that is left of a widget in a saved notebook."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rfwidget.widget import saved_output
from rfwidget.widget.saved_output import SavedOutput
from rfwidget.widget.worker import MainThread


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, str]]:
    """How outputs are written, with what picture, and under which id."""
    calls: list[tuple[str, bytes, str]] = []

    def note(how: str) -> Any:
        return lambda bundle, raw, display_id: calls.append((how, bundle["image/png"], display_id)) if raw else None

    monkeypatch.setattr(saved_output, "display", note("new"))
    monkeypatch.setattr(saved_output, "update_display", note("renewed"))
    return calls


def test_it_is_renewed_in_place_once_nothing_has_changed_for_a_while(written: list[tuple[str, bytes, str]]) -> None:
    async def script() -> None:
        pictures = iter([b"first", b"second"])
        output = SavedOutput(lambda: lambda: next(pictures), MainThread())
        output.show()
        for _ in range(5):
            output.renew()
        while len(written) < 2:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(script(), 20))
    display_id = written[0][2]
    assert written == [("new", b"first", display_id), ("renewed", b"second", display_id)]


def test_what_is_not_shown_is_not_renewed(written: list[tuple[str, bytes, str]]) -> None:
    async def script() -> None:
        taken: list[int] = []
        output = SavedOutput(lambda: taken.append(1) or bytes, MainThread())
        output.renew()
        await asyncio.sleep(1.5)
        assert (taken, written) == ([], [])

    asyncio.run(asyncio.wait_for(script(), 20))
