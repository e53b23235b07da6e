from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise
from math import pi

import pytest

from hetsim.core.quantities import WATT_HOUR
from hetsim.core.rng import rng
from hetsim.sim.sunlight import DAY, Sunlight, irradiance
from hetsim.sim.supply import Charger, Replay, together


def test_a_charger_without_windows_never_stops() -> None:
    assert list(Charger(power=5.0).changes()) == [(0.0, 5.0)]


def test_windows_repeat_after_the_period() -> None:
    charger = Charger(power=5.0, on=((0.0, 1.0), (3.0, 4.0)), period=10.0)
    assert list(islice(charger.changes(), 6)) == [
        (0.0, 5.0), (1.0, 0.0), (3.0, 5.0), (4.0, 0.0), (10.0, 5.0), (11.0, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "on", [((2.0, 1.0),), ((1.0, 1.0),), ((1.0, 3.0), (2.0, 4.0)), ((8.0, 12.0),)]
)
def test_windows_that_cannot_be_are_refused(on: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="windows"):
        Charger(power=5.0, on=on, period=10.0)


def test_a_replay_loops_or_stays() -> None:
    rows = ((0.0, 1.0), (2.0, 3.0))
    assert list(Replay(rows=rows, end="clamp").changes()) == list(rows)
    assert list(islice(Replay(rows=rows).changes(), 5)) == [
        (0.0, 1.0), (2.0, 3.0), (4.0, 1.0), (6.0, 3.0), (8.0, 1.0),
    ]  # fmt: skip


def test_a_replay_that_never_changes_ends() -> None:
    assert list(Replay(rows=((0.0, 2.0), (5.0, 2.0))).changes()) == [(0.0, 2.0), (5.0, 2.0)]
    assert list(Replay(rows=((0.0, 2.0),)).changes()) == [(0.0, 2.0)]


def test_sources_add_up_and_equal_steps_are_one() -> None:
    night = Charger(power=5.0, on=((2.0, 4.0),), period=6.0)
    panel = Replay(rows=((0.0, 0.0), (1.0, 3.0), (2.0, 3.0)), end="clamp")
    assert list(islice(together([night, panel]), 6)) == [
        (0.0, 0.0), (1.0, 3.0), (2.0, 8.0), (4.0, 3.0), (8.0, 8.0), (10.0, 3.0),
    ]  # fmt: skip


def test_sources_that_swap_are_no_step() -> None:
    one = Replay(rows=((0.0, 3.0), (1.0, 0.0)), end="clamp")
    other = Replay(rows=((0.0, 0.0), (1.0, 3.0)), end="clamp")
    assert list(together([one, other])) == [(0.0, 3.0)]


def test_the_sun_stands_where_geometry_says() -> None:
    """At the summer solstice noon in Berlin its height is 90 - 52.5 + 23.45 degrees."""
    assert irradiance(52.5 / 180 * pi, 172, 0.5) == pytest.approx(900.0, rel=0.01)
    assert irradiance(52.5 / 180 * pi, 355, 0.5) < 230.0
    assert irradiance(80.0 / 180 * pi, 355, 0.5) == 0.0, "polar night"
    assert irradiance(80.0 / 180 * pi, 172, 0.0) > 0.0, "midnight sun"


def test_a_clear_day_is_even_about_noon() -> None:
    panel = Sunlight(peak=10.0, latitude=0.9, rng=rng(0, "sim/solar", "a"))
    steps = list(islice(panel.changes(), 2 * 288))
    assert [t for t, _ in steps[:2]] == [0.0, 300.0]
    assert steps[288][0] == DAY
    day = [watts for _, watts in steps[:288]]
    assert day == pytest.approx(day[::-1], abs=1e-9)
    assert max(day) < 10.0
    joules = 300.0 * sum(day)
    assert 80.0 < joules / WATT_HOUR < 90.0, "of a 10 W panel on the longest day"


def test_clouds_scale_whole_days_and_are_drawn_from_their_stream() -> None:
    def days(name: str) -> list[float]:
        clear = Sunlight(peak=10.0, latitude=0.9, rng=rng(0, "sim/solar", name))
        cloudy = Sunlight(
            peak=10.0, latitude=0.9, clearness=(0.2, 0.9), rng=rng(0, "sim/solar", name)
        )
        noon = [144 + 288 * day for day in range(5)]
        pairs = zip(islice(cloudy.changes(), 1441), islice(clear.changes(), 1441), strict=True)
        ratios = [ours[1] / theirs[1] for i, (ours, theirs) in enumerate(pairs) if i in noon]
        return ratios

    first = days("a")
    assert first == days("a")
    assert first != days("b")
    assert all(0.2 <= ratio <= 0.9 for ratio in first)
    assert all(one != other for one, other in pairwise(first))


@pytest.mark.parametrize("clock", [0.0, 12 * 3600.0, 45_100.0])
def test_a_panel_can_begin_at_any_time_of_the_day(clock: float) -> None:
    """From there on it gives what it gives at that time of the day."""
    panel = Sunlight(peak=10.0, latitude=0.9, rng=rng(0, "sim/solar", "a"))
    course = list(islice(panel.changes(), 400))
    later = list(islice(replace(panel, clock=clock).changes(), 100))
    held = [watts for when, watts in course if when <= clock][-1]
    assert later[0] == (0.0, held)
    assert later[1:] == [(when - clock, watts) for when, watts in course if when > clock][:99]
