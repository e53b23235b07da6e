"""Who did what when: a bar for each segment of work, a row for each node.

A screen shows a few thousand bars. Where a run has more, those that touch on the screen are drawn
as one, and if that is not enough the run is cut after a whole number of rounds; the page says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.trace import ROLES, Span, Trace
from hetsim.report.base import Figure, Section, text
from hetsim.report.numbers import NONE, Scale, count, duration, every, labels, rounded, time_scale

_BARS = 4000
"""Bars that a browser draws and moves at ease."""
_SEGMENTS = 20 * _BARS
"""Segments looked at: bars that stand for more on average would show nothing."""
_ACTORS = 200
"""Rows drawn at most."""
_PIXELS = 1600
"""Bars closer than the shown time over this touch on a screen."""
_BANDS = 200
_COLOURS = {
    "train": "train", "compute": "train", "forward": "train",
    "download": "download", "transfer": "download", "upload": "upload", "mean": "mean",
    "aggregate": "mean",
}  # fmt: skip
_SPARE = ("extra0", "extra1", "extra2", "extra3")


@dataclass(slots=True)
class Bar:
    """One segment, or several of one kind on one node that touch on the screen.

    Attributes:
        round, last: rounds of its first and last segment; -1 outside of any.
        segments: how many it stands for.
        cut: whether the last of them was cut short.
    """

    actor: str
    kind: str
    t0: Seconds
    t1: Seconds
    round: int
    last: int
    segments: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What the timeline shows of a run."""

    bars: list[Bar]
    actors: list[str]
    rounds: int
    end: Seconds
    gap: Seconds
    segments: int


def excerpt(trace: Trace) -> Excerpt:
    """As many whole rounds from the start as fit into the bars a browser can draw."""
    actors = _actors(trace)
    kept = set(actors)
    spans = sorted((s for s in trace.spans if s.actor in kept), key=lambda s: (s.t0, s.serial))
    everything = max((span.t1 for span in spans), default=0.0)
    ends = [row["t1_s"] for row in trace.rounds]
    rounds, pixels = len(ends), _PIXELS
    starts = [span.t0 for span in spans]
    while True:
        end = everything if rounds == len(ends) else max(ends[:rounds])
        inside = spans[: bisect_left(starts, end)]
        excess = len(inside) / _SEGMENTS
        for gap in (0.0, end / pixels) if excess <= 1.0 or rounds <= 1 else ():
            bars = _merged(inside, gap, end)
            if len(bars) <= _BARS or pixels == 1:
                return Excerpt(bars, actors, rounds, end, gap, len(inside))
            excess = len(bars) / _BARS
        if rounds > 1:
            rounds = max(1, min(rounds - 1, int(rounds / excess)))
        else:
            pixels //= 2


def section(trace: Trace) -> Section:
    """The section "Timeline"."""
    if not trace.spans:
        return Section(
            name="timeline", title="Timeline", lead="No node did any work in this run.", body=""
        )
    shown = excerpt(trace)
    scale = time_scale(shown.end)
    figure = _figure(trace, shown, scale)
    return Section(
        name="timeline",
        title="Timeline",
        lead=_lead(trace, shown),
        body=f"{figure.html()}{_statement(trace, shown)}",
        figures=(figure,),
    )


def _actors(trace: Trace) -> list[str]:
    """Nodes that did something: server first, then gateways, devices and links as in the file."""
    worked: dict[str, Seconds] = defaultdict(float)
    for span in trace.spans:
        worked[span.actor] += span.t1 - span.t0
    order = ("server", "gateway", "device", "link")
    assert set(order) == set(ROLES)
    ranked = sorted(trace.devices, key=lambda row: order.index(row["role"]))
    listed = [row["device"] for row in ranked if row["device"] in worked]
    listed += sorted(worked.keys() - set(listed))
    if len(listed) <= _ACTORS:
        return listed
    busiest = set(sorted(listed, key=lambda actor: -worked[actor])[:_ACTORS])
    return [actor for actor in listed if actor in busiest]


def _merged(spans: list[Span], gap: Seconds, end: Seconds) -> list[Bar]:
    """Bars of `spans`, which are sorted by start; those nearer than `gap` become one."""
    bars: list[Bar] = []
    last: dict[tuple[str, str], Bar] = {}
    for span in spans:
        key = span.actor, span.kind
        t1, cut = min(span.t1, end), span.outcome != "done"
        old = last.get(key)
        if old and span.t0 - old.t1 < gap:
            old.t1, old.last, old.cut = max(old.t1, t1), span.round, cut
            old.segments += 1
        else:
            last[key] = bar = Bar(*key, span.t0, t1, span.round, span.round, 1, cut)
            bars.append(bar)
    return bars


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


def _figure(trace: Trace, shown: Excerpt, scale: Scale) -> Figure:
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
                "marker": {"color": f"${paint[kind]}", "line": {"width": 0}},
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
    shapes, words = _bands(trace, shown, scale)
    step = 1 if row >= 14 else -(-len(shown.actors) // 60)
    ticks = [short[actor] for actor in shown.actors[::step]]
    meanings: dict[str, str] = {}
    for kind in kinds:
        colour = paint[kind]
        meanings[colour] = f"{meanings[colour]}, {kind}" if colour in meanings else kind
    if cuts:
        meanings["stop"] = "cut short (dropped out)"
    return Figure(
        name="timeline",
        title="Segments of work <span>by node; bands are rounds, numbered above</span>",
        label=f"Timeline of {count(len(shown.actors), 'node')}, coloured by kind of work.",
        data=data,
        layout={
            "barmode": "overlay",
            "xaxis": {
                "title": {"text": f"simulated time, {scale.unit}"},
                "range": [0, shown.end * scale.factor],
            },
            "yaxis": {
                "type": "category",
                "categoryorder": "array",
                "categoryarray": [short[actor] for actor in shown.actors],
                "range": [len(shown.actors) - 0.4, -0.6],
                "tickmode": "array",
                "tickvals": ticks,
                "ticktext": ticks,
                "showgrid": False,
            },
            "shapes": shapes,
            "annotations": words,
            "margin": {"t": 22},
        },
        height=90 + row * max(len(shown.actors), 4),
        zoom=True,
        legend=meanings,
    )


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


def _lead(trace: Trace, shown: Excerpt) -> str:
    rounds = [row["t1_s"] - row["t0_s"] for row in trace.rounds]
    if not rounds:
        return f"{count(shown.segments, 'segment')} of work, and no round was completed."
    return (
        f"A round took {duration(sum(rounds) / len(rounds))} on average, "
        f"between {duration(min(rounds))} and {duration(max(rounds))}."
    )


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
        f'<p class="note">Shown: {extent}; {who}.{merged} With a mouse, drag sideways to '
        "look closer and double-click to return. Every segment is in spans.parquet, and "
        "trace.json.gz opens in ui.perfetto.dev.</p>"
    )
