"""One fleet with stragglers and churn, at several paces and under several selections.

Settings of the paces are fixed here, once: those of their papers where these state one, or what
the fleet suggests before anything is learned on it. The deadline is 2 s, which the slowest kind of
device misses and all others meet unless they queue; 1.3 times the cohort is asked (Bonawitz et al.,
2019); TiFL draws its five tiers with equal chances; a gateway averages twice a server step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.study.comparisons._race import COHORT, FEDBUFF, Entry, Step, race, row, rows_of, task

_GROUPS = 6
_DEVICES = 60
_STEPS = {
    "sync": Step(pace="{name: sync}"),
    "deadline": Step(pace="{name: deadline, deadline: 2 s, late: steps}"),
    "over_selection": Step(pace="{name: over_selection, factor: 1.3}"),
    "tifl": Step(pace="{name: tifl, tiers: 5, policy: uniform, profiling: 1}", first=_DEVICES),
    "hierarchical": Step(
        pace="{name: hierarchical, edge_rounds: 2}", updates=2 * COHORT, first=2 * COHORT
    ),
    "fedbuff": Step(pace=FEDBUFF, updates=5, first=5),
    "fedasync": Step(pace="{name: fedasync, alpha: 0.6, exponent: 0.5}", updates=1, first=1),
}


def stragglers(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    paces: Sequence[str],
    selections: Sequence[str],
    seeds: Sequence[int],
    target: float,
    updates: int,
    samples: int,
    test: int,
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Every pace under every selection; one row a run, and what its runs were made of.

    Args:
        measured: folder whose `data` holds the data sets.
        work: folder of what is played already.
        progress: told how far it is.
        paces: names.
        selections: names.
        seeds: of every combination.
        target: accuracy to race to.
        updates: client updates that a run may have.
        samples: pictures at every client.
        test: pictures that a model is scored on.
        workers: processes to play in.
    """
    entries = [
        Entry(
            head={"pace": pace, "selection": selection},
            overrides=(
                *task(samples=samples, test=test),
                *(f"fleet[{group}].data.samples={samples}" for group in range(_GROUPS)),
                *_STEPS[pace].rules(updates),
                f"selection={{name: {selection}, cohort: {COHORT}}}",
            ),
            seed=seed,
        )
        for pace, selection, seed in product(paces, selections, seeds)
    ]
    found = race(
        entries, target=target, workers=workers, data=measured / "data", work=work,
        progress=progress,
    )  # fmt: skip
    return {
        "stragglers": [row(each, target) for each in found],
        "curves": rows_of(found, "curve"),
        "blame": rows_of(found, "blame"),
        "wasted": rows_of(found, "wasted"),
        "kinds": rows_of(found, "kinds"),
    }
