"""A report's folder: what is written is what was given, and is read back unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hetsim.core.errors import SpecError
from hetsim.report import binder
from hetsim.report.published.base import Chapter, Chart, Grid, Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    rows = [
        {"name": "a,b", "n": 3, "x": 0.1 + 0.2, "ok": True, "nothing": None},
        {"name": 'quo"te', "n": -1, "x": 1e-300, "ok": False, "nothing": 2.5},
    ]
    binder.write_table(tmp_path / "t.csv", rows)
    assert binder.read_table(tmp_path / "t.csv") == rows


def test_what_is_no_number_is_an_empty_cell_and_not_zero(tmp_path: Path) -> None:
    binder.write_table(tmp_path / "t.csv", [{"x": float("nan"), "y": 0.0}])
    assert (tmp_path / "t.csv").read_text() == "x,y\n,0.0\n"
    assert binder.read_table(tmp_path / "t.csv") == [{"x": None, "y": 0.0}]


def test_rows_may_lack_columns(tmp_path: Path) -> None:
    binder.write_table(tmp_path / "t.csv", [{"x": 1}, {"y": 2}])
    assert binder.read_table(tmp_path / "t.csv") == [{"x": 1, "y": None}, {"x": None, "y": 2}]


def test_a_missing_table_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Build the report again"):
        binder.read_table(tmp_path / "gone.csv")


def _draw(figure: Figure) -> None:
    figure.subplots().plot([0, 1], [0, 1])


PAGE = Page(
    title="Title",
    lead="Lead.",
    chapters=(
        Chapter(
            title="First",
            parts=(
                "Some *words*.",
                Grid(columns=("a", "b"), rows=(("1", "x|y"),), source="t"),
                Chart(name="line", caption="A line.", draw=_draw),
            ),
        ),
    ),
)


def test_a_page_holds_everything_in_order(tmp_path: Path) -> None:
    binder.write_page(tmp_path, PAGE)
    text = (tmp_path / "index.md").read_text()
    wanted = ["# Title", "Lead.", "## First", "Some *words*.", "| a | b |", "| 1 | x&#124;y |",
              "[t.csv](t.csv)", "![A line.](line.svg)"]  # fmt: skip
    places = [text.index(piece) for piece in wanted]
    assert places == sorted(places)
    assert (tmp_path / "line.svg").read_text().startswith("<?xml")


def test_equal_pages_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        binder.write_page(tmp_path / name, PAGE)
    for name in ("index.md", "line.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_mark_is_on_page_and_figure(tmp_path: Path) -> None:
    binder.write_page(tmp_path, PAGE)
    bare = (tmp_path / "line.svg").read_bytes()
    binder.write_page(tmp_path, PAGE, mark="too small to quote")
    assert "too small to quote" in (tmp_path / "index.md").read_text()
    assert (tmp_path / "line.svg").read_bytes() != bare
