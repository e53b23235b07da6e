"""What a selection policy promises."""

from __future__ import annotations

from typing import ClassVar

import pytest

from hetsim.core.registry import SELECTIONS, Registry
from hetsim.core.rng import rng
from hetsim.federation.client import Client
from hetsim.federation.run import Selection
from hetsim.learn.lab import CostOnlyLab
from hetsim.spec.options import make
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_FLEET = 12


class SelectionSuite(PluginSuite):
    """A selection takes from the candidates, as many as it is asked for, by named chance only."""

    registry: ClassVar[Registry] = SELECTIONS

    @pytest.fixture
    def clients(self) -> list[Client]:
        """Twelve clients of three kinds."""
        world = tiny("cost_only=true", f"fleet[0].count={_FLEET - 2}").world(CostOnlyLab())
        return world.clients

    @pytest.mark.parametrize("count", [1, 5, _FLEET, _FLEET + 3])
    def test_chooses_from_the_candidates(
        self, made: Selection, clients: list[Client], count: int
    ) -> None:
        candidates = clients[1:]
        chosen = made.choose(list(candidates), count, rng(0, "sim/selection", 0))
        assert chosen, "somebody is there to be asked"
        assert len(chosen) <= count
        assert len({client.id for client in chosen}) == len(chosen)
        assert all(client in candidates for client in chosen)

    def test_depends_on_its_stream_alone(self, name: str, clients: list[Client]) -> None:
        def rounds(policy: Selection) -> list[list[str]]:
            return [
                [c.id for c in policy.choose(clients, 4, rng(0, "sim/selection", number))]
                for number in range(6)
            ]

        plugin = self.registry.load(name)
        assert rounds(make(plugin, self.options)) == rounds(make(plugin, self.options))

    def test_leaves_the_candidates_as_they_are(
        self, made: Selection, clients: list[Client]
    ) -> None:
        before = list(clients)
        made.choose(clients, 3, rng(0, "sim/selection", 0))
        assert clients == before

    def test_cohort_is_at_least_one(self, made: Selection) -> None:
        assert made.cohort >= 1

    def test_carries_a_run(self, name: str) -> None:
        mine = [f"selection.{key}={value}" for key, value in self.options.items()]
        scenario = tiny(f"selection.name={name}", *mine, "stop.rounds=3", "cost_only=true")
        played = play(scenario)
        assert all(0 < row["participants"] <= 4 for row in played.trace.rounds)
        check_books(played.trace, scenario)
