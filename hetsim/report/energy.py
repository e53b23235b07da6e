"""Where the joules went: by kind and device profile, by role, by what the watts include."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.core.quantities import Joules
from hetsim.core.table import sums
from hetsim.core.trace import Trace
from hetsim.report import flows
from hetsim.report.base import Column, Figure, Section, amounts, table, text, warning
from hetsim.report.kinds import KINDS
from hetsim.report.numbers import count, joules, labels, rounded, share, si_scale

_BASE_STATES = ("idle", "sleep", "off")
SCOPES = {
    "wall": "at the mains socket, losses of the power supply included",
    "battery": "out of the battery, the whole device",
    "module": "into the compute module, without the board that carries it",
    "rails": "the sum of the measured supply rails, without the regulators before them",
    "board": "into the board, without the power supply before it",
    "chip": "into the chip alone",
}
HEADS = {
    "compute": "Compute", "memory": "Memory", "radio": "Radio", "link": "Links", "loss": "Losses",
    "idle": "Base", "radio_idle": "Idle radio",
}  # fmt: skip
"""The same kinds above a column."""
_ROWS = 30
"""Profiles drawn; further ones are added up in one bar."""


class Group:
    """Joules of the nodes of one role, profile and scope.

    Attributes:
        nodes: how many they are.
        kinds: joules by kind; they add up to the total.
    """

    def __init__(self, of: tuple[str, str, str], sums: Mapping[str, float]) -> None:
        self.role, self.profile, self.scope = of
        self.nodes = int(sums[""])
        self.total: Joules = sums["energy_j"]
        self.active: Joules = sums["active_j"]
        self.kinds: dict[str, Joules] = {kind: sums[f"{kind}_j"] for kind in KINDS}

    @property
    def name(self) -> str:
        """What the group is called on an axis."""
        return self.profile if self.role == "device" else f"{self.role} {self.profile}".strip()


def groups(trace: Trace) -> list[Group]:
    """Nodes grouped by role, profile and scope, the largest consumer first."""
    columns = ("energy_j", "active_j", *(f"{kind}_j" for kind in KINDS))
    found = sums(trace.devices, ("role", "profile", "power_scope"), columns)
    parts = [Group((role, profile, scope), of) for (role, profile, scope), of in found.items()]
    return sorted(parts, key=lambda group: -group.total)


def meanings(trace: Trace) -> dict[str, str]:
    """What each kind holds in this run: {"compute": "compute", "idle": "base power (idle)"}."""
    energy: dict[str, Joules] = trace.summary["energy_j"]
    states = [state for state in _BASE_STATES if energy.get(state)]
    base = f"{KINDS['idle']} ({', '.join(states)})" if states else KINDS["idle"]
    return {**KINDS, "idle": base}


def section(trace: Trace) -> Section:
    """The section "Joules"."""
    parts = groups(trace)
    held = {
        kind: meaning for kind, meaning in meanings(trace).items()
        if any(part.kinds[kind] for part in parts)
    }  # fmt: skip
    bars = (_bars(parts, held, False), _bars(parts, held, True))
    flow = flows.figure(trace)
    return Section(
        name="joules",
        title="Where the joules went",
        lead=_lead(trace, parts),
        body=f"{_scope_warning(parts)}"
        f"{flow.html() if flow else ''}"
        f'<div class="pair">{"".join(figure.html() for figure in bars)}</div>'
        f"{_folded(parts)}"
        f"<h3>By kind of node and profile</h3>{_profiles(parts)}"
        f"<h3>By what the joules were spent on</h3>{_spent(parts)}"
        f"<h3>By role</h3>{_roles(trace)}"
        f"<h3>By what the watts include</h3>{_scopes(parts)}"
        '<p class="note">At every instant a node draws one base power (off, sleep or idle); '
        "the other kinds come on top of it, so nothing is counted twice and all kinds add up to "
        "the energy. Base power is charged from the start of the run, or from joining, to its "
        "end. Nodes without a simulated battery draw from the mains.</p>",
        figures=(*([flow] if flow else []), *bars),
    )


def _lead(trace: Trace, parts: Sequence[Group]) -> str:
    total = trace.summary["energy_j"]["total"]
    if not parts or not total:
        return "No node drew any power."
    first = parts[0]
    who = text(labels([first.name], 40)[first.name])
    who += f" ({count(first.nodes, 'node')})" if first.nodes > 1 else ""
    spent = {kind: sum(part.kinds[kind] for part in parts) for kind in KINDS}
    base = spent.pop("idle")
    rest = "".join(
        f", {share(spent[kind], total)} {KINDS[kind]}"
        for kind in sorted(spent, key=lambda kind: -spent[kind])
        if spent[kind]
    )
    return (
        f"<b>{share(base, total)}</b> of {joules(total)} was base power, drawn for being there"
        f"{rest}. The largest consumer was {who} with {share(first.total, total)}."
    )


def _scope_warning(parts: Sequence[Group]) -> str:
    scopes = Counter[str]()
    for part in parts:
        if part.scope and part.total:
            scopes[part.scope] += part.nodes
    if len(scopes) < 2:
        return ""
    held = ", ".join(f"{text(name)} ({count(nodes, 'node')})" for name, nodes in scopes.items())
    return warning(
        "These watts do not all include the same things.",
        f"Power was measured at different points: {held}. Sums over them are a rough guide; "
        "compare joules within one scope. The tables below keep the scopes apart.",
    )


def _bars(parts: Sequence[Group], kinds: Mapping[str, str], relative: bool) -> Figure:
    """Stacked bars of `kinds` and what they mean; of joules, or of their shares."""
    shown = parts[:_ROWS]
    keys = _names(parts)[:_ROWS]
    unique = [f"{key}{chr(0x200B) * keys[:i].count(key)}" for i, key in enumerate(keys)]
    short = labels(unique, 28)
    names = [text(short[key]) for key in unique]
    scale = si_scale(max((part.total for part in parts), default=0.0), "J")
    unit = "%" if relative else scale.unit

    def length(part: Group, kind: str) -> float:
        if relative:
            return 100.0 * part.kinds[kind] / part.total if part.total else 0.0
        return part.kinds[kind] * scale.factor

    data = [
        {
            "type": "bar", "orientation": "h", "name": text(meaning), "y": names,
            "x": rounded(length(part, kind) for part in shown), "marker": {"color": f"${kind}"},
            "hovertemplate": f"%{{y}}<br>%{{fullData.name}}: %{{x:,.4g}} {unit}<extra></extra>",
        }
        for kind, meaning in kinds.items()
    ]  # fmt: skip
    axis: dict[str, Any] = {"title": {"text": "share of the bar's joules, %" if relative else unit}}
    if relative:
        axis["range"] = [0, 100]
    title = "Composition <span>of the same joules, in percent</span>" if relative else (
        "Energy <span>of all nodes of a profile, by kind</span>"
    )  # fmt: skip
    return Figure(
        name="joules-share" if relative else "joules-profile",
        title=title,
        label="Energy by device profile and kind; the table below holds the numbers.",
        data=data,
        layout={
            "barmode": "stack",
            "bargap": 0.35,
            "xaxis": axis,
            "yaxis": {
                "type": "category",
                "autorange": "reversed",
                "showgrid": False,
                "showticklabels": True,
            },
        },
        height=90 + 34 * max(len(shown), 1),
        legend=kinds,
    )


def _names(parts: Sequence[Group]) -> list[str]:
    """What each group is called where its scope has no column of its own."""
    mixed = len({part.scope for part in parts if part.scope}) > 1
    return [f"{part.name} · {part.scope}" if mixed and part.scope else part.name for part in parts]


def _folded(parts: Sequence[Group]) -> str:
    if len(parts) <= _ROWS:
        return ""
    rest = parts[_ROWS:]
    return (
        f'<p class="note">Drawn are the {_ROWS} largest consumers; the other {len(rest):,} drew '
        f"{joules(sum(part.total for part in rest))} together and are in the table.</p>"
    )


def _profiles(parts: Sequence[Group]) -> str:
    total = sum(part.total for part in parts)
    columns = [
        Column(title="Nodes of", cells=[part.name for part in parts], kind="name"),
        amounts("Energy", (part.total for part in parts), "J"),
        Column(title="Share", cells=[share(part.total, total) for part in parts]),
        Column(title="Nodes", cells=[count(part.nodes) for part in parts]),
        amounts("Per node", (part.total / part.nodes for part in parts), "J"),
        amounts("Above base", (part.active for part in parts), "J"),
        Column(title="Power scope", cells=[part.scope for part in parts], kind="name"),
    ]
    return table(columns, label="Joules by profile")


def _spent(parts: Sequence[Group]) -> str:
    columns = [Column(title="Nodes of", cells=_names(parts), kind="name")]
    every = [value for part in parts for value in part.kinds.values()]
    for kind, title in HEADS.items():
        values = [part.kinds[kind] for part in parts]
        if any(values):
            columns.append(amounts(title, values, "J", hint=KINDS[kind], among=every))
    return table(columns, label="Joules by profile and kind")


def _roles(trace: Trace) -> str:
    roles = trace.summary["energy_by_role_j"]
    nodes = Counter(
        {role: int(of[""]) for (role,), of in sums(trace.devices, ("role",), ()).items()}
    )
    kept = [role for role in roles if nodes[role] or roles[role]]
    total = trace.summary["energy_j"]["total"]
    return table(
        [
            Column(title="Role", cells=kept, kind="name"),
            amounts("Energy", (roles[role] for role in kept), "J"),
            Column(title="Share", cells=[share(roles[role], total) for role in kept]),
            Column(title="Nodes", cells=[count(nodes[role]) for role in kept]),
        ],
        label="Joules by role",
    )


def _scopes(parts: Sequence[Group]) -> str:
    held: dict[str, list[Group]] = {}
    for part in parts:
        held.setdefault(part.scope, []).append(part)
    nodes = [sum(part.nodes for part in of) for of in held.values()]
    energy = [sum(part.total for part in of) for of in held.values()]
    includes = [SCOPES.get(scope, "") for scope in held]
    return table(
        [
            Column(title="Scope", cells=[scope or "not stated" for scope in held], kind="name"),
            amounts("Energy", energy, "J"),
            Column(title="Nodes", cells=[count(n) for n in nodes]),
            Column(title="Watts are measured", cells=includes, kind="prose"),
        ],
        label="Joules by power scope",
    )
