"""Check the estimator on any number of random networks against the black-box oracle of the tests.

    python -m benchmarks.verify --networks 1000 --seed 0

Prints every network on which they differ as the expression that makes it again, and the smallest part of it that still
shows the difference; ends with status 1 if there is one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback

from tests.agreement import disagreements, simplest
from tests.blueprints import Blueprint
from tests.random_networks import random_blueprint


def _differences(blueprint: Blueprint) -> list[str]:
    try:
        return disagreements(blueprint)
    except Exception:
        return [traceback.format_exc(limit=-3)]


def main() -> int:
    """Run the networks and count the mismatches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first network")
    arguments = parser.parse_args()
    mismatches, began = 0, time.monotonic()
    for number in range(arguments.networks):
        seed = arguments.seed + number
        blueprint = random_blueprint(random.Random(seed))  # noqa: S311
        found = _differences(blueprint)
        if found:
            mismatches += 1
            print(f"\n# network {seed}\n{blueprint!r}", *found, f"simplest: {simplest(blueprint)!r}", sep="\n")
        if number % 50 == 49 or number == arguments.networks - 1:
            print(f"{number + 1} networks, {mismatches} mismatches, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
