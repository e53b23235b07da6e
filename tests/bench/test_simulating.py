"""What is simulated without being learned, and what is learned once and simulated often."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import pytest
import torch

from hetsim.core.trace import Trace
from hetsim.learn.numerics import single_thread
from hetsim.spec.schema import load_topology
from hetsim.study.simulate import Settings
from hetsim.study.simulate import run as study
from tests.bench.workloads import CNN, LR, Workload, simulate

REPEATS = 5
HARDWARE = [
    (f"network.links[0].bandwidth={bandwidth} Mbit/s", f"governor={governor}")
    for bandwidth in (50, 40, 30, 20, 15, 10, 8, 6, 4, 2)
    for governor in ("schedutil", "powersave")
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    single_thread()


# --- nothing learned ------------------------------------------------------------------------------


def test_without_learning_the_same_is_simulated(tmp_path: Path) -> None:
    """No training, and the same spans: times, joules and bytes do not depend on what is learned."""
    learned = simulate(LR.small.scenario(tmp_path), None)
    bare = simulate(LR.small.scenario(tmp_path, "cost_only=true"), None)
    assert not bare.lab.executed
    assert bare.trace.spans == learned.trace.spans
    kinds = Counter(span.kind for span in bare.trace.spans)
    trainings = LR.small.rounds * LR.small.cohort
    assert kinds["train"] == kinds["upload"] == kinds["download"] == trainings


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(600)
def test_noop(tmp_path: Path, row: Callable[..., None]) -> None:
    scenario = LR.scenario(tmp_path, "cost_only=true")
    ours = [simulate(scenario, None).watch for _ in range(REPEATS)]
    calls = [bare_calls(LR.cohort) for _ in range(REPEATS)]
    for clock in ("cpu", "wall"):
        each = [1e3 * getattr(watch, clock) / LR.cohort for watch in ours]
        row(
            "noop, ms a client-round", median(each), 0.25, spread=(min(each), max(each)),
            theirs=f"{1e3 * median(calls) / LR.cohort:.2g} ms a call", note=clock,
        )  # fmt: skip


def bare_calls(count: int) -> float:
    """Seconds of a loop that calls a function which does nothing."""

    def nothing(model: object) -> object:
        return model

    begun = process_time()
    for _ in range(1000):
        for client in range(count):
            nothing(client)
    return (process_time() - begun) / 1000


# --- learned once ---------------------------------------------------------------------------------


def sweep(work: Workload, folder: Path, points: int) -> Iterator[tuple[float, Trace, Counter[str]]]:
    """Seconds, trace and computed values of each point of one store's sweep."""
    path = work.write(folder)
    for number, overrides in enumerate(HARDWARE[:points]):
        begun = perf_counter()
        result = study(
            load_topology(path, overrides=overrides),
            out=folder / f"point{number}",
            settings=Settings(store=folder / "store", report=False),
        )
        seconds = perf_counter() - begun
        yield seconds, result.trace, Counter(result.host["refs"]["executed"])


def test_points_that_differ_in_hardware_share_every_training(tmp_path: Path) -> None:
    runs = list(sweep(replace(CNN.small, model="logistic"), tmp_path, 6))
    (_, first, computed), *others = runs
    assert computed["train"] == CNN.small.rounds * CNN.small.cohort
    assert [counts["train"] + counts["mean"] for _, _, counts in others] == [0] * 5
    assert len({trace.summary["trace_hash"] for _, trace, _ in runs}) == 6
    assert {trace.summary["model_hash"] for _, trace, _ in runs} == {first.summary["model_hash"]}


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("epochs", [1, 5])
def test_sweep(epochs: int, tmp_path: Path, row: Callable[..., None]) -> None:
    """Run folders written, page left out."""
    runs = list(sweep(replace(CNN, epochs=epochs), tmp_path, len(HARDWARE)))
    (first, _, _), *others = runs
    row(
        f"sweep of {len(runs)} hardware points / the first, cnn of {epochs} epochs",
        sum(seconds for seconds, _, _ in runs) / first, 1.3,
        ours=f"{1e3 * median(seconds for seconds, _, _ in others):.4g} ms a point",
        theirs=f"{1e3 * first:.4g} ms", note="wall",
    )  # fmt: skip
    row("sweep: trainings repeated", sum(counts["train"] for _, _, counts in others), 0)


# --- never learned --------------------------------------------------------------------------------


def test_what_misses_the_deadline_is_never_computed(
    tmp_path: Path, row: Callable[..., None]
) -> None:
    """Three tenths of the fleet are too slow; their time and joules are charged all the same."""
    work = replace(CNN.small, model="logistic", clients=20, cohort=20)
    scenario = work.scenario(tmp_path, 'fleet[4].link.rate="5 kbit/s"', 'pace.deadline="60 s"')
    ours = simulate(scenario, None)
    trainings = work.rounds * work.cohort
    assert ours.dropped == 0.3 * trainings
    assert ours.lab.executed["train"] == 0.7 * trainings
    spans = Counter((span.kind, span.outcome) for span in ours.trace.spans)
    late = spans["download", "deadline"] + spans["train", "deadline"] + spans["upload", "deadline"]
    assert late == ours.dropped
    computed = ours.lab.executed["train"] - (trainings - ours.dropped)
    row("deadline drops 30 % of a cohort: dropped trainings computed", computed, 0)


# --- memory ---------------------------------------------------------------------------------------


def alive(work: Workload, folder: Path) -> int:
    """The largest number of models in memory at the end of a round."""
    counts: list[int] = []

    def count() -> None:
        things = [thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor)]
        counts.append(sum(tuple(thing.shape) == (10, 64) for thing in things))

    simulate(work.scenario(folder), None, each=count)
    return max(counts)


def test_models_in_memory_are_those_of_the_cohort_whatever_the_fleet(tmp_path: Path) -> None:
    """Clients that are not asked hold rows of the data set, no tensor."""
    work = replace(CNN.small, model="logistic", shape=(1, 8, 8), cohort=5, rounds=8, samples=20)
    few = alive(replace(work, clients=20), tmp_path)
    many = alive(replace(work, clients=120), tmp_path)
    assert 0 < many <= few + 1
