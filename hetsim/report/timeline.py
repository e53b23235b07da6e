"""Who did what when: a bar for each segment of work, a row for each node.

Long runs are shown as an excerpt, and the page says which.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.trace import Trace
from hetsim.report.base import Column, Figure, Section, amounts, table, text
from hetsim.report.excerpt import Bar, Excerpt, excerpt
from hetsim.report.numbers import (
    NONE,
    Scale,
    count,
    duration,
    every,
    labels,
    rounded,
    share,
    time_scale,
)
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
_WIDE, _NARROW = 0.72, 0.4
"""Height of a bar, of a row; that of a transfer, which lets the work behind it be seen."""
_MARGIN = 1.005
"""Of the time axis, so that what happens at the very end is not cut off."""
_NUMBERS = 13
"""Numbers of rounds that stand side by side on the narrowest screen."""
_CROWD = 110
"""Pixels of the curves of transfers below the rows."""
_LINKS = 20
"""Rows of the table of full links."""
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
        extra={"timeline": {text(label): name for name, label in _short(shown).items()}},
    )


def colours(kinds: list[str]) -> dict[str, str]:
    """A colour for each kind of work: its own, else a spare one, else the common one."""
    spare = iter(_SPARE)
    return {kind: _COLOURS.get(kind) or next(spare, "rest") for kind in kinds}


def _short(shown: Excerpt) -> dict[str, str]:
    """What each node is called beside its row."""
    return labels(shown.actors, 24)


def _kinds(shown: Excerpt) -> list[str]:
    """Kinds by time, the longest first; transfers last, as they are drawn upon the others."""
    seconds: dict[str, Seconds] = defaultdict(float)
    for bar in shown.bars:
        seconds[bar.kind] += bar.t1 - bar.t0
    moves = {bar.kind for bar in shown.bars if bar.moves}
    return sorted(seconds, key=lambda kind: (kind in moves, -seconds[kind], kind))


def figure(trace: Trace, shown: Excerpt | None = None) -> Figure:
    """Segments of work by node; as much of the run as a screen can show."""
    shown = shown or excerpt(trace)
    scale = time_scale(shown.end)
    short = {name: text(label) for name, label in _short(shown).items()}
    kinds = _kinds(shown)
    paint = colours(kinds)
    row = 24 if len(shown.actors) <= 30 else 14 if len(shown.actors) <= 80 else 7
    data: list[dict[str, Any]] = []
    for kind in kinds:
        bars = [bar for bar in shown.bars if bar.kind == kind]
        data.append(
            {
                "type": "bar", "orientation": "h", "name": text(kind),
                "width": [_NARROW if bar.moves else _WIDE for bar in bars],
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
        meanings["stop"] = "cut short"
    meanings |= {colour: meaning for colour, meaning, _ in troubles}
    meanings |= {"full": "link full, or down"} if links else {}
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
    words: list[dict[str, Any]] = []
    free = 0.0
    for row in rows:
        middle = (row["t0_s"] + row["t1_s"]) / 2
        if middle < free:
            continue
        free = middle + shown.end / _NUMBERS
        words.append({
            "text": f"{row['round']}", "yref": "paper", "y": 1, "yanchor": "bottom",
            "x": middle * scale.factor, "showarrow": False,
            "font": {"size": 11, "color": "$muted"},
        })  # fmt: skip
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
    mean, least, most = map(duration, (sum(rounds) / len(rounds), min(rounds), max(rounds)))
    if least == most:
        return f"Each round took {mean}."
    return f"A round took {mean} on average, between {least} and {most}."


def _saturated(trace: Trace) -> str:
    """Which links were full, for how long and when, over the whole run."""
    end = trace.summary["simulated_s"]
    found = saturated(trace, end)
    if not found:
        return ""
    shown = list(found.items())[:_LINKS]
    longest = [max(times, key=lambda each: each[1] - each[0]) for _, times in shown]
    columns = [
        Column(title="Link", cells=[link for link, _ in shown], kind="name"),
        amounts("Full for", (lasting(times) for _, times in shown), "s"),
        Column(title="Of the run", cells=[share(lasting(times), end) for _, times in shown]),
        Column(title="Times", cells=[count(len(times)) for _, times in shown]),
        Column(title="Longest", cells=[duration(t1 - t0) for t0, t1 in longest]),
        Column(title="From", cells=[duration(t0) for t0, _ in longest]),
    ]
    more = len(found) - len(shown)
    rest = f'<p class="note">{count(more, "link")} more were full for less.</p>' if more else ""
    return f"<h3>Links that were full</h3>{table(columns, label='Full links')}{rest}"


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
        else f"{count(len(shown.actors))} of {count(nodes, 'node')}, those that throttled, died or "
        "held rounds up before the others, of all profiles the busiest"
    )
    merged = ""
    if shown.segments > len(shown.bars):
        near = f"less than {duration(shown.gap)} apart" if shown.gap else "that overlap"
        merged = (
            f" {count(shown.segments, 'segment')} are drawn as {count(len(shown.bars), 'bar')}: "
            f"segments of one kind {near} are one bar, marked by how the last of them ended."
        )
    return (
        f'<p class="note">Shown: {extent}; {who}.{merged} Narrow bars are transfers. '
        "With a mouse, drag sideways to look closer and double-click to return; a click on a bar "
        "chooses its node below. The strip below a "
        "bar is how much longer it took "
        "than it would have with its links or its processor to itself, as they were when it began; "
        "the curves count transfers over all links. A link is full while those who share it take "
        "all of it, and in an outage. Every segment is in spans.parquet, and "
        f"trace.json.gz opens in ui.perfetto.dev.</p>{_saturated(trace)}"
    )
