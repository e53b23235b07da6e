"""The tasks on which the authors of BoFL tell what it saves, replayed from their sweeps.

A client of federated learning has to do W minibatches a round, before a deadline that is new in
every one of 100 rounds: T_min u, where T_min is what they take at the highest clocks and u is even
on 1 to a *ratio*. What a minibatch takes is the row of the sweep, without noise, a switch of clocks
takes nothing, and what is drawn until the deadline is left out, so the policy alone decides the
joules.

Deadlines and the settings that BoFL tries first are drawn as the authors draw them: by Python's
generator with the seed of the task, 100 times `uniform(1, ratio)`, then a sample of all settings
but the highest in ascending order of CPU, GPU and memory clock. A sweep of the AGX Xavier has 29
CPU clocks, of which the 25 highest are used.

Source: Guo et al., BoFL, Middleware 2022, by its program (github:hongpeng-guo/BoFL@c89944d).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np

from hetsim.core.quantities import Joules, Seconds, Watts
from hetsim.core.rng import entropy
from hetsim.sim.governors._mix import front, mix
from hetsim.sim.governors._pacing import Pacer, Settings, Stretch
from hetsim.sim.governors.bofl import BoFL, Explorer
from hetsim.study.pacing import pace
from hetsim.study.surrogate import fit
from hetsim.study.sweep import Sweep, read_sweep

ROUNDS = 100
RATIOS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
"""Of the latest to the earliest deadline, as the authors have them."""
_SEEDS = {"cifar10": 3793, "imagenet": 3456, "imdb": 4567}
_MINIBATCHES = {
    "agx": {"cifar10": 200, "imagenet": 180, "imdb": 160},
    "tx2": {"cifar10": 75, "imagenet": 60, "imdb": 80},
}
_ANY = 200
"""Minibatches a round of a task that is not the authors'."""
_CPU_CLOCKS = {"agx": 25}
"""The highest of a sweep that are used, where not all are."""
_LATE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Task:
    """Minibatches to be done round by round on a device whose sweep is known to the judge.

    Attributes:
        name: of the sweep's file.
        minibatches: a round.
        seed: of deadlines and first settings.
        sweep: the settings that are used, ascending by CPU, GPU and memory clock.
    """

    name: str
    minibatches: int
    seed: int
    sweep: Sweep

    @cached_property
    def settings(self) -> Settings:
        """The settings with what they take in truth."""
        return Settings(
            clocks=[tuple(row) for row in self.shares.tolist()],
            times=self.sweep.time.tolist(),
            energies=self.sweep.energy.tolist(),
        )

    @cached_property
    def shares(self) -> np.ndarray:
        """[settings, 3] of each clock's highest."""
        return self.sweep.clocks / self.sweep.clocks.max(axis=0)

    @cached_property
    def highest(self) -> tuple[Seconds, Joules]:
        """Of a minibatch at the highest clocks."""
        settings, place = self.settings, self.settings.highest
        return settings.times[place], settings.energies[place]

    @property
    def shortest(self) -> Seconds:
        """Of a round at the highest clocks: T_min."""
        return self.minibatches * self.highest[0]

    def draw(self, ratio: float, options: BoFL) -> tuple[list[Seconds], list[int]]:
        """Deadlines of all rounds, and the settings to try first."""
        random = Random(self.seed)
        deadlines = [self.shortest * random.uniform(1.0, ratio) for _ in range(ROUNDS)]
        settings, highest = self.settings, self.settings.highest
        others = [i for i in range(len(settings)) if i != highest]
        chosen = random.sample(range(len(others)), k=options.tries(settings) - 1)
        return deadlines, [highest, *(others[i] for i in chosen)]


def read_task(path: Path) -> Task:
    """The task of a sweep: one of the authors' by its file name, else one of 200 minibatches.

    Raises:
        SpecError: the sweep cannot be used.
    """
    board, _, workload = path.stem.partition("_")
    sweep = read_sweep(path)
    sweep = sweep.take(np.lexsort((sweep.emc, sweep.gpu, sweep.cpu)))
    minibatches = _MINIBATCHES.get(board, {}).get(workload)
    if minibatches is None:
        seed = entropy(0, "sim/bofl/task", path.stem)
        return Task(name=path.stem, minibatches=_ANY, seed=seed, sweep=sweep)
    if board in _CPU_CLOCKS:
        lowest = np.unique(sweep.cpu)[-_CPU_CLOCKS[board] :][0]
        sweep = sweep.take(np.flatnonzero(sweep.cpu >= lowest))
    return Task(name=path.stem, minibatches=minibatches, seed=_SEEDS[workload], sweep=sweep)


# --- rounds ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round came to.

    Attributes:
        deadline: seconds from its begin.
        busy: seconds until its minibatches were done.
        energy: joules until then.
        phase: of BoFL, 1 to 3; 0 of a policy without.
        observed: settings that had been measured at its end, repeated ones too.
    """

    deadline: Seconds
    busy: Seconds
    energy: Joules
    phase: int = 0
    observed: int = 0

    @property
    def met(self) -> bool:
        """Whether it was done in time."""
        return self.busy <= self.deadline * (1.0 + _LATE)

    def resting(self, power: Watts) -> Joules:
        """Joules until the deadline, if so much is drawn by a device that is done."""
        return self.energy + power * max(self.deadline - self.busy, 0.0)


def replay(pacer: Pacer, task: Task, deadlines: Sequence[Seconds]) -> list[Round]:
    """Rounds paced by a policy; its stretches are cut to whole minibatches, at least one each."""
    return [_round(pacer, task, deadline) for deadline in deadlines]


def _round(pacer: Pacer, task: Task, deadline: Seconds) -> Round:
    job = pace(pacer, task.settings, task.minibatches, deadline)
    exploring = isinstance(pacer, Explorer)
    return Round(
        deadline=deadline,
        busy=job.seconds,
        energy=job.energy,
        phase=pacer.phase if exploring else 0,
        observed=len(pacer.observed) if exploring else 0,
    )


def performant(task: Task, deadlines: Sequence[Seconds]) -> list[Round]:
    """The highest clocks, whatever the deadline."""
    place = task.settings.highest
    return [_mixed(task, deadline, {place: task.minibatches}) for deadline in deadlines]


def oracle(task: Task, deadlines: Sequence[Seconds], rest: Watts = 0.0) -> list[Round]:
    """The mix with the fewest joules, known to whoever knows the sweep: the bound.

    Args:
        task: what is to be done.
        deadlines: of the rounds.
        rest: what the device draws when it is done; counted until the deadline.
    """
    times = task.settings.times
    above = [e - rest * t for t, e in zip(times, task.settings.energies, strict=True)]
    kept = front(times, above)
    useful = [times[i] for i in kept], [above[i] for i in kept]
    counts = (mix(*useful, task.minibatches, deadline) for deadline in deadlines)
    return [
        _mixed(task, deadline, {kept[place]: count for place, count in each.items()})
        for deadline, each in zip(deadlines, counts, strict=True)
    ]


def best_single(task: Task, deadlines: Sequence[Seconds]) -> list[Round]:
    """The cheapest one setting in time, known to whoever knows the sweep."""
    time, energy = task.sweep.time, task.sweep.energy
    return [
        _mixed(
            task, deadline,
            {int(np.where(task.minibatches * time <= deadline, energy, np.inf).argmin()):
                task.minibatches},
        )
        for deadline in deadlines
    ]  # fmt: skip


def _mixed(task: Task, deadline: Seconds, counts: dict[int, int]) -> Round:
    settings = task.settings
    return Round(
        deadline=deadline,
        busy=sum(count * settings.times[i] for i, count in counts.items()),
        energy=sum(count * settings.energies[i] for i, count in counts.items()),
    )


# --- what is believed before a round --------------------------------------------------------------


def believed(task: Task, rows: Sequence[int], seed: int = 0) -> Settings:
    """What a few settings let expect of all: fitted as `hetsim calibrate` does, or as measured.

    Args:
        task: whose sweep is asked for these rows alone.
        rows: that were measured.
        seed: of the folds that choose the form of the fit.

    Raises:
        SpecError: too few rows.
    """
    known = np.array(sorted(set(rows)), np.intp)
    measured = task.sweep.take(known)
    times, energies = fit(measured, seed).model(task.sweep.clocks)
    times[known], energies[known] = measured.time, measured.energy
    return replace(task.settings, times=times.tolist(), energies=energies.tolist())


def tell(pacer: Pacer, task: Task, rows: Sequence[int], items: Sequence[float]) -> None:
    """Tell a pacer of settings that were measured before its first round, over so many items."""
    settings = task.settings
    for row, count in zip(rows, items, strict=True):
        if count:
            took, drew = count * settings.times[row], count * settings.energies[row]
            pacer.told(Stretch(row, count), took, drew)
