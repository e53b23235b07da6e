"""`plan.html`: what meets the goals, at what price, and what a step from it would buy.

Every configuration in the plane of any two results, with the goals as lines; every one as a line
across its settings and results; the Pareto front with its files; steps from the chosen one; and why
each of the others was cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.report import parallel
from hetsim.report.base import Column, Figure, Section, document, table, text, warning
from hetsim.report.numbers import (
    NONE,
    SPACE,
    count,
    rounded,
    significant,
)
from hetsim.report.numbers import labels as short

_TITLES = {
    "price": "Price", "time_s": "Time", "energy_j": "Energy, all nodes", "accuracy": "Accuracy",
    "device_j": "Energy of devices", "active_j": "Energy above base power",
    "bytes_sent": "Bytes sent", "battery_end": "Least charged battery", "dropouts": "Drop-outs",
    "excluded": "Devices that cannot take part",
}  # fmt: skip
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
            `limits`, and in `how` how the configurations were looked at.
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
    found = plan["chosen"] or plan["nearest_miss"]
    free = text(", ".join(plan["without_price"]))
    notes = warning("Not everything has a price.", f"Free: {free}.") if free else ""
    title = "Chosen" if plan["met"] else "Nearest miss"
    if found:
        number = f"{title}: configuration {found['configuration']}"
        chosen = parallel.box(number, settings=found["settings"])
    else:
        chosen = parallel.box("Nothing to choose")
    looked = parallel.box("Looked at", count(plan["looked_at"]), plan["how"])
    goals = [_goal_box(goal, found) for goal in plan["limits"]]
    return parallel.head(
        "Capacity plan", plan["name"], plan["answer"], [chosen, *goals, looked], notes
    )


def _goal_box(goal: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    value = found["values"][goal["column"]] if found else None
    if value is None:
        state = "nothing to measure"
    else:
        met = value >= goal["limit"] if goal["high"] else value <= goal["limit"]
        state = "met" if met else "missed"
    return parallel.box(goal["text"], _shown(goal["column"], value), state)


def _shown(column: str, value: float | None) -> str:
    if value is None:
        return NONE
    scale = parallel.scale(column, [value])
    return f"{significant(value * scale.factor)}{SPACE}{scale.unit}".rstrip(SPACE)


# --- figures --------------------------------------------------------------------------------------


def _plane(
    plan: Mapping[str, Any], played: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> Section | None:
    if not played or len(results) < 2:
        return None
    figure = Figure(
        name="plane", title="Configurations by two results", label="All configurations by two "
        "results, as chosen above; the table below holds the numbers.", data=[], height=440,
        legend={colour: name for status, (colour, name) in _STATUS.items()
                if any(row["status"] == status for row in played)},
    )  # fmt: skip
    goals = {goal["column"]: goal for goal in plan["limits"]}
    data = {
        "results": {
            name: parallel.result(name, _TITLES[name], played) | {
                "limit": _limit(goals[name], played) if name in goals else None
            }
            for name in results
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
    return Section(
        name="plane",
        title="What there is to choose from",
        lead="Each dot is a configuration that was played to the end; dashed lines are goals. "
        "On the front, no other that meets the goals is better in all objectives: "
        f"{', '.join(text(name) for name in plan['objectives'])}.",
        body=f"<p><label>Across {parallel.chooser('plane-x', options)}</label> "
        f"<label>up {parallel.chooser('plane-y', options, up)}</label></p>"
        f"{figure.html()}",
        figures=(figure,),
        extra={"plan": data},
    )


def _limit(goal: Mapping[str, Any], played: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where a goal lies on the axis of its quantity."""
    factor = parallel.scale(goal["column"], [row[goal["column"]] for row in played]).factor
    return {"at": rounded([goal["limit"] * factor])[0], "text": goal["text"]}


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
    status = parallel.named(
        "status", "Status", [list(_STATUS).index(row["status"]) for row in played],
        [name for _, name in _STATUS.values()],
    )  # fmt: skip
    across = [*plan["columns"], *(goal["column"] for goal in plan["limits"])]
    return parallel.section(
        [parallel.dimension(key, [row[key] for row in played]) for key in plan["keys"]],
        [*(parallel.result(name, _TITLES[name], played) for name in results), status],
        across=[name for name in results if name in across],
        numbers=[row["configuration"] for row in played],
        noun="configuration",
    )


# --- tables ---------------------------------------------------------------------------------------


def _front(plan: Mapping[str, Any]) -> Section | None:
    if not plan["front"]:
        return None
    rows = {row["configuration"]: row for row in plan["rows"]}
    held = [rows[each["configuration"]] for each in plan["front"]]
    names = [*plan["columns"], *(name for name in _TITLES if name not in plan["columns"])]
    names = [name for name in names if any(row[name] is not None for row in held)]
    columns = [
        Column(title="File", cells=[each["file"] for each in plan["front"]], kind="name"),
        *parallel.settings(plan["keys"], held),
        *parallel.values({name: _TITLES[name] for name in names}, held),
    ]
    which = "those that meet all goals" if plan["met"] else "all that were played to the end"
    first = "chosen one" if plan["met"] else "nearest miss"
    return Section(
        name="front",
        title="Pareto front",
        lead=f"No other of {which} is better in all objectives. Each is a complete topology, ready "
        f"for <b>hetsim run</b>; the first is the {first}.",
        body=table(columns, label="Pareto front"),
    )


def _all(plan: Mapping[str, Any], results: Sequence[str]) -> Section:
    rows = plan["rows"][:_SHOWN]
    columns = [
        Column(title="Configuration", cells=[str(row["configuration"]) for row in rows]),
        Column(title="Status", cells=[row["status"] for row in rows], kind="name"),
        Column(title="Played", cells=[_RUNGS[row["rung"]] for row in rows], kind="name"),
        *parallel.settings(plan["keys"], rows),
        *parallel.values({name: _TITLES[name] for name in results}, rows),
        Column(title="Why no further", cells=[row["why"] or "" for row in rows], kind="prose"),
    ]
    lead = "<b>evaluations.parquet</b> holds the same with all columns and digits"
    cut = f"; here are the first {count(_SHOWN)} of {count(len(plan['rows']))}"
    return Section(
        name="all", title="All configurations",
        lead=f"{lead}{cut * (len(plan['rows']) > _SHOWN)}. What surely misses a goal, or is surely "
        "no better than one that meets them all, is cut at the cheapest rung that tells.",
        body=table(columns, label="All configurations"),
    )  # fmt: skip
