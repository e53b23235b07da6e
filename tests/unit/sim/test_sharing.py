"""Fluid sharing, with answers worked out by hand."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from math import inf

import pytest
import simpy

from hetsim.sim.clock import Call
from hetsim.sim.network.base import Hop, Station, Technology
from hetsim.sim.network.lte import Lte
from hetsim.sim.network.wifi import Wifi
from hetsim.sim.sharing import Activity, Resource, Sharing


class Desk:
    """A sharing on its own clock, and when things ended."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.sharing = Sharing(self.env)
        self.ended: dict[str, float] = {}

    def flow(
        self, name: str, amount: float, *lines: Resource, cap: float = inf, weight: float = 1.0
    ) -> Activity:
        activity = Activity(
            amount, dict.fromkeys(lines, 1.0), lambda: self.end(name), cap=cap, weight=weight
        )
        self.sharing.start(activity)
        return activity

    def end(self, name: str) -> None:
        self.ended[name] = self.env.now

    def at(self, t: float, act: Callable[[], object]) -> None:
        def run() -> None:
            act()

        Call(self.env, run, t - self.env.now)

    def run(self) -> dict[str, float]:
        self.env.run()
        return self.ended


@pytest.fixture
def desk() -> Desk:
    return Desk()


def rates(*flows: tuple[dict[Resource, float], float, float]) -> list[float]:
    """Solved rates of flows given as (uses, weight, cap)."""
    activities = [Activity(1.0, uses, lambda: None, weight=w, cap=cap) for uses, w, cap in flows]
    return solved(activities)


def solved(activities: list[Activity]) -> list[float]:
    """Their rates once they have started."""
    env = simpy.Environment()
    sharing = Sharing(env)
    for activity in activities:
        sharing.start(activity)
    env.step()
    return [activity.rate for activity in activities]


def test_equal_flows_share_equally():
    link = Resource("link", 12.0)
    assert rates(*[({link: 1.0}, 1.0, inf)] * 3) == [4.0, 4.0, 4.0]


def test_what_one_bottleneck_leaves_goes_to_the_others():
    a, b = Resource("a", 10.0), Resource("b", 4.0)
    both, first, second = rates(
        ({a: 1.0, b: 1.0}, 1.0, inf), ({a: 1.0}, 1.0, inf), ({b: 1.0}, 1.0, inf)
    )
    assert (both, first, second) == (2.0, 8.0, 2.0)


def test_a_chain_of_bottlenecks():
    a, b, c = Resource("a", 1.0), Resource("b", 3.0), Resource("c", 9.0)
    assert rates(
        ({a: 1.0, b: 1.0, c: 1.0}, 1.0, inf), ({a: 1.0}, 1.0, inf), ({b: 1.0}, 1.0, inf),
        ({c: 1.0}, 1.0, inf), ({c: 1.0}, 1.0, inf),
    ) == [0.5, 0.5, 2.5, 4.25, 4.25]  # fmt: skip


def test_caps_leave_their_rest_to_the_others():
    link = Resource("link", 10.0)
    uses = {link: 1.0}
    assert rates((uses, 1.0, 1.0), (uses, 1.0, 2.5), (uses, 1.0, inf)) == [1.0, 2.5, 6.5]


def test_weights_divide_a_bottleneck():
    link = Resource("link", 12.0)
    uses = {link: 1.0}
    assert rates((uses, 1.0, inf), (uses, 3.0, inf), (uses, 2.0, inf)) == [2.0, 6.0, 4.0]


def test_a_weighted_cap_is_reached_at_its_own_level():
    link = Resource("link", 12.0)
    uses = {link: 1.0}
    assert rates((uses, 3.0, 3.0), (uses, 1.0, inf)) == [3.0, 9.0]


def test_an_equal_part_is_that_of_the_others_on_average():
    processor, link = Resource("processor", 1.0), Resource("link", 1.0)
    stream = Activity(1.0, {processor: 10.0, link: 500.0}, lambda: None, weight=1 / 500)
    job = Activity(1.0, {processor: 4.0}, lambda: None, weight=None)
    link.capacity = 1e9
    solved([stream, job])
    assert stream.rate * 10.0 == pytest.approx(0.5)
    assert job.rate * 4.0 == pytest.approx(0.5)


def test_an_outage_gives_nothing():
    a, b = Resource("a", 0.0), Resource("b", 5.0)
    assert rates(({a: 1.0, b: 1.0}, 1.0, inf), ({b: 1.0}, 1.0, inf)) == [0.0, 5.0]


@pytest.mark.parametrize(("technology", "expected"), [(Wifi(), (5.4, 5.4)), (Lte(), (3.0, 27.0))])
@pytest.mark.parametrize("upwards", [True, False])
def test_a_slow_and_a_fast_station_in_a_cell(
    technology: Technology, expected: tuple[float, float], upwards: bool
):
    stations = [Station(name=str(rate), up=rate, down=rate) for rate in (6.0, 54.0)]
    hops: list[Hop] = [pair[not upwards] for pair in technology.attach("cell", stations).values()]
    assert rates(*[(dict(hop.uses), hop.weight, inf) for hop in hops]) == pytest.approx(expected)


def test_two_equal_flows_end_together(desk: Desk):
    link = Resource("link", 10.0)
    desk.flow("x", 50.0, link)
    desk.flow("y", 50.0, link)
    assert desk.run() == {"x": 10.0, "y": 10.0}
    assert desk.sharing.solves == 1


def test_the_second_flow_slows_the_first_and_is_slowed(desk: Desk):
    link = Resource("link", 2.0)
    desk.flow("x", 10.0, link)
    desk.at(1.0, lambda: desk.flow("y", 4.0, link))
    assert desk.run() == {"y": 5.0, "x": 7.0}


def test_rates_change_at_events_only(desk: Desk):
    link = Resource("link", 2.0)
    x = desk.flow("x", 10.0, link)
    desk.at(1.0, lambda: desk.flow("y", 4.0, link))
    seen: list[tuple[float, float]] = []
    while desk.env.peek() < inf:
        desk.env.step()
        if not seen or seen[-1][1] != x.rate:
            seen.append((desk.env.now, x.rate))
    assert seen == [(0.0, 2.0), (1.0, 1.0), (5.0, 2.0), (7.0, 0.0)]


def test_only_the_touched_component_is_solved_again(desk: Desk):
    left, right, bridge = (Resource(name, 10.0) for name in ("left", "right", "bridge"))
    desk.flow("x", 100.0, left)
    desk.flow("y", 200.0, right)
    desk.env.run(1.0)
    assert desk.sharing.solves == 2
    desk.flow("z", 1.0, left)
    desk.env.run(2.0)
    assert desk.sharing.solves == 4  # z joins, z leaves; y is left alone
    desk.flow("both", 1e6, left, right, bridge)
    desk.env.run(3.0)
    assert desk.sharing.solves == 5  # one component now


def test_changes_of_one_instant_are_solved_once(desk: Desk):
    link = Resource("link", 10.0)
    for name in "abcdefgh":
        desk.flow(name, 5.0, link)
    desk.env.run(1.0)
    assert desk.sharing.solves == 1


def test_an_outage_waits_for_capacity(desk: Desk):
    link = Resource("link", 2.0)
    flow = desk.flow("x", 10.0, link)
    desk.at(1.0, lambda: desk.sharing.resize(link, 0.0))
    desk.env.run(4.0)
    assert (flow.rate, desk.ended) == (0.0, {})
    desk.sharing.resize(link, 4.0)
    assert desk.run() == {"x": 6.0}


def test_a_faster_link_speeds_a_flow_up(desk: Desk):
    link = Resource("link", 1.0)
    desk.flow("x", 10.0, link)
    desk.at(2.0, lambda: desk.sharing.resize(link, 4.0))
    assert desk.run() == {"x": 4.0}


def test_a_stopped_activity_tells_its_progress_and_frees_its_share(desk: Desk):
    link = Resource("link", 2.0)
    x, done = desk.flow("x", 10.0, link), list[float]()
    desk.flow("y", 10.0, link)
    desk.at(4.0, lambda: done.append(desk.sharing.stop(x)))
    assert desk.run() == {"y": 7.0}
    assert done == [0.4]
    assert link.users == []


def test_a_completed_activity_can_be_stopped_by_one_of_the_same_instant(desk: Desk):
    """First come first served: what the first one sets off stops the second."""
    link = Resource("link", 2.0)
    flows: list[Activity] = []
    progress: list[float] = []

    def first() -> None:
        desk.end("x")
        progress.append(desk.sharing.stop(flows[1]))

    flows.append(Activity(4.0, {link: 1.0}, first))
    flows.append(Activity(4.0, {link: 1.0}, lambda: desk.end("y")))
    for flow in flows:
        desk.sharing.start(flow)
    assert desk.run() == {"x": 4.0}
    assert progress == [1.0]
    assert link.users == []


def test_a_completed_activity_can_be_repriced_by_one_of_the_same_instant(desk: Desk):
    link = Resource("link", 2.0)
    flows: list[Activity] = []

    def first() -> None:
        desk.sharing.reprice(flows[1], {link: 2.0}, {}, 1.0, inf)

    flows.append(Activity(4.0, {link: 1.0}, first))
    flows.append(Activity(4.0, {link: 1.0}, lambda: desk.end("y")))
    for flow in flows:
        desk.sharing.start(flow)
    assert desk.run() == {"y": 4.0}


def test_reprice_keeps_what_is_done(desk: Desk):
    link = Resource("link", 2.0)
    flow = desk.flow("x", 10.0, link)
    desk.at(3.0, lambda: desk.sharing.reprice(flow, {link: 0.25}, {}, 1.0, inf))
    assert desk.run() == {"x": 3.0 + 4.0 / 8.0}


def test_an_activity_stopped_before_it_moved_has_done_nothing(desk: Desk):
    link = Resource("link", 2.0)
    assert desk.sharing.stop(desk.flow("x", 10.0, link)) == 0.0
    assert desk.run() == {}


def test_an_activity_needs_a_resource(desk: Desk):
    with pytest.raises(ValueError, match="uses no resource"):
        desk.flow("x", 1.0)


def test_a_resource_knows_its_load(desk: Desk):
    link = Resource("link", 8.0)
    desk.flow("x", 10.0, link, cap=3.0)
    desk.flow("y", 20.0, link, cap=1.0)
    desk.env.run(0.5)
    assert link.load == 4.0


def test_late_and_tiny_activities_end(desk: Desk):
    """A completion nearer than the clock can tell happens at once, and time goes on."""
    link = Resource("link", 1.0)
    desk.env.run(1e9)
    desk.flow("tiny", 1e-12, link)
    desk.flow("next", 3.0, link)
    ended = desk.run()
    assert ended["tiny"] == 1e9
    assert ended["next"] == pytest.approx(1e9 + 3.0, abs=1e-6)


def test_dead_wake_ups_hold_no_activities(desk: Desk):
    """Solving again a thousand times leaves no component behind."""

    class Watched:
        pass

    link = Resource("link", 1.0)
    tokens: list[weakref.ref[Watched]] = []
    desk.flow("slow", 1e9, link)
    for _ in range(100):
        token = Watched()
        flow = Activity(1e9, {link: 1.0}, lambda token=token: None)
        tokens.append(weakref.ref(token))
        desk.sharing.start(flow)
        desk.env.run(desk.env.now + 1.0)
        desk.sharing.stop(flow)
        del flow, token
    desk.env.run(desk.env.now + 1.0)
    gc.collect()
    assert sum(token() is not None for token in tokens) == 0


def test_what_has_ended_holds_nobody(desk: Desk):
    """A caller and its activity know each other; once it is over they go without the collector."""

    class Caller:
        def __init__(self, line: Resource) -> None:
            self.activity = Activity(1.0, {line: 1.0}, self.over)

        def over(self) -> None:
            desk.end("caller")

    caller = Caller(Resource("link", 1.0))
    known = weakref.ref(caller)
    desk.sharing.start(caller.activity)
    del caller
    gc.disable()
    try:
        assert desk.run() == {"caller": 1.0}
        assert known() is None
    finally:
        gc.enable()


def test_it_tells_when_those_who_share_a_link_take_all_of_it(desk: Desk) -> None:
    told: list[tuple[float, str, bool]] = []
    desk.sharing.tell = lambda now, line: told.append((now, line.name, line.full))
    wide, narrow = Resource("wide", 10.0), Resource("narrow", 4.0)
    desk.flow("a", 8.0, wide, narrow)  # alone on both: fills one, and nobody is held up
    desk.at(1.0, lambda: desk.flow("b", 4.0, wide, narrow))  # they share 4 a second to t = 3
    desk.at(4.0, lambda: desk.flow("c", 10.0, wide))
    desk.at(4.0, lambda: desk.flow("d", 10.0, wide))
    assert desk.run() == {"a": 3.0, "b": 3.0, "c": 6.0, "d": 6.0}
    assert told == [
        (1.0, "narrow", True), (3.0, "narrow", False), (4.0, "wide", True), (6.0, "wide", False)
    ]  # fmt: skip


def test_a_resource_that_need_not_be_told_of_is_not(desk: Desk) -> None:
    told: list[Resource] = []
    desk.sharing.tell = lambda now, line: told.append(line)
    processor = Resource("processor", 1.0, told=False)
    desk.flow("a", 1.0, processor)
    desk.flow("b", 1.0, processor)
    assert desk.run() == {"a": 2.0, "b": 2.0}
    assert told == []
