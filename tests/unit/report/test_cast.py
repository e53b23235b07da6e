"""Of many nodes those are shown of which a reader will ask."""

from __future__ import annotations

from hetsim.core.trace import Note
from hetsim.report import power
from hetsim.report.cast import cast, notable
from tests.unit.report.synthetic import build


def test_heat_goes_before_death_and_death_before_blame() -> None:
    trace = build(devices=12, rounds=4)
    names = [row["device"] for row in trace.devices if row["role"] == "device"]
    for row in trace.devices:
        row["throttled_s"] = {names[7]: 4.0, names[5]: 9.0}.get(row["device"])
    trace.notes = [Note(1.0, names[3], "battery", "the battery is empty")]
    trace.critical = [{"actor": names[1], "t0_s": 0.0, "t1_s": 5.0}]
    assert notable(trace) == [names[5], names[7], names[3], names[1]]
    section = power.section(trace)
    assert section
    assert f" selected>{names[5]}</option>" in section.body


def test_the_server_and_every_profile_are_among_the_few() -> None:
    trace = build(devices=200, rounds=1, counters=False)
    weights = {row["device"]: 1.0 for row in trace.devices} | {"unlisted": 0.0}
    shown = cast(trace, trace.devices, weights, 12)
    assert len(shown) == 12
    rows = [row for row in trace.devices if row["device"] in shown]
    assert "server" in {row["role"] for row in rows}
    assert {row["profile"] for row in rows} == {row["profile"] for row in trace.devices}
