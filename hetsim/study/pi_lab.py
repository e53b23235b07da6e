"""Two Raspberry Pi 4 on the hotspot of a laptop: what they took, and a round as a closed form.

The runs are published with their logs by the first author of EcoFed,
github.com/wonderDiWu/EDPFL_IEEE_Seasonal_School_2026: federated averaging (FL), split learning
(DPFL) and EcoFed (EDPFL) after the first layer, one epoch a round in batches of 20. The code says
what a round is. Its clock runs from sending the models out to having the mean; the server's test is
not in it. In DPFL a device waits for the gradients of each batch. In EDPFL it waits for nothing: it
sends one batch after the other, and the server trains behind it. There the devices also probe their
own speed before each round, and the last 0.3 to 0.8 s of that are in it; and in a replay round they
read their samples all the same. Neither is part of EcoFed, and neither is in the forms below.

With n batches, b bytes of one device, R the rate of the channel and l the latency of a message, d
what work takes a device (flops / F + traffic / B + operators c + samples p), and s what it takes
the laptop, v times the seconds of profile `framework13_amd`, a round takes

    FL            d(training) + 4 b_model / R + 2 l + s(mean)
    DPFL          4 b_front / R + 2 l + s(mean)
                  + max(d(front) + b / R + s(back) + 2 n l,  2 b / R,  2 s(back))
    EDPFL update  l + s(mean) + the largest of d(front), 2 b / R and 2 s(back)
                  + an n-th of what one device takes for the other two
    without overlap  s(mean) + max(d(front) + b / R + s(back) + n l,  2 b / R,  2 s(back))
    EDPFL replay  s(mean) + 2 s(back)

where the two devices take turns at the channel and at the laptop. That is linear in 1 / F, 1 / B,
c, p, 1 / R, l and v. What is expected of them is what hetsim would take without these runs: a
profile of such a board and one of a laptop, which were fitted on jobs of other laboratories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from math import log, sqrt
from typing import Literal, NamedTuple

import numpy as np

from hetsim.core.cost import Cost
from hetsim.core.quantities import Bytes, Seconds
from hetsim.federation.price import Offloaded, offloaded
from hetsim.spec.profile import find_profile, load_profile
from hetsim.spec.units import parse
from hetsim.study.feasible import Feasible, Floats, Observed, Terms, Unknown

SHAPE, CLASSES = (3, 32, 32), 10
DEVICES, CUT, BATCH, PERIOD = 2, 1, 20, 2
MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4
"""Of FL and DPFL; EDPFL has the same momentum and no decay."""
BOARD, SERVER = "raspberry_pi_4b", "framework13_amd"
TOLERANCE = 0.05
"""Within which a measurement is to be reproduced: equal runs differ by 1.8 and by 5.3 %."""
UPDATE_ROUNDS: tuple[Seconds, ...] = (7.9, 7.4, 6.2, 6.1, 5.0)
REPLAY_ROUNDS: tuple[Seconds, ...] = (1.30, 1.29, 1.19, 1.08, 1.09)
"""Of the EDPFL run of ten rounds, which begins with an update and then alternates."""

How = Literal["FL", "DPFL", "EDPFL", "EDPFL, no overlap"]


class Run(NamedTuple):
    """A published run.

    Attributes:
        model: name of a registered model.
        method: how it was trained.
        samples: of each device.
        rounds: how many.
        seconds: of a round, mean; None for what nobody has measured.
        mib: MiB of a round, mean, in both directions of both devices.
        fitted: whether it is fitted; otherwise it is foretold.
    """

    model: str
    method: How
    samples: int
    rounds: int
    seconds: Seconds | None
    mib: float | None
    fitted: bool = False


RUNS = (
    Run("resnet12", "FL", 500, 5, 57.09, 19.41, fitted=True),
    Run("resnet12", "FL", 500, 10, 58.12, 19.41, fitted=True),
    Run("resnet12", "DPFL", 500, 5, 30.66, 125.10, fitted=True),
    Run("resnet12", "DPFL", 500, 10, 32.33, 125.10, fitted=True),
    Run("lenet_pi", "FL", 2500, 10, 26.22, 0.951, fitted=True),
    Run("lenet_pi", "DPFL", 2500, 3, 30.74, 45.20, fitted=True),
    Run("resnet12", "EDPFL", 500, 5, 3.95, 9.41),
    Run("resnet12", "EDPFL", 500, 10, 3.85, 7.84),
    Run("resnet12", "EDPFL, no overlap", 500, 10, None, None),
    Run("vgg11_small", "FL", 500, 2, 204.90, 148.85),
)

_OTHER, _OF_BOARD = 8.0, 3
"""By which factor other software may be slower or faster; the first so many unknowns are its."""
_HPL, _MEMCPY = 11.774e9, 2.7375e9
"""Flop/s in fp64 on all cores, and bytes/s, of a Pi 4 (github:geerlingguy/sbc-reviews@968b675)."""


def unknowns() -> tuple[Unknown, ...]:
    """What is to be found, in the order of the terms: seconds a unit of work."""
    [cpu] = load_profile(find_profile(BOARD, None)).domains
    clock = cpu.points[-1].frequency
    return (
        _software(
            "arithmetic of a Pi", "s/flop", 1.0 / (cpu.flops_per_cycle * clock), 0.5 / _HPL,
            "at most twice its HPL in fp64",
        ),
        _software(
            "memory of a Pi", "s/B", 1.0 / (cpu.bytes_per_cycle * clock), 0.5 / _MEMCPY,
            "at most twice its memcpy",
        ),
        _software("operator on a Pi", "s", cpu.cycles_per_operator / clock),
        _between(
            "sample on a Pi", "s", 0.2e-3, 10.5e-3,
            "reading and augmenting: from a server's 0.2 ms (assumed) to all that LeNet takes, "
            "26.22 s / 2,500",
        ),
        _between(
            "channel", "s/B", 1.0 / parse("108 Mbit/s", "rate"), 1.0 / parse("10 Mbit/s", "rate"),
            "from a tenth (assumed) of what a Pi 4 reaches on Wi-Fi, alone in the room "
            "(github:geerlingguy/sbc-reviews@968b675), to that",
        ),
        _between(
            "latency of a message", "s", 2e-3, 50e-3,
            "from an idle channel (hetsim's default) to a delayed acknowledgement of 40 ms, for a "
            "message is written in two pieces, and some milliseconds to wrap it (assumed)",
        ),
        _between(
            "work of the laptop", "1", 0.25, 4.0,
            f"times that of profile {SERVER} (assumed); it has 8 logical processors and no name",
        ),
    )  # fmt: skip


def _software(
    name: str, unit: str, expected: float, least: float = 0.0, limit: str = ""
) -> Unknown:
    """What is expected of the board, up to eight times slower or faster."""
    words = f"profile {BOARD}, up to eight times slower or faster with other software (assumed)"
    return Unknown(
        name=name, unit=unit, expected=expected, low=max(expected / _OTHER, least),
        high=expected * _OTHER, spread=log(_OTHER), why=f"{words}; {limit}" if limit else words,
    )  # fmt: skip


def _between(name: str, unit: str, low: float, high: float, why: str) -> Unknown:
    """Anything from low to high, expected half-way by ratio."""
    return Unknown(
        name=name, unit=unit, expected=sqrt(low * high), low=low, high=high,
        spread=log(high / low) / 2.0, why=why,
    )  # fmt: skip


@lru_cache(maxsize=1)
def lab() -> Feasible:
    """What the fitted runs leave possible."""
    runs = [run for run in RUNS if run.fitted]
    return Feasible(unknowns=unknowns(), measured=_observed(runs), tolerance=TOLERANCE)


def alternatives() -> Mapping[str, Feasible]:
    """The same under other assumptions, by what is different."""
    found = lab()
    known = found.unknowns

    def board(expected: float, other: float) -> Feasible:
        """What its profile says, taken to be so many times slower, and off by another factor."""
        changed = [
            replace(
                each, expected=expected * each.expected, low=max(each.low, each.expected / other),
                high=min(each.high, each.expected * expected * other), spread=log(other),
            )
            for each in known[:_OF_BOARD]
        ]  # fmt: skip
        return replace(found, unknowns=[*changed, *known[_OF_BOARD:]])

    half = replace(known[0], high=2.0 * known[0].expected)
    return {
        "as told": found,
        "the profile of the board is at most six times off": board(1.0, 6.0),
        "the board is expected to be twice as slow": board(2.0, _OTHER),
        "arithmetic has at least half the rate of the profile": replace(
            found, unknowns=[half, *known[1:]]
        ),
        "VGG-11 is fitted too": replace(found, measured=[*found.measured, *_observed([RUNS[-1]])]),
    }


def _observed(runs: Sequence[Run]) -> list[Observed]:
    """What was measured of each kind of run."""
    kinds: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        kinds.setdefault((run.model, run.method), []).append(run)
    return [
        Observed(terms=round_of(same[0]), values=[run.seconds for run in same if run.seconds])
        for same in kinds.values()
    ]


# --- seconds of a round ---------------------------------------------------------------------------


def round_of(run: Run) -> Terms:
    """Seconds of a run's mean round."""
    work = priced(run.model, run.samples)
    match run.method:
        case "FL":
            return _whole(work)
        case "DPFL":
            return _exchanged(work)
        case _:
            updates = -(-run.rounds // PERIOD) / run.rounds
            return [
                updates * one + (1.0 - updates) * other
                for one, other in product(update(run), replay(run))
            ]


def update(run: Run) -> Terms:
    """Seconds of a round of EDPFL in which devices send."""
    work = priced(run.model, run.samples)
    device, air = _device(work.forward), _air(work.quantised)
    server, mean = _server(work.fitted), _server(work.merging[1])
    shared = DEVICES * air, DEVICES * server
    if run.method == "EDPFL":
        item = 1.0 / work.steps
        ends = mean + _latency(1)
        return [
            ends + device + item * (air + server),
            ends + shared[0] + item * (device + server),
            ends + shared[1] + item * (device + air),
        ]
    alone = device + air + server + _latency(work.steps)
    return [mean + longest for longest in (alone, *shared)]


def replay(run: Run) -> Terms:
    """Seconds of a round of EDPFL in which devices rest."""
    work = priced(run.model, run.samples)
    return [_server(work.merging[1]) + DEVICES * _server(work.fitted)]


def _whole(work: Offloaded) -> Terms:
    moved = DEVICES * _air(2 * work.model) + _latency(2)
    return [_device(work.whole) + moved + _server(work.merging[0])]


def _exchanged(work: Offloaded) -> Terms:
    ends = DEVICES * _air(2 * work.front) + _latency(2) + _server(work.merging[0])
    air, server = _air(work.sent + work.returned), _server(work.server)
    alone = _device(work.ahead + work.behind) + air + server + _latency(2 * work.steps)
    return [ends + longest for longest in (alone, DEVICES * air, DEVICES * server)]


@lru_cache(maxsize=16)
def priced(model: str, samples: int) -> Offloaded:
    """What a round of a model takes."""
    return offloaded(
        model, SHAPE, CLASSES, cut=CUT, samples=samples, batch=BATCH, momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY, clients=DEVICES,
    )  # fmt: skip


def _device(cost: Cost) -> Floats:
    return _term(cost.flops, cost.traffic, cost.operators, cost.samples)


def _air(size: Bytes) -> Floats:
    return _term(channel=size)


def _latency(messages: int) -> Floats:
    return _term(messages=messages)


def _server(cost: Cost) -> Floats:
    profile = load_profile(find_profile(SERVER, None))
    return _term(server=profile.effort(cost, profile.highest).duration)


def _term(
    flops: float = 0.0, traffic: float = 0.0, operators: float = 0.0, samples: float = 0.0,
    channel: float = 0.0, messages: float = 0.0, server: float = 0.0,
) -> Floats:  # fmt: skip
    return np.array([flops, traffic, operators, samples, channel, messages, server, 0.0])
