"""Who dropped out, who could not take part at all, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.core.errors import CAUSES
from hetsim.core.table import unlike
from hetsim.core.trace import Trace
from hetsim.report.base import Column, Section, table, text, warning
from hetsim.report.numbers import count, duration

WORDS = {
    "battery": "the battery ran empty",
    "memory": "the job did not fit into memory",
    "deadline": "the round closed before it was done",
    "churn": "the device went away",
    "surplus": "it was not waited for: others had delivered enough",
}
_ROWS = 300
"""Rows shown of each table; the files hold all."""


def dropped(row: dict[str, Any]) -> int:
    """How often a misfortune dropped a device; an exclusion counts once, a surplus never."""
    return sum(row[f"dropped_{cause}"] for cause in CAUSES if cause != "surplus")


def misfortunes(causes: Mapping[str, int]) -> int:
    """The same for `dropouts` of the summary."""
    return sum(times for cause, times in causes.items() if cause != "surplus")


def cut(row: dict[str, Any]) -> int:
    """How many contributions that a device had started were cut short."""
    return max(dropped(row) - bool(row["excluded"]), 0)


def ended(trace: Trace) -> str:
    """A warning that the run ended before its rounds, if it did, and why."""
    last = [note for note in trace.notes if note.cause == "end"][-1:]
    return "".join(
        warning(
            "The run ended early.",
            f"After {count(trace.summary['rounds'], 'round')}, at {duration(note.t)}: "
            f"{text(note.text)}.",
        )
        for note in last
    )


def section(trace: Trace) -> Section:
    """The section "Dropouts"."""
    hit = touched(trace)
    body = ended(trace) + _causes(trace) + _devices(hit) + _events(trace)
    return Section(
        name="dropouts", title="Who dropped out, and why", lead=_lead(trace, hit), body=body
    )


def touched(trace: Trace) -> list[dict[str, Any]]:
    """Rows of the devices that a misfortune dropped, or that could not take part."""
    usual = {f"dropped_{cause}": 0 for cause in CAUSES if cause != "surplus"}
    return unlike(trace.devices, excluded="", **usual)


def _lead(trace: Trace, devices: list[dict[str, Any]]) -> str:
    """What became of all, `devices` being those that were touched."""
    cuts = sum(cut(row) for row in devices)
    done = trace.summary["device_rounds"]
    excluded = sum(bool(row["excluded"]) for row in devices)
    hit = sum(cut(row) > 0 for row in devices)
    if cuts:
        lead = f"{count(done, 'contribution')} arrived and <b>{count(cuts)}</b> "
        lead += "was" if cuts == 1 else "were"
        lead += f" cut short, on {count(hit, 'device')} of {count(trace.summary['devices'])}. "
    elif done:
        lead = f"Nobody dropped out: {count(done, 'contribution')} started and arrived. "
    else:
        lead = "No device started a contribution. "
    if surplus := trace.summary["dropouts"]["surplus"]:
        lead += f"{count(surplus, 'more', 'more')} {'was' if surplus == 1 else 'were'} "
        lead += "not waited for, because others had delivered enough. "
    if excluded:
        lead += f"<b>{count(excluded, 'device')}</b> could not take part at all."
    else:
        lead += "Every device was able to take part."
    return lead


def _causes(trace: Trace) -> str:
    causes = [(cause, n) for cause, n in trace.summary["dropouts"].items() if n]
    if not causes:
        return ""
    return table(
        [
            Column(title="Cause", cells=[cause for cause, _ in causes], kind="name"),
            Column(title="Meaning", cells=[WORDS.get(c, "") for c, _ in causes], kind="prose"),
            Column(title="Times", cells=[count(n) for _, n in causes]),
        ],
        label="Dropouts by cause",
    )


def _devices(touched: list[dict[str, Any]]) -> str:
    if not touched:
        return ""
    rows = sorted(touched, key=lambda row: (not row["excluded"], -dropped(row)))[:_ROWS]
    columns = [
        Column(title="Device", cells=[row["device"] for row in rows], kind="name"),
        Column(title="Profile", cells=[row["profile"] for row in rows], kind="name"),
        Column(title="Delivered", cells=[count(row["rounds_done"]) for row in rows]),
    ]
    for cause in CAUSES:
        if any(row[f"dropped_{cause}"] for row in touched):
            cells = [count(row[f"dropped_{cause}"]) for row in rows]
            columns.append(Column(title=cause.capitalize(), cells=cells, hint=WORDS[cause]))
    if any(row["excluded"] for row in touched):
        cells = [row["excluded"] for row in rows]
        columns.append(Column(title="Could not take part because", cells=cells, kind="prose"))
    return f"<h3>Devices</h3>{table(columns, label='Dropouts by device')}" + _more(
        len(rows), len(touched), "devices.parquet"
    )


def _events(trace: Trace) -> str:
    """What happened when, without what the tables of devices already say."""
    known = {(row["device"], row["excluded"]) for row in unlike(trace.devices, excluded="")}
    notes = [
        note for note in trace.notes
        if note.cause != "level" and (note.actor, note.text) not in known
    ]  # fmt: skip
    if not notes:
        return ""
    rows = notes[:_ROWS]
    columns = [
        Column(title="At", cells=[duration(note.t) for note in rows], kind="name"),
        Column(title="Node", cells=[note.actor for note in rows], kind="name"),
        Column(title="Cause", cells=[note.cause for note in rows], kind="name"),
        Column(title="What happened", cells=[note.text for note in rows], kind="prose"),
    ]
    return f"<h3>Events</h3>{table(columns, label='Events')}" + _more(
        len(rows), len(notes), "notes.parquet"
    )


def _more(shown: int, total: int, file: str) -> str:
    if shown == total:
        return ""
    return f'<p class="note">The first {shown:,} of {total:,}; all are in {file}.</p>'
