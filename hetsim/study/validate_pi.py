"""Two Raspberry Pi 4 train the same jobs, one without a working fan: speed and heat against logs.

The logs (`hetsim.study.pi_log`) hold, for each round and board, seconds of training and the
temperature at their end; watts were not measured.

*Speed.* A board's factor is its median seconds a sample over the cooled board's, fitted on one
shared job and tried on the other.

*Heat.* Resistance, capacity and first temperature of a hot board follow from a job in which it did
not throttle (least squares; ambient and watts are those of the profile, so the resistance is one
per these watts). Then the engine plays another job with the profile's trip points, and its
temperature and time lost are compared round by round. All training time is taken to scale with the
clock. The cooled board is a power meter: its rise over ambient in a job, over that in the reference
job, is the ratio of their watts.

*Large jobs.* The logs of the hot board are not at hand for those; what is published is an interval
over factors and throttling. In the short shared jobs the hot board is the faster one, so no
sign is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, median

from hetsim.core.errors import si
from hetsim.core.quantities import Celsius, Hertz, Seconds
from hetsim.sim.device import Profile
from hetsim.sim.heat import ROOM, Body
from hetsim.spec.profile import find_profile, load_profile
from hetsim.study.explain import Sheet, Table
from hetsim.study.pi_heat import Warmth, fit_warmth, play
from hetsim.study.pi_log import Round, read_job

_DEVICE = "raspberry_pi_4b"
_HOT, _COOLED = "pi127", "pi99"
_SHARED = ("pi-demo-mnist", "pi-demo-cifar10")
_LARGE = ("pi-eff-squeezenet", "pi-10k-squeezenet", "pi-10k-mobilenetv3")
_QUIET = "pi_tinycnn_mnist_dirichlet_b16_e1_r10"
_THROTTLING = "pi_dscnn_cifar10_iid_b16_e1_r20"
_BARE, _OTHER = "pi0", "pi1"
"""In the older jobs neither board had a fan; the first never throttles in the quiet one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """A factor fitted on one job and tried on another.

    Attributes:
        fitted, tried: names of the jobs.
        factor: hot over cooled, seconds a sample.
        errors: relative error of each round of the other job.
        median_error: of its median round.
    """

    fitted: str
    tried: str
    factor: float
    errors: tuple[float, ...]
    median_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A round as logged and as simulated.

    Attributes:
        temperature, simulated_temperature: at its end.
        lost, simulated_lost: time beyond that at full clock, as a share of that.
        throttled: whether the firmware says at its end that it holds the board back.
        frequency: mean clock of the simulated board.
    """

    temperature: Celsius
    simulated_temperature: Celsius
    lost: float
    simulated_lost: float
    throttled: bool
    frequency: Hertz


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """A throttling job, round by round.

    Attributes:
        board, job: which.
        start: temperature before the first round, with which it ends as logged.
        rounds: as logged and as simulated.
    """

    board: str
    job: str
    start: Celsius
    rounds: tuple[Played, ...]

    @property
    def temperature_error(self) -> float:
        """Mean absolute error after the first round, K."""
        return mean(abs(r.simulated_temperature - r.temperature) for r in self.rounds[1:])

    @property
    def lost(self) -> tuple[float, float]:
        """Share of time lost over the whole job, logged and simulated."""
        return mean(r.lost for r in self.rounds), mean(r.simulated_lost for r in self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A round of the hot board in a job whose log is not at hand.

    Attributes:
        job: its name.
        cooled: seconds of the cooled board's median round.
        low, middle, high: seconds of the hot board's.
    """

    job: str
    cooled: Seconds
    low: Seconds
    middle: Seconds
    high: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PiValidation:
    """All of the above."""

    speeds: tuple[Speed, ...]
    warmth: Warmth
    trajectories: tuple[Trajectory, ...]
    forecasts: tuple[Forecast, ...]

    def sheet(self) -> Sheet:
        """Tables for a person."""
        speeds = [
            (s.fitted, s.tried, f"{s.factor:.3f}", _percent(s.median_error),
             ", ".join(map(_percent, s.errors)))
            for s in self.speeds
        ]  # fmt: skip
        fit = self.warmth
        heat = [(fit.board, fit.job, f"{fit.resistance:.1f}", f"{fit.capacity:.0f}",
                 f"{fit.start:.1f}", f"{fit.error:.2f}")]  # fmt: skip
        paths = [
            (t.board, t.job, str(len(t.rounds)), str(sum(r.throttled for r in t.rounds)),
             f"{t.start:.0f}", f"{t.temperature_error:.1f}", _percent(t.lost[0]),
             _percent(t.lost[1]), si(mean(r.frequency for r in t.rounds)) + "Hz")
            for t in self.trajectories
        ]  # fmt: skip
        large = [
            (f.job, *(f"{value:.0f}" for value in (f.cooled, f.low, f.middle, f.high)))
            for f in self.forecasts
        ]
        return Sheet(
            "Two Raspberry Pi 4, one without a working fan",
            ["In the short jobs that both ran, the hot board is the faster one; whether it is"
             " slower in the large ones is left open by the interval. The profile's trip points"
             " overstate the time lost at first."],
            [
                Table("Speed of the hot board over the cooled one, s a sample",
                      ("fitted on", "tried on", "factor", "median round", "each round"), speeds),
                Table("Heat, fitted where nothing throttles",
                      ("board", "job", "K/W", "J/K", "start degC", "rms K"), heat),
                Table("Throttling jobs: temperature error, and time lost as logged and simulated",
                      ("board", "job", "rounds", "held back", "start degC", "error K", "lost",
                       "simulated", "mean clock"), paths),
                Table("Not yet seen: a round of the hot board, s",
                      ("job", "cooled (logged)", "low", "middle", "high"), large),
            ],
        )  # fmt: skip


def validate_pi(folder: Path) -> PiValidation:
    """Fit, try and forecast from the logs in `folder`.

    Raises:
        SpecError: a log is missing or is not one.
    """
    profile = load_profile(find_profile(_DEVICE, None))
    assert profile.heat, "the profile says how it warms"
    shared = [read_job(folder / f"{name}.csv") for name in _SHARED]
    factors = [_pace(job[_HOT]) / _pace(job[_COOLED]) for job in shared]
    speeds = tuple(
        _speed(_SHARED[i], _SHARED[1 - i], factors[i], shared[1 - i]) for i in range(2)
    )  # fmt: skip
    quiet, hard = (read_job(folder / f"{name}.csv") for name in (_QUIET, _THROTTLING))
    warmth = fit_warmth(profile, _BARE, _QUIET, quiet[_BARE])
    bare = replace(
        profile.heat, resistance=warmth.resistance, capacity=warmth.capacity, power="all"
    )
    older = _pace(quiet[_BARE]) / min(r.seconds / r.samples for r in quiet[_OTHER])
    full = older * min(r.seconds / r.samples for r in hard[_OTHER])
    demo = shared[1]
    trajectories = (
        _trajectory(profile, bare, _BARE, _THROTTLING, hard[_BARE], full),
        _trajectory(profile, bare, _HOT, _SHARED[1], demo[_HOT],
                    factors[0] * _pace(demo[_COOLED])),
    )  # fmt: skip
    rise = mean(r.temperature for r in demo[_COOLED]) - ROOM
    forecasts = tuple(
        _forecast(profile, bare, name, read_job(folder / f"{name}.csv")[_COOLED], factors, rise)
        for name in _LARGE
    )
    return PiValidation(
        speeds=speeds, warmth=warmth, trajectories=trajectories, forecasts=forecasts
    )


def _pace(rounds: Sequence[Round]) -> float:
    """Median seconds a sample."""
    return median(each.seconds / each.samples for each in rounds)


def _speed(fitted: str, tried: str, factor: float, job: dict[str, list[Round]]) -> Speed:
    ours = factor * _pace(job[_COOLED])
    errors = tuple(ours / (each.seconds / each.samples) - 1.0 for each in job[_HOT])
    return Speed(
        fitted=fitted, tried=tried, factor=factor, errors=errors,
        median_error=ours / _pace(job[_HOT]) - 1.0,
    )  # fmt: skip


def _trajectory(
    profile: Profile, body: Body, board: str, job: str, rounds: Sequence[Round], full: float
) -> Trajectory:
    """A throttling job played at `full` seconds a sample.

    Its first temperature is not logged: of all whole degrees below the first trip point the one
    that brings the first round to its logged end is taken.
    """
    work = [(full * each.samples, each.wait) for each in rounds]
    coolest, hottest = int(ROOM), int(min(trip.at for trip in body.trips))
    ends = {
        float(start): play(profile, body, float(start), 1.0, work[:1])[0][1]
        for start in range(coolest, hottest)
    }
    start = min(ends, key=lambda each: abs(ends[each] - rounds[0].temperature))
    played = play(profile, body, start, 1.0, work)
    frequency = max(d.points[-1].frequency for d in profile.domains)
    return Trajectory(
        board=board, job=job, start=start,
        rounds=tuple(
            Played(
                temperature=logged.temperature, simulated_temperature=temperature,
                lost=logged.seconds / ideal - 1.0, simulated_lost=seconds / ideal - 1.0,
                throttled=logged.throttled, frequency=frequency * ideal / seconds,
            )
            for logged, (ideal, _), (seconds, temperature) in zip(rounds, work, played, strict=True)
        ),
    )  # fmt: skip


def _forecast(
    profile: Profile,
    body: Body,
    job: str,
    cooled: Sequence[Round],
    factors: Sequence[float],
    rise: float,
) -> Forecast:
    """From no throttling at the smaller factor to full throttling at the larger one.

    Args:
        profile: of the device.
        body: how the hot board warms.
        job: its name.
        cooled: the cooled board's rounds of it.
        factors: those fitted on the shared jobs.
        rise: of the cooled board over ambient, in the job whose watts are the profile's.
    """
    watts = (mean(each.temperature for each in cooled) - ROOM) / rise
    logged = median(each.seconds for each in cooled)
    start = partial(play, profile, body, cooled[0].temperature)
    slower = {
        scale: start(scale, [(each.seconds, each.wait) for each in cooled])[-1][0]
        / cooled[-1].seconds
        for scale in (watts, 1.0)
    }
    return Forecast(
        job=job, cooled=logged, low=min(factors) * logged,
        middle=mean(factors) * logged * slower[watts], high=max(factors) * logged * slower[1.0],
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{100.0 * share:+.1f} %"
