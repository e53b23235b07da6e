"""Peak memory of clients by method, and what stitching large networks takes: nothing is learned.

Peaks are those that a simulated board meets while it does a client's work, on one with more memory
than anything needs. The way with the most to hold is training the whole network by SGD with
momentum; HeteroFL's and DepthFL's levels and FedStitch's forward passes stand beside it. FedStitch
scores all of its pool at every position, and the network's own blocks win, so that the stitched
network is the trained one with a stitch before each part. Large networks are ResNet-18 and VGG-11,
small ones those of `_stitch_lab`.

Totals are of FedStitch's four rounds and of 100 rounds of FedAvg on the boards of the lab as if
memory were no limit, all at their highest clocks; also of FedStitch whose clients keep nothing from
one position to the next. Operations follow from the seconds that the same
runs take on boards that compute at one rate and do nothing else (`_split.steady_board`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetsim.core.quantities import Bytes, Flops
from hetsim.core.trace import Trace
from hetsim.study.campaign import Variant, campaign
from hetsim.study.comparisons._split import steady_board
from hetsim.study.comparisons._stitch_lab import (
    BATCH,
    BLIND,
    CLASSES,
    POSITIONS,
    REFERENCE,
    REFERENCE_BATCH,
    REFERENCE_CLASSES,
    TOPOLOGY,
    TRAINED,
    ZOO,
    boards,
    fixed_outcome,
    made_up,
    room,
)

STITCHED = "FedStitch"
_WHOLE = "FedStitch, a whole batch forward at once"
_ANEW = "FedStitch, pool sent anew"
LARGE = (REFERENCE, "vgg11")
_DEPTHS = (4, 3, 2, 1)
"""Exits of DepthFL's models, the deepest first."""
_RATES = {"1/2": 1, "1/4": 2, "1/8": 3}
"""HeteroFL's widths below the whole one, and their place among its five."""
_TOTALS = {"small": (TRAINED, BATCH), "large": (REFERENCE, REFERENCE_BATCH)}
"""What FedAvg trains, and the size of its batches."""
_SAMPLES, _COHORT = 250, 10
_STEADY: Flops = 2 * 1.35e9
"""Operations a second of a steady board."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to a network.

    Attributes:
        name: what it is called.
        method: as in a topology.
    """

    name: str
    method: str


def stitch_memory(
    measured: Path,
    *,
    work: Path,
    progress: Callable[[str], None],
    models: Sequence[str],
    batches: Sequence[int],
    networks: Sequence[str],
    rounds: int,
    workers: int,
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Peaks, what boards have, and totals of runs.

    Args:
        measured: not needed.
        work: folder of what is played already.
        progress: told how far it is.
        models: whose peaks are told, of plain_cnn, resnet18, vgg11.
        batches: samples at a time.
        networks: whose totals are told: small, large.
        rounds: of FedAvg.
        workers: processes to play in.
    """
    cases = [
        (model, batch, way) for model in models for batch in batches for way in _ways(model, batch)
    ]
    found = campaign(
        [_alone(model, batch, way) for model, batch, way in cases],
        peak, work=work, workers=workers, progress=lambda text: progress(f"memory: {text}"),
    )  # fmt: skip
    return {
        "memory": [
            {"model": model, "batch": batch, "way": way.name, "peak_b": each}
            for (model, batch, way), each in zip(cases, found, strict=True)
        ],
        "limits": [{"profile": board.profile, "free_b": board.free} for board in boards()],
        "totals": _totals(networks, rounds, work, workers, progress),
    }


def _ways(model: str, batch: int) -> Iterator[Way]:
    sgd = _sgd(batch)
    yield Way(name="full training", method=f"{{name: fedavg, {sgd}}}")
    for rate, place in _RATES.items() if model == TRAINED else ():
        method = _level("heterofl", f"{sgd}, scaler: true", place, 5)
        yield Way(name=f"HeteroFL, {rate} wide", method=method)
    for place, exits in enumerate(_DEPTHS):
        name = f"DepthFL, {exits} exit{'s' * (exits > 1)}"
        yield Way(name=name, method=_level("depthfl", sgd, place, len(_DEPTHS)))
    for name, portion in ((STITCHED, ""), (_WHOLE, f"at_once: {batch}")):
        method = fixed_outcome(_zoo(model), model, f"batch: {batch}{portion and f', {portion}'}")
        yield Way(name=name, method=method)


def _sgd(batch: int) -> str:
    return f"epochs: 1, batch: {batch}, lr: 0.05, momentum: 0.9"


def _zoo(model: str) -> Sequence[str]:
    """The networks that one is stitched beside."""
    return LARGE if model in LARGE else ZOO


def _classes(model: str) -> int:
    return REFERENCE_CLASSES if model in LARGE else CLASSES


def _level(method: str, sgd: str, place: int, levels: int) -> str:
    """All clients at one level."""
    shares = ", ".join(str(float(each == place)) for each in range(levels))
    return f"{{name: {method}, {sgd}, assignment: fixed, proportions: [{shares}]}}"


# --- peaks ----------------------------------------------------------------------------------------


def _alone(model: str, batch: int, way: Way) -> Variant:
    """One board with room for anything."""
    return Variant(
        topology="pi_lab",
        seed=0,
        overrides=(
            "fleet=[{profile: raspberry_pi_4b, name: board, count: 1, memory: 1 TiB, "
            "link: {rate: 50 Mbit/s}}]",
            "network=ethernet",
            "server={profile: spec_server_6}",
            made_up(model, _classes(model), 4 * batch),
            "selection={name: random, cohort: 1}",
            f"method={way.method}",
            f"stop={{rounds: {POSITIONS}}}",
            "cost_only=true",
        ),
    )


def peak(trace: Trace) -> Bytes:
    """The most memory that a device took."""
    return max(row["peak_memory_b"] for row in trace.devices if row["role"] == "device")


# --- totals ---------------------------------------------------------------------------------------


def _totals(
    networks: Sequence[str],
    rounds: int,
    work: Path,
    workers: int,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """FedStitch and FedAvg of small and of large networks."""
    cases = [
        (size, name, _lab(model, method, count))
        for size in networks
        for model, batch in (_TOTALS[size],)
        for name, method, count in (
            (STITCHED, fixed_outcome(_zoo(model), model), POSITIONS),
            (_ANEW, fixed_outcome(_zoo(model), model, "resend_pool: true"), POSITIONS),
            ("FedAvg", f"{{name: fedavg, {_sgd(batch)}}}", rounds),
        )
    ]

    def told(question: Callable[[Trace], Any], *changes: str) -> list[Any]:
        return campaign(
            [
                Variant(topology=TOPOLOGY, seed=0, overrides=(*overrides, *changes))
                for _, _, overrides in cases
            ],
            question, work=work, workers=workers,
            progress=lambda text: progress(f"totals: {text}"),
        )  # fmt: skip

    steady = steady_board(work / "profiles")
    profiles = [f'fleet[{board.place}].profile="{steady}"' for board in boards()]
    operations = told(operated, *profiles)
    return [
        {"network": f"{size} networks", "method": name, **each, "flops": flops}
        for (size, name, _), each, flops in zip(cases, told(spent), operations, strict=True)
    ]


def _lab(model: str, method: str, rounds: int) -> tuple[str, ...]:
    count = sum(board.count for board in boards())
    return (
        made_up(model, _classes(model), count * _SAMPLES),
        *room(BLIND, _SAMPLES),
        f"selection={{name: random, cohort: {_COHORT}}}",
        f"method={method}",
        f"stop={{rounds: {rounds}}}",
        "governor=performance",
        "cost_only=true",
    )


def spent(trace: Trace) -> dict[str, Any]:
    """Bytes, seconds and joules of a run."""
    summary = trace.summary
    devices = [row for row in trace.devices if row["role"] == "device"]
    return {
        "rounds": summary["rounds"], "bytes_up": summary["bytes_up"],
        "bytes_down": summary["bytes_down"], "simulated_s": summary["simulated_s"],
        "device_j": summary["energy_by_role_j"]["device"],
        **{
            f"device_{account}": sum(row[account] for row in devices)
            for account in ("active_j", "participant_j")
        },
    }  # fmt: skip


def operated(trace: Trace) -> Flops:
    """Operations of all devices, from the seconds that they took on steady boards."""
    devices = {row["device"] for row in trace.devices if row["role"] == "device"}
    moving = ("upload", "download")
    seconds = sum(
        each.t1 - each.t0
        for each in trace.spans
        if each.actor in devices and each.kind not in moving
    )
    return _STEADY * seconds
