"""`topologies/million.yaml` from the command line: start-up, ten rounds and all files.

As a test this plays a twentieth of it, cells included, and looks at its folder. `make bench` plays
the whole of it in a process of its own, and measures the processor seconds and the peak memory.
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
COUNTS = 11_000, 9_000, 6_000, 3_000, 2_000, 8_000, 3_000, 2_000, 4_000, 2_000
TWENTIETH = (
    *(f"fleet[{place}].count={count}" for place, count in enumerate(COUNTS)),
    *(f"network.nodes.{name}.count={count}" for name, count in (
        ("home", 6), ("office", 2), ("mast", 2)
    )),
    "task.data.train=500000", "selection.cohort=500",
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


def test_a_twentieth_of_a_million(tmp_path: Path) -> None:
    """Ten rounds in which devices leave, come, are too late and run out of charge."""
    out = tmp_path / "run"
    play(out, TWENTIETH)
    assert json.loads((out / "host.json").read_text())["played"] == "in columns: 50,000 devices"
    trace = read(out)
    assert isinstance(trace.devices, Table)
    devices = [row for row in trace.devices if row["role"] == "device"]
    assert len(devices) == 50_000
    summary = trace.summary
    assert sum(row["energy_j"] for row in trace.devices) == pytest.approx(
        summary["energy_j"]["total"], rel=1e-9
    )
    assert sum(row["asked"] for row in devices) == len(trace.participations) == 5500
    assert sum(row["rounds_done"] for row in devices) == summary["device_rounds"]
    assert all(row["energy_j"] > 0.0 for row in devices)
    dropped = summary["dropouts"]
    assert dropped["memory"] == COUNTS[8] + COUNTS[9]
    assert all(dropped[cause] > 0 for cause in ("battery", "churn", "deadline", "surplus"))
    assert summary["device_rounds"] + sum(dropped.values()) - dropped["memory"] == 5500
    assert any(0.0 < span.progress < 1.0 for span in trace.spans if span.outcome == "battery")
    empty = [row for row in devices if row["battery_end_wh"] == 0.0]
    assert {row["profile"] for row in empty} == {"raspberry_pi_zero_2_w"}
    assert len(empty) == COUNTS[4]
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
