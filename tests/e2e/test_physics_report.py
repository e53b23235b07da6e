"""The physics report: rebuilt small, and the committed page follows from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table

TABLES = {
    "network", "packets", "closed_forms", "histories", "calibration", "transfer", "devices",
    "pi_speed", "pi_heat", "pi_trajectory", "pi_forecast",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
def test_a_small_one_is_built_from_measured_data(
    shared: Path, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(repo / "tests")
    arguments = ["report", "physics", "--scale", "smoke", "--measured", str(shared), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    assert {path.stem for path in folder.glob("*.csv")} == TABLES
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    assert "**no**" not in page.partition("## Another workload")[0]
    for figure in folder.glob("*.svg"):
        assert f"({figure.name})" in page
    assert max(row["times"] for row in read_table(folder / "network.csv")) < 1e-6


def test_without_measured_data_it_says_what_to_do(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    result = CliRunner().invoke(app, ["report", "physics", "--measured", missing])
    assert result.exit_code == 2
    assert "--redraw" in result.stderr
