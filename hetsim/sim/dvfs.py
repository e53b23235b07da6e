"""Frequency domains: how fast a part of a device works at each operating point, and what it draws.

A job's work is a `Cost`. The domains that do arithmetic share it in proportion to their speed and
run side by side (CPU clusters); every other term adds, because on measured boards the parts barely
overlap. A domain at frequency f is busy for

    flops / sum(flops_per_cycle * f)      if it does arithmetic (the sum is over those that do)
    + (steps * cycles_per_step + samples * cycles_per_sample + traffic / bytes_per_cycle) / f

and draws its point's power while busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetsim.core.cost import Cost
from hetsim.core.quantities import Hertz, Joules, Seconds, Watts

DOMAIN_KINDS = ("cpu", "gpu", "memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """One state of a domain.

    Attributes:
        frequency: effective frequency; where a measured speed is known, work is proportional to it.
        power: draw above the device's idle power while the whole domain is busy.
        label: what to show for it when it is not a frequency (a GPU's "150 W limit").
    """

    frequency: Hertz
    power: Watts
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A part of a device with its own clock.

    Attributes:
        name: unique in its device.
        kind: cpu, gpu or memory.
        points: operating points by rising frequency.
        flops_per_cycle: of the whole domain, all cores; 0 if it does no arithmetic for training.
        bytes_per_cycle: main-memory bytes moved a cycle; 0 if traffic costs it no time of its own.
        cycles_per_step: fixed cycles a training step (framework, kernel launches).
        cycles_per_sample: cycles a sample of the input pipeline.
    """

    name: str
    kind: str
    points: tuple[OperatingPoint, ...]
    flops_per_cycle: float = 0.0
    bytes_per_cycle: float = 0.0
    cycles_per_step: float = 0.0
    cycles_per_sample: float = 0.0


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
    domains: Sequence[Domain], points: Sequence[int], cost: Cost, overhead: Seconds
) -> Effort:
    """Time and joules of `cost` with domain i at its operating point `points[i]`.

    `overhead` is seconds a step that no clock shortens.
    """
    speed = sum(
        domain.flops_per_cycle * domain.points[index].frequency
        for domain, index in zip(domains, points, strict=True)
    )
    if cost.flops and not speed:
        raise ValueError("no domain does arithmetic")
    arithmetic = cost.flops / speed if cost.flops else 0.0
    duration = overhead * cost.steps + arithmetic
    busy: list[Seconds] = []
    joules: list[Joules] = []
    for domain, index in zip(domains, points, strict=True):
        point = domain.points[index]
        own = cost.steps * domain.cycles_per_step + cost.samples * domain.cycles_per_sample
        if domain.bytes_per_cycle:
            own += cost.traffic / domain.bytes_per_cycle
        seconds = own / point.frequency
        duration += seconds
        if domain.flops_per_cycle:
            seconds += arithmetic
        busy.append(seconds)
        joules.append(seconds * point.power)
    return Effort(duration=duration, busy=tuple(busy), joules=tuple(joules))
