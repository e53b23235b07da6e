"""What a federated learning method promises."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

import pytest

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.registry import METHODS, Registry
from hetsim.spec.world import Scenario
from hetsim.testing.executor import Shuffled
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

MISFORTUNES = {
    "deadline": ("pace.deadline=200 ms",),
    "battery": ("fleet[1].battery={charge: 0.0002 %, model: linear}",),
    "churn": ("fleet[0].availability={name: random, up: 25 ms, down: 25 ms}",),
    "memory": ("fleet[1].profile=stm32l4r5", "task.model={name: mlp, hidden: [2000, 10]}"),
    "data": ("fleet[0].data=none",),
}
"""Changes to the tiny world in which some devices cannot do what they are asked."""


class MethodSuite(PluginSuite):
    """A method runs under any selection, pace and misfortune, and charges for all it does."""

    registry: ClassVar[Registry] = METHODS

    def world(self, name: str, *overrides: str) -> Scenario:
        """The tiny world under this method."""
        mine = [f"method.{key}={value}" for key, value in self.options.items()]
        return tiny(f"method.name={name}", *mine, *overrides)

    def test_trains_and_pays_for_everything(self, name: str) -> None:
        scenario = self.world(name)
        played = play(scenario)
        assert played.executed.total() > 0
        assert played.summary["rounds"] == 2
        assert 0.0 <= played.summary["accuracy"] <= 1.0
        assert played.summary["model_hash"]
        check_books(played.trace, scenario)

    def test_cost_only_has_the_same_times_and_joules(self, name: str) -> None:
        if getattr(self.world(name).method(), "observes", False):
            with pytest.raises(SpecError, match="goes by learned values"):
                self.world(name, "cost_only=true")
            return
        cheap = play(self.world(name, "cost_only=true"))
        assert cheap.summary["accuracy"] is None
        assert cheap.hashes == (play(self.world(name)).summary["trace_hash"], None)

    def test_order_of_computing_changes_nothing(self, name: str) -> None:
        first = play(self.world(name))
        again = play(self.world(name), Shuffled(seed=1))
        assert again.hashes == first.hashes
        assert again.trace.rounds == first.trace.rounds

    @pytest.mark.parametrize("cause", MISFORTUNES)
    def test_misfortune_ends_nothing_but_what_it_hits(self, name: str, cause: str) -> None:
        scenario = self.world(name, "stop.rounds=4", *MISFORTUNES[cause])
        played = play(scenario)
        assert 0 < played.summary["rounds"] <= 4
        check_books(played.trace, scenario)

    def test_ends_or_says_so_when_nobody_can_take_part(self, name: str) -> None:
        gone = [f"fleet[{group}].battery={{charge: 0 %, capacity: 1 Wh}}" for group in range(3)]
        scenario = self.world(name, *gone)
        trace = None
        with suppress(HetsimError):  # that nobody can take part
            trace = play(scenario).trace
        if trace is None:
            with pytest.raises(HetsimError, match="no device can take part"):
                play(scenario)
        else:
            check_books(trace, scenario)
