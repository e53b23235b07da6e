"""What asynchrony is worth: FedBuff beside synchronous rounds, with and without slow devices.

Two fleets of 60 boards on equal links, always there. In one all are alike; in the other five kinds
are ten times apart in speed. Nothing else differs, so a gain is one over waiting for the slowest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.study.comparisons._race import COHORT, FEDBUFF, Entry, Step, race, row, task

_FLEETS = {
    "ten times apart": (
        "rock_5b", "raspberry_pi_5", "raspberry_pi_4b", "arduino_uno_q", "raspberry_pi_zero_2_w",
    ),
    "all alike": ("raspberry_pi_4b",),
}  # fmt: skip
_DEVICES = 60
_NETWORK = (
    "{nodes: {bench: {technology: ethernet, power: 5 W}, core: {technology: ethernet}}, "
    "links: [{between: [bench, core], bandwidth: 1 Gbit/s, latency: 2 ms}]}"
)
_STEPS = {
    "sync": Step(pace="{name: sync}"),
    "fedbuff": Step(pace=FEDBUFF, updates=5, first=5),
}


def spread(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    seeds: Sequence[int],
    target: float,
    updates: int,
    samples: int,
    test: int,
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Both fleets at both paces; one row a run.

    Args:
        measured: folder whose `data` holds the data sets.
        work: folder of what is played already.
        progress: told how far it is.
        seeds: of every combination.
        target: accuracy to race to.
        updates: client updates that a run may have.
        samples: pictures at every client.
        test: pictures that a model is scored on.
        workers: processes to play in.
    """
    entries = [
        Entry(
            head={"fleet": fleet, "pace": pace},
            overrides=(
                *task(samples=samples, test=test),
                f"fleet={_fleet(_FLEETS[fleet], samples)}",
                f"network={_NETWORK}",
                "gateways=[]",
                *_STEPS[pace].rules(updates),
                f"selection={{name: random, cohort: {COHORT}}}",
            ),
            seed=seed,
        )
        for fleet, pace, seed in product(_FLEETS, _STEPS, seeds)
    ]
    found = race(
        entries, target=target, workers=workers, data=measured / "data", work=work,
        progress=progress,
    )  # fmt: skip
    return {"spread": [row(each, target) for each in found]}


def _fleet(profiles: Sequence[str], samples: int) -> str:
    """Equal groups of boards, one a profile."""
    count = _DEVICES // len(profiles)
    groups = ", ".join(
        f"{{profile: {profile}, name: {profile}, count: {count}, battery: none, "
        f"link: {{to: bench, rate: 100 Mbit/s}}, data: {{samples: {samples}}}}}"
        for profile in profiles
    )
    return f"[{groups}]"
