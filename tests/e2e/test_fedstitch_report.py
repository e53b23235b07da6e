"""The FedStitch report: rebuilt tiny, and its page follows from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table

TABLES = {
    "accuracy", "ends", "goals", "budgets", "networks", "memory", "limits", "totals", "deadlines",
    "longer", "published",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("shared")
def test_a_tiny_one_is_made_and_drawn(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["report", "fedstitch", "--scale", "smoke", "--measured", str(shared), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    assert {path.stem for path in folder.glob("*.csv")} >= TABLES
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    figures = [path.name for path in folder.glob("*.svg")]
    assert len(figures) == 5
    for figure in figures:
        assert f"defaults by hetsim.]({figure})" in page

    for row in read_table(folder / "ends.csv"):
        kinds = sum(
            row[f"device_{kind}"]
            for kind in ("compute_j", "memory_j", "radio_j", "idle_j", "loss_j")
        )
        assert kinds == pytest.approx(row["device_j"], rel=1e-6)
        assert row["device_active_j"] < row["device_participant_j"] < row["device_j"]
        assert (row["scored"] is not None) == (row["method"] == "FedStitch")
        if row["method"] == "exclusive":
            assert row["excluded"] == {"tight": 15, "loose": 10}[row["memory"]]
        if row["method"] in ("FedStitch", "memory-blind", "all-small", "best small"):
            assert row["excluded"] == 0

    ends = {
        (row["method"], row["variant"], row["memory"], row["seed"], row["alpha"]): row
        for row in read_table(folder / "ends.csv")
    }
    for row in read_table(folder / "goals.csv"):
        other = ends[row["method"], "default", row["memory"], row["seed"], row["alpha"]]
        memory = "tight" if row["memory"] == "blind" else row["memory"]
        ours = ends["FedStitch", row["stitched_as"], memory, row["seed"], row["alpha"]]
        assert row["goal"] == min(ours["best"], other["best"])
        assert row["stitched_simulated_s"] <= ours["simulated_s"]
        assert row["other_simulated_s"] <= other["simulated_s"]

    for row in read_table(folder / "budgets.csv"):
        assert row["trains"] == row["trains_reference"]
