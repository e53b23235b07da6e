"""The search: no point twice, the same for the same answers, and far better than chance."""

from __future__ import annotations

from math import exp
from statistics import mean

import pytest

from hetsim.study.front import front, hypervolume
from hetsim.study.search import BATCH, Search, Told
from hetsim.study.space import Point, Space, space

SPACE = space(["a=0,1,2,3,4,5", "b=0,1,2,3,4", "c=0,1,2,3", "d=w,x,y,z", "e=p,q,r"])  # 1,440 points


def taken(point: Point) -> tuple[float, float, float]:
    """Seconds, joules and price of a made-up fleet: two kinds of boards, a server, a radio."""
    weak, strong, ram = (float(each) for each in point[:3])
    radio = {"w": (1.0, 6.0, 40.0), "x": (0.8, 12.0, 80.0), "y": (1.6, 4.0, 150.0),
             "z": (2.5, 2.0, 20.0)}[point[3]]  # fmt: skip
    pace, power, cost = {"p": (1.0, 65.0, 900.0), "q": (1.3, 15.0, 250.0), "r": (1.6, 6.0, 90.0)}[
        point[4]
    ]
    speed = 0.1 + weak + 3.5 * strong
    time = 60.0 / speed * (1.0 + 0.2 * exp(-ram)) * radio[0] ** 0.3 + 5.0 * pace * (
        1.0 + 0.1 * weak
    )
    energy = time * (power + radio[1] + 4.0 * weak + 11.0 * strong + ram)
    return time, energy, 75.0 * weak + 400.0 * strong + 30.0 * ram + radio[2] + cost


def played(search: Search) -> list[Point]:
    asked: list[Point] = []
    while points := search.ask():
        assert len(points) <= BATCH
        asked += points
        search.tell([Told(values=taken(point), misses=()) for point in points])
    return asked


def share(space: Space, seed: int, most: int) -> float:
    """Of the hypervolume of the true front, what a search finds."""
    whole = [taken(point) for point in space.points()]
    true = [whole[place] for place in front(whole)]
    reference = tuple(max(each[axis] for each in true) * 1.1 for axis in range(3))
    found = [taken(p) for p in played(Search(space=space, objectives=3, seed=seed, most=most))]
    return hypervolume(found, reference) / hypervolume(true, reference)


@pytest.mark.slow
def test_it_finds_the_front_with_few_evaluations() -> None:
    most = int(0.15 * SPACE.size)
    shares = [share(SPACE, seed, most) for seed in range(3)]
    assert mean(shares) > 0.95
    assert min(shares) > 0.9


def test_no_point_is_given_out_twice_and_a_seed_repeats_itself() -> None:
    one, again, other = (
        played(Search(space=SPACE, objectives=3, seed=seed, most=60)) for seed in (0, 0, 1)
    )
    assert len(set(one)) == len(one) == 60
    assert one == again
    assert one != other


def test_a_space_that_is_small_enough_is_given_out_whole() -> None:
    small = space(["a=0,1,2", "d=w,x", "method.lr=1..5"])
    asked: list[Point] = []
    search = Search(space=small, objectives=2, seed=0, most=30)
    while points := search.ask():
        asked += points
        search.tell([Told(values=(1.0, 2.0), misses=()) for _ in points])
    assert asked == list(small.points())


def test_a_space_may_be_nearly_used_up() -> None:
    small = space(["a=0,1,2", "d=w,x,y", "method.lr=1..4"])
    search = Search(space=small, objectives=1, seed=0, most=35)
    asked: list[Point] = []
    while points := search.ask():
        asked += points
        search.tell([Told(values=(None,), misses=(1.0,)) for _ in points])
    assert len(set(asked)) == len(asked) == 35


def test_what_misses_goals_is_left_behind() -> None:
    """Where no more than 300 may be spent, the search spends more rarely than chance would."""
    whole = [taken(point)[2] <= 300.0 for point in SPACE.points()]
    search = Search(space=SPACE, objectives=2, seed=3, most=120)
    kept: list[bool] = []
    while points := search.ask():
        told = [taken(point) for point in points]
        kept += [price <= 300.0 for _, _, price in told]
        search.tell([
            Told(values=(time, energy), misses=((price - 300.0) / 300.0,))
            for time, energy, price in told
        ])  # fmt: skip
    assert mean(kept[60:]) > 3.0 * mean(whole)
