"""Wasted work: what was spent on updates that became part of no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.core.trace import Trace
from hetsim.report.base import Column, Figure, Section, amounts, table
from hetsim.report.dropouts import WORDS as DROPPED
from hetsim.report.numbers import count, duration, joules, rounded, share, size

WORDS = {
    **DROPPED,
    "stale": "it started from too old a model",
    "unused": "it was delivered, and no server step took it",
    "unfinished": "the run ended first",
    "polled": "no more than a loss was asked for",
}
"""Why an update was never used."""
_COLOURS = {
    "battery": "stop", "memory": "extra0", "deadline": "upload", "churn": "extra1",
    "surplus": "download", "stale": "extra2", "unfinished": "extra3", "unused": "rest",
    "polled": "extra4",
}  # fmt: skip
_USED = "mean"
_NOTE = (
    '<p class="note">An update is wasted if no server model holds it. Time runs from being asked '
    "to the end of the client's part; energy is all that the device drew meanwhile, above base "
    "what its work took on top of the base power of all nodes; bytes are counted both ways. Every "
    "participation is in participations.parquet.</p>"
)
_MEASURES = {"seconds": "time", "energy_j": "energy", "bytes": "bytes"}

Row = Mapping[str, Any]


def section(trace: Trace) -> Section | None:
    """The section "Wasted work"; none if nobody was asked for anything."""
    wasted = trace.summary["wasted"]
    if not wasted["of"]["participations"]:
        return None
    lost = wasted["participations"]
    figure = _figure(wasted) if lost else None
    return Section(
        name="waste",
        title="Wasted work",
        lead=_lead(wasted),
        body=f"{figure.html()}{_causes(wasted)}{_NOTE}" if figure else "",
        figures=(figure,) if figure else (),
    )


def _lead(wasted: Row) -> str:
    of, lost = wasted["of"], wasted["participations"]
    if not lost:
        return f"None: all {count(of['participations'], 'update')} became part of a server model."
    return (
        f"<b>{count(lost)}</b> of {count(of['participations'], 'update')} became part of no server "
        f"model: {share(wasted['seconds'], of['seconds'])} of the time that clients spent "
        f"({duration(wasted['seconds'])}), {share(wasted['energy_j'], of['energy_j'])} of what "
        f"they drew meanwhile ({joules(wasted['energy_j'])}) and "
        f"{share(wasted['bytes'], of['bytes'])} of what they moved ({size(wasted['bytes'])})."
    )


def _figure(wasted: Row) -> Figure:
    of, causes = wasted["of"], wasted["by_cause"]
    names = list(_MEASURES.values())

    def bar(name: str, colour: str, part: Row) -> dict[str, Any]:
        percent = [100.0 * part[each] / of[each] if of[each] else 0.0 for each in _MEASURES]
        return {
            "type": "bar", "orientation": "h", "name": name, "y": names, "x": rounded(percent),
            "marker": {"color": f"${colour}"},
            "hovertemplate": "%{y}, %{fullData.name}: %{x:.3g} %<extra></extra>",
        }  # fmt: skip

    used = {each: of[each] - wasted[each] for each in _MEASURES}
    return Figure(
        name="waste",
        title="What clients spent <span>and whether it was used, in percent</span>",
        label="Shares of time, energy and bytes by what became of them; the table holds the sums.",
        data=[bar("used", _USED, used)]
        + [bar(f"wasted: {cause}", _COLOURS[cause], part) for cause, part in causes.items()],
        layout={
            "barmode": "stack",
            "bargap": 0.35,
            "xaxis": {"title": {"text": "%"}, "range": [0, 100]},
            "yaxis": {"type": "category", "autorange": "reversed", "showgrid": False},
        },
        height=190,
        legend={_USED: "used", **{_COLOURS[cause]: f"wasted: {cause}" for cause in causes}},
    )


def _causes(wasted: Row) -> str:
    rows = sorted(wasted["by_cause"].items(), key=lambda row: -row[1]["seconds"])
    return table(
        [
            Column(title="Cause", cells=[cause for cause, _ in rows], kind="name"),
            Column(title="Updates", cells=[count(r["participations"]) for _, r in rows]),
            amounts("Time", (r["seconds"] for _, r in rows), "s"),
            amounts("Energy", (r["energy_j"] for _, r in rows), "J"),
            amounts("Above base", (r["active_j"] for _, r in rows), "J"),
            amounts("Moved", (r["bytes"] for _, r in rows), "B"),
            Column(title="Meaning", cells=[WORDS[cause] for cause, _ in rows], kind="prose"),
        ],
        label="Wasted work by cause",
    )
