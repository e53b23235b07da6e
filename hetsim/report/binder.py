"""A report's folder: tables as CSV, figures as SVG, and the page that shows them.

Equal tables give equal bytes. Numbers keep all their digits in the CSV; an empty cell is nothing,
not zero.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.report.paper import sheet
from hetsim.report.published.base import Chart, Grid, Page, Row, Table

PAGE = "index.md"
_WORDS: dict[str, Any] = {"": None, "yes": True, "no": False}


def write_table(path: Path, table: Table) -> None:
    """Write a table; its columns are those of its rows in order of appearance."""
    columns = list(dict.fromkeys(column for row in table for column in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in table)
    path.write_text(text.getvalue(), encoding="utf-8")


def read_table(path: Path) -> list[Row]:
    """Read what `write_table` wrote.

    Raises:
        SpecError: there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Build the report again."
        ) from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [{column: _value(cell) for column, cell in row.items()} for row in rows]


def write_page(folder: Path, page: Page, *, mark: str = "") -> None:
    """Draw the figures and write the page.

    Args:
        folder: which exists and holds the tables.
        page: what to show.
        mark: written across every figure and at the head of the page.
    """
    lines = [f"# {page.title}", ""]
    if mark:
        lines += [f"> **{mark}**", ""]
    lines += [page.lead, ""]
    for chapter in page.chapters:
        lines += [f"## {chapter.title}", ""]
        for part in chapter.parts:
            match part:
                case Chart():
                    with sheet(folder / f"{part.name}.svg", part.width, part.height, mark) as paper:
                        part.draw(paper)
                    lines += [f"![{part.caption}]({part.name}.svg)", "", f"*{part.caption}*", ""]
                case Grid():
                    lines += [*_grid(part), ""]
                case _:
                    lines += [part, ""]
    (folder / PAGE).write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def _grid(grid: Grid) -> Sequence[str]:
    lines = [_line(grid.columns), _line(["---"] * len(grid.columns)), *map(_line, grid.rows)]
    return (
        [*lines, "", f"Numbers: [{grid.source}.csv]({grid.source}.csv)"] if grid.source else lines
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(float(value)) if isinstance(value, float) else str(value)


def _value(cell: str) -> Any:
    if cell in _WORDS:
        return _WORDS[cell]
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell
