"""What a DVFS governor promises."""

from __future__ import annotations

from itertools import product
from math import inf
from typing import ClassVar

import pytest

from hetsim.core.cost import Cost
from hetsim.core.registry import GOVERNORS, Registry
from hetsim.sim.dvfs import Domain, Timing, effort
from hetsim.sim.governors.base import Governor, View
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
    """A governor always answers with existing points, settles, and lets an idle device rest."""

    registry: ClassVar[Registry] = GOVERNORS

    @pytest.mark.parametrize("domains", _DEVICES, ids=["cpu", "cpu, gpu, memory"])
    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_answers_with_a_point_of_each_domain(
        self, made: Governor, domains: tuple[Domain, ...], share: float
    ) -> None:
        for points in product(*(range(len(each.points)) for each in domains)):
            choice = made.choose(View(domains=domains, points=points, busy=(share,) * len(domains)))
            assert len(choice.points) == len(domains)
            for each, point in zip(domains, choice.points, strict=True):
                assert 0 <= point < len(each.points)
            assert choice.review > 0.0

    @pytest.mark.parametrize("domains", _DEVICES, ids=["cpu", "cpu, gpu, memory"])
    @pytest.mark.parametrize("load", [*_LOADS.values(), None], ids=[*_LOADS, "idle"])
    @pytest.mark.parametrize("start", [0, -1], ids=["from the lowest", "from the highest"])
    def test_settles_at_a_constant_load(
        self, made: Governor, domains: tuple[Domain, ...], load: Cost | None, start: int
    ) -> None:
        """After finitely many reviews it asks for no more, and then stays."""
        points = tuple(range(len(each.points))[start] for each in domains)
        for _ in range(_REVIEWS):
            view = View(domains=domains, points=points, busy=_busy(domains, points, load))
            choice = made.choose(view)
            if choice.review == inf:
                break
            points = choice.points
        else:
            pytest.fail(f"still asks for reviews after {_REVIEWS} of them")
        settled = choice.points
        view = View(domains=domains, points=settled, busy=_busy(domains, settled, load))
        assert made.choose(view).points == settled

    def test_depends_on_what_it_sees_alone(self, name: str) -> None:
        view = View(domains=(_CPU,), points=(4,), busy=(0.5,))
        plugin = self.registry.load(name)
        assert make(plugin, self.options).choose(view) == make(plugin, self.options).choose(view)

    def test_carries_a_run(self, name: str) -> None:
        mine = [f"governor.{key}={value}" for key, value in self.options.items()]
        scenario = tiny(f"governor.name={name}", *mine, "cost_only=true")
        played = play(scenario)
        assert played.summary["rounds"] == 2
        check_books(played.trace, scenario)


def _busy(
    domains: tuple[Domain, ...], points: tuple[int, ...], load: Cost | None
) -> tuple[float, ...]:
    """Share of time each domain works on the load at these points."""
    if load is None:
        return (0.0,) * len(domains)
    work = effort(domains, points, load, _TIMING)
    return tuple(seconds / work.duration for seconds in work.busy)
