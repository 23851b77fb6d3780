"""The tests on other Pythons, and with the lowest versions that pyproject.toml allows.

    python -m benchmarks.versions --python 3.12
    python -m benchmarks.versions --python 3.11 --lowest
    python -m benchmarks.versions --python 3.11 --lowest --extras tensorflow,torch,pandas,dask --set numpy==1.26.0
    python -m benchmarks.versions --table      # puts what has been run into docs/hosts.md; other columns stay

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
from datetime import date
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
    """Run uv; what it gives. What it says stays on the terminal, for that is where an error is."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], check=True, text=True, stdout=subprocess.PIPE, **given
    )
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
        self.found["day"] = date.today().isoformat()
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


def table(runs: list[Environment], before: str = "") -> str:
    """A column for each environment, and below it which files were run there.

    Args:
        runs: environments of this machine.
        before: a table that was written earlier: columns of environments that are not among ``runs`` stay as they are.

    >>> told = "| | old |\\n| --- | --- |\\n| numpy | 1.26.0 |\\n\\nRun in old: `a`."
    >>> table([], told) == told
    True
    """
    columns, files = _read(before)
    for run in runs:
        name = run.folder.name.replace("-", " ")
        columns[name], files[name] = _column(run), _files(run)
    shown = sorted(columns)
    rows = dict.fromkeys(row for name in shown for row in columns[name])
    lines = ["| | " + " | ".join(shown) + " |", "| --- |" + " --- |" * len(shown)]
    lines += [f"| {row} | " + " | ".join(columns[name].get(row, "") for name in shown) + " |" for row in rows]
    return "\n".join([*lines, *(line for name in shown for line in ("", f"Run in {name}: {files[name]}."))])


def _column(run: Environment) -> dict[str, str]:
    versions, pieces = run.found["versions"], run.found["pieces"].values()
    column = {"run on": run.found["day"], "Python": versions["Python"]}
    for name in map(name_of, declared(list(EXTRAS))):
        column[name] = versions.get(name, "") if is_wanted(run, name) else ""
    for what in ("passed", "failed", "error", "skipped", "xfail", "xpass"):
        if total := sum(piece.get(what, 0) for piece in pieces):
            column[f"tests {what}"] = str(total)
    return column


def _files(run: Environment) -> str:
    done, left = ([piece for piece in pieces() if (piece in run.found["pieces"]) is ran] for ran in (True, False))
    return f"all files but {_listed(left)}" if len(left) < len(done) else _listed(done)


def _read(text: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The columns of a table, and which files were run, both by the name of the environment."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    if not rows:
        return {}, {}
    names = rows[0][1:]
    columns = {name: {row: cells[k] for row, *cells in rows[2:] if cells[k]} for k, name in enumerate(names)}
    return columns, dict(re.findall(r"^Run in (.+?): (.+)\.$", text, flags=re.M))


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
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
        old, _, after = rest.partition(END)
        runs = [Environment(path.parent) for path in sorted(options.at.glob("*/run.json"))]
        made = table([run for run in runs if run.found["pieces"]], old)
        print(made)
        PAGE.write_text(f"{before}{START}\n\n{made}\n\n{END}{after}", encoding="utf-8")
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
