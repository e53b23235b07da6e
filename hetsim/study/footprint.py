"""Memory that a run takes on this host: of this process, and of those it has started.

Linux tells of every process; other Unix systems tell the peak of this one; elsewhere nothing is
known, and nothing is said.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from hetsim.core.quantities import Bytes

_PROCESSES = Path("/proc")


def resident() -> Bytes | None:
    """What this process takes now."""
    try:
        pages = (_PROCESSES / "self" / "statm").read_text().split()[1]
    except OSError:
        return None
    return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))


def peaks() -> dict[str, Bytes]:
    """The most that this process took so far, and each one under it, added up.

    What they share is counted for each.
    """
    own = _peak(os.getpid())
    if own is None:
        return _by_the_system()
    below = [peak for pid in _below(os.getpid()) if (peak := _peak(pid)) is not None]
    return {"process_peak_b": own, "workers_peak_b": sum(below)}


def _by_the_system() -> dict[str, Bytes]:
    try:
        import resource
    except ImportError:
        return {}
    unit = 1 if sys.platform == "darwin" else 1024
    return {"process_peak_b": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)}


def _peak(pid: int) -> Bytes | None:
    try:
        lines = (_PROCESSES / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024
    return None


def _below(pid: int) -> Iterator[int]:
    """Processes that `pid` has started, and theirs."""
    for children in (_PROCESSES / str(pid) / "task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for child in map(int, found):
            yield child
            yield from _below(child)
