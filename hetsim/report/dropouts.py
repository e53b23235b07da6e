"""Who dropped out, who could not take part at all, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.core.errors import CAUSES
from hetsim.core.table import sums, unlike
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
    hit, out = _hit(trace), excluded(trace)
    return Section(
        name="dropouts",
        title="Who dropped out, and why",
        lead=_lead(trace, hit, out),
        body=ended(trace) + _causes(trace) + _devices(hit) + _excluded(out) + _events(trace, out),
    )


def excluded(trace: Trace) -> dict[tuple[str, str], int]:
    """How many devices of a profile could not take part for a reason."""
    alike = sums(trace.devices, ("profile", "excluded"), ())
    return {of: int(held[""]) for of, held in alike.items() if of[1]}


def _hit(trace: Trace) -> list[dict[str, Any]]:
    """Rows of the devices of which a contribution was cut short, most often first."""
    usual = {f"dropped_{cause}": 0 for cause in CAUSES if cause != "surplus"}
    rows = (row for row in unlike(trace.devices, **usual) if cut(row))
    return sorted(rows, key=lambda row: -cut(row))


def _lead(trace: Trace, hit: list[dict[str, Any]], out: Mapping[Any, int]) -> str:
    dropouts, arrived = trace.summary["dropouts"], trace.summary["device_rounds"]
    if hit:
        cuts = sum(map(cut, hit))
        lead = f"{count(arrived, 'contribution')} arrived and <b>{count(cuts)}</b> "
        lead += "was" if cuts == 1 else "were"
        lead += f" cut short, on {count(len(hit), 'device')} of {count(trace.summary['devices'])}. "
    elif arrived:
        lead = "No contribution was cut short" if out else "Nobody dropped out"
        lead += f": {count(arrived, 'contribution')} arrived. "
    else:
        lead = "No device delivered a contribution. "
    if surplus := dropouts["surplus"]:
        lead += f"{count(surplus, 'more', 'more')} {'was' if surplus == 1 else 'were'} "
        lead += "not waited for, because others had delivered enough. "
    if out:
        return f"{lead}<b>{count(sum(out.values()), 'device')}</b> could not take part at all."
    return f"{lead}Every device was able to take part."


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


def _devices(hit: list[dict[str, Any]]) -> str:
    if not hit:
        return ""
    rows = hit[:_ROWS]
    columns = [
        Column(title="Device", cells=[row["device"] for row in rows], kind="name"),
        Column(title="Profile", cells=[row["profile"] for row in rows], kind="name"),
        Column(title="Delivered", cells=[count(row["rounds_done"]) for row in rows]),
    ]
    for cause in CAUSES:
        if any(row[f"dropped_{cause}"] for row in hit):
            cells = [count(row[f"dropped_{cause}"]) for row in rows]
            columns.append(Column(title=cause.capitalize(), cells=cells, hint=WORDS[cause]))
    return f"<h3>Devices</h3>{table(columns, label='Dropouts by device')}" + _more(
        len(rows), len(hit), "devices.parquet"
    )


def _excluded(out: Mapping[tuple[str, str], int]) -> str:
    if not out:
        return ""
    columns = [
        Column(title="Profile", cells=[profile for profile, _ in out], kind="name"),
        Column(title="Devices", cells=[count(n) for n in out.values()]),
        Column(title="Why", cells=[why for _, why in out], kind="prose"),
    ]
    return f"<h3>Could not take part</h3>{table(columns, label='Devices that could not take part')}"


def _events(trace: Trace, out: Mapping[tuple[str, str], int]) -> str:
    """What happened when, without what the table of those left out already says."""
    reasons = tuple(why for _, why in out)
    notes = [
        note for note in trace.notes if note.cause != "level" and not note.text.endswith(reasons)
    ]
    if not notes:
        return ""
    rows = notes[:_ROWS]
    columns = [
        Column(title="At", cells=[duration(note.t) for note in rows]),
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
