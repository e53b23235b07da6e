"""The engine beside an independent simulator, and beside packets: `oracle/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetsim.study.validate_network import validate_network


def network(measured: Path) -> dict[str, list[Mapping[str, Any]]]:
    """A row a scenario, and a row a scenario and model that packets were simulated for."""
    found = validate_network(measured / "oracle")
    return {
        "network": [
            {
                "scenario": each.scenario, "model": each.model, "activities": each.activities,
                "times": each.times, "joules": each.joules, "faults": len(each.faults),
                "passed": each.passed,
            }
            for each in found.comparisons
        ],
        "packets": [
            {
                "scenario": band.scenario, "model": band.model, "flows": band.flows,
                "mean": band.mean, "largest": band.largest, "makespan": band.makespan,
            }
            for band in found.bands
        ],
    }  # fmt: skip
