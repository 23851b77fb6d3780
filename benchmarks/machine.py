"""The machine a benchmark ran on, in words that name neither it nor a place on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Processor, cores, memory and system, with the load of the minute before."""
    fields = dict(
        tuple(part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {fields.get('model name', platform.machine())} with {memory:.0f} GiB of memory, "
        f"{platform.system()}, Python {platform.python_version()} (load of the last minute: {os.getloadavg()[0]:.1f})"
    )
