"""A second try for tests of browsers: a real JupyterLab, kernel and Chromium on a shared machine are not ours alone.

Nothing is hidden: the first failure stands in the summary in full, and a closing line names each test that needed the
second try. A test that fails twice has failed. More than a few failures are a fault of ours, and get no second try.
"""

from __future__ import annotations

import pytest

AT_MOST = 5
"""Second tries in one run."""


def pytest_configure(config: pytest.Config) -> None:
    if config.option.max_suite_reruns is None:
        config.option.max_suite_reruns = AT_MOST


def pytest_itemcollected(item: pytest.Item) -> None:
    """Called for the tests below the folder of the conftest that has this hook, and for no others."""
    item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    first = terminalreporter.getreports("rerun")
    if not first:
        return
    terminalreporter.write_sep("=", "FIRST TRIES THAT FAILED", yellow=True, bold=True)
    for report in first:
        terminalreporter.write_sep("_", f"{report.nodeid} ({report.when})", yellow=True, bold=True)
        report.toterminal(terminalreporter._tw)
        for title, text in report.sections:
            terminalreporter.write_sep("-", title)
            terminalreporter.write_line(text)
    failed = {report.nodeid for kind in ("failed", "error") for report in terminalreporter.getreports(kind)}
    for name in dict.fromkeys(report.nodeid for report in first):
        told = "failed at the second try, too" if name in failed else "passed at the second try"
        terminalreporter.write_line(f"{told}: {name}", yellow=True)
