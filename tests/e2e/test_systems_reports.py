"""Reports of ways to train side by side: rebuilt tiny, their pages follow from their tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table

COUNTED = {
    "fedhm": {"fedhm_models", "fedhm_bars", "fedhm_rounds"},
    "fedlp": {"fedlp_levels", "fedlp_costs", "fedlp_uploads"},
    "spatl": {"spatl_networks", "spatl_traffic", "spatl_claims", "spatl_shares", "spatl_selection"},
    "systems": set[str](),
}
PLAYED = {"runs", "scores", "classes", "levels", "views", "goals"}
UNABLE = 16
"""Devices of `edge_levels` that have no room to train the whole network."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", COUNTED)
def test_a_tiny_one_is_made_and_drawn(
    name: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["report", name, "--scale", "smoke", "--measured", str(shared), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    assert {path.stem for path in folder.glob("*.csv")} == COUNTED[name] | PLAYED
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    figures = [path.name for path in folder.glob("*.svg")]
    assert len(figures) >= 3
    assert all(f"]({figure})" in page for figure in figures)

    runs = read_table(folder / "runs.csv")
    classes = read_table(folder / "classes.csv")
    for row in runs:
        mine = [
            each for each in classes
            if (each["scene"], each["way"]) == (row["scene"], row["way"])
        ]  # fmt: skip
        assert sum(each["excluded"] for each in mine) == row["excluded"]
        drawn = {"energy_j": "device_j", "active_j": "device_active_j"}
        for part, whole in drawn.items():
            assert sum(each[part] for each in mine) == pytest.approx(row[whole], rel=1e-9)
        assert row["device_active_j"] < row["device_j"]
        if len(mine) > 1:
            whole_network = row["way"] in ("FedAvg", "SCAFFOLD", "FedLP, layers sent")
            assert row["excluded"] == UNABLE or not whole_network
            assert row["excluded"] in (0, UNABLE)
    by_hardware = [
        row["level"] for row in read_table(folder / "levels.csv") if row["way"] == "HeteroFL"
    ]
    assert len(set(by_hardware)) >= 4, "levels differ by device"
