"""How good the model became: accuracy against simulated time and against joules."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any, Literal

from hetsim.core.trace import Trace
from hetsim.report.answers import borrowed
from hetsim.report.base import Column, Figure, Section, table, text
from hetsim.report.numbers import (
    NONE,
    Scale,
    count,
    duration,
    joules,
    rounded,
    score,
    si_scale,
    significant,
    time_scale,
)

_MARKERS = 150
"""More evaluated rounds than this are drawn as a line without markers."""


def section(trace: Trace) -> Section | None:
    """The section "Accuracy"; none if the model was never evaluated, which the answers say."""
    seen = [i for i, row in enumerate(trace.rounds) if row["accuracy"] is not None]
    if not seen:
        return None
    figures = tuple(figure(trace, against) for against in ("time", "joules"))
    scores = [trace.rounds[i]["accuracy"] for i in seen]
    return Section(
        name="accuracy",
        title="Accuracy",
        lead=_lead(trace, scores),
        body=f'<div class="pair">{"".join(each.html() for each in figures)}</div>'
        f"{_targets(trace)}"
        f"{_borrowed(trace)}"
        '<p class="note">Accuracy is the share of held-out test samples that the global model '
        "classifies correctly. Each point is a round after which the model was evaluated. "
        "The evaluation stands outside the simulated world: it takes no simulated time and no "
        "joules unless the method's server pays for it. Energy is counted up to the end of the "
        "round, over all nodes, base power included.</p>",
        figures=figures,
    )


def _borrowed(trace: Trace) -> str:
    """Whose accuracy it is, if not this run's."""
    words = borrowed(trace.summary)
    if not words:
        return ""
    return (
        f'<p class="note"><b>Not learned in this run</b> ({text(words)}): accuracy and loss after '
        "each round are what the recorded run had after as many, by a straight line between its "
        "evaluations, and from chance before the first (assumed).</p>"
    )


def figure(trace: Trace, against: Literal["time", "joules"] = "time") -> Figure:
    """Accuracy of a run that was evaluated, against simulated time or the energy of all nodes."""
    seen = [i for i, row in enumerate(trace.rounds) if row["accuracy"] is not None]
    scores = [trace.rounds[i]["accuracy"] for i in seen]
    if against == "time":
        when = [trace.rounds[i]["t1_s"] for i in seen]
        clock = time_scale(trace.summary["simulated_s"])
        return _figure(trace, "time", when, scores, clock, "simulated time")
    spent = list(accumulate(row["energy_j"] for row in trace.rounds))
    cost, meter = [spent[i] for i in seen], si_scale(spent[-1], "J")
    return _figure(trace, "joules", cost, scores, meter, "energy of all nodes")


def _lead(trace: Trace, scores: list[float]) -> str:
    best = max(scores)
    whose = "By the recorded run, the" if borrowed(trace.summary) else "The"
    lead = f"{whose} model ended at <b>{score(scores[-1])}</b>"
    lead += "" if best <= scores[-1] else f"; its best was {score(best)}"
    for target, reached in trace.summary["time_to"].items():
        if reached is None:
            lead += f"; {float(target):g} was not reached"
        else:
            energy = trace.summary["energy_to"][target]
            spent = "" if energy is None else f" and {joules(energy)}"
            lead += f"; {float(target):g} took {duration(reached)}{spent}"
    loss = trace.summary["loss"]
    if loss is None or not math.isfinite(loss):
        return f"{lead}. The last loss is not a number."
    return f"{lead}. The last loss is {significant(loss)}."


def _targets(trace: Trace) -> str:
    """The table of targets, if there are any."""
    time_to, energy_to = trace.summary["time_to"], trace.summary["energy_to"]
    if not time_to:
        return ""
    columns = (
        Column(title="Target accuracy", cells=[f"{float(target):g}" for target in time_to]),
        Column(
            title="Simulated time to it",
            cells=["not reached" if t is None else duration(t) for t in time_to.values()],
        ),
        Column(
            title="Energy to it",
            cells=[NONE if e is None else joules(e) for e in energy_to.values()],
        ),
    )
    return table(columns, label="Targets")


def _figure(
    trace: Trace, name: str, x: list[float], scores: list[float], scale: Scale, axis: str
) -> Figure:
    xs = rounded(value * scale.factor for value in x)
    surrogate = "of a surrogate, not learned, " if borrowed(trace.summary) else ""
    marks = len(xs) <= _MARKERS
    numbers = [row["round"] for row in trace.rounds if row["accuracy"] is not None]
    curve: dict[str, Any] = {
        "type": "scatter", "mode": "lines+markers" if marks else "lines", "x": xs,
        "y": rounded(scores, 5), "customdata": numbers, "cliponaxis": False,
        "line": {"color": "$line", "width": 2, **({"dash": "dot"} if surrogate else {})},
        "marker": {"color": "$line", "size": 6 if len(xs) <= 60 else 4},
        "hovertemplate": f"round %{{customdata}}: %{{y:.3f}}<br>%{{x:,.4g}} {scale.unit}"
        "<extra></extra>",
    }  # fmt: skip
    targets = [float(target) for target in trace.summary["time_to"]]
    lines = [
        {
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": target, "y1": target,
            "line": {"color": "$target", "width": 1.2, "dash": "dash"},
        }
        for target in targets
    ]  # fmt: skip
    words = [
        {
            "text": f"{target:g}", "xref": "paper", "x": 1, "xshift": 4, "xanchor": "left",
            "y": target, "showarrow": False, "font": {"size": 11, "color": "$target"},
        }
        for target in targets
    ]  # fmt: skip
    return Figure(
        name=f"accuracy-{name}",
        title=f"Accuracy <span>{surrogate}against {axis}{', targets dashed' if targets else ''}"
        "</span>",
        label=f"Accuracy {surrogate}against {axis}: {count(len(xs), 'evaluation')}, "
        f"the last is {score(scores[-1])}.",
        data=[curve],
        layout={
            "xaxis": {"title": {"text": f"{axis}, {scale.unit}"}, "rangemode": "tozero"},
            "yaxis": {"range": [0, 1], "dtick": 0.2, "tickformat": ".1f"},
            "shapes": lines,
            "annotations": words,
            "margin": {"r": 36 if targets else 12},
        },
        height=320,
    )
