"""The tables of a run: every device, every round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hetsim.core.table import largest
from hetsim.core.trace import Trace
from hetsim.report.base import Column, Section, table
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
    lead = count(nodes, "node")
    lead += "." if len(rows) == nodes else f"; the {count(len(rows))} that drew most are shown."
    return Section(
        name="devices",
        title="Devices",
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

    def number(title: str, key: str, unit: str = "", factor: float = 1.0, hint: str = "") -> Column:
        values = (None if row[key] is None else row[key] * factor for row in rows)
        return Column(title=title, cells=fixed(values), unit=unit, hint=hint)

    drops = [dropped(row) for row in rows]
    every = [
        names("Device", "device"), number("Energy", "energy_j", "J"),
        names("Profile", "profile"), names("Role", "role"), names("Power scope", "power_scope"),
        names("Class", "device_class"),
        Column(
            title="Trains", cells=[levels.get(row["device"], "") for row in rows], kind="name",
            hint="how much of the model",
        ),
        Column(title="Asked", cells=[count(row["asked"]) for row in rows]),
        Column(title="Rounds done", cells=[count(row["rounds_done"]) for row in rows]),
        Column(title="Updates used", cells=[count(row["updates_used"]) for row in rows]),
        Column(
            title="Expected accuracy", cells=[score(row["expected_accuracy"]) for row in rows],
            hint="of the final model on the labels that the device holds",
        ),
        Column(title="Dropped", cells=[count(n) for n in drops], hint="; ".join(WORDS.values())),
        number("Above base", "active_j", "J"), number("As participant", "participant_j", "J"),
        *(
            number(title, f"{kind}_j", "J", hint=KINDS[kind]) for kind, title in HEADS.items()
            if any(row[f"{kind}_j"] for row in rows)
        ),
        number("Busy", "busy_s", "s"),
        number("Battery at end", "battery_end_wh", "Wh"),
        *(
            number(title, column, "J") for column, title in _CHARGED.items()
            if any(row[column] for row in rows)
        ),
        number("Hottest", "temperature_max_c", "°C"),
        number("Held back by heat", "throttled_s", "s"),
        number("Peak memory", "peak_memory_b", "MB", 1e-6),
        number("Sent up", "bytes_up", "MB", 1e-6), number("Received", "bytes_down", "MB", 1e-6),
        Column(
            title="Could not take part because", cells=[row["excluded"] for row in rows],
            kind="prose",
        ),
    ]  # fmt: skip
    return [column for column in every if any(cell not in ("", NONE) for cell in column.cells)]


def rounds(trace: Trace) -> Section:
    """The section with a row for each round."""
    rows = trace.rounds[:_ROUNDS]
    if not rows:
        return Section(name="rounds", title="Rounds", lead="No round was completed.", body="")
    clock = time_scale(trace.summary["simulated_s"])

    def column(title: str, unit: str, value: Callable[[Row], float | None]) -> Column:
        return Column(title=title, unit=unit, cells=fixed(value(row) for row in rows))

    columns = [
        Column(title="Round", cells=[str(row["round"]) for row in rows]),
        column("Start", clock.unit, lambda row: row["t0_s"] * clock.factor),
        column("Duration", "s", lambda row: row["t1_s"] - row["t0_s"]),
        Column(title="Participants", cells=[count(row["participants"]) for row in rows]),
        Column(title="Dropped", cells=[count(row["dropped"]) for row in rows]),
        Column(title="Accuracy", cells=[score(row["accuracy"]) for row in rows]),
        Column(
            title="Loss",
            cells=[NONE if row["loss"] is None else significant(row["loss"]) for row in rows],
        ),
        column("Energy", "J", lambda row: row["energy_j"]),
        column("Sent up", "MB", lambda row: row["bytes_up"] * 1e-6),
        column("Sent down", "MB", lambda row: row["bytes_down"] * 1e-6),
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
        Column(
            title="Model version", cells=[row["model_version"][:8] for row in rows], kind="name"
        ),
    ]
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
        body=table(columns, label="Rounds"),
    )


def _gaps(rows: Sequence[Row]) -> str:
    """What a dash means, if there is one."""
    if all(row["accuracy"] is not None for row in rows):
        return ""
    return " A dash means that the model was not evaluated after that round."
