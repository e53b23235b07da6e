"""What charges the batteries of a group: its charger and its panel, ready to be played."""

from __future__ import annotations

from math import inf, pi
from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.core.rng import rng
from hetsim.sim.sunlight import Sunlight
from hetsim.sim.supply import Charger, Replay, Supply
from hetsim.spec.trace_file import read_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hetsim.spec.sections import Battery, Solar


def supplies(battery: Battery, files: Mapping[str, Path], seed: int, label: str) -> list[Supply]:
    """The sources of a group's batteries; the sky is the same over all of them.

    Args:
        battery: the group's section.
        files: of traces, by name.
        seed: of the run.
        label: of the group.

    Raises:
        SpecError: a trace file is wrong.
    """
    found: list[Supply] = []
    if battery.charger:
        charger = battery.charger
        found.append(Charger(power=charger.power, on=charger.on, period=charger.period or inf))
    if battery.solar:
        found.append(_panel(battery.solar, files, seed, label))
    return found


def _panel(solar: Solar, files: Mapping[str, Path], seed: int, label: str) -> Supply:
    if solar.trace is not None:
        times, values = read_steps(files[solar.trace], "fraction" if solar.peak else "power")
        peak = solar.peak or 1.0
        rows = tuple(
            (time - times[0], peak * value) for time, value in zip(times, values, strict=True)
        )
        return Replay(rows=rows, end=solar.end)
    assert solar.latitude is not None
    assert solar.peak is not None
    return Sunlight(
        peak=solar.peak,
        latitude=solar.latitude * pi / 180.0,
        day=solar.day,
        clock=solar.clock,
        clearness=solar.clearness,
        rng=rng(seed, "sim/solar", label),
    )
