from __future__ import annotations

import subprocess
import sys

import pytest

from hetsim.study import footprint

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of every process")


@linux
def test_a_large_array_is_seen_and_remembered() -> None:
    """In a process of its own: this one may have that much free, and still resident."""
    code = """
from hetsim.study import footprint
before = footprint.resident()
held = bytearray(b"x") * 200_000_000
during = footprint.resident()
del held
print(before, during, footprint.peaks()["process_peak_b"])
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    before, during, peak = map(float, said.stdout.split())
    assert during - before > 150e6
    assert peak > 0.99 * during


@linux
def test_workers_count() -> None:
    code = "held = bytearray(b'x') * 60_000_000; print(1, flush=True); input()"
    before = footprint.peaks()["workers_peak_b"]
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        assert footprint.peaks()["workers_peak_b"] - before > 55e6
        child.communicate(b"\n")


def test_where_nothing_is_known_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(footprint, "_PROCESSES", tmp_path)
    assert footprint.resident() is None
    assert "workers_peak_b" not in footprint.peaks()
