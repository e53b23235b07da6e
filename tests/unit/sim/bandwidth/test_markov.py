from itertools import pairwise
from math import exp

import pytest

from hetsim.core.rng import rng
from hetsim.sim.bandwidth.markov import Draws, Markov

LEVELS = Markov(low=44.0, median=429.0, high=1180.0, dwell=20.0)


def signal(name: str = "a") -> Draws:
    return LEVELS.signal(None, rng(0, "sim/bandwidth", name))


def sampled(draws: Draws, count: int, step: float) -> list[float]:
    return [draws.at(step * i)[0] for i in range(count)]


def test_shares_and_mean_are_those_of_the_rule():
    rates = sampled(signal(), 60_000, 20.0)
    shares = [rates.count(level) / len(rates) for level in (44.0, 429.0, 1180.0)]
    assert shares == pytest.approx([0.3, 0.4, 0.3], abs=0.01)
    assert sum(rates) / len(rates) == pytest.approx(538.8, rel=0.02)


def test_it_forgets_with_the_dwell_time():
    rates = sampled(signal(), 60_000, 10.0)
    mean = sum(rates) / len(rates)
    spread = sum((rate - mean) ** 2 for rate in rates) / len(rates)
    pairs = list(pairwise(rates))
    together = sum((a - mean) * (b - mean) for a, b in pairs) / len(pairs)
    assert together / spread == pytest.approx(exp(-10 / 20), abs=0.02)


def test_a_stream_depends_on_its_name_alone():
    often, seldom = signal(), signal()
    sampled(often, 500, 1.0)
    assert often.at(5000.0) == seldom.at(5000.0)
    assert sampled(signal(), 50, 20.0) != sampled(signal("b"), 50, 20.0)


def test_the_next_change_lies_ahead():
    draws = signal()
    for now in (0.0, 1.0, 77.0, 1e6):
        assert draws.at(now)[1] > now


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"low": 2.0, "median": 1.0, "high": 3.0}, "rise"),
        ({"low": 0.0, "median": 0.0, "high": 0.0}, "above zero"),
        ({"low": 0.0, "median": 0.0, "high": 1.0, "dwell": 0.0}, "dwell"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, float], fault: str):
    with pytest.raises(ValueError, match=fault):
        Markov(**options)
