"""What an availability pattern promises."""

from __future__ import annotations

from itertools import count, islice, pairwise
from typing import ClassVar

from hetsim.core.registry import AVAILABILITIES, Registry
from hetsim.core.rng import rng
from hetsim.core.trace import BASE_KINDS
from hetsim.sim.availability.base import Availability, Circumstances
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_CHANGES = 200


class AvailabilitySuite(PluginSuite):
    """A pattern alternates, never goes back in time, and draws from its own stream alone.

    Attributes:
        steps: content of the file that it names, if it does.
        world: changes of the small world that it needs, as `--set` takes them.
    """

    registry: ClassVar[Registry] = AVAILABILITIES
    steps: ClassVar[tuple[tuple[float, float], ...]] = ()
    world: ClassVar[tuple[str, ...]] = ()

    def about(self) -> Circumstances:
        """A charger that is plugged in every other second, and a stream of its own."""
        offered = ((float(second), 5.0 * (second % 2)) for second in count())
        return Circumstances(rng=rng(0, "sim/churn", "a"), offered=offered, steps=self.steps)

    def test_alternates_forward_in_time(self, made: Availability) -> None:
        changes = [(0.0, True), *islice(made.changes(self.about()), _CHANGES)]
        for (before, was), (after, here) in pairwise(changes):
            assert after >= before
            assert here is not was

    def test_depends_on_its_stream_alone(self, made: Availability) -> None:
        one, other = (list(islice(made.changes(self.about()), _CHANGES)) for _ in range(2))
        assert one == other

    def test_has_a_base_state_while_away(self, made: Availability) -> None:
        assert made.away in BASE_KINDS

    def test_carries_a_run(self, name: str) -> None:
        mine = [f"fleet[0].availability.{key}={value}" for key, value in self.options.items()]
        scenario = tiny(f"fleet[0].availability.name={name}", *mine, *self.world, "cost_only=true")
        played = play(scenario)
        assert played.summary["rounds"] > 0
        check_books(played.trace, scenario)
