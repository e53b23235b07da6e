"""What a pace promises."""

from __future__ import annotations

from typing import ClassVar

import pytest

from hetsim.core.cost import Cost
from hetsim.core.registry import PACES, Registry
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.learn.lab import CostOnlyLab
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_ROUNDS = 4


class PaceSuite(PluginSuite):
    """A pace answers with replies of whom it asked, and the books know what became of the rest."""

    registry: ClassVar[Registry] = PACES

    def overrides(self, name: str) -> list[str]:
        """The tiny world at this pace."""
        mine = [f"pace.{key}={value}" for key, value in self.options.items()]
        return [f"pace.name={name}", *mine, f"stop.rounds={_ROUNDS}", "cost_only=true"]

    @pytest.mark.parametrize(
        "misfortune",
        [
            (),
            ("fleet[0].availability={name: random, up: 2 s, down: 2 s}",),
            ("fleet[1].battery={charge: 0.005 %}",),
        ],
        ids=["all well", "churn", "battery"],
    )
    def test_everybody_asked_is_accounted_for(self, name: str, misfortune: tuple[str, ...]) -> None:
        run = tiny(*self.overrides(name), *misfortune).world(CostOnlyLab(), causality=True)
        asked: list[str] = []
        delivered: list[str] = []

        async def client(device: Client, number: int) -> int:
            asked.append(device.id)
            await device.compute(Cost(flops=2e8), kind="train")
            return number

        async def server(run: Run) -> None:
            model = run.initial_model()
            while run.going:
                replies = await run.cohort(client, run.round)
                delivered.extend(reply.client.id for reply in replies)
                await run.report(model)

        run.kernel.run(server(run), run.server.id)
        assert len(run.rows) == _ROUNDS
        assert delivered, "nobody ever delivered"
        for each in run.clients:
            assert each.rounds_done + sum(each.dropped.values()) == asked.count(each.id)
            assert each.rounds_done == delivered.count(each.id)
        assert sum(row["participants"] for row in run.rows) == len(asked)
        assert sum(row["dropped"] for row in run.rows) == len(asked) - len(delivered)

    def test_time_passes_and_the_books_balance(self, name: str) -> None:
        scenario = tiny(*self.overrides(name))
        played = play(scenario)
        ends = [row["t1_s"] for row in played.trace.rounds]
        assert ends == sorted(ends)
        assert ends[0] > 0.0
        check_books(played.trace, scenario)

    def test_waits_for_somebody_who_is_away(self, name: str) -> None:
        away = "{name: windows, on: [[5 s, 900 s]], period: 1000 s}"
        everybody = [f"fleet[{group}].availability={away}" for group in range(3)]
        played = play(tiny(*self.overrides(name), *everybody))
        assert played.summary["rounds"] == _ROUNDS
        assert played.summary["device_rounds"] > 0
