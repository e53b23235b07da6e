"""The stragglers report: rebuilt tiny, and the committed page follows from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table

TABLES = {"stragglers", "curves", "blame", "wasted", "kinds", "spread"}


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
def test_a_tiny_one_is_raced_and_drawn(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["report", "stragglers", "--scale", "smoke", "--measured", str(shared), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    assert {path.stem for path in folder.glob("*.csv")} == TABLES
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    for figure in folder.glob("*.svg"):
        assert f"({figure.name})" in page
    runs = read_table(folder / "stragglers.csv")
    assert len({(row["pace"], row["selection"]) for row in runs}) == len(runs) == 18
    for row in runs:
        if row["to_time_s"] is not None:
            assert row["to_time_s"] <= row["simulated_s"]
            assert row["to_active_j"] < row["to_participant_j"] < row["to_total_j"]
    shares: dict[tuple[str, str], float] = {}
    for row in read_table(folder / "blame.csv"):
        place = row["pace"], row["selection"]
        shares[place] = shares.get(place, 0.0) + row["share"]
    assert list(shares.values()) == pytest.approx([1.0] * 18)
