"""Pacing policies on measured sweeps: joules, deadlines met, disturbed speed, resting power.

`measured/traces/bofl`. Beliefs are calibrated on a random part of each sweep; `best_single` and
`deadline_oracle` are told the truth, but of no disturbance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from hetsim.core.quantities import Watts
from hetsim.study.comparisons.calibration import sweep_files
from hetsim.study.pacing import (
    ITEMS,
    JOBS,
    RATIOS,
    RESTING,
    Bench,
    Disturbance,
    choice,
    compare,
    lowest_power,
    pace,
    pacer,
    play,
    read_bench,
)

POLICIES = (*RESTING, "race_to_idle", "best_single", "deadline_feedback", "deadline_oracle")
_DISTURBANCES: tuple[Disturbance, ...] = ("job", "item")
_SHARES = (0.0, 0.5, 1.0)
_HALVINGS = 40

Row = Mapping[str, Any]


def pacing(
    measured: Path,
    *,
    seeds: Sequence[int],
    fraction: float = 0.1,
    jobs: int = JOBS,
    items: int = ITEMS,
    ratios: Sequence[float] = RATIOS,
    policies: Sequence[str] = POLICIES,
    sweeps: Sequence[str] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, list[Row]]:
    """Tables `pacing`, `disturbed` and `idle`.

    Args:
        measured: folder of measured data.
        seeds: of the calibration and of the disturbance.
        fraction: share of a sweep that is measured beforehand.
        jobs: one after the other, per deadline.
        items: minibatches of each.
        ratios: deadlines, as multiples of the time at the fastest setting.
        policies: to compare.
        sweeps: names of those to use; none for all.
        progress: told how far it is.
    """
    tables: dict[str, list[Row]] = {"pacing": [], "disturbed": [], "idle": []}
    for path in sweep_files(measured, sweeps):
        for seed in seeds:
            progress(f"{path.stem}, calibration {seed}")
            bench = read_bench(path, fraction=fraction, seed=seed)
            for ratio in ratios:
                found = compare(bench, ratio, policies, jobs=jobs, items=items)
                tables["pacing"] += [{"seed": seed} | row for row in found]
                tables["disturbed"] += _disturbed(bench, ratio, policies, seed, jobs, items)
            if seed == seeds[0]:
                tables["idle"] += [
                    row for ratio in ratios for row in _idle(bench, ratio, jobs, items)
                ]
    return tables


def _disturbed(
    bench: Bench, ratio: float, policies: Sequence[str], seed: int, jobs: int, items: int
) -> Iterator[Row]:
    """A row a policy and a disturbance: those met that `performance` meets."""
    for kind in _DISTURBANCES:
        played = {
            policy: play(policy, bench, ratio, jobs=jobs, items=items, disturbance=kind, seed=seed)
            for policy in dict.fromkeys(["performance", *policies])
        }
        could = [job.met for job in played["performance"]]
        for policy, found in played.items():
            yield {
                "sweep": bench.name, "ratio": ratio, "kind": kind, "policy": policy, "seed": seed,
                "met": sum(job.met for job, can in zip(found, could, strict=True) if can),
                "of": sum(could), "all_met": sum(job.met for job in found), "jobs": jobs,
                "joules": fmean(job.energy for job in found),
            }  # fmt: skip


def _idle(bench: Bench, ratio: float, jobs: int, items: int) -> Iterator[Row]:
    """A row a resting power: ways to do a job by the deadline, and where the best one changes."""
    lowest, deadline = lowest_power(bench.sweep), ratio * items * bench.fastest
    seen, truth = _turn(bench, ratio, items), bench.truth()
    fastest = min(range(len(truth)), key=lambda i: (truth.times[i], truth.energies[i]))
    for share in _SHARES:
        found = choice(bench, ratio, share * lowest, items)
        joules = found.joules
        paced = play("deadline_feedback", bench, ratio, jobs=jobs, items=items, rest=found.rest)
        yield {
            "sweep": bench.name, "ratio": ratio, "idle_share": share, "watts": found.rest,
            "pacing_j": joules["best"], "racing_j": joules["racing"],
            "early_j": joules["early"], "late_j": joules["late"],
            "feedback_j": fmean(job.until(deadline, found.rest) for job in paced),
            "choice": found.cheapest, "flip_w": _finite(found.early.flip(found.late)),
            "flip_seen_w": seen, "racing_flip_w": _finite(found.racing.flip(found.early)),
            "racing_s": found.racing.seconds, "fastest_s": items * truth.times[fastest],
            "fastest_j": items * truth.energies[fastest],
        }  # fmt: skip


def _turn(bench: Bench, ratio: float, items: int) -> Watts | None:
    """Watts at rest from which stretching a job takes fewer joules than stopping early, as played.

    Halving from 0 to the lowest power; None if that makes no difference.
    """
    deadline, low, high = ratio * items * bench.fastest, 0.0, lowest_power(bench.sweep)
    early, late = (pacer("deadline_oracle", bench, rest) for rest in (low, high))

    def stops(rest: Watts) -> bool:
        truth = bench.truth(rest)
        joules = [
            pace(each, truth, items, deadline).until(deadline, rest) for each in (early, late)
        ]
        return joules[0] < joules[1]

    if not stops(low) or stops(high):
        return None
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if stops(middle) else (low, middle)
    return high


def _finite(watts: Watts) -> Watts | None:
    return watts if isfinite(watts) else None
