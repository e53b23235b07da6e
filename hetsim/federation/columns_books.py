"""What a finished run of a fleet in columns adds up to: the tables of `hetsim.federation.ledger`.

A device has no temperature curve here, and none has been slowed down by heat (`hetsim.sim.fleet`):
`temperature_max_c` is empty, `throttled_s` is 0 where the device has a body.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import ceil, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetsim.core.errors import CAUSES
from hetsim.core.quantities import WATT_HOUR, Joules
from hetsim.core.table import Table
from hetsim.core.trace import BASE_KINDS
from hetsim.federation.columns import Crowd
from hetsim.federation.critical import Spans
from hetsim.federation.fairness import QUARTER, ROUNDED
from hetsim.federation.links import Links, Way
from hetsim.sim.columns import Array
from hetsim.sim.population import Cell


def device_table(
    run: Crowd,
    others: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Sequence[str]],
    held: NDArray[np.integer[Any]],
) -> Table:
    """Rows of `devices.parquet`, devices first.

    Args:
        run: the finished run, settled at its end.
        others: rows of all other nodes.
        columns: kinds of energy of each of its columns.
        held: of each device, how many of its samples carry each label [devices, labels].
    """
    fleet, tallies = run.fleet, run.tallies
    people, energy = fleet.people, fleet.energy
    count = len(people)
    kind = people.kind

    def words(values: Sequence[str]) -> NDArray[Any]:
        return np.array(values, object)[kind]

    def nothing(value: Any) -> NDArray[Any]:
        return np.broadcast_to(np.array(value), count)

    battery = people.charge < inf
    body = np.array([profile.heat is not None for profile in people.profiles])[kind]
    spent = _added(energy, tuple(energy), count)
    table: dict[str, NDArray[Any]] = {
        "device": np.array(run.roll.every_name(), object),
        "role": nothing("device").astype(object),
        "profile": words([profile.name for profile in people.profiles]),
        "power_scope": words([profile.power_scope for profile in people.profiles]),
        "excluded": _excluded(run),
        "rounds_done": tallies.done,
        **{f"dropped_{cause}": tallies.dropped[cause] for cause in CAUSES},
        "energy_j": spent,
        "active_j": _active(energy, spent),
        "participant_j": tallies.participated,
        **{column: _added(energy, kinds, count) for column, kinds in columns.items()},
        "busy_s": tallies.busy,
        "battery_end_wh": np.where(battery, fleet.charge / WATT_HOUR, np.nan),
        "charged_j": fleet.chargers.charged if fleet.chargers else nothing(0.0),
        "supplied_j": fleet.chargers.supplied if fleet.chargers else nothing(0.0),
        "temperature_max_c": nothing(np.nan),
        "throttled_s": np.where(body, 0.0, np.nan),
        "peak_memory_b": tallies.peak,
        "bytes_up": tallies.up,
        "bytes_down": tallies.down,
        "device_class": words([profile.device_class for profile in people.profiles]),
        "samples": run.roll.samples,
        "asked": tallies.asked,
        "updates_used": tallies.used,
        "rarity": _rarities(held),
        "expected_accuracy": nothing(np.nan),
    }
    return Table(table, others)


def _added(energy: Mapping[str, Array], kinds: Sequence[str], count: int) -> Array:
    """Joules of some kinds together."""
    known = [energy[kind] for kind in kinds if kind in energy]
    return np.sum(known, axis=0) if known else np.broadcast_to(np.array(0.0), count)


def _active(energy: Mapping[str, Array], spent: Array) -> Array:
    """Joules above base, with the battery's losses on them."""
    above = _added(energy, [k for k in energy if k not in (*BASE_KINDS, "loss")], len(spent))
    lost = energy.get("loss")
    if lost is None:
        return above
    used = spent - lost
    return above * (1.0 + np.divide(lost, used, out=np.zeros_like(used), where=used > 0.0))


def _excluded(run: Crowd) -> NDArray[Any]:
    """Why devices cannot take part; a text for each kind and need that occur."""
    found = np.full(len(run.roll), "", object)
    out = np.flatnonzero(~run.able)
    keys = np.stack((run.fleet.people.kind[out], run.need[out], run.roll.samples[out] > 0))
    _, first, place = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    texts = np.array([run.excluded(int(out[each])) for each in first], object)
    found[out] = texts[place.ravel()] if len(out) else ""
    return found


def _rarities(held: NDArray[np.integer[Any]]) -> Array:
    """Rarity of each device, as `hetsim.federation.fairness` defines it; NaN without data."""
    samples = held.sum(axis=1)
    holders = samples > 0
    if not holders.any():
        return np.full(len(held), np.nan)
    lacking = (held[holders] == 0).mean(axis=0)
    found = np.full(len(held), np.nan)
    found[holders] = np.round((held[holders] @ lacking) / samples[holders], ROUNDED)
    return found


# --- fairness -------------------------------------------------------------------------------------


def fairness(table: Table, devices: int) -> dict[str, Any]:
    """Content of `fairness` in the summary, of the first rows of the table."""
    columns = {
        name: table.column(name)[:devices]
        for name in ("device_class", "samples", "asked", "updates_used", "rarity")
    }
    used, rarity = columns["updates_used"], columns["rarity"].astype(float)
    squares = float((used.astype(float) ** 2).sum())
    holders = columns["samples"] > 0
    rare = _rare(rarity)
    classes, place = np.unique(columns["device_class"].astype(str), return_inverse=True)
    return {
        "jain_updates": float(used.sum()) ** 2 / (devices * squares) if squares else None,
        "never_used": int((used == 0).sum()),
        "expected_accuracy": None,
        "worst_tenth_accuracy": None,
        "by_class": _groups(columns, classes.tolist(), place, np.ones(devices, bool)),
        "by_labels": _groups(columns, ["rare", "usual"], np.where(rare, 0, 1), holders)
        if rare.any()
        else [],
    }


def _rare(rarity: Array) -> NDArray[np.bool_]:
    """Devices with the rarest labels; none if all are alike."""
    known = np.sort(rarity[~np.isnan(rarity)])[::-1]
    if not len(known):
        return np.zeros(len(rarity), bool)
    cut, least = known[ceil(QUARTER * len(known)) - 1], known[-1]
    return (rarity > least) & (rarity >= cut)


def _groups(
    columns: Mapping[str, NDArray[Any]],
    names: Sequence[str],
    place: NDArray[np.intp],
    among: NDArray[np.bool_],
) -> list[dict[str, Any]]:
    """Rows of a table of groups, by name; shares are of the whole fleet."""

    def sums(name: str) -> list[int]:
        weights = columns[name][among]
        return np.bincount(place[among], weights, len(names)).astype(int).tolist()

    def share(part: int, name: str) -> float:
        whole = int(columns[name].sum())
        return part / whole if whole else 0.0

    devices = np.bincount(place[among], minlength=len(names)).tolist()
    return [
        {
            "group": name, "devices": number, "samples": samples, "asked": asked,
            "updates_used": used, "share_of_devices": number / len(place),
            "share_of_samples": share(samples, "samples"),
            "share_of_updates": share(used, "updates_used"), "expected_accuracy": None,
        }
        for name, number, samples, asked, used in zip(
            names, devices, sums("samples"), sums("asked"), sums("updates_used"), strict=True
        )
        if number
    ]  # fmt: skip


# --- links ----------------------------------------------------------------------------------------


def links(run: Crowd, spans: Spans) -> Links:
    """Who could slow whom: those who share the air of a cell and could fill it together."""
    people = run.fleet.people
    rows = np.flatnonzero(run.tallies.asked)
    names = run.roll.names(rows)
    cell: list[int] = people.cell[rows].tolist()
    group: dict[str, int] = {}
    members: dict[int, int] = {}
    for name, number in zip(names, cell, strict=True):
        own = people.cells[number].share == "line"
        group[name] = -1 - len(group) if own else number
        members[number] = members.get(number, 0) + 1
    rates = people.up[rows].tolist(), people.down[rows].tolist()
    load: dict[Way, Mapping[Hashable, float]] = {}
    waking: dict[Way, tuple[float, float]] = {}
    for name, number, up, down in zip(names, cell, *rates, strict=True):
        air: Cell = people.cells[number]
        for kind, rate in (("uplink", up), ("downlink", down)):
            shared = air.share != "line" and members[number] > 1
            channel = number, kind if air.apart else ""
            load[name, run.server.id, kind] = {channel: 1.0 / rate} if shared else {}
            if air.states and air.states.promotion > 0.0:
                waking[name, run.server.id, kind] = 1.0 / rate, air.states.tail
    return Links(group=group, load=load, waking=waking)


def kinds(run: Crowd) -> dict[str, Joules]:
    """Joules of all devices by kind."""
    found = {kind: float(column.sum()) for kind, column in run.fleet.energy.items()}
    return {kind: joules for kind, joules in found.items() if joules}
