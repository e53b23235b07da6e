"""Columns against the same script played device by device."""

from __future__ import annotations

from ast import Attribute, MatMult, Name, parse, walk
from dataclasses import dataclass, fields, replace
from math import expm1, inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.core.cost import Cost
from hetsim.sim import (
    _cell,
    _chargers,
    _hours,
    _level,
    _plan,
    _radios,
    _warmth,
    columns,
    playing,
    population,
)
from hetsim.sim import fleet as fleets
from hetsim.sim._warmth import _settled
from hetsim.sim.availability.base import Circumstances
from hetsim.sim.availability.windows import Windows
from hetsim.sim.battery import BatteryPack
from hetsim.sim.columns import Column, NotTraceable, Party
from hetsim.sim.device import Profile, Radio
from hetsim.sim.dvfs import Timing
from hetsim.sim.fleet import Fleet
from hetsim.sim.governors.performance import Performance
from hetsim.sim.heat import Body, Trip
from hetsim.sim.leg import Attachment
from hetsim.sim.network.base import Station, Technology
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.node import Node
from hetsim.sim.playing import Phase
from hetsim.sim.population import Cell, Population
from hetsim.sim.presence import Presence
from hetsim.sim.radio import RadioState, RadioStates
from hetsim.sim.requests import (
    Child,
    Compute,
    Gather,
    Hold,
    Observe,
    Sleep,
    Stream,
    Transfer,
)
from hetsim.sim.supply import Charger, Replay, together
from hetsim.sim.world import World, domain, profile

SIZE = 6e5
PATTERNS = (
    None,
    Windows(on=((0.0, 300.0), (1000.0, 1300.0)), period=2000.0, away="sleep"),
    Windows(on=((0.0, 400.0), (400.0, 450.0), (950.0, 1000.0)), period=1000.0, away="off"),
    Windows(on=((0.0, 250.0), (900.0, 1400.0), (1900.0, 2000.0)), period=2000.0, away="idle"),
)
"""All are there from 5, 1005 and 2005 s on, for a while."""
QUICK = RadioStates(promotion=0.0, promoting=0.5, connected=0.4, tail=0.0, tailing=0.5)
"""A radio that neither waits nor lingers."""


def some_profiles(rng: np.random.Generator, count: int = 10) -> list[Profile]:
    """Random devices: one to three domains, memory among them, overlapping or not."""
    found: list[Profile] = []
    for number in range(count):
        kinds = ["cpu", "gpu", "memory"][: int(rng.integers(1, 4))]
        domains = [
            domain(
                *[(float(f), float(w)) for f, w in zip(
                    np.sort(rng.uniform(5e8, 2e9, 3)), np.sort(rng.uniform(0.5, 6.0, 3)),
                    strict=True,
                )],
                name=kind, kind=kind,
                flops_per_cycle=0.0 if kind == "memory" else float(rng.uniform(1.0, 8.0)),
                bytes_per_cycle=float(rng.uniform(1.0, 4.0)) if kind == "memory" else 0.0,
                cycles_per_sample=float(rng.uniform(1e4, 1e6)) if kind == "cpu" else 0.0,
            )
            for kind in kinds
        ]  # fmt: skip
        timing = Timing(overhead=float(rng.uniform(0.0, 1e-2)), memory=float(rng.integers(1, 4)))
        found.append(
            profile(
                *domains,
                name=f"kind-{number}",
                idle=float(rng.uniform(0.1, 3.0)),
                timing=timing,
                heat=a_body(rng) if number % 2 else None,
            )
        )
    return found


def a_body(rng: np.random.Generator) -> Body:
    """A body that stays cool enough for anything asked here."""
    return Body(
        resistance=float(rng.uniform(1.0, 3.0)), capacity=float(rng.uniform(20.0, 200.0)),
        power=("all", "compute")[int(rng.integers(0, 2))],
        trips=(Trip(domain="cpu", at=150.0, resume=140.0, point=0),),
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A fleet, and what is asked of it in rounds: (when, rows)."""

    people: Population
    rounds: list[tuple[float, np.ndarray]]
    deadline: float = inf


def some_cells(rng: np.random.Generator, count: int) -> list[Cell]:
    """Both ways to share the air, lines, and cells whose radios have states."""
    shares = ("dcf", "airtime", "line", "airtime", "airtime", "airtime")
    return [
        Cell(
            latency=float(rng.uniform(1e-3, 0.1)), share=shares[place % 6], apart=place % 6 > 2,
            states=(None, some_states(rng), QUICK)[max(place % 6 - 3, 0)],
        )
        for place in range(count)
    ]  # fmt: skip


def some_states(rng: np.random.Generator) -> RadioStates:
    """A cellular radio."""
    return RadioStates(
        promotion=float(rng.uniform(0.1, 1.0)), promoting=float(rng.uniform(0.5, 1.0)),
        connected=float(rng.uniform(0.1, 0.5)), tail=float(rng.uniform(1.0, 12.0)),
        tailing=float(rng.uniform(0.1, 0.5)),
    )  # fmt: skip


def a_case(seed: int, count: int = 150, cells: int = 6, asked: int = 60) -> Case:
    """A random fleet, a part of which is asked three times."""
    rng = np.random.default_rng(seed)
    charge = np.where(rng.random(count) < 0.5, rng.uniform(1e5, 2e5, count), inf)
    charge[rng.choice(count, count // 10, replace=False)] = 20.0  # these die soon
    share = np.where(charge < inf, rng.uniform(0.8, 1.0, count), 1.0)
    people = Population(
        profiles=some_profiles(rng), kind=rng.integers(0, 10, count),
        cells=some_cells(rng, cells), cell=rng.integers(0, cells, count),
        up=rng.uniform(1e5, 4e6, count), down=rng.uniform(2e5, 8e6, count),
        transmit=rng.uniform(0.1, 2.0, count), receive=rng.uniform(0.1, 2.0, count),
        charge=charge, efficiency=share,
        numbers={"samples": rng.integers(1, 200, count).astype(float)},
        radio_idle=rng.choice([0.0, 0.05, 0.2], count), latency=rng.uniform(0.0, 0.05, count),
        sending=rng.uniform(0.0, 1e-6, count), receiving=rng.uniform(0.0, 1e-6, count),
        ambient=rng.uniform(-10.0, 40.0, count), temperature=rng.uniform(-10.0, 60.0, count),
        patterns=PATTERNS, pattern=rng.integers(0, len(PATTERNS), count),
    )  # fmt: skip
    lasting = np.flatnonzero(charge > 20.0)
    rounds = [
        (1000.0 * number + 5.0, np.sort(rng.choice(lasting, asked, replace=False)))
        for number in range(3)
    ]
    return Case(people, rounds)


async def fedavg(party: Party) -> None:
    """Receive, train, send."""
    samples = party["samples"]
    await Transfer(source="server", target=party.id, size=SIZE, kind="download")
    cost = Cost(flops=3e7 * samples, traffic=1e6 * samples, samples=samples, steps=samples / 20)
    await Compute(node=party.id, cost=cost, kind="train")
    await Transfer(source=party.id, target="server", size=SIZE, kind="upload")


def one_by_one(case: Case, script: Any = fedavg) -> World:
    """The same in the kernel."""
    people, world = case.people, World()
    world.server()
    for row in range(len(people)):
        node = _node(world, people, row)
        world.kernel.add(node)
        sources = people.supplies[people.supply[row]] if people.supplies else ()
        if node.battery and sources:
            node.feed(together(sources))
    for place, cell in enumerate(people.cells):
        _attach(world, f"cell-{place}", cell, people, np.flatnonzero(people.cell == place))
    for row, place in enumerate(people.pattern):
        if windows := people.patterns[place]:
            about = Circumstances(rng=np.random.default_rng(0))
            presence = Presence(world.kernel, world.kernel.nodes[f"d{row}"])
            presence.follow("left", windows.changes(about), windows.away)

    async def server() -> None:
        for when, rows in case.rounds:
            await Sleep(duration=when - world.kernel.env.now)
            children = tuple(
                Child(script=script(a_party(people, row)), node=f"d{row}") for row in rows
            )
            await Gather(children=children, deadline=case.deadline)
        await Sleep(duration=5000.0 - world.kernel.env.now)

    world.run(server())
    return world


def _node(world: World, people: Population, row: int) -> Node:
    """One device of a population, in the kernel."""
    body = people.profiles[people.kind[row]]
    charge, ambient = float(people.charge[row]), _of(people.ambient, row)
    warm = ambient if people.temperature is None else _of(people.temperature, row)
    battery = None
    if charge < inf:
        full = charge if people.capacity is None else _of(people.capacity, row)
        battery = BatteryPack(
            capacity=full, efficiency=_of(people.efficiency, row), restart=_of(people.restart, row),
            charge_efficiency=_of(people.charge_efficiency, row),
        ).charged(charge / full)  # fmt: skip
    return Node(
        world.kernel.env, world.trace, f"d{row}", "device",
        base={
            "idle": {"idle": body.idle, "radio_idle": _of(people.radio_idle, row)},
            "sleep": {"sleep": body.sleep}, "off": {"off": body.off},
        },
        profile=body, governor=Performance(), battery=battery,
        heat=body.heat.at(warm, ambient) if body.heat else None,
    )  # fmt: skip


def _of(values: np.ndarray | float, row: int) -> float:
    """Of one row, where all may have the same."""
    return float(values[row] if isinstance(values, np.ndarray) else values)


def a_party(people: Population, row: int) -> Party:
    """One device of a population."""
    return Party(f"d{row}", {name: float(each[row]) for name, each in people.numbers.items()})


def _attach(world: World, name: str, cell: Cell, people: Population, rows: np.ndarray) -> None:
    """Hang rows on a cell, each with its own rates and radio."""
    network = world.kernel.network
    network.add_cell(name)
    network.add_link(name, "edge", inf, 0.0)
    technology: Technology = Ethernet(latency=cell.latency)
    if cell.share != "line":
        technology = Wifi(share=cell.share, latency=cell.latency)
    if cell.apart:
        technology = Lte(latency=cell.latency)
    stations = [
        Station(
            name=f"d{row}",
            up=float(people.up[row]),
            down=float(people.down[row]),
            latency=cell.latency + _of(people.latency, row),
        )
        for row in rows
    ]
    hops = technology.attach(name, stations).values()
    for row, station, (up, down) in zip(rows, stations, hops, strict=True):
        node = world.kernel.nodes[station.name]
        network.attach(
            Attachment(
                cell=name, station=station, up=up, down=down, node=node,
                radio=Radio(
                    transmit=float(people.transmit[row]), receive=float(people.receive[row]),
                    sending=_of(people.sending, row), receiving=_of(people.receiving, row),
                ),
                state=RadioState(node, cell.states) if cell.states else None,
            )
        )  # fmt: skip


def in_columns(case: Case, script: Any = fedavg) -> tuple[Fleet, list[list[Phase]]]:
    """The rounds in columns."""
    fleet = Fleet(case.people)
    played = [fleet.play(script, rows, when, when + case.deadline) for when, rows in case.rounds]
    fleet.settle(slice(None), 5000.0)
    return fleet, played


def the_same(case: Case, script: Any = fedavg) -> None:
    """Spans, joules and charges agree to 1e-9."""
    world = one_by_one(case, script)
    fleet, played = in_columns(case, script)
    spans: dict[str, list[tuple[float, ...]]] = {}
    for span in world.trace.spans:
        spans.setdefault(span.actor, []).append(
            (span.t0, span.t1, span.energy, span.size, span.progress)
        )
    ours: dict[str, list[tuple[float, ...]]] = {}
    for (_, rows), phases in zip(case.rounds, played, strict=True):
        for phase in phases:
            columns = phase.t0, phase.t1, phase.energy, phase.size, phase.progress
            for row, begun, *numbers in zip(rows, phase.begun, *columns, strict=True):
                if begun:
                    ours.setdefault(f"d{row}", []).append(tuple(numbers))
    assert ours.keys() == spans.keys()
    for name, theirs in spans.items():
        np.testing.assert_allclose(sorted(ours[name]), sorted(theirs), rtol=1e-9, atol=0.0)
    for row in range(len(case.people)):
        node = world.kernel.nodes[f"d{row}"]
        assert {kind for kind, joules in node.energy.items() if joules} <= fleet.energy.keys()
        for kind, column in fleet.energy.items():
            assert column[row] == pytest.approx(node.energy.get(kind, 0.0), rel=1e-9, abs=1e-9)
        if node.battery:
            assert fleet.charge[row] == pytest.approx(node.battery.charge, rel=1e-9, abs=1e-7)
        if node.battery and fleet.chargers:
            for moved in ("charged", "supplied"):
                theirs = getattr(node.battery, moved)
                column = getattr(fleet.chargers, moved)
                assert column[row] == pytest.approx(theirs, rel=1e-9, abs=1e-7)
        if node.heat:
            warm, true = fleet.warmth.temperature[row], node.heat.temperature
            assert true - 1e-9 <= warm <= 150.0
            restarts = fleet.chargers is not None and bool(fleet.chargers.fed[row])
            if f"d{row}" not in spans and not case.people.pattern[row] and not restarts:
                assert warm == pytest.approx(true, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_columns_are_the_same_script_device_by_device(seed: int) -> None:
    the_same(a_case(seed, count=500, asked=200))


def test_a_longer_script_and_messages_that_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads of some are under way while others send."""
    met: list[int] = []
    together = _cell._together

    def watched(start: float, waves: Any, until: Any) -> Any:
        met.append(len(waves))
        return together(start, waves, until)

    monkeypatch.setattr(_cell, "_together", watched)

    async def script(party: Party) -> None:
        await Transfer(source="server", target=party.id, size=0.0)
        await Transfer(source="server", target=party.id, size=SIZE, kind="download")
        await Sleep(duration=0.25, kind="wait")
        for _ in range(2):
            await Compute(node=party.id, cost=Cost(flops=1e7 * party["samples"]), kind="train")
        await Transfer(source=party.id, target="server", size=SIZE / 2, kind="upload")
        await Sleep(duration=1.0)
        await Transfer(source=party.id, target="server", size=10.0, kind="report")

    the_same(a_case(3), script)
    assert 3 in met


@pytest.mark.parametrize("deadline", [0.01, 2.0, 6.0, 10.0])
def test_a_deadline_cuts_what_is_under_way(deadline: float) -> None:
    case = replace(a_case(4), deadline=deadline)
    the_same(case)
    _, played = in_columns(case)
    assert any(((phase.progress < 1.0) & phase.begun).any() for phase in played[0])


def test_radios_wait_for_their_promotion_and_linger() -> None:
    """Some are asked again in their tail, others after it, in a promotion that nobody awaits."""
    case = a_case(6, count=60, asked=40)
    rows = case.rounds[0][1]
    times = (5.0, 5.15, 9.0, 12.0, 24.0, 24.4, 60.0)
    for deadline in (0.14, 0.35, 3.0):
        gone = 0.0
        rounds: list[tuple[float, np.ndarray]] = []
        for when in times:
            if when >= gone:
                rounds.append((when, rows))
                gone = when + deadline
        the_same(replace(case, rounds=rounds, deadline=deadline))


async def chatter(party: Party) -> None:
    """Messages, some without bytes, with pauses shorter and longer than tails."""
    for pause in (0.0, 0.5, 3.0, 8.0, 20.0):
        await Transfer(source="server", target=party.id, size=0.0)
        await Compute(node=party.id, cost=Cost(flops=1e6 * party["samples"]), kind="train")
        await Transfer(source=party.id, target="server", size=SIZE / 10, kind="upload")
        await Sleep(duration=pause, kind="wait")


def test_radios_between_the_messages_of_a_script() -> None:
    case = a_case(7, count=100)
    the_same(case, chatter)
    the_same(replace(case, deadline=6.0), chatter)


def test_a_radio_falls_silent_when_its_device_leaves() -> None:
    """At 300, 400 or 250 s, in the middle of transfers, promotions and tails."""
    case = a_case(8)
    rounds = [(when, case.rounds[0][1]) for when in (249.9, 298.0, 399.5)]
    the_same(in_columns_there(replace(case, rounds=rounds, deadline=1.0)), chatter)


@pytest.mark.parametrize("charge", [17.0, 18.0, 19.0, 20.0, 21.0])
def test_a_battery_runs_empty_in_the_tail(charge: float) -> None:
    """Or in a promotion, or before, or after."""
    rng = np.random.default_rng(9)
    states = RadioStates(promotion=2.0, promoting=1.0, connected=0.5, tail=6.0, tailing=0.25)
    ones = np.ones(1)
    people = Population(
        profiles=[profile(domain((1e9, 1.0), flops_per_cycle=1.0), idle=0.5)],
        kind=np.zeros(1, np.intp), cells=[Cell(latency=0.1, states=states)],
        cell=np.zeros(1, np.intp), up=1e6 * ones, down=1e6 * ones, transmit=ones, receive=ones,
        charge=charge * ones, efficiency=0.9 * ones, radio_idle=0.1,
        numbers={"samples": rng.uniform(1.0, 2.0, 1)},
    )  # fmt: skip
    died: list[bool] = []
    for when, deadline in ((15.0, 1.0), (15.0, 2.2), (15.5, 2.9)):
        case = Case(people, [(when, np.arange(1))], deadline)
        the_same(case)
        fleet = Fleet(people)
        fleet.play(fedavg, np.arange(1), when, when + deadline)
        died.append(not fleet.present(np.arange(1), when + deadline + 6.0).all())
    assert any(died) or charge > 18.0


def test_who_leaves_makes_room_for_others() -> None:
    case = a_case(5)
    early = replace(case, rounds=[(when + 5.0 + shift, rows) for (when, rows), shift in zip(
        case.rounds, (230.0, 285.0, 232.0), strict=True
    )])  # fmt: skip
    there = in_columns_there(early)
    the_same(there)
    _, played = in_columns(there)
    left = [((each[-1].progress < 1.0) | ~each[-1].begun).sum() for each in played]
    assert sum(left) > 5
    assert min(left) < len(there.rounds[0][1]) / 2


def in_columns_there(case: Case) -> Case:
    """Only those are asked that are there."""
    fleet = Fleet(case.people)
    return replace(
        case, rounds=[(when, rows[fleet.present(rows, when)]) for when, rows in case.rounds]
    )


SUPPLIES = (
    (),
    (Charger(power=60.0, on=((100.0, 400.0), (1200.0, 1500.0)), period=1700.0),),
    (Charger(power=0.05),),
    (Charger(power=40.0, on=((2900.0, 3300.0),)), Replay(rows=((0.0, 0.0), (90.0, 0.02)))),
    (Charger(power=2.0, on=((300.0, 900.0),), period=1000.0),),
)
"""None changes while something is asked at 5, 1005 and 2005 s."""


def charged(case: Case, seed: int) -> Case:
    """The same with batteries that are charged, some of them small."""
    rng = np.random.default_rng(seed)
    people, count = case.people, len(case.people)
    full = people.charge * rng.uniform(1.0, 1.001, count)
    return replace(
        case,
        people=replace(
            people, supplies=SUPPLIES, supply=rng.integers(0, len(SUPPLIES), count), capacity=full,
            charge_efficiency=rng.uniform(0.7, 1.0, count), restart=rng.uniform(0.05, 0.3, count),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_batteries_are_charged_and_devices_start_again(seed: int) -> None:
    case = charged(a_case(seed, count=300, asked=60), seed)
    case = replace(case, rounds=[
        (when, rows[~np.isin(case.people.supply[rows], (3, 4))]) for when, rows in case.rounds
    ])  # fmt: skip
    the_same(case)
    fleet, _ = in_columns(case)
    assert fleet.chargers
    small = (case.people.charge == 20.0) & (case.people.supply > 0)
    assert fleet.energy["off"][small].any() or fleet.chargers.empty[small].any()
    assert (small & ~fleet.chargers.empty & (fleet.charge > 0.0)).any()
    early = Fleet(case.people)
    early.settle(slice(None), 399.0)
    assert ((early.charge == case.people.capacity) & (case.people.supply == 1)).any()


def test_a_battery_is_charged_through_a_script_and_its_tail() -> None:
    case = charged(a_case(4, count=100, asked=50), 4)
    rows = case.rounds[1][1]
    rows = rows[case.people.supply[rows] < 3]
    rounds = [(when, rows) for when in (1005.0, 1025.0, 1045.0)]
    the_same(replace(case, rounds=rounds, deadline=15.0), chatter)


@pytest.mark.parametrize(
    ("supply", "refused"),
    [
        (Charger(power=2.5), True),  # the radio may draw more, or less
        (Charger(power=60.0, on=((0.0, 5.05),)), True),  # pulled out in mid-air
        (Charger(power=60.0, on=((0.0, 5.8),)), False),  # and while it computes
        (Charger(power=2.5, on=((0.0, 4.0),)), False),
    ],
)
def test_a_charger_that_a_message_may_exceed_is_for_the_kernel(
    supply: Charger, refused: bool
) -> None:
    device = profile(domain((1e9, 4.0), flops_per_cycle=1.0), idle=2.0)
    people = replace(
        one_of(device), charge=np.array([1e3]), efficiency=np.array([0.9]), capacity=2e3,
        supplies=[(supply,)], supply=np.zeros(1, np.intp), numbers={"samples": 10.0 * np.ones(1)},
    )  # fmt: skip
    case = Case(people, [(5.0, np.arange(1))])
    if refused:
        with pytest.raises(NotTraceable, match="charged with less than a message may draw"):
            in_columns(case)
    else:
        the_same(case)


def test_some_have_run_empty_and_so_does_the_kernel() -> None:
    case = a_case(1)
    fleet, _ = in_columns(case)
    died = case.people.charge == 20.0
    assert died.sum() == 15
    assert (fleet.charge[died] == 0.0).all()
    assert (~fleet.present(slice(None), 5000.0) == died).all()
    used = np.sum(list(fleet.energy.values()), axis=0)[died]
    np.testing.assert_allclose(used, 20.0, rtol=1e-12)


def weakened(case: Case, script: Any, seed: int, share: float = 0.6) -> Case:
    """The same with batteries that mostly run empty on the way through the first script."""
    rng, count = np.random.default_rng(seed), len(case.people)
    fleet, (when, rows) = Fleet(replace(case.people, charge=np.full(count, 1e9))), case.rounds[0]
    fleet.settle(rows, when)
    before = np.sum([column[rows] for column in fleet.energy.values()], axis=0)
    fleet.play(script, rows, when, when + case.deadline)
    script_joules = np.sum([column[rows] for column in fleet.energy.values()], axis=0) - before
    charge = case.people.charge.copy()
    wanted = before + script_joules * rng.uniform(0.0, 1.3, len(rows))
    weak = rng.random(len(rows)) < share
    charge[rows[weak]] = wanted[weak]
    return replace(case, people=replace(case.people, charge=charge))


def died_in(case: Case, script: Any = fedavg) -> list[str]:
    """In steps of which kind batteries have run empty in the first round."""
    fleet, (when, rows) = Fleet(case.people), case.rounds[0]
    phases = fleet.play(script, rows, when, when + case.deadline)
    dead = fleet.charge[rows] == 0.0
    return [
        phase.kind for phase in phases
        for _ in range(int((dead & phase.begun & (phase.progress < 1.0)).sum()))
    ]  # fmt: skip


@pytest.mark.parametrize("script", [fedavg, chatter])
@pytest.mark.parametrize("deadline", [inf, 4.0])
@pytest.mark.parametrize("seed", range(4))
def test_batteries_run_empty_at_any_instant(script: Any, deadline: float, seed: int) -> None:
    """In work, in rests, in messages; each leaves the air to the others."""
    case = a_case(seed, count=260, asked=120)
    rows = case.rounds[0][1]
    case = replace(case, rounds=[(when, rows) for when in (5.0, 85.0, 165.0)], deadline=deadline)
    case = weakened(case, script, seed)
    the_same(case, script)
    found = died_in(case, script)
    kinds = {"download", "train", "upload"} if script is fedavg else {"upload", "wait"}
    assert kinds <= set(found)
    assert len(found) > 20


def four_and_two() -> Population:
    """Four devices in one cell, whose message takes 1 s alone, and two in another; 1 W idle."""
    count, ones = 6, np.ones(6)
    return Population(
        profiles=[profile(domain((1e9, 1.0), flops_per_cycle=1.0), idle=1.0)],
        kind=np.zeros(count, np.intp), cells=[Cell(latency=0.0)] * 2,
        cell=np.array([0, 0, 0, 0, 1, 1]), up=SIZE * ones, down=SIZE * ones, transmit=ones,
        receive=ones, charge=1e3 * ones, efficiency=ones, numbers={"samples": 30.0 * ones},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("joules", "replays", "dead"),
    [
        ((), 0, ()),
        # in the air, one after the other: each is felt by those that remain
        ((0.5, 1.0, 1.5), 3, (0.4, 0.4 + 0.375, 0.4 + 0.375 + 1 / 3)),
        ((0.5, 0.5, 0.5), 1, (0.4, 0.4, 0.4)),  # at once
        ((5.3, 5.5, 5.9), 1, (4.15, 4.25, 4.45)),  # at work: nobody feels it before an upload
    ],
)
def test_a_cell_is_played_again_for_each_death_that_others_feel(
    joules: tuple[float, ...], replays: int, dead: tuple[float, ...]
) -> None:
    """And no other cell is."""
    people = four_and_two()
    charge = people.charge.copy()
    charge[: len(joules)] = joules
    people = replace(people, charge=charge)
    fleet = Fleet(people)
    fleet.play(fedavg, np.arange(6), 0.0)
    assert (fleet.flows, fleet.solves) == (12, 2 + replays)
    assert fleet.since[: len(dead)] == pytest.approx(dead)
    assert (fleet.charge == 0.0).sum() == len(joules)
    the_same(Case(people, [(0.0, np.arange(6))]))


def one_of(device: Profile) -> Population:
    """One device on mains, alone in its cell."""
    one = np.ones(1)
    return Population(
        profiles=[device], kind=np.zeros(1, np.intp), cells=[Cell(latency=0.0)],
        cell=np.zeros(1, np.intp), up=1e6 * one, down=1e6 * one, transmit=one, receive=one,
        charge=inf * one, efficiency=one,
    )  # fmt: skip


def test_a_charged_battery_that_would_not_last_is_for_the_kernel_and_nothing_has_changed() -> None:
    device = profile(domain((1e9, 4.0), flops_per_cycle=1.0), idle=2.0)
    people = replace(
        one_of(device), charge=np.array([30.0]), capacity=40.0, supplies=[(Charger(power=1.0),)],
        supply=np.zeros(1, np.intp),
    )  # fmt: skip
    fleet = Fleet(people)

    async def trains_long(party: Party) -> None:
        await Compute(node=party.id, cost=Cost(flops=1e12))

    with pytest.raises(NotTraceable, match="is charged and yet runs empty amid a script"):
        fleet.play(trains_long, np.arange(1), 0.0)
    assert not fleet.energy["idle"].any()
    assert not fleet.since.any()


def test_who_may_grow_too_warm_is_for_the_kernel() -> None:
    """It slows down there; a little less work, and both agree that it does not."""
    body = Body(
        resistance=5.0, capacity=10.0, trips=(Trip(domain="cpu", at=45.0, resume=40.0, point=0),)
    )
    device = profile(domain((1e9, 1.0), (2e9, 4.0), flops_per_cycle=1.0), idle=1.0, heat=body)
    people = one_of(device)

    def works(flops: float) -> Any:
        async def script(party: Party) -> None:
            await Compute(node=party.id, cost=Cost(flops=flops), kind="train")

        return script

    case = Case(people, [(100.0, np.arange(1))])
    the_same(case, works(1e11))
    assert not one_by_one(case, works(1e11)).kernel.nodes["d0"].heat.throttled  # pyright: ignore
    assert one_by_one(case, works(2e11)).kernel.nodes["d0"].heat.throttled  # pyright: ignore
    with pytest.raises(NotTraceable, match="grow so warm"):
        Fleet(people).play(works(2e11), np.arange(1), 100.0)


def test_who_is_at_work_is_not_asked() -> None:
    case = a_case(2)
    fleet = Fleet(case.people)
    when, rows = case.rounds[0]
    fleet.play(fedavg, rows, when)
    with pytest.raises(NotTraceable, match="60 of 60 devices are asked before they are through"):
        fleet.play(fedavg, rows, when)


@pytest.mark.parametrize("recharged", [False, True])
def test_who_is_away_or_has_run_empty_begins_nothing(recharged: bool) -> None:
    """They leave the air to the others."""
    case = a_case(2)
    case = charged(case, 2) if recharged else case
    weak = np.flatnonzero((case.people.charge == 20.0) & (case.people.supply == 0)
                          if recharged else case.people.charge == 20.0)  # fmt: skip
    rows = case.rounds[0][1]
    rows = np.sort(
        np.concatenate((weak, rows[case.people.supply[rows] < 3] if recharged else rows))
    )
    case = replace(case, rounds=[(555.0, rows), (1666.0, rows)], deadline=20.0)
    the_same(case, chatter)
    _, played = in_columns(case, chatter)
    for phases in played:
        assert 5 < sum(phases[0].begun) < len(rows) - 5
        assert not phases[0].begun[np.isin(rows, weak)].all()


def test_who_is_too_warm_from_the_start_is_for_the_kernel() -> None:
    body = Body(
        resistance=10.0, capacity=10.0, trips=(Trip(domain="cpu", at=45.0, resume=40.0, point=0),)
    )
    device = profile(domain((1e9, 1.0), (2e9, 4.0), flops_per_cycle=1.0), idle=1.0, heat=body)
    people = one_of(device)
    Fleet(replace(people, temperature=44.0))
    for hot, why in (({"temperature": 46.0}, "start"), ({"ambient": 36.0}, "idle")):
        with pytest.raises(NotTraceable, match=f"plain is so warm .*{why}"):
            Fleet(replace(people, **hot))


def test_a_tail_that_warms_beyond_a_trip_point_is_for_the_kernel() -> None:
    """The same bytes over a radio that goes to sleep at once are played."""
    body = Body(
        resistance=10.0, capacity=2.0, trips=(Trip(domain="cpu", at=45.0, resume=40.0, point=0),)
    )
    device = profile(domain((1e9, 1.0), flops_per_cycle=1.0), idle=0.5, heat=body)
    tail = RadioStates(promotion=0.1, promoting=0.5, connected=0.5, tail=60.0, tailing=1.7)
    for lasts, refused in ((60.0, True), (1.0, False)):
        cells = [Cell(latency=0.01, states=replace(tail, tail=lasts))]
        people = replace(one_of(device), cells=cells, numbers={"samples": np.ones(1)})
        case = Case(people, [(5.0, np.arange(1))])
        node = one_by_one(case).kernel.nodes["d0"]
        assert node.heat
        assert bool(node.heat.throttled) == refused
        if refused:
            with pytest.raises(NotTraceable, match="grow so warm"):
                in_columns(case)
        else:
            the_same(case)


def test_clocks_that_rise_at_the_start_are_for_the_kernel() -> None:
    device = profile(domain((1e9, 1.0), (2e9, 4.0), flops_per_cycle=1.0), switch=0.7)
    people = replace(one_of(device), numbers={"samples": np.ones(1)})
    with pytest.raises(NotTraceable, match="clocks still rise"):
        Fleet(people).play(fedavg, np.arange(1), 0.0)
    the_same(Case(people, [(0.8, np.arange(1))]))


def test_operating_points_are_chosen_by_kind() -> None:
    device = profile(domain((1e9, 1.0), (2e9, 4.0), flops_per_cycle=1.0))
    people = replace(one_of(device), numbers={"samples": 10.0 * np.ones(1)})
    [fast], [slow] = (
        [each for each in Fleet(replace(people, points=points)).play(fedavg, np.arange(1), 0.0)
         if each.kind == "train"]
        for points in (None, [(0,)])
    )  # fmt: skip
    assert (slow.t1 - slow.t0)[0] == pytest.approx(2 * (fast.t1 - fast.t0)[0])
    assert slow.energy[0] == pytest.approx(fast.energy[0] / 2)


def test_nobody_looks_before_the_end_of_what_was_asked() -> None:
    case = a_case(2)
    fleet = Fleet(case.people)
    when, rows = case.rounds[0]
    fleet.play(fedavg, rows, when)
    with pytest.raises(ValueError, match="not through yet"):
        fleet.settle(rows, when)


async def _branches(party: Party) -> None:
    if party["samples"] > 10:
        await Sleep(duration=1.0)


async def _naps_by_column(party: Party) -> None:
    await Sleep(duration=party["samples"])


async def _sends_by_column(party: Party) -> None:
    await Transfer(source=party.id, target="server", size=party["samples"])


async def _rounds_off(party: Party) -> None:
    await Compute(node=party.id, cost=Cost(flops=sqrt(party["samples"])))


async def _observes(party: Party) -> None:
    await Observe(())


async def _is_cut(party: Party) -> None:
    await Compute(node=party.id, cost=Cost(flops=1e9), until=3.0)


async def _meets_another(party: Party) -> None:
    await Transfer(source=party.id, target="d1", size=1.0)


async def _asks_others(party: Party) -> None:
    await Gather(children=())


async def _works_elsewhere(party: Party) -> None:
    await Compute(node="server", cost=Cost(flops=1e9))


async def _streams(party: Party) -> None:
    await Stream(stages=(Compute(node=party.id, cost=Cost(flops=1e9)),), items=3)


async def _keeps(party: Party) -> None:
    await Hold(node=party.id, name="model", size=1.0)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (_branches, "decides by a number that differs"),
        (_naps_by_column, "decides by a number that differs"),
        (_sends_by_column, "decides by a number that differs"),
        (_rounds_off, "decides by a number that differs"),
        (_observes, "observes learned values"),
        (_is_cut, "at an instant of its own"),
        (_meets_another, "from its device to d1, without server"),
        (_asks_others, "starts scripts of its own"),
        (_works_elsewhere, "computes on server, not on its device"),
        (_streams, "streams"),
        (_keeps, "keeps something in the memory"),
    ],
)
def test_what_is_not_the_same_for_all_is_not_traceable(script: Any, why: str) -> None:
    fleet = Fleet(a_case(0, count=20, asked=5).people)
    with pytest.raises(NotTraceable, match="device by device") as refused:
        fleet.play(script, np.arange(3), 0.0)
    assert why in refused.value.what
    assert "\n" not in refused.value.what
    assert not fleet.flows


@pytest.mark.parametrize(
    "decide",
    [
        bool, float, int, len, list, round, np.sqrt, np.asarray, sum, abs,
        lambda column: max(column, 3.0), lambda column: column == 3.0, lambda column: 3 in column,
        lambda column: column // 2, lambda column: range(column), lambda column: [1, 2][column],
        lambda column: {column: 1},
    ],
)  # fmt: skip
def test_a_column_of_one_decides_nothing(decide: Any) -> None:
    with pytest.raises((NotTraceable, TypeError)):
        decide(Column(np.array([1.0])))


def test_shares_of_a_change_are_those_of_the_scalar_exponential() -> None:
    rng = np.random.default_rng(0)
    constants = np.concatenate(([0.0, 1e-300, 59.0, 61.0, inf], 10.0 ** rng.uniform(-18, 2, 2000)))
    exact = [-expm1(-x) for x in constants.tolist()]
    np.testing.assert_allclose(_settled(constants), exact, rtol=4e-16, atol=0.0)


def test_powers_of_columns_are_those_of_numbers() -> None:
    bases = np.random.default_rng(0).uniform(0.0, 1e3, 500)
    found = (Column(bases) ** 0.37).rows.tolist()
    assert found == [x**0.37 for x in bases.tolist()]


@pytest.mark.parametrize(
    "module",
    [
        _cell,
        _chargers,
        _hours,
        _level,
        _plan,
        _radios,
        _warmth,
        columns,
        fleets,
        playing,
        population,
    ],
)
def test_no_vectorised_transcendental_function_decides_times_or_joules(module: Any) -> None:
    """They differ between processors in the last bit; so do products of matrices."""
    tree = parse(Path(module.__file__).read_text(encoding="utf-8"))
    used = {node.attr for node in walk(tree) if isinstance(node, Attribute)
            and isinstance(node.value, Name) and node.value.id == "np"}  # fmt: skip
    barred = {name for name in used if name.startswith(("exp", "log", "sin", "cos", "tan"))}
    assert not barred | used & {"power", "float_power", "cbrt", "dot", "matmul", "einsum"}
    assert not any(isinstance(node, MatMult) for node in walk(tree))


def test_arithmetic_of_columns_is_that_of_numbers() -> None:
    numbers = np.array([1.0, 2.5, 7.0])

    def formula(x: Any, y: Any) -> Any:
        return (2.0 - x) * y / (1.0 + x**2) - 3.0 / y + -x + np.float64(2.0) * x

    found = formula(Column(numbers), Column(2 * numbers))
    assert found.rows.tolist() == [formula(x, 2 * x) for x in numbers.tolist()]
    with pytest.raises(TypeError):
        _ = numbers * Column(numbers)


def repeated(people: Population, times: int) -> Population:
    """The same devices again and again, in the same cells."""
    columns = {
        each.name: np.tile(value, times) for each in fields(people)
        if isinstance(value := getattr(people, each.name), np.ndarray)
    }  # fmt: skip
    numbers = {name: np.tile(column, times) for name, column in people.numbers.items()}
    return replace(people, **columns, numbers=numbers)


def test_cost_goes_with_who_is_asked_whatever_the_fleet_and_the_time() -> None:
    """The same hundred are asked, of a thousand devices or of a hundred times as many."""
    people = a_case(0, count=10**3, cells=10, asked=1).people
    rows = np.flatnonzero((people.charge == inf) & (people.pattern == 0))[:100]
    counts = set[tuple[int, ...]]()
    ends: list[np.ndarray] = []
    for times in (1, 10, 100):
        for apart in (1e3, 1e5):
            fleet = Fleet(repeated(people, times))
            for number in range(3):
                phases = fleet.play(fedavg, rows, apart * number)
                if number == 0:
                    ends.append(np.array([phase.t1 for phase in phases]))
            counts.add((fleet.flows, fleet.solves, fleet.touched))
    assert counts == {(600, 30, 300)}
    assert all((each == ends[0]).all() for each in ends)
