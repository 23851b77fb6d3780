"""The PyTorch estimator of the original library beside this one's, on the README model: measuring, and a gradient.

python -m benchmarks.torch_original          # puts a table into docs/benchmarks-pytorch.md; sets up the original once

Both take turns, each in a process of its own; the original's environment has the same PyTorch. It asks for modules that
keep their maps in a list ``feature_maps``, and backpropagates through the whole image.
"""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = (96, 224, 1024)
ROUNDS = 5
ENOUGH = 10.0
"""Seconds of one thing: a first round that takes as long counts, and no other follows it."""
LIMIT = 120.0
"""Seconds after which a process is ended that has not answered."""
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks-pytorch.md"
START, END = "<!-- original -->", "<!-- end of original -->"


def readme(nn):
    return nn.Sequential(
        nn.Conv2d(3, 32, 5), nn.Conv2d(32, 32, 3), nn.AvgPool2d(2), nn.Conv2d(32, 64, 3), nn.Conv2d(64, 64, 3),
        nn.AvgPool2d(2), nn.Conv2d(64, 128, 3), nn.Conv2d(128, 128, 3),
    )  # fmt: skip


class Ours:
    """This library."""

    def __init__(self, size):
        import numpy as np
        from torch import nn

        self._shape, self._image = (3, size, size), np.random.default_rng(1).random((size, size, 3), np.float32)
        self._make = lambda: readme(nn)

    def compute(self):
        from rfwidget.torch import TorchReceptiveField

        self._rf = TorchReceptiveField(self._make)
        found = self._rf.compute(self._shape)
        return [*found.offset, *found.stride, *found.size]

    def gradient(self):
        grid = self._rf.output_shape
        self._rf.gradient_at((grid.w // 2, grid.h // 2), self._image)


class Original:
    """The library that this one follows."""

    def __init__(self, size):
        import torch
        from receptivefield.pytorch import PytorchReceptiveField
        from receptivefield.types import GridPoint
        from torch import nn

        class Module(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = readme(nn)
                with torch.no_grad():  # as its documentation asks for
                    for parameter in self.parameters():
                        parameter.fill_(1e-3 if parameter.dim() > 1 else 0)

            def forward(self, x):
                self.feature_maps = [self.layers(x)]
                return self.feature_maps[0]

        self._shape, self._point = (size, size, 3), GridPoint
        self._make = lambda: PytorchReceptiveField(Module)

    def compute(self):
        self._rf = self._make()
        found = self._rf.compute(self._shape)[0].rf
        return [*found.offset, *found.stride, *found.size]

    def gradient(self):
        grid = self._rf.output_shapes[0]
        self._rf._get_gradient_from_grid_points([self._point(grid.w // 2, grid.h // 2)])


def worker(tool, size, threads):
    """Does and times one thing for each line that it reads."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print goes elsewhere
    import torch

    torch.set_num_threads(threads)
    made = {"ours": Ours, "original": Original}[tool](size)
    for line in sys.stdin:
        began = time.perf_counter()
        try:
            found = getattr(made, line.strip())()
            answer = {"seconds": time.perf_counter() - began, "found": found}
        except Exception as error:  # of the original's own
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer, default=float) + "\n")
        answers.flush()


class Process:
    """A worker."""

    def __init__(self, python: str, tool: str, size: int, threads: int) -> None:
        root = Path(__file__).parents[1]
        settings = {**os.environ, "PYTHONPATH": str(root)} if tool == "ours" else dict(os.environ)
        self._process = subprocess.Popen(
            [python, __file__, tool, str(size), str(threads)], text=True, env=settings,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, what: str) -> dict[str, object]:
        """Have it do one thing."""
        print(what, file=self._process.stdin, flush=True)
        if not select.select([self._process.stdout], [], [], LIMIT)[0]:
            self._process.kill()
            return {"error": f"more than {LIMIT:g} s"}
        answer: dict[str, object] = json.loads(next(iter(self._process.stdout or ())))
        return answer

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def row(pythons: dict[str, str], size: int, threads: int) -> str:
    """What both take on images of one size."""
    tools = {tool: Process(python, tool, size, threads) for tool, python in pythons.items()}
    times: dict[tuple[str, str], list[float]] = {}
    found, failures = {}, {}
    for what in ("compute", "gradient"):
        for turn in range(ROUNDS + 1):
            for tool, process in tools.items():
                answer = {} if tool in failures else process.ask(what)
                if "error" in answer:
                    failures[tool] = answer["error"]
                elif answer:
                    times.setdefault((what, tool), []).append(float(str(answer["seconds"])))
                    found[tool] = answer["found"] if what == "compute" else found[tool]
            first = {tool: seen[0] for (asked, tool), seen in times.items() if asked == what}
            if max(first.values(), default=0.0) > ENOUGH:
                break
            if turn == 0:
                for tool in tools:
                    times.pop((what, tool), None)
    for process in tools.values():
        process.end()
    cells = [str(size)]
    for what in ("compute", "gradient"):
        ours, theirs = (statistics.median(times.get((what, tool), [0])) * 1e3 for tool in ("ours", "original"))
        cells += [f"{ours:.1f}", f"{theirs:.0f}", f"{theirs / ours:.1f}"] if theirs else [f"{ours:.1f}", "none", ""]
    agree = "yes" if found.get("ours") == found.get("original") else f"no: {found.get('original', failures)}"
    return "| " + " | ".join([*cells, agree]) + " |"


def main() -> None:
    """Measure, print the table and put it into its page."""
    import torch

    from benchmarks.machine import describe_machine
    from benchmarks.original import original_python

    threads = 1  # several wait for each other where the machine has other things to do
    pythons = {"ours": sys.executable, "original": original_python(torch=torch.__version__.partition("+")[0])}
    lines = [
        "## Beside the original library", "",
        "Written by `python -m benchmarks.torch_original`: `PytorchReceptiveField` of `receptivefield` 0.5.0 beside "
        f"this library, both with PyTorch {torch.__version__} in one thread, in turns on {describe_machine()}.", "",
        "The README model, built anew for `compute`; medians in milliseconds. *Gradient* is that of the central cell, "
        "here on a window, there on the whole image. *Agree*: whether offset, stride and size are the same. "
        f"What takes more than {ENOUGH:g} seconds is done once.", "",
        "| image | compute | original | times | gradient | original | times | agree |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    lines += [row(pythons, size, threads) for size in SIZES]
    text = "\n".join(lines)
    print(text)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    PAGE.write_text(f"{before}{START}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        worker(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
