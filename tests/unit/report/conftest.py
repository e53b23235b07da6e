"""A small finished run, made up, and the same in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hetsim.core.trace import Trace
from hetsim.report import files
from tests.unit.report.synthetic import build


@pytest.fixture
def trace() -> Trace:
    """Twelve devices, five rounds."""
    return build()


@pytest.fixture
def folder(trace: Trace, tmp_path: Path) -> Path:
    """The run folder of `trace`, without a page."""
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(trace.spec), encoding="utf-8")
    files.write(trace, tmp_path, page=False)
    return tmp_path
