"""Columns against the same script played device by device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any

import numpy as np
import pytest

from hetsim.core.cost import Cost
from hetsim.sim import _cell
from hetsim.sim.availability.base import Circumstances
from hetsim.sim.availability.windows import Windows
from hetsim.sim.columns import Column, NotTraceable, Party
from hetsim.sim.device import Profile, Radio
from hetsim.sim.dvfs import Timing
from hetsim.sim.fleet import Cell, Fleet, Phase, Population
from hetsim.sim.heat import Body, Trip
from hetsim.sim.leg import Attachment
from hetsim.sim.network.base import Station
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.presence import Presence
from hetsim.sim.requests import Child, Compute, Gather, Observe, Sleep, Transfer
from hetsim.sim.world import World, domain, profile

SIZE = 6e5
PATTERNS = (
    None,
    Windows(on=((0.0, 300.0), (1000.0, 1300.0)), period=2000.0, away="sleep"),
    Windows(on=((0.0, 400.0), (400.0, 450.0), (950.0, 1000.0)), period=1000.0, away="off"),
    Windows(on=((0.0, 250.0), (900.0, 1400.0), (1900.0, 2000.0)), period=2000.0, away="idle"),
)
"""All are there from 5, 1005 and 2005 s on, for a while."""


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


def a_case(seed: int, count: int = 150, cells: int = 4, asked: int = 60) -> Case:
    """A random fleet, a part of which is asked three times."""
    rng = np.random.default_rng(seed)
    charge = np.where(rng.random(count) < 0.5, rng.uniform(1e5, 2e5, count), inf)
    charge[rng.choice(count, count // 10, replace=False)] = 20.0  # these die soon
    share = np.where(charge < inf, rng.uniform(0.8, 1.0, count), 1.0)
    people = Population(
        profiles=some_profiles(rng), kind=rng.integers(0, 10, count),
        cells=[
            Cell(
                latency=float(rng.uniform(1e-3, 0.1)), share=("dcf", "airtime")[place % 2],
                apart=place == 3,
            )
            for place in range(cells)
        ],
        cell=rng.integers(0, cells, count),
        up=rng.uniform(1e5, 4e6, count), down=rng.uniform(2e5, 8e6, count),
        transmit=rng.uniform(0.1, 2.0, count), receive=rng.uniform(0.1, 2.0, count),
        charge=charge, efficiency=share,
        numbers={"samples": rng.integers(1, 200, count).astype(float)},
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
        world.device(
            f"d{row}", people.profiles[people.kind[row]], charge=float(people.charge[row]),
            efficiency=float(people.efficiency[row]),
        )  # fmt: skip
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


def a_party(people: Population, row: int) -> Party:
    """One device of a population."""
    return Party(f"d{row}", {name: float(each[row]) for name, each in people.numbers.items()})


def _attach(world: World, name: str, cell: Cell, people: Population, rows: np.ndarray) -> None:
    """Hang rows on a cell, each with its own rates and radio."""
    network = world.kernel.network
    network.add_cell(name)
    network.add_link(name, "edge", inf, 0.0)
    technology = Wifi(share=cell.share, latency=cell.latency)
    if cell.apart:
        technology = Lte(latency=cell.latency)
    stations = [
        Station(name=f"d{row}", up=float(people.up[row]), down=float(people.down[row]))
        for row in rows
    ]
    hops = technology.attach(name, stations).values()
    for row, station, (up, down) in zip(rows, stations, hops, strict=True):
        network.attach(
            Attachment(
                cell=name, station=station, up=up, down=down,
                node=world.kernel.nodes[station.name],
                radio=Radio(
                    transmit=float(people.transmit[row]), receive=float(people.receive[row])
                ),
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
        if node.heat:
            warm, true = fleet.warmth.temperature[row], node.heat.temperature
            assert true - 1e-9 <= warm <= 150.0
            if f"d{row}" not in spans and not case.people.pattern[row]:
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


@pytest.mark.parametrize("deadline", [0.01, 2.0, 8.0, 20.0])
def test_a_deadline_cuts_what_is_under_way(deadline: float) -> None:
    case = replace(a_case(4), deadline=deadline)
    the_same(case)
    _, played = in_columns(case)
    assert any(((phase.progress < 1.0) & phase.begun).any() for phase in played[0])


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


def test_some_have_run_empty_and_so_does_the_kernel() -> None:
    case = a_case(1)
    fleet, _ = in_columns(case)
    died = case.people.charge == 20.0
    assert died.sum() == 15
    assert (fleet.charge[died] == 0.0).all()
    assert (~fleet.present(slice(None), 5000.0) == died).all()
    used = fleet.energy["idle"][died] + fleet.energy["loss"][died]
    np.testing.assert_allclose(used, 20.0, rtol=1e-12)


def test_a_battery_that_would_not_last_is_for_the_kernel_and_nothing_has_changed() -> None:
    case = a_case(2)
    fleet = Fleet(case.people)
    weak = np.flatnonzero(case.people.charge == 20.0)[:3]

    async def trains_long(party: Party) -> None:
        await Compute(node=party.id, cost=Cost(flops=1e12))

    with pytest.raises(NotTraceable, match="would not last"):
        fleet.play(trains_long, weak, 0.0)
    with pytest.raises(NotTraceable, match="empty battery"):
        fleet.play(fedavg, weak, 4000.0)
    assert not fleet.energy["idle"].any()
    assert not fleet.since.any()


def test_who_may_grow_too_warm_is_for_the_kernel() -> None:
    """It slows down there; a little less work, and both agree that it does not."""
    body = Body(
        resistance=5.0, capacity=10.0, trips=(Trip(domain="cpu", at=45.0, resume=40.0, point=0),)
    )
    device = profile(domain((1e9, 1.0), (2e9, 4.0), flops_per_cycle=1.0), idle=1.0, heat=body)
    one = np.ones(1)
    people = Population(
        profiles=[device], kind=np.zeros(1, np.intp), cells=[Cell(latency=0.0)],
        cell=np.zeros(1, np.intp), up=1e6 * one, down=1e6 * one, transmit=one, receive=one,
        charge=inf * one, efficiency=one,
    )  # fmt: skip

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


@pytest.mark.parametrize(
    "script",
    [
        _branches, _naps_by_column, _sends_by_column, _rounds_off, _observes, _is_cut,
        _meets_another,
    ],
)  # fmt: skip
def test_what_is_not_the_same_for_all_is_not_traceable(script: Any) -> None:
    fleet = Fleet(a_case(0, count=20, asked=5).people)
    with pytest.raises(NotTraceable, match="device by device"):
        fleet.play(script, np.arange(3), 0.0)
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


def test_arithmetic_of_columns_is_that_of_numbers() -> None:
    numbers = np.array([1.0, 2.5, 7.0])

    def formula(x: Any, y: Any) -> Any:
        return (2.0 - x) * y / (1.0 + x**2) - 3.0 / y + -x + np.float64(2.0) * x

    found = formula(Column(numbers), Column(2 * numbers))
    assert found.rows.tolist() == [formula(x, 2 * x) for x in numbers.tolist()]
    with pytest.raises(TypeError):
        _ = numbers * Column(numbers)


def test_cost_goes_with_who_is_asked_whatever_the_fleet_and_the_time() -> None:
    """The same hundred are asked, of a thousand devices or of a hundred times as many."""
    counts = set[tuple[int, ...]]()
    for count in (10**3, 10**4, 10**5):
        case = a_case(0, count=count, cells=10, asked=1)
        fleet = Fleet(case.people)
        rows = np.flatnonzero(case.people.charge > 20.0)[:100]
        for when in (0.0, 1e4, 1e6 / count):
            fleet.play(fedavg, rows, max(when, float(fleet.since[rows].max())))
        counts.add((fleet.flows, fleet.touched))
        assert fleet.solves <= 30
    assert counts == {(600, 300)}
