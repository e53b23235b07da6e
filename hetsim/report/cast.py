"""Which nodes a figure shows where there are too many for it: those that say most of the run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

from hetsim.core.quantities import Seconds
from hetsim.core.table import Table
from hetsim.core.trace import Trace

_FIRST = ("server", "gateway")

Row = Mapping[str, Any]


def notable(trace: Trace) -> list[str]:
    """Nodes of which a reader will ask: throttled the longest, died, held the rounds up longest."""
    rows = () if isinstance(trace.devices, Table) else trace.devices  # in columns nobody throttles
    hot = {row["device"]: row["throttled_s"] for row in rows if row["throttled_s"]}
    dead = [note.actor for note in trace.notes if note.cause == "battery"]
    blamed: dict[str, Seconds] = defaultdict(float)
    for row in trace.critical:
        blamed[row["actor"]] += row["t1_s"] - row["t0_s"]
    return list(dict.fromkeys([*_longest(hot), *dead, *_longest(blamed)]))


def cast(trace: Trace, rows: Iterable[Row], weights: Mapping[str, float], most: int) -> set[str]:
    """At most so many nodes: servers and gateways, notable ones, the heaviest of each profile.

    Args:
        trace: the run.
        rows: of the device table, at least those of nodes that could be shown and have one.
        weights: of the nodes that could be shown; a heavier one goes before others of its profile.
        most: how many; up to half of them are servers, gateways and notable ones.
    """
    kinds = {row["device"]: (row["role"], row["profile"]) for row in rows}
    turns: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in sorted(weights, key=lambda name: -weights[name]):
        turns[kinds.get(name, ("", ""))].append(name)
    first = [name for (role, _), of in turns.items() if role in _FIRST for name in of]
    first += [name for name in notable(trace) if name in weights]
    rest = [name for turn in zip_longest(*turns.values()) for name in turn if name]
    return set(list(dict.fromkeys([*first[: most // 2], *rest]))[:most])


def _longest(seconds: Mapping[str, Seconds]) -> list[str]:
    return sorted(seconds, key=lambda name: (-seconds[name], name))
