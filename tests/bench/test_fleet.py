"""A million devices in columns, beside as many bare SimPy processes.

Every device receives a model over the air of its cell, trains on its own number of samples and
sends its update; the bare process of a device is three timeouts, which share nothing and cost no
joule. It is played for a tenth of the devices, and its seconds are scaled by ten.

As a test this asserts counts. `make bench` measures both in the same process, creation included.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import fields, replace
from math import inf
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import pytest
import simpy

from hetsim.core.cost import Cost
from hetsim.sim.columns import Array, Party
from hetsim.sim.fleet import Fleet
from hetsim.sim.population import Cell, Population, Rows
from hetsim.sim.requests import Compute, Transfer
from hetsim.spec.profile import load_profile

REPEATS = 5
MILLION = 10**6
SIZE = 31_400.0
KINDS = (
    "arduino_uno_q", "esp32_s3", "framework13_amd", "gmktec_n150", "jetson_nano",
    "jetson_orin_nano_8gb", "jetson_tx2", "jetson_xavier_nx", "lattepanda_mu", "macbook_neo",
)  # fmt: skip
_PROFILES = Path(__file__).parents[2] / "device_profiles"


def crowd(count: int, cells: int = 200) -> Population:
    """`count` devices of ten kinds over cells, two in five on batteries."""
    rng = np.random.default_rng(0)
    return Population(
        profiles=[load_profile(_PROFILES / f"{name}.yaml") for name in KINDS],
        kind=rng.integers(0, len(KINDS), count),
        cells=[Cell(latency=1e-3 * (place + 1)) for place in range(cells)],
        cell=rng.integers(0, cells, count),
        up=rng.uniform(1e6, 8e6, count), down=rng.uniform(2e6, 16e6, count),
        transmit=np.full(count, 1.3), receive=np.full(count, 0.46),
        charge=np.where(rng.random(count) < 0.4, rng.uniform(1e5, 2e5, count), inf),
        efficiency=np.full(count, 0.95),
        numbers={"samples": rng.integers(10, 200, count).astype(float)},
    )  # fmt: skip


def repeated(people: Population, times: int) -> Population:
    """The same devices again and again, in the same cells."""
    columns = {
        each.name: np.tile(value, times) for each in fields(people)
        if isinstance(value := getattr(people, each.name), np.ndarray)
    }  # fmt: skip
    numbers = {name: np.tile(column, times) for name, column in people.numbers.items()}
    return replace(people, **columns, numbers=numbers)


async def fedavg(party: Party) -> None:
    """Receive, train one epoch, send."""
    samples = party["samples"]
    await Transfer(source="server", target=party.id, size=SIZE, kind="download")
    work = Cost(flops=5e4 * samples, traffic=1e4 * samples, samples=samples, steps=samples / 20)
    await Compute(node=party.id, cost=work, kind="train")
    await Transfer(source=party.id, target="server", size=SIZE, kind="upload")


def bare(lasts: list[tuple[float, float, float]]) -> float:
    """Seconds of as many SimPy processes, each of three timeouts."""

    def device(env: simpy.Environment, first: float, then: float, last: float):
        yield env.timeout(first)
        yield env.timeout(then)
        yield env.timeout(last)

    gc.collect()
    begun = process_time()
    env = simpy.Environment()
    for each in lasts:
        env.process(device(env, *each))
    env.run()
    return process_time() - begun


def a_round(people: Population, rows: Rows) -> tuple[float, Fleet, list[Array]]:
    """Seconds of a round of `rows`, the fleet's making included; lengths of its steps."""
    gc.collect()
    begun = process_time()
    fleet = Fleet(people)
    phases = fleet.play(fedavg, rows, 0.0)
    took = process_time() - begun
    return took, fleet, [phase.t1 - phase.t0 for phase in phases]


@pytest.mark.parametrize("count", [10**3, 10**4, 10**5, 10**6])
def test_cost_goes_with_events_and_not_with_devices_and_time(
    count: int, row: Callable[..., None]
) -> None:
    """A hundred are asked every ten minutes, ten times, out of a thousand or of many more."""
    few = crowd(10**3)
    fleet, rows = Fleet(repeated(few, count // len(few))), np.arange(0, 10**3, 10)
    for number in range(10):
        fleet.play(fedavg, rows, 600.0 * number)
    asked, cells = 10 * len(rows), len(set(few.cell[rows].tolist()))
    assert (fleet.flows, fleet.solves, fleet.touched) == (2 * asked, 10 * cells, asked)
    row(
        f"{count:,} devices, 100 asked ten times: flows", fleet.flows, 2 * asked,
        note=f"{fleet.solves} solves, {fleet.touched} rows touched",
    )  # fmt: skip


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(600)
def test_a_round_of_a_million(row: Callable[..., None]) -> None:
    people, rows = crowd(MILLION), np.arange(MILLION)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(REPEATS):
        took, fleet, lengths = a_round(people, rows)
        ours.append(took)
        assert fleet.flows == 2 * MILLION
        tenth = [column[: MILLION // 10].tolist() for column in lengths]
        theirs.append(bare(list(zip(*tenth, strict=True))))
    ratios = [10 * other / one for one, other in zip(ours, theirs, strict=True)]
    row(
        "a round of 10^6 in columns: times faster than bare SimPy",
        10 * median(theirs) / median(ours), 20.0, at_least=True,
        spread=(min(ratios), max(ratios)), ours=f"{median(ours):.3g} s",
        theirs=f"{median(theirs):.3g} s at 10^5, {10 * median(theirs):.3g} s scaled",
    )  # fmt: skip


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(600)
def test_a_round_of_a_million_whose_messages_meet(row: Callable[..., None]) -> None:
    """Stations get equal time, so the fast send while the slow still receive, on one channel."""
    people, rows = crowd(MILLION), np.arange(MILLION)
    cells = [replace(cell, share="airtime") for cell in people.cells]
    rates = np.linspace(1e6, 8e6, len(KINDS))[people.kind]
    for name, up in (("all rates differ", people.up), ("ten rates", rates)):
        took, fleet, lengths = a_round(replace(people, cells=cells, up=up, down=2.0 * up), rows)
        assert fleet.flows == 2 * MILLION
        other = bare(list(zip(*(column[: MILLION // 10].tolist() for column in lengths),
                              strict=True)))  # fmt: skip
        row(
            f"the same where messages meet, {name}", 10 * other / took, ours=f"{took:.3g} s",
            theirs=f"{10 * other:.3g} s scaled",
        )  # fmt: skip
