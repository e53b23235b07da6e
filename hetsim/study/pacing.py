"""How many joules a pacing policy saves, told from a sweep in which every setting was measured.

A device does jobs of so many minibatches, each by a deadline. What a minibatch takes is its row of
the sweep, which the policy does not know: it believes what `calibrate` makes of a random part of
the rows, those as they were measured. A switch of clocks takes nothing.

Disturbed, the time of an item is divided by a factor drawn evenly from 0.8 to 1.2, one a job or one
an item, the same for every policy; power stays as it is, so joules go with time.

Resting, a device draws P watts until the deadline. What a sweep has measured is all that a board
draws while it works, so of two ways to do a job the faster one, which rests longer, takes fewer
joules by the deadline D exactly where

    e_fast + P (D - t_fast) < e_slow + P (D - t_slow)
    P < (e_slow - e_fast) / (t_slow - t_fast)

with joules and seconds of the job: resting power speaks for pacing. (Where e leaves out a power Q
that is drawn while working and not at rest, racing wins where e_fast - e_slow is below
Q (t_slow - t_fast): this is the same with e + Q t for e and P = 0.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from math import floor, inf
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction, Joules, Seconds, Watts
from hetsim.core.registry import GOVERNORS
from hetsim.core.rng import rng
from hetsim.sim.governors._mix import front, mix
from hetsim.sim.governors._pacing import Pacer, Settings, Stretch
from hetsim.sim.governors.race_to_idle import Still
from hetsim.sim.governors.schedutil import HEADROOM
from hetsim.study.calibrate import calibrate
from hetsim.study.surrogate import Surrogate
from hetsim.study.sweep import Sweep, read_sweep

Floats = NDArray[np.float64]
Disturbance = Literal["job", "item"]

RATIOS = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 4.0)
"""Deadlines, as multiples of the time at the fastest setting."""
JOBS, ITEMS = 20, 200
SWEPT = 10.0
"""Minibatches from which a row of a sweep was measured, as the authors of the public ones did."""
KNOWING = frozenset({"best_single", "deadline_oracle"})
"""Policies that are bounds: they are told the truth instead of the belief."""
TRYING = frozenset({"bofl"})
"""Policies that go by nothing but what they measure themselves."""
RESTING = ("performance", "schedutil")
"""Governors that stay at one setting while a job runs, whatever its deadline."""
_SWAY = 0.2
_LATE = 1e-9
_STEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a job came to.

    Attributes:
        energy: joules above rest.
        seconds: until it was done.
        met: whether that was in time.
        stretches: how often the setting could have changed.
    """

    energy: Joules
    seconds: Seconds
    met: bool
    stretches: int

    def until(self, deadline: Seconds, rest: Watts) -> Joules:
        """Joules until the deadline, or the job's end if it is later, at rest P included."""
        return self.energy + rest * max(deadline, self.seconds)


def pace(
    pacer: Pacer, truth: Settings, items: int, seconds: Seconds, factors: Sequence[float] = ()
) -> Job:
    """Do a job as the pacer says, its counts cut to whole items, at least one.

    Args:
        pacer: decides.
        truth: what an item takes, joules above rest.
        items: to be done.
        seconds: until the deadline.
        factors: [items] by which the time of each is divided; empty for none.
    """
    slowness = np.concatenate([[0.0], np.cumsum(1.0 / np.asarray(factors))]) if factors else None
    done, busy, energy, stretches = 0, 0.0, 0.0, 0
    pacer.begin(items, seconds)
    while done < items:
        stretch = pacer.next(items - done, seconds - busy)
        count = items - done if stretch.items >= items - done else max(floor(stretch.items), 1)
        as_if = float(count if slowness is None else slowness[done + count] - slowness[done])
        took = as_if * truth.times[stretch.setting]
        drew = as_if * truth.energies[stretch.setting]
        pacer.told(Stretch(stretch.setting, count), took, drew)
        done, busy, energy = done + count, busy + took, energy + drew
        stretches += 1
    met = busy <= seconds * (1.0 + _LATE)
    return Job(energy=energy, seconds=busy, met=met, stretches=stretches)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A sweep, what is believed of it, and who is to pace.

    Attributes:
        name: of the sweep.
        sweep: in truth.
        believed: seconds and joules of an item at each setting, the measured ones as measured.
        measured: rows that were.
        schedutil: row at which the governor of that name settles; of the calibrated form.
    """

    name: str
    sweep: Sweep
    believed: tuple[Floats, Floats]
    measured: tuple[int, ...]
    schedutil: int

    def truth(self, rest: Watts = 0.0) -> Settings:
        """The settings as they are, joules above rest."""
        return self._settings(self.sweep.time, self.sweep.energy, rest)

    def belief(self, rest: Watts = 0.0) -> Settings:
        """The settings as they are believed to be, joules above rest."""
        return self._settings(*self.believed, rest)

    @cached_property
    def fastest(self) -> Seconds:
        """Of an item at the fastest setting."""
        return float(self.sweep.time.min())

    def _settings(self, times: Floats, energies: Floats, rest: Watts) -> Settings:
        clocks = self.sweep.clocks
        return Settings(
            clocks=[tuple(row) for row in (clocks / clocks.max(axis=0)).tolist()],
            times=times.tolist(),
            energies=(energies - rest * times).tolist(),
        )


def read_bench(path: Path, *, fraction: Fraction = 0.1, seed: int = 0) -> Bench:
    """The bench of a sweep, calibrated on a random part of its rows.

    Raises:
        SpecError: the file is wrong, nothing is measured there, or the part is too small.
    """
    sweep = read_sweep(path)
    found = calibrate(path, fraction=fraction, seed=seed)
    assert found.fit
    assert found.rows
    model = found.fit.model
    times, energies = (each.copy() for each in model(sweep.clocks))
    rows = np.flatnonzero(np.isin(sweep.lines, found.rows.lines))
    times[rows], energies[rows] = sweep.time[rows], sweep.energy[rows]
    return Bench(
        name=path.stem,
        sweep=sweep,
        believed=(times, energies),
        measured=tuple(rows.tolist()),
        schedutil=settled(model, sweep.clocks),
    )


def settled(model: Surrogate, grid: Floats) -> int:
    """The row of a grid at which `schedutil` settles under what the model says is busy.

    Each clock goes to the lowest one that is at least 1.25 times what was busy of it; from the
    highest clocks on, until nothing moves. Where the settings are no full grid, the nearest counts.
    """
    levels = [np.unique(column) for column in grid.T]
    now = grid.max(axis=0)
    for _ in range(_STEPS):
        wanted = HEADROOM * now * model.time.shares(now[None])[0]
        places = [np.searchsorted(each, hertz) for each, hertz in zip(levels, wanted, strict=True)]
        then = np.array(
            [each[min(int(i), len(each) - 1)] for each, i in zip(levels, places, strict=True)]
        )
        if np.array_equal(then, now):
            break
        now = then
    return int(np.argmin((np.log(grid / now) ** 2).sum(axis=1)))


# --- policies -------------------------------------------------------------------------------------


def policies() -> list[str]:
    """Names of what can be compared: governors that pace, and those that stay at one setting."""
    return [name for name in GOVERNORS.names() if name in RESTING or _paces(GOVERNORS.load(name))]


def named(policy: str) -> str:
    """The policy's name, if it can be compared.

    Raises:
        SpecError: no such governor, or one without a plan for a deadline.
    """
    if policy not in RESTING and not _paces(GOVERNORS.load(policy, where="--policy")):
        what = f"{policy} has no plan for a deadline."
        remedy = f"Choose from: {', '.join(policies())}."
        raise SpecError(what, where="--policy", remedy=remedy)
    return policy


def pacer(policy: str, bench: Bench, rest: Watts = 0.0) -> Pacer:
    """A policy that is told what it may know of a bench: the belief, and what was measured.

    Raises:
        SpecError: nobody of this name paces.
    """
    if policy in RESTING:
        row = bench.schedutil if policy == "schedutil" else bench.truth().highest
        return Still(row)
    plugin = GOVERNORS.load(named(policy))
    truth = bench.truth(rest)
    made = plugin(**({"whole": True} if _divides(plugin) else {})).pacer(
        truth if policy in KNOWING else bench.belief(rest)
    )
    for row in bench.measured:
        took, drew = SWEPT * truth.times[row], SWEPT * truth.energies[row]
        made.told(Stretch(row, SWEPT), took, drew)
    return made


def play(
    policy: str,
    bench: Bench,
    ratio: float,
    *,
    jobs: int = JOBS,
    items: int = ITEMS,
    rest: Watts = 0.0,
    disturbance: Disturbance | None = None,
    seed: int = 0,
) -> list[Job]:
    """Jobs one after the other, each with `ratio` times what it takes at the fastest setting.

    Args:
        policy: who paces; learns from job to job.
        bench: what is paced.
        ratio: of the deadlines.
        jobs: how many.
        items: of each.
        rest: watts that the device draws when it is done.
        disturbance: of the speed; none.
        seed: of the disturbance.
    """
    made, truth = pacer(policy, bench, rest), bench.truth(rest)
    deadline = ratio * items * bench.fastest
    return [
        pace(made, truth, items, deadline, factors(disturbance, bench.name, job, items, seed))
        for job in range(jobs)
    ]


def factors(
    disturbance: Disturbance | None, sweep: str, job: int, items: int, seed: int
) -> list[float]:
    """By what the time of each item of a job is divided; none if nothing is disturbed."""
    if disturbance is None:
        return []
    draws = 1 if disturbance == "job" else items
    drawn = rng(seed, "sim/pacing/disturbance", disturbance, sweep, job)
    found = drawn.uniform(1.0 - _SWAY, 1.0 + _SWAY, draws).tolist()
    return found * items if draws == 1 else found


def _paces(plugin: object) -> bool:
    return hasattr(plugin, "pacer")


def _divides(plugin: type) -> bool:
    """Whether it would divide items unless told not to."""
    return is_dataclass(plugin) and "whole" in {each.name for each in fields(plugin)}


def compare(
    bench: Bench,
    ratio: float,
    names: Sequence[str],
    *,
    jobs: int = JOBS,
    items: int = ITEMS,
    rest: Watts = 0.0,
) -> list[dict[str, Any]]:
    """A row a policy: mean joules of a job until its deadline, beside the oracle's and two others'.

    `busy` is the share of the time until the deadline that jobs take.

    Raises:
        SpecError: nobody of a name paces.
    """
    deadline = ratio * items * bench.fastest
    played = {
        name: play(name, bench, ratio, jobs=jobs, items=items, rest=rest)
        for name in dict.fromkeys([*names, *RESTING, "deadline_oracle"])
    }
    joules = {name: [job.until(deadline, rest) for job in found] for name, found in played.items()}
    means = {name: fmean(each) for name, each in joules.items()}
    bound = means["deadline_oracle"]
    return [
        {
            "sweep": bench.name, "ratio": ratio, "policy": name,
            "knows": "truth" if name in KNOWING else "belief",
            "joules": means[name],
            "regret": means[name] / bound - 1.0,
            "first_regret": joules[name][0] / bound - 1.0,
            "met": sum(job.met for job in played[name]), "of": jobs,
            "busy": fmean(job.seconds for job in played[name]) / deadline,
            "stretches": fmean(job.stretches for job in played[name]),
            "saving_performance": 1.0 - means[name] / means["performance"],
            "saving_schedutil": 1.0 - means[name] / means["schedutil"],
        }
        for name in names
    ]  # fmt: skip


# --- pacing or racing -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to do a job: joules and seconds until it is done."""

    energy: Joules
    seconds: Seconds

    def until(self, deadline: Seconds, rest: Watts) -> Joules:
        """Joules until the deadline, at rest too."""
        return self.energy + rest * (deadline - self.seconds)

    def flip(self, slower: Way) -> Watts:
        """Resting power below which this takes fewer joules than a slower way.

        Not above 0: it never does. Infinite where the other is no slower.
        """
        longer = slower.seconds - self.seconds
        return (slower.energy - self.energy) / longer if longer > 0.0 else inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Ways to be done by a deadline.

    Attributes:
        racing: the highest clocks, then rest.
        early: the mix with the fewest joules until the work is done, then rest.
        late: the mix that is best if rest takes as much as the lowest power of the sweep.
        best: the mix with the fewest joules until the deadline.
        deadline: seconds.
        rest: watts.
    """

    racing: Way
    early: Way
    late: Way
    best: Way
    deadline: Seconds
    rest: Watts

    @property
    def joules(self) -> dict[str, Joules]:
        """Of each way, until the deadline."""
        ways = {"racing": self.racing, "early": self.early, "late": self.late, "best": self.best}
        return {name: way.until(self.deadline, self.rest) for name, way in ways.items()}

    @property
    def cheapest(self) -> str:
        """The cheapest of racing, early and late."""
        joules = self.joules
        return min(("early", "late", "racing"), key=lambda name: joules[name])


def choice(bench: Bench, ratio: float, rest: Watts, items: int = ITEMS) -> Choice:
    """Pacing and racing by a deadline of `ratio` times the fastest."""
    truth, deadline = bench.truth(), ratio * items * bench.fastest
    time, energy = truth.times[truth.highest], truth.energies[truth.highest]

    def mixed(power: Watts) -> Way:
        return _mixed(bench.truth(power), truth, items, deadline)

    return Choice(
        racing=Way(energy=items * energy, seconds=items * time),
        early=mixed(0.0), late=mixed(lowest_power(bench.sweep)), best=mixed(rest),
        deadline=deadline, rest=rest,
    )  # fmt: skip


def lowest_power(sweep: Sweep) -> Watts:
    """The lowest power at which a sweep was measured: what its device rests at draws no more."""
    return float((sweep.energy / sweep.time).min())


def _mixed(planned: Settings, truth: Settings, items: int, seconds: Seconds) -> Way:
    """What the mix takes that is best by `planned`."""
    kept = front(planned.times, planned.energies)
    times, energies = ([each[i] for i in kept] for each in (planned.times, planned.energies))
    counts = mix(times, energies, items, seconds)
    return Way(
        energy=sum(truth.energies[kept[place]] * count for place, count in counts.items()),
        seconds=sum(truth.times[kept[place]] * count for place, count in counts.items()),
    )
