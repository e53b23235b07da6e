"""Rows of ways to train side by side (`hetsim.study.comparisons.side_by_side`), scene by scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from hetsim.report.numbers import NONE
from hetsim.report.published._seeds import Sign, above, counted, less, points, spread
from hetsim.report.published.base import Grid, Row, Table, Tables, appearing, known

ACCOUNTS = {
    "total": "device_j", "active": "device_active_j", "participant": "device_participant_j",
}  # fmt: skip
"""Accounts of the joules of all devices, with their columns."""
LAST = 3
"""Scores at the end of a run whose mean stands for where it has come to: one alone depends on who
was asked last."""


EDGE = "60 devices"
_SGD = "epochs: 2, batch: 10, lr: 0.05, momentum: 0.9"


def lab(
    ways: Mapping[str, Sequence[str]],
    *,
    model: str,
    partition: str,
    clients: int,
    samples: int,
    cohort: int,
    rounds: int,
    every: int,
    test: int,
    seeds: Sequence[int],
    views: bool = False,
    goal: float | str | None = None,
) -> dict[str, Any]:
    """Settings of equal boards that learn CIFAR-10 (Krizhevsky, 2009), for what is learned.

    Args:
        ways: overrides of each, by its name.
        model: as in a topology.
        partition: likewise.
        clients: boards.
        samples: pictures at each.
        cohort: boards asked in a round.
        rounds: of a run.
        every: rounds between two scores.
        test: pictures to score on.
        seeds: of all draws.
        views: whether other models and scores are told too.
        goal: as `side_by_side` takes it.
    """
    found: dict[str, Any] = {
        "topology": "pi_lab",
        "changes": [
            f"fleet[0].count={clients}", f"fleet[0].data.samples={samples}",
            f"task={{data: {{name: cifar10, test: {test}}}, model: {model}, "
            f"partition: {partition}}}",
            f"selection={{name: random, cohort: {cohort}}}",
            f"report={{evaluate_every: {every}, views: {str(views).lower()}}}",
            f"stop={{rounds: {rounds}}}",
        ],
        "ways": {way: list(changes) for way, changes in ways.items()},
        "seeds": list(seeds),
    }  # fmt: skip
    return found if goal is None else {**found, "goal": goal}


def edge(
    ways: Mapping[str, str], *, seeds: Sequence[int], rounds: int, every: int
) -> dict[str, Any]:
    """Settings of the fleet that all methods with levels are played on, beside two baselines.

    Args:
        ways: options of methods, by name of the way.
        seeds: of all draws.
        rounds: of a run.
        every: rounds between two scores.
    """
    all_ways = {"FedAvg": "name: fedavg", "HeteroFL": "name: heterofl", **ways}
    return {
        "topology": "edge_levels",
        "changes": [f"stop={{rounds: {rounds}}}", f"report={{evaluate_every: {every}}}"],
        "ways": {way: [f"method={{{said}, {_SGD}}}"] for way, said in all_ways.items()},
        "seeds": list(seeds),
    }


@dataclass(frozen=True, slots=True)
class Scene:
    """One fleet and one task.

    Attributes:
        tables: of all scenes.
        name: of this one.
    """

    tables: Tables
    name: str

    def table(self, name: str, way: str | None = None) -> Table:
        """Rows of this scene, of one way or of all."""
        return [
            row for row in self.tables.get(name, ())
            if row["scene"] == self.name and way in (None, row["way"])
        ]  # fmt: skip

    @property
    def ways(self) -> list[str]:
        """In their order."""
        return appearing(self.table("runs"), "way")

    @property
    def seeds(self) -> list[int]:
        """In order."""
        return sorted(set(appearing(self.table("runs"), "seed")))

    def ends(self, way: str, column: str) -> dict[int, float]:
        """What is known of a column of the runs of a way, by seed."""
        rows = self.table("runs", way)
        return {row["seed"]: row[column] for row in rows if row[column] is not None}

    def curves(self, way: str) -> dict[int, list[Row]]:
        """Scores of each run of a way, by seed."""
        found: dict[int, list[Row]] = {}
        for row in self.table("scores", way):
            found.setdefault(row["seed"], []).append(row)
        return found

    def late(self, way: str) -> dict[int, float]:
        """Mean accuracy of the last scores, by seed."""
        return {
            seed: mean(row["accuracy"] for row in rows[-LAST:])
            for seed, rows in self.curves(way).items()
        }

    def views(self, way: str) -> dict[str, dict[int, float]]:
        """The same of each model that follows from the server's, by its name."""
        found: dict[str, dict[int, list[float]]] = {}
        for row in self.table("views", way):
            found.setdefault(row["view"], {}).setdefault(row["seed"], []).append(row["accuracy"])
        return {
            name: {seed: mean(each[-LAST:]) for seed, each in seeds.items()}
            for name, seeds in found.items()
        }

    def sign(self, better: str, worse: str, what: str = "") -> Sign:
        """That one way learns more than another in every seed."""
        return Sign(
            what=what or f"{better} above {worse}",
            differences=less(self.late(better), self.late(worse)),
            holds=above,
        )

    @property
    def goal(self) -> float | None:
        """The accuracy to which runs are told."""
        return next((row["goal"] for row in self.table("goals")), None)

    def left_out(self, way: str) -> str:
        """How many devices could not take part."""
        return counted(self.ends(way, "excluded").values())

    # --- tables as printed ----------------------------------------------------------------------

    def learned(self, base: str | None = None) -> Grid:
        """Accuracy of each way, and its difference to one of them by seed."""
        first = self.late(base or self.ways[0]) if self.ways else {}
        return Grid(
            columns=(
                "way", f"accuracy, mean of the last {LAST} scores, %",
                f"to {base or next(iter(self.ways), NONE)}, points by seed", "best, %",
                "MB up", "MB down",
            ),
            rows=[
                (
                    way,
                    spread(self.late(way).values(), 100.0),
                    points(less(self.late(way), first)),
                    spread(self.ends(way, "best").values(), 100.0),
                    *(
                        spread(self.ends(way, column).values(), 1e-6)
                        for column in ("bytes_up", "bytes_down")
                    ),
                )
                for way in self.ways
            ],
            source="runs",
        )  # fmt: skip

    def took(self) -> Grid:
        """What whole runs of each way took."""
        return Grid(
            columns=_TOOK,
            rows=[(way, *_taken(self.table("runs", way))) for way in self.ways],
            source="runs",
        )

    def took_to_goal(self) -> Grid:
        """What runs of each way took to the goal, of those that reached it."""
        return Grid(
            columns=("way", "reached", *_TOOK[1:]),
            rows=[
                (
                    way,
                    f"{sum(row['reached'] for row in rows)} of {len(rows)}",
                    *(_taken(there) if there or not rows else [NONE] * len(_TOOK[1:])),
                )
                for way in self.ways
                for rows in [self.table("goals", way)]
                for there in [[row for row in rows if row["reached"]]]
            ],
            source="goals",
        )

    def by_class(self, account: str = "active") -> Grid:
        """Joules a device by profile, a column a way, with who could not take part."""
        column = {"total": "energy_j"}.get(account, f"{account}_j")
        return Grid(
            columns=("device", *self.ways),
            rows=[
                (f"{count} {profile}", *(self._of_class(way, profile, column) for way in self.ways))
                for profile, count in self.profiles.items()
            ],
            source="classes",
        )

    def peaks(self) -> Grid:
        """Peak memory by profile, a column a way."""
        return Grid(
            columns=("device", *self.ways),
            rows=[
                (profile, *(self._of_class(way, profile, "peak_memory_b") for way in self.ways))
                for profile in self.profiles
            ],
            source="classes",
        )

    def levels(self) -> Grid:
        """How many devices of each profile train which level, a column a way that has levels."""
        ways = appearing(self.table("levels"), "way")
        return Grid(
            columns=("device", *ways),
            rows=[
                (f"{count} {profile}", *(self._levels(way, profile) for way in ways))
                for profile, count in self.profiles.items()
            ],
            source="levels",
        )

    @property
    def profiles(self) -> Mapping[str, int]:
        """How many devices there are of each."""
        return {row["profile"]: row["devices"] for row in self.table("classes")}

    def _of_class(self, way: str, profile: str, column: str) -> str:
        rows = [row for row in self.table("classes", way) if row["profile"] == profile]
        out = max((row["excluded"] for row in rows), default=0)
        if rows and out == rows[0]["devices"]:
            return "excluded"
        told = (
            spread(known(rows, column), 1e-6)
            if column == "peak_memory_b"
            else spread(row[column] / row["devices"] for row in rows)
        )
        return f"{told} ({out} excluded)" if out else told

    def _levels(self, way: str, profile: str) -> str:
        """Those of the first seed; others differ where shards do."""
        first = min(self.seeds)
        found: dict[str, int] = {}
        for row in self.table("levels", way):
            if row["seed"] == first and row["profile"] == profile:
                found[row["level"]] = found.get(row["level"], 0) + 1
        return ", ".join(f"{name}: {count}" for name, count in found.items()) or NONE


_TOOK = (
    "way", "rounds", "s", "devices: total kJ", "active kJ", "participant kJ", "all nodes kJ",
    "MB up", "MB down", "peak MB", "excluded",
)  # fmt: skip


def _taken(rows: Sequence[Row]) -> Iterator[str]:
    yield counted(known(rows, "rounds"))
    columns = {
        "simulated_s": 1.0, **dict.fromkeys(ACCOUNTS.values(), 1e-3), "energy_j": 1e-3,
        "bytes_up": 1e-6, "bytes_down": 1e-6, "peak_memory_b": 1e-6,
    }  # fmt: skip
    for column, factor in columns.items():
        yield spread(known(rows, column), factor)
    yield counted(known(rows, "excluded"))
