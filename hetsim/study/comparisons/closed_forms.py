"""Batteries, heat and shared links against exact answers: `oracle/closed_form.json`.

Each case is played by nodes of the time plane, and every number of its answer becomes a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.sim.battery import BatteryPack, BatteryState, Wells
from hetsim.sim.heat import Body, Trip
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.node import Node
from hetsim.sim.requests import Child, Compute, Gather, Sleep, Transfer
from hetsim.sim.world import SERVER, World, domain, profile

Case = Mapping[str, Any]
Found = Iterator[tuple[str, float, float]]
"""(quantity, its exact value, ours)."""


def closed_forms(measured: Path) -> dict[str, list[Mapping[str, Any]]]:
    """Every number of every case beside its exact value.

    Raises:
        SpecError: as `closed_form_rows`.
    """
    return {"closed_forms": closed_form_rows(measured / "oracle" / "closed_form.json")}


def closed_form_rows(path: Path) -> list[Mapping[str, Any]]:
    """Every number of every case in a file beside its exact value.

    Raises:
        SpecError: the file is not there, or holds a case of an unknown type.
    """
    try:
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    except (OSError, ValueError, KeyError) as error:
        remedy = "Give the folder that holds oracle/closed_form.json."
        raise SpecError(f"cannot be read ({error})", where=str(path), remedy=remedy) from None
    rows: list[Mapping[str, Any]] = []
    for case in cases:
        play = _PLAYERS.get(case["type"])
        if play is None:
            raise SpecError(
                f'case {case["id"]} is of an unknown type "{case["type"]}"', where=str(path),
                remedy=f"Known: {', '.join(_PLAYERS)}.",
            )  # fmt: skip
        for quantity, exact, ours in play(case):
            apart = abs(ours - exact)
            rows.append(
                {
                    "case": case["id"], "type": case["type"], "quantity": quantity,
                    "exact": exact, "hetsim": ours,
                    "error": apart / abs(exact) if exact else apart / case.get("capacity_J", 1.0),
                }
            )  # fmt: skip
    return rows


def _world(battery: BatteryState | None = None, **numbers: Any) -> tuple[World, Node]:
    """A node that draws nothing but what a case makes it draw."""
    world = World()
    world.server()
    body = profile(domain((1.0, 1.0)), idle=0.0, **numbers)
    return world, world.device("a", body, battery=battery)


def _steps(world: World, node: Node, steps: Sequence[Case]) -> Iterator[float]:
    """Let the node draw the power of each step; yields the end of each."""

    async def step(power: float, duration: float) -> None:
        node.steady("load", "compute", power)
        await Sleep(duration=duration)

    for each in steps:
        yield world.run(step(max(each["power_W"], 0.0), each["duration_s"]))


def _thermal_rc(case: Case) -> Found:
    body = Body(resistance=case["R_K_per_W"], capacity=case["C_J_per_K"])
    world, node = _world(heat=body)
    assert node.heat
    node.heat.ambient, node.heat.temperature = case["ambient_C"], case["initial_C"]
    for now, answer in zip(_steps(world, node, case["steps"]), case["expected"], strict=True):
        yield f"temperature at {now:g} s", answer["temp_C"], node.heat.temperature


def _thermal_throttle(case: Case) -> Found:
    answer, slow, fast = case["expected"], case["slow"], case["fast"]
    trip = Trip(domain="cpu", at=case["throttle_C"], resume=case["resume_C"], point=0)
    heat = Body(resistance=case["R_K_per_W"], capacity=case["C_J_per_K"], trips=(trip,))
    world = World()
    world.server()
    points = [(way["flops_per_s"], way["power_W"]) for way in (slow, fast)]
    node = world.device(
        "a", profile(domain(*points), idle=0.0, heat=heat), ambient=case["ambient_C"]
    )
    assert node.heat
    node.heat.temperature = case["initial_C"]

    async def work() -> None:
        await Compute(node="a", cost=Cost(flops=case["flops"]))

    yield "finish", answer["finish_s"], world.run(work(), "a")
    yield "energy", answer["energy_J"], node.total
    yield "temperature at the end", answer["temp_C"], node.heat.temperature
    clocks = [c.t for c in world.trace.counters if c.actor == "a" and c.track == "frequency_hz.cpu"]
    yield "switches", len(answer["switches"]), len(clocks) - 1
    for number, (switch, t) in enumerate(zip(answer["switches"], clocks[1:], strict=False), 1):
        yield f"switch {number} to {switch['to']}", switch["t_s"], t


def _battery_kibam(case: Case) -> Found:
    wells = Wells(available=case["c"], rate=case["k_per_s"])
    pack = BatteryPack(capacity=case["capacity_J"], model="kibam", wells=wells)
    battery = pack.charged(1.0)
    world, node = _world(battery)
    store: Any = battery.store
    died: list[tuple[float, float, float]] = []
    stop = node.on_empty

    def empty() -> None:
        died.append((world.kernel.env.now, store.available, store.bound))
        stop()

    node.on_empty = empty
    for now, answer in zip(_steps(world, node, case["steps"]), case["expected"], strict=True):
        ours = died[0] if answer["empty"] and died else (now, store.available, store.bound)
        yield "empty" if answer["empty"] else "step", answer["t_s"], ours[0]
        yield f"available at {answer['t_s']:g} s", answer["available_J"], ours[1]
        yield f"bound at {answer['t_s']:g} s", answer["bound_J"], ours[2]


def _battery_linear(case: Case) -> Found:
    pack = BatteryPack(
        capacity=case["capacity_J"], efficiency=case["discharge_efficiency"],
        charge_efficiency=case["charge_efficiency"],
    )  # fmt: skip
    battery = pack.charged(case["initial_soc"])
    world, node = _world(battery)
    offers, begun = [], 0.0
    for step in case["steps"]:
        offers.append((begun, max(-step["power_W"], 0.0)))
        begun += step["duration_s"]
    node.feed(iter(offers))
    seen = {now: battery.charge for now in _steps(world, node, case["steps"])}
    track = [c for c in world.trace.counters if c.actor == "a" and c.track == "charge_j"]
    rose = False
    events: dict[str, float] = {}
    for before, now in pairwise(track):
        rose = rose or now.value > before.value
        if rose and now.value == case["capacity_J"]:
            events.setdefault("full", now.t)
        if now.value == 0.0:
            events.setdefault("empty", now.t)
    for answer in case["expected"]:
        if "event" in answer:
            yield answer["event"], answer["t_s"], events.get(answer["event"], 0.0)
        else:
            yield f"stored at {answer['t_s']:g} s", answer["stored_J"], seen[answer["t_s"]]


def _equal_flows(case: Case) -> Found:
    names = [f"d{number}" for number in range(case["count"])]
    world = World()
    world.server()
    for name in names:
        world.device(name)
    rate = case["bandwidth_Bps"]
    lines = {name: 10.0 * rate for name in names}
    world.cell("cell", Ethernet(latency=0.0), lines, uplink=rate)

    async def upload(name: str) -> None:
        await Transfer(source=name, target=SERVER, size=case["bytes"])

    async def server() -> None:
        await Gather(children=tuple(Child(script=upload(name), node=name) for name in names))

    yield "finish", case["expected"]["finish_s"], world.run(server())


_PLAYERS = {
    "thermal_rc": _thermal_rc,
    "thermal_throttle": _thermal_throttle,
    "battery_kibam": _battery_kibam,
    "battery_linear": _battery_linear,
    "equal_flows": _equal_flows,
}
