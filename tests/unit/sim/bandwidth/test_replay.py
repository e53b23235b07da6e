from math import inf
from typing import Any

import pytest

from hetsim.core.rng import rng
from hetsim.sim.bandwidth.base import Points
from hetsim.sim.bandwidth.replay import Recording, Replay

POINTS = Points(times=(5.0, 6.0, 8.0), rates=(10.0, 0.0, 30.0))
DRAWS = rng(0, "sim/bandwidth", "x")


def followed(recording: Recording, until: float) -> list[tuple[float, float]]:
    """(instant, rate) of every change before `until`."""
    now, steps = 0.0, []
    while now < until:
        rate, after = recording.at(now)
        assert after > now
        steps.append((now, rate))
        now = after
    return steps


def test_time_counts_from_the_first_row_and_the_last_row_lasts_like_the_one_before():
    recording = Replay(file="x.csv").signal(POINTS, DRAWS)
    expected = [(0.0, 10.0), (1.0, 0.0), (3.0, 30.0), (5.0, 10.0), (6.0, 0.0), (8.0, 30.0)]
    assert followed(recording, 10.0) == expected


def test_clamped_it_keeps_its_last_rate():
    recording = Replay(file="x.csv", end="clamp").signal(POINTS, DRAWS)
    assert followed(recording, 1e6) == [(0.0, 10.0), (1.0, 0.0), (3.0, 30.0)]
    assert recording.at(1e9) == (30.0, inf)


def test_the_answer_does_not_depend_on_when_it_was_asked():
    asked, fresh = (Replay(file="x.csv").signal(POINTS, DRAWS) for _ in range(2))
    followed(asked, 1000.0)
    assert asked.at(1003.5) == fresh.at(1003.5)


@pytest.mark.parametrize("period", [0.1, 1 / 3, 0.7])
def test_rounding_never_lets_it_stand_still(period: float):
    points = Points(times=(0.0, period / 2), rates=(1.0, 2.0))
    recording = Replay(file="x.csv").signal(points, DRAWS)
    steps = followed(recording, 500.0)
    assert len(steps) == pytest.approx(500.0 / (period / 2), abs=1.5)
    assert [rate for _, rate in steps[:6]] == [1.0, 2.0] * 3
    rate, until = recording.at(3e9)
    assert until > 3e9
    assert rate in (1.0, 2.0)


def test_a_random_start_shifts_the_loop():
    recording = Replay(file="x.csv", start="random").signal(POINTS, rng(1, "sim/bandwidth", "y"))
    assert 0.0 < recording.offset < recording.period == 5.0
    plain = Replay(file="x.csv").signal(POINTS, DRAWS)
    for now in (0.0, 0.4, 2.2, 7.7):
        assert recording.at(now)[0] == plain.at(now + recording.offset)[0]


def test_one_row_is_constant():
    recording = Replay(file="x.csv").signal(Points(times=(3.0,), rates=(7.0,)), DRAWS)
    assert recording.at(123.0) == (7.0, inf)


@pytest.mark.parametrize(
    "options", [{"file": ""}, {"file": "x.csv", "end": "clamp", "start": "random"}]
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"empty|loop"):
        Replay(**options)
