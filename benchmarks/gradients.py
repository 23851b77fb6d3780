"""What a click costs: this library on a window and on the whole image, and the original `receptivefield` 0.5.0.

    python -m benchmarks.gradients                               # everything; writes docs/benchmarks.md
    python -m benchmarks.gradients --models README --sizes 96    # some of it, printed only

Every tool runs each case in a process of its own. The processes are asked in turn, so that whatever else the machine
does meets them alike; figures are medians, peaks are those of whole processes. The original gets an environment of its
own in the user's cache folder; that needs Python 3.11.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import describe_machine
from benchmarks.original import original_python

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "benchmarks.md"
MODELS = {
    "README": "feature_grid",
    "VGG16": "block3_conv3",
    "ResNet50": "conv3_block4_out",
    "MobileNet": "conv_pw_6_relu",
}
SIZES = (96, 224, 512, 1024, 2048)
LARGEST_WHOLE = 1024  # beyond, a whole image takes minutes and tens of GiB
SECONDS = 5  # for the gradients of one tool in one case
ROUNDS = (3, 12)  # at least and at most
ROW = 10  # gradients in a row, as of somebody who clicks around; a first one wakes the process up and does not count
HEADINGS = (
    *("model, layer", "image", "window", "ms", "batch", "whole", "original", "whole / ours", "original / ours"),
    *("first (s)", "peak", "peak whole", "peak original"),
)


class Timing(NamedTuple):
    """One tool in one case: seconds, GiB, and what it tells of itself."""

    gradient: float
    fastest: float
    prepare: float
    batch: float | None
    peak: float
    window: str


class Process:
    """A tool at work on a case."""

    def __init__(self, python: str, tool: str, model: str, size: int) -> None:
        command = [python, str(ROOT / "benchmarks" / "gradient_worker.py"), tool, model, str(size), MODELS[model]]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT) if tool != "original" else "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.tool = tool

    def ask(self, action: str) -> dict[str, Any]:
        """Have something done, and wait for it."""
        self._process.stdin.write(action + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{' '.join(self._process.args[2:])} failed at {action!r}")
        return json.loads(answer)

    def seconds(self, action: str) -> float:
        return float(self.ask(action)["seconds"][0])

    def gradients(self) -> list[float]:
        """Seconds of a few gradients in a row; of one if it takes long."""
        first = self.seconds("gradient")
        return [first] if first > 0.5 else self.ask(f"gradient {ROW}")["seconds"]

    def end(self) -> None:
        self._process.communicate()


@contextmanager
def processes(pythons: dict[str, str], model: str, size: int) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        started = []
        for tool, python in pythons.items():
            process = Process(python, tool, model, size)
            stack.callback(process.end)
            started.append(process)
        yield started


def gradients(pythons: dict[str, str], model: str, size: int) -> dict[str, Timing]:
    """All tools in one case, in turn."""
    with processes(pythons, model, size) as tools:
        prepare = {}
        for tool in tools:
            tool.ask("compute")
            prepare[tool.tool] = tool.seconds("prepare")
        times: dict[str, list[float]] = {tool.tool: [] for tool in tools}
        for tool in _in_turn(tools, times):
            times[tool.tool] += tool.gradients()
        result = {}
        for tool in tools:
            batch = None
            if tool.tool == "ours":
                tool.ask("batch")
                batch = statistics.median(tool.seconds("batch") / 64 for _ in range(3))
            facts = tool.ask("facts")
            result[tool.tool] = Timing(
                gradient=statistics.median(times[tool.tool]),
                fastest=min(times[tool.tool]),
                prepare=prepare[tool.tool],
                batch=batch,
                peak=facts["peak"],
                window=facts.get("window", ""),
            )
    return result


def _in_turn(tools: Sequence[Process], times: dict[str, list[float]]) -> Iterator[Process]:
    for turn in range(ROUNDS[1]):
        for tool in tools:
            if turn < ROUNDS[0] or sum(times[tool.tool]) < SECONDS:
                yield tool


def computes(pythons: dict[str, str], rounds: int) -> dict[str, tuple[float, float]]:
    """First and median time of measuring the README model at 96x96, building it included."""
    with processes(pythons, "README", 96) as tools:
        times: dict[str, list[float]] = {tool.tool: [tool.seconds("compute")] for tool in tools}
        for _ in range(rounds):
            for tool in tools:
                times[tool.tool].append(tool.seconds("compute"))
    return {tool: (first, statistics.median(rest)) for tool, (first, *rest) in times.items()}


def imports(pythons: dict[str, str], rounds: int) -> dict[str, float]:
    """Seconds that an import adds to a bare interpreter."""
    statements = {
        "import rfwidget": sys.executable,
        "from rfwidget import RFWidget": sys.executable,
        "from rfwidget.keras import KerasReceptiveField": sys.executable,
    }
    if "original" in pythons:
        statements["from receptivefield.keras import KerasReceptiveField"] = pythons["original"]
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(rounds + 1):
        for statement, python in statements.items():
            bare, full = (_run(python, words) for words in ("pass", statement))
            times[statement].append(full - bare)
    return {statement: statistics.median(seconds[1:]) for statement, seconds in times.items()}


def _run(python: str, statement: str) -> float:
    begin = time.perf_counter()
    subprocess.run([python, "-c", statement], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - begin


# -- the report -------------------------------------------------------------------------------------------------------


class Target(NamedTuple):
    """What was aimed at, and what the medians and the fastest runs give."""

    words: str
    median: float
    fastest: float
    at_least: bool
    limit: float

    @property
    def row(self) -> list[str]:
        holds = self.median >= self.limit if self.at_least else self.median <= self.limit
        bound = f"at {'least' if self.at_least else 'most'} {self.limit:g}"
        return [self.words, bound, f"{self.median:.1f}", f"{self.fastest:.1f}", "yes" if holds else "no"]


def targets(found: dict[tuple[str, int], dict[str, Timing]]) -> list[Target]:
    """The ratios this library aims at, as far as their cases were run."""

    def target(words: str, slow: Timing | None, fast: Timing | None, limit: float, at_least: bool = True) -> None:
        if slow is not None and fast is not None:
            ratios = slow.gradient / fast.gradient, slow.fastest / fast.fastest
            lines.append(Target(words, *ratios, at_least, limit))

    def timing(model: str, size: int, tool: str) -> Timing | None:
        return found.get((model, size), {}).get(tool)

    lines: list[Target] = []
    for size, ratio in ((96, 12), (224, 35), (1024, 300)):
        ours, original = timing("README", size, "ours"), timing("README", size, "original")
        target(f"README model at {size}: original / ours", original, ours, ratio)
    large, small = timing("README", 2048, "ours"), timing("README", 96, "ours")
    target("README model: ours at 2048 / ours at 96", large, small, 1.5, at_least=False)
    whole, ours = timing("ResNet50", 1024, "whole"), timing("ResNet50", 1024, "ours")
    target("ResNet50 at 1024: whole image / ours", whole, ours, 5)
    return lines


def report(
    found: dict[tuple[str, int], dict[str, Timing]],
    computed: dict[str, tuple[float, float]],
    imported: dict[str, float],
) -> str:
    parts = [
        "# Benchmarks",
        "`python -m benchmarks.gradients` wrote this page. It says what a click costs, and what it cost with the "
        "original library, `receptivefield` 0.5.0 on TensorFlow 2.15. All tools ran in turn on "
        f"{describe_machine()}.",
        "## The gradient of a cell",
        "Medians in milliseconds of `rf.gradient_at(point, image)`, array `(H, W, C)` included: on a *window* the size "
        "of the receptive field, which is what the library does, on the *whole* image, and by the *original*. "
        "*Batch* is the time of each of 64 cells in one call, *first* that of the first gradient, which compiles, in "
        "seconds. Peaks are of whole processes, in GiB. The README model is that of the first page.",
        _table(
            HEADINGS,
            [_row(model, size, case) for (model, size), case in found.items()],
        ),
    ]
    if computed:
        parts += [
            "## Measuring and starting",
            _table(
                ["README model at 96, model built anew", "first (s)", "median (s)"],
                [[_NAMES[tool], f"{first:.2f}", f"{median:.3f}"] for tool, (first, median) in computed.items()],
            ),
            _table(
                ["import", "median (s)"],
                [[f"`{statement}`", f"{seconds:.2f}"] for statement, seconds in imported.items()],
            ),
        ]
    if lines := targets(found):
        parts += [
            "## Targets",
            "By the medians; the fastest run of each tool is what other work on the machine disturbed least.",
            _table(["ratio", "target", "median", "fastest", "holds"], [line.row for line in lines]),
        ]
    return "\n\n".join(parts) + "\n"


_NAMES = {"ours": "`rfwidget`", "original": "`receptivefield` 0.5.0"}


def _row(model: str, size: int, case: dict[str, Timing]) -> list[str]:
    ours, whole, original = (case.get(tool) for tool in ("ours", "whole", "original"))
    return [
        f"{model}, `{MODELS[model]}`",
        str(size),
        ours.window,
        _ms(ours.gradient),
        _ms(ours.batch),
        *(_ms(other.gradient) if other else "" for other in (whole, original)),
        *(f"{other.gradient / ours.gradient:.1f}" if other else "" for other in (whole, original)),
        f"{ours.prepare:.1f}",
        *(f"{other.peak:.1f}" if other else "" for other in (ours, whole, original)),
    ]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f}" if seconds < 0.01 else f"{1000 * seconds:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS), help="names, comma-separated")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="sides of square images, comma-separated")
    parser.add_argument("--without-original", action="store_true")
    given = parser.parse_args()
    pythons = {"ours": sys.executable, "whole": sys.executable}
    if not given.without_original:
        pythons["original"] = original_python()
    complete = given.models == parser.get_default("models") and given.sizes == parser.get_default("sizes")
    found = {}
    for model in given.models.split(","):
        for size in map(int, given.sizes.split(",")):
            some = pythons if size <= LARGEST_WHOLE else {"ours": sys.executable}
            found[model, size] = gradients(some, model, size)
            print("| " + " | ".join(_row(model, size, found[model, size])) + " |", flush=True)
    computed = computes({tool: python for tool, python in pythons.items() if tool != "whole"}, rounds=9)
    text = report(found, computed, imports(pythons, rounds=3))
    print(text)
    if complete and not given.without_original:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
