"""All tests: hypothesis draws the same examples every time, so that what passed once passes again."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
