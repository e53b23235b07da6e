"""The examples run as they stand, without a data folder, and say what they promise to say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))


def said_by(name: str, folder: Path) -> str:
    """What an example prints, run in a folder of its own."""
    [example] = [path for path in EXAMPLES if path.stem == name]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def test_there_is_a_test_for_each() -> None:
    tested = {"what_if_governor", "who_drops_out", "race_to_accuracy"}
    assert {path.stem for path in EXAMPLES} == tested


@pytest.mark.slow
def test_what_if_governor(tmp_path: Path) -> None:
    said = said_by("what_if_governor", tmp_path)
    rows = re.findall(r"^(\w+) +([\d.]+) s +([\d.]+) J +([\d.]+) J$", said, re.M)
    assert [row[0] for row in rows] == ["performance", "schedutil", "powersave"]
    seconds = {name: float(time) for name, time, *_ in rows}
    assert seconds["performance"] < seconds["schedutil"] < seconds["powersave"]
    assert all(0.0 < float(compute) <= float(active) for *_, compute, active in rows)


@pytest.mark.slow
def test_who_drops_out(tmp_path: Path) -> None:
    said = said_by("who_drops_out", tmp_path)
    assert re.search(r"^pixel_3-0 +battery +after \d+ rounds$", said, re.M)
    assert re.search(r"^stm32l4r5-0 +memory +after 0 rounds$", said, re.M)
    assert "the battery is empty" in said
    [page] = tmp_path.glob("runs/*/timeline.html")
    assert page.stat().st_size > 1e6


@pytest.mark.slow
def test_race_to_accuracy(tmp_path: Path) -> None:
    said = said_by("race_to_accuracy", tmp_path)
    found = re.findall(r"^(\w+) +([\d.]+) s +([\d.]+) J, best accuracy (0\.\d+)$", said, re.M)
    assert [row[0] for row in found] == ["fedavg", "fednova"]
    assert all(float(best) >= 0.85 for *_, best in found)
