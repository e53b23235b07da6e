"""What goes wrong on a timeline: heat that throttles, batteries that die, links that saturate."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.trace import Trace
from hetsim.report.base import text
from hetsim.report.excerpt import Excerpt
from hetsim.report.numbers import Scale, duration, rounded
from hetsim.report.power import means

Times = list[tuple[Seconds, Seconds]]
"""From when to when, in order."""

_LINKS = 8
"""Links drawn at most: those that were full longest."""
_BINS = 400
"""Points of the curve of transfers."""
HELD = 0.05
"""A transfer is held up when that share of its time is more than it would have had the links to
itself for."""
_LOW, _STRIP = 0.36, 0.16
"""Where the strip below a bar ends and how high it is, of a row."""


def throttled(trace: Trace, end: Seconds) -> dict[str, Times]:
    """For each node, from when to when up to `end` heat held its clocks down."""
    return _while(trace, "throttled", end)


def saturated(trace: Trace, end: Seconds) -> dict[str, Times]:
    """For each link or cell, from when to when up to `end` those who shared it took all of it.

    Those that were full longest come first. What ends and begins again at one instant goes on.
    """
    found: dict[str, Times] = {}
    for link, times in _while(trace, "saturated", end).items():
        joined = found[link] = list[tuple[Seconds, Seconds]]()
        for t0, t1 in times:
            if joined and joined[-1][1] == t0:
                t0 = joined.pop()[0]
            joined.append((t0, t1))
    return {
        link: times
        for link, times in sorted(found.items(), key=lambda item: (-lasting(item[1]), item[0]))
        if times
    }


def lasting(times: Times) -> Seconds:
    """How long they are together."""
    return sum(t1 - t0 for t0, t1 in times)


def _while(trace: Trace, track: str, end: Seconds) -> dict[str, Times]:
    """For each actor, from when to when up to `end` a counter was not 0."""
    changes: dict[str, list[tuple[Seconds, float]]] = defaultdict(list)
    for counter in trace.counters:
        if counter.track == track and counter.t < end:
            changes[counter.actor].append((counter.t, counter.value))
    return {
        actor: [
            (t0, t1)
            for (t0, value), (t1, _) in zip(steps, [*steps[1:], (end, 0.0)], strict=True)
            if value and t1 > t0
        ]
        for actor, steps in changes.items()
    }


def transfers(trace: Trace, end: Seconds) -> tuple[list[float], list[float]] | None:
    """How many transfers were under way, and how many of them held up, in equal parts of the time.

    None where nothing was transferred.
    """
    under_way, held_up = _Steps(), _Steps()
    for span in trace.spans:
        if span.peer and span.t0 < end and span.t1 > span.t0:
            under_way.add(span.t0, min(span.t1, end))
            if span.held < 0.0 and span.t1 - span.t0 - span.alone > HELD * (span.t1 - span.t0):
                held_up.add(span.t0, min(span.t1, end))
    if not under_way.changes:
        return None
    return under_way.means(end), held_up.means(end)


class _Steps:
    """How many of some intervals there are at a time."""

    def __init__(self) -> None:
        self.changes: dict[Seconds, int] = defaultdict(int)

    def add(self, t0: Seconds, t1: Seconds) -> None:
        self.changes[t0] += 1
        self.changes[t1] -= 1

    def means(self, end: Seconds) -> list[float]:
        steps, number = [(0.0, 0.0)], 0
        for t in sorted(self.changes):
            number += self.changes[t]
            steps.append((t, float(number)))
        return means(steps, end, _BINS)


def strips(
    trace: Trace, shown: Excerpt, short: dict[str, str], scale: Scale
) -> list[tuple[str, str, dict[str, Any]]]:
    """Strips below the bars and marks on them: (colour, meaning, Plotly trace) each.

    Only what the run holds is returned.
    """
    held = [bar for bar in shown.bars if bar.held > HELD * (bar.t1 - bar.t0)]
    shared = [(bar.actor, bar.t1 - bar.held, bar.t1) for bar in held if bar.moves]
    slowed = [(bar.actor, bar.t1 - bar.held, bar.t1) for bar in held if not bar.moves]
    hot = [
        (actor, t0, t1)
        for actor, times in throttled(trace, shown.end).items()
        for t0, t1 in times
        if actor in short
    ]
    found = [
        ("ink", "held up on a link", shared),
        ("extra4", "slowed: shared processor, heat, pause", slowed),
        ("hot", "throttled by heat", hot),
    ]
    drawn = [
        (colour, meaning, _strip(colour, meaning, times, short, scale))
        for colour, meaning, times in found
        if times
    ]
    dead = [
        (note.t, note.actor)
        for note in trace.notes
        if note.cause == "battery" and note.actor in short and note.t <= shown.end
    ]
    if dead:
        drawn.append(("target", "battery empty", _deaths(dead, short, scale)))
    return drawn


def _strip(
    colour: str,
    meaning: str,
    times: list[tuple[str, Seconds, Seconds]],
    short: dict[str, str],
    scale: Scale,
) -> dict[str, Any]:
    return {
        "type": "bar", "orientation": "h", "name": meaning, "width": _STRIP,
        "offset": _LOW - (0.0 if colour == "hot" else _STRIP),
        "y": [short[actor] for actor, *_ in times],
        "base": rounded(t0 * scale.factor for _, t0, _ in times),
        "x": rounded((t1 - t0) * scale.factor for _, t0, t1 in times),
        "marker": {"color": f"${colour}", "line": {"width": 0}},
        "hovertemplate": f"%{{y}}: {text(meaning)}, %{{x:.4g}} {scale.unit}<extra></extra>",
    }  # fmt: skip


def _deaths(dead: list[tuple[Seconds, str]], short: dict[str, str], scale: Scale) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": "battery empty",
        "x": rounded(t * scale.factor for t, _ in dead),
        "y": [short[actor] for _, actor in dead],
        "text": [duration(t) for t, _ in dead],
        "marker": {"symbol": "diamond", "size": 11, "color": "$target",
                   "line": {"color": "$paper", "width": 1}},
        "hovertemplate": "%{y}: battery empty at %{text}<extra></extra>",
    }  # fmt: skip


def full_links(trace: Trace, end: Seconds, scale: Scale) -> tuple[list[str], dict[str, Any]]:
    """Rows for the links that were full longest, and the bars that say when; no rows if none was.

    Times less than a screen's pixel apart are one bar.
    """
    longest = dict(list(saturated(trace, end).items())[:_LINKS])
    bars = [
        (link, t0, t1)
        for link, times in longest.items()
        for t0, t1 in _near(times, end / (2 * _BINS))
    ]
    return list(longest), {
        "type": "bar", "orientation": "h", "name": "link full", "width": 0.5,
        "y": [text(link) for link, *_ in bars],
        "base": rounded(t0 * scale.factor for _, t0, _ in bars),
        "x": rounded((t1 - t0) * scale.factor for _, t0, t1 in bars),
        "customdata": [[duration(t0), duration(t1)] for _, t0, t1 in bars],
        "marker": {"color": "$full", "line": {"color": "$full", "width": 1}},
        "hovertemplate": "%{y} full from %{customdata[0]} to %{customdata[1]}<extra></extra>",
    }  # fmt: skip


def _near(times: Times, gap: Seconds) -> Times:
    """Times less than `gap` apart as one."""
    joined = list[tuple[Seconds, Seconds]]()
    for t0, t1 in times:
        if joined and t0 - joined[-1][1] < gap:
            t0 = joined.pop()[0]
        joined.append((t0, t1))
    return joined


def crowd(trace: Trace, end: Seconds, scale: Scale) -> list[tuple[str, str, dict[str, Any]]]:
    """Curves of the transfers under way and of those held up, for an axis of their own."""
    counted = transfers(trace, end)
    if counted is None:
        return []
    return [
        (
            colour,
            meaning,
            {
                "type": "scatter", "mode": "lines", "name": meaning, "yaxis": "y2",
                "y": rounded(y, 4), "x0": 0.0, "dx": end * scale.factor / _BINS,
                "fill": "tozeroy", "fillcolor": f"${colour}/40",
                "line": {"color": f"${colour}", "width": 1, "shape": "hv"},
                "hovertemplate": f"%{{y:.3g}} {meaning}<extra></extra>",
            },
        )
        for colour, meaning, y in (
            ("download", "transfers under way", counted[0]),
            ("ink", "of them held up", counted[1]),
        )
    ]  # fmt: skip
