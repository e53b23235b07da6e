"""The setting for a deadline."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.study.deadline import MULTIPLES, choose, study
from hetsim.study.transfer import Prediction
from tests.unit.study.boards import CLOCKS, FORM, swept

POSITIVE = st.floats(0.01, 100.0)


def prediction(time: list[float], energy: list[float], spread: float = 0.0) -> Prediction:
    values, joules = np.array(time), np.array(energy)
    return Prediction(
        clocks=CLOCKS[: len(values)],
        time=values,
        energy=joules,
        middle=values,
        spread=np.full(len(values), spread),
        mean_energy=joules,
        validated=None,
    )


def test_the_cheapest_in_time_is_chosen() -> None:
    known = prediction([1.0, 2.0, 3.0], [9.0, 5.0, 4.0])
    assert [choose(known, each).row for each in (1.0, 2.0, 2.9, 3.0)] == [0, 1, 1, 2]


def test_the_margin_keeps_a_risky_setting_out() -> None:
    known = prediction([1.0, 1.9], [9.0, 5.0], spread=0.05)
    assert choose(known, 2.0, confidence=0.5).row == 1
    risky = choose(known, 2.0, confidence=0.98)
    assert risky.row == 0
    assert risky.bound == pytest.approx(np.exp(0.05 * 2.0537489))
    assert risky.safe


def test_where_nothing_is_safe_the_lowest_bound_is_chosen_and_marked() -> None:
    choice = choose(prediction([2.0, 1.0], [1.0, 5.0]), 0.5)
    assert (choice.row, choice.safe) == (1, False)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=20), POSITIVE, POSITIVE)
def test_more_time_never_costs_more_joules(
    settings: list[tuple[float, float]], one: float, other: float
) -> None:
    known = prediction([each[0] for each in settings], [each[1] for each in settings], 0.1)
    soon, late = (choose(known, each) for each in sorted((one, other)))
    if soon.safe:
        assert late.safe
        assert late.energy <= soon.energy


@pytest.mark.parametrize("deadline", [0.0, -1.0, nan])
def test_no_deadline_is_refused(deadline: float) -> None:
    with pytest.raises(SpecError, match="no deadline"):
        choose(prediction([1.0], [1.0]), deadline)


@pytest.mark.parametrize("confidence", [0.49, 1.0, inf, nan])
def test_no_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(SpecError, match="no confidence"):
        choose(prediction([1.0], [1.0]), 1.0, confidence)


def test_deadlines_of_a_study_reach_from_1_2_to_4() -> None:
    assert (MULTIPLES[0], MULTIPLES[-1], len(MULTIPLES)) == (1.2, 4.0, 15)


def test_the_truth_itself_is_the_best_choice() -> None:
    truth = swept(FORM)
    known = Prediction(
        clocks=CLOCKS, time=truth.time, energy=truth.energy, middle=truth.time,
        spread=np.zeros(len(CLOCKS)), mean_energy=truth.energy, validated=None,
    )  # fmt: skip
    outcome = study(known, truth)
    assert (outcome.excess, outcome.met) == (0.0, 1.0)


def test_joules_above_the_best_and_missed_deadlines_are_counted() -> None:
    truth = swept(FORM, CLOCKS[-3:])
    fast, order = np.argmin(truth.time), np.argsort(truth.time)
    slow = int(order[-1])
    wrong = prediction([1.0] * 3, [1.0] * 3)
    energy = np.full(3, 2.0)
    energy[slow] = 1.0
    wrong = Prediction(
        clocks=truth.clocks, time=wrong.time, energy=energy, middle=wrong.time * 1e-6,
        spread=wrong.spread, mean_energy=energy, validated=None,
    )  # fmt: skip
    barely = float(truth.time[slow] / truth.time[fast])
    outcome = study(wrong, truth, multiples=(1.0, barely * (1 + 1e-12)))
    best = [truth.energy[fast], truth.energy.min()]
    assert outcome.met == 0.5
    assert outcome.excess == pytest.approx(np.mean(truth.energy[slow] / np.array(best) - 1.0))


def test_a_truth_of_other_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="different settings"):
        study(prediction([1.0], [1.0]), swept(FORM))
