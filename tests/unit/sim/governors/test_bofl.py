"""BoFL on made-up tables: what it tries, when it stops, and that no deadline is missed."""

from __future__ import annotations

from itertools import product
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.core.errors import SpecError
from hetsim.sim.governors._mix import blend, mix
from hetsim.sim.governors._pacing import Settings, Stretch
from hetsim.sim.governors.bofl import BoFL, Explorer

ITEMS = 60


def table(
    sizes: tuple[int, ...] = (6, 6, 3), work: tuple[float, ...] = (0.05, 0.3, 0.1)
) -> Settings:
    """Every domain takes its share of the time at its clock, and draws with its cube."""
    clocks = list(product(*([(step + 1) / size for step in range(size)] for size in sizes)))
    times = [sum(w / c for w, c in zip(work, point, strict=True)) for point in clocks]
    powers = [1.0 + sum(3.0 * w / 0.3 * c**3 for w, c in zip(work, point, strict=True))
              for point in clocks]  # fmt: skip
    energies = [t * p for t, p in zip(times, powers, strict=True)]
    return Settings(clocks=clocks, times=times, energies=energies)


class Bench:
    """Plays jobs; what the pacer is told is the table, times `slow`."""

    def __init__(self, truth: Settings, slow: float = 1.0) -> None:
        self.truth, self.slow = truth, slow
        self.stretches: list[Stretch] = []

    def job(self, pacer: Explorer, items: float, seconds: float) -> tuple[float, float]:
        """Seconds and joules of a job."""
        self.stretches = []
        left, busy, spent = items, 0.0, 0.0
        pacer.begin(items, seconds)
        while left > 1e-9:
            stretch = pacer.next(left, seconds - busy)
            done = Stretch(stretch.setting, min(stretch.items, left))
            assert done.items > 0
            time = done.items * self.truth.times[done.setting] * self.slow
            energy = done.items * self.truth.energies[done.setting] * self.slow
            pacer.told(done, time, energy)
            self.stretches.append(done)
            left, busy, spent = left - done.items, busy + time, spent + energy
        return busy, spent

    def last(
        self, pacer: Explorer, items: float, seconds: float, *, of: int
    ) -> tuple[float, float]:
        """Seconds and joules of the last of several equal jobs."""
        return [self.job(pacer, items, seconds) for _ in range(of)][-1]


def least(truth: Settings, items: float = ITEMS) -> float:
    return items * truth.times[truth.highest]


def test_a_job_without_room_is_done_at_the_highest_clocks_and_teaches_nothing() -> None:
    truth = table()
    bench, pacer = Bench(truth), BoFL(whole=True).pacer(truth)
    assert bench.job(pacer, ITEMS, least(truth) + 4.999)[0] == pytest.approx(least(truth))
    assert bench.stretches == [Stretch(truth.highest, ITEMS)]
    assert pacer.observed == ()


def test_the_first_settings_are_tried_in_their_order_one_trial_each() -> None:
    truth = table()
    first = [truth.highest, 5, 77, 40]
    bench, pacer = Bench(truth), BoFL(whole=True).pacer(truth, first)
    bench.job(pacer, ITEMS, least(truth) + 5.5)
    while len(pacer.observed) < 4:
        bench.job(pacer, ITEMS, 10 * least(truth))
    assert list(pacer.observed) == first
    for stretch in bench.stretches:
        if stretch.setting in first[:-1]:
            assert stretch.items * truth.times[stretch.setting] < 5.0
            assert (stretch.items + 1) * truth.times[stretch.setting] >= 5.0


def test_the_guard_leaves_the_rest_to_the_highest_clocks() -> None:
    truth = table()
    bench, pacer = Bench(truth), BoFL(whole=True).pacer(truth, [truth.highest, 0, 1, 2])
    seconds = least(truth) + 7.0
    busy, _ = bench.job(pacer, ITEMS, seconds)
    assert busy <= seconds
    assert [each.setting for each in bench.stretches] == [truth.highest, 0, truth.highest]
    assert list(pacer.observed) == [truth.highest, 0]


def test_fewer_items_than_a_trial_takes_are_done_and_not_recorded() -> None:
    truth = table()
    bench, pacer = Bench(truth), BoFL(whole=True).pacer(truth, [truth.highest, 100, 101, 102])
    bench.job(pacer, 3, 100.0)
    assert bench.stretches == [Stretch(truth.highest, 3)]
    assert pacer.observed == ()


def test_the_rest_of_a_job_is_mixed_once_the_list_is_used_up() -> None:
    truth = table()
    first = [truth.highest, 105, 70]
    bench, pacer = Bench(truth), BoFL(whole=True).pacer(truth, first)
    bench.job(pacer, ITEMS, 2 * least(truth))
    tried, rest = bench.stretches[:3], bench.stretches[3:]
    assert [each.setting for each in tried] == first
    left = ITEMS - sum(each.items for each in tried)
    spent = sum(each.items * truth.times[each.setting] for each in tried)
    times, energies = ([of[i] for i in first] for of in (truth.times, truth.energies))
    best = mix(times, energies, round(left), 2 * least(truth) - spent)
    assert {each.setting: each.items for each in rest} == {first[i]: n for i, n in best.items()}


def test_a_setting_too_slow_for_one_item_is_taken_as_believed_or_divided() -> None:
    truth = table(work=(0.4, 2.0, 0.6))
    slow = 0
    assert truth.times[slow] > 5.0
    for whole in (True, False):
        bench = Bench(truth)
        pacer = BoFL(whole=whole).pacer(truth, [truth.highest, slow, 70])
        bench.job(pacer, ITEMS, 3 * least(truth))
        assert list(pacer.observed) == [truth.highest, slow, 70]
        second = 70 if whole else slow
        assert bench.stretches[1].setting == second
        assert bench.stretches[1].items == (1 if whole else 5.0 / truth.times[slow])


def test_exploring_ends_and_all_later_jobs_are_the_best_mix_of_what_is_known() -> None:
    truth = table((9, 9, 9))
    bench, pacer = Bench(truth), BoFL(whole=True).pacer(truth)
    phases: list[int] = []
    while pacer.phase < 3:
        bench.job(pacer, ITEMS, 2 * least(truth))
        phases.append(pacer.phase)
    assert phases == sorted(phases)
    assert set(phases) == {1, 2, 3}
    _, spent = bench.job(pacer, ITEMS, 2 * least(truth))
    assert 22 < len(pacer.observed) <= 22 + 10
    known = sorted(set(pacer.observed))
    times, energies = ([of[i] for i in known] for of in (truth.times, truth.energies))
    best = mix(times, energies, ITEMS, 2 * least(truth))
    assert spent == pytest.approx(sum(n * energies[i] for i, n in best.items()))
    everything = mix(truth.times, truth.energies, ITEMS, 2 * least(truth))
    bound = sum(n * truth.energies[i] for i, n in everything.items())
    assert bound <= spent < 1.1 * bound


def test_a_batch_is_no_larger_than_there_is_room_for() -> None:
    truth = table((9, 9, 9))
    pacer, bench = BoFL(whole=True, tau=3.0).pacer(truth), Bench(truth)
    while pacer.phase < 2 or pacer._todo is None:
        bench.job(pacer, 20, 13.0)
    before = len(pacer.observed)
    while pacer.phase < 3:
        bench.job(pacer, 20, 200.0)
        assert len(pacer.observed) - before <= 13.0 // 3.0
        before = len(pacer.observed)


def test_a_run_is_repeated_and_a_seed_changes_what_is_tried() -> None:
    truth = table()

    def tried(seed: int) -> tuple[int, ...]:
        bench, pacer = Bench(truth), BoFL(whole=True, seed=seed).pacer(truth)
        for _ in range(4):
            bench.job(pacer, ITEMS, 2 * least(truth))
        return tuple(pacer.observed)

    assert tried(1) == tried(1)
    assert tried(1) != tried(2)
    assert tried(1)[0] == truth.highest


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_settings_are_enough(count: int) -> None:
    truth = table((count,), (0.3,))
    bench, pacer = Bench(truth), BoFL().pacer(truth)
    _, spent = bench.last(pacer, ITEMS, 4 * least(truth), of=6)
    best = blend(truth.times, truth.energies, ITEMS, 4 * least(truth))
    assert spent == pytest.approx(sum(n * truth.energies[i] for i, n in best))


def test_short_jobs_are_explored_too() -> None:
    """A quarter of a second at the highest clocks; a trial may last `tau`, 5 s."""
    long = table((7, 7, 7))
    truth = Settings(
        clocks=long.clocks,
        times=[1e-2 * each for each in long.times],
        energies=[1e-2 * each for each in long.energies],
    )
    assert least(truth) == pytest.approx(0.27)
    bench, pacer = Bench(truth), BoFL().pacer(truth)
    _, spent = bench.last(pacer, ITEMS, 1.2 * least(truth), of=15)
    assert pacer.phase > 1
    assert len(pacer.observed) > 10
    assert spent < 0.95 * ITEMS * truth.energies[truth.highest]


def test_each_device_and_each_run_draws_its_own_settings() -> None:
    truth = table((9, 9, 9))

    def begun(stream: int, seed: int = 0) -> BoFL:
        policy = BoFL(seed=seed).begin(stream)._policy  # pyright: ignore
        assert isinstance(policy, BoFL)
        return policy

    first = begun(1).drawn(truth)
    assert first == begun(1).drawn(truth)
    assert len({tuple(each.drawn(truth)) for each in (begun(1), begun(2), begun(1, 5))}) == 3


def test_tiny_seconds_and_joules_are_not_drowned_in_noise() -> None:
    """The same table in milliseconds and millijoules is explored as well."""
    truth = table((7, 7, 7))
    small = Settings(
        clocks=truth.clocks,
        times=[1e-3 * each for each in truth.times],
        energies=[1e-3 * each for each in truth.energies],
    )
    bench, pacer = Bench(small), BoFL(tau=5e-3).pacer(small)
    _, spent = bench.last(pacer, ITEMS, 2 * least(small), of=12)
    best = blend(small.times, small.energies, ITEMS, 2 * least(small))
    assert spent < 1.1 * sum(n * small.energies[i] for i, n in best)


@pytest.mark.parametrize("joules", [2.0, 0.0])
def test_joules_that_are_the_same_everywhere_do_no_harm(joules: float) -> None:
    truth = table()
    flat = Settings(clocks=truth.clocks, times=truth.times, energies=[joules] * len(truth))
    bench, pacer = Bench(flat), BoFL().pacer(flat)
    _, spent = bench.last(pacer, ITEMS, 2 * least(flat), of=6)
    assert spent == pytest.approx(joules * ITEMS)
    assert len(pacer.observed) > 3


def test_what_is_measured_counts_and_a_job_that_falls_behind_is_mixed_again() -> None:
    truth = table()
    pacer = BoFL().pacer(truth, [truth.highest, 105, 70])
    slow = 1.3
    busy, _ = Bench(truth, slow).last(pacer, ITEMS, 2.5 * least(truth), of=8)
    assert pacer.phase == 3
    assert busy <= 2.5 * least(truth) * (1 + 1e-9)
    pacer.begin(ITEMS, 2.5 * least(truth))
    late = pacer.next(ITEMS / 2, ITEMS / 2 * truth.times[truth.highest] * slow)
    assert late.setting == truth.highest


def test_without_a_deadline_a_job_has_the_slack() -> None:
    truth = table()
    bench, pacer = Bench(truth), BoFL(slack=1.2).pacer(truth)
    while pacer.phase < 3:
        assert bench.job(pacer, ITEMS, inf)[0] <= 1.2 * least(truth) * (1 + 1e-9)
    busy, _ = bench.job(pacer, ITEMS, inf)
    assert busy == pytest.approx(1.2 * least(truth), rel=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"tau": 0.0}, {"first": 0.0}, {"least": -1.0}, {"batch": 0}, {"slack": 0.9}]
)
def test_wrong_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SpecError, match=rf"{next(iter(wrong))} is .*\n    Give "):
        BoFL(**wrong)  # pyright: ignore[reportArgumentType]


@settings(max_examples=15)
@given(
    seed=st.integers(0, 99),
    whole=st.booleans(),
    sizes=st.tuples(st.integers(1, 4), st.integers(2, 4), st.integers(1, 3)),
    work=st.tuples(st.floats(0.01, 2), st.floats(0.05, 3), st.floats(0.01, 1)),
    ratios=st.lists(st.floats(1.0, 4.0), min_size=6, max_size=8),
)
def test_no_deadline_that_can_be_met_is_missed(
    seed: int,
    whole: bool,
    sizes: tuple[int, int, int],
    work: tuple[float, float, float],
    ratios: list[float],
) -> None:
    truth = table(sizes, work)
    pacer = BoFL(whole=whole, seed=seed).pacer(truth)
    for ratio in ratios:
        deadline = ratio * least(truth)
        busy, spent = Bench(truth).job(pacer, ITEMS, deadline)
        assert busy <= deadline * (1 + 1e-9)
        if deadline < least(truth) + 5.0 and pacer.phase < 3:
            assert spent == pytest.approx(ITEMS * truth.energies[truth.highest])
