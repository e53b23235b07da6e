"""Two Raspberry Pi 4, one with a broken fan: `measured/traces/pi_fl`, in aggregates.

The source may not be passed on, so a trajectory is told by means over quarters of its job.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

from hetsim.study.validate_pi import Trajectory, validate_pi

_QUARTERS = 4


def two_pis(measured: Path) -> dict[str, list[Mapping[str, Any]]]:
    """Factors of speed, the fit of heat, trajectories, and what is foretold of the large jobs."""
    found = validate_pi(measured / "measured" / "traces" / "pi_fl")
    fit = found.warmth
    return {
        "pi_speed": [
            {
                "fitted": each.fitted, "tried": each.tried, "factor": each.factor,
                "median_error": each.median_error,
                "largest_error": max(each.errors, key=abs),
            }
            for each in found.speeds
        ],
        "pi_heat": [
            {
                "board": fit.board, "job": fit.job, "resistance_k_per_w": fit.resistance,
                "capacity_j_per_k": fit.capacity, "start_c": fit.start, "rms_k": fit.error,
            }
        ],
        "pi_trajectory": [row for each in found.trajectories for row in _quarters(each)],
        "pi_forecast": [
            {
                "job": each.job, "cooled_s": each.cooled, "low_s": each.low,
                "middle_s": each.middle, "high_s": each.high,
            }
            for each in found.forecasts
        ],
    }  # fmt: skip


def _quarters(trajectory: Trajectory) -> list[Mapping[str, Any]]:
    rounds = trajectory.rounds
    edges = [len(rounds) * quarter // _QUARTERS for quarter in range(_QUARTERS + 1)]
    rows: list[Mapping[str, Any]] = []
    for quarter, (begin, end) in enumerate(pairwise(edges), start=1):
        part = rounds[begin:end]
        if part:
            rows.append(
                {
                    "board": trajectory.board, "job": trajectory.job, "quarter": quarter,
                    "temperature_c": round(mean(r.temperature for r in part), 1),
                    "simulated_c": mean(r.simulated_temperature for r in part),
                    "lost": round(mean(r.lost for r in part), 3),
                    "simulated_lost": mean(r.simulated_lost for r in part),
                    "held_back": mean(float(r.throttled) for r in part),
                    "simulated_hz": mean(r.frequency for r in part),
                }
            )  # fmt: skip
    return rows
