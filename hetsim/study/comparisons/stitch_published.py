"""Networks stitched of published ones, for tasks that these have never seen; forward passes alone.

The zoo is ResNet-20, 32, 44 and 56 as published for CIFAR-10 (`hetsim.learn.published`); the tasks
are Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747) and spoken digits as spectrograms. A zoo
of one is a yardstick: that network's own frozen features with a classifier from the same sums.
Boards, memory and clocks are those of the other comparisons with FedStitch (`_stitch_lab`), loose
memory, Dirichlet 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.core.trace import Trace
from hetsim.study.campaign import Variant, campaign
from hetsim.study.comparisons._stitch_lab import TOPOLOGY, room

_ALL = "all"
_COHORT, _ALPHA = 10, 0.5


def stitch_published(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    targets: Sequence[str],
    zoo: Sequence[str],
    seeds: Sequence[int],
    samples: int,
    test: int,
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """All networks as the zoo, and each alone, on every task.

    Args:
        measured: folder whose `data` holds data sets and weights.
        work: folder of what is played already.
        progress: told how far it is.
        targets: data sets.
        zoo: published networks.
        seeds: of all draws of a run.
        samples: at every client.
        test: samples that a network is scored on.
        workers: processes to play in.
    """
    zoos = {**({_ALL: zoo} if len(zoo) > 1 else {}), **{name: [name] for name in zoo}}
    cases = list(product(targets, zoos, seeds))
    found = campaign(
        [
            Variant(
                topology=TOPOLOGY,
                seed=seed,
                overrides=(
                    f"task={{data: {{name: {target}, test: {test}}}, model: {zoo[0]}, partition: "
                    f"{{name: dirichlet, alpha: {_ALPHA}, minimum: {samples}}}, "
                    "source: {published: true}}",
                    *room("loose", samples),
                    f"selection={{name: random, cohort: {_COHORT}}}",
                    "governor=deadline_feedback",
                    "report={evaluate_every: 4}",
                    f"method={{name: fedstitch, zoo: [{', '.join(zoos[name])}]}}",
                ),
            )
            for target, name, seed in cases
        ],
        accuracy, work=work, data=measured / "data", workers=workers, progress=progress,
    )  # fmt: skip
    return {
        "published": [
            {"target": target, "zoo": name, "seed": seed, "accuracy": each}
            for (target, name, seed), each in zip(cases, found, strict=True)
        ]
    }


def accuracy(trace: Trace) -> float:
    """Of the whole network."""
    return trace.summary["accuracy"]
