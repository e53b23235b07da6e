"""The Sankey diagram loses no joule on the way from the source to the work."""

from __future__ import annotations

from collections import defaultdict

import pytest

from hetsim.core.trace import Trace
from hetsim.report import energy, flows
from tests.unit.report.synthetic import build


def test_what_flows_into_a_box_flows_out_of_it(trace: Trace) -> None:
    trace.devices[2]["supplied_j"] = 0.25 * trace.devices[2]["energy_j"]
    drawn, spent = flows.flows(trace)
    into, out_of = defaultdict[str, float](float), defaultdict[str, float](float)
    for (_, box), joules in drawn.items():
        into[box] += joules
    for (box, _), joules in spent.items():
        out_of[box] += joules
    assert into.keys() == out_of.keys()
    for box, joules in into.items():
        assert out_of[box] == pytest.approx(joules, rel=1e-9)
    assert sum(into.values()) == pytest.approx(trace.summary["energy_j"]["total"], rel=1e-9)


def test_sources_are_told_apart(trace: Trace) -> None:
    row = next(row for row in trace.devices if row["profile"] == "pixel_6")
    row["supplied_j"] = 0.25 * row["energy_j"]
    drawn, _ = flows.flows(trace)
    phones = [row["energy_j"] for row in trace.devices if row["profile"] == "pixel_6"]
    assert drawn["supplied", "pixel_6"] == pytest.approx(row["supplied_j"])
    assert drawn["battery", "pixel_6"] == pytest.approx(sum(phones) - row["supplied_j"])
    assert ("mains", "pixel_6") not in drawn
    assert ("battery", "raspberry_pi_4b") not in drawn


def test_small_profiles_share_a_box() -> None:
    trace = build(devices=24, rounds=2)
    for i, row in enumerate(trace.devices):
        row["profile"] = f"profile-{i}"
    _, spent = flows.flows(trace)
    boxes = {box for box, _ in spent}
    assert len(boxes) == 13
    assert "other nodes" in boxes
    assert sum(spent.values()) == pytest.approx(trace.summary["energy_j"]["total"])


def test_a_box_may_be_called_like_a_kind(trace: Trace) -> None:
    for row in trace.devices:
        row["profile"] = "compute"
        row["role"] = "device"
    figure = flows.figure(trace)
    assert figure is not None
    link = figure.data[0]["link"]
    assert all(a < b for a, b in zip(link["source"], link["target"], strict=True))


def test_without_joules_there_is_no_diagram() -> None:
    trace = build(devices=0, rounds=0)
    assert flows.figure(trace) is None
    assert energy.section(trace).figures
