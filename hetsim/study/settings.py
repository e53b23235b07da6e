"""The operating points of a device that the words of a setting name.

Clocks ("CPU 2266 MHz, GPU 1377 MHz, EMC 2133 MHz") choose the nearest point of each domain of that
kind, a power limit the fastest point whose limit is not above it; what is not named runs at full
speed.
"""

from __future__ import annotations

import re
from math import inf

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Hertz, Watts
from hetsim.sim.device import Profile
from hetsim.sim.dvfs import Domain, OperatingPoint
from hetsim.spec import units
from hetsim.study.workloads import NotPredictable

_NEAR = 0.03
"""A point this near to the stated clock or power limit, as a share of it, is meant."""


def operating_points(setting: str, profile: Profile) -> tuple[int, ...]:
    """The operating point of each domain that a setting names; the fastest where it names none.

    Raises:
        NotPredictable: it names one that the profile has not.
    """
    points = list(profile.highest)
    if limit := re.search(r"power limit\D*([\d.]+\s*[mk]?W)\b", setting):
        return _limited(units.parse(limit[1], "power"), profile)
    for kind, wanted in clocks(setting):
        fitting = [
            (index, _nearest(domain, wanted)) for index, domain in enumerate(profile.domains)
            if domain.kind == kind
        ]  # fmt: skip
        fitting = [
            (index, point) for index, point in fitting
            if abs(clock_of(profile.domains[index].points[point]) - wanted) <= _NEAR * wanted
        ]  # fmt: skip
        if not fitting:
            shown = units.format(wanted, "frequency")
            raise NotPredictable(f"the profile has no {kind} point near {shown}")
        for index, point in fitting:
            points[index] = point
    return tuple(points)


def _limited(limit: Watts, profile: Profile) -> tuple[int, ...]:
    """The fastest point of each domain whose power limit is not above `limit`."""
    if not any(point.limit < inf for domain in profile.domains for point in domain.points):
        raise NotPredictable("the profile has no power limits")
    points: list[int] = []
    for domain in profile.domains:
        allowed = [
            index for index, point in enumerate(domain.points)
            if point.limit == inf or point.limit <= limit * (1.0 + _NEAR)
        ]  # fmt: skip
        if not allowed:
            shown = units.format(limit, "power")
            raise NotPredictable(f"the profile has no point at or below {shown}")
        points.append(allowed[-1])
    return tuple(points)


_KINDS = {"cpu": "cpu", "gpu": "gpu", "emc": "memory", "memory": "memory"}
_CLOCK = re.compile(
    r"\b(cpu|gpu|emc|memory)\d*\b[\s:=]*(?:at\s+)?([\d.]+\s*[kMG]?Hz)", re.IGNORECASE
)


def clocks(setting: str) -> list[tuple[str, Hertz]]:
    """Clocks that a setting names, by kind of domain.

    >>> clocks("CPU6 at 2850 MHz; GPU 1.3 GHz")
    [('cpu', 2850000000.0), ('gpu', 1300000000.0)]
    """
    return [
        (_KINDS[kind.lower()], units.parse(text, "frequency"))
        for kind, text in _CLOCK.findall(setting)
    ]


def clock_of(point: OperatingPoint) -> Hertz:
    """The clock as the profile states it; where a speed is known, `frequency` is not that."""
    try:
        return units.parse(point.label, "frequency")
    except SpecError:
        return point.frequency


def _nearest(domain: Domain, wanted: Hertz) -> int:
    return min(range(len(domain.points)), key=lambda i: abs(clock_of(domain.points[i]) - wanted))
