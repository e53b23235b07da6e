"""Laws of fluid sharing, for networks nobody thought of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.sim.clock import Call
from hetsim.sim.sharing import Activity, Resource, Sharing

ROUNDING = 1e-9


@dataclass(frozen=True)
class Flow:
    """What a flow takes of each link, by number."""

    uses: dict[int, float]
    weight: float = 1.0
    cap: float = inf
    size: float = 1.0
    start: float = 0.0


@dataclass(frozen=True)
class Case:
    capacities: Sequence[float]
    flows: Sequence[Flow]


positive = st.floats(0.01, 100.0)


@st.composite
def cases(draw: st.DrawFn, max_flows: int = 8) -> Case:
    capacities = draw(st.lists(positive, min_size=1, max_size=5))
    links = st.dictionaries(st.integers(0, len(capacities) - 1), positive, min_size=1, max_size=4)
    flow = st.builds(
        Flow, links, positive, st.one_of(st.just(inf), positive), positive, st.floats(0.0, 20.0)
    )
    return Case(capacities, draw(st.lists(flow, min_size=1, max_size=max_flows)))


def build(case: Case) -> tuple[list[Resource], list[Activity]]:
    links = [Resource(f"l{i}", capacity) for i, capacity in enumerate(case.capacities)]
    activities = [
        Activity(flow.size, {links[i]: use for i, use in flow.uses.items()}, lambda: None,
                 weight=flow.weight, cap=flow.cap)
        for flow in case.flows
    ]  # fmt: skip
    return links, activities


def solved(case: Case) -> list[float]:
    _, activities = build(case)
    env = simpy.Environment()
    sharing = Sharing(env)
    for activity in activities:
        sharing.start(activity)
    env.step()
    return [activity.rate for activity in activities]


def reference(case: Case) -> list[float]:
    """Progressive filling by the book: raise all open rates together until something stops them."""
    rates = [0.0] * len(case.flows)
    rising = set(range(len(case.flows)))
    while rising:
        step, stopped = inf, set[int]()
        limits = [((flow.cap - rates[i]) / flow.weight, {i}) for i, flow in enumerate(case.flows)
                  if i in rising]  # fmt: skip
        for link, capacity in enumerate(case.capacities):
            users = {i for i in rising if link in case.flows[i].uses}
            if users:
                used = sum(f.uses.get(link, 0.0) * rate
                           for f, rate in zip(case.flows, rates, strict=True))  # fmt: skip
                slope = sum(case.flows[i].uses[link] * case.flows[i].weight for i in users)
                limits.append((max(capacity - used, 0.0) / slope, users))
        for room, users in limits:
            if room < step * (1 - 1e-12):
                step, stopped = room, set(users)
            elif room <= step * (1 + 1e-12):
                stopped |= users
        for i in rising:
            rates[i] += case.flows[i].weight * step
        rising -= stopped
    return rates


@settings(max_examples=150)
@given(cases())
def test_rates_are_those_of_progressive_filling(case: Case):
    assert solved(case) == pytest.approx(reference(case), rel=ROUNDING)


@settings(max_examples=150)
@given(cases())
def test_rates_are_feasible_and_each_has_a_reason(case: Case):
    """Every flow is at its cap or has a full link on which nobody outweighs it: max-min fair."""
    rates = solved(case)
    load = [
        sum(flow.uses.get(link, 0.0) * rate for flow, rate in zip(case.flows, rates, strict=True))
        for link in range(len(case.capacities))
    ]
    for used, capacity in zip(load, case.capacities, strict=True):
        assert used <= capacity * (1 + ROUNDING)
    for flow, rate in zip(case.flows, rates, strict=True):
        assert 0.0 < rate <= flow.cap
        level = rate / flow.weight
        bottlenecks = [
            link
            for link in flow.uses
            if load[link] >= case.capacities[link] * (1 - ROUNDING)
            and all(
                other / f.weight <= level * (1 + ROUNDING)
                for f, other in zip(case.flows, rates, strict=True)
                if link in f.uses
            )
        ]
        assert rate == flow.cap or bottlenecks


@settings(max_examples=100)
@given(cases(), st.data())
def test_one_more_flow_makes_no_other_share_of_its_link_larger(case: Case, data: st.DataObject):
    """On a single link: a device that joins slows down all who are there, or nobody."""
    alone = Case(case.capacities[:1], [
        Flow({0: next(iter(flow.uses.values()))}, flow.weight, flow.cap) for flow in case.flows
    ])  # fmt: skip
    newcomer = data.draw(st.builds(Flow, st.just({0: 1.0}), positive))
    before = solved(alone)
    after = solved(Case(alone.capacities, [*alone.flows, newcomer]))[:-1]
    for slower, faster in zip(after, before, strict=True):
        assert slower <= faster * (1 + ROUNDING)


@settings(max_examples=100)
@given(cases())
def test_the_worst_level_never_rises_when_a_flow_joins(case: Case):
    """In any network: whoever joins, the least share of all gets no larger."""
    levels = [rate / flow.weight for rate, flow in zip(solved(case), case.flows, strict=True)]
    fewer = Case(case.capacities, case.flows[:-1])
    if fewer.flows:
        before = [rate / f.weight for rate, f in zip(solved(fewer), fewer.flows, strict=True)]
        assert min(levels) <= min(before) * (1 + ROUNDING)


@settings(max_examples=50)
@given(cases(), st.data())
def test_the_order_of_flows_does_not_matter(case: Case, data: st.DataObject):
    order = data.draw(st.permutations(range(len(case.flows))))
    mixed = solved(Case(case.capacities, [case.flows[i] for i in order]))
    rates = solved(case)
    assert mixed == pytest.approx([rates[i] for i in order], rel=ROUNDING)


# --- over time ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A link changes its capacity."""

    t: float
    link: int
    capacity: float


def play(case: Case, changes: Sequence[Change]) -> tuple[list[float], list[float]]:
    """When each flow ended, and the bytes that each link carried."""
    env = simpy.Environment()
    sharing = Sharing(env)
    links, activities = build(case)
    ends = [inf] * len(activities)
    carried = [0.0] * len(links)

    def finish(i: int) -> None:
        ends[i] = env.now

    for i, (flow, activity) in enumerate(zip(case.flows, activities, strict=True)):
        activity.finish = lambda i=i: finish(i)
        Call(env, lambda activity=activity: sharing.start(activity), flow.start)
    for change in changes:
        Call(env, lambda c=change: sharing.resize(links[c.link], c.capacity), change.t)
    while env.peek() < inf:
        before, loads = env.now, [link.load for link in links]
        env.step()
        carried = [
            total + load * (env.now - before) for total, load in zip(carried, loads, strict=True)
        ]
    return ends, carried


def replay(case: Case, changes: Sequence[Change]) -> list[float]:
    """When each flow ends, from one change of the world to the next, with the slow solver."""
    now, capacities = 0.0, list(case.capacities)
    left = [flow.size for flow in case.flows]
    ends = [inf] * len(case.flows)
    todo = sorted(changes, key=lambda change: change.t)
    while True:
        here = [i for i, flow in enumerate(case.flows) if flow.start <= now and ends[i] == inf]
        flowing = [i for i in here if all(capacities[link] for link in case.flows[i].uses)]
        rates = reference(Case(capacities, [case.flows[i] for i in flowing]))
        moments = [now + left[i] / rate for i, rate in zip(flowing, rates, strict=True)]
        upcoming = [flow.start for flow in case.flows if flow.start > now]
        upcoming += [change.t for change in todo]
        then = min([*moments, *upcoming], default=inf)
        if then == inf:
            return ends
        for i, rate, moment in zip(flowing, rates, moments, strict=True):
            left[i] -= rate * (then - now)
            if moment <= then * (1 + 1e-12):
                ends[i] = then
        now = then
        while todo and todo[0].t <= now:
            capacities[todo[0].link] = todo[0].capacity
            todo.pop(0)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Case, list[Change]]:
    case = draw(cases(max_flows=6))
    change = st.builds(
        Change, st.floats(0.0, 30.0), st.integers(0, len(case.capacities) - 1),
        st.one_of(st.just(0.0), positive),
    )  # fmt: skip
    return case, draw(st.lists(change, max_size=4, unique_by=lambda change: change.t))


@settings(max_examples=150)
@given(histories())
def test_flows_end_when_a_slow_replay_says(history: tuple[Case, list[Change]]):
    case, changes = history
    ends, _ = play(case, changes)
    assert ends == pytest.approx(replay(case, changes), rel=1e-6)


@settings(max_examples=100)
@given(cases())
def test_bytes_are_conserved(case: Case):
    """Every link carried exactly what its flows had to move."""
    ends, carried = play(case, [])
    assert max(ends) < inf
    for link, total in enumerate(carried):
        wanted = sum(flow.size * flow.uses.get(link, 0.0) for flow in case.flows)
        assert total == pytest.approx(wanted, rel=1e-8, abs=1e-9)


@settings(max_examples=100)
@given(st.lists(positive, min_size=1, max_size=6), positive, positive)
def test_a_device_that_joins_a_link_makes_no_one_there_faster(
    sizes: list[float], capacity: float, newcomer: float
):
    flows = [Flow({0: 1.0}, size=size) for size in sizes]
    before, _ = play(Case([capacity], flows), [])
    after, _ = play(Case([capacity], [*flows, Flow({0: 1.0}, size=newcomer)]), [])
    for early, late in zip(before, after, strict=False):
        assert late >= early * (1 - ROUNDING)
