"""Heat: one body that warms with the power drawn and cools towards the air around it.

With P the watts that warm it, R the resistance to ambient at T_a and C the capacity,

    C dT/dt = P - (T - T_a) / R

so that for constant P, with T_s = T_a + P R and time constant R C,

    T(t) = T_s + (T_0 - T_s) exp(-t / (R C))

and T passes T_x between T_0 and T_s after R C log((T_s - T_0) / (T_s - T_x)). T is monotone while P
is constant, so its extremes lie at the ends of such stretches.

A trip point with hysteresis: from the instant T reaches `at` a domain may not exceed an operating
point, until T has fallen to `resume`. Where several trips of a domain are active the lowest point
holds.

Source: the lumped model of, for instance, Skadron et al., Temperature-aware microarchitecture:
modeling and implementation, ACM TACO 1(1), 2004; trips as those of Linux thermal zones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import expm1, inf, log1p
from typing import Literal

from hetsim.core.quantities import Celsius, Fraction, Joules, Seconds, Watts
from hetsim.sim.dvfs import Domain

Warming = Literal["all", "compute"]
WARMING: tuple[Warming, ...] = ("all", "compute")
ROOM: Celsius = 25.0
"""Ambient temperature where a topology gives none."""
_GRAIN: Celsius = 0.5
_CLOSE = 1e-12
"""Relative distance to a trip point that is rounding."""
_COMPUTE = ("compute", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A temperature above which a domain is slowed down.

    Attributes:
        domain: its name.
        at: where it begins.
        resume: where it ends, below `at`.
        point: index of the highest operating point allowed meanwhile.
    """

    domain: str
    at: Celsius
    resume: Celsius
    point: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """How a device holds and loses heat.

    Attributes:
        resistance: to ambient (R), K/W.
        capacity: joules a kelvin (C), J/K.
        power: what warms it: all that the device draws, or its compute and memory alone.
        trips: what it does about it.
    """

    resistance: float
    capacity: float
    power: Warming = "all"
    trips: tuple[Trip, ...] = ()

    def at(self, temperature: Celsius, ambient: Celsius) -> HeatState:
        """This body at a temperature."""
        return HeatState(body=self, ambient=ambient, temperature=temperature)

    def at_rest(self, ambient: Celsius, idle: Watts) -> HeatState:
        """This body after a long time at `idle` watts."""
        rise = self.resistance * idle if self.power == "all" else 0.0
        return self.at(ambient + rise, ambient)


@dataclass(slots=True, kw_only=True)
class HeatState:
    """A body in use.

    Attributes:
        body: what it is.
        ambient: around it.
        temperature: now.
        hottest: highest so far.
        throttled: seconds in which a trip was active.
        tripped: which trips are active, in the body's order.
    """

    body: Body
    ambient: Celsius = ROOM
    temperature: Celsius = ROOM
    hottest: Celsius = field(init=False)
    throttled: Seconds = 0.0
    tripped: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        """See which trips are active from the start."""
        self.hottest = self.temperature
        self.tripped = [self.temperature >= trip.at for trip in self.body.trips]

    @property
    def track(self) -> str:
        """Name of its counter."""
        return "temperature_c"

    @property
    def grain(self) -> Celsius:
        """Change of the value that is worth a point in the trace."""
        return _GRAIN

    @property
    def value(self) -> Celsius:
        """What its track shows."""
        return self.temperature

    def advance(self, used: Mapping[str, Joules], dt: Seconds) -> Joules:
        """Let the node use joules evenly over `dt`; heat itself costs none.

        >>> heat = HeatState(body=Body(resistance=10.0, capacity=5.0))
        >>> heat.advance({"idle": 200.0}, 50.0), round(heat.temperature, 6)
        (0.0, 50.284822)
        """
        if any(self.tripped):
            self.throttled += dt
        towards = self._steady(self._warming(used) / dt)
        self.temperature -= (towards - self.temperature) * expm1(-dt / self._constant)
        self.hottest = max(self.hottest, self.temperature)
        return 0.0

    def moment(self, share: Fraction, dt: Seconds) -> Seconds:
        """When `share` of the change over `dt` of constant power is done."""
        return -self._constant * log1p(share * expm1(-dt / self._constant))

    def horizon(self, draw: Mapping[str, Watts]) -> Seconds:
        """Seconds until the next trip begins or ends, if the draw stays as it is."""
        return self._next(draw)[0]

    def reach(self, draw: Mapping[str, Watts]) -> bool:
        """Be where `horizon` said, where a trip begins or ends."""
        _, self.temperature = self._next(draw)
        self.hottest = max(self.hottest, self.temperature)
        for index, trip in enumerate(self.body.trips):
            if self.tripped[index]:
                self.tripped[index] = self.temperature > trip.resume
            else:
                self.tripped[index] = self.temperature >= trip.at
        return True

    def limits(self, domains: Sequence[Domain]) -> tuple[int, ...]:
        """Index of the highest operating point that each domain may use now."""
        active = [
            trip for trip, on in zip(self.body.trips, self.tripped, strict=True) if on
        ]  # fmt: skip
        return tuple(
            min(
                (trip.point for trip in active if trip.domain == domain.name),
                default=len(domain.points) - 1,
            )
            for domain in domains
        )

    def _next(self, draw: Mapping[str, Watts]) -> tuple[Seconds, Celsius]:
        towards = self._steady(self._warming(draw))
        soonest = inf, self.temperature
        for trip, on in zip(self.body.trips, self.tripped, strict=True):
            if towards < trip.resume if on else towards > trip.at:
                there = trip.resume if on else trip.at
                soonest = min(soonest, (self._until(there, towards), there))
        return soonest

    def _until(self, there: Celsius, towards: Celsius) -> Seconds:
        """Seconds until it passes `there`, which lies before `towards`."""
        gap = there - self.temperature
        rest = towards - there
        if gap * rest <= 0.0 or abs(gap) <= _CLOSE * (abs(there) + abs(towards)):
            return 0.0
        return self._constant * log1p(gap / rest)

    def _steady(self, power: Watts) -> Celsius:
        return self.ambient + power * self.body.resistance

    def _warming(self, kinds: Mapping[str, float]) -> float:
        if self.body.power == "all":
            return sum(kinds.values())
        return sum(kinds.get(kind, 0.0) for kind in _COMPUTE)

    @property
    def _constant(self) -> Seconds:
        return self.body.resistance * self.body.capacity
