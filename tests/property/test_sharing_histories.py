"""Whole histories of sharing against a slow account of them.

Activities start and are stopped, lines change capacity and price, activities change what they take.
`account` goes from one event to the next, fills the lines by the book each time and adds up what
was done at these rates; it shares no code with the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.core.rng import rng
from hetsim.core.trace import Trace
from hetsim.sim.activity import Activity, Drawn, Resource
from hetsim.sim.clock import OBSERVE, Call
from hetsim.sim.node import Node
from hetsim.sim.sharing import Sharing

CLOSE = 1e-9


@dataclass(frozen=True)
class Terms:
    """What a unit of an activity takes; `price` is paid by its node."""

    uses: dict[int, float]
    weight: float | None
    cap: float
    price: float


@dataclass(frozen=True)
class Line:
    capacity: float
    price: float


@dataclass(frozen=True)
class Event:
    """At `t`: a "start" or "change" of an activity, its "stop", a new "line", or a "look"."""

    t: float
    kind: str
    which: int = 0
    terms: Terms | None = None
    line: Line | None = None


@dataclass(frozen=True)
class History:
    """`sizes` and `nodes` are those of the activities."""

    lines: list[Line]
    sizes: list[float]
    nodes: list[int]
    events: list[Event]


@dataclass
class Story:
    """What came of it: ends and joules of activities, rates when looked at, joules of payers."""

    ends: dict[int, float] = field(default_factory=dict[int, float])
    joules: dict[int, float] = field(default_factory=dict[int, float])
    done: dict[int, float] = field(default_factory=dict[int, float])
    rates: list[dict[int, float]] = field(default_factory=list[dict[int, float]])
    loads: list[list[float]] = field(default_factory=list[list[float]])
    radio: list[float] = field(default_factory=list[float])
    wire: float = 0.0


def invent(seed: int) -> History:
    """Numbers with all their digits; a few lines, so that activities meet."""
    dice = rng(seed, "sim/history")

    def number(low: float, high: float) -> float:
        return float(low * (high / low) ** dice.random())

    count = int(dice.integers(1, 6))
    spread = float(dice.choice([3.0, 1e4]))

    def line() -> Line:
        out = dice.random() < 0.08
        price = number(0.1, 3.0) if dice.random() < 0.5 else 0.0
        return Line(0.0 if out else number(1.0, 30.0), price)

    def terms(equal: bool) -> Terms:
        most = 1 if equal else 3
        picked = dice.permutation(count)[: int(dice.integers(1, most + 1))]
        same = dice.random() < 0.5
        return Terms(
            {int(i): 1.0 if same else number(0.3, 3.0) for i in picked},
            None if equal else 1.0 if same else number(1.0, spread),
            number(0.1, 10.0) if dice.random() < 0.4 else inf,
            number(0.1, 3.0),
        )

    flows = int(dice.integers(1, 25))
    events: list[Event] = []
    for flow in range(flows):
        equal = dice.random() < 0.2
        start = float(dice.uniform(0.0, 20.0)) if dice.random() < 0.7 else 0.0
        events.append(Event(start, "start", flow, terms(equal)))
        if dice.random() < 0.3:
            events.append(Event(start + number(0.1, 20.0), "stop", flow))
        for _ in range(int(dice.integers(0, 2))):
            new = terms(equal and dice.random() < 0.5)
            events.append(Event(start + number(0.1, 20.0), "change", flow, new))
    for _ in range(int(dice.integers(0, 6))):
        t = float(dice.uniform(0.0, 30.0))
        events.append(Event(t, "line", int(dice.integers(count)), line=line()))
    events += [Event(float(t), "look") for t in dice.uniform(0.0, 40.0, 5)]
    events += [Event(100.0, "line", i, line=Line(20.0, 1.0)) for i in range(count)]
    return History(
        [line() for _ in range(count)],
        [number(0.01, 100.0) for _ in range(flows)],
        [int(dice.integers(3)) for _ in range(flows)],
        sorted(events, key=lambda event: event.t),
    )


# --- played -------------------------------------------------------------------------------------


def play(history: History) -> tuple[Story, Sharing]:
    env = simpy.Environment()
    sharing, story = Sharing(env), Story()
    nodes = [Node(env, Trace(), f"n{i}", "device", base={"idle": {"idle": 1.0}}) for i in range(3)]
    nodes[0].watching = True
    wire = Node(env, Trace(), "wire", "link", base={"idle": {"idle": 0.5}})
    lines = [Resource(f"l{i}", line.capacity) for i, line in enumerate(history.lines)]
    for resource, line in zip(lines, history.lines, strict=True):
        resource.tariff = (wire, "link", line.price)
    running: dict[int, Activity] = {}

    def end(which: int, activity: Activity) -> None:
        del running[which]
        story.ends[which], story.joules[which] = env.now, activity.joules
        story.done[which] = activity.done

    def act(event: Event) -> None:
        which, terms, line = event.which, event.terms, event.line
        activity = running.get(which)
        if event.kind == "look":
            story.rates.append({i: each.rate for i, each in running.items()})
            story.loads.append([resource.load for resource in lines])
            watts = sum(
                each.rate * each.payers[nodes[0]]["radio"]
                for each in running.values()
                if nodes[0] in each.payers
            )
            assert nodes[0].power().get("radio", 0.0) == pytest.approx(watts, rel=CLOSE)
        elif line:
            sharing.resize(lines[which], line.capacity)
            sharing.bill(lines[which], (wire, "link", line.price))
        elif event.kind == "start" and terms:
            started = Activity(
                history.sizes[which], uses(terms), lambda: end(which, started), cap=terms.cap,
                weight=terms.weight, payers={nodes[history.nodes[which]]: {"radio": terms.price}},
            )  # fmt: skip
            running[which] = started
            sharing.start(started)
        elif activity and terms:
            payers: dict[Drawn, dict[str, float]] = {
                nodes[history.nodes[which]]: {"radio": terms.price}
            }
            sharing.reprice(activity, uses(terms), payers, terms.weight, terms.cap)
        elif activity:
            share = sharing.stop(activity)
            end(which, activity)
            assert share == pytest.approx(activity.done / activity.amount)

    def uses(terms: Terms) -> dict[Resource, float]:
        return {lines[i]: use for i, use in terms.uses.items()}

    for event in history.events:
        late = {"priority": OBSERVE} if event.kind == "look" else {}
        Call(env, lambda event=event: act(event), event.t, **late)
    env.run()
    for node in (*nodes, wire):
        node.settle(env.now)
    assert not running
    assert all(not line.users and not line.bundles and line.load == 0.0 for line in lines)
    assert all(not node.activities for node in nodes)
    story.radio = [node.energy.get("radio", 0.0) for node in nodes]
    story.wire = wire.energy.get("link", 0.0)
    return story, sharing


# --- accounted for ------------------------------------------------------------------------------


def fill(lines: list[Line], flows: dict[int, Terms]) -> dict[int, float]:
    """Progressive filling by the book: raise all open rates until something stops them."""
    weights: dict[int, float] = {}
    for name, flow in flows.items():
        if flow.weight is None:
            [(line, use)] = flow.uses.items()
            others = [
                other.uses[line] * other.weight
                for other in flows.values()
                if other.weight is not None and line in other.uses
            ]
            weights[name] = (sum(others) / len(others) if others else 1.0) / use
        else:
            weights[name] = flow.weight
    rates = dict.fromkeys(flows, 0.0)
    rising = dict.fromkeys(flows)
    while rising:
        limits: list[tuple[float, list[int]]] = [
            (flows[name].cap / weights[name], [name]) for name in rising
        ]
        for index, line in enumerate(lines):
            users = [name for name in rising if index in flows[name].uses]
            if users:
                used = sum(
                    flow.uses[index] * rates[name]
                    for name, flow in flows.items()
                    if index in flow.uses and name not in rising
                )
                slope = sum(flows[name].uses[index] * weights[name] for name in users)
                limits.append((max(line.capacity - used, 0.0) / slope, users))
        level, stopped = min(limits, key=lambda limit: limit[0])
        for name in stopped:
            rates[name] = weights[name] * level
            del rising[name]
    return rates


def account(history: History) -> Story:
    story = Story(radio=[0.0] * 3)
    lines, flows = list(history.lines), dict[int, Terms]()
    now, todo = 0.0, list(history.events)
    while todo or flows:
        rates = fill(lines, flows)
        left = {name: history.sizes[name] - story.done[name] for name in flows}
        moments = {name: now + left[name] / rates[name] if rates[name] else inf for name in flows}
        then = min([*moments.values(), *(event.t for event in todo[:1])])
        for name, flow in flows.items():
            step = rates[name] * (then - now)
            paid = sum(lines[index].price * use for index, use in flow.uses.items())
            story.done[name] += step
            story.radio[history.nodes[name]] += step * flow.price
            story.joules[name] += step * (flow.price + paid)
            story.wire += step * paid
        now = then
        for name in list(flows):
            if moments[name] <= then * (1 + 1e-14):
                story.ends[name] = now
                del flows[name]
        while todo and todo[0].t <= now:
            event = todo.pop(0)
            if event.kind == "look":
                todo_now = fill(lines, flows)
                story.rates.append(todo_now)
                story.loads.append([
                    sum(flow.uses.get(i, 0.0) * todo_now[name] for name, flow in flows.items())
                    for i in range(len(lines))
                ])  # fmt: skip
            elif event.line:
                lines[event.which] = event.line
            elif event.kind == "start" and event.terms:
                flows[event.which] = event.terms
                story.done[event.which] = story.joules[event.which] = 0.0
            elif event.which in flows:
                if event.terms:
                    flows[event.which] = event.terms
                else:
                    story.ends[event.which] = now
                    del flows[event.which]
    return story


def same(story: Story, expected: Story) -> None:
    assert story.ends == pytest.approx(expected.ends, rel=CLOSE)
    assert story.done == pytest.approx(expected.done, rel=CLOSE)
    assert story.joules == pytest.approx(expected.joules, rel=CLOSE)
    assert story.radio == pytest.approx(expected.radio, rel=CLOSE)
    assert story.wire == pytest.approx(expected.wire, rel=CLOSE)
    for mine, theirs in zip(story.rates, expected.rates, strict=True):
        assert mine == pytest.approx(theirs, rel=CLOSE)
    for ours, others in zip(story.loads, expected.loads, strict=True):
        assert ours == pytest.approx(others, rel=CLOSE, abs=1e-12)


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_histories_go_as_the_account_says(seed: int):
    history = invent(seed)
    story, _ = play(history)
    same(story, account(history))


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_a_history_repeats_itself(seed: int):
    (first, one), (second, other) = play(invent(seed)), play(invent(seed))
    assert first == second
    assert one.solves == other.solves


def test_the_account_can_fail():
    """The two differ if one line does."""
    history = invent(3)
    lines = [replace(line, capacity=line.capacity * (1 + 1e-6)) for line in history.lines]
    story, _ = play(history)
    with pytest.raises(AssertionError):
        same(story, account(replace(history, lines=lines)))
