"""`plan.html`: what meets the goals, at what price, and what a step from it would buy.

Every configuration in the plane of any two results, with the goals as lines; every one as a line
across its settings and results; the Pareto front with its files; steps from the chosen one; and why
each of the others was cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hetsim.report import parallel
from hetsim.report.base import Column, Figure, Section, document, legend, table, text, warning
from hetsim.report.numbers import (
    NONE,
    SPACE,
    Scale,
    count,
    fixed,
    rounded,
    si_scale,
    significant,
    time_scale,
)
from hetsim.report.numbers import labels as short

_TITLES = {
    "price": "Price", "time_s": "Time", "energy_j": "Energy, all nodes", "accuracy": "Accuracy",
    "device_j": "Energy of devices", "active_j": "Energy above base power",
    "bytes_sent": "Bytes sent", "battery_end": "Least charged battery", "dropouts": "Drop-outs",
    "excluded": "Devices that cannot take part",
}  # fmt: skip
_PERCENT = ("battery_end", "dropouts")
_STATUS = {
    "chosen": ("stop", "chosen"), "nearest": ("stop", "nearest miss"), "front": ("line", "front"),
    "meets": ("mean", "meets all goals"), "misses": ("upload", "misses a goal"),
}  # fmt: skip
"""Colour and name of what became of a configuration that was played to the end."""
_RUNGS = {
    "none": "refused", "price": "priced alone", "cost": "without learning", "few": "a few rounds",
    "full": "to the end",
}  # fmt: skip
_SHOWN = 1000


def render(plan: Mapping[str, Any], *, asked: str) -> str:
    """The page as HTML; equal plans give equal text.

    Args:
        plan: `plan.json`, with `rows` of the table, `columns` of the objectives, the goals as
            `limits` and the answer in `words`.
        asked: text of `plan.yaml`.
    """
    rows = plan["rows"]
    played = [row for row in rows if row["status"] in _STATUS]
    results = [name for name in _TITLES if any(row[name] is not None for row in played)]
    results = [*plan["columns"], *(name for name in results if name not in plan["columns"])]
    results = [name for name in results if any(row[name] is not None for row in played)]
    sections = [
        _plane(plan, played, results),
        _steps(plan),
        _front(plan),
        _lines(plan, played, results),
        _all(plan, results),
        Section(name="asked", title="What was asked", lead="The content of <b>plan.yaml</b>.",
                body=f"<pre>{text(asked)}</pre>"),
    ]  # fmt: skip
    return document(
        title=f"Plan of {plan['name']} · hetsim",
        header=_header(plan),
        sections=[section for section in sections if section],
        scripts=("sweep.js", "plan.js"),
    )


# --- the head -------------------------------------------------------------------------------------


def _header(plan: Mapping[str, Any]) -> str:
    answer, looked = plan["words"]
    found = plan["chosen"] or plan["nearest_miss"]
    nothing = "" if plan["met"] else warning("No configuration meets all goals.", text(answer))
    free = plan["without_price"]
    unpriced = warning("Not everything has a price.", f"Free: {text(', '.join(free))}.")
    boxes = "".join(_goal_box(goal, found) for goal in plan["limits"])
    settings = "".join(
        f"<p>{text(key)} <b>{text(value)}</b></p>" for key, value in found["settings"].items()
    ) if found else ""  # fmt: skip
    title = "Chosen" if plan["met"] else "Nearest miss"
    number = f"{title}: configuration {found['configuration']}" if found else "Nothing to choose"
    return (
        f'<p class="kicker">Capacity plan</p><h1>{text(plan["name"])}</h1>'
        f'<p class="answer">{text(answer) if plan["met"] or not found else text(looked)}</p>'
        f"{nothing}{unpriced if free else ''}"
        f'<div class="keys"><div><h2>{number}</h2>{settings}</div>{boxes}'
        f'<div><h2>Looked at</h2><div class="big">{count(plan["looked_at"])}</div>'
        f"<p>{text(looked)}</p></div></div>"
    )


def _goal_box(goal: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    value = found["values"][goal["column"]] if found else None
    if value is None:
        state = "nothing to measure"
    else:
        met = value >= goal["limit"] if goal["high"] else value <= goal["limit"]
        state = "met" if met else "missed"
    return (
        f"<div><h2>{text(goal['text'])}</h2>"
        f'<div class="big">{_shown(goal["column"], value)}</div><p>{state}</p></div>'
    )


def _shown(column: str, value: float | None) -> str:
    if value is None:
        return NONE
    scale = _scale(column, [value])
    return f"{significant(value * scale.factor)}{SPACE}{scale.unit}".rstrip(SPACE)


def _scale(column: str, values: Iterable[float | None]) -> Scale:
    top = max((abs(value) for value in values if value is not None), default=0.0)
    if column in _PERCENT:
        return Scale(100.0, "%")
    if column.endswith("_s"):
        return time_scale(top)
    if column.endswith("_j"):
        return si_scale(top, "J")
    return si_scale(top, "B") if column.startswith("bytes_") else Scale(1.0, "")


# --- figures --------------------------------------------------------------------------------------


def _plane(
    plan: Mapping[str, Any], played: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> Section | None:
    if not played or len(results) < 2:
        return None
    figure = Figure(
        name="plane", title="Two results", label="All configurations by two results, as chosen "
        "above; the table below holds the numbers.", data=[], height=440,
    )  # fmt: skip
    scales = {name: _scale(name, [row[name] for row in played]) for name in results}
    limits = {
        goal["column"]: {
            "at": rounded([goal["limit"] * scales[goal["column"]].factor])[0], "text": goal["text"],
        }
        for goal in plan["limits"] if goal["column"] in scales
    }  # fmt: skip
    data = {
        "results": {
            name: {
                "title": _TITLES[name], "unit": scale.unit,
                "values": [
                    None if row[name] is None else rounded([row[name] * scale.factor])[0]
                    for row in played
                ],
                "limit": limits.get(name),
            }
            for name, scale in scales.items()
        },
        "kinds": [
            {"name": name, "status": status, "color": f"${colour}"}
            for status, (colour, name) in _STATUS.items()
        ],
        "status": [row["status"] for row in played],
        "words": [
            f"configuration {row['configuration']}<br>"
            + "<br>".join(f"{text(key)} {text(row[key])}" for key in plan["keys"])
            for row in played
        ],
    }  # fmt: skip
    options = [(name, _TITLES[name]) for name in results]
    up = 1 if len(options) > 1 else 0
    shown = {colour: name for status, (colour, name) in _STATUS.items()
             if any(row["status"] == status for row in played)}  # fmt: skip
    return Section(
        name="plane",
        title="What there is to choose from",
        lead="Each dot is a configuration that was played to the end; dashed lines are goals. "
        "On the front, no other that meets the goals is better in all objectives: "
        f"{', '.join(text(name) for name in plan['objectives'])}.",
        body=f"<p><label>Across {parallel.chooser('plane-x', options)}</label> "
        f"<label>up {parallel.chooser('plane-y', options, up)}</label></p>"
        f"{legend(shown)}"
        f'<figure><div class="plot" id="plot-plane" role="img" aria-label="{figure.label}" '
        f'style="height:{figure.height}px"></div></figure>',
        figures=(figure,),
        extra={"plan": data},
    )


def _steps(plan: Mapping[str, Any]) -> Section | None:
    steps = plan["steps"]
    if not steps:
        return None
    names = plan["objectives"]
    drawn = [step for step in steps if any(step["changes"][name] is not None for name in names)]
    figures: tuple[Figure, ...] = ()
    if drawn:
        colours = ("line", "upload", "mean", "extra0", "extra1", "extra2")
        names_of = short([step["step"] for step in drawn])
        labels = [text(names_of[step["step"]]) for step in drawn]
        bars = [
            {
                "type": "bar", "orientation": "h", "name": text(name), "y": labels,
                "x": [None if step["changes"][name] is None
                      else rounded([100.0 * step["changes"][name]])[0] for step in drawn],
                "marker": {"color": f"${colours[place % len(colours)]}"},
                "customdata": [text(step["step"]) for step in drawn],
                "hovertemplate": f"%{{customdata}}<br>{text(name)} %{{x:+.3g}} %<extra></extra>",
            }
            for place, name in enumerate(names)
        ]  # fmt: skip
        figures = (
            Figure(
                name="steps", title="Change of each objective",
                label="Change of each objective by a step; the table below holds the numbers.",
                data=bars,
                layout={
                    "barmode": "group", "xaxis": {"title": {"text": "change, %"}},
                    "yaxis": {"type": "category", "autorange": "reversed"},
                },
                height=90 + (16 + 14 * len(names)) * len(drawn),
                legend={colours[place % len(colours)]: name for place, name in enumerate(names)},
            ),
        )  # fmt: skip
    columns = [
        Column(title="Step", cells=[step["step"] for step in steps], kind="prose"),
        *(
            Column(title=name, unit="%", cells=[_change(step["changes"][name]) for step in steps])
            for name in names
        ),
        Column(title="Goals", kind="prose", cells=[
            "all met" if step["meets"] else step["why"] or "; ".join(step["misses"])
            for step in steps
        ]),
    ]  # fmt: skip
    around = "the chosen configuration" if plan["met"] else "the nearest miss"
    return Section(
        name="steps",
        title="What a step would buy",
        lead=f"One step from {around} along each key, all else as it is.",
        body="".join(figure.html() for figure in figures) + table(columns, label="Steps"),
        figures=figures,
    )


def _change(value: float | None) -> str:
    if value is None:
        return NONE
    sign = "−" if value < 0 else "+" if value > 0 else ""
    return f"{sign}{significant(abs(100.0 * value), 3)}"


def _lines(
    plan: Mapping[str, Any], played: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> Section | None:
    drawn: list[dict[str, Any]] = []
    for name in results:
        scale = _scale(name, [row[name] for row in played])
        values = [None if row[name] is None else rounded([row[name] * scale.factor])[0]
                  for row in played]  # fmt: skip
        drawn.append(
            {"key": name, "title": _TITLES[name], "unit": scale.unit, "names": None,
             "values": values}
        )  # fmt: skip
    kinds = [name for _, name in _STATUS.values()]
    status = {
        "key": "status", "title": "Status", "unit": "", "names": kinds,
        "values": [list(_STATUS).index(row["status"]) for row in played],
    }  # fmt: skip
    across = [*plan["columns"], *(goal["column"] for goal in plan["limits"])]
    return parallel.section(
        [parallel.dimension(key, [row[key] for row in played]) for key in plan["keys"]],
        [*drawn, status],
        across=[name for name in results if name in across],
        numbers=[row["configuration"] for row in played],
        noun="configuration",
    )


# --- tables ---------------------------------------------------------------------------------------


def _settings(plan: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    return [
        Column(title=key, cells=[str(row[key]) for row in rows],
               kind="name" if isinstance(rows[0][key], str | bool) else "num")
        for key in plan["keys"]
    ]  # fmt: skip


def _values(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> list[Column]:
    columns: list[Column] = []
    for name in names:
        scale = _scale(name, [row[name] for row in rows])
        cells = fixed(None if row[name] is None else row[name] * scale.factor for row in rows)
        columns.append(Column(title=_TITLES[name], unit=scale.unit, cells=cells))
    return columns


def _front(plan: Mapping[str, Any]) -> Section | None:
    if not plan["front"]:
        return None
    rows = {row["configuration"]: row for row in plan["rows"]}
    held = [rows[each["configuration"]] for each in plan["front"]]
    names = [name for name in _TITLES if any(row[name] is not None for row in held)]
    columns = [
        Column(title="File", cells=[each["file"] for each in plan["front"]], kind="name"),
        *_values(held, names),
        *_settings(plan, held),
    ]
    which = "those that meet all goals" if plan["met"] else "all that were played to the end"
    return Section(
        name="front",
        title="Pareto front",
        lead=f"No other of {which} is better in all objectives. Each is a complete topology, ready "
        "for <b>hetsim run</b>; the first is the chosen one.",
        body=table(columns, label="Pareto front"),
    )


def _all(plan: Mapping[str, Any], results: Sequence[str]) -> Section:
    rows = plan["rows"][:_SHOWN]
    columns = [
        Column(title="Configuration", cells=[str(row["configuration"]) for row in rows]),
        Column(title="Status", cells=[row["status"] for row in rows], kind="name"),
        Column(title="Played", cells=[_RUNGS[row["rung"]] for row in rows], kind="name"),
        *_values(rows, results),
        *_settings(plan, rows),
        Column(title="Why no further", cells=[row["why"] or "" for row in rows], kind="prose"),
    ]
    lead = "<b>evaluations.parquet</b> holds the same with all columns and digits"
    cut = f"; here are the first {count(_SHOWN)} of {count(len(plan['rows']))}"
    return Section(
        name="all", title="The configurations",
        lead=f"{lead}{cut * (len(plan['rows']) > _SHOWN)}. What surely misses a goal, or is surely "
        "no better than one that meets them all, is cut at the cheapest rung that tells.",
        body=table(columns, label="The configurations"),
    )  # fmt: skip
