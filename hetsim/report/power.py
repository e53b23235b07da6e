"""What a chosen node drew over time, with its clocks, temperature and charge where known.

Counters are steps, but for temperature and charge, which move between two counters too. Where there
are more than a screen can show, each point is the mean over an equal share of the time, so that the
area under a power curve stays its joules.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.table import Table, column, unlike
from hetsim.core.trace import Trace
from hetsim.report.base import Section, save, text
from hetsim.report.cast import cast, notable
from hetsim.report.numbers import count, duration, quantity, rounded, significant, time_scale

_NODES = 24
_POINTS = 20_000
"""Points on the page over all nodes and tracks."""
_TRACKS = (
    # prefix, title, factor, unit, axis from zero
    ("power_w", "power, W", 1.0, "W", True),
    ("frequency_hz", "clock, MHz", 1e-6, "MHz", True),
    ("temperature", "temperature, °C", 1.0, "°C", False),
    ("throttled", "throttled by heat, 1 if so", 1.0, "", True),
    ("charge_j", "battery charge, Wh", 1.0 / 3600.0, "Wh", True),
    ("charge_wh", "battery charge, Wh", 1.0, "Wh", True),
)
_CURVES = ("temperature", "charge")
"""Tracks of what changes between two counters too: lines, not steps."""

Steps = list[tuple[Seconds, float]]


def section(trace: Trace) -> Section | None:
    """The section "Power over time", or None without counters."""
    tracks: dict[str, dict[str, Steps]] = defaultdict(lambda: defaultdict(list))
    for counter in (each for each in trace.counters if each.track != "saturated"):
        tracks[counter.actor][counter.track].append((counter.t, counter.value))
    if not tracks:
        return None
    end = max(trace.summary["simulated_s"], max(counter.t for counter in trace.counters))
    listed = _chosen(trace, set(tracks))
    budget = max(_POINTS // sum(len(tracks[actor]) for actor in listed), 20)
    scale = time_scale(end)
    nodes: list[list[dict[str, Any]]] = []
    thinned = False
    for actor in listed:
        rows: list[dict[str, Any]] = []
        for track in sorted(tracks[actor], key=_place):
            steps = tracks[actor][track]
            thinned |= len(steps) > budget
            title, factor, unit, zero = _meaning(track)
            if len(steps) > budget:
                start, width = steps[0][0], (end - steps[0][0]) / budget
                values = means(steps, end, budget)
                times = {"x0": start * scale.factor, "dx": width * scale.factor}
            else:
                values = [value for _, value in [*steps, (end, steps[-1][1])]]
                times = {"x": rounded(t * scale.factor for t in [*(t for t, _ in steps), end])}
            y = rounded((value * factor for value in values), 5)
            if rows and len(set(y)) == 1 and not steps[0][0]:
                rows[0]["still"] += [f"{text(title)}: {significant(y[0])}"]
                continue
            rows.append({
                "title": text(title), "unit": text(unit), "zero": zero,
                "curve": track.startswith(_CURVES), "y": y, "still": list[str](), **times,
            })  # fmt: skip
        nodes.append(rows)
    first = next((name for name in notable(trace) if name in listed), listed[0])
    choices = "".join(
        f'<option value="{i}"{" selected" if actor == first else ""}>{text(actor)}</option>'
        for i, actor in enumerate(listed)
    )
    return Section(
        name="power",
        title="Power over time",
        lead=_lead(trace, tracks),
        body=f'<p><label>Node <select id="counter-node">{choices}</select></label></p>'
        f"<figure><figcaption>Chosen node <span>over simulated time</span>{save('counters')}"
        '</figcaption><div class="plot" id="plot-counters" role="img" '
        'aria-label="Power of the chosen node over simulated time"></div></figure>'
        f"{_statement(len(tracks), len(listed), thinned, end / budget)}",
        extra={
            "counters": {
                "nodes": nodes,
                "time": f"simulated time, {scale.unit}",
                "range": [0, end * scale.factor],
            }
        },
    )


def means(steps: Steps, end: Seconds, bins: int) -> list[float]:
    """Steps averaged over time in `bins` equal parts up to `end`.

    The last mean comes twice, so that a line of steps reaches the end.

    >>> means([(0.0, 1.0), (1.0, 3.0)], 4.0, 2)
    [2.0, 3.0, 3.0]
    """
    start = steps[0][0]
    width = (end - start) / bins
    areas = [0.0] * bins
    for (t0, value), (t1, _) in zip(steps, [*steps[1:], (end, 0.0)], strict=True):
        first = min(int((t0 - start) / width), bins - 1)
        last = min(int((t1 - start) / width), bins - 1)
        for i in range(first, last + 1):
            inside = min(t1, start + (i + 1) * width) - max(t0, start + i * width)
            areas[i] += value * max(inside, 0.0)
    values = [area / width for area in areas]
    return [*values, values[-1]]


def _chosen(trace: Trace, actors: set[str]) -> list[str]:
    """Nodes that can be chosen, in the order of the device table."""
    rows = trace.devices
    if isinstance(rows, Table):  # in which only nodes beside the devices have counters
        rows = unlike(rows, role="device")
    energy = {row["device"]: row["energy_j"] for row in rows if row["device"] in actors}
    others = sorted(actors.difference(energy))
    shown = cast(trace, rows, energy | dict.fromkeys(others, 0.0), _NODES)
    return [name for name in (*energy, *others) if name in shown]


def _place(track: str) -> tuple[int, str]:
    prefixes = [prefix for prefix, *_ in _TRACKS]
    found = [i for i, prefix in enumerate(prefixes) if track.startswith(prefix)]
    return (found[0] if found else len(prefixes), track)


def _meaning(track: str) -> tuple[str, float, str, bool]:
    """Title, factor, unit of a track and whether its axis starts at zero."""
    for prefix, title, factor, unit, zero in _TRACKS:
        if track.startswith(prefix):
            part = track[len(prefix) :].lstrip(".")
            return (f"{part} {title}" if "." in track else title, factor, unit, zero)
    return (track, 1.0, "", False)


def _lead(trace: Trace, tracks: dict[str, dict[str, Steps]]) -> str:
    peaks = {
        actor: max(value for _, value in mine["power_w"])
        for actor, mine in tracks.items()
        if "power_w" in mine
    }
    if not peaks:
        return "Clocks, temperature and charge of a node over simulated time."
    top = max(peaks, key=lambda actor: (peaks[actor], actor))
    mean = trace.summary["energy_j"]["total"] / (trace.summary["simulated_s"] or 1.0)
    return (
        f"All nodes together drew {quantity(mean, 'W')} on average. The highest draw of one node "
        f"was {quantity(peaks[top], 'W')}, by {text(top)}.{_heat(trace)}"
    )


def _heat(trace: Trace) -> str:
    """A sentence on who was slowed down by heat, if anybody was."""
    held = [seconds for seconds in column(trace.devices, "throttled_s") if seconds]
    if not held:
        return ""
    longest = f", one of them for {duration(max(held))}" if len(held) > 1 else (
        f" for {duration(held[0])}"
    )  # fmt: skip
    return f" Heat held back {count(len(held), 'device')}{longest}."


def _statement(nodes: int, listed: int, thinned: bool, width: Seconds) -> str:
    words = ""
    if listed < nodes:
        words += (
            f"{count(listed)} of {count(nodes, 'node')} can be chosen: those that throttled, died "
            "or held rounds up, and the largest consumers of each profile. "
        )
    if thinned:
        words += (
            f"Tracks with many changes show means over about {duration(width)}, which keeps the "
            "area under the curve. "
        )
    return (
        '<p class="note" id="counters-still"></p>'
        f'<p class="note">{words}Every change is in counters.parquet.</p>'
    )
