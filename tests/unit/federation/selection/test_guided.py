"""Oort and EAFL against numbers worked out by hand."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.roster import Candidate
from hetsim.federation.selection._guided import Guide
from hetsim.federation.selection.eafl import EAFL, power
from hetsim.federation.selection.oort import Oort
from hetsim.testing.selection import known, situation, take_part

PURE: dict[str, Any] = {
    "exploration": 0.0, "exploration_least": 0.0, "clip": 1.0, "preferred": 1.0,
}  # fmt: skip


def told(index: int, loss: float, *, heard: int = 0, **record: Any) -> Candidate:
    """A client that has taken part in the round `heard`."""
    record = {"asked": 1, "delivered": 1, "seconds": 10.0, **record}
    return known(index, loss=loss, heard=heard, last_asked=heard, last_delivered=heard, **record)


# --- utilities ------------------------------------------------------------------------------------


def test_statistical_utility_is_scaled_from_the_least_to_the_highest() -> None:
    fleet = [told(0, 1.0), told(1, 2.0, samples=20), told(2, 3.0)]  # gains 10, 40, 30
    assert Guide(Oort(**PURE)).utilities(fleet, round=0) == [0.0, 1.0, pytest.approx(2 / 3)]


def test_equals_are_all_of_full_utility() -> None:
    fleet = [told(index, 2.0) for index in range(3)]
    assert Guide(Oort(**PURE)).utilities(fleet, round=0) == [1.0, 1.0, 1.0]


def test_outliers_are_clipped() -> None:
    fleet = [told(index, loss) for index, loss in enumerate([1.0, 2.0, 3.0, 4.0, 1000.0])]
    utilities = Guide(Oort(**{**PURE, "clip": 0.6})).utilities(fleet, round=0)
    assert utilities == [0.0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0, 1.0]


def test_who_has_not_been_heard_for_long_gets_a_bonus() -> None:
    fleet = [told(0, 2.0, heard=0), told(1, 2.0, heard=4), told(2, 2.0, heard=9)]
    utilities = Guide(Oort(**PURE)).utilities(fleet, round=99)
    assert utilities == [1.0 + sqrt(0.1 * log(100) / turn) for turn in (1, 5, 10)]
    assert utilities[1] == pytest.approx(1.303485, abs=1e-6)


def test_who_is_slower_than_preferred_counts_less() -> None:
    fleet = [told(place, 2.0, seconds=took) for place, took in enumerate([10.0, 40.0, 20.0])]
    half = Guide(Oort(**{**PURE, "preferred": 0.5}))
    assert half.utilities(fleet, round=0) == [1.0, (20.0 / 40.0) ** 2, 1.0]
    mild = Guide(Oort(**{**PURE, "preferred": 0.0, "penalty": 1.0}))
    assert mild.utilities(fleet, round=0) == [1.0, 0.25, 0.5]


# --- exploitation and exploration -----------------------------------------------------------------


def test_only_who_is_close_to_the_cut_off_is_admitted() -> None:
    fleet = [told(index, 1.0 + loss) for index, loss in enumerate([0.0, 0.5, 0.96, 1.0])]
    times = [0] * 4
    for number in range(2000):
        [chosen] = Oort(**PURE).begin().choose(fleet, 1, situation(0, seed=number))
        times[chosen.index] += 1
    assert times[:2] == [0, 0]
    assert times[2] / 2000 == pytest.approx(0.96 / 1.96, abs=0.035), "in proportion to utility"


def test_the_share_of_new_clients_shrinks_to_its_least() -> None:
    policy = Oort()
    assert policy.epsilon(0) == 0.9
    assert policy.epsilon(1) == pytest.approx(0.882)
    assert policy.epsilon(10) == pytest.approx(0.735366, abs=1e-6)
    assert policy.epsilon(74) == pytest.approx(0.201824, abs=1e-6)
    assert policy.epsilon(75) == policy.epsilon(10_000) == 0.2


@pytest.mark.parametrize(("round", "new"), [(0, {9}), (1, {8, 9}), (100, {2})])
def test_a_cohort_has_its_share_of_new_clients(round: int, new: set[int]) -> None:
    fleet = [told(index, 1.0) if index % 2 else known(index) for index in range(40)]
    seen = set[int]()
    for seed in range(40):
        chosen = Oort().begin().choose(fleet, 10, situation(round, seed=seed))
        assert len(chosen) == 10
        seen.add(sum(candidate.loss is None for candidate in chosen))
    assert seen == new


def test_who_asks_one_at_a_time_explores_too() -> None:
    fleet = [told(index, 1.0) if index % 2 else known(index) for index in range(10)]
    new = 0
    for seed in range(1000):
        [chosen] = Oort().begin().choose(fleet, 1, situation(100, seed=seed))
        new += chosen.loss is None
    assert 160 < new < 240


@pytest.mark.parametrize("explored", [0, 2, 5, 8, 10])
def test_too_few_of_one_kind_are_made_up_for_by_the_other(explored: int) -> None:
    fleet = [told(index, 1.0) if index < explored else known(index) for index in range(10)]
    chosen = Oort().begin().choose(fleet, 9, situation(50))
    assert len(chosen) == 9
    assert [one.index for one in chosen] == sorted({one.index for one in chosen})


def test_who_took_part_often_enough_is_left_out_while_others_are_there() -> None:
    fleet = [told(index, 1.0, delivered=3 if index < 4 else 1) for index in range(8)]
    for seed in range(20):
        chosen = Oort(most=3).begin().choose(fleet, 4, situation(9, seed=seed))
        assert [candidate.index for candidate in chosen] == [4, 5, 6, 7]
    assert len(Oort(most=3).begin().choose(fleet, 5, situation(9))) == 5


# --- pacer ----------------------------------------------------------------------------------------


def paced(losses: list[float]) -> list[float]:
    """The preferred quantile before each round, if everybody reports the round's loss."""
    guide, fleet = Oort(cohort=2, preferred=0.3, delta=0.1, window=2).begin(), [known(0), known(1)]
    preferred: list[float] = []
    for number, loss in enumerate([*losses, 0.0]):
        about = situation(number)
        chosen = guide.choose(fleet, 2, about)
        preferred.append(guide.preferred)
        for candidate in chosen:
            take_part(candidate, about, loss=loss, seconds=1.0)
    return preferred


def test_rounds_may_take_longer_when_less_is_learned() -> None:
    # Rounds 0, 1 achieve 2 x 10 x (8 + 6), rounds 2, 3 less, rounds 4, 5 less again.
    assert paced([8.0, 6.0, 5.0, 4.0, 3.0, 2.0]) == pytest.approx([0.3] * 4 + [0.4] * 2 + [0.5])


def test_rounds_stay_as_they_are_while_as_much_is_learned() -> None:
    assert paced([1.0, 1.0, 1.0, 1.0, 2.0, 3.0]) == [0.3] * 7


def test_a_window_is_compared_as_a_whole() -> None:
    assert paced([2.0, 2.0, 1.0, 3.0]) == [0.3] * 5
    assert paced([2.0, 2.0, 1.0, 2.9]) == pytest.approx([0.3] * 4 + [0.4])


def test_the_preferred_duration_ends_at_the_longest() -> None:
    losses = [100.0 / (number + 1) for number in range(40)]
    assert paced(losses)[-1] == 1.0


def test_who_was_dropped_achieves_nothing() -> None:
    guide, fleet = Oort(window=1, delta=0.1).begin(), [known(0), known(1)]
    for number, delivering in enumerate([fleet, fleet[:1], []]):
        about = situation(number)
        guide.choose(fleet, 2, about)
        for candidate in delivering:
            take_part(candidate, about, loss=1.0, seconds=1.0)
        for candidate in fleet:
            candidate.last_asked = number
    assert guide.preferred == pytest.approx(0.4), "one update in round 1 after two in round 0"
    guide.choose(fleet, 2, situation(3))
    assert guide.preferred == pytest.approx(0.5), "none in round 2"


# --- EAFL -----------------------------------------------------------------------------------------


def test_power_is_what_would_be_left() -> None:
    assert power(known(0, charge=0.8, spent=0.1)) == pytest.approx(0.7)
    assert power(known(0, charge=0.8)) == 0.8
    assert power(known(0, charge=0.05, spent=0.1)) == 0.0
    assert power(known(0)) == 1.0, "on mains"


def test_reward_weighs_utility_and_power() -> None:
    full, low = told(0, 1.0, charge=1.0, spent=0.2), told(1, 2.0, charge=0.3, spent=0.1)
    policy = EAFL(**PURE)
    utilities = Guide(policy).utilities([full, low], round=0)
    assert utilities == [0.0, 1.0]
    rewards = [policy.reward(*pair) for pair in zip([full, low], utilities, strict=True)]
    assert rewards == [pytest.approx(0.75 * 0.8), pytest.approx(0.25 + 0.75 * 0.2)]


@pytest.mark.parametrize(("f", "asked"), [(0.0, 0), (0.25, 0), (0.75, 1), (1.0, 1)])
def test_the_weight_decides_between_a_full_battery_and_a_high_loss(f: float, asked: int) -> None:
    fleet = [told(0, 1.0, charge=1.0, spent=0.2), told(1, 2.0, charge=0.3, spent=0.1)]
    for seed in range(20):
        [chosen] = EAFL(f=f, **PURE).begin().choose(fleet, 1, situation(0, seed=seed))
        assert chosen.index == asked


def test_oort_does_not_look_at_batteries() -> None:
    mains = [told(index, 1.0 + index % 3) for index in range(9)]
    low = [told(index, 1.0 + index % 3, charge=0.01 * index) for index in range(9)]
    for seed in range(20):
        about, again = situation(5, seed=seed), situation(5, seed=seed)
        first, second = (
            Oort().begin().choose(fleet, 3, when) for fleet, when in ((mains, about), (low, again))
        )
        assert [one.index for one in first] == [one.index for one in second]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cohort": 0}, "cohort is 0"),
        ({"window": 0}, "window is 0"),
        ({"penalty": -1.0}, "penalty is -1"),
        ({"most": 0}, "most is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    for policy in (Oort, EAFL):
        with pytest.raises(SpecError, match=words):
            policy(**options)


def test_who_was_asked_and_never_delivered_is_not_new() -> None:
    """It has been tried; of those that were, it is the least worth asking."""
    silent = [known(place, asked=3, loss=None) for place in range(3)]
    heard = [known(place, asked=3, loss=1.0, samples=10) for place in range(3, 6)]
    chosen = Oort(cohort=3, exploration=0.0, exploration_least=0.0).begin().choose(
        [*silent, *heard], 3, situation(5)
    )  # fmt: skip
    assert chosen == heard
