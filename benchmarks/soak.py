"""Whether widgets leave anything behind: many lives, or one long one under steady clicks.

    python -m benchmarks.soak --lives 1000
    python -m benchmarks.soak --minutes 30

Many lives are those of tests/widget/test_life.py; the long one is of the README model, gradients and all.
Prints the process' memory, its threads and the widgets that ipywidgets knows, as time goes on.
"""

from __future__ import annotations

import argparse
import gc
import threading
import time
from pathlib import Path

import ipywidgets

from benchmarks.machine import describe_machine
from rfwidget import RFWidget
from tests.models import readme_model
from tests.widget.live_page import LivePage
from tests.widget.test_life import live

CLICKS_PER_SECOND = 5


def report(what: str) -> None:
    """One line of figures."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    known = len(ipywidgets.widgets.widget._instances)
    print(
        f"{what:>12}: {pages * 4 / 1024:7.1f} MiB, {threading.active_count()} threads, {known} widgets known",
        flush=True,
    )


def many_lives(count: int) -> None:
    """Create, use and close widgets."""
    report("at first")
    for number in range(1, count + 1):
        live()
        if number % max(1, count // 10) == 0:
            report(f"{number} lives")


def one_long_life(minutes: float) -> None:
    """Click a widget at a steady pace."""
    widget = RFWidget(readme_model)
    widget.wait()
    page = LivePage(widget)
    report("at first")
    begin, clicks, answers, shown = time.monotonic(), 0, 0, 0
    while (passed := time.monotonic() - begin) < 60 * minutes:
        page.request(clicks % 16, clicks // 16 % 16, seq=clicks + 1)
        clicks += 1
        widget.wait()
        answers += len(page.got("answer"))
        page.messages.clear()
        if passed // 60 >= shown:
            report(f"{shown} minutes")
            shown += 1
        time.sleep(max(0.0, begin + clicks / CLICKS_PER_SECOND - time.monotonic()))
    report("in the end")
    print(f"{clicks} clicks, {answers} answers")
    widget.close()
    report("closed")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0.0)
    options = parser.parse_args()
    print(describe_machine())
    if options.lives:
        many_lives(options.lives)
    if options.minutes:
        one_long_life(options.minutes)


if __name__ == "__main__":
    main()
