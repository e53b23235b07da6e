"""What stitching blocks learns, draws and takes, beside training on boards with little memory.

The task is five classes of CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from Tiny
Images", 2009), 0 to 4. The zoo is pre-trained on the other five, of which no client and no test
sees a picture; the source's own seed makes it the same zoo in all runs, and no device pays for it
but for the download.

The protocol was written before the runs that are shown; a trial of one seed with a zoo that was
pre-trained too little, broken off half-way, and smaller ones on digits had been looked at.
FedStitch is that of Zhan, Wu, Tian, Zhao and Li
("Heterogeneity-Aware Coordination for Federated Learning via Stitching Pre-trained blocks", IWQoS
2024, arXiv 2409.07202) as hetsim reconstructs it: the body of the article was not available, and
task, fleet, zoo, baselines and all settings here are hetsim's. What is expected are the article's
largest figures; one that is missed is reported with its cause.

What stitching is worth beside frozen features with a ridge classifier is told by runs that take
FedStitch apart: every network of the zoo alone, whose parts follow one another as they were made;
one position, so that whole networks are voted for and nothing is stitched; scores that compare what
blocks give instead of labels; stitches that are not fitted; any block at any position.

Baselines train a network of the zoo from scratch. Of the 256 that can be stitched 251 have as many
multiply-adds within 25 %, and all between 0.79 and 1.32 times as many. Memory-blind: federated
averaging on boards whose memory were no limit. Exclusive: the same, and a board that cannot hold it
takes no part. All-small: the same slice of the network for all, small enough for the smallest
board. Best small: federated averaging of a network that is narrow enough for all. Width-scaled
(HeteroFL) and depth-scaled (DepthFL): to each board what it can hold. Fine-tuning: federated
averaging from the pre-trained network, of those that can hold it. All boards run at their highest
clocks, but for those of FedStitch, which `deadline_feedback` paces. Budgets of memory:
`_stitch_lab`.

What a run takes "to the goal" of a pair, the lower of their two best accuracies, is what a run adds
up to that ends at its first score there. FedStitch is scored after every step, the others every few
rounds. It is also told what all of FedStitch takes, up to its last block. Runs that train have a
fixed number of rounds; a few are played much longer, to see what they would still gain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.core.quantities import Bytes
from hetsim.core.trace import Trace
from hetsim.federation import price
from hetsim.study.campaign import Variant, campaign
from hetsim.study.comparisons import split_accuracy
from hetsim.study.comparisons._stitch_lab import (
    BLIND,
    CLASSES,
    POSITIONS,
    SGD,
    SHAPE,
    TOPOLOGY,
    TRAINED,
    ZOO,
    budgets,
    multiplications,
    narrow,
    networks,
    room,
)

STITCHED = "FedStitch"
DEFAULT, MAX_CLOCKS, UNIFORM, WHOLE_POOL = "default", "no DVFS", "uniform votes", "whole pool"
APART = (
    *(f"{model} alone" for model in ZOO), "one position", "scored by function", "padded",
    "free pool",
)  # fmt: skip
"""Variants that take FedStitch apart."""
LONGER = ("memory-blind", "exclusive")
"""Ways that are also played longer."""
_SOURCE = (5, 6, 7, 8, 9)
_PRETRAINED = ("fedstitch", "finetune")
_BY_MEMORY = f"{SGD}, assignment: memory"
_EVERY_STEP = 1
_SCORED = ("round", "accuracy", "t_s", "device_j", "energy_j", "bytes")
_SPENT = ("rounds", "simulated_s", "device_j", "device_active_j", "device_participant_j",
          "energy_j", "active_j", "participant_j", "bytes_up", "bytes_down")  # fmt: skip
_WINNER = re.compile(r"position \d+ of (?P<of>\d+): (?P<model>\w+)/(?P<part>\d+), of (?P<among>.+)")
"""What the server notes when it has counted votes."""
_KINDS = {
    "compute_j": ("compute_j",), "memory_j": ("memory_j",), "radio_j": ("radio_j",),
    "idle_j": ("idle_j", "radio_idle_j"), "loss_j": ("loss_j",),
}  # fmt: skip
"""Columns of the devices' table in each of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to come to a network.

    Attributes:
        method: what it is called.
        variant: what sets it apart from the default.
        name: of the method in a topology.
        options: of the method, as in a topology.
        model: what is trained, as in a topology.
        governor: of all boards.
        memories: in which it is run.
        positions: of a stitched network.
    """

    method: str
    variant: str = DEFAULT
    name: str = "fedavg"
    options: str = SGD
    model: str = TRAINED
    governor: str = "performance"
    memories: tuple[str, ...] = ("tight",)
    positions: int = POSITIONS

    @property
    def stitches(self) -> bool:
        """Whether nothing is trained."""
        return self.method == STITCHED

    @property
    def apart(self) -> bool:
        """Whether it takes FedStitch apart."""
        return self.variant in APART

    @property
    def votes(self) -> bool:
        """Whether it is one of those between which nothing differs but votes."""
        return self.stitches and self.variant in (DEFAULT, UNIFORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A run.

    Attributes:
        way: how a network comes about.
        alpha: of the Dirichlet distribution of labels.
        memory: blind, loose or tight.
        seed: of all draws of the run; pre-training has its own.
    """

    way: Way
    alpha: float
    memory: str
    seed: int

    @property
    def head(self) -> dict[str, Any]:
        """What it is, as columns."""
        return {
            "method": self.way.method, "variant": self.way.variant, "alpha": self.alpha,
            "memory": self.memory, "seed": self.seed,
        }  # fmt: skip


def _stitch(
    variant: str = DEFAULT,
    options: str = "",
    governor: str = "deadline_feedback",
    memories: tuple[str, ...] = ("tight",),
    zoo: Sequence[str] = ZOO,
    positions: int = POSITIONS,
) -> Way:
    written = f"zoo: [{', '.join(zoo)}], positions: {positions}{options and f', {options}'}"
    return Way(
        method=STITCHED, variant=variant, name="fedstitch", options=written, governor=governor,
        memories=memories, positions=positions,
    )  # fmt: skip


def ways() -> tuple[Way, ...]:
    """All of them; what is narrow enough for all follows from the boards."""
    return (
        _stitch(memories=("tight", "loose")),
        _stitch(MAX_CLOCKS, governor="performance"),
        _stitch(UNIFORM, "weights: uniform"),
        _stitch(WHOLE_POOL, "prune: false"),
        *_apart(),
        Way(method="memory-blind", memories=(BLIND,)),
        Way(method="exclusive", memories=("tight", "loose")),
        Way(method="all-small", name="heterofl", options=f"{SGD}, assignment: weakest",
            memories=("tight", "loose")),
        Way(method="best small", model=f"{{name: {TRAINED}, width: {narrow()}}}"),
        Way(method="width-scaled", name="heterofl", options=f"{_BY_MEMORY}, scaler: true"),
        Way(method="depth-scaled", name="depthfl", options=_BY_MEMORY),
        Way(method="fine-tuning", name="finetune"),
    )  # fmt: skip


def _apart() -> Iterator[Way]:
    *alone, one, function, padded, free = APART
    for variant, model in zip(alone, ZOO, strict=True):
        yield _stitch(variant, zoo=(model,))
    yield _stitch(one, positions=1)
    yield _stitch(function, "score: function")
    yield _stitch(padded, "stitch: pad")
    yield _stitch(free, "pool: free")


def stitching(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    alphas: Sequence[float],
    seeds: Sequence[int],
    voting: Mapping[str, Sequence[float]],
    apart: Mapping[str, Sequence[float]],
    longer: Mapping[str, Any],
    samples: int,
    rounds: int,
    every: int,
    cohort: int,
    test: int,
    source: int,
    epochs: int,
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Every way with every skew of labels, memory and seed.

    Of the tables, `accuracy` has a row a score, `ends` one a run, and `goals` one for each pair of
    FedStitch and a baseline in the same place, with what both took to the lower of their two best
    accuracies and what FedStitch took to its end; `longer` has a row a run that is played longer,
    beside its score when it was not; `budgets` and `networks` say who could train what.

    Args:
        measured: folder whose `data` holds the data sets.
        work: folder of what is played already.
        progress: told how far it is.
        alphas: concentrations of the Dirichlet distribution of labels over clients.
        seeds: of all draws of a run.
        voting: alphas and seeds with which votes are compared.
        apart: alphas and seeds with which FedStitch is taken apart.
        longer: alphas, seeds and `rounds` of the runs that are played longer.
        samples: pictures at every client.
        rounds: of a run that trains.
        every: rounds between two of its scores.
        cohort: clients a round.
        test: pictures of all classes; a model is scored on those of the task's, about half.
        source: pictures that the zoo is pre-trained on, at most.
        epochs: of the pre-training.
        workers: processes to play in.
    """

    def variant(entry: Entry, count: int) -> Variant:
        way = entry.way
        return Variant(
            topology=TOPOLOGY,
            seed=entry.seed,
            overrides=(
                f"task={{data: {{name: cifar10, test: {test}}}, model: {way.model}, partition: "
                f"{{name: dirichlet, alpha: {entry.alpha}, minimum: {samples}}}, source: "
                f"{{classes: [{', '.join(map(str, _SOURCE))}], samples: {source}, "
                f"epochs: {epochs}, batch: 32, lr: 0.05, momentum: 0.9}}}}",
                *room(entry.memory, samples),
                f"selection={{name: random, cohort: {cohort}}}",
                f"governor={way.governor}",
                f"report={{evaluate_every: {_EVERY_STEP if way.stitches else every}}}",
                f"stop={{rounds: {count}}}",
                f"method={{name: {way.name}, {way.options}}}",
            ),
        )

    def told(asked: Sequence[tuple[Entry, int]], what: str) -> list[Any]:
        return campaign(
            [variant(entry, count) for entry, count in asked], account, work=work,
            data=measured / "data", workers=workers,
            progress=lambda text: progress(f"{what}: {text}"),
        )  # fmt: skip

    entries = _entries(alphas, seeds, voting, apart)
    turns = _in_turn(entries)
    asked = [(each, each.way.positions if each.way.stitches else rounds) for each in turns]
    accounts = dict(zip(turns, told(asked, "whole"), strict=True))
    found = [(entry, accounts[entry]) for entry in entries]
    pairs = list(_pairs(found))
    cut = iter(told([each for pair in pairs for each in _to_goal(pair)], "to the goals"))
    patient = [
        each for each in entries
        if each.way.method in LONGER and each.memory == each.way.memories[0]
        and each.alpha in longer["alphas"] and each.seed in longer["seeds"]
    ]  # fmt: skip
    grown = told([(each, longer["rounds"]) for each in patient], "longer")
    return {
        "accuracy": [
            {**entry.head, **{name: score[name] for name in _SCORED}}
            for entry, each in found
            for score in each["scores"]
        ],
        "ends": [{**entry.head, **each["end"]} for entry, each in found],
        "goals": [
            {
                **other.head, "stitched_as": ours.way.variant, "goal": goal(pair),
                **_columns("stitched", next(cut)["end"]), **_columns("other", next(cut)["end"]),
                **_columns("whole", whole["end"]),
            }
            for pair in pairs
            for (ours, whole), (other, _) in (pair,)
        ],
        "longer": [
            {**entry.head, **_best("usual", rounds, accounts[entry]),
             **_best("longer", longer["rounds"], each)}
            for entry, each in zip(patient, grown, strict=True)
        ],
        "budgets": list(budgets()),
        "networks": list(networks()),
    }  # fmt: skip


# --- runs -----------------------------------------------------------------------------------------


def _entries(
    alphas: Sequence[float],
    seeds: Sequence[int],
    voting: Mapping[str, Sequence[float]],
    apart: Mapping[str, Sequence[float]],
) -> list[Entry]:
    """All runs, in the order of the tables."""
    found: dict[Entry, None] = {}
    both = ((way, memory) for way in ways() for memory in way.memories)
    for way, memory in both:
        places: list[tuple[float, float]] = list(
            product(apart["alphas"], apart["seeds"]) if way.apart else product(alphas, seeds)
        )
        if way.votes and memory == "tight":
            places += list(product(voting["alphas"], voting["seeds"]))
        for alpha, seed in places:
            found[Entry(way=way, alpha=alpha, memory=memory, seed=int(seed))] = None
    return list(found)


def _in_turn(entries: Sequence[Entry]) -> list[Entry]:
    """Runs in an order in which nothing that they share is computed twice.

    The first one pre-trains the zoo while those that need none of it are played beside it.
    """
    first = next(entry for entry in entries if entry.way.stitches)
    return sorted(entries, key=lambda entry: (entry != first, entry.way.name in _PRETRAINED))


# --- pairs ----------------------------------------------------------------------------------------

Told = tuple[Entry, Mapping[str, Any]]
"""A run and what `account` says of it."""


def _pairs(found: Sequence[Told]) -> Iterator[tuple[Told, Told]]:
    """FedStitch, at its own clocks and at the highest, and every baseline in the same place.

    Beside a memory-blind run stands FedStitch in the tight budgets.
    """
    for ours in found:
        if not ours[0].way.stitches or ours[0].way.variant not in (DEFAULT, MAX_CLOCKS):
            continue
        for other in found:
            if not other[0].way.stitches and _place(other[0]) == _place(ours[0]):
                yield ours, other


def _place(entry: Entry) -> tuple[float, str, int]:
    return entry.alpha, "tight" if entry.memory == BLIND else entry.memory, entry.seed


def goal(pair: tuple[Told, Told]) -> float:
    """The lower of the two best accuracies."""
    return min(max(score["accuracy"] for score in told["scores"]) for _, told in pair)


def _to_goal(pair: tuple[Told, Told]) -> Iterator[tuple[Entry, int]]:
    """Both runs, and the round at whose end each first has the accuracy of the goal."""
    wanted = goal(pair)
    for entry, told in pair:
        scores = told["scores"]
        yield entry, next(row["round"] for row in scores if row["accuracy"] >= wanted)


def _columns(who: str, end: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{who}_{name}": end[name] for name in _SPENT}


def _best(who: str, rounds: int, told: Mapping[str, Any]) -> dict[str, Any]:
    """The best score of a run of so many rounds, and the round of the first such."""
    best = max(told["scores"], key=lambda score: score["accuracy"])
    return {
        f"{who}_rounds": rounds, f"{who}_best": best["accuracy"], f"{who}_at": best["round"],
    }  # fmt: skip


# --- a run ----------------------------------------------------------------------------------------


def account(trace: Trace) -> dict[str, Any]:
    """What is kept of a run: its scores, with what they took, and how it ended."""
    told = split_accuracy.account(trace)
    summary = trace.summary
    devices = [row for row in trace.devices if row["role"] == "device"]
    return {
        "scores": told["scores"],
        "end": {
            **{name: value for name, value in told["end"].items() if name != "bytes"},
            "rounds": summary["rounds"],
            **{
                f"device_{kind}": sum(row[column] for row in devices for column in columns)
                for kind, columns in _KINDS.items()
            },
            "server_j": summary["energy_by_role_j"]["server"],
            "bytes_up": summary["bytes_up"],
            "bytes_down": summary["bytes_down"],
            "peak_memory_b": max(row["peak_memory_b"] for row in devices),
            "excluded": sum(bool(row["excluded"]) for row in devices),
            "asked": len(trace.participations),
            "in_time": sum(each.outcome == "done" for each in trace.participations),
            **_stitched(trace),
        },
    }


def _stitched(trace: Trace) -> dict[str, Any]:
    """The network that was stitched, among how many blocks in all, and the pool's bytes."""
    told = [
        found
        for note in trace.notes
        if note.cause == "stitch" and (found := _WINNER.match(note.text))
    ]
    if not told:
        return dict.fromkeys(("stitched", "stitched_macs", "relative", "scored", "pool_b"))
    blocks = [(found["model"], int(found["part"]) - 1) for found in told]
    models = len(trace.spec["method"]["zoo"])
    macs = price.stitched(blocks, SHAPE, CLASSES, positions=int(told[0]["of"])).flops / 2.0
    downloads: dict[str, list[Bytes]] = {}
    for span in trace.spans:
        if span.kind == "download":
            downloads.setdefault(span.actor, []).append(span.size)
    return {
        "stitched": ", ".join(f"{found['model']}/{found['part']}" for found in told),
        "stitched_macs": macs,
        "relative": macs / multiplications(TRAINED),
        "scored": sum(len(found["among"].split(", ")) for found in told),
        "pool_b": max(sum(sizes[:models]) for sizes in downloads.values()),
    }
