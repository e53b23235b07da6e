"""`topologies/million.yaml` from the command line: start-up, ten rounds and all files.

As a test this plays a shortened form and looks at its folder. `make bench` plays the whole of it in
a process of its own, and measures the processor seconds and the peak memory of that.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hetsim.core.table import Table
from hetsim.report.files import read

TOPOLOGY = Path(__file__).resolve().parents[2] / "topologies" / "million.yaml"
MILLION, COHORT = 10**6, 11_000
SHORT = (
    *(f"fleet[{place}].count=6000" for place in range(10)), "task.data.train=600000",
    "selection.cohort=300", "stop.rounds=2",
)  # fmt: skip


def play(out: Path, overrides: Sequence[str] = ()) -> tuple[float, float]:
    """Processor seconds and peak memory, in GB, of `hetsim run` in a process of its own."""
    sets = [word for text in overrides for word in ("--set", text)]
    command = [
        sys.executable, "-m", "hetsim", "run", str(TOPOLOGY), "--cost-only", "--quiet",
        "--out", str(out), *sets,
    ]  # fmt: skip
    child = os.posix_spawn(sys.executable, command, os.environ)
    _, status, used = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9


def test_a_shortened_million(tmp_path: Path) -> None:
    out = tmp_path / "run"
    play(out, SHORT)
    assert json.loads((out / "host.json").read_text())["played"] == "in columns: 60,000 devices"
    trace = read(out)
    assert isinstance(trace.devices, Table)
    devices = [row for row in trace.devices if row["role"] == "device"]
    assert len(devices) == 60_000
    summary = trace.summary
    assert sum(row["energy_j"] for row in trace.devices) == pytest.approx(
        summary["energy_j"]["total"], rel=1e-9
    )
    assert sum(row["asked"] for row in devices) == len(trace.participations) == 660
    assert sum(row["rounds_done"] for row in devices) == summary["device_rounds"] == 600
    assert all(row["idle_j"] > 0.0 for row in devices)
    assert (out / "report.html").stat().st_size < 6e6


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(900)
def test_ten_rounds_of_a_million(tmp_path: Path, row: Callable[..., None]) -> None:
    out = tmp_path / "run"
    seconds, memory = play(out)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["devices"], summary["rounds"]) == (MILLION, 10)
    assert summary["wasted"]["of"]["participations"] == 10 * COHORT
    row("million.yaml: processor seconds, files included", seconds, 60.0)
    row("million.yaml: peak memory, GB", memory, 3.0)
    row("million.yaml: report.html, MB", (out / "report.html").stat().st_size / 1e6, 6.0)
