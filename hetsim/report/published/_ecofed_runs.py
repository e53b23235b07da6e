"""Rows of the EcoFed report: which is which, what a run learned, and which signs are seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from hetsim.report.published._seeds import Sign, above, less
from hetsim.report.published.base import Row, Table

DEFAULT: Mapping[str, Any] = {"method": "ecofed", "period": 2, "bits": 8}
ECOFED, DPFL, FEDAVG, LGL, FEDGKT = "EcoFed", "DPFL", "FedAvg", "LGL", "FedGKT"
_METHODS = {
    "fedavg": FEDAVG, "dpfl": DPFL, "lgl": LGL, "fedgkt": FEDGKT, "finetune": "fine-tuning",
    "ecofed": ECOFED,
}  # fmt: skip
_FLEETS = {"pi": "Raspberry Pi 4", "jetson": "Jetson Nano", "campus": "campus"}
_PRETRAINING = {"none": "nothing pre-trained", "holistic": "pre-trained back too"}
_POINT = 0.01
_LAST = 3


def one(table: Iterable[Row], **where: Any) -> Row | None:
    """The first row with these values."""
    return next((row for row in table if all(row.get(k) == v for k, v in where.items())), None)


def ratio(top: Row | None, bottom: Row | None, name: str) -> float | None:
    """How many times as much one row has of a column as another."""
    if top is None or bottom is None or not bottom[name] or top[name] is None:
        return None
    return top[name] / bottom[name]


def fleet_name(name: str) -> str:
    """A fleet, in words."""
    return _FLEETS.get(name, name)


def method_name(row: Row) -> str:
    """A method, and in what it is not the default.

    >>> method_name({"method": "ecofed", "period": 4, "bits": 8})
    'EcoFed, period 4'
    """
    method: str = row["method"]
    parts = [_METHODS.get(method, method)]
    if row["method"] == "ecofed":
        if row.get("period") not in (None, DEFAULT["period"]):
            parts.append(f"period {row['period']}")
        if row.get("bits") not in (None, DEFAULT["bits"]):
            parts.append(f"{row['bits']} bits")
        if what := _PRETRAINING.get(row.get("pretraining", "")):
            parts.append(what)
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Runs:
    """What was learned, by method, variant and seed.

    Attributes:
        curves: a row a score.
        table: a row a run.
        cut: a row a run that ends where it reaches the goal.
    """

    curves: Table
    table: Table
    cut: Table

    @property
    def names(self) -> list[str]:
        """Every kind of run, in order."""
        return list(dict.fromkeys(method_name(row) for row in self.table))

    @property
    def methods(self) -> list[str]:
        """Those of no variant."""
        return [name for name in self.names if "," not in name]

    @property
    def variants(self) -> list[str]:
        """EcoFed, its default first."""
        return sorted(
            (name for name in self.names if name.split(",")[0] == ECOFED),
            key=lambda name: name != ECOFED,
        )

    @property
    def seeds(self) -> list[int]:
        """In order."""
        return sorted({row["seed"] for row in self.table})

    def curve(self, name: str, seed: int) -> list[Row]:
        """Scores of a run."""
        return [row for row in self.curves if row["seed"] == seed and method_name(row) == name]

    def ends(self, name: str, value: str) -> dict[int, float]:
        """A column of a kind of run, by seed."""
        return {
            row["seed"]: row[value]
            for row in self.table
            if method_name(row) == name and row[value] is not None
        }

    def early(self, name: str) -> dict[int, float]:
        """Mean over the scores of the first half of the rounds, by seed."""
        return self._of_curves(name, _early)

    def late(self, name: str) -> dict[int, float]:
        """Mean over the last three scores, by seed: one score depends on who was asked last."""
        return self._of_curves(name, lambda rows: mean(row["accuracy"] for row in rows[-_LAST:]))

    def bytes(self, name: str) -> dict[int, float]:
        """Of a whole run, by seed."""
        return self._of_curves(name, lambda rows: rows[-1]["bytes"])

    @property
    def goal(self) -> float | None:
        """An accuracy that every method reaches with every seed."""
        return next((row["goal"] for row in self.cut), None)

    def to_goal(self, name: str, value: str) -> dict[int, float]:
        """A column of the runs that end there, by seed."""
        return {row["seed"]: row[value] for row in self.cut if method_name(row) == name}

    def _of_curves(self, name: str, of: Callable[[list[Row]], float]) -> dict[int, float]:
        curves = {seed: self.curve(name, seed) for seed in self.seeds}
        return {seed: of(rows) for seed, rows in curves.items() if rows}

    @property
    def signs(self) -> list[Sign]:
        """Those that the article claims or that its settings rest on."""
        return list(self._signs())

    def _signs(self) -> Iterator[Sign]:
        yield Sign(
            what="EcoFed is not below DPFL early",
            differences=less(self.early(ECOFED), self.early(DPFL)),
            holds=lambda differences: min(differences) >= 0.0,
        )
        yield Sign(
            what="DPFL learns what FedAvg learns",
            differences=less(self.late(DPFL), self.late(FEDAVG)),
            holds=lambda differences: not any(differences),
        )
        for name in (LGL, FEDGKT):
            yield Sign(
                what=f"{name} is below DPFL at the end",
                differences=less(self.late(DPFL), self.late(name)), holds=above,
            )  # fmt: skip
        yield Sign(
            what="eight bits are within a point of 32, mean over seeds",
            differences=less(self.late(ECOFED), self.late(f"{ECOFED}, 32 bits")),
            holds=lambda differences: abs(mean(differences)) <= _POINT,
        )
        yield Sign(
            what="a frozen front is better pre-trained than random",
            differences=less(self.late(ECOFED), self.late(f"{ECOFED}, {_PRETRAINING['none']}")),
            holds=above,
        )
        yield Sign(
            what="a period of 8 costs accuracy beside one of 1",
            differences=less(self.late(f"{ECOFED}, period 1"), self.late(f"{ECOFED}, period 8")),
            holds=above,
        )


def _early(rows: Sequence[Row]) -> float:
    half = rows[-1]["round"] / 2
    return mean(row["accuracy"] for row in rows if row["round"] <= half or row is rows[0])
