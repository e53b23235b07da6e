"""What a pace promises."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from hetsim.core.cost import Cost
from hetsim.core.errors import CAUSES
from hetsim.core.ref import Ref
from hetsim.core.registry import PACES, Registry
from hetsim.core.trace import Participation
from hetsim.federation.client import Client
from hetsim.federation.run import Pace, Run
from hetsim.learn.lab import CostOnlyLab
from hetsim.spec.options import make
from hetsim.testing.executor import Shuffled
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_ROUNDS = 4
_GATEWAYS = "gateways=[{profile: jetson_tx2, at: ap}, {profile: jetson_tx2, at: lte-cell}]"
MISFORTUNES = {
    "all well": (),
    "churn": ("fleet[0].availability={name: random, up: 8 ms, down: 8 ms}",),
    "battery": ("fleet[1].battery={charge: 0.0002 %, model: linear}",),
    "crash": ("events=[{at: 4 ms, on: pi, what: crash, lasts: 2 ms}]",),
    "cancel": ("events=[{at: 4 ms, on: pi, what: cancel}, {at: 9 ms, on: jetson, what: cancel}]",),
}
"""What happens to the tiny world while clients are asked."""


class PaceSuite(PluginSuite):
    """A pace asks clients and averages, and the books know what became of whom it asked."""

    registry: ClassVar[Registry] = PACES

    def overrides(self, name: str, *more: str) -> list[str]:
        """The tiny world at this pace, with gateways if it demands them."""
        mine = [f"pace.{key}={value}" for key, value in self.options.items()]
        pace: Pace = make(self.registry.load(name), self.options)
        hubs = [_GATEWAYS] if "gateways" in pace.demands else []
        return [f"pace.name={name}", *mine, *hubs, f"stop.rounds={_ROUNDS}", *more]

    @pytest.mark.parametrize("misfortune", MISFORTUNES)
    def test_everybody_asked_is_accounted_for(self, name: str, misfortune: str) -> None:
        scenario = tiny(*self.overrides(name, "cost_only=true", *MISFORTUNES[misfortune]))
        run = scenario.world(CostOnlyLab(), causality=True)
        begun, delivered = Counter[str](), Counter[str]()

        async def client(device: Client, model: Ref[Any]) -> Ref[Any]:
            begun[device.id] += 1
            await device.download(model)
            update = await device.train(model, epochs=1, batch=20, lr=0.1)
            await device.upload(update)
            delivered[device.id] += 1
            return update

        async def server(run: Run) -> None:
            model = run.initial_model()
            while run.going:
                model = await run.average(client, model, weigh=lambda client: 1.0)
                await run.report(model)

        end = run.kernel.run(server(run), run.server.id)
        run.finish(end)
        asked = run.kernel.trace.participations
        assert len(run.rows) == _ROUNDS
        assert delivered, "nobody ever delivered"
        for each in run.clients:
            mine = [one for one in asked if one.device == each.id]
            unheard = each.errand.participation if each.errand else None
            outcomes = Counter(one.outcome for one in mine if one is not unheard)
            assert unheard is None or unheard.used < 0, "what is used has been heard of"
            assert begun[each.id] <= len(mine)
            assert outcomes["done"] == each.rounds_done <= delivered[each.id]
            assert not outcomes["unfinished"]
            for cause in CAUSES:
                assert outcomes[cause] == each.dropped[cause], f"{each.id} by {cause}"
            for one, following in pairwise(mine):
                assert one.t1 <= following.t0, "a client does one thing at a time"
        for one in asked:
            self._check(one, end)
        heard = len(asked) - sum(each.errand is not None for each in run.clients)
        assert sum(row["participants"] for row in run.rows) == heard
        lost = sum(sum(each.dropped.values()) for each in run.clients)
        assert sum(row["dropped"] for row in run.rows) == lost

    def _check(self, one: Participation, end: float) -> None:
        """One participation by itself."""
        assert 0 <= one.round < _ROUNDS
        assert 0.0 <= one.t0 <= one.t1 <= end
        assert 0.0 <= one.share <= 1.0
        assert (one.used >= 0) is not bool(one.waste), "an update is used, or wasted for a reason"
        if one.used >= 0:
            assert one.outcome == "done"
            assert one.staleness == one.used - one.round

    def test_methods_with_rules_of_their_own_get_every_reply(self, name: str) -> None:
        """Where the pace asks nothing special of a method."""
        run = tiny(*self.overrides(name, "cost_only=true")).world(CostOnlyLab())
        if make(self.registry.load(name), self.options).demands:
            return
        told: list[str] = []

        async def client(device: Client, number: int) -> str:
            await device.compute(Cost(flops=2e8), kind="train")
            told.append(f"{device.id} {number}")
            return told[-1]

        async def server(run: Run) -> None:
            model = run.initial_model()
            while run.going:
                replies = await run.cohort(client, run.round)
                for reply in replies:
                    assert reply.value == f"{reply.client.id} {run.round}"
                    assert reply.participation.outcome == "done"
                    assert reply.participation.used == run.round
                    told.remove(reply.value)
                await run.report(model)

        run.kernel.run(server(run), run.server.id)
        assert not told, "who delivered has been heard of"
        assert sum(client.rounds_done for client in run.clients) > 0

    def test_time_passes_and_the_books_balance(self, name: str) -> None:
        scenario = tiny(*self.overrides(name, "cost_only=true"))
        played = play(scenario)
        ends = [row["t1_s"] for row in played.trace.rounds]
        assert ends == sorted(ends)
        assert ends[0] > 0.0
        check_books(played.trace, scenario)

    def test_waits_for_somebody_who_is_away(self, name: str) -> None:
        away = "{name: windows, on: [[5 s, 900 s]], period: 1000 s}"
        everybody = [f"fleet[{group}].availability={away}" for group in range(3)]
        played = play(tiny(*self.overrides(name, "cost_only=true", *everybody)))
        assert played.summary["rounds"] == _ROUNDS
        assert played.summary["device_rounds"] > 0

    def test_the_same_run_again_is_the_same(self, name: str) -> None:
        first, again = (play(tiny(*self.overrides(name))) for _ in range(2))
        assert again.hashes == first.hashes
        assert again.trace.participations == first.trace.participations

    def test_order_of_computing_changes_nothing(self, name: str) -> None:
        first = play(tiny(*self.overrides(name)))
        again = play(tiny(*self.overrides(name)), Shuffled(seed=1))
        assert again.hashes == first.hashes
        assert again.trace.rounds == first.trace.rounds

    def test_training_changes_no_times(self, name: str) -> None:
        cheap = play(tiny(*self.overrides(name, "cost_only=true")))
        assert cheap.hashes == (play(tiny(*self.overrides(name))).summary["trace_hash"], None)

    def test_nothing_outlives_the_run(self, name: str) -> None:
        run = tiny(*self.overrides(name, "cost_only=true")).world(CostOnlyLab())

        async def client(device: Client, model: Ref[Any]) -> Ref[Any]:
            await device.download(model)
            await device.compute(device.training_cost(model, epochs=1, batch=20, lr=0.1))
            await device.upload(model)
            return model

        async def server() -> None:
            model = run.initial_model()
            while run.going:
                await run.report(await run.average(client, model, weigh=lambda client: 1.0))

        end = run.kernel.run(server(), run.server.id)
        assert end == run.rows[-1]["t1_s"]
        for node in run.kernel.nodes.values():
            assert node.memory.used == 0.0, node.name
            assert not node.jobs, node.name
        assert all(span.t1 <= end for span in run.kernel.trace.spans)
        assert all(one.t1 <= end for one in run.kernel.trace.participations)
