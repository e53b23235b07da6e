"""Device profiles beside published measurements: relative errors, never the source's rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetsim.study.validate_devices import validate_devices


def devices(measured: Path, *, file: str) -> dict[str, list[Mapping[str, Any]]]:
    """A row a measurement, with the relative error of what its profile says.

    Args:
        measured: not needed; the rows stand in `file`.
        file: YAML of measurements.
    """
    del measured
    found = validate_devices(Path(file))
    return {
        "devices": [
            {
                "row": each.row.id, "device": each.row.device, "group": each.group,
                "calibration": each.calibration,
                **{
                    f"{name}_error": each.errors.get(name) for name in ("time", "power", "energy")
                },
                "not_predicted": each.reason,
            }
            for each in found.results
        ]
    }  # fmt: skip
