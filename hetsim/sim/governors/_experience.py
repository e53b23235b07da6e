"""What a device's settings take: what is believed of them, corrected by what was measured.

The logarithm of the seconds of an item at a setting, over those believed, is the sum of

    the speed of the job, the error of the belief, and noise

taken as independent and normal: the speed about that of the jobs before, the error about the mean
error of the settings used so far, the noise with a variance that falls with the items measured.
What a job has shown last counts most. When it is over, what it has shown of a setting beside its
speed corrects that setting's error. Errors are counted from what was known before the first job;
if that is nothing, from the first setting used.

Watts have no such noise: those of a setting are what it drew, and one that was never measured is
off by as much as those used are together.

The model and its constants are assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Joules, Seconds, Watts
from hetsim.sim.governors._pacing import Settings

Floats = NDArray[np.float64]

_DOUBT = 0.03
"""Spread of the errors of what is believed."""
_SWING = 0.1
"""Spread of the speed from job to job."""
_NOISE = 0.03
"""Spread of what single items take, as if it had been seen once."""
_FADING = 0.5
"""What a stretch, or a job, counts beside the next one."""
_MEMORY = 50
"""How often the noise was seen that counts."""
_EXACT = 1e-12
"""Variance of what is known for certain."""


@dataclass(slots=True)
class _Seen:
    """What a job has shown of a setting.

    Attributes:
        log: logarithm of measured over believed seconds.
        items: how many were done.
        fresh: what they count for now.
    """

    log: float
    items: float = 0.0
    fresh: float = 0.0


@dataclass(slots=True)
class _Drawn:
    """Seconds and joules of a setting, the last stretch for most."""

    seconds: Seconds = 0.0
    energy: Joules = 0.0

    @property
    def power(self) -> Watts:
        return self.energy / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Settings measured before a job began.

    Attributes:
        places: among those considered.
        times: seconds believed of an item, and the mean error of that.
        powers: that they drew.
    """

    places: Sequence[int] = ()
    times: Sequence[tuple[Seconds, float]] = ()
    powers: Sequence[Watts] = ()


class Experience:
    """What is known of a device's settings, from job to job.

    Attributes:
        noise: variance of what single items take, relatively.

    `considered` are the settings that `table` tells of, in this order; all if it is None.
    """

    def __init__(self, settings: Settings, considered: Sequence[int] | None = None) -> None:
        self._settings = settings
        shown = range(len(settings)) if considered is None else considered
        self._places = {setting: place for place, setting in enumerate(shown)}
        self._powers = [e / t for e, t in zip(settings.energies, settings.times, strict=True)]
        self._believed = tuple(
            np.array([each[i] for i in shown]) for each in (settings.times, self._powers)
        )
        self._known = _Known()
        self._errors: dict[int, tuple[float, float]] = {}  # mean and variance
        self._drawn: dict[int, _Drawn] = {}
        self._used: set[int] = set()
        self._job: dict[int, _Seen] = {}
        self._jobs, self._usual, self._common = 0, 0.0, 0.0
        self._speed, self._unsure = 0.0, _SWING**2
        self._dearer, self._spread = 1.0, _DOUBT
        self._dearer_at_first = 1.0
        self.noise, self._looks = _NOISE**2, 1

    def knows(self, setting: int) -> bool:
        """Whether this setting was ever measured."""
        return setting in self._drawn

    def inherit(self, other: Experience) -> None:
        """Expect the speed and the watts that other work on the device has shown last."""
        self._usual = other._speed
        self._dearer = self._dearer_at_first = other._dearer

    def begin(self) -> None:
        """A job begins: what the last one has shown is put down."""
        corrected = {setting: self._corrected(setting) for setting in self._job}
        self._errors.update(corrected)
        if self._job:
            kept = _FADING if self._jobs > 1 else 0.0
            self._usual = kept * self._usual + (1.0 - kept) * self._speed
        errors = [self._errors[setting][0] for setting in sorted(self._used)]
        self._common = sum(errors) / (len(errors) + 1.0)
        self._job = {}
        self._jobs += 1
        self._known = self._before()
        self._guess()

    def told(self, setting: int, items: float, seconds: Seconds, energy: Joules) -> None:
        """What items took at a setting; before the first job, what is known beforehand."""
        drawn = self._drawn.setdefault(setting, _Drawn())
        drawn.seconds = _FADING * drawn.seconds + seconds
        drawn.energy = _FADING * drawn.energy + energy
        ratio = log(seconds / (items * self._settings.times[setting]))
        if not self._jobs:
            self._errors[setting] = ratio, _EXACT
            return
        if not self._errors:
            self._errors[setting] = 0.0, _EXACT
        self._used.add(setting)
        for seen in self._job.values():
            seen.fresh *= _FADING
        seen = self._job.setdefault(setting, _Seen(ratio))
        if seen.items:
            apart = (ratio - seen.log) ** 2 / (1.0 / items + 1.0 / seen.fresh)
            self._looks = min(self._looks + 1, _MEMORY)
            self.noise += (apart - self.noise) / self._looks
        seen.items += items
        seen.fresh += items
        seen.log += (ratio - seen.log) * items / seen.fresh
        self._guess()

    def time(self, setting: int) -> tuple[Seconds, float]:
        """Expected seconds of an item, and the variance of how far off that is, relatively."""
        mean, variance = self._error(setting)
        mean, variance = mean + self._speed, variance + self._unsure
        if seen := self._job.get(setting):
            gain = variance / (variance + self.noise / seen.fresh)
            mean, variance = mean + gain * (seen.log - mean), (1.0 - gain) * variance
        return self._settings.times[setting] * exp(mean), variance

    def table(self, hope: float) -> tuple[Floats, Floats]:
        """Expected seconds and joules of an item at each setting considered.

        Args:
            hope: spreads of joules by which those that were never measured may be better.
        """
        times, powers = self._believed
        better = hope * self._spread * self._dearer
        times = exp(self._common + self._speed) * times
        powers = self._dearer * powers - better * abs(powers)
        known, speed = self._known, self._speed
        times[known.places] = [t * exp(error + speed) for t, error in known.times]
        powers[known.places] = known.powers
        for setting in self._job:
            if (place := self._places.get(setting)) is not None:
                times[place], powers[place] = self.time(setting)[0], self._drawn[setting].power
        return times, times * powers

    def _before(self) -> _Known:
        """What was measured before this job of the settings considered."""
        known = [setting for setting in self._drawn if setting in self._places]
        return _Known(
            places=[self._places[i] for i in known],
            times=[(self._settings.times[i], self._errors[i][0]) for i in known],
            powers=[self._drawn[i].power for i in known],
        )

    def _error(self, setting: int) -> tuple[float, float]:
        """Mean and variance of the error of what is believed."""
        return self._errors.get(setting, (self._common, _DOUBT**2))

    def _corrected(self, setting: int) -> tuple[float, float]:
        """The same with what the job has shown; no surer than its speed is."""
        (mean, variance), seen = self._error(setting), self._job[setting]
        gain = variance / (variance + self._unsure + self.noise / seen.items)
        mean += gain * (seen.log - self._speed - mean)
        return mean, max((1.0 - gain) * variance, min(self._unsure, variance))

    def _guess(self) -> None:
        """The speed of the job, and by how much watts are off."""
        weight = 1.0 / _SWING**2
        total = weight * self._usual
        for setting, seen in self._job.items():
            mean, variance = self._error(setting)
            tells = 1.0 / max(variance + self.noise / seen.fresh, _EXACT)
            weight, total = weight + tells, total + tells * (seen.log - mean)
        self._speed, self._unsure = total / weight, 1.0 / weight
        used = sorted(self._used)
        drew = sum(self._drawn[i].power for i in used)
        believed = sum(self._powers[i] for i in used)
        known = drew > 0.0 and believed > 0.0
        self._dearer = drew / believed if known else self._dearer_at_first
        off = [
            self._drawn[i].power / (self._dearer * self._powers[i]) * exp(self._slower(i)) - 1.0
            for i in used
            if self._powers[i]
        ]
        self._spread = sqrt((_DOUBT**2 + sum(each**2 for each in off)) / (1 + len(off)))

    def _slower(self, setting: int) -> float:
        """How much slower than the others a setting that was used is, by what is known."""
        known = self._corrected(setting) if setting in self._job else self._errors[setting]
        return known[0] - self._common
