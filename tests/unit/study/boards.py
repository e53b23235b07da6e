"""A made-up board whose decomposition is known, and sweeps of workloads on it."""

from __future__ import annotations

from itertools import product

import numpy as np

from hetsim.study.physics import TimeForm
from hetsim.study.sweep import Sweep
from hetsim.study.work import Floats, Work

CLOCKS = np.array(
    list(
        product(
            np.linspace(0.2e9, 2.0e9, 8), np.linspace(0.1e9, 1.3e9, 7), np.linspace(0.4e9, 1.8e9, 4)
        )
    )
)
"""[224, 3] settings; the last is full speed."""
FORM = Work(
    top=CLOCKS.max(axis=0),
    time=TimeForm(
        overhead=0.005, cycles=(0.2e9, 0.33e9, 0.36e9), background=30e6, ahead=9.0, overlap=2.2
    ),
    steepness=4.5,
    watts=np.array([2.0, 0.2, 0.5, 1.0, 3.0, 0.8, 4.0, 0.7, 0.6, 0.3, 0.2, 0.2, 0.9, 0.5, 0.4]),
)
"""What the board does under the workload that it was calibrated on."""
OTHER = FORM.scaled(np.array([0.4, 0.35, -0.2, 0.1]), np.array([0.05, 0.1, -0.1, 0.15]))
"""The same board under another."""


def swept(form: Work, clocks: Floats = CLOCKS, noise: float = 0.0) -> Sweep:
    """The sweep that somebody measures who sees time and power off by `noise`, relatively."""
    logs = form.predict(clocks)
    logs += noise * np.random.default_rng(3).normal(size=logs.shape)
    time, power = np.exp(logs)
    return Sweep(
        name="made up",
        lines=np.arange(2, 2 + len(clocks)),
        cpu=clocks[:, 0],
        gpu=clocks[:, 1],
        emc=clocks[:, 2],
        time=time,
        energy=time * power,
    )


def unmeasured(clocks: Floats = CLOCKS) -> Sweep:
    """A grid of settings alone."""
    nothing = np.empty(0)
    return Sweep(
        name="grid",
        lines=np.arange(2, 2 + len(clocks)),
        cpu=clocks[:, 0],
        gpu=clocks[:, 1],
        emc=clocks[:, 2],
        time=nothing,
        energy=nothing,
    )


def mape(estimate: Floats, truth: Floats) -> float:
    """Mean absolute percentage error."""
    return 100.0 * float(np.mean(np.abs(estimate / truth - 1.0)))
