"""A round of federated training: hetsim with its whole physics, beside a bare loop.

The final weights of the two sides are compared at small counts; `make bench` measures the rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hetsim.learn.numerics import single_thread
from hetsim.spec.world import Scenario
from tests.bench import loops
from tests.bench.loops import Task
from tests.bench.workloads import CNN, LR, Outcome, Workload, simulate

REPEATS = 5
CLOSE = 2e-5
"""Of weights, absolute: the sides add the same numbers in another order, through three rounds."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    single_thread()


def both(work: Workload, folder: Path) -> tuple[Scenario, Task]:
    scenario = work.scenario(folder)
    return scenario, Task.of(work, scenario)


def apart(one: Outcome, other: Outcome) -> float:
    """The largest difference of two models' weights."""
    assert one.state.keys() == other.state.keys()
    return max(float((one.state[name] - other.state[name]).abs().max()) for name in one.state)


@pytest.mark.parametrize("work", [CNN.small, LR.small], ids=lambda work: work.name)
def test_the_loops_train_what_hetsim_trains(work: Workload, tmp_path: Path) -> None:
    scenario, task = both(work, tmp_path)
    ours = simulate(scenario, tmp_path / "store")
    assert ours.lab.executed["train"] == work.rounds * work.cohort
    assert ours.dropped == 0
    assert apart(ours, loops.plain(task)) < CLOSE
    assert apart(ours, loops.best(task)) < CLOSE
    moved = max(float((ours.state[n] - task.start[n]).abs().max()) for n in task.start)
    assert moved > 100 * CLOSE


def test_the_best_loop_has_the_numerics_of_hetsim(tmp_path: Path) -> None:
    """Bit for bit: their ratio is what simulating costs, and nothing else."""
    scenario, task = both(CNN.small, tmp_path)
    ours, theirs = simulate(scenario, tmp_path / "store"), loops.best(task)
    assert all(torch.equal(ours.state[name], value) for name, value in theirs.state.items())


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(1800)
def test_cnn(tmp_path: Path, versus: Callable[..., None]) -> None:
    scenario, task = both(CNN, tmp_path)
    cpu, wall = alternating(sides(scenario, task, tmp_path))
    versus("cnn inline / best loop", cpu["inline"], cpu["best"], 1.10, "CPU a round")
    versus("cnn inline / plain loop", cpu["inline"], cpu["plain"], 0.80, "CPU a round")
    versus("cnn inline / best loop", wall["inline"], wall["best"], 1.10, "wall")
    versus("cnn inline / plain loop", wall["inline"], wall["plain"], 0.80, "wall")
    versus("cnn pool of 2 / plain loop", wall["pool"], wall["plain"], 0.45, "wall")


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(1800)
def test_lr(tmp_path: Path, versus: Callable[..., None]) -> None:
    scenario, task = both(LR, tmp_path)
    cpu, wall = alternating(sides(scenario, task, tmp_path))
    versus("lr inline / plain loop", cpu["inline"], cpu["plain"], 0.70, "CPU a round")
    versus("lr inline / best loop", cpu["inline"], cpu["best"], None, "CPU a round")
    versus("lr inline / plain loop", wall["inline"], wall["plain"], 0.70, "wall")
    versus("lr pool of 2 / plain loop", wall["pool"], wall["plain"], None, "wall")


def sides(scenario: Scenario, task: Task, folder: Path) -> dict[str, Callable[[int], Outcome]]:
    """The bare loops and the executors; each runs it once, into a store of its own."""
    return {
        "plain": lambda _: loops.plain(task),
        "best": lambda _: loops.best(task),
        "inline": lambda i: simulate(scenario, folder / f"inline{i}"),
        "pool": lambda i: simulate(scenario, folder / f"pool{i}", executor="pool", workers=2),
    }


def alternating(
    sides: dict[str, Callable[[int], Outcome]],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of a steady round of each side, of the processor and on the wall."""
    cpu: dict[str, Any] = {name: [] for name in sides}
    wall: dict[str, Any] = {name: [] for name in sides}
    for repeat in range(REPEATS):
        for name, side in sides.items():
            watch = side(repeat).watch
            cpu[name].append(watch.cpu)
            wall[name].append(watch.wall)
    return cpu, wall
