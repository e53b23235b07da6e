"""Pages under `reports/`: what is committed is what their tables say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hetsim.cli import app


@pytest.mark.parametrize(
    "name",
    [
        "bofl", "capacity", "ecofed", "fedhm", "fedlp", "fedstitch", "pacing", "physics", "spatl",
        "stragglers", "systems",
    ],
)  # fmt: skip
def test_the_committed_page_follows_from_its_tables(name: str, repo: Path, tmp_path: Path) -> None:
    committed = repo / "reports" / name
    again = tmp_path / name
    shutil.copytree(committed, again)
    for stale in (*again.glob("*.svg"), again / "index.md"):
        stale.unlink()
    result = CliRunner().invoke(app, ["report", name, "--redraw", "--out", str(again)])
    assert result.exit_code == 0, result.output
    for path in sorted(committed.iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
