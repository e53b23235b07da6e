"""Laws of energy, and whole random histories against an independent account of them.

A history is a few devices with batteries, clocks that change, absences, and rounds of work with a
deadline. `account` tells what must happen from formulas of its own; it shares no code with the
simulator but the numbers of the history.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.core.cost import Cost
from hetsim.core.rng import rng
from hetsim.core.trace import BASE_KINDS
from hetsim.sim.clock import Call
from hetsim.sim.governors.base import Choice, View
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.node import Node
from hetsim.sim.requests import Child, Compute, Gather, Outcome, Sleep, Transfer
from hetsim.sim.world import World, domain, profile

TRANSMIT, IDLE, OFF = 1.7, 0.9, 0.05
LATENCY, UPLINK = 0.3, 21.0
CPU = ((0.8, 0.6), (1.7, 1.9), (3.1, 5.5))
MEMORY = ((2.1, 0.4), (4.3, 0.9), (7.7, 2.3))


@dataclass(frozen=True, kw_only=True)
class Device:
    """`clocks` are (from, operating point); `absences` are (from, to)."""

    name: str
    rate: float
    charge: float
    efficiency: float
    clocks: list[tuple[float, int]]
    absences: list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class History:
    """`rounds` are a deadline and, by device, lists of steps (kind, amount, second amount)."""

    devices: list[Device]
    rounds: list[tuple[float, list[tuple[str, list[tuple[str, float, float]]]]]]


def invent(seed: int, devices: int, rounds: int) -> History:
    """Numbers with all their digits, so that no two things happen at one instant."""
    dice = rng(seed, "sim/history")

    def number(low: float, high: float) -> float:
        return float(dice.uniform(low, high))

    def times(count: int) -> list[float]:
        return sorted(float(t) for t in dice.uniform(0.0, 60.0, count))

    def step() -> tuple[str, float, float]:
        kind = str(dice.choice(["compute", "transfer", "sleep"], p=[0.5, 0.35, 0.15]))
        return kind, number(0.1, 12.0), number(0.0, 9.0)

    fleet: list[Device] = []
    for i in range(devices):
        edges = times(2 * int(dice.integers(0, 3)))
        fleet.append(
            Device(
                name=f"d{i}", rate=number(1.0, 30.0),
                charge=number(10.0, 200.0) if dice.random() < 0.6 else inf,
                efficiency=number(0.6, 1.0),
                clocks=[(0.0, int(dice.integers(3)))]
                + [(t, int(dice.integers(3))) for t in times(int(dice.integers(0, 4)))],
                absences=list(zip(edges[::2], edges[1::2], strict=True)),
            )
        )  # fmt: skip
    plan = [
        (
            number(5.0, 40.0),
            [(device.name, [step() for _ in range(int(dice.integers(1, 5)))])
             for device in fleet for _ in range(int(dice.integers(0, 3)))],
        )
        for _ in range(rounds)
    ]  # fmt: skip
    return History(devices=fleet, rounds=plan)


# --- played -------------------------------------------------------------------------------------


class ByTheClock:
    """Operating points by time."""

    def __init__(self, clocks: list[tuple[float, int]], world: World) -> None:
        self.clocks, self.world = clocks, world

    def choose(self, view: View) -> Choice:
        now = self.world.kernel.env.now
        [*_, (_, point)] = [clock for clock in self.clocks if clock[0] <= now]
        later = [t - now for t, _ in self.clocks if t > now]
        return Choice((point,) * len(view.domains), min(later, default=inf))


def build(history: History) -> World:
    world = World()
    world.server(profile(idle=0.0))
    body = profile(
        domain(*CPU, flops_per_cycle=1.0),
        domain(*MEMORY, name="memory", kind="memory", flops_per_cycle=0.0, bytes_per_cycle=1.0),
        idle=IDLE, off=OFF,
    )  # fmt: skip
    for device in history.devices:
        world.device(
            device.name, body, governor=ByTheClock(device.clocks, world),
            charge=device.charge, efficiency=device.efficiency,
        )  # fmt: skip
    rates = {device.name: device.rate for device in history.devices}
    world.cell("ap", Wifi(latency=LATENCY), rates, uplink=UPLINK, power=(TRANSMIT, 0.0))
    for device in history.devices:
        node = world.kernel.node(device.name)
        for gone, back in device.absences:
            Call(world.kernel.env, lambda node=node: leave(world, node), gone)
            Call(world.kernel.env, lambda node=node: world.kernel.revive(node), back)
    return world


def leave(world: World, node: Node) -> None:
    if node.state != "off":
        world.kernel.kill(node, "churn")


async def script(name: str, steps: list[tuple[str, float, float]]) -> None:
    for kind, amount, other in steps:
        match kind:
            case "compute":
                await Compute(node=name, cost=Cost(flops=amount, traffic=other))
            case "transfer":
                await Transfer(source=name, target="server", size=amount)
            case _:
                await Sleep(duration=amount)


def play(history: History) -> tuple[World, list[tuple[str, float, float]], float]:
    """The world afterwards, how each script ended (cause, when, progress), and the end."""
    world = build(history)
    endings: list[tuple[str, float, float]] = []

    async def server() -> None:
        for deadline, scripts in history.rounds:
            children = tuple(Child(script=script(n, steps), node=n) for n, steps in scripts)
            outcomes: list[Outcome] = await Gather(children=children, deadline=deadline)
            for outcome in outcomes:
                dropped = outcome.dropped
                cause, progress = (dropped.cause, dropped.progress) if dropped else ("done", 1.0)
                endings.append((cause, outcome.finished, progress))
            await Sleep(duration=3.0)

    end = world.run(server())
    return world, endings, end


# --- accounted for ------------------------------------------------------------------------------


@dataclass
class Task:
    """A script in the account: `done` is the finished share of step `at`."""

    device: Device
    steps: list[tuple[str, float, float]]
    at: int = 0
    done: float = 0.0
    lag: float = 0.0
    ending: tuple[str, float, float] | None = None

    @property
    def step(self) -> tuple[str, float, float]:
        return self.steps[self.at]


@dataclass
class Account:
    """What must happen, from one change of any speed to the next."""

    history: History
    now: float = 0.0
    charge: dict[str, float] = field(default_factory=dict[str, float])
    joules: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def play(self) -> list[tuple[str, float, float]]:
        self.charge = {device.name: device.charge for device in self.history.devices}
        kinds = ("idle", "off", "compute", "memory", "radio", "loss")
        self.joules = {d.name: dict.fromkeys(kinds, 0.0) for d in self.history.devices}
        endings: list[tuple[str, float, float]] = []
        by_name = {device.name: device for device in self.history.devices}
        for deadline, scripts in self.history.rounds:
            tasks = [Task(by_name[name], steps) for name, steps in scripts]
            for task in tasks:
                self.enter(task)
            limit = self.now + deadline
            while self.now < limit and not all(task.ending for task in tasks):
                self.advance(limit, tasks)
            endings += [task.ending or ("deadline", self.now, task.done) for task in tasks]
            limit = self.now + 3.0
            while self.now < limit:
                self.advance(limit, [])
        return endings

    def point(self, device: Device) -> int:
        return [point for t, point in device.clocks if t <= self.now][-1]

    def away(self, device: Device) -> str:
        if self.charge[device.name] == 0.0:
            return "battery"
        absent = any(gone <= self.now < back for gone, back in device.absences)
        return "churn" if absent else ""

    def seconds(self, task: Task) -> tuple[float, float]:
        """Seconds the whole step keeps the arithmetic and the memory busy."""
        _, flops, traffic = task.step
        point = self.point(task.device)
        return flops / CPU[point][0], traffic / MEMORY[point][0]

    def speeds(self, tasks: list[Task]) -> list[float]:
        """Share of the present step that each task gets done a second."""
        live = [task for task in tasks if not task.ending]
        wires = [task for task in live if task.step[0] == "transfer" and task.lag <= 0.0]
        air = sum(1 / task.device.rate for task in wires)
        speeds: list[float] = []
        for task in tasks:
            kind = "ended" if task.ending else task.step[0]
            if kind == "compute":
                rivals = [t for t in live if t.device is task.device and t.step[0] == "compute"]
                speeds.append(1 / sum(self.seconds(task)) / len(rivals))
            elif kind == "transfer" and task.lag <= 0.0:
                speeds.append(min(1 / air, UPLINK / len(wires)) / task.step[1])
            elif kind == "sleep":
                speeds.append(1 / task.step[1])
            else:
                speeds.append(0.0)
        return speeds

    def powers(self, device: Device, tasks: list[Task], speeds: list[float]) -> dict[str, float]:
        why = self.away(device)
        if why == "battery":
            return {}
        if why:
            return {"off": OFF}
        powers = {"idle": IDLE, "compute": 0.0, "memory": 0.0, "radio": 0.0}
        for task, speed in zip(tasks, speeds, strict=True):
            if task.device is device and speed:
                if task.step[0] == "compute":
                    arithmetic, memory = self.seconds(task)
                    powers["compute"] += speed * arithmetic * CPU[self.point(device)][1]
                    powers["memory"] += speed * memory * MEMORY[self.point(device)][1]
                elif task.step[0] == "transfer":
                    powers["radio"] += speed * task.step[1] / device.rate * TRANSMIT
        return powers

    def enter(self, task: Task) -> None:
        task.lag = LATENCY if task.step[0] == "transfer" else 0.0
        if self.away(task.device):
            task.ending = (self.away(task.device), self.now, 0.0)

    def advance(self, limit: float, tasks: list[Task]) -> None:
        speeds = self.speeds(tasks)
        powers = {d.name: self.powers(d, tasks, speeds) for d in self.history.devices}
        moments = [limit]
        for task, speed in zip(tasks, speeds, strict=True):
            if task.ending:
                continue
            moments.append(self.now + (task.lag if task.lag > 0.0 else (1 - task.done) / speed))
        for device in self.history.devices:
            edges = [t for t, _ in device.clocks] + [t for pair in device.absences for t in pair]
            moments += [t for t in edges if t > self.now]
            draw = sum(powers[device.name].values())
            if draw and self.charge[device.name] < inf:
                left = self.charge[device.name] * device.efficiency / draw
                moments.append(self.now + left)
        then = min(moments)
        dt = then - self.now
        for device in self.history.devices:
            self.charge_device(device, powers[device.name], dt)
        self.now = then
        for task, speed in zip(tasks, speeds, strict=True):
            if not task.ending:
                self.move(task, speed, dt)

    def charge_device(self, device: Device, powers: dict[str, float], dt: float) -> None:
        name = device.name
        for kind, watts in powers.items():
            self.joules[name][kind] += watts * dt
        if self.charge[name] < inf:
            drawn = sum(powers.values()) * dt / device.efficiency
            self.joules[name]["loss"] += drawn * (1 - device.efficiency)
            self.charge[name] -= drawn
            if self.charge[name] < 1e-9 * device.charge:
                self.charge[name] = 0.0

    def move(self, task: Task, speed: float, dt: float) -> None:
        if task.lag > 0.0:
            task.lag = task.lag - dt if task.lag - dt > 1e-12 else 0.0
        else:
            task.done = task.done + speed * dt
        if self.away(task.device):
            task.ending = (self.away(task.device), self.now, task.done)
        elif task.done >= 1 - 1e-12:
            task.at, task.done = task.at + 1, 0.0
            if task.at == len(task.steps):
                task.ending = ("done", self.now, 1.0)
            else:
                self.enter(task)


histories = st.builds(invent, st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 3))


@settings(max_examples=150)
@given(histories)
def test_histories_go_as_the_account_says(history: History):
    world, endings, end = play(history)
    account = Account(history)
    expected = account.play()
    assert end == pytest.approx(account.now, rel=1e-9)
    assert [cause for cause, *_ in endings] == [cause for cause, *_ in expected]
    for (_, t, done), (_, when, share) in zip(endings, expected, strict=True):
        assert t == pytest.approx(when, rel=1e-6)
        assert done == pytest.approx(share, rel=1e-6, abs=1e-9)
    for device in history.devices:
        node = world.kernel.node(device.name)
        for kind, joules in account.joules[device.name].items():
            assert node.energy.get(kind, 0.0) == pytest.approx(joules, rel=1e-6, abs=1e-9)
        if node.battery:
            assert node.battery.charge == pytest.approx(
                account.charge[device.name], rel=1e-6, abs=1e-6
            )


@settings(max_examples=100)
@given(histories)
def test_joules_add_up(history: History):
    """Spans are the increments, kinds the total, and a battery falls by what its ledger says."""
    world, _, end = play(history)
    nodes = list(world.kernel.nodes.values())
    increments = sum(
        joules
        for node in nodes
        for kind, joules in node.energy.items()
        if kind not in BASE_KINDS and kind != "loss"
    )
    assert sum(span.energy for span in world.trace.spans) == pytest.approx(increments, rel=1e-9)
    assert sum(world.joules().values()) == pytest.approx(sum(n.total for n in nodes), rel=1e-12)
    for node in nodes:
        assert all(joules >= 0.0 for joules in node.energy.values())
        assert 0.0 <= node.busy <= end * (1 + 1e-12)
        if node.battery:
            fallen = node.battery.capacity - node.battery.charge
            assert fallen == pytest.approx(node.total, rel=1e-9)
            assert node.active <= node.total * (1 + 1e-12)
    for span in world.trace.spans:
        assert span.energy >= 0.0
        assert span.t1 >= span.t0
        assert 0.0 <= span.progress <= 1.0


@settings(max_examples=50)
@given(histories)
def test_power_counters_are_the_joules(history: History):
    """The steps of the power track, integrated, are the ledger without the battery's losses."""
    world, _, end = play(history)
    for node in world.kernel.nodes.values():
        track = [(c.t, c.value) for c in world.trace.counters if c[1:3] == (node.name, "power_w")]
        ends = [*(t for t, _ in track[1:]), end]
        joules = sum(w * (t1 - t0) for (t0, w), t1 in zip(track, ends, strict=True))
        assert joules == pytest.approx(node.total - node.energy.get("loss", 0.0), rel=1e-9)


@settings(max_examples=50)
@given(histories)
def test_a_history_repeats_itself(history: History):
    (first, *_), (second, *_) = play(history), play(history)
    assert first.trace.spans == second.trace.spans
    assert first.trace.hash() == second.trace.hash()


@settings(max_examples=50)
@given(st.floats(1.0, 1e6), st.floats(0.05, 1.0), st.floats(0.01, 50.0), st.floats(1e-3, 1e7))
def test_an_idle_battery_lasts_as_long_as_its_energy(
    charge: float, efficiency: float, idle: float, start: float
):
    """However late it begins; a device that is off from the start draws nothing."""
    world = World()
    world.server(profile(idle=0.0))
    node = world.device("a", profile(idle=idle), charge=charge, efficiency=efficiency)
    node.switch("off")
    Call(world.kernel.env, lambda: node.switch("idle"), start)

    async def wait() -> None:
        await Sleep(duration=start + 2 * charge / idle)

    world.run(wait())
    [note] = world.trace.notes
    assert note.t == pytest.approx(start + charge * efficiency / idle, rel=1e-9)
    assert node.total == pytest.approx(charge, rel=1e-6)


def test_the_account_can_fail():
    """The two differ if the history does."""
    history = invent(7, 2, 2)
    other = invent(8, 2, 2)
    account = Account(other)
    account.play()
    assert play(history)[2] != pytest.approx(account.now, rel=1e-6)
