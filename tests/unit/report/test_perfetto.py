"""The trace for a viewer: every span once, nothing drawn over anything else."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.trace import Span, Trace
from hetsim.report import perfetto


@pytest.fixture
def events(folder: Path) -> list[dict[str, Any]]:
    with gzip.open(folder / "trace.json.gz") as file:
        return json.load(file)["traceEvents"]


def names(events: list[dict[str, Any]]) -> dict[int, str]:
    return {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}


def test_every_span_is_there_once(trace: Trace, events: list[dict[str, Any]]) -> None:
    actor = names(events)
    drawn = sorted(
        (e["args"]["serial"], actor[e["pid"]], e["name"], e["args"]["energy_j"], e["args"]["round"])
        for e in events
        if e["ph"] == "X" and e["cat"] != "round"
    )
    assert drawn == sorted((s.serial, s.actor, s.kind, s.energy, s.round) for s in trace.spans)


def test_times_are_microseconds(trace: Trace, events: list[dict[str, Any]]) -> None:
    by_serial = {e["args"]["serial"]: e for e in events if e["ph"] == "X" and e["cat"] != "round"}
    for span in trace.spans:
        event = by_serial[span.serial]
        assert event["ts"] == pytest.approx(span.t0 * 1e6, abs=1e-3)
        assert event["dur"] == pytest.approx((span.t1 - span.t0) * 1e6, abs=2e-3)


def test_counters_and_notes_stand_with_their_actor(
    trace: Trace, events: list[dict[str, Any]]
) -> None:
    actor = names(events)
    steps = [(actor[e["pid"]], e["name"], e["args"]["value"]) for e in events if e["ph"] == "C"]
    assert steps == [(c.actor, c.track, c.value) for c in trace.counters]
    notes = [(actor[e["pid"]], e["name"], e["args"]["text"]) for e in events if e["ph"] == "i"]
    assert notes == [(n.actor, n.cause, n.text) for n in trace.notes]


def test_rounds_have_their_own_group(trace: Trace, events: list[dict[str, Any]]) -> None:
    rounds = [e for e in events if e.get("cat") == "round"]
    assert [e["name"] for e in rounds] == [f"round {row['round']}" for row in trace.rounds]
    assert {names(events)[e["pid"]] for e in rounds} == {"rounds"}


def test_overlapping_spans_of_an_actor_get_lanes() -> None:
    times = [(0.0, 4.0), (1.0, 2.0), (1.5, 5.0), (2.0, 3.0), (4.0, 6.0)]
    spans = [Span(a, b, "server", "transfer", 0.0, 1.0, "", i) for i, (a, b) in enumerate(times)]
    lanes = {span.serial: lane for span, lane in perfetto.lanes(spans)}
    assert lanes == {0: 1, 1: 2, 2: 3, 3: 2, 4: 1}


def test_no_lane_holds_two_spans_at_a_time(trace: Trace) -> None:
    taken: dict[tuple[str, int], list[Span]] = defaultdict(list)
    for span, lane in perfetto.lanes(trace.spans):
        taken[span.actor, lane].append(span)
    assert sum(map(len, taken.values())) == len(trace.spans)
    for spans in taken.values():
        assert all(a.t1 <= b.t0 for a, b in pairwise(spans))
