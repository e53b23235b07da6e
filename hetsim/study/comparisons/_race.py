"""Runs that race to an accuracy, and what a table says of them.

Every run has the same budget of client updates, whatever a server step is made of, and is scored
as often a client update. A run that reaches the target is played once more up to the round in which
it did, over the same store, so that everything that is told "to the target" is what a run that ends
there adds up to, exactly: all three accounts of joules, waste and blame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from pathlib import Path
from typing import Any

from hetsim.core.trace import Trace
from hetsim.study.campaign import Variant, campaign

TOPOLOGY = "straggler_fleet"
FEDBUFF = "{name: fedbuff, buffer: 5, lr: 0.5, exponent: 0.5}"
"""A buffer of half the clients at work and half a step for it, so that as many updates as there are
clients at work move the model as far as in a synchronous round."""
COHORT = 10
_SCORED = 20
"""Client updates between two scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A pace as it takes part, and what one of its server steps is made of.

    Attributes:
        pace: as in a topology.
        updates: client updates in a step.
        first: in the first step.
    """

    pace: str
    updates: int = COHORT
    first: int = COHORT

    def rules(self, budget: int) -> tuple[str, ...]:
        """Overrides for a run of at most `budget` client updates, a step more if it needs one."""
        steps = 1 + max(0, ceil((budget - self.first) / self.updates))
        every = max(1, _SCORED // self.updates)
        return f"pace={self.pace}", f"stop.rounds={steps}", f"report.evaluate_every={every}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run in a race.

    Attributes:
        head: what it is called in the tables: columns and values.
        overrides: what it is, on top of the race's.
        seed: of all its draws.
    """

    head: Mapping[str, Any]
    overrides: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a run went.

    Attributes:
        entry: the run.
        whole: what `account` says of it, to the end of its budget.
        reached: the same to the round that reached the target; None if none did.
    """

    entry: Entry
    whole: Mapping[str, Any]
    reached: Mapping[str, Any] | None

    @property
    def told(self) -> Mapping[str, Any]:
        """To the target, or to the end if it was not reached."""
        return self.reached or self.whole


def task(*, samples: int, test: int) -> tuple[str, ...]:
    """What is learned: the same number of pictures at every client, their labels skewed."""
    return (
        f"task.data={{name: fashion_mnist, test: {test}}}",
        "task.model={name: small_cnn, width: 8}",
        f"task.partition={{name: dirichlet, alpha: 0.5, minimum: {samples}}}",
        "method={name: fedavg, epochs: 1, batch: 10, lr: 0.02, momentum: 0.9}",
    )


def race(
    entries: Sequence[Entry],
    *,
    target: float,
    workers: int,
    data: Path,
    work: Path,
    progress: Callable[[str], None],
) -> list[Finish]:
    """Play all entries to the end of their budget, and to the target where they reach it."""

    def play(overrides: Sequence[tuple[str, ...]], what: str) -> list[Any]:
        variants = [
            Variant(topology=TOPOLOGY, overrides=changes, seed=entry.seed)
            for entry, changes in zip(entries, overrides, strict=True)
            if changes
        ]
        return campaign(
            variants, account, work=work, data=data, workers=workers,
            progress=lambda text: progress(f"{what}: {text}"),
        )  # fmt: skip

    given = [(*entry.overrides, f"report.targets=[{target}]") for entry in entries]
    whole = play(given, "whole budgets")
    rounds = [_rounds_to(found["curve"], target) for found in whole]
    cut = [
        (*changes, f"stop.rounds={count}") if count else ()
        for changes, count in zip(given, rounds, strict=True)
    ]
    reached = iter(play(cut, f"to {100 * target:g} %"))
    return [
        Finish(entry=entry, whole=found, reached=next(reached) if count else None)
        for entry, found, count in zip(entries, whole, rounds, strict=True)
    ]


def account(trace: Trace) -> dict[str, Any]:
    """What is kept of a run: its summary, scores, blame and who took part, by kind of device."""
    return {
        "summary": trace.summary,
        "curve": _curve(trace),
        "blame": _blame(trace),
        "kinds": _kinds(trace),
    }


def _curve(trace: Trace) -> list[dict[str, Any]]:
    """Scored rounds, with the joules of all nodes up to each."""
    spent = accumulate(row["energy_j"] for row in trace.rounds)
    return [
        {"round": row["round"], "t_s": row["t1_s"], "energy_j": joules,
         "accuracy": row["accuracy"]}
        for row, joules in zip(trace.rounds, spent, strict=True)
        if row["accuracy"] is not None
    ]  # fmt: skip


def _rounds_to(curve: Sequence[Mapping[str, Any]], target: float) -> int | None:
    return next((row["round"] + 1 for row in curve if row["accuracy"] >= target), None)


def _blame(trace: Trace) -> list[dict[str, Any]]:
    """Seconds of all critical paths by kind of node and kind of segment."""
    names: dict[Any, str] = {row["device"]: _kind(row) for row in trace.devices}
    seconds: dict[tuple[str, str], float] = {}
    for row in trace.critical:
        place = names[row["actor"]], row["kind"]
        seconds[place] = seconds.get(place, 0.0) + row["t1_s"] - row["t0_s"]
    total = sum(seconds.values())
    return [
        {"who": who, "kind": kind, "seconds": each, "share": each / total if total else 0.0}
        for (who, kind), each in sorted(seconds.items())
    ]


def _kind(row: Mapping[str, Any]) -> str:
    return row["profile"] if row["role"] == "device" else row["role"]


def _kinds(trace: Trace) -> list[dict[str, Any]]:
    """Who holds what, who was asked and whose updates were used, by kind of device."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in trace.devices:
        if row["role"] == "device":
            groups.setdefault(row["profile"], []).append(row)
    samples, used = (
        sum(row[column] for rows in groups.values() for row in rows) or 1
        for column in ("samples", "updates_used")
    )
    return [
        {
            "kind": kind,
            "devices": len(rows),
            "asked": sum(row["asked"] for row in rows),
            "updates_used": sum(row["updates_used"] for row in rows),
            "share_of_samples": sum(row["samples"] for row in rows) / samples,
            "share_of_updates": sum(row["updates_used"] for row in rows) / used,
            "expected_accuracy": _mean([row["expected_accuracy"] for row in rows]),
        }
        for kind, rows in groups.items()
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


# --- tables ---------------------------------------------------------------------------------------


def row(finish: Finish, target: float) -> dict[str, Any]:
    """A run in one line; columns of what it took to the target are empty if it got nowhere."""
    summary, reached = finish.whole["summary"], finish.reached
    fair, wasted = summary["fairness"], summary["wasted"]
    labels = {each["group"]: each["expected_accuracy"] for each in fair["by_labels"]}
    return {
        **finish.entry.head,
        "seed": finish.entry.seed,
        "target": target,
        **_to_target(reached["summary"] if reached else None),
        "rounds": summary["rounds"],
        "updates": summary["device_rounds"],
        "simulated_s": summary["simulated_s"],
        "accuracy": summary["accuracy"],
        "best_accuracy": summary["best_accuracy"],
        "total_j": summary["energy_j"]["total"],
        "active_j": summary["active_j"],
        "participant_j": summary["participant_j"],
        "wasted_j": wasted["energy_j"],
        **{f"dropped_{cause}": count for cause, count in summary["dropouts"].items()},
        "jain_updates": fair["jain_updates"],
        "never_used": fair["never_used"],
        "worst_tenth_accuracy": fair["worst_tenth_accuracy"],
        "rare_label_accuracy": labels.get("rare"),
        "usual_label_accuracy": labels.get("usual"),
    }


def _to_target(summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a run took to the target; work that was still going on then is told apart."""
    columns = (
        "rounds", "updates", "time_s", "total_j", "active_j", "participant_j", "spent_j",
        "wasted_j", "unfinished_j",
    )  # fmt: skip
    if summary is None:
        return {f"to_{column}": None for column in columns}
    wasted = summary["wasted"]
    unfinished = wasted["by_cause"].get("unfinished", {}).get("energy_j", 0.0)
    values = (
        summary["rounds"], summary["device_rounds"], summary["simulated_s"],
        summary["energy_j"]["total"], summary["active_j"], summary["participant_j"],
        wasted["of"]["energy_j"], wasted["energy_j"] - unfinished, unfinished,
    )  # fmt: skip
    return {f"to_{column}": value for column, value in zip(columns, values, strict=True)}


def rows_of(finishes: Sequence[Finish], part: str) -> list[dict[str, Any]]:
    """A table of one row for every item of a part of the accounts.

    `curve` and `kinds` are told to the end of the budget; `blame` and `wasted` to the target where
    it was reached, as the column `until` says.
    """
    rows: list[dict[str, Any]] = []
    for finish in finishes:
        head = {**finish.entry.head, "seed": finish.entry.seed}
        if part in ("curve", "kinds"):
            items, until = finish.whole[part], {}
        else:
            until = {"until": "target" if finish.reached else "end"}
            items = finish.told[part] if part == "blame" else _causes(finish.told["summary"])
        rows += [{**head, **until, **item} for item in items]
    return rows


def _causes(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"cause": cause, **spent} for cause, spent in summary["wasted"]["by_cause"].items()]
