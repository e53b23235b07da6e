"""The trace for a trace viewer: Chrome's JSON format, which ui.perfetto.dev opens.

Each actor is a group with its counters; its spans are complete events on lane 1, and on further
lanes while they overlap, because a viewer cannot draw two events in one place. Times are
microseconds with three decimals, that is nanoseconds.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Any, BinaryIO

from hetsim.core.quantities import Seconds
from hetsim.core.table import Table, column, unlike
from hetsim.core.trace import Span, Trace

_ROUNDS = 0
"""The group that shows the rounds; actors count from 1."""
_BATCH = 1000
"""Events turned into text at once."""


def write(file: BinaryIO, trace: Trace) -> None:
    """Write `trace` gzipped; equal traces give equal bytes."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
        packed.write(b'{"displayTimeUnit":"ms","traceEvents":[')
        encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False)
        stream, comma = events(trace), b"\n"
        while batch := list(islice(stream, _BATCH)):
            packed.write(comma + encoder.encode(batch)[1:-1].encode())
            comma = b",\n"
        packed.write(b"\n]}\n")


def events(trace: Trace) -> Iterator[dict[str, Any]]:
    """Every event: names of the groups, rounds, spans, counters, notes."""
    groups = _groups(trace)
    roles = {row["device"]: row["role"] for row in unlike(trace.devices, role="device")}
    yield _name(_ROUNDS, "rounds")
    for actor, group in groups.items():
        yield _name(group, actor)
        yield {"ph": "M", "pid": group, "name": "process_sort_index", "args": {"sort_index": group}}
    yield from _rounds(trace)
    for span, lane in lanes(trace.spans):
        yield {
            "ph": "X", "pid": groups[span.actor], "tid": lane, "name": span.kind,
            "cat": roles.get(span.actor, "device"), **_interval(span.t0, span.t1),
            "args": {
                "energy_j": span.energy, "size_b": span.size, "key": span.key,
                "serial": span.serial, "peer": span.peer, "round": span.round,
                "outcome": span.outcome, "progress": span.progress,
            },
        }  # fmt: skip
    for counter in trace.counters:
        yield {
            "ph": "C", "pid": groups[counter.actor], "name": counter.track,
            "ts": _micro(counter.t), "args": {"value": counter.value},
        }  # fmt: skip
    for note in trace.notes:
        yield {
            "ph": "i", "s": "p", "pid": groups[note.actor], "tid": 1, "name": note.cause,
            "ts": _micro(note.t), "args": {"text": note.text},
        }  # fmt: skip


def lanes(spans: list[Span]) -> Iterator[tuple[Span, int]]:
    """Each span with the first lane of its actor, from 1, that is free when it starts."""
    busy: dict[str, list[tuple[Seconds, int]]] = defaultdict(list)
    free: dict[str, list[int]] = defaultdict(list)
    for span in sorted(spans, key=lambda s: (s.t0, s.t1, s.actor, s.serial)):
        mine, spare = busy[span.actor], free[span.actor]
        while mine and mine[0][0] <= span.t0:
            heappush(spare, heappop(mine)[1])
        lane = heappop(spare) if spare else len(mine) + 1
        heappush(mine, (span.t1, lane))
        yield span, lane


def _groups(trace: Trace) -> dict[str, int]:
    """A number from 1 for each actor: nodes as in the device table, then others by name."""
    named = [str(name) for name in column(trace.devices, "device")]
    seen = {item.actor for rows in (trace.spans, trace.counters, trace.notes) for item in rows}
    if isinstance(trace.devices, Table):
        named = [name for name in named if name in seen]
    return {actor: i for i, actor in enumerate([*named, *sorted(seen.difference(named))], start=1)}


def _rounds(trace: Trace) -> Iterator[dict[str, Any]]:
    spans = [
        Span(row["t0_s"], row["t1_s"], "rounds", f"round {row['round']}", 0.0, 0.0, "", i)
        for i, row in enumerate(trace.rounds)
    ]
    for span, lane in lanes(spans):
        row = trace.rounds[span.serial]
        learned = {"accuracy": row["accuracy"], "loss": row["loss"]}
        yield {
            "ph": "X", "pid": _ROUNDS, "tid": lane, "name": span.kind, "cat": "round",
            **_interval(span.t0, span.t1),
            "args": {
                "energy_j": row["energy_j"], "participants": row["participants"],
                "dropped": row["dropped"],
                **{key: None if value is None else str(value) for key, value in learned.items()},
            },
        }  # fmt: skip


def _name(group: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": group, "name": "process_name", "args": {"name": name}}


def _interval(start: Seconds, end: Seconds) -> dict[str, float]:
    ts = _micro(start)
    return {"ts": ts, "dur": round(_micro(end) - ts, 3)}


def _micro(t: Seconds) -> float:
    return round(t * 1e6, 3)
