"""The report of a planning case: made tiny, and its page follows from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app
from hetsim.report.binder import read_table


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_tiny_one_is_made_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["report", "capacity", "--scale", "smoke", "--measured", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    folder = tmp_path / json.loads(result.stdout)["folder"]
    page = (folder / "index.md").read_text(encoding="utf-8")
    assert "too small to quote" in page
    assert "](plane.svg)" in page
    looked = read_table(folder / "configurations.csv")
    assert sum(not row["step"] for row in looked) == 3
    facts = {row["fact"]: row["value"] for row in read_table(folder / "answer.csv")}
    rungs = {row["rung"] for row in looked}
    for rung in rungs:
        held = sum(row["rung"] == rung for row in looked)
        assert int(facts[f"rung {rung}"]) == held
    steps = read_table(folder / "steps.csv")
    assert any("gateway" in row["step"] for row in steps)
    for row in steps:
        assert row["step"] in page
