"""The README's picture: drawn for every run, equal for equal runs."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from hetsim.report import picture
from tests.unit.report.synthetic import build


def test_equal_traces_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        picture.draw(build(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_it_holds_no_date_and_differs_between_runs(tmp_path: Path) -> None:
    picture.draw(build(), tmp_path / "a.svg")
    picture.draw(build(rounds=6), tmp_path / "b.svg")
    first = (tmp_path / "a.svg").read_text()
    assert first != (tmp_path / "b.svg").read_text()
    assert "dc:date" not in first


@pytest.mark.parametrize(
    "shape",
    [
        {"learned": False}, {"devices": 0}, {"rounds": 0}, {"devices": 0, "rounds": 0},
        {"name": "a $x^2$ <b>", "rename": lambda name: f"$\\{name}$" * 9},
    ],
)  # fmt: skip
def test_every_shape_of_run_gives_a_picture(shape: dict[str, Any], tmp_path: Path) -> None:
    picture.draw(build(**shape), tmp_path / "run.svg")
    root = ET.parse(tmp_path / "run.svg").getroot()
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) > 10
