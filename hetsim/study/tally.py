"""What a plan asks of a run: the quantities of `hetsim.study.goals`, and what came before its end.

Time, joules and bytes only grow, so those of a run that was cut short, or of its first round, are
the least that the whole run takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.core.quantities import WATT_HOUR, Fraction, Seconds
from hetsim.core.trace import Trace
from hetsim.spec import units
from hetsim.study.goals import Goal

GROWING = ("time", "energy", "device_energy", "active_energy", "bytes")
"""Quantities that never fall while a run goes on."""
_DROPPED = ("battery", "memory", "deadline", "churn")


def tally(trace: Trace) -> dict[str, Any]:
    """What is kept of a run: `values` of the whole, of its `first` round, and all `scores`.

    `untold` names what a run of this kind does not tell.
    """
    summary = trace.summary
    dropped = sum(summary["dropouts"][cause] for cause in _DROPPED)
    asked = dropped + summary["device_rounds"]
    battery, told = _least_charged(trace)
    first = trace.rounds[0] if trace.rounds else None
    return {
        "values": {
            "accuracy": summary["best_accuracy"],
            "time": summary["simulated_s"],
            "energy": summary["energy_j"]["total"],
            "device_energy": summary["energy_by_role_j"]["device"],
            "active_energy": summary["active_j"],
            "bytes": summary["bytes_up"] + summary["bytes_down"],
            "battery_end": battery,
            "dropouts": dropped / asked if asked else 0.0,
            "excluded": sum(bool(row["excluded"]) for row in trace.devices),
        },
        "first": {} if first is None else {
            "time": first["t1_s"], "energy": first["energy_j"],
            "bytes": first["bytes_up"] + first["bytes_down"],
        },
        "scores": [
            [row["t1_s"], row["accuracy"]] for row in trace.rounds if row["accuracy"] is not None
        ],
        "rounds": summary["rounds"],
        "trace_hash": summary["trace_hash"],
        "untold": [] if told else ["battery_end"],
    }  # fmt: skip


def with_deadlines(told: Mapping[str, Any], goals: Sequence[Goal]) -> dict[str, float | None]:
    """The values of a run, those of goals at a time among them."""
    late = {
        goal.column: _best_by(told["scores"], goal.within)
        for goal in goals
        if goal.within is not None
    }
    return {**told["values"], **late}


def _best_by(scores: Sequence[Sequence[float]], end: Seconds) -> float | None:
    return max((score for t, score in scores if t <= end), default=None)


def _least_charged(trace: Trace) -> tuple[Fraction | None, bool]:
    """The least share that a battery is left with, of those that there are; whether it is told.

    What a battery holds when it is full follows from what it began with.
    """
    begun = {step.actor: step.value for step in reversed(trace.counters)
             if step.track == "charge_j"}  # fmt: skip
    charged: dict[str, float] = {}
    for group in trace.spec["fleet"]:
        battery = group.get("battery")
        if isinstance(battery, Mapping):
            charge = units.parse(battery.get("charge", 1.0), "fraction")
            names = (f"{group['name']}-{number}" for number in range(group["count"]))
            charged |= dict.fromkeys(names, charge)
    least: Fraction | None = None
    for row in trace.devices:
        left = row["battery_end_wh"]
        if left is None:
            continue
        if row["device"] not in begun or not charged.get(row["device"]):
            return None, False
        full = begun[row["device"]] / charged[row["device"]]
        share = left * WATT_HOUR / full
        least = share if least is None else min(least, share)
    return least, True
