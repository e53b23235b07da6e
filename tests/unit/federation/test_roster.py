"""What a server knows of its clients, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from hetsim.core.registry import SELECTIONS
from hetsim.core.trace import Participation
from hetsim.federation.client import Client
from hetsim.federation.roster import Candidate, Roster, Sightings
from hetsim.learn.lab import CostOnlyLab
from hetsim.testing import tiny
from hetsim.testing.selection import situation


@pytest.fixture
def fleet() -> list[Client]:
    """Two boards on mains, a phone whose battery is half full, a board on mains."""
    battery = 'fleet[1].battery={charge: "50 %", model: "linear"}'
    return tiny("cost_only=true", battery).world(CostOnlyLab()).clients


@pytest.fixture
def roster(fleet: list[Client]) -> Roster:
    return Roster(fleet)


def of(roster: Roster, client: Client) -> Candidate:
    [candidate] = roster.candidates([client])
    return candidate


def part(client: Client, **record: Any) -> Participation:
    record = {"round": 0, "t0": 10.0, "t1": 30.0, "outcome": "done", "energy": 5.0, **record}
    return Participation(device=client.id, hub="server", **record)


# --- who is who -----------------------------------------------------------------------------------


def test_candidates_are_the_clients_in_their_order(fleet: list[Client], roster: Roster) -> None:
    some = [fleet[2], fleet[0]]
    candidates = roster.candidates(some)
    assert [(one.id, one.index) for one in candidates] == [("phone-0", 2), ("pi-0", 0)]
    assert [one.samples for one in candidates] == [50, 50]
    assert [roster.client(one) for one in candidates] == some
    assert roster.candidates(some)[0] is candidates[0], "one record a client, through the run"


# --- what is reported -----------------------------------------------------------------------------


def test_charge_is_read_when_it_is_asked_for(fleet: list[Client], roster: Roster) -> None:
    board, phone = of(roster, fleet[0]), of(roster, fleet[2])
    node = fleet[2].node
    assert node.battery
    assert board.charge is None
    assert phone.charge == 0.5
    node.env.run(until=600.0)
    drawn = node.drawn(600.0)
    assert drawn > 0.0
    assert phone.charge == pytest.approx(0.5 - drawn / node.battery.capacity, rel=1e-12)


def test_memory_is_what_jobs_leave_free(fleet: list[Client], roster: Roster) -> None:
    board, memory = of(roster, fleet[0]), fleet[0].node.memory
    assert board.memory == memory.capacity > 0.0
    memory.reserve(1e8)
    assert board.memory == memory.capacity - 1e8
    roster.need(fleet[0], 2e8)
    assert board.need == 2e8


# --- participations -------------------------------------------------------------------------------


def test_a_delivery_tells_how_long_it_took_and_what_it_used(
    fleet: list[Client], roster: Roster
) -> None:
    phone, battery = fleet[2], fleet[2].node.battery
    assert battery
    known = of(roster, phone)
    assert (known.seconds, known.usual, known.spent) == (None, None, None)
    roster.asked(phone, 3, 10.0)
    assert (known.asked, known.last_asked, known.last_delivered) == (1, 3, -1)
    roster.ended(phone, part(phone, round=3, energy=0.02 * battery.capacity))
    assert (known.delivered, known.last_delivered) == (1, 3)
    assert (known.seconds, known.usual, known.spent) == (20.0, 20.0, pytest.approx(0.02))
    roster.asked(phone, 5, 40.0)
    roster.ended(phone, part(phone, round=5, t0=40.0, t1=50.0))
    assert (known.seconds, known.usual) == (10.0, 15.0)
    assert (known.asked, known.delivered, known.last_delivered) == (2, 2, 5)


def test_on_mains_no_battery_was_used(fleet: list[Client], roster: Roster) -> None:
    roster.ended(fleet[0], part(fleet[0]))
    assert of(roster, fleet[0]).spent is None
    assert of(roster, fleet[0]).seconds == 20.0


@pytest.mark.parametrize("outcome", ["churn", "battery", "memory", "deadline", "surplus"])
def test_of_one_that_was_dropped_nothing_is_learned(
    fleet: list[Client], roster: Roster, outcome: str
) -> None:
    phone = fleet[2]
    roster.asked(phone, 1, 10.0)
    roster.ended(phone, part(phone, outcome=outcome))
    known = of(roster, phone)
    assert (known.asked, known.delivered, known.last_delivered) == (1, 0, -1)
    assert (known.seconds, known.usual, known.spent, known.loss) == (None, None, None, None)
    assert known.sightings.here is (outcome not in ("churn", "battery")), "seen to vanish, or not"


def test_a_loss_is_that_of_the_model_it_started_from(fleet: list[Client], roster: Roster) -> None:
    known = of(roster, fleet[1])
    assert (known.loss, known.heard) == (None, -1)
    roster.asked(fleet[1], 4, 10.0)
    roster.told(fleet[1], 2.5)
    assert (known.loss, known.heard) == (2.5, 4)
    roster.told(fleet[1], 1.5, 9)
    assert (known.loss, known.heard) == (1.5, 9)


# --- sightings ------------------------------------------------------------------------------------


def look(roster: Roster, fleet: list[Client], here: dict[float, bool]) -> Sightings:
    """What check-ins see of the first client, which is there or not at these instants."""
    for now, present in here.items():
        fleet[0].node.present = present
        roster.check_in(now)
    return of(roster, fleet[0]).sightings


def test_who_is_away_at_the_next_look_left_half_way(fleet: list[Client], roster: Roster) -> None:
    seen = look(roster, fleet, {0.0: True, 10.0: True, 30.0: False, 50.0: False, 70.0: True})
    assert (seen.departures, seen.returns) == (1, 1)
    assert seen.time_present(100.0) == (20.0 - 0.0) + (100.0 - 60.0)
    assert seen.time_absent(100.0) == 60.0 - 20.0


def test_what_happens_between_two_looks_is_not_seen(fleet: list[Client], roster: Roster) -> None:
    seen = look(roster, fleet, {0.0: True})
    fleet[0].node.present = False
    fleet[0].node.present = True
    look(roster, fleet, {60.0: True})
    assert (seen.departures, seen.time_present(60.0)) == (0, 60.0)


def test_before_the_first_look_nothing_is_known(fleet: list[Client], roster: Roster) -> None:
    assert of(roster, fleet[0]).sightings == Sightings()
    seen = look(roster, fleet, {40.0: False})
    assert (seen.here, seen.departures, seen.time_absent(50.0)) == (False, 0, 10.0)


def test_one_that_vanishes_at_work_is_seen_to_leave_then(
    fleet: list[Client], roster: Roster
) -> None:
    seen = look(roster, fleet, {10.0: True})
    roster.asked(fleet[0], 0, 10.0)
    roster.ended(fleet[0], part(fleet[0], outcome="churn", t1=18.0))
    assert (seen.departures, seen.time_present(100.0)) == (1, 8.0)
    look(roster, fleet, {30.0: True})  # back between 18 and 30
    assert (seen.returns, seen.absent, seen.time_present(30.0)) == (1, 6.0, 14.0)


def test_news_that_comes_late_does_not_undo_what_was_seen_since(
    fleet: list[Client], roster: Roster
) -> None:
    seen = look(roster, fleet, {10.0: True, 20.0: False, 40.0: True})
    roster.ended(fleet[0], part(fleet[0], outcome="churn", t1=16.0))
    assert (seen.here, seen.departures, seen.returns) == (True, 1, 1)
    assert (seen.present, seen.absent) == (5.0, 15.0)


def test_a_second_look_at_the_same_instant_sees_nothing_new(
    fleet: list[Client], roster: Roster
) -> None:
    seen = look(roster, fleet, {10.0: True})
    fleet[0].node.present = False
    roster.check_in(10.0)
    assert seen.here is True


# --- nothing else ---------------------------------------------------------------------------------


@dataclass
class Memory:
    capacity: float = 1e9
    used: float = 0.0


class Sealed:
    """A device of which nothing may be asked but how it is."""

    battery: None = None
    memory = Memory()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a server does not know {name!r} of its clients")


@dataclass(eq=False)
class Stranger:
    """A client of which only name, size and presence are there."""

    index: int
    samples: int = 10
    present: bool = True
    node: Sealed = field(default_factory=Sealed)

    @property
    def id(self) -> str:
        return f"stranger-{self.index}"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a server does not know {name!r} of its clients")


@pytest.fixture
def strangers() -> list[Any]:
    return [Stranger(index) for index in range(12)]


@pytest.mark.parametrize("name", SELECTIONS.names())
def test_policies_see_nothing_but_the_roster(name: str, strangers: list[Any]) -> None:
    roster = Roster(strangers)
    chooser = SELECTIONS.load(name)(cohort=4).begin()
    for number in range(30):
        about = situation(number)
        roster.check_in(about.now)
        chosen = chooser.choose(roster.candidates(strangers), 4, about)
        assert len(chosen) == 4
        for client in map(roster.client, chosen):
            roster.asked(client, number, about.now)
            end = about.now + 1.0 + client.index
            roster.ended(client, part(client, round=number, t0=about.now, t1=end))
            roster.told(client, 3.0 / (number + 1))
