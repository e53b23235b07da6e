"""The tables of a run: every device, every round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.core.table import largest, sums
from hetsim.core.trace import Trace
from hetsim.report.base import Column, Section, amounts, table
from hetsim.report.chain import WORDS as BLAME
from hetsim.report.dropouts import WORDS, dropped
from hetsim.report.energy import HEADS
from hetsim.report.kinds import KINDS
from hetsim.report.numbers import NONE, count, every, fixed, score, significant, time_scale

_DEVICES = 500
_ROUNDS = 1000
"""Rows of the tables on the page; the Parquet files have all."""
_CHARGED = {"supplied_j": "From charger or panel", "charged_j": "Into battery"}

Row = dict[str, Any]


def devices(trace: Trace) -> Section:
    """The section with a row for each node."""
    rows = trace.devices
    if len(rows) > _DEVICES:
        rows = largest(rows, "energy_j", _DEVICES)
    nodes = len(trace.devices)
    alike = sums(trace.devices, ("role",), ())
    lead = ", ".join(count(int(of[""]), role) for (role,), of in alike.items())
    lead += "." if len(rows) == nodes else f"; the {count(len(rows))} that drew most are shown."
    return Section(
        name="devices",
        title="Every node",
        lead=f"{lead} Click a heading to sort.",
        body=table(_device_columns(rows, trace), label="Devices")
        + '<p class="note">Above base: what the node drew on top of its base power. As a '
        "participant: everything it drew from being selected to its last needed act. "
        "All rows are in devices.parquet.</p>",
    )


def _device_columns(rows: Sequence[Row], trace: Trace) -> list[Column]:
    levels = {note.actor: note.text for note in trace.notes if note.cause == "level"}

    def names(title: str, key: str) -> Column:
        return Column(title=title, cells=[row[key] for row in rows], kind="name")

    def number(title: str, key: str, unit: str, hint: str = "") -> Column:
        return amounts(title, (row[key] for row in rows), unit, hint=hint)

    drops = [dropped(row) for row in rows]
    every = [
        names("Node", "device"), number("Energy", "energy_j", "J"),
        number("Above base", "active_j", "J"),
        names("Profile", "profile"), names("Role", "role"),
        Column(
            title="Trains", cells=[levels.get(row["device"], "") for row in rows], kind="name",
            hint="how much of the model",
        ),
        Column(title="Asked", cells=[count(row["asked"]) for row in rows]),
        Column(title="Updates used", cells=[count(row["updates_used"]) for row in rows]),
        Column(title="Dropped", cells=[count(n) for n in drops], hint="; ".join(WORDS.values())),
        number("Battery at end", "battery_end_wh", "Wh"),
        number("Hottest", "temperature_max_c", "°C"),
        number("Held back by heat", "throttled_s", "s"),
        Column(
            title="Could not take part because", cells=[row["excluded"] for row in rows],
            kind="prose",
        ),
        Column(
            title="Expected accuracy", cells=[score(row["expected_accuracy"]) for row in rows],
            hint="of the final model on the labels that the device holds",
        ),
        number("Busy", "busy_s", "s"),
        Column(title="Rounds done", cells=[count(row["rounds_done"]) for row in rows]),
        number("As participant", "participant_j", "J"),
        *(
            number(title, f"{kind}_j", "J", hint=KINDS[kind]) for kind, title in HEADS.items()
            if any(row[f"{kind}_j"] for row in rows)
        ),
        *(
            number(title, column, "J") for column, title in _CHARGED.items()
            if any(row[column] for row in rows)
        ),
        number("Peak memory", "peak_memory_b", "B"),
        number("Sent up", "bytes_up", "B"), number("Received", "bytes_down", "B"),
        names("Power scope", "power_scope"), names("Class", "device_class"),
    ]  # fmt: skip
    return _told(every)


def _told(columns: Sequence[Column]) -> list[Column]:
    """Columns that hold anything."""
    return [column for column in columns if any(cell not in ("", NONE) for cell in column.cells)]


def rounds(trace: Trace) -> Section:
    """The section with a row for each round."""
    rows = trace.rounds[:_ROUNDS]
    if not rows:
        return Section(name="rounds", title="Rounds", lead="No round was completed.", body="")
    clock = time_scale(trace.summary["simulated_s"])

    columns = [
        Column(title="Round", cells=[str(row["round"]) for row in rows]),
        Column(
            title="Start", unit=clock.unit, cells=fixed(row["t0_s"] * clock.factor for row in rows)
        ),
        amounts("Duration", (row["t1_s"] - row["t0_s"] for row in rows), "s"),
        Column(title="Asked", cells=[count(row["participants"]) for row in rows]),
        Column(
            title="Not delivered", cells=[count(row["dropped"]) for row in rows],
            hint="dropped out, or not waited for",
        ),
        Column(title="Accuracy", cells=[score(row["accuracy"]) for row in rows]),
        Column(
            title="Loss",
            cells=[NONE if row["loss"] is None else significant(row["loss"]) for row in rows],
        ),
        amounts("Energy", (row["energy_j"] for row in rows), "J"),
        amounts("Sent up", (row["bytes_up"] for row in rows), "B"),
        amounts("Sent down", (row["bytes_down"] for row in rows), "B"),
        Column(
            title="Held up most by",
            kind="name",
            cells=[
                f"{row['critical_device']}: {BLAME[row['critical_kind']]}"
                if row["critical_device"]
                else NONE
                for row in rows
            ],
        ),
    ]  # fmt: skip
    shown = (
        every(len(rows), "round").capitalize()
        if len(rows) == len(trace.rounds)
        else f"The first {count(len(rows))} of {count(len(trace.rounds), 'round')}; "
        "all are in rounds.parquet"
    )
    return Section(
        name="rounds",
        title="Rounds",
        lead=f"{shown}.{_gaps(rows)}",
        body=table(_told(columns), label="Rounds"),
    )


def _gaps(rows: Sequence[Row]) -> str:
    """What a dash means, if there is one."""
    if len({row["accuracy"] is None for row in rows}) == 1:
        return ""
    return " A dash means that the model was not evaluated after that round."
