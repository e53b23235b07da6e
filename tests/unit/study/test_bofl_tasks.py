"""The authors' tasks: what can be told exactly from their sweeps is told so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hetsim.sim.governors._mix import front, hull
from hetsim.sim.governors._pacing import Stretch
from hetsim.sim.governors.bofl import BoFL, Explorer
from hetsim.study.bofl_tasks import (
    RATIOS,
    Round,
    Task,
    believed,
    best_single,
    oracle,
    performant,
    read_task,
    replay,
    tell,
)

PERFORMANT = {
    "agx_cifar10": 90110.844, "agx_imagenet": 114841.621, "tx2_cifar10": 39608.965,
    "tx2_imdb": 63227.252,
}  # fmt: skip
DEADLINES = {
    "agx_cifar10": (5510.790, 9077.673), "agx_imagenet": (6998.776, 11611.273),
    "tx2_cifar10": (5328.186, 8776.877), "tx2_imdb": (8503.554, 14375.416),
}  # fmt: skip
"""Their sum, s, at ratios 2 and 4."""
ORACLE = {
    "agx_cifar10": (69938.0, 67578.5, 66886.0, 66509.9, 66291.2, 66112.5),
    "agx_imagenet": (93318.7, 89933.5, 88862.1, 88302.9, 87947.5, 87733.3),
    "tx2_cifar10": (32516.1, 31193.8, 30769.5, 30570.3, 30445.5, 30366.4),
    "tx2_imdb": (49982.8, 48516.9, 48070.4, 47899.3, 47794.4, 47722.2),
}
SINGLE = {
    "agx_cifar10": (70927.8, 68078.6, 67155.4, 66744.2, 66565.6, 66276.6),
    "agx_imagenet": (94842.9, 90704.6, 89291.0, 88787.5, 88228.3, 87929.9),
    "tx2_cifar10": (32933.0, 31375.7, 30895.5, 30691.4, 30537.1, 30438.3),
    "tx2_imdb": (50700.7, 48769.0, 48220.1, 48011.4, 47922.6, 47799.6),
}
FRONTS = {
    "agx_cifar10": (55, 9), "agx_imagenet": (60, 10), "tx2_cifar10": (31, 10), "tx2_imdb": (22, 8),
}  # fmt: skip
FIRST = {
    ("agx_cifar10", 1.5): (6014.95, [3, 3, 6, 13, 19, 20, 21]),
    ("agx_cifar10", 2.0): (3336.41, [9, 11, 19, 21]),
    ("agx_cifar10", 4.0): (1731.60, [12, 21]),
    ("agx_imagenet", 1.5): (4403.92, [9, 16, 19, 21]),
    ("agx_imagenet", 2.0): (2083.04, [17, 21]),
    ("tx2_cifar10", 1.5): (1599.44, [3, 3, 6, 10]),
    ("tx2_cifar10", 2.0): (1147.07, [7, 8, 10]),
    ("tx2_cifar10", 4.0): (378.49, [10]),
    ("tx2_imdb", 1.5): (574.29, [10]),
    ("tx2_imdb", 2.0): (568.39, [10]),
}
"""Joules of the rounds in which BoFL tries its first settings, and how many it knows after each."""


@pytest.fixture(scope="module")
def tasks(shared: Path) -> dict[str, Task]:
    folder = shared / "measured" / "traces" / "bofl"
    paths = {name: folder / f"{name}.csv" for name in PERFORMANT}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        pytest.skip(f"{folder} has no {', '.join(missing)}")
    return {name: read_task(path) for name, path in paths.items()}


def total(rounds: list[Round]) -> float:
    return sum(each.energy for each in rounds)


def drawn(task: Task, ratio: float) -> list[float]:
    return task.draw(ratio, BoFL())[0]


@pytest.mark.parametrize("name", PERFORMANT)
def test_deadlines_and_the_highest_clocks_are_the_authors(
    name: str, tasks: dict[str, Task]
) -> None:
    task = tasks[name]
    for ratio, seconds in zip((2.0, 4.0), DEADLINES[name], strict=True):
        assert sum(drawn(task, ratio)) == pytest.approx(seconds, rel=5e-6)
    rounds = performant(task, drawn(task, 2.0))
    assert total(rounds) == pytest.approx(PERFORMANT[name], rel=2e-7)
    assert all(each.met for each in rounds)


@pytest.mark.parametrize("name", PERFORMANT)
def test_the_bounds_are_those_of_integer_programs(name: str, tasks: dict[str, Task]) -> None:
    task = tasks[name]
    for place, ratio in enumerate(RATIOS):
        deadlines = drawn(task, ratio)
        bound, single = oracle(task, deadlines), best_single(task, deadlines)
        assert total(bound) == pytest.approx(ORACLE[name][place], rel=5e-6)
        assert total(single) == pytest.approx(SINGLE[name][place], rel=5e-6)
        assert all(each.met for each in (*bound, *single))


@pytest.mark.parametrize("name", PERFORMANT)
def test_the_front_has_its_size(name: str, tasks: dict[str, Task]) -> None:
    settings = tasks[name].settings
    sizes = tuple(len(f(settings.times, settings.energies)) for f in (front, hull))
    assert sizes == FRONTS[name]


@pytest.mark.parametrize(("name", "ratio"), FIRST)
def test_the_first_settings_are_tried_as_the_authors_try_them(
    name: str, ratio: float, tasks: dict[str, Task]
) -> None:
    task, (joules, counts) = tasks[name], FIRST[name, ratio]
    deadlines, first = task.draw(ratio, BoFL())
    explorer = BoFL(whole=True).pacer(task.settings, first)
    rounds = replay(explorer, task, deadlines[: len(counts)])
    assert [each.observed for each in rounds] == counts
    assert total(rounds) == pytest.approx(joules, rel=1e-4)
    assert list(explorer.observed) == first
    short = [each for each in rounds if each.deadline < task.shortest + 5.0]
    for each in short:
        assert each.energy == pytest.approx(task.minibatches * task.highest[1], rel=1e-12)


def test_what_bofl_saves_on_a_tx2_is_what_the_authors_save(tasks: dict[str, Task]) -> None:
    task = tasks["tx2_imdb"]
    deadlines, first = task.draw(4.0, BoFL())
    rounds = replay(BoFL(whole=True).pacer(task.settings, first), task, deadlines)
    assert all(each.met for each in rounds)
    saving = 100.0 * (1.0 - total(rounds) / total(performant(task, deadlines)))
    assert saving == pytest.approx(23.0, abs=2.5)
    assert total(rounds) > total(oracle(task, deadlines))
    assert 30 <= rounds[-1].observed <= 39


# --- without the authors' sweeps ------------------------------------------------------------------


def grid(path: Path, cpus: int = 29) -> Path:
    """A board like the AGX Xavier, whose rows stand in no order."""
    rows: list[str] = []
    for m, g, c in product((1e9, 2e9), (5e8, 1e9), range(100_000, 100_000 * (cpus + 1), 100_000)):
        time = 0.1 * 3e6 / c + 0.1 * 1e9 / g + 0.02 * 2e9 / m
        rows.append(f"{c},{g:.0f},{m:.0f},{time:.6f},{8.0 * time + c / 1e6:.6f}")
    head = "cpu_khz,gpu_hz,emc_hz,time_s_per_minibatch,energy_j_per_minibatch"
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "minibatches", "seed", "used"),
    [
        ("agx_imdb", 160, 4567, 25), ("agx_cifar10", 200, 3793, 25), ("tx2_imagenet", 60, 3456, 29),
    ],
)  # fmt: skip
def test_a_task_is_known_by_its_file(
    name: str, minibatches: int, seed: int, used: int, tmp_path: Path
) -> None:
    task = read_task(grid(tmp_path / f"{name}.csv"))
    assert (task.minibatches, task.seed, len(task.settings)) == (minibatches, seed, 4 * used)
    clocks = task.sweep.clocks.tolist()
    assert clocks == sorted(clocks)
    assert task.settings.highest == len(task.settings) - 1


def test_any_other_sweep_is_a_task_of_its_own(tmp_path: Path) -> None:
    path = grid(tmp_path / "agx_mine.csv")
    task, other = read_task(path), read_task(Path(shutil.copy(path, tmp_path / "b.csv")))
    assert (task.minibatches, len(task.settings)) == (200, 4 * 29)
    assert task.seed != other.seed
    assert read_task(path).draw(2.0, BoFL()) == task.draw(2.0, BoFL())
    deadlines, first = task.draw(2.0, BoFL())
    assert all(task.shortest <= each <= 2.0 * task.shortest for each in deadlines)
    assert first[0] == task.settings.highest
    assert len(set(first)) == len(first) == 3
    wider = task.draw(3.0, BoFL())
    assert [each - task.shortest for each in wider[0]] == pytest.approx(
        [2.0 * (each - task.shortest) for each in deadlines]
    )
    assert wider[1] == first


def test_rest_is_drawn_until_the_deadline_and_whoever_knows_it_is_slower(tmp_path: Path) -> None:
    task = read_task(grid(tmp_path / "mine.csv"))
    deadlines = [2.0 * task.shortest]
    plain, told = oracle(task, deadlines), oracle(task, deadlines, rest=7.0)
    assert plain[0].resting(7.0) > told[0].resting(7.0)
    assert plain[0].energy < told[0].energy
    assert plain[0].busy < told[0].busy <= deadlines[0]
    assert plain[0].resting(0.0) == plain[0].energy
    assert replace(plain[0], busy=deadlines[0] + 1.0).resting(9.0) == plain[0].energy


def test_what_is_believed_is_what_was_measured_where_it_was(tmp_path: Path) -> None:
    task = read_task(grid(tmp_path / "mine.csv"))
    rows = np.random.default_rng(0).choice(len(task.settings), 12, replace=False).tolist()
    belief = believed(task, [*rows, rows[0]])
    truth = task.settings
    assert [belief.times[i] for i in rows] == [truth.times[i] for i in rows]
    assert [belief.energies[i] for i in rows] == [truth.energies[i] for i in rows]
    off = [abs(a / b - 1.0) for a, b in zip(belief.times, truth.times, strict=True)]
    assert 0.0 < max(off) < 0.2


def test_who_is_told_hears_what_was_measured(tmp_path: Path) -> None:
    task = read_task(grid(tmp_path / "mine.csv"))
    heard: list[tuple[Stretch, float, float]] = []

    class Listener(Explorer):
        def told(self, stretch: Stretch, seconds: float, energy: float) -> None:
            heard.append((stretch, seconds, energy))

    tell(Listener(BoFL(), task.settings), task, [3, 5, 7], [10, 0, 2])
    settings = task.settings
    assert heard == [
        (Stretch(i, n), n * settings.times[i], n * settings.energies[i])
        for i, n in ((3, 10), (7, 2))
    ]
