"""hetsim as a command: how soon it trains, and the memory of all its processes together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from hetsim.study.folder import is_complete
from tests.bench.processes import environment, hetsim, peak_memory, seconds_until
from tests.bench.workloads import CNN, LR, Workload

REPEATS = 5
RESNET = Workload(
    name="resnet", model="resnet20", clients=1000, cohort=10, rounds=2, samples=20,
    shape=(3, 32, 32), dtype="uint8",
)  # fmt: skip

BARE = """
import sys, numpy, torch
from torch.nn import functional as F
torch.set_num_threads(1)
chance = numpy.random.default_rng(0)
x = torch.from_numpy(chance.integers(0, 256, (100_000, 784), dtype=numpy.uint8))
y = torch.from_numpy(chance.integers(0, 10, 100_000))
module = torch.nn.Linear(784, 10)
start = {name: value.clone() for name, value in module.state_dict().items()}
sums = {name: torch.zeros_like(value) for name, value in start.items()}
for client in range(100):
    module.load_state_dict(start)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for batch in torch.randperm(100).split(20):
        optimizer.zero_grad()
        rows = 100 * client + batch
        F.cross_entropy(module((x[rows].float() - 128) / 50), y[rows]).backward()
        optimizer.step()
    for name, value in module.state_dict().items():
        sums[name] += value / 100
open(sys.argv[1], "w").close()
"""


def two_models(store: Path) -> bool:
    """Whether a run has put the untrained model and the first mean into its store."""
    return len(list(store.rglob("*.safetensors"))) >= 2


def test_a_first_trained_round_can_be_seen_from_outside(tmp_path: Path) -> None:
    """A run of one round puts two models into its store, and no more: what the clock waits for."""
    path, out = replace(LR.small, rounds=1).write(tmp_path), tmp_path / "out"
    assert not two_models(out / "store")
    command = hetsim("run", path, "--out", out, "--no-report")
    subprocess.run(command, check=True, capture_output=True, env=environment())
    assert two_models(out / "store")
    assert json.loads((out / "host.json").read_text())["refs"]["executed"]["mean"] == 1


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(600)
def test_start(tmp_path: Path, row: Callable[..., None]) -> None:
    path, ours, theirs = LR.write(tmp_path), [], []
    for repeat in range(REPEATS):
        mark, out = tmp_path / f"bare{repeat}", tmp_path / f"out{repeat}"
        bare = [sys.executable, "-c", BARE, str(mark)]
        theirs.append(seconds_until(bare, tmp_path, mark.exists))
        command = hetsim("run", path, "--out", out, "--quiet")
        trained = partial(two_models, out / "store")
        ours.append(seconds_until(command, tmp_path, trained))
    for place, clock in enumerate(("wall", "processor")):
        values, bare = [run[place] for run in ours], [run[place] for run in theirs]
        row(
            "lr: command to first trained round, s", median(values), 3.0,
            spread=(min(values), max(values)), theirs=f"bare loop {median(bare):.3g} s", note=clock,
        )  # fmt: skip


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("executor", ["inline", "pool"])
def test_memory(executor: str, tmp_path: Path, row: Callable[..., None]) -> None:
    """The whole command, run folder and page written."""
    path, out = CNN.write(tmp_path), tmp_path / "out"
    size = peak_memory(hetsim("run", path, "--out", out, "--executor", executor), tmp_path)
    assert is_complete(out)
    target = 0.55 if executor == "inline" else None
    row(f"cnn {executor}: peak memory of all processes, GB", size / 1e9, target)


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(900)
def test_memory_of_a_thousand_residual_networks(tmp_path: Path, row: Callable[..., None]) -> None:
    sizes: dict[tuple[int, int], float] = {}
    for clients, cohort in ((100, 10), (1000, 10), (1000, 40)):
        work = replace(RESNET, clients=clients, cohort=cohort)
        folder = tmp_path / f"{clients}-{cohort}"
        command = hetsim("run", work.write(folder), "--out", folder / "out", "--no-report")
        sizes[clients, cohort] = peak_memory(command, folder)
        assert is_complete(folder / "out")
    row(
        "1,000 clients x resnet20: peak memory of all processes, GB", sizes[1000, 10] / 1e9, 1.5,
        theirs=f"100 clients {sizes[100, 10] / 1e9:.3g} GB",
        note=f"cohort of 40: {sizes[1000, 40] / 1e9:.3g} GB",
    )  # fmt: skip
