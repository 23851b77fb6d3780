"""Random PyTorch modules against the pixel oracle: every cell of a thousand of them.

python -m benchmarks.torch_oracle            # 1,000 modules
python -m benchmarks.torch_oracle 5000 200   # from seed 5000, 200 modules

Those without output on so small an image do not count.
"""

from __future__ import annotations

import itertools
import sys

import torch

from tests.torch.random_modules import random_module
from tests.torch.test_against_oracle import mismatches


def main() -> None:
    first, count = (int(word) for word in [*sys.argv[1:], "1000", "1000"][:2])
    if len(sys.argv) == 1:
        first = 1000
    torch.set_num_threads(1)
    compared = wrong = 0
    for seed in itertools.count(first):
        module = random_module(seed)
        found = mismatches(module, seed, fields=seed % 4 == 0)
        compared += found is not None
        if found:
            wrong += 1
            print(f"seed {seed}: {len(found)} cells differ, {found[0]}\n{module}", flush=True)
        if compared == count:
            print(f"{compared} modules compared, of seeds {first} to {seed}: {wrong} wrong")
            return


if __name__ == "__main__":
    main()
