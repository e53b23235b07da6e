"""The four answers of a run in words: how long, how many joules, who dropped out, how good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.report.numbers import SPACE, count, duration, joules

_CAUSES = {
    "battery": "battery empty",
    "memory": "too little memory",
    "deadline": "missed the deadline",
    "churn": "left",
    "surplus": "not waited for",
}
_NAMED = 6
"""Keys in which a recorded run is unlike that are named one by one; of more, their sections."""
_ROLES = {"device": "devices", "gateway": "gateways", "server": "server", "link": "links"}


def unscored(summary: Mapping[str, Any]) -> str:
    """Why a run has no accuracy: a run that trains nothing has no final model either."""
    return "cost only" if summary["model_hash"] is None else "not evaluated"


def borrowed(summary: Mapping[str, Any]) -> str:
    """Whose accuracy a run shows that learned nothing; empty for one that shows its own."""
    surrogate = summary.get("surrogate")
    if surrogate is None or summary["accuracy"] is None:
        return ""
    words = f"surrogate: recorded run {surrogate['run']}, seed {surrogate['seed']}"
    if unlike := surrogate["unlike"]:
        if len(unlike) > _NAMED:
            unlike = dict.fromkeys(key.partition(".")[0] for key in unlike)
        words += f", unlike in {', '.join(unlike)}"
    if surrogate["rounds_beyond"]:
        beyond = count(surrogate["rounds_beyond"], "round")
        words += f"; its last value stands for {beyond} beyond its end"
    return words.replace(SPACE, " ")


def lost(causes: Mapping[str, int]) -> list[str]:
    """How often each cause dropped somebody, in words, without those that never did.

    >>> lost({"battery": 1, "memory": 0})
    ['1 battery empty']
    """
    return [f"{count(times)} {_CAUSES[cause]}" for cause, times in causes.items() if times]


def answers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Questions and answers, in plain text, from the content of `summary.json`."""
    spent = summary["energy_j"]
    shares = ", ".join(
        f"{_ROLES[role]} {joules(part)}"
        for role, part in summary["energy_by_role_j"].items()
        if part
    )
    reached = [
        f"{float(target) * 100:.3g}% "
        + ("not reached" if when is None else f"after {duration(when)}")
        for target, when in summary["time_to"].items()
    ]
    if summary["accuracy"] is None:
        good = unscored(summary)
    else:
        good = ", ".join([f"accuracy {summary['accuracy']:.3f}", *reached])
        good += f" ({words})" if (words := borrowed(summary)) else ""
        if summary["loss"] is None:
            good += "; its loss is no number: training diverged, a lower learning rate may help"
    by_role = f" ({shares})" if shares else ""
    above = joules(summary["active_j"])
    rounds = count(summary["rounds"], "round")
    told = [
        ("How long", f"{duration(summary['simulated_s'])} simulated, {rounds}"),
        ("How many joules", f"{joules(spent['total'])}{by_role}; {above} of it above idle"),
        ("Who dropped out", ", ".join(lost(summary["dropouts"])) or "nobody"),
        ("How good", good),
    ]
    return [(question, answer.replace(SPACE, " ")) for question, answer in told]
