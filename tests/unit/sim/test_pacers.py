"""Policies that pace: what they choose, that they keep deadlines, and what they learn."""

from __future__ import annotations

from itertools import pairwise, product
from math import exp, floor, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.sim.governors._experience import Experience
from hetsim.sim.governors._mix import mix
from hetsim.sim.governors._pacing import Pacer, Settings, Stretch
from hetsim.sim.governors.best_single import BestSingle
from hetsim.sim.governors.deadline_feedback import DeadlineFeedback
from hetsim.sim.governors.deadline_oracle import DeadlineOracle
from hetsim.sim.governors.race_to_idle import RaceToIdle

CLOCKS = list(product(np.linspace(0.2, 1.0, 8).tolist(), np.linspace(0.1, 1.0, 10).tolist()))


def board(error: float = 0.0, seed: int = 0) -> Settings:
    """80 settings of two clocks, each off by an error of its own."""
    random = np.random.default_rng(seed)
    times, energies = [], []
    for cpu, gpu in CLOCKS:
        time = 0.02 + 0.03 / cpu + 0.15 / gpu
        power = 2.0 + 3.0 * cpu**3 + 9.0 * gpu**3
        slow, dear = np.exp(error * random.normal(size=2)).tolist()
        times.append(time * slow)
        energies.append(time * slow * power * dear)
    return Settings(clocks=CLOCKS, times=times, energies=energies)


TRUTH = board()
FASTEST = TRUTH.times[-1]


def job(
    pacer: Pacer, items: float, seconds: float, truth: Settings = TRUTH, speeds: object = None
) -> tuple[float, float, list[Stretch]]:
    """Seconds and joules of a job, and its stretches; `speeds` divides each item's time."""
    slow = np.ones(int(items) + 1) if speeds is None else 1.0 / np.asarray(speeds)
    left, busy, energy, stretches = items, 0.0, 0.0, []
    pacer.begin(items, seconds)
    while left > 1e-9:
        stretch = pacer.next(left, seconds - busy)
        assert stretch.items > 0.0
        count = min(stretch.items, left)
        first = floor(items - left)
        share = float(slow[first : max(floor(items - left + count), first + 1)].mean())
        took, drew = (count * share * each[stretch.setting]
                      for each in (truth.times, truth.energies))  # fmt: skip
        pacer.told(Stretch(stretch.setting, count), took, drew)
        left, busy, energy = left - count, busy + took, energy + drew
        stretches.append(Stretch(stretch.setting, count))
        assert len(stretches) < 500
    return busy, energy, stretches


def bound(items: int, seconds: float) -> float:
    counts = mix(TRUTH.times, TRUTH.energies, items, seconds)
    return sum(TRUTH.energies[i] * n for i, n in counts.items())


@pytest.mark.parametrize(
    "policy", [RaceToIdle(), BestSingle(), DeadlineOracle(), DeadlineFeedback()]
)
@given(
    items=st.one_of(st.integers(1, 60), st.floats(0.05, 40.0)),
    ratio=st.one_of(st.floats(0.5, 5.0), st.just(1.0), st.just(inf)),
)
@settings(max_examples=25)
def test_does_every_job_to_its_end_and_in_time_if_there_is_a_way(
    policy: DeadlineFeedback, items: float, ratio: float
) -> None:
    seconds = ratio * items * FASTEST
    busy, energy, stretches = job(policy.pacer(TRUTH), items, seconds)
    if ratio >= 1.0:
        assert busy <= seconds * (1.0 + 1e-8)
    if ratio == inf:
        least = items * min(TRUTH.energies)
        dearer = {RaceToIdle(): inf, DeadlineFeedback(): 1.05}.get(policy, 1.0 + 1e-9)
        assert least * (1.0 - 1e-9) <= energy <= least * dearer
    if items == round(items):
        assert all(each.items == round(each.items) for each in stretches)


@pytest.mark.parametrize("ratio", [1.05, 1.3, 2.0, 4.0])
def test_nobody_beats_the_oracle(ratio: float) -> None:
    items, seconds = 100, 100 * ratio * FASTEST
    spent = [
        job(policy.pacer(TRUTH), items, seconds)[1]
        for policy in (DeadlineOracle(), DeadlineFeedback(), BestSingle(), RaceToIdle())
    ]
    assert spent[0] == pytest.approx(bound(items, seconds), rel=1e-9)
    assert all(each >= spent[0] * (1 - 1e-9) for each in spent)
    assert spent[0] <= spent[2] <= spent[3]
    assert spent[1] <= 1.02 * spent[0]


def test_the_best_single_is_the_cheapest_in_time():
    seconds = 50 * 1.5 * FASTEST
    _, energy, stretches = job(BestSingle().pacer(TRUTH), 50, seconds)
    in_time = [e for t, e in zip(TRUTH.times, TRUTH.energies, strict=True) if 50 * t <= seconds]
    assert energy == pytest.approx(50 * min(in_time))
    assert len(stretches) == 1


def test_racing_is_at_the_highest_clocks():
    _, _, stretches = job(RaceToIdle().pacer(TRUTH), 5, 1e9)
    assert stretches == [Stretch(TRUTH.highest, 5)]


@pytest.mark.parametrize("policy", [BestSingle(), DeadlineOracle()])
def test_a_plan_that_would_be_late_is_made_anew(policy: BestSingle) -> None:
    pacer = policy.pacer(TRUTH)
    pacer.begin(10, 20 * FASTEST)
    first = pacer.next(10, 20 * FASTEST)
    assert TRUTH.times[first.setting] > FASTEST
    assert pacer.next(10, 10 * FASTEST).setting == TRUTH.highest


# --- feedback -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [1.05, 1.2, 2.0])
def test_wrong_beliefs_cost_little_in_the_end(ratio: float) -> None:
    """Seconds and watts off by 2 % each, in their own way at every setting, on five boards."""
    seconds, spent = 100 * ratio * FASTEST, np.empty((5, 12))
    for seed in range(5):
        pacer = DeadlineFeedback().pacer(board(0.02, seed))
        jobs = [job(pacer, 100, seconds) for _ in range(12)]
        assert all(busy <= seconds * (1 + 1e-9) for busy, _, _ in jobs)
        spent[seed] = [energy / bound(100, seconds) - 1.0 for _, energy, _ in jobs]
    assert spent.mean() < 0.03
    assert spent[:, -1].mean() < spent[:, 0].mean()


@pytest.mark.parametrize("speed", [0.7, 0.9, 1.3])
def test_a_slower_or_faster_board_is_noticed(speed: float) -> None:
    """In time wherever the highest clocks are, with 1 % to spare; cheap if there is time."""
    pacer = DeadlineFeedback().pacer(TRUTH)
    tight = 100 * 1.01 * FASTEST / speed
    assert job(pacer, 100, tight, speeds=[speed] * 101)[0] <= tight
    seconds = 100 * 1.5 * FASTEST / speed
    busy, energy, _ = job(pacer, 100, seconds, speeds=[speed] * 101)
    assert busy <= seconds
    assert energy * speed < 1.03 * bound(100, 150 * FASTEST)


def test_keeps_deadlines_when_every_item_differs() -> None:
    random, pacer, met = np.random.default_rng(5), DeadlineFeedback().pacer(board(0.02)), 0
    seconds = 200 * 1.08 * FASTEST
    for _ in range(40):
        speeds = random.uniform(0.8, 1.2, 201)
        assert 200 * FASTEST * (1.0 / speeds).mean() < seconds  # the highest clocks are in time
        met += job(pacer, 200, seconds, speeds=speeds)[0] <= seconds
    assert met >= 38


def test_a_collapse_in_the_middle_brings_the_highest_clocks() -> None:
    pacer = DeadlineFeedback().pacer(TRUTH)
    seconds = 100 * 1.6 * FASTEST
    speeds = [1.0] * 50 + [0.55] * 51
    _, _, stretches = job(pacer, 100, seconds, speeds=speeds)
    assert stretches[0].setting != TRUTH.highest
    assert stretches[-1].setting == TRUTH.highest


def test_stretches_begin_small_and_leave_room_to_correct() -> None:
    _, _, stretches = job(DeadlineFeedback().pacer(TRUTH), 200, 300 * FASTEST)
    counts = [each.items for each in stretches]
    assert counts[0] == 1
    done = 0.0
    for before, now in pairwise(counts):
        done += before
        assert now <= max(1.0, 0.25 * (200 - done) + 1.0)


def test_what_was_measured_beforehand_is_not_tried_again() -> None:
    """All settings but one are known; the one looks cheap and is not."""
    lie = 37
    energies = list(TRUTH.energies)
    energies[lie] *= 0.5
    pacer = DeadlineFeedback().pacer(Settings(clocks=CLOCKS, times=TRUTH.times, energies=energies))
    for i in range(len(TRUTH)):
        if i != lie:
            pacer.told(Stretch(i, 10.0), 10.0 * TRUTH.times[i], 10.0 * TRUTH.energies[i])
    _, _, first = job(pacer, 100, 300 * FASTEST)
    _, energy, second = job(pacer, 100, 300 * FASTEST)
    assert sum(each.items for each in first if each.setting == lie) <= 1
    assert lie not in {each.setting for each in second}
    assert energy == pytest.approx(bound(100, 300 * FASTEST), rel=1e-3)


def test_refuses_options_below_zero() -> None:
    with pytest.raises(SpecError, match=r"caution is -1; it must be 0 or more\n    Give 0 or more"):
        DeadlineFeedback(caution=-1.0)


# --- experience -----------------------------------------------------------------------------------


def test_speed_of_a_job_carries_over_to_settings_that_were_not_used() -> None:
    known = Experience(TRUTH)
    known.begin()
    known.told(TRUTH.highest, 10.0, 12.5 * FASTEST, 1.0)
    assert known.time(3)[0] == pytest.approx(1.25 * TRUTH.times[3], rel=0.03)
    assert known.time(TRUTH.highest)[1] < known.time(3)[1]


def test_the_error_of_a_setting_outlives_the_speed_of_a_job() -> None:
    """Setting 5 takes 10 % longer than believed, in slow jobs and fast ones."""
    known = Experience(TRUTH)
    for speed in (1.0, 0.8, 1.2, 0.9, 1.1, 1.0):
        known.begin()
        for i, error in ((TRUTH.highest, 1.0), (5, 1.1), (TRUTH.highest, 1.0)):
            known.told(i, 4.0, 4.0 * TRUTH.times[i] * error / speed, 1.0)
    known.begin()
    known.told(TRUTH.highest, 4.0, 4.0 * FASTEST / 0.7, 1.0)
    assert known.time(5)[0] == pytest.approx(1.1 * TRUTH.times[5] / 0.7, rel=0.02)


def test_other_work_begins_with_the_speed_and_the_watts_of_the_device() -> None:
    """All takes 1.3 times as long as believed, at 1.4 times the watts."""
    known, other = Experience(TRUTH), Experience(board(seed=1))
    known.begin()
    for i in (TRUTH.highest, 5):
        known.told(i, 10.0, 13.0 * TRUTH.times[i], 1.3 * 14.0 * TRUTH.energies[i])
    for job in range(2):
        other.inherit(known)
        other.begin()
        times, energies = other.table(0.0)
        assert times[::7] == pytest.approx(1.3 * np.array(TRUTH.times[::7]), rel=0.02), job
        assert energies[::7] == pytest.approx(1.3 * 1.4 * np.array(TRUTH.energies[::7]), rel=0.02)
        known.begin()  # nothing is measured in this job


def test_noise_is_learnt() -> None:
    random = np.random.default_rng(1)
    for spread in (0.0, 0.2):
        known = Experience(TRUTH)
        known.begin()
        for _ in range(200):
            known.told(7, 1.0, TRUTH.times[7] * exp(spread * random.normal()), 1.0)
        assert known.noise == pytest.approx(spread**2, rel=0.6, abs=1e-4)


def test_joules_below_rest_are_understood() -> None:
    """Where resting draws more than slow clocks, their joules above rest are negative."""
    below = Settings(clocks=CLOCKS, times=TRUTH.times, energies=[e - 3.0 * t for t, e in zip(
        TRUTH.times, TRUTH.energies, strict=True)])  # fmt: skip
    assert min(below.energies) < 0.0 < max(below.energies)
    seconds = 300 * FASTEST
    _, energy, _ = job(DeadlineFeedback().pacer(below), 100, seconds, below)
    counts = mix(below.times, below.energies, 100, seconds)
    best = sum(below.energies[i] * n for i, n in counts.items())
    assert best <= energy <= best + 0.03 * abs(best)
