"""The shell of a page: one self-contained HTML file, its design, tables and figures.

Figures are Plotly JSON written by hand, so that drawing needs Plotly's JavaScript only and not its
Python objects. A colour in a figure is the name of a CSS variable with "$" before it: the page
paints in the reader's theme. A content security policy admits exactly the page's own scripts and
no network access, so that a name in a spec can neither run nor call home.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

from hetsim.report.numbers import fixed, table_scale

_NAME = 16
"""Names up to this length fit into a column of any screen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A Plotly figure.

    Attributes:
        name: unique on the page; part of the element's id.
        title: what it shows, as HTML.
        label: the same in words for those who cannot see it.
        data, layout: Plotly JSON; text in it is escaped with `text`.
        height: in CSS pixels.
        zoom: whether dragging zooms into the time axis.
        legend: symbol colours and their meaning; colours without "$".
    """

    name: str
    title: str
    label: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict[str, Any])
    height: int = 300
    zoom: bool = False
    legend: Mapping[str, str] = field(default_factory=dict[str, str])

    def html(self) -> str:
        """The place where it is drawn."""
        return (
            f"<figure><figcaption>{self.title}{save(self.name)}</figcaption>{legend(self.legend)}"
            f'<div class="plot" id="plot-{self.name}" role="img" aria-label="{text(self.label)}"'
            f' style="height:{self.height}px"></div></figure>'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes:
        name: unique on the page; what a link to it ends with.
        title: plain text.
        lead: the finding in a sentence or two, as HTML.
        body: HTML.
        figures: those that the body holds.
        extra: further data for the page's script, by name.
    """

    name: str
    title: str
    lead: str
    body: str
    figures: Sequence[Figure] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def html(self) -> str:
        """The section with its heading."""
        return (
            f'<section id="{self.name}"><h2>{text(self.title)}</h2>'
            f'<p class="lead">{self.lead}</p>{self.body}</section>'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table column.

    Attributes:
        title, unit: its head.
        cells: text, one a row; escaped when the table is made.
        kind: "num" (aligned to the right, sorted by value), "name" (one line) or "prose".
        hint: what it means, shown on hovering.
    """

    title: str
    cells: Sequence[str]
    unit: str = ""
    kind: Literal["num", "name", "prose"] = "num"
    hint: str = ""


def text(value: object) -> str:
    """Any value as text that is safe in HTML, in an attribute and in a Plotly label."""
    return html.escape(str(value), quote=True)


def table(columns: Sequence[Column], *, label: str = "") -> str:
    """A table in a box that scrolls when the page is narrow; the first column stays in view.

    One of several rows is sorted by a click on a heading.
    """
    sortable = len(columns[0].cells) > 1
    kinds = [column.kind for column in columns]
    head = "".join(
        f'<th scope="col" class="{kind}"{_hint(column.hint)}>{_title(column, sortable)}</th>'
        for column, kind in zip(columns, kinds, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in zip(*(column.cells for column in columns), strict=True)
    )
    mark = ' class="sortable"' if sortable else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}">'
        f"<table{mark}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def amounts(
    title: str,
    values: Iterable[float | None],
    unit: str,
    *,
    digits: int = 4,
    hint: str = "",
    among: Iterable[float] = (),
) -> Column:
    """A column of an SI quantity, in a multiple of its unit where the numbers would be long.

    Args:
        title: of the column.
        values: in the unit; an empty cell for None.
        unit: without a prefix.
        digits: of the largest value.
        hint: what it means, shown on hovering.
        among: values of columns beside it, which are to have the same unit.
    """
    given = list(values)
    known = (abs(value) for value in (*given, *among) if value is not None)
    scale = table_scale(max(known, default=0.0), unit)
    cells = fixed((None if value is None else value * scale.factor for value in given), digits)
    return Column(title=title, unit=scale.unit, cells=cells, hint=hint)


def save(name: str) -> str:
    """The button that downloads the figure of this name."""
    return (
        f'<button type="button" class="save" data-plot="plot-{name}" '
        'aria-label="Download this figure as SVG">SVG</button>'
    )


def legend(meanings: Mapping[str, str]) -> str:
    """Colours and what they stand for; {"compute": "computing"}."""
    if not meanings:
        return ""
    items = "".join(
        f'<li><i style="background:var(--{colour})"></i>{text(meaning)}</li>'
        for colour, meaning in meanings.items()
    )
    return f'<ul class="legend">{items}</ul>'


def warning(title: str, body: str) -> str:
    """A box that nobody overlooks; `body` is HTML."""
    return f'<aside class="warning"><strong>{text(title)}</strong> {body}</aside>'


def document(
    *, title: str, header: str, sections: Sequence[Section], scripts: Sequence[str] = ()
) -> str:
    """The whole page.

    Args:
        title: of the browser's tab, plain text.
        header: HTML above the first section.
        sections: in the order of reading.
        scripts: assets that this page needs besides those of every page.
    """
    figures = {
        figure.name: {"data": figure.data, "layout": figure.layout, "zoom": figure.zoom}
        for section in sections
        for figure in section.figures
    }
    extra = {name: value for section in sections for name, value in section.extra.items()}
    plotly = resources.files("plotly").joinpath("package_data/plotly.min.js").read_text("utf-8")
    code = [plotly, *map(_asset, ("page.js", *scripts))]
    policy = (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
        f"script-src {' '.join(_fingerprint(script) for script in code)}"
    )
    links = "".join(f'<a href="#{s.name}">{text(s.title)}</a>' for s in sections)
    body = "\n".join(section.html() for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>{_asset("page.css")}</style>
</head>
<body>
<main>
<header>{header}</header>
<nav aria-label="Sections">{links}</nav>
<noscript><p class="warning">The figures need JavaScript; the tables do not.</p></noscript>
{body}
<footer>Written by hetsim. This page is one file and loads nothing from the network.</footer>
</main>
<script type="application/json" id="page-data">{_inert({"figures": figures, **extra})}</script>
{"".join(f"<script>{script}</script>{chr(10)}" for script in code)}</body>
</html>
"""


def _title(column: Column, sortable: bool) -> str:
    unit = f" <small>{text(column.unit)}</small>" if column.unit else ""
    name = f"{text(column.title)}{unit}"
    return f'<button type="button">{name}</button>' if sortable else name


def _cell(cell: str, kind: str) -> str:
    """A cell; numbers need no class, and a name that a narrow column may cut carries its text."""
    if kind == "num":
        return f"<td>{text(cell)}</td>"
    whole = _hint(cell) if kind == "name" and len(cell) > _NAME else ""
    return f'<td class="{kind}"{whole}>{text(cell)}</td>'


def _hint(hint: str) -> str:
    return f' title="{text(hint)}"' if hint else ""


def _inert(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    plain = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _fingerprint(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _asset(name: str) -> str:
    return resources.files("hetsim.report").joinpath("assets", name).read_text("utf-8")
