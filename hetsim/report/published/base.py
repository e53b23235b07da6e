"""What a report is: the comparisons it needs, and a page built from their tables alone.

A report names comparisons and never runs them. What they found is written as CSV first and read
back before anything is drawn, so that text and figures can be redrawn from the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = ("smoke", "small", "full")
"""How much is spent: a minute and a watermark, what is committed, or all that can be had."""

Row = Mapping[str, Any]
"""A row of a table: numbers, texts, truth values or None by column."""
Table = Sequence[Row]
Tables = Mapping[str, Table]
"""Tables by name, which is also the name of their file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A comparison that a report is built from.

    Attributes:
        comparison: its name in `hetsim.study.comparisons`.
        settings: keyword arguments for it.
    """

    comparison: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure.

    Attributes:
        name: file name without suffix.
        caption: what it shows.
        draw: puts it on an empty sheet.
        width, height: inches.
    """

    name: str
    caption: str
    draw: Callable[[Figure], None]
    width: float = 9.6
    height: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table as it is printed.

    Attributes:
        columns: heads.
        rows: cells as text, one a column.
        source: name of the CSV that holds the numbers; empty if there is none.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A part of the page.

    Attributes:
        title: its heading.
        parts: paragraphs (Markdown), tables and figures in the order of reading.
    """

    title: str
    parts: Sequence[str | Grid | Chart]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A report.

    Attributes:
        title: its heading.
        lead: the finding in a few sentences, Markdown.
        chapters: in the order of reading.
    """

    title: str
    lead: str
    chapters: Sequence[Chapter]


class Report(Protocol):
    """One page under `reports/`."""

    def needs(self, scale: str) -> Sequence[Need]:
        """The comparisons to make at this scale."""
        ...

    def build(self, tables: Tables, scale: str) -> Page:
        """The page, from the tables alone."""
        ...


def column(table: Iterable[Row], name: str) -> list[Any]:
    """Values of a column."""
    return [row[name] for row in table]


def known(table: Iterable[Row], name: str) -> list[float]:
    """What is known of a column."""
    return [value for value in column(table, name) if value is not None]


def appearing(table: Iterable[Row], name: str) -> list[Any]:
    """Values of a column, each once, in order of appearance."""
    return list(dict.fromkeys(column(table, name)))
