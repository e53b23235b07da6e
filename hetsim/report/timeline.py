"""Who did what when: a bar for each segment of work, a row for each node.

Long runs are shown as an excerpt, and the page says which.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.trace import Trace
from hetsim.report.base import Figure, Section, text
from hetsim.report.excerpt import Bar, Excerpt, excerpt
from hetsim.report.numbers import NONE, Scale, count, duration, every, labels, rounded, time_scale
from hetsim.report.troubles import crowd, full_links, lasting, saturated, strips

_BANDS = 200
"""More rounds than this are not marked."""
_COLOURS = {
    "train": "train", "compute": "train", "forward": "train",
    "download": "download", "transfer": "download", "upload": "upload", "mean": "mean",
    "aggregate": "mean",
}  # fmt: skip
_THIN = 1.5
"""Pixels of border around a bar in its own colour, so that the shortest segment can be seen."""
_MARGIN = 1.005
"""Of the time axis, so that what happens at the very end is not cut off."""
_CROWD = 110
"""Pixels of the curves of transfers below the rows."""
_NAMED = 5
"""Saturated links told of in words."""
_SPARE = ("extra0", "extra1", "extra2", "extra3")


def section(trace: Trace) -> Section:
    """The section "Timeline"."""
    if not trace.spans:
        return Section(
            name="timeline", title="Timeline", lead="No node did any work in this run.", body=""
        )
    shown = excerpt(trace)
    drawn = figure(trace, shown)
    return Section(
        name="timeline",
        title="Timeline",
        lead=_lead(trace, shown),
        body=f"{drawn.html()}{_statement(trace, shown)}",
        figures=(drawn,),
    )


def colours(kinds: list[str]) -> dict[str, str]:
    """A colour for each kind of work: its own, else a spare one, else the common one."""
    spare = iter(_SPARE)
    return {kind: _COLOURS.get(kind) or next(spare, "rest") for kind in kinds}


def _kinds(shown: Excerpt) -> list[str]:
    """Kinds by time, the longest first."""
    seconds: dict[str, Seconds] = defaultdict(float)
    for bar in shown.bars:
        seconds[bar.kind] += bar.t1 - bar.t0
    return sorted(seconds, key=lambda kind: (-seconds[kind], kind))


def figure(trace: Trace, shown: Excerpt | None = None) -> Figure:
    """Segments of work by node; as much of the run as a screen can show."""
    shown = shown or excerpt(trace)
    scale = time_scale(shown.end)
    short = {name: text(label) for name, label in labels(shown.actors, 24).items()}
    kinds = _kinds(shown)
    paint = colours(kinds)
    row = 24 if len(shown.actors) <= 30 else 14 if len(shown.actors) <= 80 else 7
    data: list[dict[str, Any]] = []
    for kind in kinds:
        bars = [bar for bar in shown.bars if bar.kind == kind]
        data.append(
            {
                "type": "bar", "orientation": "h", "name": text(kind), "width": 0.72,
                "y": [short[bar.actor] for bar in bars],
                "base": rounded(bar.t0 * scale.factor for bar in bars),
                "x": rounded((bar.t1 - bar.t0) * scale.factor for bar in bars),
                "customdata": [_facts(bar) for bar in bars],
                "marker": {
                    "color": f"${paint[kind]}",
                    "line": {"color": f"${paint[kind]}", "width": _THIN},
                },
                "hovertemplate": "%{y}: %{fullData.name}, round %{customdata[2]}"
                "<br>from %{customdata[0]} for %{customdata[1]}"
                "<br>segments: %{customdata[3]}<extra></extra>",
            }
        )  # fmt: skip
    cuts = [bar for bar in shown.bars if bar.cut and bar.t1 < shown.end]
    data.append(
        {
            "type": "scatter", "mode": "markers", "name": "cut short",
            "x": rounded(bar.t1 * scale.factor for bar in cuts),
            "y": [short[bar.actor] for bar in cuts],
            "marker": {"symbol": "x-thin", "size": 7, "color": "$stop",
                       "line": {"color": "$stop", "width": 2}},
            "hovertemplate": "%{y}: cut short in %{text}<extra></extra>",
            "text": [text(bar.kind) for bar in cuts],
        }
    )  # fmt: skip
    troubles = strips(trace, shown, short, scale)
    crowded = crowd(trace, shown.end, scale)
    links, full = full_links(trace, shown.end, scale)
    data += [drawn for *_, drawn in (*troubles, *crowded)] + ([full] if links else [])
    shapes, words = _bands(trace, shown, scale)
    step = 1 if row >= 14 else -(-len(shown.actors) // 60)
    rows = [*(short[actor] for actor in shown.actors), *map(text, links)]
    ticks = [*(short[actor] for actor in shown.actors[::step]), *map(text, links)]
    meanings: dict[str, str] = {}
    for kind in kinds:
        colour = paint[kind]
        meanings[colour] = f"{meanings[colour]}, {kind}" if colour in meanings else kind
    if cuts:
        meanings["stop"] = "cut short (dropped out)"
    meanings |= {colour: meaning for colour, meaning, _ in troubles}
    meanings |= {"full": "link full: those who share it take all of it"} if links else {}
    height = row * max(len(rows), 4)
    below = _CROWD / (height + _CROWD) if crowded else 0.0
    return Figure(
        name="timeline",
        title=f"Segments of work <span>by node{_marks(shapes)}</span>",
        label=f"Timeline of {count(len(shown.actors), 'node')}, coloured by kind of work.",
        data=data,
        layout={
            "barmode": "overlay",
            "xaxis": {
                "title": {"text": f"simulated time, {scale.unit}"},
                "range": [0, shown.end * scale.factor * _MARGIN],
                **({"anchor": "y2"} if crowded else {}),
            },
            **(_crowd_axis(below) if crowded else {}),
            "yaxis": {
                "domain": [below, 1],
                "type": "category",
                "categoryorder": "array",
                "categoryarray": rows,
                "range": [len(rows) - 0.4, -0.6],
                "tickmode": "array",
                "tickvals": ticks,
                "ticktext": ticks,
                "showgrid": False,
            },
            "shapes": shapes,
            "annotations": [*words, *(_crowd_title(below) if crowded else [])],
            "margin": {"t": 22},
        },
        height=90 + height + (_CROWD if crowded else 0),
        zoom=True,
        legend=meanings,
    )


def _crowd_axis(below: float) -> dict[str, Any]:
    """The axis of transfers, below the rows."""
    return {"yaxis2": {"domain": [0, below * 0.66], "rangemode": "tozero", "nticks": 3}}


def _crowd_title(below: float) -> list[dict[str, Any]]:
    return [
        {
            "text": "transfers under way, and held up",
            "xref": "paper", "x": 0, "xanchor": "left",
            "yref": "paper", "y": below * 0.68, "yanchor": "bottom",
            "showarrow": False, "font": {"size": 11, "color": "$muted"},
        }
    ]  # fmt: skip


def _facts(bar: Bar) -> list[Any]:
    """What hovering shows: start, duration, round, segments."""
    number = f"{bar.round}" if bar.round >= 0 else NONE
    number += f" to {bar.last}" if bar.last > bar.round else ""
    return [duration(bar.t0), duration(bar.t1 - bar.t0), number, bar.segments]


def _bands(
    trace: Trace, shown: Excerpt, scale: Scale
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Shaded rounds and their numbers; a line at each server step where rounds overlap."""
    rows = [row for row in trace.rounds[: shown.rounds] if row["t0_s"] < shown.end]
    if len(rows) > _BANDS:
        return [], []
    overlap = any(b["t0_s"] < a["t1_s"] for a, b in pairwise(rows))
    place = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    if overlap:
        lines = [
            {
                "type": "line", **place, "x0": row["t1_s"] * scale.factor,
                "x1": row["t1_s"] * scale.factor, "line": {"color": "$rule", "width": 1},
            }
            for row in rows
        ]  # fmt: skip
        return lines, []
    shapes = [
        {
            "type": "rect", **place, "x0": row["t0_s"] * scale.factor,
            "x1": row["t1_s"] * scale.factor, "fillcolor": "$band", "line": {"width": 0},
        }
        for row in rows[::2]
    ]  # fmt: skip
    step = -(-len(rows) // 12)
    words = [
        {
            "text": f"{row['round']}", "yref": "paper", "y": 1, "yanchor": "bottom",
            "x": (row["t0_s"] + row["t1_s"]) / 2 * scale.factor, "showarrow": False,
            "font": {"size": 11, "color": "$muted"},
        }
        for row in rows[::step]
    ]  # fmt: skip
    return shapes, words


def _marks(shapes: list[dict[str, Any]]) -> str:
    """What the background marks."""
    if not shapes:
        return ""
    return {
        "rect": "; bands are rounds, numbered above",
        "line": "; lines are the ends of rounds, which overlap",
    }[shapes[0]["type"]]


def _lead(trace: Trace, shown: Excerpt) -> str:
    rounds = [row["t1_s"] - row["t0_s"] for row in trace.rounds]
    if not rounds:
        return f"{count(shown.segments, 'segment')} of work, and no round was completed."
    return (
        f"A round took {duration(sum(rounds) / len(rounds))} on average, "
        f"between {duration(min(rounds))} and {duration(max(rounds))}."
    )


def _saturated(trace: Trace, shown: Excerpt) -> str:
    """Which links were full, when, in words."""
    found = saturated(trace, shown.end)
    if not found:
        return ""
    rows = [
        f"<b>{text(link)}</b> {duration(lasting(times))} in all, {count(len(times), 'time')}, the "
        f"longest from {duration(t0)} to {duration(t1)}"
        for link, times in list(found.items())[:_NAMED]
        for t0, t1 in [max(times, key=lambda each: each[1] - each[0])]
    ]
    more = len(found) - len(rows)
    rest = f"; and {count(more, 'link')} for less" if more else ""
    return f'<p class="note">Saturated links: {"; ".join(rows)}{rest}.</p>'


def _statement(trace: Trace, shown: Excerpt) -> str:
    """What is drawn and what is not, in words."""
    total = len(trace.rounds)
    extent = (
        every(total, "round")
        if shown.rounds == total
        else f"the first {count(shown.rounds, 'round')} of {count(total)} "
        f"(up to {duration(shown.end)})"
    )
    nodes = len({span.actor for span in trace.spans})
    who = (
        f"{every(nodes, 'node')} that worked"
        if nodes == len(shown.actors)
        else f"the {count(len(shown.actors))} busiest of {count(nodes, 'node')}"
    )
    merged = ""
    if shown.segments > len(shown.bars):
        merged = (
            f" {count(shown.segments, 'segment')} are drawn as {count(len(shown.bars), 'bar')}: "
            f"segments of one kind less than {duration(shown.gap)} apart are one bar, "
            "marked by how the last of them ended."
        )
    return (
        f'{_saturated(trace, shown)}<p class="note">Shown: {extent}; {who}.{merged} '
        "With a mouse, drag sideways to look closer and double-click to return. The strip below a "
        "bar is how much longer it took "
        "than it would have with its links or its processor to itself, as they were when it began; "
        "the curves count transfers over all links. Every segment is in spans.parquet, and "
        "trace.json.gz opens in ui.perfetto.dev.</p>"
    )
