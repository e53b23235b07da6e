"""What a sweep keeps of a run, and the table of its points.

The columns of a table depend on its points alone: neither on who played them nor on when. A value
that a point does not have (a target that its topology does not name, a class that it has no device
of, anything of a run that failed) is empty, not zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.core.table import sums, unlike
from hetsim.core.trace import Trace
from hetsim.study.campaign import Failed, Identified

FIXED = {
    "rounds": "int64", "simulated_s": "float64", "accuracy": "float64", "best_accuracy": "float64",
    "loss": "float64", "energy_j": "float64", "active_j": "float64", "participant_j": "float64",
    "device_j": "float64", "gateway_j": "float64", "server_j": "float64", "link_j": "float64",
    "bytes_up": "float64", "bytes_down": "float64", "dropped_battery": "int64",
    "dropped_memory": "int64", "dropped_deadline": "int64", "dropped_churn": "int64",
    "dropped_surplus": "int64", "devices": "int64", "device_rounds": "int64", "excluded": "int64",
}  # fmt: skip
"""Columns of every table, after those of the axes.

`energy_j` is all that was drawn, `active_j` that above base power, `participant_j` what nodes drew
while they took part; `device_j` to `link_j` are `energy_j` by role. `excluded` counts devices that
could not take part at all.
"""
_HASHES = ("trace_hash", "model_hash", "surrogate_hash")
TYPES = FIXED | dict.fromkeys(("failed", "spec_hash", *_HASHES), "string")
"""Of the columns, but for those of the axes: the fixed ones, then why a point has no values, or
nothing; what was run, and what came out; of a point whose accuracy was not learned, the recorded
run that it is of."""


def outcome(trace: Trace) -> dict[str, Any]:
    """What is kept of a run: the values of its row, but for its axes."""
    summary = trace.summary
    energy = summary["energy_j"]["total"]
    roles = {f"{role}_j": spent for role, spent in summary["energy_by_role_j"].items()}
    drops = {f"dropped_{cause}": number for cause, number in summary["dropouts"].items()}
    classes: dict[str, float] = {}
    for (role, kind), of in sums(trace.devices, ("role", "device_class"), ("energy_j",)).items():
        if role == "device":
            classes[f"class_{kind or 'other'}_j"] = of["energy_j"]
    targets = {
        f"{what}_{target}_{unit}": reached
        for what, unit in (("time_to", "s"), ("energy_to", "j"))
        for target, reached in summary[what].items()
    }
    told = summary | roles | drops | {"energy_j": energy}
    told["surrogate_hash"] = (summary["surrogate"] or {}).get("hash")
    told["excluded"] = len(unlike(trace.devices, excluded=""))
    kept = {name: told[name] for name in (*FIXED, *_HASHES)}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in (kept | classes | targets).items()
    }


def rows(
    axes: Mapping[str, Sequence[Any]], runs: Sequence[Identified], found: Sequence[Any]
) -> list[dict[str, Any]]:
    """One row a point: its axes, then its values.

    Args:
        axes: values by point, of each axis.
        runs: the points.
        found: the outcome of each, or `Failed`.
    """
    told: list[dict[str, Any]] = [{} if isinstance(each, Failed) else each for each in found]
    others = sorted({name for each in told for name in each} - {*FIXED, *_HASHES})
    return [
        {
            "point": index,
            **{key: values[index] for key, values in axes.items()},
            **{name: each.get(name) for name in (*FIXED, *others)},
            "failed": answer.why if isinstance(answer, Failed) else None,
            "spec_hash": run.digest,
            **{name: each.get(name) for name in _HASHES},
        }
        for index, (run, each, answer) in enumerate(zip(runs, told, found, strict=True))
    ]
