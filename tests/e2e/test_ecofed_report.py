"""The EcoFed report: rebuilt tiny, and its page follows from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table

TABLES = {
    "bytes", "times", "speedups", "contention", "joules", "edpfl_fit", "edpfl_runs",
    "edpfl_rounds", "edpfl_ratios", "edpfl_alternatives", "accuracy", "accuracy_end",
    "accuracy_goal", "adaptive",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("shared")
def test_a_tiny_one_is_made_and_drawn(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["report", "ecofed", "--scale", "smoke", "--measured", str(shared), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    assert {path.stem for path in folder.glob("*.csv")} == TABLES
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    for figure in folder.glob("*.svg"):
        assert f"({figure.name})" in page

    for row in read_table(folder / "bytes.csv"):
        assert row["mib"] == pytest.approx(row["paper_mib"], rel=0.015)
        assert (row["enrolment_mib"] > 0) == (row["method"] == "ecofed")

    for row in read_table(folder / "times.csv"):
        parts = row["device_s"] + row["network_s"] + row["server_s"]
        assert row["seconds"] == pytest.approx(parts, rel=1e-9)
        assert min(row["device_s"], row["network_s"], row["server_s"]) >= -1e-6 * row["seconds"]

    for row in read_table(folder / "speedups.csv"):
        assert row["dpfl_over_ecofed"] == pytest.approx(2.86, rel=1e-6)
        assert row["fl_over_ecofed"] == pytest.approx(row["closed_form_fl"], rel=2e-3)

    for row in read_table(folder / "contention.csv"):
        assert row["round_s"] == pytest.approx(row["closed_form_s"], rel=0.01)

    for row in read_table(folder / "joules.csv"):
        assert row["device_active_j"] < row["device_participant_j"] < row["device_total_j"]
        assert row["rounds"] == 2
