"""The BoFL report: rebuilt for one sweep, and its page follows from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table

TABLES = {"bofl_facts", "bofl_runs", "bofl_rounds", "bofl_points", "bofl_idle"}


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
def test_a_small_one_is_made_and_drawn(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (shared / "measured" / "traces" / "bofl" / "tx2_imdb.csv").is_file():
        pytest.skip(f"{shared} has no sweep of the LSTM on the TX2")
    monkeypatch.chdir(tmp_path)
    arguments = ["report", "bofl", "--scale", "smoke", "--measured", str(shared), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    assert {path.stem for path in folder.glob("*.csv")} == TABLES
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    assert "**not met**" not in page
    for figure in ("savings", "rounds", "fronts"):
        assert f"({figure}.svg)" in page
        assert (folder / f"{figure}.svg").is_file()

    runs = read_table(folder / "bofl_runs.csv")
    for ratio in (2, 4):
        here = [row for row in runs if row["ratio"] == ratio]
        joules = {row["policy"]: row["joules"] for row in here}
        assert joules["oracle"] < joules["best_single"] < joules["performant"]
        assert joules["oracle"] < min(joules["bofl"], joules["feedback_first"])
        for row in here:
            assert row["met"] + row["misses"] == 100
            saved = 100.0 * (1.0 - row["joules"] / joules["performant"])
            assert row["saving_percent"] == pytest.approx(saved)
        first = {row["policy"]: row["first_j"] for row in here}
        assert first["feedback_first"] == first["bofl"]

    for row in read_table(folder / "bofl_idle.csv"):
        if row["policy"] == "oracle_told":
            told = row["joules"]
            others = [
                other["joules"]
                for other in read_table(folder / "bofl_idle.csv")
                if (other["ratio"], other["rest"]) == (row["ratio"], row["rest"])
            ]
            assert told <= min(others) * (1 + 1e-9)

    for row in read_table(folder / "bofl_points.csv"):
        assert row["time"] == round(row["time"], 2)
