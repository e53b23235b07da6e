"""The power of choice."""

from __future__ import annotations

from collections import Counter
from math import inf

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.selection.power_of_choice import PowerOfChoice
from hetsim.testing.selection import known, situation

FLEET = [known(index, loss=float(index)) for index in range(20)]


def test_of_all_it_takes_those_of_highest_loss() -> None:
    chosen = PowerOfChoice(factor=10.0).choose(FLEET, 3, situation())
    assert [candidate.index for candidate in chosen] == [17, 18, 19]


def test_who_was_never_heard_of_comes_first() -> None:
    fleet = [*FLEET[:5], known(5, loss=None), *FLEET[6:]]
    chosen = PowerOfChoice(factor=10.0).choose(fleet, 2, situation())
    assert [candidate.index for candidate in chosen] == [5, 19]


def test_among_the_never_heard_the_draw_decides() -> None:
    fleet = [known(index) for index in range(6)]
    times = Counter[int]()
    for number in range(600):
        chosen = PowerOfChoice(factor=3.0).choose(fleet, 2, situation(number))
        times.update(candidate.index for candidate in chosen)
    assert all(150 < often < 250 for often in times.values()), times


def mean_loss(factor: float) -> float:
    """Of whom a policy asks in a thousand rounds."""
    policy = PowerOfChoice(factor=factor)
    chosen = [one for number in range(1000) for one in policy.choose(FLEET, 2, situation(number))]
    assert len(chosen) == 2000
    return sum(candidate.loss or 0.0 for candidate in chosen) / len(chosen)


def test_more_candidates_mean_more_bias() -> None:
    uniform = sum(range(20)) / 20
    # The expected two highest of d out of 0 .. 19 are (20 + 1) d / (d + 1) - 1 and one step below:
    # their mean is 21 (d - 1/2) / (d + 1) - 1.
    assert mean_loss(1.0) == pytest.approx(uniform, abs=0.4)
    assert mean_loss(2.0) == pytest.approx(21 * 3.5 / 5 - 1, abs=0.4)
    assert mean_loss(5.0) == pytest.approx(21 * 9.5 / 11 - 1, abs=0.4)


def test_large_shards_are_drawn_more_often() -> None:
    fleet = [known(index, samples=size) for index, size in enumerate([10, 10, 20, 60])]
    times = Counter[int]()
    for number in range(2000):
        [chosen] = PowerOfChoice(factor=1.0).choose(fleet, 1, situation(number))
        times[chosen.index] += 1
    assert [times[place] / 2000 for place in range(4)] == pytest.approx(
        [0.1, 0.1, 0.2, 0.6], abs=0.03
    )


def test_fresh_losses_are_asked_of_the_drawn_only() -> None:
    policy = PowerOfChoice(loss="fresh", factor=3.0)
    polled = policy.poll(FLEET, 2, situation())
    assert len(polled) == 6
    assert policy.poll(FLEET, 2, situation(1)) != polled
    answered = [known(one.index, loss=100.0 - one.index) for one in polled]
    chosen = policy.choose(answered, 2, situation())
    assert [one.index for one in chosen] == [one.index for one in polled[:2]]


def test_nobody_is_polled_in_vain() -> None:
    assert PowerOfChoice(loss="reported").poll(FLEET, 2, situation()) == []
    assert PowerOfChoice(loss="fresh").poll(FLEET[:2], 2, situation()) == []


@pytest.mark.parametrize("factor", [0.9, 0.0, -inf])
def test_it_draws_at_least_as_many_as_it_asks(factor: float) -> None:
    with pytest.raises(SpecError, match="factor is"):
        PowerOfChoice(factor=factor)
