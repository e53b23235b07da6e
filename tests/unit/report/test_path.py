"""The path of any round can be chosen on the page."""

from __future__ import annotations

import pytest

from hetsim.core.trace import Trace
from hetsim.report import path
from tests.unit.report.synthetic import build


def test_the_parts_of_a_path_are_as_long_as_its_round(trace: Trace) -> None:
    html, extra = path.chooser(trace)
    chosen = extra["path"]
    assert 'id="path-round"' in html
    assert chosen["rounds"] == [row["round"] for row in trace.rounds]
    seconds = {"s": 1.0, "min": 60.0}[chosen["unit"]]
    for row, parts in zip(trace.rounds, chosen["paths"], strict=True):
        length = sum(part[3] for part in parts) * seconds
        assert length == pytest.approx(row["t1_s"] - row["t0_s"], rel=1e-3)
    lengths = [row["t1_s"] - row["t0_s"] for row in trace.rounds]
    assert lengths[chosen["longest"]] == max(lengths)


def test_names_and_kinds_are_those_of_the_trace(trace: Trace) -> None:
    chosen = path.chooser(trace)[1]["path"]
    drawn = [chosen["names"][part[0]] for part in chosen["paths"][0]]
    assert drawn == [row["actor"] for row in trace.critical if row["round"] == 0]
    assert {part[2] for parts in chosen["paths"] for part in parts} == {
        *range(len(chosen["kinds"]))
    }


def test_of_very_many_rounds_the_longest_can_be_chosen() -> None:
    trace = build(devices=4, rounds=1500, counters=False)
    html, extra = path.chooser(trace)
    listed = set(extra["path"]["rounds"])
    assert 0 < len(listed) < 1500
    assert f"The {len(listed)} longest of" in html.replace(",", "")
    lengths = {row["round"]: row["t1_s"] - row["t0_s"] for row in trace.rounds}
    shortest = min(lengths[number] for number in listed)
    assert all(lengths[number] <= shortest + 1e-9 for number in lengths.keys() - listed)
