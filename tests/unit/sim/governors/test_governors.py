"""Governors alone, then in charge of a node."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.core.cost import Cost
from hetsim.core.registry import GOVERNORS
from hetsim.sim.dvfs import Domain, OperatingPoint, Timing, effort
from hetsim.sim.governors.base import Choice, Governor, View, allowed, begun
from hetsim.sim.governors.conservative import Conservative
from hetsim.sim.governors.fixed import Fixed
from hetsim.sim.governors.performance import Performance
from hetsim.sim.governors.power_limit import PowerLimit
from hetsim.sim.governors.powersave import Powersave
from hetsim.sim.governors.schedutil import Schedutil
from hetsim.sim.requests import Compute, Sleep
from hetsim.sim.world import World, domain, profile

STEPS = [(0.5 * step, float(step)) for step in range(1, 41)]
CPU = domain(*STEPS)
GPU = domain(*STEPS, name="gpu", kind="gpu")
MEMORY = domain(*STEPS, name="memory", kind="memory", flops_per_cycle=0.0, bytes_per_cycle=1.0)


def choose(governor: Governor, *domains: Domain, points: tuple[int, ...] = ()) -> tuple[int, ...]:
    points = points or (3,) * len(domains)
    return governor.choose(View(domains=domains, points=points, busy=(1.0,) * len(points))).points


def test_performance_and_powersave_stay_at_the_ends():
    assert choose(Performance(), CPU, GPU) == (39, 39)
    assert choose(Powersave(), CPU, GPU) == (0, 0)


def test_fixed_takes_the_highest_point_below():
    governor = Fixed(cpu=2.7, gpu=1.0, memory=0.1)
    assert choose(governor, CPU, GPU, MEMORY) == (4, 1, 0)
    assert choose(Fixed(cpu=1.0), CPU, GPU) == (1, 39)


def test_fixed_forgives_rounding():
    assert choose(Fixed(cpu=2.5 * (1 - 1e-12)), CPU) == (4,)


LITTLE = domain((0.6, 1.0), (1.2, 2.0))
BIG = domain((0.9, 1.0), (2.4, 4.0), name="big")


@pytest.mark.parametrize(
    "governor",
    [Fixed(), Fixed(cpu=0.6), Fixed(cpu=0.5995), Fixed(cpu=1.5), Fixed(cpu=2.4), Fixed(cpu=2.402),
     Fixed(cpu=1.0, gpu=20.0)],
)  # fmt: skip
def test_fixed_accepts_what_one_of_its_clusters_reaches(governor: Fixed):
    governor.check((LITTLE, BIG, GPU))


@pytest.mark.parametrize(
    ("governor", "says"),
    [
        (Fixed(cpu=9e9), r"cpu: 9 GHz is not between 0\.6 GHz and 2\.4 GHz"),
        (Fixed(cpu=2.403e9), r"cpu: 2\.403 GHz is not between"),
        (Fixed(cpu=0.599e9), r"cpu: 0\.599 GHz is not between"),
        (Fixed(cpu=0.0), "cpu: 0 GHz is not between"),
        (Fixed(gpu=1e9), "gpu: the device has no gpu domain; it has: cpu"),
        (Fixed(cpu=1e9, memory=1e9), "memory: the device has no memory domain"),
    ],
)
def test_fixed_refuses_what_a_device_cannot_do(governor: Fixed, says: str):
    little = domain((0.6e9, 1.0), (1.2e9, 2.0))
    big = domain((0.9e9, 1.0), (2.4e9, 4.0), name="big")
    with pytest.raises(ValueError, match=says):
        governor.check((little, big))


def settle(
    domains: tuple[Domain, ...], cost: Cost, overhead: float, points: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """The points schedutil goes through until it asks for no review."""
    path = [points]
    for _ in range(500):
        work = effort(domains, path[-1], cost, Timing(overhead=overhead))
        busy = tuple(seconds / work.duration for seconds in work.busy)
        choice = Schedutil().choose(View(domains=domains, points=path[-1], busy=busy))
        if choice.review == inf:
            assert choice.points == path[-1]
            return path
        path.append(choice.points)
    raise AssertionError(f"no end after {path[-4:]}")


def test_a_saturated_domain_climbs_by_a_quarter_a_window():
    path = settle((CPU,), Cost(flops=1.0), 0.0, (7,))
    frequencies = [CPU.points[point].frequency for [point] in path]
    assert frequencies[:4] == [4.0, 5.0, 6.5, 8.5]
    assert frequencies[-1] == 20.0


def test_a_domain_that_waits_settles_where_it_is_four_fifths_busy():
    """8 flop a step and 1 s of overhead: 80 % busy at 2 flop/s."""
    fine = domain(*[(0.02 * step, 1.0) for step in range(1, 1001)])
    for start in (0, 999):
        *_, last = settle((fine,), Cost(flops=8.0, steps=1.0), 1.0, (start,))
        work = effort((fine,), last, Cost(flops=8.0, steps=1.0), Timing(overhead=1.0))
        assert work.busy[0] / work.duration == pytest.approx(0.8, abs=0.01)


def test_an_idle_device_falls_to_the_lowest_point():
    view = View(domains=(CPU,), points=(30,), busy=(0.0,))
    assert Schedutil().choose(view) == Choice((0,), Schedutil().window)


numbers = st.floats(0.01, 100.0)


@st.composite
def devices(draw: st.DrawFn) -> tuple[Domain, ...]:
    kinds = draw(st.lists(st.sampled_from(["cpu", "gpu", "memory"]), min_size=1, max_size=3))
    return tuple(
        domain(
            *[(f, f) for f in sorted(draw(st.sets(numbers, min_size=1, max_size=12)))],
            name=f"{kind}{i}", kind=kind,
            flops_per_cycle=0.0 if kind == "memory" and i else draw(numbers),
            bytes_per_cycle=draw(st.one_of(st.just(0.0), numbers)),
            cycles_per_step=draw(st.one_of(st.just(0.0), numbers)),
        )
        for i, kind in enumerate(kinds)
    )  # fmt: skip


@settings(max_examples=150)
@given(devices(), numbers, st.one_of(st.just(0.0), numbers), st.floats(0.0, 10.0), st.data())
def test_schedutil_converges(
    domains: tuple[Domain, ...], flops: float, traffic: float, overhead: float, data: st.DataObject
):
    start = tuple(data.draw(st.integers(0, len(domain.points) - 1)) for domain in domains)
    cost = Cost(flops=flops, traffic=traffic, steps=1.0)
    path = settle(domains, cost, overhead, start)
    assert len(path) == len(set(path)), "it came back to points it had left"


def world_with(governor: Governor) -> World:
    world = World()
    world.server()
    world.device("a", profile(domain((1.0, 1.0), (2.0, 4.0), (4.0, 16.0))), governor=governor)
    return world


@pytest.mark.parametrize(
    ("governor", "seconds", "joules"),
    [
        (Performance(), 2.0, 32.0), (Powersave(), 8.0, 8.0),
        (Fixed(cpu=2.0), 4.0, 16.0), (Fixed(cpu=0.1), 8.0, 8.0),
    ],
)  # fmt: skip
def test_clocks_decide_time_and_joules(governor: Governor, seconds: float, joules: float):
    world = world_with(governor)

    async def script() -> None:
        await Compute(node="a", cost=Cost(flops=8.0))

    assert world.run(script()) == seconds
    assert world.joules("a") == {"idle": seconds, "compute": joules}


def test_schedutil_climbs_while_a_job_runs():
    """From 1 to 2 at its start, to 4 after one window, and back when idle."""
    world = world_with(Schedutil(window=0.5))

    async def script() -> None:
        await Sleep(duration=1.0)
        await Compute(node="a", cost=Cost(flops=5.0))
        await Sleep(duration=1.0)

    assert world.run(script()) == 3.5
    steps = [(c.t, c.value) for c in world.trace.counters if c[1:3] == ("a", "frequency_hz.cpu")]
    assert steps == [(0.0, 1.0), (1.0, 2.0), (1.5, 4.0), (2.5, 1.0)]
    assert world.joules("a") == {"idle": 3.5, "compute": 0.5 * 4.0 + 1.0 * 16.0}


def test_every_governor_answers_with_points_of_the_domains():
    for name in GOVERNORS.names():
        points = choose(begun(GOVERNORS.load(name)()), CPU, GPU, MEMORY)
        assert len(points) == 3
        assert all(0 <= point < 40 for point in points)


LIMITED = replace(
    domain(name="gpu", kind="gpu"),
    points=tuple(
        OperatingPoint(frequency=1e9 + watts, power=watts - 30.0, limit=watts)
        for watts in (100.0, 150.0, 200.0)
    ),
)


@pytest.mark.parametrize(
    ("wanted", "point"), [(100.0, 0), (149.0, 0), (150.0, 1), (199.9, 1), (500.0, 2), (inf, 2)]
)
def test_a_power_limit_allows_the_states_below_it(wanted: float, point: int):
    assert choose(PowerLimit(gpu=wanted), CPU, LIMITED, points=(0, 0)) == (39, point)


@pytest.mark.parametrize(
    ("governor", "says"),
    [
        (PowerLimit(gpu=99.0), "gpu: 99 W is below 100 W, the lowest limit"),
        (PowerLimit(cpu=50.0), "cpu: the device has no cpu states under power limits"),
        (PowerLimit(memory=50.0), "memory: the device has no memory states"),
    ],
)
def test_a_power_limit_refuses_what_a_device_cannot_do(governor: PowerLimit, says: str):
    with pytest.raises(ValueError, match=says):
        governor.check((CPU, LIMITED))
    PowerLimit(gpu=100.0).check((CPU, LIMITED))


def conserve(domain: Domain, now: int, busy: float) -> int:
    view = View(domains=(domain,), points=(now,), busy=(busy,))
    return Conservative().choose(view).points[0]


def test_conservative_takes_steps_of_a_twentieth_of_the_highest_frequency():
    assert CPU.points[-1].frequency == 20.0
    assert conserve(CPU, 10, 0.9) == 12
    assert conserve(CPU, 38, 0.9) == 39
    assert conserve(CPU, 10, 0.1) == 8
    assert conserve(CPU, 1, 0.1) == 0
    assert [conserve(CPU, 10, busy) for busy in (0.2, 0.5, 0.8)] == [10] * 3


def test_conservative_does_not_fall_where_it_would_rise_again():
    gap = domain((1.0, 1.0), (10.0, 5.0))
    assert conserve(gap, 1, 0.15) == 1
    assert conserve(gap, 1, 0.05) == 0


@pytest.mark.parametrize("settings", [{"window": 0.0}, {"up": 0.2, "down": 0.2}])
def test_conservative_refuses_settings_that_cannot_be(settings: dict[str, float]):
    with pytest.raises(ValueError, match=r"window is 0|is not below"):
        Conservative(**settings)


@pytest.mark.parametrize("governor", [Performance(), Schedutil(), Conservative(), Fixed(cpu=15.0)])
def test_no_governor_exceeds_what_heat_allows(governor: Governor):
    """A saturated domain that may reach point 9 of 39 settles there."""
    [cool] = allowed((CPU,), (9,))
    point = 0
    for _ in range(100):
        [point] = governor.choose(View(domains=(cool,), points=(point,), busy=(1.0,))).points
        assert point <= 9
    view = View(domains=(cool,), points=(9,), busy=(1.0,))
    assert governor.choose(view) == Choice((9,))
    assert point == 9
    assert allowed((CPU, GPU), (39, 39)) == (CPU, GPU)
