"""The independent account, checked itself: against exact answers that it does not know of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetsim.study.history import Body, Event, History, Job, Machine, Store, Trip
from hetsim.study.reference import integrate

CLOSE = 1e-8


@pytest.fixture(scope="module")
def cases(shared: Path) -> dict[str, dict[str, Any]]:
    text = (shared / "oracle" / "closed_form.json").read_text(encoding="utf-8")
    return {case["id"]: case for case in json.loads(text)["cases"]}


def machine(*points: tuple[float, float], **parts: Any) -> Machine:
    bare: dict[str, Any] = {"store": None, "body": None, **parts}
    return Machine(
        idle=0.0, off=0.0, points=points, point=len(points) - 1, line=1e6, transmit=0.0,
        receive=0.0, **bare,
    )  # fmt: skip


def history(
    machines: tuple[Machine, ...], jobs: tuple[Job, ...], horizon: float, **rest: Any
) -> History:
    world: dict[str, Any] = {
        "cell": "ethernet", "latency": 0.0, "bandwidth": 1e6, "shared": False, "events": (),
        **rest,
    }  # fmt: skip
    return History(number=0, machines=machines, jobs=jobs, horizon=horizon, **world)


@pytest.mark.parametrize("name", ["throttle_phone", "throttle_never"])
def test_throttling(cases: dict[str, dict[str, Any]], name: str) -> None:
    case, answer = cases[name], cases[name]["expected"]
    points = tuple((case[way]["flops_per_s"], case[way]["power_W"]) for way in ("slow", "fast"))
    body = Body(
        resistance=case["R_K_per_W"], capacity=case["C_J_per_K"], ambient=case["ambient_C"],
        trips=(Trip(at=case["throttle_C"], resume=case["resume_C"], point=0),),
    )  # fmt: skip
    jobs = (Job(at=0.0, machine=0, act="compute", amount=case["flops"]),)
    account = integrate(history((machine(*points, body=body),), jobs, answer["finish_s"] + 1e-6))
    [job] = account.jobs
    assert job is not None
    assert job.time == pytest.approx(answer["finish_s"], rel=CLOSE)
    assert account.energy == [pytest.approx(answer["energy_J"], rel=CLOSE)]
    assert account.temperature == [pytest.approx(answer["temp_C"], rel=1e-6)]


@pytest.mark.parametrize("name", ["kibam_recovery", "kibam_empty"])
def test_two_wells_run_dry(cases: dict[str, dict[str, Any]], name: str) -> None:
    case = cases[name]
    store = Store(
        model="kibam", capacity=case["capacity_J"], charge=1.0, efficiency=1.0,
        charge_efficiency=1.0, available=case["c"], rate=case["k_per_s"],
    )  # fmt: skip
    watts = sorted({step["power_W"] for step in case["steps"]} - {0.0})
    points = tuple((1.0 + i, power) for i, power in enumerate(watts))
    jobs, events, t = [], [], 0.0
    for step in case["steps"]:
        if step["power_W"]:
            point = watts.index(step["power_W"])
            events.append(Event(at=t, change="clock", machine=0, value=point))
            work = step["duration_s"] * points[point][0]
            jobs.append(Job(at=t, machine=0, act="compute", amount=work))
        t += step["duration_s"]
    played = history((machine(*points, store=store),), tuple(jobs), t, events=tuple(events))
    account = integrate(played)
    last, answer = account.jobs[-1], case["expected"][-1]
    assert last is not None
    assert last.outcome == "battery"
    assert last.time == pytest.approx(answer["t_s"], rel=CLOSE)


def test_a_linear_battery_fills_and_empties(cases: dict[str, dict[str, Any]]) -> None:
    case = cases["linear_drain_charge"]
    load = 5.0
    store = Store(
        model="linear", capacity=case["capacity_J"], charge=case["initial_soc"],
        efficiency=case["discharge_efficiency"], charge_efficiency=case["charge_efficiency"],
        charger=8.0, plugged=((2000.0, 5000.0),),
    )  # fmt: skip
    jobs = tuple(
        Job(at=at, machine=0, act="compute", amount=seconds)
        for at, seconds in ((0.0, 2000.0), (5000.0, 9000.0))
    )
    account = integrate(history((machine((1.0, load), store=store),), jobs, 14000.0))
    last = account.jobs[-1]
    assert last is not None
    assert (last.outcome, last.time) == ("battery", pytest.approx(12600.0, rel=CLOSE))
    assert account.charge == [pytest.approx(0.0, abs=1e-6)]


def test_equal_flows_end_together() -> None:
    machines = tuple(machine((1.0, 1.0)) for _ in range(4))
    jobs = tuple(Job(at=0.0, machine=i, act="upload", amount=1e6) for i in range(4))
    account = integrate(history(machines, jobs, 10.0))
    assert [job.time if job else None for job in account.jobs] == [pytest.approx(4.0)] * 4


@pytest.mark.parametrize(("cell", "slow", "fast"), [("wifi", 5.4, 5.4), ("lte", 3.0, 27.0)])
def test_airtime(cell: str, slow: float, fast: float) -> None:
    """Stations at 6 and 54: equal throughput or equal time."""
    machines = tuple(
        Machine(
            idle=0.0, off=0.0, points=((1.0, 1.0),), point=0, line=line, transmit=1.0, receive=0.0,
            store=None, body=None,
        )
        for line in (6.0, 54.0)
    )  # fmt: skip
    jobs = tuple(Job(at=0.0, machine=i, act="upload", amount=1e9) for i in range(2))
    account = integrate(history(machines, jobs, 10.0, cell=cell, bandwidth=1e9))
    assert account.energy == [
        pytest.approx(10.0 * slow / 6.0), pytest.approx(10.0 * fast / 54.0)
    ]  # fmt: skip
