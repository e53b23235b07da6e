"""What a training step takes as a function of the clocks: the physics form behind `calibrate`.

Time of a step, with f the CPU, GPU and memory clock:

    host   = c_cpu / (f_cpu - f0)                      launching, input pipeline
    device = ((c_gpu / f_gpu)^q + (c_emc / f_emc)^q)^(1/q)
    time   = c0 + (host^p + device^p)^(1/p)

c are cycles a step, c0 seconds that no clock shortens and f0 the cycles a second that the system
takes for itself. p says how far launching runs ahead of the GPU (1: they add; infinity: the longer
of both), q the same of arithmetic and memory traffic. With p = q = 1 and f0 = 0 this is the
additive form c0 + c_cpu/f_cpu + c_gpu/f_gpu + c_emc/f_emc.

Power, with u the share of the step a domain is busy:

    power = P0 + sum over domains of (a f + b f^3) u + (a' f + b' f^3)

a f + b f^3 is the dynamic power C V^2 f of a domain whose voltage rises with its clock; the second
bracket is what its clock tree draws whether it works or not. All coefficients are non-negative.
Both are fitted by relative error.

As f u = cycles / time in every domain (f0 apart), the three terms a f u are one number, joules a
step, over the time: one sweep determines their sum and not how it is split among the domains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from hetsim.core.quantities import Hertz, Seconds, Watts

Floats = NDArray[np.float64]

_OUTLIER = 0.03
"""Relative error from which a row counts by its error and no longer by the square of it."""
_WEAK = 0.003
"""Relative error that a shape parameter one e-fold away from where it starts is worth."""
_LARGEST_SHARE = 0.75
"""Share of the CPU clock that the system itself can take at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeForm:
    """Seconds of a step by clock.

    Attributes:
        overhead: c0.
        cycles: of CPU, GPU and memory a step.
        background: f0.
        ahead: p, how far launching runs ahead of the device.
        overlap: q, how far arithmetic and memory traffic overlap.
    """

    overhead: Seconds
    cycles: tuple[float, float, float]
    background: Hertz = 0.0
    ahead: float = 1.0
    overlap: float = 1.0

    def busy(self, clocks: Floats) -> Floats:
        """[rows, 3] seconds a step that CPU, GPU and memory work at `clocks` ([rows, 3] Hz)."""
        cpu = clocks[:, 0]
        free = np.maximum(cpu - self.background, (1.0 - _LARGEST_SHARE) * cpu)
        return np.array(self.cycles) / np.column_stack([free, clocks[:, 1], clocks[:, 2]])

    def __call__(self, clocks: Floats) -> Floats:
        """Seconds a step at `clocks`."""
        host, arithmetic, traffic = self.busy(clocks).T
        device = _norm(arithmetic, traffic, self.overlap)
        return self.overhead + _norm(host, device, self.ahead)

    def shares(self, clocks: Floats) -> Floats:
        """[rows, 3] share of the step that each domain is busy."""
        return self.busy(clocks) / self(clocks)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerForm:
    """Watts by clock and busy share.

    Attributes:
        base: P0.
        busy: (a, b) of CPU, GPU and memory: W/Hz and W/Hz^3 while busy.
        clocked: (a', b') of each: drawn whether it is busy or not.
    """

    base: Watts
    busy: tuple[tuple[float, float], ...]
    clocked: tuple[tuple[float, float], ...]

    def __call__(self, clocks: Floats, shares: Floats) -> Floats:
        """Watts at `clocks` with each domain busy for its share ([rows, 3] both)."""
        terms = np.concatenate([[self.base], *self.busy, *self.clocked])
        return _power_columns(clocks, shares, clocked=True) @ terms


def fit_time(clocks: Floats, time: Floats, *, overlapping: bool) -> TimeForm:
    """The time form nearest to the measured seconds.

    Args:
        clocks: [rows, 3] Hz.
        time: seconds a step.
        overlapping: fit f0, p and q too; else the additive form.
    """
    top = clocks.max(axis=0)
    columns = np.column_stack([np.ones(len(time)), top / clocks])
    overhead, *slowness = _relative_nnls(columns, time)
    additive = TimeForm(overhead=overhead, cycles=_three(np.array(slowness) * top))
    if not overlapping:
        return additive
    fastest = float(time.min())
    limit = 0.5 * float(clocks[:, 0].min())

    def form(x: Floats) -> TimeForm:
        scale = np.exp(x[:4]) * fastest
        return TimeForm(
            overhead=float(scale[3]),
            cycles=_three(scale[:3] * top),
            background=float(x[6] * limit),
            ahead=float(1.0 + np.exp(x[4])),
            overlap=float(1.0 + np.exp(x[5])),
        )

    def error(x: Floats, start: Floats) -> Floats:
        weak = _WEAK * np.append(x[3:6] - start[3:6], x[6])
        return np.append(np.log(form(x)(clocks) / time), weak)

    best = None
    for host, device in ((0.3, 0.7), (0.7, 0.4)):  # where the step is the GPU's, or the CPU's
        start = np.array([*np.log([host, device, device, 0.03]), np.log(6.0), np.log(1.5), 0.1])
        found = least_squares(
            error, start, args=(start,), loss="soft_l1", f_scale=_OUTLIER, max_nfev=200, ftol=1e-6,
            bounds=([-9.0] * 4 + [-4.0, -4.0, 0.0], [5.0] * 4 + [3.5, 3.5, 1.0]),
        )  # fmt: skip
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    return form(best.x)


def fit_power(clocks: Floats, shares: Floats, power: Floats, *, clocked: bool) -> PowerForm:
    """The power form nearest to the measured watts.

    Args:
        clocks: [rows, 3] Hz.
        shares: [rows, 3] busy share of each domain.
        power: watts.
        clocked: fit what a clock draws without work too; else that is zero.
    """
    columns = _power_columns(clocks, shares, clocked=clocked)
    scale = columns.max(axis=0)
    scale[scale == 0.0] = 1.0  # a domain that is never busy
    found = np.zeros(13)
    found[: len(scale)] = _relative_nnls(columns / scale, power) / scale
    pairs = [(float(a), float(b)) for a, b in found[1:].reshape(6, 2)]
    return PowerForm(base=float(found[0]), busy=tuple(pairs[:3]), clocked=tuple(pairs[3:]))


def _power_columns(clocks: Floats, shares: Floats, *, clocked: bool) -> Floats:
    """[rows, 7 or 13]: one, then f u and f^3 u by domain, then f and f^3 by domain."""
    powers = np.stack([clocks, clocks**3], axis=2)  # [rows, domain, f or f^3]
    rows = len(clocks)
    parts = [np.ones((rows, 1)), (powers * shares[:, :, None]).reshape(rows, 6)]
    if clocked:
        parts.append(powers.reshape(rows, 6))
    return np.hstack(parts)


def _relative_nnls(columns: Floats, target: Floats) -> Floats:
    """Non-negative coefficients with the least squared relative error."""
    return nnls(columns / target[:, None], np.ones(len(target)), maxiter=100 * columns.shape[1])[0]


def _norm(one: Floats, other: Floats, power: float) -> Floats:
    """(one^power + other^power)^(1/power), without overflow."""
    high = np.maximum(one, other)
    ratio = np.minimum(one, other) / np.maximum(high, np.finfo(float).tiny)
    return high * (1.0 + ratio**power) ** (1.0 / power)


def _three(values: Floats) -> tuple[float, float, float]:
    cpu, gpu, emc = (float(each) for each in values)
    return cpu, gpu, emc
