"""Many settings and what came of each: what the pages of sweeps and plans have in common.

A head with boxes, columns of settings and results, and all of them as lines across axes, which
`assets/sweep.js` draws.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hetsim.report.base import Column, Section, text
from hetsim.report.numbers import Scale, count, fixed, labels, rounded, si_scale, time_scale

_LONG = 18
"""Letters of a name beside an axis; longer ones lose their middle."""
_PERCENT = ("battery_end", "dropouts")
_LINES = 1500
"""Lines drawn across the axes."""
_QUANTITY = re.compile(r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(\D*)")


def head(kicker: str, name: str, answer: str, boxes: Iterable[str], notes: str = "") -> str:
    """The head of a page.

    Args:
        kicker: what the page is.
        name: of the topology.
        answer: in a sentence or two.
        boxes: as from `box`.
        notes: HTML below the answer, such as warnings.
    """
    return (
        f'<p class="kicker">{text(kicker)}</p><h1>{text(name)}</h1>'
        f'<p class="answer">{text(answer)}</p>{notes}<div class="keys">{"".join(boxes)}</div>'
    )


def box(
    title: str, big: str = "", below: str = "", settings: Mapping[str, Any] | None = None
) -> str:
    """A box of the head: a number, what is said of it, and the settings that it belongs to."""
    number = f'<div class="big">{text(big)}</div>' if big else ""
    said = f"<p>{text(below)}</p>" if below else ""
    pairs = (settings or {}).items()
    lines = "".join(f"<p>{text(key)} <b>{text(value)}</b></p>" for key, value in pairs)
    return f"<div><h2>{text(title)}</h2>{number}{said}{lines}</div>"


def scale(column: str, values: Iterable[float | None]) -> Scale:
    """The unit that the values of a column are shown in."""
    top = max((abs(value) for value in values if value is not None), default=0.0)
    if column in _PERCENT:
        return Scale(100.0, "%")
    if column.endswith("_s"):
        return time_scale(top)
    if column.endswith("_j"):
        return si_scale(top, "J")
    return si_scale(top, "B") if column.startswith("bytes_") else Scale(1.0, "")


def settings(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Columns of a table: what was set."""
    return [
        Column(title=key, cells=[str(row[key]) for row in rows],
               kind="name" if isinstance(rows[0][key], str | bool) else "num")
        for key in keys
    ]  # fmt: skip


def values(titles: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Columns of a table: what came of it, for the columns that have these titles."""
    columns: list[Column] = []
    for name, title in titles.items():
        given = [row[name] for row in rows]
        factor, unit = scale(name, given)
        shown = [None if value is None else value * factor for value in given]
        whole = all(value is None or not value % 1.0 for value in shown)
        cells = fixed(shown, 0 if whole else 4)
        columns.append(Column(title=title, unit=unit, cells=cells))
    return columns


def result(key: str, title: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A column of results as numbers in one unit; what is not known is None."""
    given = [row[key] for row in rows]
    factor, unit = scale(key, given)
    drawn = [None if value is None else rounded([value * factor])[0] for value in given]
    return {"key": key, "title": title, "unit": unit, "names": None, "values": drawn}


def named(key: str, title: str, places: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """A column of names, by their places in a list."""
    told = [brief(name) for name in names]
    told = told if len(set(told)) == len(names) else list(names)
    short = labels(told, _LONG)
    return {
        "key": key, "title": title, "unit": "", "values": list(places), "names": list(names),
        "short": [short[name] for name in told],
    }  # fmt: skip


def brief(value: str) -> str:
    """A value as a label: of a mapping, what it maps to.

    >>> brief("{technology: wifi, power: 6 W}"), brief("5 Mbit/s")
    ('wifi, 6 W', '5 Mbit/s')
    """
    if not (value.startswith("{") and value.endswith("}")):
        return value
    return re.sub(r"[A-Za-z_]+:\s+", "", value[1:-1])


def dimension(key: str, values: Sequence[Any]) -> dict[str, Any]:
    """An axis as numbers: of its values, of its quantities in their one unit, or of its names.

    >>> dimension("rate", ["5 Mbit/s", "20 Mbit/s"])["values"]
    [5.0, 20.0]
    """
    plain: dict[str, Any] = {"key": key, "title": key, "unit": "", "names": None}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return plain | {"values": rounded(values)}
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    found = [_QUANTITY.fullmatch(each) for each in texts]
    units = {match.group(2) if match else None for match in found}
    if len(units) == 1 and None not in units:
        numbers = rounded(float(match.group(1)) for match in found if match)
        return plain | {"values": numbers, "unit": units.pop()}
    names = list(dict.fromkeys(texts))
    return named(key, key, [names.index(each) for each in texts], names)


def section(
    axes: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]], *, across: Sequence[str],
    numbers: Sequence[int], noun: str,
) -> Section | None:  # fmt: skip
    """All settings as lines; None if there are none.

    Args:
        axes: as from `dimension`.
        results: as from `result` or `named`.
        across: keys of the results that the lines cross.
        numbers: of the settings.
        noun: what one is called.
    """
    if not numbers or not results:
        return None
    cut = "" if len(numbers) <= _LINES else (
        f'<p class="note">Drawn are the first {count(_LINES)} {noun}s.</p>'
    )  # fmt: skip
    colours = chooser("colour-by", [(each["key"], each["title"]) for each in results])
    drawn = {
        kind: [{**each, "values": each["values"][:_LINES]} for each in of]
        for kind, of in (("axes", axes), ("results", results))
    }
    return Section(
        name="lines",
        title="Side by side",
        lead=f"Each line is a {noun}, from its settings on the left to its results on the right. "
        "Drag along an axis to keep the lines that pass there; click the axis to let go.",
        body=f"<p><label>Colour by {colours}</label> "
        '<span class="note" id="kept-lines"></span></p>'
        '<div class="scroll lines" tabindex="0" role="region" aria-label="All settings">'
        '<svg id="lines-plot" role="img" aria-label="Each setting as a line across its axes and '
        f'results; the table below holds the numbers."></svg></div>{cut}',
        extra={"sweep": {**drawn, "across": across, "points": numbers[:_LINES], "noun": noun}},
    )


def chooser(name: str, options: Sequence[tuple[str, str]], chosen: int = 0) -> str:
    """A list to choose from: keys and their titles."""
    inner = "".join(
        f'<option value="{text(key)}"{" selected" * (index == chosen)}>{text(title)}</option>'
        for index, (key, title) in enumerate(options)
    )
    return f'<select id="{name}">{inner}</select>'
