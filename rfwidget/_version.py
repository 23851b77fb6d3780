"""The version, in one place; package.json must agree (a test compares them)."""

__version__ = "0.1.0"
