"""Random networks of one and three axes against the black box, as many as asked: ``python -m benchmarks.any_rank``.

The test command runs some of them; this runs more, and prints what is wrong and how long it took.
"""

from __future__ import annotations

import argparse
import importlib
import time

from tests.any_rank import verdicts


def main() -> None:
    """Count, and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wing", choices=("keras", "torch"), action="append", help="default: both")
    parser.add_argument("--sequences", type=int, default=300)
    parser.add_argument("--volumes", type=int, default=200)
    asked = parser.parse_args()
    for wing in asked.wing or ("keras", "torch"):
        make = importlib.import_module(f"tests.{wing}.any_rank").make
        for rank, count in ((1, asked.sequences), (3, asked.volumes)):
            begun = time.perf_counter()
            wrong = verdicts(rank, count, make)
            print(
                f"{wing}, {rank} axes: {count} networks, {len(wrong)} mismatches, {time.perf_counter() - begun:.0f} s"
            )
            print("\n".join(wrong))


if __name__ == "__main__":
    main()
