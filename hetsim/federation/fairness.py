"""Who took part, and how well the model serves whom.

Participation is told by device class, and by Jain's index over the clients: (sum x)^2 / (n sum x^2)
of the updates used of each, 1 if all have as many and 1/n if one has them all (R. Jain, D. Chiu and
W. Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared
Computer Systems", DEC Research Report TR-301, 1984).

The accuracy that a device may expect is derived, not measured on it: the final model's accuracy on
each label of the test set, weighted by how often the label occurs among the device's own samples.

Rarity (our own measure): of the devices that hold data, the share that lacks a label, averaged over
a device's samples. It is 0 if every device holds every label that this one holds. The label-rare
are the quarter of the devices with the highest rarity, those that tie with the last of them too;
where all are alike there are none, and where fewer than a quarter stand out, only these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetsim.core.quantities import Fraction
from hetsim.core.trace import Trace

QUARTER, _TENTH = 0.25, 0.1
ROUNDED = 12
"""Digits to which rarities are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What the clients are and hold, and how good the final model is on it.

    Attributes:
        classes: device class of each node.
        labels: of each client, how many of its samples carry each label, in order of the labels.
        accuracy: of the final model on each label of the test set; None for one that the test set
            lacks. Empty if nothing was learned.
        held: the same as `labels`, of a fleet in columns [devices, labels].
    """

    classes: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    accuracy: Sequence[Fraction | None] = ()
    held: NDArray[np.integer[Any]] = field(default_factory=lambda: np.empty((0, 0), int))


def jain(amounts: Sequence[float]) -> Fraction | None:
    """Jain's index; None if there is nothing to share.

    >>> jain([2.0, 2.0]), jain([3.0, 0.0, 0.0]), jain([0.0])
    (1.0, 0.3333333333333333, None)
    """
    squares = sum(amount * amount for amount in amounts)
    return sum(amounts) ** 2 / (len(amounts) * squares) if squares else None


def rarities(labels: Mapping[str, Sequence[int]]) -> dict[str, Fraction]:
    """Rarity of each device that holds data.

    >>> rarities({"a": [5, 0], "b": [1, 1]})
    {'a': 0.0, 'b': 0.25}
    """
    held = {device: counts for device, counts in labels.items() if sum(counts)}
    lacking = [
        sum(not count for count in column) / len(held)
        for column in zip(*held.values(), strict=True)
    ]
    return {
        device: round(
            sum(n * lack for n, lack in zip(counts, lacking, strict=True)) / sum(counts), ROUNDED
        )
        for device, counts in held.items()
    }


def label_rare(rarity: Mapping[str, Fraction]) -> set[str]:
    """The devices with the rarest labels; none if all are alike."""
    if not rarity:
        return set()
    ranked = sorted(rarity.values(), reverse=True)
    cut, least = ranked[ceil(QUARTER * len(ranked)) - 1], ranked[-1]
    return {
        device for device, score in rarity.items() if score > least and score >= cut
    }  # fmt: skip


def expected(counts: Sequence[int], accuracy: Sequence[Fraction | None]) -> Fraction | None:
    """Accuracy that a device with these samples may expect; None if it cannot be told.

    >>> expected([1, 1, 0], [0.75, 0.25, None])
    0.5
    """
    known = [(n, a) for n, a in zip(counts, accuracy, strict=False) if a is not None]
    samples = sum(n for n, _ in known)
    return sum(n * a for n, a in known) / samples if samples else None


def device_columns(trace: Trace, holdings: Holdings) -> None:
    """Give every device its class, how often it took part, its rarity and its expected accuracy."""
    asked: dict[str, int] = {}
    used: dict[str, int] = {}
    for part in trace.participations:
        if part.waste == "polled":
            continue
        asked[part.device] = asked.get(part.device, 0) + 1
        used[part.device] = used.get(part.device, 0) + (part.used >= 0)
    rarity = rarities(holdings.labels)
    for row in trace.devices:
        device = row["device"]
        row["device_class"] = holdings.classes.get(device, "")
        row["samples"] = sum(holdings.labels.get(device, ()))
        row["asked"], row["updates_used"] = asked.get(device, 0), used.get(device, 0)
        row["rarity"] = rarity.get(device)
        row["expected_accuracy"] = expected(holdings.labels.get(device, ()), holdings.accuracy)


def fairness(trace: Trace) -> dict[str, Any]:
    """Content of `fairness` in the summary, from the rows of the devices.

    `jain_updates` is Jain's index of the updates used; `expected_accuracy` the mean over the
    devices that hold data, `worst_tenth_accuracy` that of the tenth that may expect least.
    `by_class` has a row for each device class, `by_labels` one for the label-rare and one for the
    others ("usual"), or is empty where no device stands out; `share_of_...` are shares of the whole
    fleet.
    """
    rows = [row for row in trace.devices if row["role"] == "device"]
    rare = label_rare({r["device"]: r["rarity"] for r in rows if r["rarity"] is not None})
    holders = [row for row in rows if row["samples"]]
    scores = sorted(
        row["expected_accuracy"] for row in rows if row["expected_accuracy"] is not None
    )
    return {
        "jain_updates": jain([float(row["updates_used"]) for row in rows]),
        "never_used": sum(not row["updates_used"] for row in rows),
        "expected_accuracy": _mean(scores),
        "worst_tenth_accuracy": _mean(scores[: ceil(_TENTH * len(scores))]),
        "by_class": _groups(rows, rows, lambda row: row["device_class"]),
        "by_labels": _groups(
            holders, rows, lambda row: "rare" if row["device"] in rare else "usual"
        )
        if rare
        else [],
    }


def _groups(
    rows: Sequence[Mapping[str, Any]],
    fleet: Sequence[Mapping[str, Any]],
    name: Callable[[Mapping[str, Any]], str],
) -> list[dict[str, Any]]:
    """Rows of a table of groups, by name."""
    members: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        members.setdefault(name(row), []).append(row)

    def total(of: Sequence[Mapping[str, Any]], column: str) -> int:
        return sum(row[column] for row in of)

    def share(of: Sequence[Mapping[str, Any]], column: str) -> Fraction:
        whole = total(fleet, column)
        return total(of, column) / whole if whole else 0.0

    return [
        {
            "group": group,
            "devices": len(of),
            "samples": total(of, "samples"),
            "asked": total(of, "asked"),
            "updates_used": total(of, "updates_used"),
            "share_of_devices": len(of) / len(fleet),
            "share_of_samples": share(of, "samples"),
            "share_of_updates": share(of, "updates_used"),
            "expected_accuracy": _mean(
                [row["expected_accuracy"] for row in of if row["expected_accuracy"] is not None]
            ),
        }
        for group, of in sorted(members.items())
    ]


def _mean(values: Sequence[Fraction]) -> Fraction | None:
    return sum(values) / len(values) if values else None
