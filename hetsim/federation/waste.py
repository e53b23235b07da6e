"""What was spent on updates that became part of no model, by cause.

A participation is wasted if no server model holds its update, whatever became of it: its client was
dropped, the update came too late, others had delivered enough, or the run ended first; or it was
asked for no more than the loss of the present model (polled). Its seconds
are those from being asked to its end, its joules all that the device drew meanwhile; `active_j` is
the part above base power of everything the participation did, links and radios included, and
`bytes` is what it moved both ways.
"""

from __future__ import annotations

from typing import Any

from hetsim.core.trace import Participation, Trace
from hetsim.federation.critical import Spans

_MEASURES = ("participations", "seconds", "energy_j", "active_j", "bytes")


def wasted(trace: Trace, spans: Spans) -> dict[str, Any]:
    """Content of `wasted` in the summary.

    The measures of all wasted participations; the same `by_cause`, which add up to them; and `of`
    all participations, wasted or not.
    """
    of, lost = _nothing(), _nothing()
    causes: dict[str, dict[str, float]] = {}
    for part in trace.participations:
        spent = _spent(part, spans)
        _add(of, spent)
        if part.used < 0:
            _add(lost, spent)
            _add(causes.setdefault(part.waste or "unused", _nothing()), spent)
    return {**lost, "by_cause": dict(sorted(causes.items())), "of": of}


def _nothing() -> dict[str, float]:
    return {"participations": 0, **dict.fromkeys(_MEASURES[1:], 0.0)}


def _add(total: dict[str, float], spent: dict[str, float]) -> None:
    for measure in _MEASURES:
        total[measure] += spent[measure]


def _spent(part: Participation, spans: Spans) -> dict[str, float]:
    acts = spans.of(part)
    return {
        "participations": 1,
        "seconds": part.t1 - part.t0,
        "energy_j": part.energy,
        "active_j": sum((span.energy for span in acts), 0.0),
        "bytes": sum((span.size for span in acts), 0.0),
    }
