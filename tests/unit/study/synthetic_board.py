"""A board that does not exist, swept over its clocks without noise."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

from hetsim.study.physics import Floats, PowerForm, TimeForm
from hetsim.study.sweep import Sweep

LEVELS = (
    [115.2e6, 268.8e6, 576e6, 960e6, 1344e6, 1804.8e6, 2265.6e6],
    [114.75e6, 318.75e6, 624.75e6, 905.25e6, 1236.75e6, 1377e6],
    [204e6, 800e6, 1333e6, 2133e6],
)
ADDITIVE = TimeForm(overhead=0.01, cycles=(1e8, 2e8, 2.5e8))
OVERLAPPING = TimeForm(
    overhead=0.003, cycles=(1.4e8, 2.3e8, 2.5e8), background=45e6, ahead=8.0, overlap=2.5
)
BUSY = ((0.5e-9, 0.1e-27), (4e-9, 3e-27), (1e-9, 0.0))
IDLE_CLOCKS = ((0.1e-9, 0.2e-27), (0.5e-9, 0.3e-27), (0.2e-9, 0.0))
NONE = ((0.0, 0.0),) * 3
LEAN = PowerForm(base=3.5, busy=BUSY, clocked=NONE)
CLOCKED = PowerForm(base=3.5, busy=BUSY, clocked=IDLE_CLOCKS)


def grid() -> Floats:
    """[168, 3] hertz."""
    return np.array(list(product(*LEVELS)))


def sweep(time: TimeForm = OVERLAPPING, power: PowerForm = CLOCKED, *, noise: float = 0.0) -> Sweep:
    """What would be measured on it, times 1 + up to `noise` that follows no clock."""
    clocks = grid()
    wobble = 1.0 + noise * np.sin(1e3 * np.arange(len(clocks)) ** 2)
    seconds = time(clocks)
    return Sweep(
        name="board.csv",
        lines=np.arange(2, len(clocks) + 2),
        cpu=clocks[:, 0],
        gpu=clocks[:, 1],
        emc=clocks[:, 2],
        time=seconds * wobble,
        energy=seconds * power(clocks, time.shares(clocks)) * wobble[::-1],
    )


def write(rows: Sweep, path: Path, *, measured: bool = True) -> Path:
    """The sweep as a file."""
    lines = ["cpu_khz,gpu_hz,emc_hz"]
    if measured:
        lines[0] += ",time_s_per_minibatch,energy_j_per_minibatch"
    for index, (cpu, gpu, emc) in enumerate(rows.clocks.tolist()):
        cells = [repr(cpu / 1e3), repr(gpu), repr(emc)]
        if measured:
            cells += [repr(float(rows.time[index])), repr(float(rows.energy[index]))]
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n")
    return path
