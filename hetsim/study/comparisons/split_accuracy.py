"""What split training learns, on photographs: EcoFed, its family and its ablations.

One task for all: five classes of CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from
Tiny Images", 2009), 0 to 4. Parts are pre-trained on the other five, of which no client and no test
sees a picture; the source's own seed makes them the same parts in all runs, and no device pays for
them.

The protocol was fixed before methods were compared under it. It is that of Wu et al. (EcoFed, IEEE
TPDS 35(3), 2024, arXiv 2304.05495) where their code states one: a fifth of the clients a round, one
epoch of batches of 10, lr 0.01, momentum 0.9 that starts afresh each round, batch statistics, a cut
after two blocks, five runs of label-sorted pictures a client, all clients weighing the same. Theirs
are 100 clients of 500 pictures, 500 rounds, VGG-11, random crops and flips, and parts pre-trained
for 100 epochs on other data sets. Assumed here, so that two cores bear it: fewer and smaller
clients, fewer rounds, ResNet-12, no augmentation, a short pre-training in batches of 32. Network,
boards and laptop are those of the first author's runs on Raspberry Pi 4 (`pi_lab`).

A few clients with few labels each make a round, so that accuracy moves by several points from one
score to the next. Runs of one seed ask the same clients in the same order, and compare best seed by
seed.

DPFL computes what FedAvg computes, bit for bit, so that its runs cost no training where FedAvg's
are in the same store. Fine-tuning is FedAvg from the same pre-trained parts, a yardstick for what a
frozen front loses; no other method without EcoFed's front starts from pre-trained parts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import floor
from pathlib import Path
from typing import Any

from hetsim.core.quantities import Joules, Seconds
from hetsim.core.trace import Trace
from hetsim.study.campaign import Variant, campaign

_TOPOLOGY = "pi_lab"
_SOURCE = (5, 6, 7, 8, 9)
_SGD = "epochs: 1, batch: 10, lr: 0.01, momentum: 0.9, weighting: uniform"
_CUT = 2
_PERIOD, _BITS, _PRETRAINING = 2, 8, "device"
_SCORED = ("round", "accuracy", "t_s", "device_j", "energy_j", "bytes")
_ENDED = ("final", "best", "simulated_s", "device_j")
_GOAL = (
    "simulated_s", "device_j", "device_active_j", "device_participant_j", "energy_j", "active_j",
    "participant_j", "bytes",
)  # fmt: skip
_DEFAULT = "default"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A way to train.

    Attributes:
        method: its name.
        variant: what sets it apart from the method's defaults.
        period, bits: of EcoFed; no other method has them.
        pretraining: what starts pre-trained: nothing, the device's part, or all but the classifier.
    """

    method: str
    variant: str = _DEFAULT
    period: int | None = None
    bits: int | None = None
    pretraining: str = "none"

    @property
    def head(self) -> dict[str, Any]:
        """What it is, as columns."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def written(self) -> str:
        """As in a topology."""
        options = [f"name: {self.method}", _SGD]
        if self.method not in ("fedavg", "finetune"):
            options.append(f"cut: {_CUT}")
        if self.method == "ecofed":
            options += [f"{name}: {getattr(self, name)}" for name in ("period", "bits")]
            options.append(f"pretraining: {self.pretraining}")
        return f"{{{', '.join(options)}}}"


def _ecofed(
    variant: str = _DEFAULT,
    *,
    period: int = _PERIOD,
    bits: int = _BITS,
    pretraining: str = _PRETRAINING,
) -> Entry:
    return Entry(
        method="ecofed", variant=variant, period=period, bits=bits, pretraining=pretraining
    )


ENTRIES = (
    Entry(method="fedavg"),
    Entry(method="dpfl"),
    Entry(method="lgl"),
    Entry(method="fedgkt"),
    Entry(method="finetune", pretraining="holistic"),
    _ecofed(),
    *(_ecofed(f"period {period}", period=period) for period in (1, 4, 8)),
    _ecofed("32 bits", bits=32),
    *(_ecofed(f"pre-training {what}", pretraining=what) for what in ("none", "holistic")),
)


def split_accuracy(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    seeds: Sequence[int],
    clients: int,
    cohort: int,
    samples: int,
    rounds: int,
    every: int,
    test: int,
    source: int,
    epochs: int,
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Every method and every variant of EcoFed with every seed.

    Of the tables, `accuracy` has a row for each scored round, and in it the rounds, seconds, joules
    of the devices and of all nodes, and bytes both ways up to its end; `accuracy_end` has a row for
    each run, and `accuracy_goal` one for each run of a method without variants, up to the round in
    which it first reaches the goal: the highest whole percent that all of them reach. It is played
    once more up to there, so that all three accounts of joules are what such a run adds up to.
    Columns that are EcoFed's alone are empty for the others.

    Args:
        measured: folder whose `data` holds the data sets.
        work: folder of what is played already.
        progress: told how far it is.
        seeds: of all draws of a run; pre-training has its own.
        clients: boards.
        cohort: of them, in a round.
        samples: pictures at every client.
        rounds: of a run.
        every: rounds between two scores.
        test: pictures of all classes; a model is scored on those of the task's, about half.
        source: pictures that parts are pre-trained on, at most.
        epochs: of the pre-training.
        workers: processes to play in.
    """
    world = (
        f"fleet[0].count={clients}",
        f"fleet[0].data.samples={samples}",
        f"task={{data: {{name: cifar10, test: {test}}}, model: resnet12, "
        "partition: {name: shards, per_client: 5}, "
        f"source: {{classes: [{', '.join(map(str, _SOURCE))}], samples: {source}, "
        f"epochs: {epochs}, batch: 32, lr: 0.01, momentum: 0.9}}}}",
        f"selection={{name: random, cohort: {cohort}}}",
        f"report={{evaluate_every: {every}}}",
    )

    def told(runs: Sequence[tuple[Entry, int]], rounds: Sequence[int], what: str) -> list[Any]:
        return campaign(
            [
                Variant(
                    topology=_TOPOLOGY, seed=seed,
                    overrides=(*world, f"stop={{rounds: {count}}}", f"method={entry.written}"),
                )
                for (entry, seed), count in zip(runs, rounds, strict=True)
            ],
            account, work=work, data=measured / "data", workers=workers,
            progress=lambda text: progress(f"{what}: {text}"),
        )  # fmt: skip

    runs = _in_turn([(entry, seed) for entry in ENTRIES for seed in seeds])
    accounts = told(runs, [rounds] * len(runs), "whole")
    found = sorted(zip(runs, accounts, strict=True), key=lambda each: ENTRIES.index(each[0][0]))
    racing = [each for each in found if each[0][0].variant == _DEFAULT]
    goal = goal_of([run["scores"] for _, run in racing])
    reached = [_rounds_to(run["scores"], goal) for _, run in racing]
    cut = told([run for run, _ in racing], reached, f"to {goal:.0%}")
    return {
        "accuracy": [_row(run, score, _SCORED) for run, told in found for score in told["scores"]],
        "accuracy_end": [_row(run, told["end"], _ENDED) for run, told in found],
        "accuracy_goal": [
            {**_row(run, each["end"], _GOAL), "goal": goal, "rounds": count}
            for (run, _), each, count in zip(racing, cut, reached, strict=True)
        ],
    }


def goal_of(runs: Sequence[Sequence[Mapping[str, Any]]]) -> float:
    """The highest whole percent that every run reaches in one of its scores."""
    most = min(max(row["accuracy"] for row in scores) for scores in runs)
    return floor(100.0 * most + _ROUNDING) / 100.0


def _rounds_to(scores: Sequence[Mapping[str, Any]], goal: float) -> int:
    return next(row["round"] for row in scores if row["accuracy"] >= goal)


def _row(run: tuple[Entry, int], told: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    entry, seed = run
    return {**entry.head, "seed": seed, **{column: told[column] for column in columns}}


def _in_turn(runs: Sequence[tuple[Entry, int]]) -> list[tuple[Entry, int]]:
    """Runs in an order in which nothing that they share is computed twice.

    The first one pre-trains the parts while those that need none are played beside it; DPFL comes
    when FedAvg is done.
    """
    first = next(run for run in runs if run[0].pretraining != "none")
    return sorted(
        runs,
        key=lambda run: (run != first, run[0].method == "dpfl", run[0].pretraining != "none"),
    )


def account(trace: Trace) -> dict[str, Any]:
    """What is kept of a run: its scores, with what they took, and how it ended."""
    summary = trace.summary
    devices = [row for row in trace.devices if row["role"] == "device"]
    return {
        "scores": [row for row in _spent(trace) if row["accuracy"] is not None],
        "end": {
            "final": summary["accuracy"],
            "best": summary["best_accuracy"],
            "simulated_s": summary["simulated_s"],
            "device_j": summary["energy_by_role_j"]["device"],
            **{
                f"device_{account}": sum(row[account] for row in devices)
                for account in ("active_j", "participant_j")
            },
            "energy_j": summary["energy_j"]["total"],
            "active_j": summary["active_j"],
            "participant_j": summary["participant_j"],
            "bytes": summary["bytes_up"] + summary["bytes_down"],
        },
    }


def _spent(trace: Trace) -> Iterator[dict[str, Any]]:
    """All rounds, with what the run took up to the end of each."""
    rows = trace.rounds
    drawn = device_joules(trace, [row["t1_s"] for row in rows])
    energy = accumulate(row["energy_j"] for row in rows)
    moved = accumulate(row["bytes_up"] + row["bytes_down"] for row in rows)
    for row, device, total, size in zip(rows, drawn, energy, moved, strict=True):
        yield {
            "round": row["round"] + 1, "accuracy": row["accuracy"], "t_s": row["t1_s"],
            "device_j": device, "energy_j": total, "bytes": size,
        }  # fmt: skip


def device_joules(trace: Trace, times: Sequence[Seconds]) -> Iterator[Joules]:
    """What all devices had drawn by each of these times, which rise: the area under their power.

    What a battery loses within itself is not in it.
    """
    devices = {row["device"] for row in trace.devices if row["role"] == "device"}
    steps = deque(
        step for step in trace.counters if step.track == "power_w" and step.actor in devices
    )
    drawing = dict.fromkeys(devices, 0.0)
    joules = now = 0.0
    for time in times:
        while steps and steps[0].t < time:
            step = steps.popleft()
            joules += sum(drawing.values()) * (step.t - now)
            now, drawing[step.actor] = step.t, step.value
        joules += sum(drawing.values()) * (time - now)
        now = time
        yield joules
