"""What a finished run adds up to: one row a node, who held it up, what was wasted, the summary.

Every joule in the rows was charged by a node as it happened; nothing is estimated here.

A node's `bytes_up` are those that moved towards the server through either of its ends, `bytes_down`
those that moved away from it: a gateway, which receives updates from below and sends one upwards,
counts both. The server's are what it received and what it sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from hetsim.core.errors import CAUSES
from hetsim.core.quantities import WATT_HOUR, Joules, Seconds
from hetsim.core.table import Table, total
from hetsim.core.trace import ROLES, Trace
from hetsim.federation import columns_books
from hetsim.federation.bottlenecks import bottlenecks
from hetsim.federation.client import Client
from hetsim.federation.columns import Crowd
from hetsim.federation.critical import Spans, blame, critical_paths, round_columns
from hetsim.federation.fairness import Holdings, device_columns, fairness
from hetsim.federation.run import Run
from hetsim.federation.waste import wasted
from hetsim.federation.whatif import what_if
from hetsim.sim.node import Node

_COLUMNS = {
    "compute_j": ("compute",), "memory_j": ("memory",), "radio_j": ("radio", "radio_tail"),
    "link_j": ("link",),
    "idle_j": ("idle", "sleep", "off"), "radio_idle_j": ("radio_idle",), "loss_j": ("loss",),
}  # fmt: skip
"""Kinds of energy in each column of a node's row; a row's columns add up to its energy."""
_OF_OTHERS = {
    "device_class": "", "samples": 0, "asked": 0, "updates_used": 0, "rarity": None,
    "expected_accuracy": None,
}  # fmt: skip
"""What `hetsim.federation.fairness` says of a node that is no device."""


def settle_up(
    run: Run,
    end: Seconds,
    scores: Mapping[int, Mapping[str, float] | None],
    targets: Sequence[float],
    heads: Mapping[str, Any],
    holdings: Holdings,
) -> None:
    """Fill the trace's rounds, devices, critical paths and summary.

    Args:
        run: the finished run, its nodes settled at `end`.
        end: simulated seconds of the whole run.
        scores: {"accuracy": ..., "loss": ...} of the evaluated rounds; empty if none was computed.
        targets: accuracies whose first crossing is reported.
        heads: name, method, seed, spec_hash and model_hash of the run, and what stood in for
            learning.
        holdings: what the clients are and hold, and how good the final model is on it.
    """
    trace = run.kernel.trace
    for row in run.rows:
        score = scores.get(row["round"])
        if score:
            row["accuracy"], row["loss"] = score["accuracy"], score["loss"]
    trace.rounds = run.rows
    if isinstance(run, Crowd):
        others = [{**row, **_OF_OTHERS} for row in _rows(run)]
        trace.devices = columns_books.device_table(run, others, _COLUMNS, holdings.held)
    else:
        trace.devices = _rows(run)
        device_columns(trace, holdings)
    trace.summary = _summary(run, trace, end, targets, heads)
    spans = Spans(trace)
    trace.critical = critical_paths(trace, spans)
    round_columns(trace)
    crowd = run if isinstance(run, Crowd) else None
    links = columns_books.links(crowd, spans) if crowd else bottlenecks(run.kernel, spans)
    trace.summary |= {
        "blame": blame(trace),
        "what_if": what_if(trace, spans, links, side_by_side=run.side_by_side),
        "wasted": wasted(trace, spans),
        "fairness": columns_books.fairness(trace.devices, len(crowd.roll))
        if crowd and isinstance(trace.devices, Table)
        else fairness(trace),
    }
    for row in trace.rounds:
        del row["last"]  # from here on, critical.parquet tells it


def _rows(run: Run) -> list[dict[str, Any]]:
    """Rows of all nodes of the kernel."""
    clients = {} if isinstance(run, Crowd) else {client.id: client for client in run.clients}
    up: dict[str, float] = {}
    down: dict[str, float] = {}
    for span in run.kernel.trace.spans:
        for kind, moved in (("upload", up), ("download", down)):
            if span.kind == kind:
                for node in (span.actor, span.peer):
                    moved[node] = moved.get(node, 0.0) + span.size
    order = {role: place for place, role in enumerate(ROLES)}
    nodes = sorted(run.kernel.nodes.values(), key=lambda node: order[node.role])
    return [
        _row(node, clients.get(node.name), up.get(node.name, 0.0), down.get(node.name, 0.0))
        for node in nodes
    ]


def _row(node: Node, client: Client | None, up: float, down: float) -> dict[str, Any]:
    energy = node.energy
    battery = node.battery
    return {
        "device": node.name,
        "role": node.role,
        "profile": node.profile_name,
        "power_scope": node.power_scope,
        "excluded": client.excluded if client else "",
        "rounds_done": client.rounds_done if client else 0,
        **{f"dropped_{cause}": client.dropped[cause] if client else 0 for cause in CAUSES},
        "energy_j": node.total,
        "active_j": node.active,
        "participant_j": client.participated if client else node.total,
        **{
            column: sum(energy.get(kind, 0.0) for kind in kinds)
            for column, kinds in _COLUMNS.items()
        },
        "busy_s": node.busy,
        "battery_end_wh": battery.charge / WATT_HOUR if battery else None,
        "charged_j": battery.charged if battery else 0.0,
        "supplied_j": battery.supplied if battery else 0.0,
        "temperature_max_c": node.heat.hottest if node.heat else None,
        "throttled_s": node.heat.throttled if node.heat else None,
        "peak_memory_b": node.memory.peak,
        "bytes_up": up,
        "bytes_down": down,
    }


def _summary(
    run: Run, trace: Trace, end: Seconds, targets: Sequence[float], heads: Mapping[str, Any]
) -> dict[str, Any]:
    kinds: dict[str, Joules] = {"compute": 0.0, "memory": 0.0, "radio": 0.0, "idle": 0.0}
    roles: dict[str, Joules] = dict.fromkeys(ROLES, 0.0)
    drawn = [(node.role, node.energy) for node in run.kernel.nodes.values()]
    if isinstance(run, Crowd):
        drawn.append(("device", columns_books.kinds(run)))
    for role, energy in drawn:
        for kind, joules in energy.items():
            kinds[kind] = kinds.get(kind, 0.0) + joules
        roles[role] += sum(energy.values())
    rows = trace.devices
    reached = {target: _first(trace.rounds, target) for target in targets}
    scored = [row for row in trace.rounds if row["accuracy"] is not None]
    return {
        **heads,
        "rounds": len(trace.rounds),
        "simulated_s": end,
        "energy_j": {"total": sum(kinds.values()), **kinds},
        "energy_by_role_j": roles,
        "active_j": total(rows, "active_j"),
        "participant_j": total(rows, "participant_j"),
        "bytes_up": sum(row["bytes_up"] for row in trace.rounds),
        "bytes_down": sum(row["bytes_down"] for row in trace.rounds),
        "accuracy": scored[-1]["accuracy"] if scored else None,
        "best_accuracy": max((row["accuracy"] for row in scored), default=None),
        "loss": scored[-1]["loss"] if scored and isfinite(scored[-1]["loss"]) else None,
        "time_to": {str(target): row and row[0] for target, row in reached.items()},
        "energy_to": {str(target): row and row[1] for target, row in reached.items()},
        "dropouts": {cause: int(total(rows, f"dropped_{cause}")) for cause in CAUSES},
        "devices": len(run.roll if isinstance(run, Crowd) else run.clients),
        "device_rounds": int(total(rows, "rounds_done")),
        "trace_hash": trace.hash(),
    }


def _first(rounds: Sequence[Mapping[str, Any]], target: float) -> tuple[Seconds, Joules] | None:
    """Simulated time and joules at the end of the first round that reached `target`."""
    spent = 0.0
    for row in rounds:
        spent += row["energy_j"]
        if row["accuracy"] is not None and row["accuracy"] >= target:
            return row["t1_s"], spent
    return None
