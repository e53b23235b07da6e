"""Frequency domains: how fast a part of a device works at each operating point, and what it draws.

A job's work is a `Cost`. Domain i at frequency f_i works for

    host       (operators * cycles_per_operator + steps * cycles_per_step
                + samples * cycles_per_sample) / (f_i - background_i)
    computing  flops / sum over j of (flops_per_cycle_j * f_j), the same for all that do arithmetic:
               they run side by side (CPU clusters)
    moving     traffic / bytes_per_cycle_i / f_i

Flops, bytes and launches are sums over a model's operators, so these are sums over layers: a layer
with little arithmetic for its bytes runs at the speed of memory, one with little of both at that of
launching. (On the training speeds of ten networks on one x86 core the sum of the three errs by 15 %
on the network left out, as does a roofline that takes the larger of arithmetic and memory for each
operator; arithmetic alone errs by 45 %.)

The parts overlap as far as a board's measurements say. With sums over domains and a processor
outside the device (the host of a server GPU) that needs `launch` seconds an operator,

    duration = steps * overhead + norm(p; operators * launch + host, norm(q; computing, moving))
    norm(p; a, b) = (a^p + b^p)^(1/p)

From p = 1, where they add, to large p, where launching runs ahead of the device and the longer of
the two counts; likewise q for arithmetic and memory traffic, within a domain too. What a domain of
another kind than "cpu" spends on cycles counts as computing.

Power follows utilisation: above the device's idle power P0 a domain draws its point's power p(f),
measured or a f + b f^3, while it works and nothing while not, so the mean over a job is P0 + sum of
p_i(f_i) u_i with u_i = seconds that domain i works / duration. Watts do not follow a battery's
voltage: regulators stand between, and as the voltage falls the current rises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from hetsim.core.cost import Cost
from hetsim.core.quantities import Hertz, Joules, Seconds, Watts

DOMAIN_KINDS = ("cpu", "gpu", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """One state of a domain.

    Attributes:
        frequency: effective frequency; where a measured speed is known, work is proportional to it.
        power: draw above the device's idle power while the whole domain is busy.
        label: what to show for it when it is not a frequency ("150 W limit").
        limit: the power limit that holds it here, of the whole device; infinite if none does.
    """

    frequency: Hertz
    power: Watts
    label: str = ""
    limit: Watts = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A part of a device with its own clock.

    Attributes:
        name: unique in its device.
        kind: cpu, gpu or memory.
        points: operating points by rising frequency.
        flops_per_cycle: of the whole domain, all cores; 0 if it does no arithmetic for training.
        bytes_per_cycle: operators' bytes moved a cycle; 0 if traffic costs it no time of its own.
        cycles_per_operator: cycles to launch a tensor operator (framework, kernel launch).
        cycles_per_step: further cycles a training step.
        cycles_per_sample: cycles a sample of the input pipeline.
        background: cycles a second that the system itself takes from those above.
    """

    name: str
    kind: str
    points: tuple[OperatingPoint, ...]
    flops_per_cycle: float = 0.0
    bytes_per_cycle: float = 0.0
    cycles_per_operator: float = 0.0
    cycles_per_step: float = 0.0
    cycles_per_sample: float = 0.0
    background: Hertz = 0.0

    @property
    def launches(self) -> bool:
        """Whether it is where a job is launched from: a processor with cycles for that."""
        cycles = self.cycles_per_operator + self.cycles_per_step + self.cycles_per_sample
        return self.kind == "cpu" and cycles > 0.0

    @property
    def works(self) -> bool:
        """Whether it computes or moves data."""
        return self.flops_per_cycle > 0.0 or self.bytes_per_cycle > 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How the parts of a device add up to a duration.

    Attributes:
        overhead: seconds a training step that no clock shortens.
        launch: seconds that a processor outside the device needs to launch an operator.
        host: p, from 1 (launching and the device's work add) upwards (launching runs ahead).
        memory: q, from 1 (arithmetic and memory traffic add) upwards (they overlap).
    """

    overhead: Seconds = 0.0
    launch: Seconds = 0.0
    host: float = 1.0
    memory: float = 1.0


ADDING = Timing()
"""Nothing overlaps, and there is nothing but the domains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What a job takes on one device at given points.

    Attributes:
        duration: seconds when nothing else runs there.
        busy: seconds each domain is busy, in domain order.
        joules: above base, in domain order.
    """

    duration: Seconds
    busy: tuple[Seconds, ...]
    joules: tuple[Joules, ...]


def effort(
    domains: Sequence[Domain], points: Sequence[int], cost: Cost, timing: Timing = ADDING
) -> Effort:
    """Time and joules of `cost` with domain i at its operating point `points[i]`."""
    speed = sum(
        domain.flops_per_cycle * domain.points[index].frequency
        for domain, index in zip(domains, points, strict=True)
    )
    if cost.flops and not speed:
        raise ValueError("no domain does arithmetic")
    arithmetic = cost.flops / speed if cost.flops else 0.0
    host, computing, moving = cost.operators * timing.launch, arithmetic, 0.0
    busy: list[Seconds] = []
    joules: list[Joules] = []
    for domain, index in zip(domains, points, strict=True):
        point = domain.points[index]
        cycles = (
            cost.operators * domain.cycles_per_operator
            + cost.steps * domain.cycles_per_step
            + cost.samples * domain.cycles_per_sample
        )
        own = cycles / (point.frequency - domain.background)
        if domain.kind == "cpu":
            host += own
        else:
            computing += own
        traffic = 0.0
        if domain.bytes_per_cycle:
            traffic = cost.traffic / domain.bytes_per_cycle / point.frequency
            moving += traffic
        own += _norm(arithmetic if domain.flops_per_cycle else 0.0, traffic, timing.memory)
        busy.append(own)
        joules.append(own * point.power)
    device = _norm(computing, moving, timing.memory)
    duration = cost.steps * timing.overhead + _norm(host, device, timing.host)
    return Effort(duration=duration, busy=tuple(busy), joules=tuple(joules))


def _norm(a: Seconds, b: Seconds, power: float) -> Seconds:
    """(a^p + b^p)^(1/p), exact where one of them is 0 or p is 1."""
    low, high = (a, b) if a < b else (b, a)
    if low == 0.0 or power == 1.0:
        return low + high
    return high * math.pow(1.0 + math.pow(low / high, power), 1.0 / power)
