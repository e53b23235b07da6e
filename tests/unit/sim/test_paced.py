"""Policies in charge of devices: what a pacer is asked and told, and what a device then does."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.registry import GOVERNORS
from hetsim.sim.clock import Call
from hetsim.sim.dvfs import Timing
from hetsim.sim.forecast import forecast
from hetsim.sim.governors._paced import Paced
from hetsim.sim.governors._pacing import Settings, Stretch
from hetsim.sim.governors.base import Choice, Governor, Outlook, View
from hetsim.sim.governors.performance import Performance
from hetsim.sim.heat import Body, Trip
from hetsim.sim.network.ethernet import Ethernet
from hetsim.sim.node import Node
from hetsim.sim.requests import Child, Compute, Gather, Request, Sleep, Stream, Transfer
from hetsim.sim.world import World, domain, profile

CPU = domain((1.0, 1.0), (2.0, 4.0), (4.0, 16.0))
"""1, 2 or 4 flop/s at 1, 4 or 16 W: 1, 2 or 4 J a flop."""
STEP = Cost(flops=4.0, steps=1.0)
"""4, 2 or 1 s for 4, 8 or 16 J."""


@dataclass(eq=False)
class Scripted:
    """Does what it is told to, stretch by stretch, and notes what it is asked and told."""

    settings: Settings
    plan: list[Stretch]
    begins: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    asked: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    heard: list[tuple[int, float, float, float]] = field(
        default_factory=list[tuple[int, float, float, float]]
    )

    def begin(self, items: float, seconds: float) -> None:
        self.begins.append((items, seconds))

    def next(self, items: float, seconds: float) -> Stretch:
        self.asked.append((items, seconds))
        return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    def told(self, stretch: Stretch, seconds: float, energy: float) -> None:
        self.heard.append((stretch.setting, stretch.items, seconds, energy))


@dataclass(frozen=True, kw_only=True)
class Fake(Paced):
    """The same plan for every kind of work."""

    plan: tuple[Stretch, ...] = (Stretch(0),)
    pacers: list[Scripted] = field(default_factory=list[Scripted])

    def pacer(self, settings: Settings) -> Scripted:
        self.pacers.append(Scripted(settings, list(self.plan)))
        return self.pacers[-1]


def fake(*plan: Stretch, **options: Any) -> Fake:
    return Fake(plan=plan, **{"margin": 0.0, **options})


def device(policy: Any, *domains: Any, **numbers: Any) -> tuple[World, Node]:
    world = World()
    world.server(profile(idle=0.0))
    node = world.device("a", profile(*(domains or (CPU,)), **numbers), governor=policy)
    world.cell("switch", Ethernet(latency=0.0), {"a": 1.0})
    return world, node


async def job(*requests: Request[Any]) -> None:
    for request in requests:
        await request


def compute(cost: Cost, **more: Any) -> Compute:
    return Compute(node="a", cost=cost, **more)


async def together(*requests: Request[Any]) -> None:
    await Gather(children=tuple(Child(script=job(each), node="a") for each in requests))


def test_a_pacer_is_asked_at_the_end_of_each_stretch_and_told_what_it_took():
    policy = fake(Stretch(0, 2.0), Stretch(1, 3.0), Stretch(2))
    world, node = device(policy)
    node.deadline = 100.0
    assert world.run(job(compute(STEP * 10.0))) == 2 * 4.0 + 3 * 2.0 + 5 * 1.0
    [pacer] = policy.pacers
    assert pacer.settings.times == [4.0, 2.0, 1.0]
    assert pacer.settings.energies == [4.0, 8.0, 16.0]
    assert pacer.settings.clocks == [(0.25,), (0.5,), (1.0,)]
    assert pacer.begins == [(10.0, 100.0)]
    assert pacer.asked == [(10.0, 100.0), (8.0, 92.0), (5.0, 86.0)]
    assert pacer.heard == [(0, 2.0, 8.0, 8.0), (1, 3.0, 6.0, 24.0), (2, 5.0, 5.0, 80.0)]
    assert node.energy == {"idle": 19.0, "compute": 8.0 + 24.0 + 80.0}


def test_an_idle_device_is_at_its_lowest_clocks():
    policy = fake(Stretch(2))
    world, node = device(policy)
    assert node.points == (0,)
    world.run(job(compute(STEP), Sleep(duration=1.0)))
    frequencies = [(c.t, c.value) for c in world.trace.counters if c.track == "frequency_hz.cpu"
                   and c.actor == "a"]  # fmt: skip
    assert frequencies == [(0.0, 1.0), (0.0, 4.0), (1.0, 1.0)]


def test_what_is_learned_of_a_kind_of_work_stays_with_its_pacer():
    policy = fake(Stretch(2))
    world, _ = device(policy)
    other = Cost(flops=1.0, steps=2.0, samples=3.0)
    world.run(job(compute(STEP), compute(other), compute(STEP * 3.0), compute(STEP * 0.1)))
    one, another = policy.pacers
    assert [items for items, _ in one.begins] == [1.0, 3.0, 0.1]
    assert [items for items, _ in another.begins] == [2.0]


def test_every_device_has_a_memory_of_its_own():
    policy = fake(Stretch(2))
    world, _ = device(policy)
    world.device("b", profile(CPU), governor=policy)
    world.run(job(compute(STEP), Compute(node="b", cost=STEP), compute(STEP)))
    assert [len(pacer.begins) for pacer in policy.pacers] == [2, 1]


def test_without_a_deadline_a_job_has_some_slack():
    policy = fake(Stretch(0, 1.0), Stretch(2), slack=1.5)
    world, _ = device(policy)
    world.run(job(Sleep(duration=7.0), compute(STEP * 4.0), compute(STEP * 2.0)))
    [pacer] = policy.pacers
    assert pacer.begins == [(4.0, 6.0), (2.0, 3.0)]
    assert pacer.asked == [(4.0, 6.0), (3.0, 2.0), (2.0, 3.0)]


def test_a_margin_is_taken_once():
    policy = fake(Stretch(2, 1.0), margin=0.1)
    world, node = device(policy)
    node.deadline = 100.0
    world.run(job(compute(STEP * 3.0), Sleep(duration=7.0), compute(STEP * 2.0)))
    [pacer] = policy.pacers
    assert pacer.asked == [(3.0, 90.0), (2.0, 89.0), (1.0, 88.0), (2.0, 80.0), (1.0, 79.0)]


@pytest.mark.parametrize("deadline", [0.0, 5.0, 9.0])
def test_the_highest_clocks_once_the_deadline_has_passed(deadline: float):
    """One step at the lowest clocks takes 4 s; at 9 s the third is to be begun."""
    policy = fake(Stretch(0, 1.0))
    world, node = device(policy)
    node.deadline = deadline
    slow = {0.0: 0, 5.0: 2, 9.0: 3}[deadline]
    assert world.run(job(compute(STEP * 6.0))) == slow * 4.0 + (6 - slow) * 1.0
    [pacer] = policy.pacers
    assert len(pacer.asked) == slow
    assert pacer.heard[-1][0] == 2


def test_rest_decides_what_an_item_costs():
    """Asleep it draws 0.9 W less than idle, for as long as it is not at work."""
    policy = fake(Stretch(0, 1.0), Stretch(2), rest="sleep")
    world, _ = device(policy)
    world.run(job(compute(STEP * 2.0)))
    [pacer] = policy.pacers
    assert pacer.settings.energies == pytest.approx([4 + 4 * 0.9, 8 + 2 * 0.9, 16 + 0.9])
    assert [heard[3] for heard in pacer.heard] == pytest.approx([4 + 4 * 0.9, 16 + 0.9])


def test_every_combination_of_points_is_a_setting():
    memory = domain((2.0, 1.0), (8.0, 2.0), name="m", kind="memory", flops_per_cycle=0.0,
                    bytes_per_cycle=1.0)  # fmt: skip
    policy = fake(Stretch(3))
    world, node = device(policy, CPU, memory, timing=Timing(overhead=0.5))
    seen: list[tuple[int, ...]] = []
    Call(world.kernel.env, lambda: seen.append(node.points), 0.1)
    world.run(job(compute(Cost(flops=8.0, traffic=16.0, steps=2.0))))
    [pacer] = policy.pacers
    assert pacer.settings.clocks == [
        (0.25, 0.25), (0.25, 1.0), (0.5, 0.25), (0.5, 1.0), (1.0, 0.25), (1.0, 1.0),
    ]  # fmt: skip
    assert pacer.settings.times == [8.5, 5.5, 6.5, 3.5, 5.5, 2.5]
    assert seen == [(1, 1)]


# --- what is announced, and others ----------------------------------------------------------------


def test_announced_work_shares_the_time():
    """Two steps of another kind take as long at the highest clocks as six of the first."""
    policy = fake(Stretch(1))
    world, node = device(policy)
    other = Cost(flops=24.0, samples=9.0, steps=2.0)
    node.deadline, node.ahead = 50.0, STEP * 4.0 + other
    world.run(job(compute(STEP * 4.0), compute(other)))
    first, second = policy.pacers
    assert first.begins == [(10.0, 50.0)]
    assert second.begins == [(2.0, 42.0)]
    assert node.ahead == Cost()


def test_two_jobs_at_once_share_the_time():
    """The second one, half as much work, comes after 4 s and leaves 8 s of slow work each."""
    policy = fake(Stretch(0))
    world, node = device(policy)
    node.deadline = 100.0

    async def both() -> None:
        later = (Sleep(duration=4.0), compute(STEP * 2.0))
        await Gather(
            children=(Child(script=job(compute(STEP * 4.0)), node="a"),
                      Child(script=job(*later), node="a"))
        )  # fmt: skip

    assert world.run(both()) == 24.0
    [pacer] = policy.pacers
    assert pacer.begins == [(4.0, 100.0), (5.0, 96.0)]
    assert pacer.asked == [(4.0, 100.0), (5.0, 96.0), (1.0, 80.0)]
    assert pacer.heard == [(0, 1.0, 4.0, 4.0), (0, 4.0, 16.0, 16.0), (0, 1.0, 4.0, 4.0)]


def test_two_jobs_of_different_kinds_at_once():
    policy = fake(Stretch(2, 1.0))
    world, node = device(policy)
    node.deadline = 100.0
    assert world.run(together(compute(STEP * 2.0), compute(Cost(flops=8.0)))) == 4.0
    [pacer] = policy.pacers
    assert [items for items, _ in pacer.asked] == [2.0, 4.0, 3.0, 2.0, 1.0]


def test_when_the_oldest_job_ends_the_next_one_is_paced_as_its_kind():
    policy = fake(Stretch(2))
    world, node = device(policy)
    node.deadline = 100.0
    other = Cost(flops=16.0, samples=5.0, steps=8.0)
    assert world.run(together(compute(STEP * 2.0), compute(other))) == 6.0
    first, second = policy.pacers
    assert first.begins == [(2.0, 100.0), (6.0, 100.0)]
    assert second.begins == [(4.0, 96.0)]


def test_a_job_that_is_cut_short_counts_as_far_as_it_got():
    policy = fake(Stretch(1, 1.0))
    world, node = device(policy)
    assert world.run(job(compute(STEP * 4.0, until=5.0), Sleep(duration=1.0))) == 6.0
    [pacer] = policy.pacers
    assert pacer.heard == [(1, 1.0, 2.0, 8.0), (1, 1.0, 2.0, 8.0), (1, 0.5, 1.0, 4.0)]
    assert node.points == (0,)


def test_a_job_that_ends_as_it_begins_leaves_the_device_at_rest():
    policy = fake(Stretch(2))
    world, node = device(policy)
    world.run(job(compute(STEP, until=0.0), Sleep(duration=1.0)))
    assert node.points == (0,)


@pytest.mark.parametrize("cost", [Cost(), Cost(samples=5.0)])
def test_work_that_takes_no_time_is_not_paced(cost: Cost):
    policy = fake(Stretch(2))
    world, _ = device(policy)
    assert world.run(job(compute(cost))) == 0.0
    assert not policy.pacers


def test_work_that_no_clock_shortens():
    policy = fake(Stretch(0, 1.0))
    world, _ = device(policy, timing=Timing(overhead=0.5))
    assert world.run(job(compute(Cost(steps=4.0)))) == 2.0
    [pacer] = policy.pacers
    assert pacer.settings.times == [0.5] * 3
    assert pacer.settings.energies == [0.0] * 3


def test_nothing_is_asked_where_there_is_no_choice():
    policy = fake(Stretch(0, 1.0))
    world, _ = device(policy, domain((2.0, 1.0)))
    assert world.run(job(compute(STEP * 2.0))) == 4.0
    assert not policy.pacers


def test_a_change_of_points_is_part_of_what_a_stretch_takes():
    """From the lowest to the highest clocks, and in between: each change stops all for 0.5 s."""
    policy = fake(Stretch(2, 1.0), Stretch(1, 1.0), Stretch(1))
    world, node = device(policy, switch=0.5)
    node.deadline = 100.0
    assert world.run(job(compute(STEP * 3.0))) == pytest.approx(1.5 + 2.5 + 2.0)
    [pacer] = policy.pacers
    told = [(2, 1.0, 1.5, 16.0), (1, 1.0, 2.5, 8.0), (1, 1.0, 2.0, 8.0)]
    assert pacer.heard == [pytest.approx(each) for each in told]


# --- heat -----------------------------------------------------------------------------------------


def hot(policy: Any) -> tuple[World, Node]:
    """It may use the two lower points only once it has drawn some 42 J in 3 s."""
    body = Body(resistance=1e6, capacity=2.0, trips=(Trip(domain="cpu", at=46.0, resume=20.0,
                                                          point=1),))  # fmt: skip
    return device(policy, heat=body, idle=0.0)


def test_heat_takes_points_away_and_the_job_goes_on_with_those_left():
    """16 W warm it by 8 K a second; what is allowed then is half as fast."""
    policy = fake(Stretch(1), Stretch(0))

    @dataclass(frozen=True, kw_only=True)
    class Highest(Fake):
        def pacer(self, settings: Settings) -> Scripted:
            made = Scripted(settings, [Stretch(len(settings) - 1)])
            self.pacers.append(made)
            return made

    policy = Highest(margin=0.0)
    world, node = hot(policy)
    node.deadline = 20.0
    end = world.run(job(compute(STEP * 6.0)))
    tripped = (46.0 - 25.0) / 8.0
    assert end == pytest.approx(tripped + (6.0 - tripped) * 2.0, rel=1e-5)
    free, barred = policy.pacers
    assert len(free.settings), len(barred.settings) == (3, 2)
    assert free.begins == [(6.0, 20.0)]
    [(items, seconds)] = barred.begins
    assert (items, seconds) == pytest.approx((6.0 - tripped, 20.0 - tripped), rel=1e-5)
    assert free.heard[0] == pytest.approx((2, tripped, tripped, 16.0 * tripped), rel=1e-5)
    assert barred.heard[0][0] == 1


def test_heat_gives_no_new_slack():
    policy = fake(Stretch(0), slack=5.0)
    body = Body(resistance=1e6, capacity=1.0, trips=(Trip(domain="cpu", at=27.0, resume=20.0,
                                                          point=1),))  # fmt: skip
    world, _ = device(policy, heat=body, idle=0.0)
    assert world.run(job(compute(STEP * 2.0))) == 8.0
    free, barred = policy.pacers
    assert free.begins == [(2.0, 10.0)]
    assert barred.begins == [pytest.approx((1.5, 8.0), rel=1e-4)]


# --- streams --------------------------------------------------------------------------------------


def stream(items: int, window: float, size: float, cost: Cost = STEP) -> Stream:
    """Each item computes a step and sends `size` bytes at 1 B/s."""
    stages = (compute(cost * items), Transfer(source="a", target="server", size=size * items))
    return Stream(stages=stages, items=items, window=window)


def test_time_elsewhere_is_set_aside():
    """10 items, one after the other: 4 s here and 3 s on the way each."""
    policy = fake(Stretch(0, 5.0), Stretch(2))
    world, node = device(policy)
    node.deadline = 100.0
    assert world.run(job(stream(10, 1, 3.0))) == 5 * 7.0 + 5 * 4.0
    [pacer] = policy.pacers
    assert pacer.asked == [(10.0, 70.0), (5.0, pytest.approx(100.0 - 35.0 - 15.0))]
    assert pacer.heard == [(0, 5.0, 20.0, 20.0), (2, 5.0, 5.0, 80.0)]


def test_with_a_free_window_one_item_is_elsewhere_at_the_end():
    policy = fake(Stretch(0, 5.0), Stretch(2))
    world, node = device(policy)
    node.deadline = 100.0
    assert world.run(job(stream(10, inf, 3.0))) == 5 * 4.0 + 5 * 3.0 + 1.0
    [pacer] = policy.pacers
    assert pacer.asked == [(10.0, 97.0), (5.0, 77.0)]
    assert pacer.heard == [(0, 5.0, 20.0, 20.0), (2, 5.0, 15.0, 80.0)]


def test_forward_and_backward_are_one_task():
    policy = fake(Stretch(0, 2.0), Stretch(2))
    world, node = device(policy)
    node.deadline = 100.0
    stages = (
        compute(STEP * 4.0), Transfer(source="a", target="server", size=4.0),
        Compute(node="server", cost=Cost(flops=8.0)),
        Transfer(source="server", target="a", size=4.0), compute(STEP * 8.0),
    )  # fmt: skip
    assert world.run(job(Stream(stages=stages, items=4, window=1))) == 2 * (12 + 4.0) + 2 * (
        3 + 4.0
    )
    [pacer] = policy.pacers
    assert pacer.settings.times == [12.0, 6.0, 3.0]
    assert pacer.asked == [(4.0, 84.0), (2.0, 100.0 - 32.0 - 8.0)]


def test_the_highest_clocks_once_nothing_has_progressed():
    """The line is down from 7 s to 1000 s; what is left is done at the highest clocks."""
    policy = fake(Stretch(0, 1.0))
    world, node = device(policy)
    node.deadline = 1e4
    line = next(iter(world.kernel.network.route("a", "server").uses))
    Call(world.kernel.env, lambda: world.kernel.sharing.resize(line, 1e-9), 7.0)
    Call(world.kernel.env, lambda: world.kernel.sharing.resize(line, 1.0), 1000.0)
    end = world.run(job(stream(4, 1, 3.0)))
    [pacer] = policy.pacers
    assert len(pacer.asked) < 8
    assert 1000.0 + 2 * 4.0 <= end <= 1000.0 + 3 * 4.0


def test_who_looks_in_vain_grows_patient():
    """An item that was to take 7 s takes 304 s; nobody looks every 7 s."""
    policy = fake(Stretch(0, 1.0))
    world, node = device(policy)
    node.deadline = 1e5
    line = next(iter(world.kernel.network.route("a", "server").uses))
    Call(world.kernel.env, lambda: world.kernel.sharing.resize(line, 0.01), 7.0)
    assert world.run(job(stream(4, 1, 3.0))) == pytest.approx(7.0 + 3 * 304.0)
    [pacer] = policy.pacers
    assert 4 <= len(pacer.asked) <= 20
    assert {setting for setting, *_ in pacer.heard} == {0}
    assert sum(items for _, items, *_ in pacer.heard) == pytest.approx(4.0)


def test_slack_is_counted_once_a_line_is_up():
    """It is down when the first job begins, and up when the second one comes."""
    policy = fake(Stretch(0))
    world, _ = device(policy)
    sharing = world.kernel.sharing
    line = next(iter(world.kernel.network.route("a", "server").uses))
    sharing.resize(line, 0.0)
    Call(world.kernel.env, lambda: sharing.resize(line, 1.0), 50.0)

    async def both() -> None:
        await Gather(
            children=(Child(script=job(stream(4, 1, 3.0)), node="a"),
                      Child(script=job(Sleep(duration=60.0), compute(STEP)), node="a"))
        )  # fmt: skip

    world.run(both())
    [pacer] = policy.pacers
    assert pacer.begins[0] == (4.0, 0.0)
    assert pacer.begins[1][1] > 0.0
    assert all(seconds < inf for _, seconds in pacer.begins + pacer.asked)


def test_a_line_that_stays_down_is_no_reason_to_ask_for_ever():
    policy = fake(Stretch(0, 1.0))
    world, _ = device(policy)
    line = next(iter(world.kernel.network.route("a", "server").uses))
    Call(world.kernel.env, lambda: world.kernel.sharing.resize(line, 0.0), 7.0)
    with pytest.raises(HetsimError, match="nothing is left to happen"):
        world.run(job(stream(4, 1, 3.0)))


def test_a_forecast_changes_nothing_and_is_made_at_the_highest_clocks():
    policy = fake(Stretch(0, 1.0))
    world, _ = device(policy)
    [[seconds]] = forecast(world.kernel, [[compute(STEP * 4.0)]])
    assert seconds == 4.0
    assert not policy.pacers


# --- conformance ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [({"slack": 0.9}, "slack is 0.9"), ({"margin": 1.0}, "margin is 1"),
     ({"margin": -0.1}, "margin is -0.1")],
)  # fmt: skip
def test_refuses_what_leaves_no_time(options: dict[str, Any], says: str):
    with pytest.raises(SpecError, match=rf"{says}.*\n    Give "):
        Fake(**options)


# --- look by look ---------------------------------------------------------------------------------


@dataclass(eq=False)
class Work:
    """A job of ten steps, as a governor sees it."""

    cost: Cost = field(default_factory=lambda: STEP * 10.0)
    items: float = 10.0
    elsewhere: tuple[float, float] = (0.0, 0.0)
    done: float = 0.0


def look(governor: Governor, now: float, *works: Work, deadline: float = inf) -> Choice:
    outlook = Outlook(now=now, tasks=works, base={"idle": 1.0}, deadline=deadline)
    return governor.choose(
        View(domains=(CPU,), points=(0,), busy=(0.0,), outlook=lambda: outlook)
    )  # fmt: skip


def test_who_is_asked_again_at_once_answers_the_same():
    policy = fake(Stretch(0, 1.0), Stretch(1, 2.0), Stretch(2))
    governor, work = policy.begin(), Work()
    assert look(governor, 3.0, work) == look(governor, 3.0, work) == Choice((0,), 4.0)
    assert len(policy.pacers[0].asked) == 1
    assert look(governor, 3.0, work, Work()) == Choice((1,), 4.0)


def test_whole_items_stay_whole():
    policy = fake(Stretch(0, 3.0))
    governor, work = policy.begin(), Work()
    look(governor, 0.0, work, deadline=100.0)
    work.done = 0.3 - 1e-12
    assert 10.0 * (1.0 - work.done) != 7.0
    look(governor, 12.0, work, deadline=100.0)
    assert policy.pacers[0].asked == [(10.0, 100.0), (7.0, 88.0)]


def test_patience_doubles_while_less_than_half_is_done():
    policy = fake(Stretch(0, 1.0))
    governor, work = policy.begin(), Work()
    reviews, now = list[float](), 0.0
    for done in (0.0, 0.01, 0.02, 0.04, 0.12, 0.13):
        work.done = done
        reviews.append(look(governor, now, work, deadline=1e4).review)
        now += reviews[-1]
    assert reviews == [4.0, 8.0, 16.0, 32.0, 4.0, 8.0]


def test_the_highest_clocks_for_good_once_nothing_was_done():
    policy = fake(Stretch(0, 1.0))
    governor, work = policy.begin(), Work()
    look(governor, 0.0, work, deadline=1e4)
    assert look(governor, 3.9, work, deadline=1e4) == Choice((0,), 4.0)
    assert look(governor, 7.9, work, deadline=1e4) == Choice((2,), inf)


def test_a_job_has_no_slack_to_be_counted_while_a_line_is_down():
    policy = fake(Stretch(0, 1.0), slack=2.0)
    governor, work = policy.begin(), Work(elsewhere=(inf, 0.0))
    assert look(governor, 0.0, work) == Choice((2,), inf)
    work.elsewhere = (30.0, 0.0)
    look(governor, 5.0, work)
    assert policy.pacers[0].begins == [(10.0, 0.0)]
    assert policy.pacers[0].asked == [(10.0, 2.0 * 40.0 - 30.0)]


def test_only_so_many_kinds_are_remembered():
    policy = fake(Stretch(2))
    governor = policy.begin()
    for kind in (*range(40), 39, 0):
        look(governor, 0.0, Work(STEP * (1.0 + kind)))
        look(governor, 0.0)
    assert len(policy.pacers) == 41


def test_a_kind_that_is_used_again_and_again_is_not_forgotten():
    policy = fake(Stretch(2))
    governor = policy.begin()
    for kind in range(1, 40):
        for each in (kind, 0):
            look(governor, 0.0, Work(STEP * (1.0 + each)))
            look(governor, 0.0)
    assert len(policy.pacers) == 40


def test_a_new_kind_inherits_from_the_one_used_last():
    bequests = list[tuple[int, int]]()

    class Child(Scripted):
        def inherit(self, other: Any) -> None:
            bequests.append((policy.pacers.index(other), policy.pacers.index(self)))

    @dataclass(frozen=True, kw_only=True)
    class Family(Fake):
        def pacer(self, settings: Settings) -> Scripted:
            self.pacers.append(Child(settings, list(self.plan)))
            return self.pacers[-1]

    policy = Family(plan=(Stretch(2),))
    governor = policy.begin()
    for kind in (0, 1, 0, 2, 1):
        look(governor, 0.0, Work(STEP * (1.0 + kind)))
        look(governor, 0.0)
    assert bequests == [(0, 1), (0, 2)]


# --- policies that come with hetsim ---------------------------------------------------------------

POLICIES = [
    made for name in GOVERNORS.names() if issubclass(made := GOVERNORS.load(name), Paced)
]  # fmt: skip
BOARD = (
    domain(*[(0.2 * step, (0.3 * step) ** 2 / 4) for step in range(1, 11)], name="cpu"),
    domain(*[(0.5 * step, (0.3 * step) ** 2) for step in range(1, 7)], name="gpu", kind="gpu"),
)


def board(policy: Any, **numbers: Any) -> tuple[World, Node]:
    world, node = device(policy, *BOARD, **numbers)
    node.deadline = 60.0
    return world, node


@pytest.mark.parametrize("policy", [Performance, *POLICIES])
def test_a_policy_meets_the_deadline_with_two_jobs_at_once(policy: Any):
    """40 s at the highest clocks; the second job comes when the first one is under way."""
    world, node = board(policy())

    async def both() -> None:
        later = (Sleep(duration=9.0), compute(Cost(flops=80.0, steps=20.0)))
        await Gather(
            children=(Child(script=job(compute(Cost(flops=120.0, steps=30.0))), node="a"),
                      Child(script=job(*later), node="a"))
        )  # fmt: skip

    highest, _ = board(Performance())
    assert highest.run(both()) == pytest.approx(40.0)
    assert world.run(both()) <= 60.0
    most = highest.joules("a")["compute"]
    assert node.energy["compute"] <= most * (1.0 + 1e-9)


@pytest.mark.parametrize("policy", [Performance, *POLICIES])
def test_a_policy_meets_the_deadline_though_heat_comes_between(policy: Any):
    """40 steps take 32 s at the highest clocks, and 43 s as the GPU is held at its third point
    above 32 °C; 57 s are left of 60 s with the margin."""
    body = Body(resistance=8.0, capacity=4.0, trips=(Trip(domain="gpu", at=32.0, resume=27.0,
                                                          point=2),))  # fmt: skip
    world, node = board(policy(), heat=body, idle=0.1)
    world.run(job(compute(Cost(flops=160.0, steps=40.0)), Sleep(duration=1.0)))
    assert node.heat
    [end] = [span.t1 for span in world.trace.spans if span.kind == "compute"]
    assert end <= 60.0
    assert node.heat.throttled > 30.0
    trips = [c for c in world.trace.counters if c.track == "throttled"]
    held = [b.t - a.t for a, b in pairwise(trips) if a.value]
    assert [trip.value for trip in trips] == [float(i % 2 == 0) for i in range(len(trips))]
    lasting = world.kernel.env.now - trips[-1].t if trips[-1].value else 0.0
    assert sum(held) + lasting == pytest.approx(node.heat.throttled)
