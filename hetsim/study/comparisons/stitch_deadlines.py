"""Joules by deadline and governor, and what feedback is for; nothing is learned.

In FedStitch the server gives those whom it asks some multiple of what the slowest of them is
expected to take at its highest clocks. Zoo, boards and tight memory are those of `_stitch_lab`; the
blocks of one network win, all candidates are scored, and cohorts are the same under every governor.

A governor cannot make the run end before the slowest client of each visit is done, and clocks that
are just fast enough make every visit last; so beside joules above base power (active) and joules of
whoever is asked while he is (participant) stands all that all boards draw to the end (total), in
which a longer run costs what boards draw idle.

A simulated board keeps the speed that its profile says, and feedback has little to correct. So jobs
whose speed is disturbed by up to 20 % are done on measured sweeps too (`hetsim.study.pacing`): by
`deadline_feedback`, at the highest clocks, and as planned once, at the beginning, from the same
belief. Deadlines count that are kept at the highest clocks under the same disturbance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from hetsim.core.quantities import Joules, Seconds
from hetsim.core.trace import Trace
from hetsim.sim.governors._mix import front, mix
from hetsim.sim.governors._pacing import Settings, Stretch
from hetsim.study.campaign import Variant, campaign
from hetsim.study.comparisons._stitch_lab import (
    CLASSES,
    TOPOLOGY,
    TRAINED,
    ZOO,
    boards,
    fixed_outcome,
    made_up,
    room,
)
from hetsim.study.comparisons.calibration import sweep_files
from hetsim.study.pacing import ITEMS, JOBS, Bench, Disturbance, Job, pace, play, read_bench
from hetsim.study.pacing import factors as factors_of

FEEDBACK, PLANNED = "deadline_feedback", "planned once"
_SAMPLES, _COHORT = 250, 10
_DISTURBANCES: tuple[Disturbance, ...] = ("job", "item")


def stitch_deadlines(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    governors: Sequence[str],
    factors: Sequence[float],
    seeds: Sequence[int],
    sweeps: Sequence[str],
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """A row for each governor, deadline and seed; and for each way to pace a disturbed job.

    Args:
        measured: folder whose `measured/traces/bofl` holds sweeps.
        work: folder of what is played already.
        progress: told how far it is.
        governors: of all boards.
        factors: deadlines as multiples of the slowest client's time at the highest clocks.
        seeds: of who is asked, and of disturbances.
        sweeps: names of those to use; none for all.
        workers: processes to play in.
    """
    cases = list(product(governors, factors, seeds))
    samples = _SAMPLES * sum(board.count for board in boards())
    found = campaign(
        [
            Variant(
                topology=TOPOLOGY,
                seed=seed,
                overrides=(
                    made_up(TRAINED, CLASSES, samples),
                    *room("tight", _SAMPLES),
                    f"selection={{name: random, cohort: {_COHORT}}}",
                    f"governor={governor}",
                    "method="
                    + fixed_outcome(
                        ZOO, TRAINED, f"deadline_factor: {factor}, deadline_share: 1.0"
                    ),
                    "cost_only=true",
                ),
            )
            for governor, factor, seed in cases
        ],
        drawn, work=work, workers=workers,
        progress=lambda text: progress(f"deadlines: {text}"),
    )  # fmt: skip
    return {
        "deadlines": [
            {"governor": governor, "factor": factor, "seed": seed, **each}
            for (governor, factor, seed), each in zip(cases, found, strict=True)
        ],
        "disturbed": [
            row
            for path in sweep_files(measured, sweeps)
            for seed in seeds
            for row in _disturbed(read_bench(path, seed=seed), factors, seed)
        ],
    }


def drawn(trace: Trace) -> dict[str, Any]:
    """Joules of all devices, seconds, and how many deadlines were kept."""
    devices = [row for row in trace.devices if row["role"] == "device"]
    return {
        "device_j": sum(row["energy_j"] for row in devices),
        "device_active_j": sum(row["active_j"] for row in devices),
        "device_participant_j": sum(row["participant_j"] for row in devices),
        "simulated_s": trace.summary["simulated_s"],
        "asked": len(trace.participations),
        "in_time": sum(each.outcome == "done" for each in trace.participations),
    }


# --- disturbed speed ------------------------------------------------------------------------------


def _disturbed(bench: Bench, factors: Sequence[float], seed: int) -> Iterator[dict[str, Any]]:
    """A row for each deadline, disturbance and way to pace: deadlines kept, and joules."""
    for factor, kind in product(factors, _DISTURBANCES):
        fast = play("performance", bench, factor, disturbance=kind, seed=seed)
        ways = {
            FEEDBACK: play(FEEDBACK, bench, factor, disturbance=kind, seed=seed),
            PLANNED: _as_planned(bench, factor, kind, seed),
        }
        for name, jobs in ways.items():
            yield {
                "pacer": name, "sweep": bench.name, "factor": factor, "kind": kind, "seed": seed,
                "met": sum(job.met for job, other in zip(jobs, fast, strict=True) if other.met),
                "of": sum(job.met for job in fast),
                "joules": fmean(job.energy for job in jobs),
                "highest_joules": fmean(job.energy for job in fast),
            }  # fmt: skip


def _as_planned(bench: Bench, factor: float, kind: Disturbance, seed: int) -> list[Job]:
    """Jobs, each by the best mix for the belief, whatever comes."""
    deadline, truth = factor * ITEMS * bench.fastest, bench.truth()
    return [
        pace(
            Planned(bench.belief()), truth, ITEMS, deadline,
            factors_of(kind, bench.name, job, ITEMS, seed),
        )
        for job in range(JOBS)
    ]  # fmt: skip


class Planned:
    """Plans a job when it begins and keeps to it.

    Args:
        belief: what an item is believed to take.
    """

    def __init__(self, belief: Settings) -> None:
        self._belief = belief
        self._plan: list[Stretch] = []

    def begin(self, items: float, seconds: Seconds) -> None:
        """The mix of fewest joules in time; faster settings first."""
        times, energies = self._belief.times, self._belief.energies
        best = front(times, energies)
        counts = mix([times[i] for i in best], [energies[i] for i in best], int(items), seconds)
        self._plan = [Stretch(best[place], count) for place, count in sorted(counts.items())]

    def next(self, items: float, seconds: Seconds) -> Stretch:
        """What comes next in the plan."""
        return self._plan.pop(0)

    def told(self, stretch: Stretch, seconds: Seconds, energy: Joules) -> None:
        """Nothing depends on it."""
