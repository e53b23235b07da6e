"""Pages under `reports/`: what is committed is what their tables say."""

from __future__ import annotations

import re
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
        assert as_drawn(again / path.name) == as_drawn(path), path.name


def as_drawn(path: Path) -> bytes:
    """Content without names of clip paths: hashes of sizes that differ in digits nobody writes."""
    content = path.read_bytes()
    return re.sub(rb"\bp[0-9a-f]{10}\b", b"clip", content) if path.suffix == ".svg" else content
