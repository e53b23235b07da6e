"""Where the joules came from, who drew them and what they were spent on, as a Sankey diagram.

A node with a battery draws what chargers and panels gave to its load (`supplied_j`) from them and
the rest from the battery; one without a simulated battery draws from the mains.
"""

from __future__ import annotations

from collections import defaultdict

from hetsim.core.quantities import Joules
from hetsim.core.table import sums
from hetsim.core.trace import Trace
from hetsim.report.base import Figure, text
from hetsim.report.kinds import KINDS
from hetsim.report.numbers import count, joules, labels, si_scale

_PROFILES = 12
"""Profiles drawn apart; the others share one box."""
_SOURCES = {"mains": "mains", "battery": "batteries", "supplied": "chargers and panels"}
_PAPER = {"mains": "extra3", "battery": "extra2", "supplied": "link"}
"""Colours of the sources."""


def flows(trace: Trace) -> tuple[dict[tuple[str, str], Joules], dict[tuple[str, str], Joules]]:
    """Joules from each source to each box of nodes, and from each box to each kind of work.

    A box is a profile of devices, or of another role; small ones share the box "other nodes".
    """
    columns = ("energy_j", "supplied_j", *(f"{kind}_j" for kind in KINDS))
    parts = sums(trace.devices, ("role", "profile"), columns, known="battery_end_wh")
    totals: dict[str, Joules] = defaultdict(float)
    for (role, profile, _), of in parts.items():
        totals[_box(role, profile)] += of["energy_j"]
    ranked = sorted(totals, key=lambda box: (-totals[box], box))
    kept = set(ranked if len(ranked) <= _PROFILES + 1 else ranked[:_PROFILES])
    drawn: dict[tuple[str, str], Joules] = defaultdict(float)
    spent: dict[tuple[str, str], Joules] = defaultdict(float)
    for (role, profile, battery), of in parts.items():
        name = _box(role, profile)
        box = name if name in kept else "other nodes"
        supplied = of["supplied_j"] if battery else 0.0
        drawn["supplied", box] += supplied
        drawn["battery" if battery else "mains", box] += of["energy_j"] - supplied
        for kind in KINDS:
            spent[box, kind] += of[f"{kind}_j"]
    return (
        {pair: value for pair, value in drawn.items() if value > 0.0},
        {pair: value for pair, value in spent.items() if value > 0.0},
    )


def figure(trace: Trace) -> Figure | None:
    """The diagram, or None where no node drew any power."""
    drawn, spent = flows(trace)
    if not spent:
        return None
    sources = [source for source in _SOURCES if any(pair[0] == source for pair in drawn)]
    boxes = sorted({box for box, _ in spent}, key=lambda box: -_sum(spent, box, 0))
    kinds = [kind for kind in KINDS if any(pair[1] == kind for pair in spent)]
    first = {source: i for i, source in enumerate(sources)}
    middle = {box: len(first) + i for i, box in enumerate(boxes)}
    last = {kind: len(first) + len(middle) + i for i, kind in enumerate(kinds)}
    total = sum(spent.values())
    scale = si_scale(total, "J")
    short, brief = labels(boxes, 20), labels(boxes, 12)
    links = [(first[a], middle[b], value, _PAPER[a]) for (a, b), value in drawn.items()]
    links += [(middle[a], last[b], value, b) for (a, b), value in spent.items()]
    return Figure(
        name="joules-flow",
        title="How they flowed <span>from their sources over nodes to kinds of work</span>",
        label=f"Where {joules(total)} came from, who drew them and for what; the tables below hold "
        f"the numbers of {count(len(boxes), 'group')} of nodes.",
        data=[
            {
                "type": "sankey", "arrangement": "snap", "valueformat": ",.4g",
                "valuesuffix": f" {scale.unit}", "textfont": {"size": 11, "color": "$ink"},
                "domain": {"x": [0, 1], "y": [0, 1]},
                "node": {
                    "pad": 12, "thickness": 10, "line": {"width": 0},
                    "label": [
                        *(f"{_SOURCES[name]} {joules(_sum(drawn, name, 0))}" for name in sources),
                        *(text(short[box]) for box in boxes),
                        *(f"{KINDS[kind]} {joules(_sum(spent, kind, 1))}" for kind in kinds),
                    ],
                    "customdata": [
                        *(_SOURCES[name] for name in sources),
                        *(text(brief[box]) for box in boxes),
                        *(KINDS[kind] for kind in kinds),
                    ],
                    "color": [
                        *(f"${_PAPER[source]}" for source in sources),
                        *("$muted" for _ in boxes),
                        *(f"${kind}" for kind in kinds),
                    ],
                    "hovertemplate": "%{customdata}: %{value}<extra></extra>",
                },
                "link": {
                    "source": [link[0] for link in links],
                    "target": [link[1] for link in links],
                    "value": [float(f"{link[2] * scale.factor:.6g}") for link in links],
                    "color": [f"${link[3]}/40" for link in links],
                    "hovertemplate": "%{source.label} to %{target.label}: %{value}<extra></extra>",
                },
            }
        ],
        layout={"margin": {"l": 4, "r": 4, "t": 12, "b": 12}},
        height=120 + 30 * max(len(boxes), len(kinds), 4),
    )  # fmt: skip


def _box(role: str, profile: str) -> str:
    return profile if role == "device" else f"{role} {profile}".strip()


def _sum(parts: dict[tuple[str, str], Joules], name: str, side: int) -> Joules:
    return sum(value for pair, value in parts.items() if pair[side] == name)
