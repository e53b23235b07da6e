from __future__ import annotations

import pytest

from hetsim.core.trace import Progress
from hetsim.study.remaining import Remaining, share


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_simulated_but_not_computed_is_not_done() -> None:
    assert share(Progress(round=10, rounds=10, asked=100.0, computed=25.0)) == 0.25
    assert share(Progress(round=5, rounds=10)) == 0.5
    assert share(Progress(round=0, rounds=10, asked=1.0)) == 0.0


def test_the_limit_that_comes_first_counts() -> None:
    assert share(Progress(round=1, rounds=1000, t=30.0, limit=60.0)) == 0.5
    assert share(Progress(round=1, rounds=1, t=90.0, limit=60.0)) == 1.0


def test_a_steady_run_is_foreseen_exactly() -> None:
    clock = Clock()
    remaining = Remaining(clock)
    assert remaining.after(Progress(round=0, rounds=100)) is None
    left = None
    for done in range(1, 101):
        clock.now += 0.5
        left = remaining.after(Progress(round=done, rounds=100))
        if done >= 2:
            assert left == pytest.approx((100 - done) * 0.5)
    assert left == 0.0


def test_what_came_from_a_store_says_nothing() -> None:
    """Half of the rounds at once, the others a second each."""
    clock = Clock()
    remaining = Remaining(clock)
    for done in range(0, 101, 20):
        clock.now += 0.1
        assert remaining.after(Progress(round=done, rounds=200, read=done)) is None
    for done in range(101, 131):
        clock.now += 1.0
        left = remaining.after(Progress(round=done, rounds=200, read=100))
        assert left == pytest.approx(200 - done)


def test_nothing_is_said_while_nothing_moves() -> None:
    clock = Clock()
    remaining = Remaining(clock)
    for _ in range(3):
        clock.now += 5.0
        assert remaining.after(Progress(round=0, rounds=10)) is None
