"""BoFL: finds the settings worth using by Bayesian optimisation inside the jobs, then mixes them.

A device is to do job after job of the same kind, each before a deadline, and knows of its settings
only what it measures in these jobs.

1. It tries a hundredth of its settings, drawn at random, the highest clocks first.
2. It learns a Gaussian process each for seconds and joules, asks for the batch of settings from
   which the hypervolume of what is known is expected to grow most, tries these, and so on until
   more than three hundredths were tried and the last batch made it grow by less than a hundredth.
3. Every further job is the mix of known settings with the fewest joules in time.

A trial lasts `tau` seconds, less where items are whole. Where they are not, `tau` is cut to a
twentieth of what the job takes at the highest clocks (assumed: where jobs have 1.2 times as long as
that, as is usual, several trials fit; the authors' jobs take much longer than `tau`). A trial
begins only while the highest clocks could do what is left with `tau` to spare, so a job that could
be done in time still can be:

    (d - tau) / t_highest > w,    for w items and d seconds left

Else the highest clocks do the rest, or, once the list of settings to try is used up, the mix of
phase 3. If fewer items are left than a trial takes, they are done and nothing is recorded.

How many items a trial has follows from the seconds believed of its setting, and so does the guard
until the highest clocks were tried; the authors take both from their table. Where items are
`whole`, a setting at which not one is done in `tau` is never tried but counts as measured, at no
cost and with what is believed of it, as in the authors' program; else a part of an item is done.

Assumed, as the source has larger spaces only: at least three settings are tried first; the noise of
the processes is the authors' (1e-5, of s^2 and J^2), but no more than a ten-thousandth of what the
first observations vary by; nothing is left to try when every setting is known; a mix that has
fallen behind is made again.

Numpy and scipy decide here what is tried, unlike anywhere else on the way to simulated time: a run
repeats on one machine with the pinned versions, not on every type of processor.

Source: Guo, Gu, Yang, Wang, Lee, Chandramoorthy, Eilam, Chen and Nahrstedt, BoFL: Bayesian
Optimized Local Training Pace Control for Energy Efficient Federated Learning, Middleware 2022, by
its program (github:hongpeng-guo/BoFL@c89944d); the optimiser as in Trieste 0.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor, inf, isfinite

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Fraction, Joules, Seconds
from hetsim.core.rng import entropy, rng
from hetsim.sim.governors._gaussian import Outlook, Shape, learn
from hetsim.sim.governors._hypervolume import expected_gain, hypervolume, pareto, reference
from hetsim.sim.governors._mix import blend, mix
from hetsim.sim.governors._paced import Paced
from hetsim.sim.governors._pacing import Settings, Stretch
from hetsim.sim.governors.base import Governor

Floats = NDArray[np.float64]

_NOISE, _RELATIVE_NOISE = 1e-5, 1e-4
_ENOUGH = 0.01
"""Growth of the hypervolume below which exploring ends."""
_TRIAL = 0.05
"""Of a job: a trial is no longer, where items can be divided."""
_FEWEST = 3
"""Settings tried first, where there are as many."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class BoFL(Paced):
    """Bayesian exploration of the settings, then exact mixes of those known.

    Attributes:
        tau: longest trial of a setting; on jobs that are not long, trials are shorter.
        first: share of the settings that are tried before the optimiser is asked.
        least: share of the settings of which more must be tried before exploring may end.
        batch: settings asked for at once, at most; fewer where a job has no room for so many.
        whole: items cannot be divided.
        seed: of the settings that are tried first and of the optimiser; device and seed of the run
            count beside it.
    """

    tau: Seconds = 5.0
    first: Fraction = 0.01
    least: Fraction = 0.03
    batch: int = 10
    whole: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse trials of no length, no settings to try, and what no policy takes."""
        Paced.__post_init__(self)
        for name in ("tau", "first", "least", "batch"):
            if not getattr(self, name) > 0:
                what = f"{name} is {getattr(self, name):g}; it must be above 0"
                usual = type(self).__dataclass_fields__[name].default
                raise SpecError(what, remedy=f"Give more than 0, such as {usual:g}.")

    def begin(self, stream: int = 0) -> Governor:
        """The governor of one device, which draws its own settings."""
        return Paced.begin(replace(self, seed=entropy(self.seed, "sim/bofl", stream)))

    def pacer(self, settings: Settings, initial: Sequence[int] = ()) -> Explorer:
        """A pacer that has measured nothing yet.

        Args:
            settings: of the device.
            initial: settings to try first, in this order; drawn if there are none.
        """
        return Explorer(self, settings, initial)

    def tries(self, settings: Settings) -> int:
        """How many settings are tried before the optimiser is asked."""
        return min(max(_share(self.first, len(settings)), _FEWEST), len(settings))

    def longest(self, job: Seconds) -> Seconds:
        """Of a trial in a job that takes so long at the highest clocks."""
        return self.tau if self.whole else min(self.tau, _TRIAL * job)

    def trial(self, time: Seconds, longest: Seconds = inf) -> float:
        """How many items are done to try a setting at which one takes so long."""
        count = min(self.tau, longest) / time
        return ceil(count) - 1 if self.whole else count

    def drawn(self, settings: Settings) -> list[int]:
        """The settings to try first: the one with the highest clocks, and others at random."""
        highest = settings.highest
        others = [i for i in range(len(settings)) if i != highest]
        random = rng(self.seed, "sim/bofl/first")
        chosen = random.choice(len(others), size=self.tries(settings) - 1, replace=False)
        return [highest, *(others[i] for i in chosen.tolist())]


@dataclass(slots=True)
class _Measured:
    """What was observed, in order; a setting may have been tried twice."""

    settings: list[int] = field(default_factory=list[int])
    points: list[tuple[Seconds, Joules]] = field(default_factory=list[tuple[Seconds, Joules]])

    def __len__(self) -> int:
        return len(self.settings)

    def add(self, setting: int, time: Seconds, energy: Joules) -> None:
        self.settings.append(setting)
        self.points.append((time, energy))

    @property
    def latest(self) -> dict[int, tuple[Seconds, Joules]]:
        """What was observed last of each."""
        return dict(zip(self.settings, self.points, strict=True))


class Explorer:
    """Paces jobs by BoFL.

    Attributes:
        phase: 1 trying the first settings, 2 those the optimiser asks for, 3 using what is known.
        observed: the settings that were measured, in order; one may stand there twice.
    """

    def __init__(self, options: BoFL, settings: Settings, initial: Sequence[int] = ()) -> None:
        self.phase = 1
        self._options, self._settings, self._highest = options, settings, settings.highest
        self._todo: list[int] | None = list(initial) or options.drawn(settings)
        self._measured = _Measured()
        self._optimiser: _Optimiser | None = None
        self._windows: list[Seconds] = []
        self._window, self._spent, self._longest = inf, 0.0, options.tau
        self._plan: list[tuple[int, float]] | None = None
        self._hurried = False
        self._tried: int | None = None

    @property
    def observed(self) -> Sequence[int]:
        """The settings that were measured, in order."""
        return tuple(self._measured.settings)

    def begin(self, items: float, seconds: Seconds) -> None:
        """A job of so many items begins that has so many seconds; infinite: it has no deadline."""
        self._spent, self._plan, self._hurried, self._tried = 0.0, None, False, None
        self._longest = self._options.longest(items * self._highest_time)
        self._window = seconds
        if not isfinite(seconds):
            self._window = self._options.slack * items * self._highest_time
        if self.phase == 1 and not self._todo:
            self._optimiser = self._ask_from_now_on()
            self.phase = 2
        if self.phase == 2 and self._optimiser:
            self._todo = None
            if self._optimiser.finds_enough(self._measured):
                self.phase = 3
        if self.phase == 1:
            self._windows.append(self._window)

    def next(self, items: float, seconds: Seconds) -> Stretch:
        """What to do next; so many items are left to do and so many seconds, which may be none."""
        left = seconds if isfinite(seconds) else self._window - self._spent
        self._tried = None
        while self.phase < 3 and self._plan is None and not self._hurried:
            spare = (left - self._longest) / self._highest_time
            if spare < items:
                self._hurried = True
            elif spare == items or not self._to_try:
                self._plan = self._mixed(items, left)
            else:
                trial = self._trial(self._to_try[0], items)
                if trial:
                    return trial
        if self._hurried:
            return Stretch(self._highest)
        return self._planned(items, left)

    def told(self, stretch: Stretch, seconds: Seconds, energy: Joules) -> None:
        """What the items of `stretch`, as many as were really done, took; joules above rest."""
        self._spent += seconds
        if stretch.items <= 0.0:
            return
        if self._tried is not None:
            self._observe(stretch.setting, seconds / stretch.items, energy / stretch.items)
        elif self._plan and self._plan[0][0] == stretch.setting:
            (setting, items), *rest = self._plan
            more = items - stretch.items
            self._plan = [(setting, more), *rest] if more > _ROUNDING * items else rest
        self._tried = None

    @property
    def _to_try(self) -> list[int]:
        """The settings still to be tried; asks the optimiser for some when it has to."""
        if self._todo is None:
            assert self._optimiser
            self._todo = self._optimiser.batch(self._measured)
        return self._todo

    @property
    def _highest_time(self) -> Seconds:
        """Of an item at the highest clocks: measured, or else believed."""
        known = self._measured.latest.get(self._highest)
        return known[0] if known else self._settings.times[self._highest]

    def _trial(self, setting: int, items: float) -> Stretch | None:
        """A trial of the setting; none if it is so slow that what is believed must do."""
        believed = self._settings.times[setting]
        count = self._options.trial(believed, self._longest)
        if count == 0:
            self._observe(setting, believed, self._settings.energies[setting])
            return None
        if items < count:
            return Stretch(setting)
        self._tried = setting
        return Stretch(setting, count)

    def _observe(self, setting: int, time: Seconds, energy: Joules) -> None:
        self._measured.add(setting, time, energy)
        del self._to_try[0]

    def _planned(self, items: float, left: Seconds) -> Stretch:
        """The next part of the mix, which is made anew if there is none or it would be late."""
        if not self._plan or self._needed(self._plan) > left * (1.0 + _ROUNDING):
            self._plan = self._mixed(items, left)
        setting, count = self._plan[0]
        return Stretch(setting, count if len(self._plan) > 1 else inf)

    def _needed(self, plan: list[tuple[int, float]]) -> Seconds:
        known = self._measured.latest
        return sum(known.get(i, (self._highest_time,))[0] * count for i, count in plan)

    def _mixed(self, items: float, seconds: Seconds) -> list[tuple[int, float]]:
        """The known settings with the fewest joules in time, and how many items at each."""
        place = self._highest
        believed = {place: (self._settings.times[place], self._settings.energies[place])}
        known = believed | self._measured.latest
        settings = list(known)
        times, energies = zip(*known.values(), strict=True)
        if self._options.whole:
            counts = mix(times, energies, round(items), seconds).items()
        else:
            counts = blend(times, energies, items, seconds)
        return [(settings[place], float(count)) for place, count in counts]

    def _ask_from_now_on(self) -> _Optimiser:
        room = floor(sum(self._windows) / len(self._windows) / self._longest)
        return _Optimiser(
            clocks=np.array(self._settings.clocks, np.float64),
            measured=self._measured,
            least=_share(self._options.least, len(self._settings)),
            batch=max(min(self._options.batch, room), 1),
            random=rng(self._options.seed, "sim/bofl/fit"),
        )


class _Optimiser:
    """Says which settings to try next, from all that were measured."""

    def __init__(
        self,
        *,
        clocks: Floats,
        measured: _Measured,
        least: int,
        batch: int,
        random: np.random.Generator,
    ) -> None:
        self._least, self._batch, self._random = least, batch, random
        self._clocks = clocks[:, np.ptp(clocks, axis=0) > 0.0]
        first = np.array(measured.points)
        self._beyond = reference(first)
        self._volume = 0.0
        spans = np.ptp(self._clocks, axis=0)
        self._priors = [Shape.start(first[:, place], spans) for place in (0, 1)]
        self._noise = [min(_NOISE, _RELATIVE_NOISE * prior.variance) for prior in self._priors]
        self._shapes = list(self._priors)

    def finds_enough(self, measured: _Measured) -> bool:
        """Whether exploring ends: enough was tried, and the last batch was hardly worth it."""
        before, self._volume = self._volume, hypervolume(np.array(measured.points), self._beyond)
        grown = self._volume - before > _ENOUGH * before if before else True
        everything = len(set(measured.settings)) == len(self._clocks)
        return everything or (len(measured) > self._least and not grown)

    def batch(self, measured: _Measured) -> list[int]:
        """The settings to try: each the best if those before it were as expected."""
        with threadpool_limits(1):
            return self._chosen(measured.settings, np.array(measured.points))

    def _chosen(self, known: Sequence[int], points: Floats) -> list[int]:
        seen = self._clocks[list(known)]
        views: list[Outlook] = []
        for place, prior in enumerate(self._priors):
            shape = learn(
                seen, points[:, place], last=self._shapes[place], prior=prior,
                noise=self._noise[place], random=self._random,
            )  # fmt: skip
            self._shapes[place] = shape
            views.append(Outlook(shape, self._noise[place], seen, points[:, place], self._clocks))
        means = np.array([view.mean for view in views])
        chosen: list[int] = []
        for _ in range(self._batch):
            front = pareto(means[:, [*known, *chosen]].T)
            variances = np.array([view.variance for view in views])
            gain = expected_gain(means, variances, front, reference(front))
            chosen.append(int(gain.argmax()))
            for view in views:
                view.imagine(chosen[-1])
        return chosen


def _share(part: Fraction, number: int) -> int:
    """A share of a number of settings, whole and not less."""
    return ceil(part * number - _ROUNDING)
