"""What held the rounds up: the critical path by kind and by device, and what would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.core.trace import Trace
from hetsim.report import path
from hetsim.report.base import Column, Figure, Section, amounts, table, text
from hetsim.report.chain import COLOURS, MEANINGS, WORDS
from hetsim.report.numbers import (
    count,
    duration,
    rounded,
    share,
    time_scale,
)

_BARS = 100
"""Bars of the figure at most; where there are more rounds, several share one."""
_APART = 40
"""More bars than this stand side by side without a gap."""

Row = Mapping[str, Any]


def section(trace: Trace) -> Section:
    """The section "What held the rounds up"."""
    blame = trace.summary["blame"]
    if not blame["seconds"]:
        return Section(
            name="blame",
            title="What held the rounds up",
            lead="No round was completed.",
            body="",
        )
    figure = _figure(trace, [kind for kind in WORDS if blame["kinds"][kind]["seconds"]])
    chosen, extra = path.chooser(trace)
    return Section(
        name="blame",
        title="What held the rounds up",
        lead=_lead(blame),
        body=f"{figure.html()}{chosen}"
        f"<h3>By kind</h3>{_kinds(blame)}<h3>By node</h3>{_top(blame)}"
        f"<h3>What would help</h3>{_what_if(trace.summary)}"
        '<p class="note">The critical path of a round is the chain of segments that set its end: '
        "from the last one back to the one whose end let it begin, and so on to the start of the "
        "round. Its parts add up to the length of the round, and all of them are in "
        "critical.parquet.</p>",
        figures=(figure,),
        extra=extra,
    )


def wish(row: Row, simulated: float) -> str:
    """A row of `what_if` as a sentence, plain text."""
    saved = duration(simulated), duration(row["simulated_s_at_least"])
    if saved[0] == saved[1]:
        return (
            f"An {row['change']} of {row['device']} would save at most "
            f"{duration(row['saves_at_most_s'])} of {saved[0]}."
        )
    return (
        f"With an {row['change']} of {row['device']} the run would take at least {saved[1]} "
        f"instead of {saved[0]}."
    )


def _lead(blame: Row) -> str:
    total, top = blame["seconds"], blame["top"][0]
    kinds = [(kind, part["seconds"]) for kind, part in blame["kinds"].items() if part["seconds"]]
    first, *rest = [
        (share(seconds, total), WORDS[kind])
        for kind, seconds in sorted(kinds, key=lambda kind: -kind[1])
    ]
    return (
        f"Of the {duration(total)} of all rounds <b>{first[0]} was {first[1]}</b>"
        f"{''.join(f', {part} {kind}' for part, kind in rest[:3])}. The largest single "
        f"part was {WORDS[top['kind']]} at {text(top['device'])}, {share(top['seconds'], total)}."
    )


def _figure(trace: Trace, kinds: Sequence[str]) -> Figure:
    rows = trace.rounds
    step = -(-len(rows) // _BARS)
    bins = [rows[start : start + step] for start in range(0, len(rows), step)]
    longest = max(sum(row["t1_s"] - row["t0_s"] for row in of) / len(of) for of in bins)
    clock = time_scale(longest)
    names = [_name(of) for of in bins]
    width = step * (0.86 if len(bins) <= _APART else 1.0)
    data = [
        {
            "type": "bar", "name": text(WORDS[kind]), "width": width, "customdata": names,
            "x": [(of[0]["round"] + of[-1]["round"]) / 2 for of in bins],
            "y": rounded(
                sum(row[f"critical_{kind}_s"] for row in of) / len(of) * clock.factor for of in bins
            ),
            "marker": {"color": f"${COLOURS[kind]}"},
            "hovertemplate": f"%{{customdata}}<br>%{{fullData.name}}: %{{y:,.4g}} {clock.unit}"
            "<extra></extra>",
        }
        for kind in kinds
    ]  # fmt: skip
    mean = f", mean of {count(step)} rounds" if step > 1 else ""
    return Figure(
        name="blame",
        title=f"Critical path of each round <span>by kind{mean}</span>",
        label="Length of each round by what held it up; the table below holds the sums.",
        data=data,
        layout={
            "barmode": "stack",
            "xaxis": {
                "title": {"text": "round"},
                "tickformat": "d",
                "showgrid": False,
                "zeroline": False,
            },
            "yaxis": {"title": {"text": f"duration, {clock.unit}"}, "rangemode": "tozero"},
        },
        height=300,
        legend={COLOURS[kind]: WORDS[kind] for kind in kinds},
    )


def _name(of: Sequence[Row]) -> str:
    """What hovering calls a bar: the round and its largest part, or the rounds."""
    if len(of) > 1:
        return f"rounds {of[0]['round']} to {of[-1]['round']}"
    row = of[0]
    if not row["critical_device"]:
        return f"round {row['round']}"
    return (
        f"round {row['round']}, most: {WORDS[row['critical_kind']]} at "
        f"{text(row['critical_device'])}"
    )


def _kinds(blame: Row) -> str:
    rows = [(kind, part) for kind, part in blame["kinds"].items() if part["seconds"]]
    rows.sort(key=lambda row: -row[1]["seconds"])
    return table(
        [
            Column(title="Kind", cells=[WORDS[kind] for kind, _ in rows], kind="name"),
            amounts("On the path", (part["seconds"] for _, part in rows), "s"),
            Column(
                title="Share", cells=[share(r["seconds"], blame["seconds"]) for _, r in rows]
            ),
            Column(title="What it is", cells=[MEANINGS[kind] for kind, _ in rows], kind="prose"),
        ],
        label="Blame by kind",
    )  # fmt: skip


def _top(blame: Row) -> str:
    rows = blame["top"]
    return table(
        [
            Column(title="Node", cells=[row["device"] for row in rows], kind="name"),
            Column(title="Kind", cells=[WORDS[row["kind"]] for row in rows], kind="name"),
            amounts("On the path", (row["seconds"] for row in rows), "s"),
            Column(
                title="Share", cells=[share(row["seconds"], blame["seconds"]) for row in rows]
            ),
        ],
        label="Blame by node and kind",
    )  # fmt: skip


def _what_if(summary: Row) -> str:
    rows, simulated = summary["what_if"], summary["simulated_s"]
    if not rows:
        return "<p>No ideal link or processor of one node alone could shorten a round.</p>"
    order = ""
    if any(row["same_order"] for row in rows):
        order = (
            " Server steps of this run took up updates as they came. These are estimates and no "
            "bounds: they suppose that the same updates go into the same steps."
        )
    best = text(wish(rows[0], simulated))
    return (
        f"<p>{best}</p>"
        + table(
            [
                Column(title="Node", cells=[row["device"] for row in rows], kind="name"),
                Column(title="Change", cells=[row["change"] for row in rows], kind="name"),
                amounts(
                    "Run takes at least", (row["simulated_s_at_least"] for row in rows), "s",
                    digits=5,
                ),
                amounts("Saves at most", (row["saves_at_most_s"] for row in rows), "s"),
                Column(
                    title="Of the run",
                    cells=[share(row["saves_at_most_s"], simulated) for row in rows],
                ),
                Column(title="Rounds it touches", cells=[count(row["rounds"]) for row in rows]),
            ],
            label="What would help",
        )
        + f'<p class="note">An ideal link has no limit of its rate and keeps its latency; an ideal '
        "CPU takes no time. The times are lower bounds read off the trace, each for one change "
        f"alone and for the same clients being asked.{order}</p>"
    )  # fmt: skip
