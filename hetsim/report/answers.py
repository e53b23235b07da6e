"""The four answers of a run in words: how long, how many joules, who dropped out, how good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.report.numbers import SPACE, duration, joules

_CAUSES = {
    "battery": "battery empty",
    "memory": "too little memory",
    "deadline": "missed the deadline",
    "churn": "left",
}


def answers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Questions and answers, in plain text, from the content of `summary.json`."""
    spent = summary["energy_j"]
    shares = ", ".join(
        f"{role}s {joules(part)}" for role, part in summary["energy_by_role_j"].items() if part
    )
    lost = [f"{count} {_CAUSES[cause]}" for cause, count in summary["dropouts"].items() if count]
    reached = [
        f"{float(target) * 100:.3g}% "
        + ("not reached" if when is None else f"after {duration(when)}")
        for target, when in summary["time_to"].items()
    ]
    if summary["accuracy"] is None:
        good = "not computed (cost only)"
    else:
        good = ", ".join([f"accuracy {summary['accuracy']:.3f}", *reached])
    above = joules(summary["active_j"])
    told = [
        ("How long", f"{duration(summary['simulated_s'])} simulated, {summary['rounds']} rounds"),
        ("How many joules", f"{joules(spent['total'])} ({shares}); {above} of it above idle"),
        ("Who dropped out", ", ".join(lost) or "nobody"),
        ("How good", good),
    ]
    return [(question, answer.replace(SPACE, " ")) for question, answer in told]
