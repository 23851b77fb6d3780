"""The tests on other Pythons, and with the lowest versions that pyproject.toml allows.

    python -m benchmarks.versions --python 3.12
    python -m benchmarks.versions --python 3.11 --lowest
    python -m benchmarks.versions --python 3.11 --lowest --extras tensorflow,torch,pandas,dask --set numpy==1.26.0
    python -m benchmarks.versions --table      # puts what has been run into docs/hosts.md

Each call makes an environment with uv (a wheel of this tree, its extras, the test group) and runs the tests there,
without those that need a browser. What was run is kept beside the environment, file by file; a second call runs what is
missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "hosts.md"
START, END = "<!-- table -->", "<!-- end of table -->"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
HERE = (
    "import importlib.metadata as m, json, platform; print(json.dumps({'Python': platform.python_version(), "
    "**{d.metadata['Name'].lower(): d.version for d in m.distributions()}}))"
)


def name_of(requirement: str) -> str:
    """The package of a requirement.

    >>> name_of("dask[distributed]>=2024.8")
    'dask'
    """
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()


def declared(extras: list[str]) -> list[str]:
    """What users get: the dependencies, and those of some extras."""
    wanted = [*PROJECT["project"]["dependencies"], *(need for extra in extras for need in EXTRAS[extra])]
    return list(dict.fromkeys(wanted))


def tools() -> list[str]:
    """What the tests need besides: the group ``test``, without rfwidget and what users get anyway."""
    groups = PROJECT["dependency-groups"]
    needs = [need for group in ("docs", "test") for need in groups[group] if isinstance(need, str)]
    users = {name_of(need) for need in declared(list(EXTRAS))} | {"rfwidget"}
    return [need for need in needs if name_of(need) not in users]


def uv(*arguments: str, **given: Any) -> str:
    """Run uv; what it says."""
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], check=True, text=True, capture_output=True, **given)
    return done.stdout


class Environment:
    """One environment, and what was run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.python, self.record = folder, folder / "bin" / "python", folder / "run.json"
        self.found: dict[str, Any] = {"pieces": {}}
        if self.record.exists():
            self.found = json.loads(self.record.read_text())

    def make(self, python: str, lowest: bool, extras: list[str], fixed: list[str]) -> None:
        """Install everything, unless it is there."""
        if self.found.get("versions"):
            return
        uv("venv", "--seed", "--clear", "--python", python, str(self.folder))
        wanted = self.folder / "wanted.txt"
        wanted.write_text("\n".join([*declared(extras), *fixed]))
        resolution = "lowest-direct" if lowest else "highest"
        pins = uv(
            "pip",
            "compile",
            "--python",
            str(self.python),
            "--resolution",
            resolution,
            "-q",
            "--no-strip-extras",
            str(wanted),
        )
        pinned = self.folder / "pinned.txt"
        # What users name themselves is as low, or as high, as it gets; what that needs in turn is pip's choice.
        names = {name_of(need) for need in declared(extras)}
        pinned.write_text("\n".join(line for line in pins.splitlines() if "==" in line and name_of(line) in names))
        uv("build", "--wheel", "--out-dir", str(self.folder / "wheel"), cwd=ROOT)
        (wheel,) = (self.folder / "wheel").glob("*.whl")
        needs = self.folder / "tools.txt"
        needs.write_text("\n".join(tools()))
        uv("pip", "install", "--python", str(self.python), "-r", str(pinned), "-r", str(needs), str(wheel))
        # The CUDA builds of PyTorch bring triton, whose import ends a process that has TensorFlow with a segmentation
        # fault (triton 3.7, TensorFlow 2.21); nobody needs it on a CPU.
        uv("pip", "uninstall", "--python", str(self.python), "triton")
        versions = subprocess.run([str(self.python), "-c", HERE], check=True, text=True, capture_output=True).stdout
        self.found.update(versions=json.loads(versions), lowest=lowest, extras=extras, fixed=fixed)
        self.keep()

    def keep(self, counts: dict[str, Counter[str]] | None = None, ended: Sequence[str] = ()) -> None:
        """Write down what was run."""
        self.found["pieces"].update({piece: dict((counts or {})[piece]) for piece in ended})
        self.record.write_text(json.dumps(self.found, indent=1))

    def run(self, wanted: list[str]) -> None:
        """Run what has not been run, all in one process; what is over is kept, if it is stopped half way."""
        left = [piece for piece in wanted if piece not in self.found["pieces"]]
        if not left:
            return
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        environment.pop("PYTHONPATH", None)
        command = [str(self.python), "-u", "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider", *left]
        counts: dict[str, Counter[str]] = {}
        with (
            (self.folder / "log.txt").open("a") as log,
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, stderr=log) as run,
        ):
            for line in run.stdout or ():
                log.write(line)
                log.flush()
                piece, outcome = said(line)
                if not piece:
                    continue
                if counts and piece not in counts:
                    self.keep(counts, ended=list(counts))  # pytest runs file after file
                counts.setdefault(piece, Counter())[outcome] += 1
        whole = run.returncode in (0, 1)  # pytest came to its end
        self.keep(counts, ended=list(counts)[: None if whole else -1])


def pieces() -> Iterator[str]:
    """The parts of the tests, each run on its own."""
    yield "rfwidget"
    for path in sorted((ROOT / "tests").glob("*/test_*.py")) + sorted((ROOT / "tests").glob("test_*.py")):
        if path.parent.name != "browser":
            yield str(path.relative_to(ROOT))


def said(line: str) -> tuple[str, str]:
    """The test file that a line of pytest speaks of, and how the test ended; ("", "") if it speaks of none.

    >>> said("tests/torch/test_rules.py::test_a[3-x] PASSED  [ 12%]")
    ('tests/torch/test_rules.py', 'passed')
    >>> said("rfwidget/types.py::rfwidget.types.Size FAILED  [ 1%]")
    ('rfwidget', 'failed')
    """
    found = re.match(r"(\S+?\.py)::.* (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", line)
    if found is None:
        return "", ""
    return (found[1] if found[1].startswith("tests/") else "rfwidget"), found[2].lower()


def table(runs: list[Environment]) -> str:
    """A column for each environment, and below it which files were run there."""
    lines = ["| | " + " | ".join(run.folder.name.replace("-", " ") for run in runs) + " |"]
    lines += ["| --- |" + " --- |" * len(runs)]
    lines += ["| Python | " + " | ".join(run.found["versions"]["Python"] for run in runs) + " |"]
    for name in map(name_of, declared(list(EXTRAS))):
        got = [run.found["versions"].get(name, "") if is_wanted(run, name) else "" for run in runs]
        lines.append(f"| {name} | " + " | ".join(got) + " |")
    for what in ("passed", "failed", "error", "skipped", "xfail", "xpass"):
        total = [sum(piece.get(what, 0) for piece in run.found["pieces"].values()) for run in runs]
        if any(total):
            lines.append(f"| tests {what} | " + " | ".join(map(str, total)) + " |")
    every = list(pieces())
    for run in runs:
        done, left = ([piece for piece in every if (piece in run.found["pieces"]) is ran] for ran in (True, False))
        told = f"all files but {_listed(left)}" if len(left) < len(done) else f"{_listed(done)}"
        lines += ["", f"Run in {run.folder.name.replace('-', ' ')}: {told}."]
    return "\n".join(lines)


def _listed(files: list[str]) -> str:
    return ", ".join(f"`{file}`" for file in files)


def is_wanted(run: Environment, name: str) -> bool:
    """Whether a package was asked for, and did not just come along."""
    return name in map(name_of, declared(run.found["extras"]))


def main() -> None:
    """Make an environment and run the tests in it, or write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--at", type=Path, default=Path.home() / ".cache" / "rfwidget-versions", help="where they lie")
    parser.add_argument("--python", help="version or path of a Python")
    parser.add_argument("--lowest", action="store_true", help="the lowest versions that are allowed, not the newest")
    parser.add_argument("--extras", default=",".join(EXTRAS), help="which extras, with commas between them")
    parser.add_argument("--set", action="append", default=[], dest="fixed", metavar="PACKAGE==VERSION")
    parser.add_argument(
        "--only", nargs="*", default=list(pieces()), metavar="PIECE", help="these test files, in this order"
    )
    parser.add_argument("--name", help="of the environment")
    parser.add_argument("--make", action="store_true", help="make the environment, and run nothing")
    parser.add_argument("--table", action="store_true", help="write the table of all environments")
    options = parser.parse_args()
    options.at.mkdir(parents=True, exist_ok=True)
    if options.table:
        made = table([Environment(path.parent) for path in sorted(options.at.glob("*/run.json"))])
        print(made)
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        PAGE.write_text(f"{before}{START}\n\n{made}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
        return
    kind = "lowest" if options.lowest else "newest"
    environment = Environment(options.at / (options.name or f"{kind}-{Path(options.python).name}"))
    environment.make(options.python, options.lowest, [e for e in options.extras.split(",") if e], options.fixed)
    if not options.make:
        environment.run(options.only)
        if any(piece.get("failed") or piece.get("error") for piece in environment.found["pieces"].values()):
            sys.exit("some tests failed: " + str(environment.folder / "log.txt"))


if __name__ == "__main__":
    main()
