"""Policies on a swept board: what they know, what they save, disturbed, and at rest."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest

from hetsim.core.errors import HetsimError, SpecError
from hetsim.sim.governors._mix import mix
from hetsim.sim.governors._pacing import Settings, Stretch
from hetsim.sim.governors.deadline_oracle import DeadlineOracle
from hetsim.study.comparisons.pacing import pacing
from hetsim.study.pacing import (
    RATIOS,
    Bench,
    Still,
    Way,
    choice,
    compare,
    factors,
    lowest_power,
    named,
    pace,
    play,
    policies,
    read_bench,
    settled,
)
from hetsim.study.surrogate import Surrogate
from hetsim.study.sweep import Sweep
from tests.unit.study.synthetic_board import CLOCKED, LEAN, OVERLAPPING, sweep, write

TWO = Settings(clocks=[(0.5,), (1.0,)], times=[2.0, 1.0], energies=[1.0, 3.0])


def told(sweep: Sweep, seed: int, part: float = 0.1) -> Bench:
    """A bench whose belief is off as `calibrate` leaves it: 0.5 % in time, 1.5 % in power."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(sweep))[: round(part * len(sweep))])
    slow, dear = np.exp(np.array([[0.005], [0.015]]) * random.normal(size=(2, len(sweep))))
    times, energies = sweep.time * slow, sweep.energy * slow * dear
    times[rows], energies[rows] = sweep.time[rows], sweep.energy[rows]
    return Bench(
        name=f"board{seed}", sweep=sweep, believed=(times, energies), measured=tuple(rows.tolist()),
        schedutil=settled(Surrogate(time=OVERLAPPING, power=CLOCKED), sweep.clocks),
    )  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Bench:
    return told(sweep(OVERLAPPING, CLOCKED, noise=0.01), 1, 0.15)


def test_what_is_known_and_what_is_believed(tmp_path: Path) -> None:
    bench = read_bench(
        write(sweep(OVERLAPPING, CLOCKED, noise=0.01), tmp_path / "board.csv"), fraction=0.1, seed=1
    )
    rows = list(bench.measured)
    assert len(rows) == round(0.1 * len(bench.sweep))
    times, energies = bench.believed
    assert np.array_equal(times[rows], bench.sweep.time[rows])
    assert np.array_equal(energies[rows], bench.sweep.energy[rows])
    others = np.setdiff1d(np.arange(len(bench.sweep)), rows)
    assert not np.any(times[others] == bench.sweep.time[others])
    assert np.abs(times / bench.sweep.time - 1.0).mean() < 0.03


def test_a_job_by_hand() -> None:
    seconds = 3 * 2.0 + 2 * 1.0
    found = pace(DeadlineOracle().pacer(TWO), TWO, 5, seconds)
    assert (found.energy, found.seconds, found.met) == (3 * 1.0 + 2 * 3.0, seconds, True)
    assert found.until(10.0, 0.5) == found.energy + 5.0
    assert found.until(1.0, 0.5) == found.energy + 4.0  # a late job rests not at all


def test_a_disturbed_item_takes_longer_at_the_same_power() -> None:
    found = pace(Still(0), TWO, 3, 6.0, [0.5, 1.0, 2.0])
    assert found.seconds == pytest.approx(2.0 * (2.0 + 1.0 + 0.5))
    assert found.energy == pytest.approx(1.0 * 3.5)
    assert not found.met


def test_parts_of_items_are_cut_to_whole_ones() -> None:
    class Fractions(Still):
        def next(self, items: float, seconds: float) -> Stretch:
            return Stretch(0, 1.7 if items == 4 else 0.2)

    assert pace(Fractions(0), TWO, 4, inf).stretches == 4


def test_everybody_meets_the_same_disturbance() -> None:
    assert factors(None, "board", 0, 5, 0) == []
    one = factors("job", "board", 3, 5, 0)
    assert len(set(one)) == 1
    assert factors("job", "board", 3, 5, 0) == one
    assert factors("job", "board", 4, 5, 0) != one
    drawn = factors("item", "board", 0, 10_000, 0)
    assert 0.8 <= min(drawn) < 0.801
    assert 1.199 < max(drawn) <= 1.2
    assert np.mean(drawn) == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("ratio", RATIOS)
def test_feedback_is_near_the_oracle_and_in_time(bench: Bench, ratio: float) -> None:
    names = ["performance", "best_single", "deadline_feedback", "deadline_oracle"]
    rows = {row["policy"]: row for row in compare(bench, ratio, names, jobs=8)}
    bound, single = (rows[name]["joules"] for name in ("deadline_oracle", "best_single"))
    feedback, most = (rows[name]["joules"] for name in ("deadline_feedback", "performance"))
    assert bound <= single <= most
    assert bound <= feedback * (1 + 1e-9)
    assert feedback <= 1.03 * bound
    assert rows["deadline_feedback"]["met"] == 8
    assert rows["performance"]["saving_performance"] == 0.0


@pytest.mark.parametrize("kind", ["job", "item"])
def test_disturbed_it_meets_what_the_highest_clocks_meet(bench: Bench, kind: str) -> None:
    met = could = 0
    for ratio in (1.05, 1.1, 1.3):
        raced, paced = (
            play(name, bench, ratio, jobs=12, disturbance=kind, seed=4)  # pyright: ignore[reportArgumentType]
            for name in ("performance", "deadline_feedback")
        )
        could += sum(each.met for each in raced)
        met += sum(mine.met for mine, theirs in zip(paced, raced, strict=True) if theirs.met)
    assert could > 20
    assert met >= 0.95 * could


@pytest.mark.parametrize("seed", range(3))
def test_holds_on_boards_that_do_not_exist(seed: int) -> None:
    """Other coefficients, other noise: within 3 % of the oracle in the mean, and in time."""
    random = np.random.default_rng(seed)
    time = replace(
        OVERLAPPING,
        cycles=tuple(np.array(OVERLAPPING.cycles) * random.uniform(0.4, 2.5, 3)),
        overhead=random.uniform(0.0, 0.02), overlap=random.uniform(1.2, 4.0),
    )  # fmt: skip
    power = replace(
        CLOCKED if seed % 2 else LEAN,
        busy=tuple(
            (a * random.uniform(0.5, 2.0), b * random.uniform(0.3, 3.0)) for a, b in CLOCKED.busy
        ),
    )
    board = told(sweep(time, power, noise=0.02), seed)
    rows = [
        compare(board, ratio, ["deadline_feedback"], jobs=10)[0] for ratio in (1.05, 1.2, 1.5, 3.0)
    ]
    assert np.mean([row["regret"] for row in rows]) < 0.03
    assert sum(row["met"] for row in rows) == 40


# --- schedutil ------------------------------------------------------------------------------------


def test_schedutil_settles_where_a_fifth_is_idle(bench: Bench) -> None:
    """Every clock is enough for 1.25 times what is busy, and the next lower one is not."""
    grid = bench.sweep.clocks
    model = Surrogate(time=OVERLAPPING, power=CLOCKED)
    now = grid[settled(model, grid)]
    wanted = 1.25 * now * OVERLAPPING.shares(now[None])[0]
    for column, clock, hertz in zip(grid.T, now, wanted, strict=True):
        levels = np.unique(column)
        lower = levels[levels < clock]
        assert clock >= hertz or clock == levels[-1]
        assert not len(lower) or lower[-1] < hertz


# --- pacing or racing -----------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 4.0])
def test_the_choice_flips_exactly_where_the_formula_says(bench: Bench, ratio: float) -> None:
    lowest = lowest_power(bench.sweep)
    flip = choice(bench, ratio, 0.0).early.flip(choice(bench, ratio, 0.0).late)
    assert 0.0 < flip <= lowest
    for watts, cheapest in ((flip * (1 - 1e-7), "early"), (flip * (1 + 1e-7), "late")):
        found = choice(bench, ratio, watts)
        fast, slow = found.early, found.late
        assert (slow.energy - fast.energy > watts * (slow.seconds - fast.seconds)) == (
            cheapest == "early"
        )
        assert found.cheapest == cheapest


@pytest.mark.parametrize(
    ("fast", "slow", "flip"), [((5.0, 1.0), (3.0, 2.0), -2.0), ((3.0, 1.0), (5.0, 3.0), 1.0)]
)
def test_flip_of_two_ways(
    fast: tuple[float, float], slow: tuple[float, float], flip: float
) -> None:
    one, other = (Way(energy=joules, seconds=seconds) for joules, seconds in (fast, slow))
    assert one.flip(other) == flip
    assert other.flip(one) == inf
    for watts in (flip - 0.01, flip + 0.01):
        assert (one.until(4.0, watts) < other.until(4.0, watts)) == (watts < flip)


def test_the_best_mix_knows_what_resting_takes(bench: Bench) -> None:
    deadline = 300 * bench.fastest
    for watts in (0.0, 3.0, 1e3):
        found = choice(bench, 1.5, watts, items=200)
        assert found.joules["best"] <= min(found.joules.values()) * (1 + 1e-9)
        above = bench.truth(watts)
        counts = mix(above.times, above.energies, 200, deadline)
        joules = sum(above.energies[i] * n for i, n in counts.items()) + watts * deadline
        assert found.joules["best"] == pytest.approx(joules)
    assert found.best.seconds == pytest.approx(deadline, rel=1e-3)  # rest is dear: no rest


def test_the_lowest_power_of_a_sweep(bench: Bench) -> None:
    assert lowest_power(bench.sweep) == min(bench.sweep.energy / bench.sweep.time)


def test_joules_at_rest_count_until_the_deadline(bench: Bench) -> None:
    names = ["race_to_idle", "deadline_oracle"]
    free = {row["policy"]: row for row in compare(bench, 2.0, names, jobs=1)}
    idle = {row["policy"]: row for row in compare(bench, 2.0, names, jobs=1, rest=2.0)}
    truth, deadline = bench.truth(), 400 * bench.fastest
    rested = 2.0 * (deadline - 200 * truth.times[truth.highest])
    assert idle["race_to_idle"]["joules"] == pytest.approx(free["race_to_idle"]["joules"] + rested)
    assert idle["deadline_oracle"]["joules"] > free["deadline_oracle"]["joules"]


# --- names ----------------------------------------------------------------------------------------


def test_names_of_policies() -> None:
    known = policies()
    assert {"performance", "schedutil", "race_to_idle", "best_single", "deadline_oracle",
            "deadline_feedback"} <= set(known)  # fmt: skip
    assert "powersave" not in known
    with pytest.raises(SpecError, match=r"powersave has no plan[\s\S]*Choose from: best_single"):
        named("powersave")
    with pytest.raises(HetsimError, match="deadline_oracle"):
        named("deadline_orakle")


# --- measured sweeps ------------------------------------------------------------------------------


def test_on_a_measured_sweep(shared: Path) -> None:
    """One of four sweeps, one seed, fewer jobs: the targets with room."""
    tables = pacing(
        shared, seeds=[0], jobs=6, ratios=(1.05, 1.2, 2.0), sweeps=["tx2_imdb"],
        policies=["performance", "schedutil", "deadline_feedback", "deadline_oracle"],
    )  # fmt: skip
    rows = [row for row in tables["pacing"] if row["policy"] == "deadline_feedback"]
    assert np.mean([row["regret"] for row in rows]) < 0.03
    assert all(row["met"] == row["of"] == 6 for row in rows)
    assert [row["saving_performance"] for row in rows] == sorted(
        row["saving_performance"] for row in rows
    )
    shaken = [row for row in tables["disturbed"] if row["policy"] == "deadline_feedback"]
    assert sum(row["met"] for row in shaken) >= 0.95 * sum(row["of"] for row in shaken)
    assert {row["kind"] for row in shaken} == {"job", "item"}
    assert len(tables["idle"]) == 9
    for row in tables["idle"]:
        if row["flip_w"] is None:
            assert row["early_j"] == row["late_j"]
            continue
        assert row["choice"] == ("early" if row["watts"] < row["flip_w"] else "late")
        assert row["flip_seen_w"] == pytest.approx(row["flip_w"], rel=1e-4)
        assert row["racing_flip_w"] < 0.0
