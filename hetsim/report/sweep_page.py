"""`sweep.html`: what the points of a sweep say, side by side.

Every point as a line across its axes and its results; a map of any result over any two axes; what
the choice of the seed alone does, where seeds were swept; and all points in a table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from hetsim.report import parallel
from hetsim.report.base import Column, Figure, Section, document, legend, table, text, warning
from hetsim.report.numbers import (
    NONE,
    count,
    duration,
    fixed,
    joules,
    rounded,
    score,
    significant,
    size,
)

_SEED = "seed"
_SHOWN = 1000
"""Rows in the table of the page; the Parquet file has all."""
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
            2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)  # fmt: skip
"""97.5 % points of Student's t by degrees of freedom, from 1; beyond them the normal's 1.960."""
_TITLES = {
    "simulated_s": "Simulated time", "energy_j": "Energy, all nodes",
    "best_accuracy": "Best accuracy", "accuracy": "Last accuracy",
    "active_j": "Energy above base power", "participant_j": "Energy of participants",
    "device_j": "Energy of devices", "gateway_j": "Energy of gateways",
    "server_j": "Energy of servers", "link_j": "Energy of links", "bytes_up": "Sent up",
    "bytes_down": "Sent down", "dropped_battery": "Dropped: battery",
    "dropped_memory": "Dropped: memory", "dropped_deadline": "Dropped: deadline",
    "dropped_churn": "Dropped: churn", "excluded": "Devices that cannot take part",
}  # fmt: skip
_ACROSS = ("simulated_s", "energy_j", "best_accuracy")
"""Results that the lines cross."""


def render(name: str, axes: Sequence[str], rows: Sequence[Mapping[str, Any]], *, asked: str) -> str:
    """The page as HTML; equal rows give equal text.

    Args:
        name: of the topology.
        axes: keys of the axes, columns of the rows.
        rows: of `points.parquet`.
        asked: text of `sweep.yaml`.
    """
    good = [row for row in rows if row["failed"] is None]
    results = _results(good)
    sections = [
        _lines(axes, good, results),
        _map(axes, good, results),
        _seeds(axes, good, results),
        _failures(axes, rows),
        _points(axes, rows, results),
        Section(name="asked", title="What was asked", lead="The content of <b>sweep.yaml</b>.",
                body=f"<pre>{text(asked)}</pre>"),
    ]  # fmt: skip
    return document(
        title=f"Sweep of {name} · hetsim",
        header=_header(name, axes, rows, good),
        sections=[section for section in sections if section],
        scripts=("sweep.js",),
    )


def shown(column: str, value: float | None) -> str:
    """A value of a column as people read it."""
    if value is None:
        return NONE
    if column.endswith("_s"):
        return duration(value)
    if column.endswith("_j"):
        return joules(value)
    if column.startswith("bytes_"):
        return size(value)
    return score(value) if column.endswith("accuracy") else significant(float(value))


def _title(column: str) -> str:
    if column in _TITLES:
        return _TITLES[column]
    if column.startswith("class_"):
        return f"Energy of class {column.removeprefix('class_').removesuffix('_j')}"
    for head, title in (("time_to_", "Time to accuracy"), ("energy_to_", "Energy to accuracy")):
        if column.startswith(head):
            return f"{title} {column.removeprefix(head)[:-2]}"
    return column


def _results(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns of results in which something is to be seen, the main ones first."""
    names = [name for name in rows[0] if name in _TITLES or name.startswith(
        ("class_", "time_to_", "energy_to_"))] if rows else []  # fmt: skip
    order = [*_TITLES, *(name for name in names if name not in _TITLES)]
    return [name for name in order if name in names and any(row[name] for row in rows)]


# --- the head -------------------------------------------------------------------------------------


def _header(
    name: str, axes: Sequence[str], rows: Sequence[Mapping[str, Any]],
    good: Sequence[Mapping[str, Any]],
) -> str:  # fmt: skip
    failed = len(rows) - len(good)
    size_of = f"{count(len(rows), 'point')} over {count(len(axes), 'axis', 'axes')}"
    keys = [
        _best(title, column, highest, axes, good)
        for title, column, highest in (
            ("Fastest", "simulated_s", False), ("Fewest joules", "energy_j", False),
            ("Most accurate", "best_accuracy", True),
        )
    ]  # fmt: skip
    spans = [_span(column, good) for column in _ACROSS]
    answer = f"{size_of}: {'; '.join(filter(None, spans))}." if good else f"{size_of}."
    broken = warning("Not all points could go on.", f"{count(failed, 'point')} failed; see below.")
    borrowed = sum(row.get("surrogate_hash") is not None for row in good)
    broken = broken if failed else ""
    if borrowed:
        what = f"{count(borrowed, 'point')} took accuracy from a recorded run (a surrogate)."
        broken += warning("Not all accuracies were learned.", what)
    points = parallel.box("Points", count(len(rows)), f"over {', '.join(axes)}")
    return parallel.head("What-if sweep", name, answer, [points, *keys], broken)


def _span(column: str, rows: Sequence[Mapping[str, Any]]) -> str:
    values = [row[column] for row in rows if row[column] is not None]
    if not values:
        return ""
    low, high = shown(column, min(values)), shown(column, max(values))
    what = _title(column).lower()
    return f"{what} {low}" if low == high else f"{what} from {low} to {high}"


def _best(
    title: str, column: str, highest: bool, axes: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> str:
    having = [row for row in rows if row[column] is not None]
    if not having:
        return parallel.box(title, NONE, "no point has a value")
    best = min(having, key=lambda row: -row[column] if highest else row[column])
    settings = {key: best[key] for key in axes}
    number = f"{title}: point {best['point']}"
    return parallel.box(number, shown(column, best[column]), settings=settings)


# --- figures that the page's own script draws -----------------------------------------------------


def _lines(
    axes: Sequence[str], rows: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> Section | None:
    return parallel.section(
        [parallel.dimension(key, [row[key] for row in rows]) for key in axes],
        [parallel.result(name, _title(name), rows) for name in results],
        across=[name for name in _ACROSS if name in results],
        numbers=[row["point"] for row in rows],
        noun="point",
    )


def _map(
    axes: Sequence[str], rows: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> Section | None:
    wide = [key for key in axes if len({row[key] for row in rows}) > 1]
    if len(wide) < 2 or not results:
        return None
    figure = Figure(
        name="map", title="Mean over all other axes",
        label="A result over two axes, as chosen above.", data=[], height=420,
    )  # fmt: skip
    across, up = _chooser("map-x", wide), _chooser("map-y", wide, chosen=1)
    return Section(
        name="map",
        title="Two axes against each other",
        lead="Where a cell stands for several points, it shows their mean and says how many.",
        body=f'<p><label>Across {across}</label> <label>up {up}</label> '
        f'<label>show {_chooser("map-of", results)}</label></p>'
        f"{figure.html()}",
        figures=(figure,),
    )  # fmt: skip


def _chooser(name: str, columns: Sequence[str], chosen: int = 0) -> str:
    return parallel.chooser(name, [(column, _title(column)) for column in columns], chosen)


# --- seeds ----------------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean, by Student's t; values are taken for independent.

    >>> round(interval([1.0, 2.0, 3.0]), 3)
    2.484
    """
    freedom = len(values) - 1
    factor = _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else 1.960
    return factor * stdev(values) / math.sqrt(len(values))


def _seeds(
    axes: Sequence[str], rows: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> Section | None:
    others = [key for key in axes if key != _SEED]
    if _SEED not in axes or len({row[_SEED] for row in rows}) < 2:
        return None
    seeds: dict[tuple[Any, ...], dict[Any, Mapping[str, Any]]] = {}
    for row in rows:  # a point that was drawn twice is one run
        seeds.setdefault(tuple(row[key] for key in others), {}).setdefault(row[_SEED], row)
    held = {at: list(of.values()) for at, of in seeds.items()}
    main = [name for name in _ACROSS if name in results]
    shown_groups = dict(list(held.items())[:60])
    figures = [_intervals(name, others, shown_groups) for name in main]
    columns = [
        Column(title=key, cells=[str(at[index]) for at in held], kind="name")
        for index, key in enumerate(others)
    ] or [Column(title="Points", cells=["all"], kind="name")]
    columns.append(Column(title="Seeds", cells=[count(len(of)) for of in held.values()]))
    for name in main:
        columns += _spread(name, list(held.values()))
    note = "" if len(held) <= 60 else f" Drawn are the first 60 of {len(held):,} settings."
    return Section(
        name="seeds",
        title="What the seed alone does",
        lead="Bars are 95 % intervals of the mean over seeds (Student's t); dots are single runs. "
        f"Settings whose intervals overlap widely are not told apart by these seeds.{note}",
        body=f"{legend({'line': 'mean and interval', 'upload': 'a run'})}"
        f'<div class="pair">{"".join(figure.html() for figure in figures)}</div>'
        f"{table(columns, label='Means over seeds')}",
        figures=figures,
    )


def _spread(name: str, groups: Sequence[Sequence[Mapping[str, Any]]]) -> list[Column]:
    values = [[row[name] for row in of if row[name] is not None] for of in groups]
    scale = parallel.scale(name, [value for of in values for value in of])
    scaled = [[value * scale.factor for value in of] for of in values]
    means = [mean(of) if of else None for of in scaled]
    halves = [interval(of) if len(of) > 1 else None for of in scaled]
    return [
        Column(title=_title(name), unit=scale.unit, cells=fixed(means)),
        Column(title="±", unit=scale.unit, cells=fixed(halves), hint="95 % interval of the mean"),
    ]


def _intervals(
    name: str, keys: Sequence[str], held: Mapping[tuple[Any, ...], Sequence[Mapping[str, Any]]]
) -> Figure:
    scale = parallel.scale(name, [row[name] for of in held.values() for row in of])
    labels = [text(", ".join(map(str, at)) or "all points") for at in held]
    values = [
        [row[name] * scale.factor for row in of if row[name] is not None] for of in held.values()
    ]
    having = [(label, of) for label, of in zip(labels, values, strict=True) if of]
    dots = {
        "type": "scatter", "mode": "markers",
        "x": rounded(value for _, of in having for value in of),
        "y": [label for label, of in having for _ in of],
        "marker": {"color": "$upload", "size": 5},
        "hovertemplate": f"%{{x:,.4g}} {scale.unit}<extra></extra>",
    }  # fmt: skip
    halves = rounded(interval(of) if len(of) > 1 else 0.0 for _, of in having)
    bars = {
        "type": "scatter", "mode": "markers", "x": rounded(mean(of) for _, of in having),
        "y": [label for label, _ in having], "marker": {"color": "$line", "size": 9},
        "error_x": {"type": "data", "array": halves, "color": "$line", "thickness": 2},
        "hovertemplate": f"%{{y}}<br>mean %{{x:,.4g}} {scale.unit}<extra></extra>",
    }  # fmt: skip
    return Figure(
        name=f"seeds-{name}",
        title=f"{_title(name)} <span>by {text(', '.join(keys) or 'seed')}</span>",
        label=f"{_title(name)} with intervals over seeds; the table below holds the numbers.",
        data=[bars, dots],
        layout={
            "xaxis": {"title": {"text": scale.unit or "accuracy"}},
            "yaxis": {"type": "category", "autorange": "reversed"},
        },
        height=90 + 30 * max(len(having), 2),
    )


# --- tables ---------------------------------------------------------------------------------------


def _failures(axes: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Section | None:
    failed = [row for row in rows if row["failed"] is not None]
    if not failed:
        return None
    columns = [_numbers(failed), *parallel.settings(axes, failed)]
    columns.append(Column(title="Why", cells=[row["failed"] for row in failed], kind="prose"))
    return Section(
        name="failures", title="Points that could not go on",
        lead=f"<b>{count(len(failed), 'point')}</b> ended without a result, and would again.",
        body=table(columns, label="Points that could not go on"),
    )  # fmt: skip


def _points(
    axes: Sequence[str], rows: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> Section:
    some = rows[:_SHOWN]
    columns = [
        _numbers(some), *parallel.settings(axes, some),
        *parallel.values({name: _title(name) for name in results}, some),
    ]  # fmt: skip
    lead = "<b>points.parquet</b> holds the same with all columns and digits"
    cut = f"; here are the first {count(_SHOWN)} of {count(len(rows))}" * (len(rows) > _SHOWN)
    return Section(
        name="points", title="All points", lead=f"{lead}{cut}.",
        body=table(columns, label="All points"),
    )  # fmt: skip


def _numbers(rows: Sequence[Mapping[str, Any]]) -> Column:
    return Column(title="Point", cells=[str(row["point"]) for row in rows])
