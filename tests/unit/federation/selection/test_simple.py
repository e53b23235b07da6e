"""Policies that need no loss: in turn, who fits, the fullest batteries."""

from __future__ import annotations

from collections import Counter

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.roster import Candidate, Selection, Situation
from hetsim.federation.selection.battery import Battery
from hetsim.federation.selection.exclusive import Exclusive
from hetsim.federation.selection.round_robin import RoundRobin
from hetsim.testing.selection import known, situation, take_part


def places(
    policy: Selection, candidates: list[Candidate], count: int, about: Situation | None = None
) -> list[int]:
    chosen = policy.begin().choose(candidates, count, about or situation())
    return [candidate.index for candidate in chosen]


# --- round robin ----------------------------------------------------------------------------------


def test_everybody_has_a_turn() -> None:
    fleet, turns = [known(index) for index in range(7)], list[list[int]]()
    for number in range(4):
        about = situation(number)
        for candidate in RoundRobin().choose(fleet, 3, about):
            take_part(candidate, about, loss=1.0, seconds=1.0)
        turns.append([one.index for one in fleet if one.last_asked == number])
    assert turns == [[0, 1, 2], [3, 4, 5], [0, 1, 6], [2, 3, 4]]


def test_who_missed_his_turn_is_first_when_he_is_back() -> None:
    fleet = [known(index, last_asked=asked) for index, asked in enumerate([4, 2, 5, 3])]
    assert places(RoundRobin(), fleet, 2) == [1, 3]


# --- who fits -------------------------------------------------------------------------------------


def test_only_who_fits_is_asked() -> None:
    fleet = [known(index, memory=100.0 * index, need=250.0) for index in range(6)]
    for number in range(20):
        assert set(places(Exclusive(), fleet, 2, situation(number))) < {3, 4, 5}
    assert places(Exclusive(headroom=0.5), fleet, 9) == [4, 5]
    assert places(Exclusive(headroom=0.6), fleet, 9) == [4, 5], "400 holds 1.6 x 250 exactly"
    assert places(Exclusive(headroom=1.0), fleet, 9) == [5]
    assert places(Exclusive(headroom=1.1), fleet, 9) == [], "nobody can be asked as things are"


def test_those_who_fit_are_equal() -> None:
    fleet = [known(index, memory=100.0 * index, need=250.0) for index in range(7)]
    times = Counter[int]()
    for number in range(800):
        times.update(places(Exclusive(), fleet, 2, situation(number)))
    assert sorted(times) == [3, 4, 5, 6]
    assert all(340 < often < 460 for often in times.values())


# --- batteries ------------------------------------------------------------------------------------


def test_the_charge_that_would_be_left_decides() -> None:
    fleet = [
        known(0, charge=0.9, spent=0.5),  # leaves 0.4
        known(1, charge=0.7, spent=0.1),  # 0.6
        known(2, charge=0.8),  # has never delivered: 0.8 - mean(0.5, 0.1) = 0.5
        known(3),  # on mains: 1
        known(4, charge=0.3),  # 0.0
    ]
    assert places(Battery(), fleet, 1) == [3]
    assert places(Battery(), fleet, 2) == [1, 3]
    assert places(Battery(), fleet, 3) == [1, 2, 3]
    assert places(Battery(least=0.45), fleet, 4) == [1, 2, 3], "two would be left with less"


def test_with_nobody_else_low_batteries_are_asked() -> None:
    fleet = [known(index, charge=0.01 * index) for index in range(5)]
    assert places(Battery(), fleet, 2) == [3, 4]


def test_nothing_is_expected_to_be_used_before_anybody_has_delivered() -> None:
    fleet = [known(0, charge=0.2), known(1, charge=0.19)]
    assert places(Battery(least=0.2), fleet, 2) == [0]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (lambda: Battery(least=1.2), r"least is 1\.2"),
        (lambda: Battery(cohort=0), "cohort is 0"),
        (lambda: Exclusive(headroom=-0.1), r"headroom is -0\.1"),
        (lambda: Exclusive(cohort=0), "cohort is 0"),
        (lambda: RoundRobin(cohort=-1), "cohort is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(policy: type[Selection], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        policy()
