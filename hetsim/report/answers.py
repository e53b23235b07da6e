"""The four answers of a run in words: how long, how many joules, who dropped out, how good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.core.errors import si

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_CAUSES = {
    "battery": "battery empty",
    "memory": "too little memory",
    "deadline": "missed the deadline",
    "churn": "left",
}


def duration(seconds: float) -> str:
    """Simulated time for people.

    >>> duration(12.34), duration(754.0), duration(9000.0)
    ('12.3 s', '12 min 34 s', '2 h 30 min')
    """
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for unit, name, part, smaller in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1.0, "s"),
    ):
        if whole >= unit:
            count, rest = divmod(whole, unit)
            return f"{count:.0f} {name} {rest // part:.0f} {smaller}"
    return f"{seconds:.3g} s"


def answers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How long, how many joules, who dropped out, how good."""
    joules = summary["energy_j"]
    roles = {role: spent for role, spent in summary["energy_by_role_j"].items() if spent}
    shares = ", ".join(f"{role}s {si(spent)}J" for role, spent in roles.items())
    lost = [f"{count} {_CAUSES[cause]}" for cause, count in summary["dropouts"].items() if count]
    reached = [
        f"{float(target):.0%} after {duration(when)}" if when is not None
        else f"{float(target):.0%} not reached"
        for target, when in summary["time_to"].items()
    ]  # fmt: skip
    if summary["accuracy"] is None:
        good = "not computed (cost only)"
    else:
        good = ", ".join([f"accuracy {summary['accuracy']:.3f}", *reached])
    return [
        ("How long", f"{duration(summary['simulated_s'])} simulated, {summary['rounds']} rounds"),
        ("How many joules", f"{si(joules['total'])}J ({shares}); "
                            f"{si(summary['active_j'])}J of it above idle"),
        ("Who dropped out", ", ".join(lost) or "nobody"),
        ("How good", good),
    ]  # fmt: skip
