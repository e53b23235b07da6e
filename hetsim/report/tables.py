"""The columns of the run folder's tables; every unit is in the column's name.

A row must have exactly the columns of its table: a value that a file would drop in silence, or a
column that it would fill with nothing, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from hetsim.core.errors import HetsimError
from hetsim.core.table import Rows, Table
from hetsim.core.trace import Counter, Note, Participation, Span

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

ROUNDS = {
    "round": "int64", "t0_s": "float64", "t1_s": "float64", "model_version": "string",
    "accuracy": "float64?", "loss": "float64?", "participants": "int64", "dropped": "int64",
    "energy_j": "float64", "bytes_up": "float64", "bytes_down": "float64",
    "critical_device": "string", "critical_kind": "string", "critical_compute_s": "float64",
    "critical_uplink_s": "float64", "critical_downlink_s": "float64",
    "critical_queueing_s": "float64", "critical_slowed_s": "float64",
    "critical_server_s": "float64", "critical_gateway_s": "float64",
    "critical_waiting_s": "float64", "critical_charge_s": "float64",
}  # fmt: skip
"""One row a round or server step. "?" marks a column that may be empty.

The seconds from `critical_compute_s` to `critical_charge_s` add up to the length of the round;
`critical_device` and `critical_kind` name the largest part. What kinds there are and what they mean
is told in `hetsim/federation/critical.py`.
"""

DEVICES = {
    "device": "string", "role": "string", "profile": "string", "power_scope": "string",
    "rounds_done": "int64", "dropped_battery": "int64", "dropped_memory": "int64",
    "dropped_deadline": "int64", "dropped_churn": "int64", "dropped_surplus": "int64",
    "energy_j": "float64",
    "active_j": "float64", "participant_j": "float64", "compute_j": "float64",
    "memory_j": "float64", "radio_j": "float64", "link_j": "float64", "idle_j": "float64",
    "radio_idle_j": "float64", "loss_j": "float64", "busy_s": "float64",
    "battery_end_wh": "float64?", "charged_j": "float64", "supplied_j": "float64",
    "temperature_max_c": "float64?", "throttled_s": "float64?", "peak_memory_b": "float64",
    "bytes_up": "float64", "bytes_down": "float64", "excluded": "string",
    "device_class": "string", "samples": "int64", "asked": "int64", "updates_used": "int64",
    "rarity": "float64?", "expected_accuracy": "float64?",
}  # fmt: skip
"""One row a node that draws power; `excluded` says why it could not take part, or nothing.

`asked` counts how often it was, `updates_used` how many of its updates are part of a server model.
`rarity` is 0 for a device all of whose labels everybody holds, `expected_accuracy` that of the
final model for the labels that it holds (`hetsim/federation/fairness.py`).

The joules from `compute_j` to `loss_j` add up to `energy_j`. `idle_j` is base power (idle, sleep,
off) without the radio's, `link_j` what traffic costs a line, `loss_j` what a battery loses.
A large fleet that learns nothing is played in columns (`hetsim/federation/columns.py`): it has all
rows too, but `temperature_max_c` is empty, and neither counters nor coming and going are written of
devices that nobody asked; spans and participations are those of whoever was asked, as always.

A charger or a panel gives `supplied_j` to the load and `charged_j` into the battery, which falls by
`energy_j - supplied_j - charged_j`.
"""

SPANS = {
    "t0_s": "float64", "t1_s": "float64", "actor": "string", "kind": "string",
    "energy_j": "float64", "size_b": "float64", "key": "string", "serial": "int64",
    "peer": "string", "round": "int64", "outcome": "string", "progress": "float64",
    "after": "int64", "alone_s": "float64", "latency_s": "float64", "held_s": "float64",
}  # fmt: skip
"""One row a `Span`, its fields in order."""

PARTICIPATIONS = {
    "device": "string", "hub": "string", "round": "int64", "t0_s": "float64", "t1_s": "float64",
    "outcome": "string", "used": "int64", "waste": "string", "staleness": "int64",
    "share": "float64", "energy_j": "float64", "last": "int64",
}  # fmt: skip
"""One row a `Participation`, its fields in order."""

CRITICAL = {
    "round": "int64", "t0_s": "float64", "t1_s": "float64", "actor": "string", "peer": "string",
    "kind": "string", "serial": "int64",
}  # fmt: skip
"""One row a segment of a round's critical path, in order of time; a round's segments follow each
other without a gap from its start to its end. `serial` is that of the span, -1 where nothing of the
chain was at work."""

VIEWS = {
    "round": "int64", "view": "string", "accuracy": "float64", "loss": "float64?",
    "samples": "int64",
}  # fmt: skip
"""One row a scored round and a model that follows from the server's, such as that of a level."""

COUNTERS = {"t_s": "float64", "actor": "string", "track": "string", "value": "float64"}
"""One row a `Counter`, its fields in order."""

NOTES = {"t_s": "float64", "actor": "string", "cause": "string", "text": "string"}
"""One row a `Note`, its fields in order."""


_ASKED = attrgetter(*(field.name for field in fields(Participation)))
_MANY = 50_000
"""Rows from which on a table stays in columns."""


def schema(columns: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of a table above."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(name, pa.type_for_alias(kind.rstrip("?")), nullable=kind.endswith("?"))
            for name, kind in columns.items()
        ]
    )


def write_rows(
    file: BinaryIO, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], what: str
) -> None:
    """Write dictionaries, or a table of them, as a Parquet file.

    Raises:
        HetsimError: a row of `what` lacks a column or has one that the table does not know.
    """
    for i, row in enumerate(rows[:1] if isinstance(rows, Table) else rows):
        if row.keys() != columns.keys():
            lacks, extra = columns.keys() - row.keys(), row.keys() - columns.keys()
            raise HetsimError(
                f"{what}: row {i} lacks {sorted(lacks)} and has unknown {sorted(extra)}.\n"
                "    The columns of the run folder are defined in hetsim/report/tables.py."
            )
    if isinstance(rows, Table):
        _write(file, columns, [rows.column(name) for name in columns])
    else:
        _write(file, columns, [[row[name] for row in rows] for name in columns])


def write_tuples(
    file: BinaryIO,
    columns: Mapping[str, str],
    rows: Iterable[Span | Counter | Note | Participation],
) -> None:
    """Write records, whose fields are the columns in order, as a Parquet file."""
    tuples = (_ASKED(row) if isinstance(row, Participation) else row for row in rows)
    values = list(zip(*tuples, strict=True)) or [()] * len(columns)
    _write(file, columns, values)


def _write(file: BinaryIO, columns: Mapping[str, str], values: Sequence[Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    form = schema(columns)
    arrays = [
        pa.array(column, field.type, from_pandas=field.nullable and isinstance(column, np.ndarray))
        for column, field in zip(values, form, strict=True)
    ]
    pq.write_table(pa.Table.from_arrays(arrays, schema=form), file, compression="zstd")


def read_columns(path: Path, columns: Mapping[str, str]) -> list[list[Any]]:
    """The columns of a Parquet file in the order of `columns`.

    Raises:
        HetsimError: the file is missing, damaged or has other columns.
    """
    table = _read(path, columns)
    return [table.column(name).to_pylist() for name in columns]


def _read(path: Path, columns: Mapping[str, str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise HetsimError(f"{path}: cannot be read as a Parquet table ({error})") from None
    if not table.schema.equals(schema(columns)):
        raise HetsimError(
            f"{path}: its columns are not those of this version of hetsim.\n"
            f"    Expected {', '.join(columns)}; run the topology again."
        )
    return table


def read_rows(path: Path, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a Parquet file as dictionaries."""
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*read_columns(path, columns), strict=True)
    ]


def read_many(path: Path, columns: Mapping[str, str]) -> Rows:
    """The same of a file that may have very many rows: then they stay columns."""
    table = _read(path, columns)
    if table.num_rows < _MANY:
        return read_rows(path, columns)
    return Table({name: table.column(name).to_numpy() for name in columns})
