"""Storms in a real JupyterLab: random moves, clicks and drags, and how soon the last click is shown.

    python -m benchmarks.storm --steps 10000 --seeds 20

Fails if a storm does not end at its last click, if two requests are under way at once, or if an older heat map is
painted over a newer one. Prints what was measured. Needs Chromium, as the browser tests do.
"""

from __future__ import annotations

import argparse
import random

from benchmarks.lab import lab_and_browser
from benchmarks.machine import describe_machine
from tests.browser.jupyter import LabPage
from tests.browser.test_storm import WATCH_PAINTED, rage, settle, show
from tests.browser.traffic import Traffic, in_order_of


def storm(lab_page: LabPage, traffic: Traffic, seed: int, steps: int) -> None:
    """One storm in a fresh notebook."""
    overlay = show(lab_page, f"storm_{seed}")
    overlay.evaluate(WATCH_PAINTED)
    traffic.clear()
    last = rage(overlay, random.Random(seed), steps)  # noqa: S311 - no secret
    took = settle(overlay, last)
    requests, answers = traffic.requests(), traffic.answers()
    if traffic.most_in_flight() > 1:
        raise SystemExit(f"seed {seed}: {traffic.most_in_flight()} requests were under way at once")
    if not in_order_of(lab_page.page.evaluate("window.painted"), answers):
        raise SystemExit(f"seed {seed}: an older heat map was painted over a newer one")
    print(
        f"seed {seed:3d}: {steps} steps, {len(requests)} requests, {len(answers)} answers, at most "
        f"{traffic.busiest_second()} messages in a second, settled {1000 * took:.0f} ms after the last click",
        flush=True,
    )


def main() -> None:
    """Run the storms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    print(describe_machine())
    with lab_and_browser() as (server, chromium):
        for seed in range(options.first, options.first + options.seeds):
            page = chromium.new_page(viewport={"width": 1280, "height": 1000})
            lab_page = LabPage(page, server)
            traffic = Traffic(page)
            storm(lab_page, traffic, seed, options.steps)
            if lab_page.problems:
                raise SystemExit(f"seed {seed}: in the console: {lab_page.problems}")
            page.close()


if __name__ == "__main__":
    main()
