"""How well a part of a DVFS sweep tells the rest: `measured/traces/bofl`.

Ways of choosing the settings that are fitted: a random tenth and as many as a design has, both for
several seeds, and the design. The others are held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.study.calibrate import Calibration, calibrate
from hetsim.study.sweep import read_sweep


def calibration(
    measured: Path, *, seeds: int, points: int, sweeps: Sequence[str] = ()
) -> dict[str, list[Mapping[str, Any]]]:
    """A row a sweep, choice and seed.

    Args:
        measured: folder of measured data.
        seeds: of random choices, from 0 on.
        points: of a design, and of random choices as large.
        sweeps: names of those to fit; none for all.
    """
    rows: list[Mapping[str, Any]] = []
    for path in sweep_files(measured, sweeps):
        for choice, found in _choices(path, seeds, points):
            assert found.fit
            assert found.physics
            assert found.final
            rows.append(
                {
                    "sweep": path.stem, "choice": choice, "seed": found.seed,
                    "fitted": found.fitted, "held_out": found.held_out,
                    "physics_time": found.physics.time, "physics_energy": found.physics.energy,
                    "time": found.final.time, "energy": found.final.energy,
                    "cv_time": found.fit.final.time, "cv_energy": found.fit.final.energy,
                }
            )  # fmt: skip
    return {"calibration": rows}


def sweep_files(measured: Path, names: Sequence[str] = ()) -> list[Path]:
    """The public sweeps, or those of the given names.

    Raises:
        SpecError: there are none.
    """
    folder = measured / "measured" / "traces" / "bofl"
    found = [path for path in sorted(folder.glob("*.csv")) if not names or path.stem in names]
    if not found:
        raise SpecError(
            "holds no sweep", where=str(folder), remedy="Give the folder of measured data."
        )
    return found


def _choices(path: Path, seeds: int, points: int) -> Iterator[tuple[str, Calibration]]:
    few = points / len(read_sweep(path))
    for seed in range(seeds):
        yield "a tenth", calibrate(path, fraction=0.1, seed=seed)
        yield f"{points} at random", calibrate(path, fraction=few, seed=seed)
    yield f"{points} designed", calibrate(path, design=points)
