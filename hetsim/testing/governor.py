"""What a DVFS governor promises."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import inf
from typing import ClassVar

import pytest

from hetsim.core.cost import Cost
from hetsim.core.quantities import Fraction, Joules, Seconds
from hetsim.core.registry import GOVERNORS, Registry
from hetsim.sim.dvfs import Domain, Timing, effort
from hetsim.sim.governors.base import Choice, Governor, Outlook, Planning, View, begun
from hetsim.sim.world import domain
from hetsim.spec.options import make
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_CPU = domain(*[(2e8 * step, 0.1 * step**2) for step in range(1, 11)], cycles_per_step=1e6)
_GPU = domain((1e9, 1.0), (2e9, 3.0), name="gpu", kind="gpu", flops_per_cycle=32.0)
_MEMORY = domain(
    (4e8, 0.2), (8e8, 0.5), (1.6e9, 1.1),
    name="memory", kind="memory", flops_per_cycle=0.0, bytes_per_cycle=8.0,
)  # fmt: skip
_DEVICES = [(_CPU,), (_CPU, _GPU, _MEMORY)]
_LOADS = {
    "arithmetic": Cost(flops=1e10),
    "memory": Cost(flops=1e7, traffic=1e10),
    "waiting": Cost(flops=1e7, steps=1000.0),
    "mixed": Cost(flops=5e9, traffic=2e9, steps=50.0, samples=1000.0),
}
_TIMING, _REVIEWS = Timing(overhead=2e-3), 1000


class GovernorSuite(PluginSuite):
    """A governor always answers with existing points, settles, and lets an idle device rest.

    One that plans settles when the work is done, and earlier where it needs no further look.
    """

    registry: ClassVar[Registry] = GOVERNORS

    @pytest.mark.parametrize("domains", _DEVICES, ids=["cpu", "cpu, gpu, memory"])
    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_answers_with_a_point_of_each_domain(
        self, made: Governor | Planning, domains: tuple[Domain, ...], share: float
    ) -> None:
        governor = begun(made)
        for points in product(*(range(len(each.points)) for each in domains)):
            view = View(domains=domains, points=points, busy=(share,) * len(domains))
            choice = governor.choose(view)
            assert len(choice.points) == len(domains)
            for each, point in zip(domains, choice.points, strict=True):
                assert 0 <= point < len(each.points)
            assert choice.review > 0.0

    @pytest.mark.parametrize("domains", _DEVICES, ids=["cpu", "cpu, gpu, memory"])
    @pytest.mark.parametrize("load", [*_LOADS.values(), None], ids=[*_LOADS, "idle"])
    @pytest.mark.parametrize("start", [0, -1], ids=["from the lowest", "from the highest"])
    def test_settles_at_a_constant_load(
        self,
        made: Governor | Planning,
        domains: tuple[Domain, ...],
        load: Cost | None,
        start: int,
    ) -> None:
        """After finitely many reviews it asks for no more, and then stays."""
        device = _Device(made, domains, start, load)
        device.settle()
        settled = device.points
        assert device.ask().points == settled

    @pytest.mark.parametrize("domains", _DEVICES, ids=["cpu", "cpu, gpu, memory"])
    def test_rests_after_work_as_without(
        self, made: Governor | Planning, domains: tuple[Domain, ...]
    ) -> None:
        """Once a job has ended, however far it was, it is where it is on an idle device."""
        worked, idle = (_Device(made, domains, 0, load) for load in (_LOADS["mixed"], None))
        worked.work(worked.ask())
        worked.drop()
        worked.settle()
        idle.settle()
        assert worked.points == idle.points

    def test_depends_on_what_it_sees_alone(self, name: str) -> None:
        plugin = self.registry.load(name)
        one, other = (
            _Device(make(plugin, self.options), (_CPU,), 4, _LOADS["mixed"]) for _ in range(2)
        )
        for _ in range(_REVIEWS):
            choice = one.ask()
            assert choice == other.ask()
            if choice.review == inf:
                break
            one.work(choice)
            other.work(choice)

    def test_carries_a_run(self, name: str) -> None:
        mine = [f"governor.{key}={value}" for key, value in self.options.items()]
        scenario = tiny(f"governor.name={name}", *mine, "cost_only=true")
        played = play(scenario)
        assert played.summary["rounds"] == 2
        check_books(played.trace, scenario)


@dataclass(eq=False, slots=True, kw_only=True)
class _Task:
    """A job on a device, as a governor that plans sees it."""

    cost: Cost
    elsewhere: tuple[Seconds, Seconds] = (0.0, 0.0)
    done: Fraction = 0.0

    @property
    def items(self) -> float:
        return self.cost.steps or 1.0


class _Device:
    """A device under a constant load; a governor that plans sees a job, which ends."""

    def __init__(
        self,
        made: Governor | Planning,
        domains: tuple[Domain, ...],
        start: int,
        load: Cost | None,
    ) -> None:
        self.points = tuple(range(len(each.points))[start] for each in domains)
        self._domains, self._governor = domains, begun(made)
        self._ends = isinstance(made, Planning)
        self._task = _Task(cost=load) if load else None
        self._now: Seconds = 0.0
        self._drawn: Joules = 0.0

    def ask(self) -> Choice:
        """What its governor says now."""
        busy = (0.0,) * len(self._domains)
        if self._task:
            work = effort(self._domains, self.points, self._task.cost, _TIMING)
            busy = tuple(seconds / work.duration for seconds in work.busy)
        return self._governor.choose(
            View(domains=self._domains, points=self.points, busy=busy, outlook=self._outlook)
        )

    def work(self, choice: Choice) -> None:
        """Let time pass until the review, or the end of the job."""
        self.points = choice.points
        if not self._task or not self._ends:
            self._now += choice.review if choice.review < inf else 0.0
            return
        work = effort(self._domains, self.points, self._task.cost, _TIMING)
        left = (1.0 - self._task.done) * work.duration
        dt = min(choice.review, left)
        self._now += dt
        self._drawn += sum(work.joules) * dt / work.duration
        self._task.done += dt / work.duration
        if dt == left:
            self.drop()

    def drop(self) -> None:
        """The job is over."""
        self._task = None

    def settle(self) -> None:
        """Go on until the governor asks for no more reviews."""
        for _ in range(_REVIEWS):
            choice = self.ask()
            self.points = choice.points
            if choice.review == inf:
                return
            self.work(choice)
        pytest.fail(f"still asks for reviews after {_REVIEWS} of them")

    def _outlook(self) -> Outlook:
        return Outlook(
            now=self._now,
            tasks=(self._task,) if self._task else (),
            timing=_TIMING,
            base={"idle": 1.0, "sleep": 0.1, "off": 0.0},
            drawn=self._drawn,
        )
