"""``python -m rfwidget``: the command line."""

from rfwidget.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
