"""What an availability pattern promises."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import ClassVar

from hetsim.core.registry import AVAILABILITIES, Registry
from hetsim.core.rng import rng
from hetsim.core.trace import BASE_KINDS
from hetsim.sim.availability.base import Availability
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_CHANGES = 200


class AvailabilitySuite(PluginSuite):
    """A pattern alternates, never goes back in time, and draws from its own stream alone."""

    registry: ClassVar[Registry] = AVAILABILITIES

    def test_alternates_forward_in_time(self, made: Availability) -> None:
        changes = [(0.0, True), *islice(made.changes(rng(0, "sim/churn", "a")), _CHANGES)]
        for (before, was), (after, here) in pairwise(changes):
            assert after >= before
            assert here is not was

    def test_depends_on_its_stream_alone(self, made: Availability) -> None:
        one, other = (
            list(islice(made.changes(rng(0, "sim/churn", "a")), _CHANGES)) for _ in range(2)
        )
        assert one == other

    def test_has_a_base_state_while_away(self, made: Availability) -> None:
        assert made.away in BASE_KINDS

    def test_carries_a_run(self, name: str) -> None:
        mine = [f"fleet[0].availability.{key}={value}" for key, value in self.options.items()]
        scenario = tiny(f"fleet[0].availability.name={name}", *mine, "cost_only=true")
        played = play(scenario)
        assert played.summary["rounds"] > 0
        check_books(played.trace, scenario)
