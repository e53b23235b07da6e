"""Rebuilding a report: comparisons are made once, kept, and the page follows from the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hetsim.core.errors import SpecError
from hetsim.core.registry import COMPARISONS, REPORTS, Registry
from hetsim.report.binder import read_table, write_table
from hetsim.report.published.base import Chapter, Need, Page, Row
from hetsim.study import report as study

made: list[str] = []


def squares(measured: Path, *, count: int) -> Mapping[str, Sequence[Row]]:
    made.append("squares")
    if not (measured / "measured").is_dir():
        raise AssertionError("not the folder that was given")
    return {"squares": [{"n": n, "square": n * n} for n in range(count)]}


def broken(measured: Path) -> Mapping[str, Sequence[Row]]:
    made.append("broken")
    raise RuntimeError("the lights went out")


class Sums:
    """Sums of squares."""

    failing = False

    def needs(self, scale: str) -> Sequence[Need]:
        count = {"smoke": 2, "small": 4, "full": 8}[scale]
        needs = [Need(comparison="squares", settings={"count": count})]
        return [*needs, Need(comparison="broken")] if self.failing else needs

    def build(self, tables: Mapping[str, Sequence[Row]], scale: str) -> Page:
        total = sum(row["square"] for row in tables["squares"])
        return Page(title="Sums", lead=f"{total}", chapters=(Chapter(title=scale, parts=()),))


class Folders(NamedTuple):
    out: Path
    measured: Path
    work: Path

    def build(self, scale: str = "small") -> Path:
        return study.rebuild(
            "sums", scale=scale, out=self.out, measured=self.measured, work=self.work
        )


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    plugins: dict[str, Any] = {"squares": squares, "broken": broken, "sums": Sums}

    def load(self: Registry, name: str, **_: str) -> Any:
        return plugins[name]

    monkeypatch.setattr(Registry, "load", load)
    monkeypatch.setattr(Sums, "failing", False)
    made.clear()
    (tmp_path / "data" / "measured").mkdir(parents=True)
    return Folders(tmp_path / "out", tmp_path / "data", tmp_path / "work")


def test_a_report_is_its_tables_and_a_page(folders: Folders) -> None:
    folder = folders.build()
    assert read_table(folder / "squares.csv")[3] == {"n": 3, "square": 9}
    assert (folder / "index.md").read_text() == "# Sums\n\n14\n\n## small\n"
    about = json.loads((folder / "provenance.json").read_text())
    assert about["tables"] == ["squares"]
    assert about["comparisons"] == [{"comparison": "squares", "settings": {"count": 4}}]


def test_what_was_compared_is_not_compared_again(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sums, "failing", True)
    with pytest.raises(RuntimeError, match="lights"):
        folders.build()
    monkeypatch.setattr(Sums, "failing", False)
    folders.build()
    assert made == ["squares", "broken"]


def test_other_data_or_another_scale_is_compared_anew(folders: Folders) -> None:
    folders.build()
    (folders.measured / "measured" / "new.csv").write_text("1")
    folders.build()
    folders.build("full")
    assert made == ["squares"] * 3


def test_fresh_compares_anew(folders: Folders) -> None:
    folders.build()
    study.rebuild("sums", out=folders.out, measured=folders.measured, work=folders.work, fresh=True)
    assert made == ["squares"] * 2


def test_redraw_reads_the_tables_and_compares_nothing(folders: Folders) -> None:
    folder = folders.build()
    write_table(folder / "squares.csv", [{"n": 100, "square": 10_000}])
    study.rebuild("sums", out=folder, redraw=True)
    assert "10000" in (folder / "index.md").read_text()
    assert made == ["squares"]


def test_smoke_carries_a_watermark_and_does_not_replace_the_committed_page(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study.rebuild("sums", scale="smoke", measured=folders.measured, work=folders.work)
    assert folder == folders.work / "page"
    assert "too small to quote" in (folder / "index.md").read_text()


def test_bad_input_is_refused_with_a_remedy(folders: Folders) -> None:
    with pytest.raises(SpecError, match="smoke, small, full"):
        study.rebuild("sums", scale="tiny")
    with pytest.raises(SpecError, match="--redraw"):
        study.rebuild("sums", out=folders.out, measured=Path("/nowhere"))
    with pytest.raises(SpecError, match="without --redraw"):
        study.rebuild("sums", out=folders.out, redraw=True)


def test_every_report_finds_its_comparisons() -> None:
    for name in REPORTS.names():
        report = REPORTS.load(name)()
        for scale in ("smoke", "small", "full"):
            for need in report.needs(scale):
                assert callable(COMPARISONS.load(need.comparison))
