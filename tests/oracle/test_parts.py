"""Batteries and heat against exact answers, as parts of a node whose job draws the power."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import exp, log
from pathlib import Path
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.sim.battery import BatteryPack, BatteryState, Wells
from hetsim.sim.clock import Call
from hetsim.sim.heat import Body, HeatState, Trip
from hetsim.sim.node import Node
from hetsim.sim.requests import Child, Compute, Gather, Sleep
from hetsim.sim.world import World, domain, profile

TOLERANCE = 1e-12
"""Relative; the project promises 1e-6."""
Case = dict[str, Any]


@pytest.fixture(scope="module")
def cases(shared: Path) -> dict[str, Case]:
    found = json.loads((shared / "oracle" / "closed_form.json").read_text())
    return {case["id"]: case for case in found["cases"]}


def powered(battery: BatteryState | None = None, **numbers: Any) -> tuple[World, Node]:
    """A world with a node that draws nothing but what a test makes it draw."""
    world = World()
    world.server()
    node = world.device("a", profile(domain((1.0, 1.0)), idle=0.0, **numbers), battery=battery)
    return world, node


def steps(case: Case, world: World, do: Callable[[float], None], look: Callable[[], None]) -> float:
    """Let the node go through the steps of a case; `look` is called at the end of each."""

    async def server() -> None:
        for step in case["steps"]:
            do(step["power_W"])
            await Sleep(duration=step["duration_s"])
            look()

    return world.run(server())


@pytest.mark.parametrize("name", ["rc_step", "rc_slow"])
def test_thermal_rc(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    body = Body(resistance=case["R_K_per_W"], capacity=case["C_J_per_K"])
    world, node = powered(heat=body)
    assert node.heat
    node.heat.ambient, node.heat.temperature = case["ambient_C"], case["initial_C"]
    seen: list[tuple[float, float]] = []

    def look() -> None:
        node.settle(world.kernel.env.now)
        assert node.heat
        seen.append((world.kernel.env.now, node.heat.temperature))

    steps(case, world, lambda power: node.steady("load", "compute", power), look)
    for (t, temperature), expected in zip(seen, case["expected"], strict=True):
        assert t == expected["t_s"]
        assert temperature == pytest.approx(expected["temp_C"], rel=TOLERANCE)
    highest = max(case["initial_C"], *(row["temp_C"] for row in case["expected"]))
    assert node.heat.hottest == pytest.approx(highest, rel=TOLERANCE)


@pytest.mark.parametrize("name", ["throttle_phone", "throttle_never"])
def test_thermal_throttle(cases: dict[str, Case], name: str) -> None:
    """The job is cut at each crossing, to the instant, and its joules with it."""
    case = cases[name]
    slow, fast = case["slow"], case["fast"]
    body = Body(
        resistance=case["R_K_per_W"], capacity=case["C_J_per_K"],
        trips=(Trip(domain="cpu", at=case["throttle_C"], resume=case["resume_C"], point=0),),
    )  # fmt: skip
    points = ((slow["flops_per_s"], slow["power_W"]), (fast["flops_per_s"], fast["power_W"]))
    world = World()
    world.server()
    node = world.device("a", profile(domain(*points), idle=0.0, heat=body),
                        ambient=case["ambient_C"])  # fmt: skip
    assert node.heat
    assert node.heat.temperature == case["initial_C"]

    async def work() -> None:
        await Compute(node="a", cost=Cost(flops=case["flops"]))

    expected = case["expected"]
    assert world.run(work(), "a") == pytest.approx(expected["finish_s"], rel=TOLERANCE)
    assert node.total == pytest.approx(expected["energy_J"], rel=TOLERANCE)
    assert node.heat.temperature == pytest.approx(expected["temp_C"], rel=TOLERANCE)
    clocks = [(c.t, c.value) for c in world.trace.counters if c[1:3] == ("a", "frequency_hz.cpu")]
    names = {slow["flops_per_s"]: "slow", fast["flops_per_s"]: "fast"}
    assert clocks[0] == (0.0, fast["flops_per_s"])
    assert len(clocks) == len(expected["switches"]) + 1
    for (t, clock), switch in zip(clocks[1:], expected["switches"], strict=True):
        assert t == pytest.approx(switch["t_s"], rel=TOLERANCE)
        assert names[clock] == switch["to"]
    warm = {c.t: c.value for c in world.trace.counters if c[1:3] == ("a", "temperature_c")}
    assert [warm[t] for t, _ in clocks[1:]] == [switch["temp_C"] for switch in expected["switches"]]
    switches = [switch["t_s"] for switch in expected["switches"]]
    held = sum(switches[1::2]) - sum(switches[::2])
    assert node.heat.throttled == pytest.approx(held, rel=TOLERANCE)
    trips = [(c.t, c.value) for c in world.trace.counters if c.track == "throttled"]
    assert [t for t, _ in trips] == pytest.approx(switches, rel=TOLERANCE)
    assert [held for _, held in trips] == [float(i % 2 == 0) for i in range(len(trips))]
    told = [note.t for note in world.trace.notes if note.cause == "heat"]
    assert told == pytest.approx(switches[:1], rel=TOLERANCE)
    if expected["switches"]:
        assert node.heat.hottest == case["throttle_C"]


@pytest.mark.parametrize("name", ["kibam_recovery", "kibam_empty"])
def test_battery_kibam(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    pack = BatteryPack(
        capacity=case["capacity_J"], model="kibam",
        wells=Wells(available=case["c"], rate=case["k_per_s"]),
    )  # fmt: skip
    battery = pack.charged(1.0)
    world, node = powered(battery)
    store: Any = battery.store
    seen: list[tuple[float, float, float, bool]] = []
    stop = node.on_empty

    def look() -> None:
        node.settle(world.kernel.env.now)
        seen.append((world.kernel.env.now, store.available, store.bound, battery.empty))

    def empty() -> None:  # what is bound flows on when the device is off
        look()
        stop()

    node.on_empty = empty
    steps(case, world, lambda power: node.steady("load", "compute", power), look)
    for (t, available, bound, flat), expected in zip(seen, case["expected"], strict=False):
        assert t == pytest.approx(expected["t_s"], rel=TOLERANCE)
        assert flat == expected["empty"]
        close = TOLERANCE * case["capacity_J"]
        assert available == pytest.approx(expected["available_J"], rel=TOLERANCE, abs=close)
        assert bound == pytest.approx(expected["bound_J"], rel=TOLERANCE)
    assert node.total == pytest.approx(case["capacity_J"] - battery.charge, rel=TOLERANCE)


def test_battery_linear(cases: dict[str, Case]) -> None:
    """Discharge, charge to full, discharge to nothing, in one run."""
    case = cases["linear_drain_charge"]
    pack = BatteryPack(
        capacity=case["capacity_J"], efficiency=case["discharge_efficiency"],
        charge_efficiency=case["charge_efficiency"],
    )  # fmt: skip
    battery = pack.charged(case["initial_soc"])
    world, node = powered(battery)
    stored: dict[float, float] = {}
    offers, begun = [], 0.0
    for step in case["steps"]:
        offers.append((begun, max(-step["power_W"], 0.0)))
        begun += step["duration_s"]
    node.feed(iter(offers))

    def look() -> None:
        node.settle(world.kernel.env.now)
        stored[world.kernel.env.now] = battery.charge

    steps(case, world, lambda power: node.steady("load", "compute", max(power, 0.0)), look)
    rows = {row["t_s"]: row["stored_J"] for row in case["expected"] if "stored_J" in row}
    assert stored == pytest.approx(rows, rel=TOLERANCE)
    events = {row["event"]: row["t_s"] for row in case["expected"] if "event" in row}
    charge = [(c.t, c.value) for c in world.trace.counters if c[1:3] == ("a", "charge_j")]
    full = next(t for t, value in charge if t > 2000.0 and value == case["capacity_J"])
    assert full == pytest.approx(events["full"], rel=TOLERANCE)
    [note] = world.trace.notes
    assert (note.t, note.cause) == (pytest.approx(events["empty"], rel=TOLERANCE), "battery")
    fallen = case["initial_soc"] * case["capacity_J"] - battery.charge
    assert fallen == pytest.approx(node.total - battery.charged, rel=TOLERANCE)
    room = case["capacity_J"] - rows[2000.0]
    assert battery.charged == pytest.approx(room, rel=TOLERANCE)


def test_a_cell_empties_when_its_voltage_falls_to_the_cutoff() -> None:
    """With V = 3 + x and P at the terminals: integral of V dq from the cut-off, over P.

    From full (x = 1) down to 3.5 V (x = 0.5) are Q (0.5 * 3 + 0.375) joules of the Q * 3.5.
    """
    capacity, power, efficiency = 42_000.0, 5.0, 0.8
    pack = BatteryPack(
        capacity=capacity, efficiency=efficiency, model="voltage",
        voltage=((0.0, 3.0), (1.0, 4.0)), cutoff=3.5,
    )  # fmt: skip
    battery = pack.charged(1.0)
    world, node = powered(battery)
    node.steady("load", "compute", power)

    async def server() -> None:
        await Sleep(duration=1e5)

    world.run(server())
    charge = capacity / 3.5
    [note] = world.trace.notes
    assert note.t == pytest.approx(charge * 1.875 * efficiency / power, rel=TOLERANCE)
    assert battery.charge == pytest.approx(charge * 1.625, rel=TOLERANCE)
    store: Any = battery.store
    assert store.charge == pytest.approx(charge / 2.0, rel=TOLERANCE)
    assert store.voltage == pytest.approx(3.5, rel=TOLERANCE)


def test_two_domains_and_two_trips() -> None:
    """Each crossing in closed form: warm from 20, trips at 30 and 35, each takes one domain down.

    R C = 10 s. 4 W, steady at 60, pass 30 after 10 log(40 / 30); then 3 W, steady at 50, pass 35
    after 10 log(20 / 15); then 1 W, steady at 30, fall to 32, where the second trip ends.
    """
    body = Body(
        resistance=10.0, capacity=1.0,
        trips=(
            Trip(domain="gpu", at=30.0, resume=25.0, point=0),
            Trip(domain="cpu", at=35.0, resume=32.0, point=0),
        ),
    )  # fmt: skip
    cpu = domain((1.0, 0.5), (2.0, 2.5))
    gpu = domain((1.0, 0.5), (2.0, 1.5), name="gpu", kind="gpu")
    world = World()
    world.server()
    node = world.device("a", profile(cpu, gpu, idle=0.0, heat=body), ambient=20.0)
    assert node.heat

    async def work() -> None:
        await Compute(node="a", cost=Cost(flops=1e3))

    async def server() -> None:
        await Gather(children=(Child(script=work(), node="a"),), deadline=30.0)

    world.run(server())
    first = 10.0 * log(40.0 / 30.0)
    second = first + 10.0 * log(20.0 / 15.0)
    third = second + 10.0 * log(5.0 / 2.0)
    clocks = [c for c in world.trace.counters if c.track.startswith("frequency_hz") and c.t > 0.0]
    assert [(c.track[-3:], c.value) for c in clocks[:3]] == [
        ("gpu", 1.0),
        ("cpu", 1.0),
        ("cpu", 2.0),
    ]
    assert [c.t for c in clocks[:3]] == pytest.approx([first, second, third], rel=TOLERANCE)


def test_what_warms_a_body_may_be_its_compute_alone() -> None:
    body = Body(resistance=2.0, capacity=5.0, power="compute")
    world, node = powered(heat=body)
    node.steady("modem", "radio_tail", 50.0)
    node.steady("job", "compute", 3.0)

    async def server() -> None:
        await Sleep(duration=7.0)

    world.run(server())
    assert node.heat
    rise = 6.0 * (1.0 - exp(-0.7))
    assert node.heat.temperature - node.heat.ambient == pytest.approx(rise, rel=TOLERANCE)


def test_a_flat_device_comes_back_when_it_has_been_charged() -> None:
    """10 J at 2 W last 5 s; 4 W with 50 % efficiency fill half of 10 J in 2.5 s."""
    pack = BatteryPack(capacity=10.0, charge_efficiency=0.5, restart=0.5)
    battery = pack.charged(1.0)
    world, node = powered(battery)
    node.base = {**node.base, "idle": {"idle": 2.0}}
    node.redraw(0.0)
    node.feed(iter([(0.0, 0.0), (20.0, 4.0), (30.0, 0.0)]))
    states: list[tuple[float, str, bool]] = []
    for when in (6.0, 21.0, 22.4, 22.6, 29.0, 36.0):
        Call(world.kernel.env, lambda: states.append(
            (world.kernel.env.now, node.state, node.lost)), when)  # fmt: skip

    async def server() -> None:
        await Sleep(duration=40.0)

    world.run(server())
    assert [note.t for note in world.trace.notes] == pytest.approx([5.0, 22.5, 35.0])
    assert states == [
        (6.0, "off", False), (21.0, "off", False), (22.4, "off", False),
        (22.6, "idle", False), (29.0, "idle", False), (36.0, "off", True),
    ]  # fmt: skip
    drawn = {"idle": 10.0 + 2.0 * (35.0 - 22.5)}
    assert node.energy == pytest.approx(drawn, rel=TOLERANCE)
    assert battery.supplied == pytest.approx(2.0 * 7.5, rel=TOLERANCE)
    assert battery.charged == pytest.approx(10.0, rel=TOLERANCE)


def test_temperature_of_a_body_alone() -> None:
    heat = HeatState(body=Body(resistance=1.0, capacity=1.0), ambient=0.0, temperature=8.0)
    heat.advance({}, log(4.0))
    assert heat.temperature == pytest.approx(2.0, rel=1e-15)
    assert heat.hottest == 8.0
