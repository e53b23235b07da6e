"""Rows of the FedStitch report: which is which, and what pairs of runs say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hetsim.report.published.base import Row, Table, appearing, known

STITCHED = "FedStitch"
DEFAULT, MAX_CLOCKS, UNIFORM, WHOLE_POOL = "default", "no DVFS", "uniform votes", "whole pool"
ALONE = " alone"
"""How variants with one network in the zoo end."""
BLIND, EXCLUSIVE, ALL_SMALL = "memory-blind", "exclusive", "all-small"
TIGHT, LOOSE, NO_LIMIT = "tight", "loose", "blind"
ACCOUNTS = {
    "total": "device_j", "active": "device_active_j", "participant": "device_participant_j",
}  # fmt: skip


def name_of(row: Row) -> str:
    """A way, and in what it is not the default.

    >>> name_of({"method": "FedStitch", "variant": "no DVFS"})
    'FedStitch, no DVFS'
    """
    variant = row["variant"]
    return row["method"] if variant == DEFAULT else f"{row['method']}, {variant}"


def tightest(method: str) -> str:
    """The least room in which a baseline is run; memory-blind ones have no limit."""
    return NO_LIMIT if method == BLIND else TIGHT


def distinct(table: Iterable[Row], name: str) -> list[float]:
    """Values of a column, in rising order."""
    return sorted(set(known(table, name)))


def skew(alpha: float) -> str:
    """How labels fall to clients.

    >>> skew(0.1), skew(100.0)
    ('α = 0.1', 'nearly IID')
    """
    return "nearly IID" if alpha >= 100.0 else f"α = {alpha:g}"


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs.

    Attributes:
        curves: a row a score.
        table: a row a run.
        goals: a row a pair of FedStitch and a baseline.
    """

    curves: Table
    table: Table
    goals: Table

    @property
    def alphas(self) -> list[float]:
        """At which there are baselines."""
        return distinct((row for row in self.table if row["method"] != STITCHED), "alpha")

    @property
    def seeds(self) -> list[int]:
        """In order."""
        return sorted({row["seed"] for row in self.table})

    @property
    def baselines(self) -> list[str]:
        """In their order."""
        names = dict.fromkeys(row["method"] for row in self.table)
        return [name for name in names if name != STITCHED]

    @property
    def places(self) -> list[tuple[str, str]]:
        """Every way and memory, in their order."""
        return list(dict.fromkeys((name_of(row), row["memory"]) for row in self.table))

    @property
    def everywhere(self) -> list[tuple[str, str]]:
        """Every way and memory that is there at each skew of labels with baselines."""
        return [
            place for place in self.places
            if all(self.named(*place, alpha) for alpha in self.alphas)
        ]  # fmt: skip

    @property
    def variants(self) -> list[str]:
        """Of FedStitch in tight memory, in their order."""
        rows = (row for row in self.table if row["method"] == STITCHED and row["memory"] == TIGHT)
        return appearing(rows, "variant")

    @property
    def unfinished(self) -> tuple[int, int]:
        """Runs of baselines whose last score is their best, and runs of baselines."""
        scores: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
        for row in self.curves:
            if row["method"] != STITCHED:
                place = tuple(row[name] for name in ("method", "alpha", "memory", "seed"))
                scores.setdefault(place, []).append((row["round"], row["accuracy"]))
        found = scores.values()
        return sum(max(each)[1] >= max(score for _, score in each) for each in found), len(found)

    def ends(
        self, alpha: float, method: str, memory: str = TIGHT, variant: str = DEFAULT
    ) -> dict[int, Row]:
        """Runs by seed."""
        wanted = {"alpha": alpha, "method": method, "memory": memory, "variant": variant}
        return {row["seed"]: row for row in self.table if _is(row, wanted)}

    def named(self, name: str, memory: str, alpha: float) -> list[Row]:
        """Runs of a way by its whole name."""
        return [
            row for row in self.table
            if name_of(row) == name and row["memory"] == memory and row["alpha"] == alpha
        ]  # fmt: skip

    def pairs(
        self, method: str, memory: str = "", stitched: str = DEFAULT, alpha: float | None = None
    ) -> list[Row]:
        """What FedStitch and a baseline take to the lower of their best accuracies."""
        wanted = {
            "method": method, "memory": memory or tightest(method), "stitched_as": stitched,
        }  # fmt: skip
        place = {} if alpha is None else {"alpha": alpha}
        return [row for row in self.goals if _is(row, wanted | place)]

    def gain(self, alpha: float, method: str, memory: str = TIGHT) -> dict[int, float]:
        """By seed, FedStitch's accuracy at its end above the best that a baseline ever had."""
        ours = self.ends(alpha, STITCHED, memory)
        theirs = self.ends(alpha, method, memory if memory != TIGHT else tightest(method))
        return {
            seed: ours[seed]["final"] - row["best"] for seed, row in theirs.items() if seed in ours
        }

    def alone(self, alpha: float) -> dict[str, dict[int, float]]:
        """Accuracy at the end with one network in the zoo, by network and seed."""
        found = {
            variant.removesuffix(ALONE): self.ends(alpha, STITCHED, variant=variant)
            for variant in self.variants if variant.endswith(ALONE)
        }  # fmt: skip
        return {
            model: {seed: row["final"] for seed, row in rows.items()}
            for model, rows in found.items() if rows
        }  # fmt: skip

    def ablated(self, alpha: float, variant: str, of: Callable[[Row], float | None]) -> list[float]:
        """By seed, something of FedStitch less the same of a variant."""
        ours, other = self.ends(alpha, STITCHED), self.ends(alpha, STITCHED, variant=variant)
        both = [(of(ours[seed]), of(other[seed])) for seed in sorted(ours.keys() & other.keys())]
        return [mine - its for mine, its in both if mine is not None and its is not None]


def saving(pairs: Iterable[Row], account: str = "device_j", ours: str = "stitched") -> list[float]:
    """Share of a baseline's joules that FedStitch does not draw, by pair.

    Args:
        pairs: with what both took to the goal.
        account: a column.
        ours: "stitched" to the goal too, "whole" for FedStitch to its end.
    """
    return [1.0 - row[f"{ours}_{account}"] / row[f"other_{account}"] for row in pairs]


def speedup(pairs: Iterable[Row], ours: str = "stitched") -> list[float]:
    """How many times as fast FedStitch is, by pair."""
    return [row["other_simulated_s"] / row[f"{ours}_simulated_s"] for row in pairs]


def less(first: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """Differences of the seeds that both have."""
    return [first[seed] - other[seed] for seed in sorted(first.keys() & other.keys())]


def _is(row: Row, wanted: Mapping[str, object]) -> bool:
    return all(row[name] == value for name, value in wanted.items())


def all_above(found: Sequence[float], limit: float = 0.0) -> bool | None:
    """Whether all are above a limit; None if there are none."""
    return min(found) > limit if found else None
