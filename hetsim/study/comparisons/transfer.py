"""How well a workload is told from a sweep of its board under another one, and a few settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from hetsim.study.carry import carry
from hetsim.study.comparisons.calibration import sweep_files


def transfer(measured: Path, *, points: Sequence[int]) -> dict[str, list[Mapping[str, Any]]]:
    """A row an ordered pair of sweeps of one board and a number of points."""
    rows: list[Mapping[str, Any]] = []
    for source, target in _pairs(measured):
        for count in points:
            found = carry(target, source, points=count)
            assert found.deadlines
            rows.append(
                {
                    "source": source.stem, "target": target.stem, "points": count,
                    "held_out": found.held_out, "time": found.time, "energy": found.energy,
                    "cv_time": found.validated and found.validated.time,
                    "cv_energy": found.validated and found.validated.energy,
                    "excess": found.deadlines.excess, "met": found.deadlines.met,
                }
            )  # fmt: skip
    return {"transfer": rows}


def _pairs(measured: Path) -> Iterator[tuple[Path, Path]]:
    """Sweeps of one board, whose name is what their names begin with."""
    for source, target in permutations(sweep_files(measured), 2):
        if source.stem.partition("_")[0] == target.stem.partition("_")[0]:
            yield source, target
