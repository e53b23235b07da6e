"""Rankings and draws."""

from __future__ import annotations

from collections import Counter

import pytest

from hetsim.federation.selection.base import best, draw
from hetsim.testing.selection import known, situation

FLEET = [known(index) for index in range(6)]


def test_draws_are_in_proportion_to_the_weights() -> None:
    first, second = Counter[str](), Counter[str]()
    for number in range(4000):
        one, two = draw("abc", 2, [1.0, 3.0, 4.0], situation(number).rng)
        first[one] += 1
        second[one + two] += 1
    assert first["a"] / 4000 == pytest.approx(1 / 8, abs=0.02)
    assert first["b"] / 4000 == pytest.approx(3 / 8, abs=0.02)
    assert second["cb"] / 4000 == pytest.approx(4 / 8 * 3 / 4, abs=0.02), "among those left"


def test_what_weighs_nothing_comes_last_and_then_by_chance() -> None:
    last = Counter[str]()
    for number in range(1000):
        drawn = draw("abcd", 4, [0.0, 2.0, 0.0, 5.0], situation(number).rng)
        assert set(drawn[:2]) == {"b", "d"}
        last[drawn[3]] += 1
    assert 430 < last["a"] < 570


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_no_more_is_drawn_than_there_is(count: int) -> None:
    drawn = draw("ab", count, [1.0, 1.0], situation().rng)
    assert len(drawn) == len(set(drawn)) == min(count, 2)


def test_a_draw_that_rounding_takes_past_the_end_is_the_last_that_weighs() -> None:
    class Almost:
        def random(self) -> float:
            return 1.0

    assert draw("abc", 1, [0.1, 0.2, 0.0], Almost()) == ["b"]  # pyright: ignore[reportArgumentType]


def test_the_best_are_taken_in_fleet_order() -> None:
    score = {0: 1.0, 1: 5.0, 2: 3.0, 3: 4.0, 4: 0.0, 5: 2.0}
    taken = best(FLEET, 3, lambda one: score[one.index], situation().rng)
    assert [candidate.index for candidate in taken] == [1, 2, 3]


def test_chance_decides_among_equals() -> None:
    times = Counter[int]()
    for number in range(600):
        taken = best(FLEET, 2, lambda one: float(one.index == 4), situation(number).rng)
        times.update(candidate.index for candidate in taken)
    assert times.pop(4) == 600
    assert all(80 < often < 160 for often in times.values())
