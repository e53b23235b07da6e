"""Commands that are watched from outside: memory of all their processes, time to a first file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

_EVERY = 0.02
"""Seconds between two looks at the processes."""


def hetsim(*args: str | Path) -> list[str]:
    """A command of hetsim."""
    return [sys.executable, "-m", "hetsim", *map(str, args)]


def peak_memory(command: Sequence[str], cwd: Path) -> float:
    """The largest memory of a command and its descendants together while it ran, bytes.

    A page that several processes map counts once in all (proportional set size).

    Raises:
        AssertionError: the command failed.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("this system does not say how much memory processes share")
    largest = 0.0
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, env=environment())
    while process.poll() is None:
        largest = max(largest, sum(map(_share, _tree(process.pid))))
        time.sleep(_EVERY)
    assert process.returncode == 0, command
    return largest


def seconds_until(
    command: Sequence[str], cwd: Path, happened: Callable[[], bool]
) -> tuple[float, float]:
    """Seconds from the start of a command until something has happened; it is ended then.

    On the wall, and of the processors by all of its processes (0 where the system does not say).

    Raises:
        AssertionError: the command ended first.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, env=environment())
    try:
        while not happened():
            assert process.poll() is None, f"{command} ended first"
            time.sleep(_EVERY / 10)
        return time.perf_counter() - begun, sum(map(_busy, _tree(process.pid)))
    finally:
        process.terminate()
        process.wait()


def environment() -> dict[str, str]:
    """This process's, with the checkout on the path."""
    here = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}


def _tree(root: int) -> set[int]:
    """A process, those that it has started, and theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(entry.name)] = int(text.rsplit(")", 1)[1].split()[1])
    found, new = {root}, {root}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


def _busy(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _share(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0  # it has ended meanwhile
    return 1024.0 * next(int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:")
