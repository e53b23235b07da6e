"""What a selection policy promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, ClassVar

import pytest

from hetsim.core.quantities import Bytes, Fraction, Seconds
from hetsim.core.registry import SELECTIONS, Registry
from hetsim.core.rng import rng
from hetsim.federation.roster import (
    Candidate,
    Chooser,
    Poller,
    Selection,
    Sightings,
    Situation,
)
from hetsim.testing.suite import PluginSuite
from hetsim.testing.world import check_books, play, tiny

_FLEET = 12
_ROUND: Seconds = 30.0


@dataclass(frozen=True, slots=True)
class Says:
    """What a client answers when it is asked how it is; it answers nothing else."""

    charge: Fraction | None = None
    memory: Bytes = 1e9


def known(
    index: int, *, charge: Fraction | None = None, memory: Bytes = 1e9, **record: Any
) -> Candidate:
    """A candidate of whom this is known; there from the start, and never asked if nothing is said.

    >>> known(3, charge=0.5).charge, known(3).asked
    (0.5, 0)

    Args:
        index: position in the fleet.
        charge: of its battery; None on mains.
        memory: that it has free.
        record: other attributes of `Candidate`.
    """
    record = {"samples": 10, "sightings": Sightings(here=True), **record}
    return Candidate(id=f"client-{index}", index=index, state=Says(charge, memory), **record)


def situation(round: int = 0, *, seed: int = 0) -> Situation:
    """A round, half a minute after the one before, with a stream of its own."""
    return Situation(round * _ROUND, round, rng(seed, "sim/selection", round))


def take_part(
    candidate: Candidate, about: Situation, *, loss: float | None, seconds: Seconds
) -> None:
    """It is asked, delivers in time, and reports a loss, if any."""
    candidate.asked += 1
    candidate.delivered += 1
    candidate.last_asked = candidate.last_delivered = about.round
    candidate.seconds = candidate.usual = seconds
    if loss is not None:
        candidate.loss, candidate.heard = loss, about.round
    if candidate.charge is not None:
        candidate.spent = 0.01


class SelectionSuite(PluginSuite):
    """A selection takes from the candidates, at most as many as it is asked for.

    It goes by what the server knows of them and by its own stream, and what it remembers belongs to
    the run.
    """

    registry: ClassVar[Registry] = SELECTIONS

    @pytest.fixture
    def fleet(self) -> list[Candidate]:
        """Twelve clients, every third on a battery; four have taken part before."""
        return _fleet()

    def test_cohort_is_at_least_one(self, made: Selection) -> None:
        assert made.cohort >= 1
        assert isinstance(made.observes, bool)

    @pytest.mark.parametrize("count", [1, 5, _FLEET - 1, _FLEET + 3])
    def test_chooses_from_the_candidates(
        self, made: Selection, fleet: list[Candidate], count: int
    ) -> None:
        present = fleet[1:]
        chosen = made.begin().choose(tuple(present), count, situation(1))
        assert chosen, "somebody is there to be asked, and fits"
        _check_choice(chosen, present, count)

    def test_asks_nobody_where_nobody_is(self, made: Selection) -> None:
        assert made.begin().choose([], 3, situation()) == []

    def test_may_ask_nobody_where_nobody_fits(
        self, made: Selection, fleet: list[Candidate]
    ) -> None:
        for candidate in fleet:
            candidate.need = candidate.memory * 2.0
        _check_choice(made.begin().choose(fleet, 3, situation(1)), fleet, 3)

    def test_whom_it_polls_are_candidates(self, made: Selection, fleet: list[Candidate]) -> None:
        chooser = made.begin()
        if isinstance(chooser, Poller):
            polled = chooser.poll(fleet, 3, situation(1))
            _check_choice(polled, fleet, _FLEET)
            _check_choice(chooser.choose(polled, 3, situation(1)), polled, 3)

    def test_leaves_the_candidates_as_they_are(
        self, made: Selection, fleet: list[Candidate]
    ) -> None:
        before = list(fleet)
        made.begin().choose(fleet, 3, situation(1))
        assert fleet == before
        assert [astuple(candidate) for candidate in fleet] == list(map(astuple, _fleet()))

    def test_goes_by_what_is_known_and_its_stream_alone(self, made: Selection) -> None:
        first = _history(made.begin())
        assert first == _history(made.begin()), "a run knows nothing of the run before"

    def test_needs_losses_only_if_it_says_so(self, made: Selection) -> None:
        if not made.observes:
            assert _history(made.begin(), losses=False) == _history(made.begin())

    def test_carries_a_run(self, name: str, made: Selection) -> None:
        mine = [f"selection.{key}={value}" for key, value in self.options.items()]
        scenario = tiny(
            f"selection.name={name}", *mine, "stop.rounds=3", f"cost_only={not made.observes}"
        )
        played = play(scenario)
        assert all(0 < row["participants"] <= 4 for row in played.trace.rounds)
        check_books(played.trace, scenario)


def _fleet(*, losses: bool = True) -> list[Candidate]:
    fleet = [
        known(index, samples=5 + index, charge=0.9 - index / 20 if index % 3 == 2 else None)
        for index in range(_FLEET)
    ]
    for candidate in fleet[4:8]:
        loss = 3.0 / candidate.index if losses else None
        take_part(candidate, situation(0), loss=loss, seconds=7.0)
    return fleet


def _history(chooser: Chooser, *, losses: bool = True) -> list[list[str]]:
    """Whom it asks in fifty rounds, in which all whom it asks deliver."""
    fleet, asked = _fleet(losses=losses), list[list[str]]()
    for number in range(1, 51):
        about = situation(number)
        chosen = chooser.choose(fleet[number % 3 :], 4, about)
        for candidate in chosen:
            loss = 2.0 / (candidate.asked + 1) if losses else None
            take_part(candidate, about, loss=loss, seconds=5.0 + candidate.index)
        asked.append([candidate.id for candidate in chosen])
    return asked


def _check_choice(chosen: Sequence[Candidate], present: Sequence[Candidate], count: int) -> None:
    assert len(chosen) <= count
    assert len({id(candidate) for candidate in chosen}) == len(chosen), "each at most once"
    assert all(any(one is candidate for one in present) for candidate in chosen)
