"""The browser tests many times over: whether they pass every time.

    python -m benchmarks.browser_suite --times 20
    python -m benchmarks.browser_suite --times 5 tests/browser/test_quickstart.py

Fails after the last run if any test failed in any of them, and says which.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.machine import describe_machine


def run(tests: list[str]) -> tuple[str, list[str]]:
    """One run of pytest: its closing line, and the tests that failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--no-header", "--color=no"]
    command += ["--force-reruns=0", *tests]  # a test that needs its second try has failed here
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
        failed = failed or [f"the run itself (exit status {done.returncode})"]
    return (done.stdout.strip() or "no output").splitlines()[-1], failed


def main() -> None:
    """Run the tests as often as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("tests", nargs="*", default=["tests/browser"])
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    failures: Counter[str] = Counter()
    for number in range(1, options.times + 1):
        begin = time.monotonic()
        closing, failed = run(options.tests)
        failures.update(failed)
        print(f"run {number:2d}: {closing} ({time.monotonic() - begin:.0f} s)", flush=True)
    if failures:
        raise SystemExit("\n".join(f"{test}: failed {times} times" for test, times in failures.items()))
    print(f"{options.times} runs, not one failure")


if __name__ == "__main__":
    main()
