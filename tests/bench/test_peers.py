"""Other simulators on the same work, where they are installed: `pip install 'hetsim[bench]'`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tests.bench import loops
from tests.bench.loops import Task
from tests.bench.peers import PEERS, WORKLOADS, missing, samples, shard
from tests.bench.processes import environment, peak_memory, seconds_until
from tests.bench.workloads import CNN

REPEATS = 3
"""Of whole processes; Flower's take half a minute each."""


def command(peer: str, workload: str, mark: Path, out: Path) -> list[str]:
    code = "from tests.bench.peers import main; main()"
    return [sys.executable, "-c", code, peer, workload, str(mark), str(out)]


def test_peers_train_on_the_samples_that_hetsim_trains_on(tmp_path: Path) -> None:
    work = CNN.small
    task = Task.of(work, work.scenario(tmp_path))
    ours = sorted(row.numpy().tobytes() for x, _ in task.shards for row in x)
    theirs = sorted(row.numpy().tobytes() for row in samples(work)[0])
    assert ours == theirs
    assert [len(shard(work, client)[1]) for client in range(work.clients)] == [
        len(y) for _, y in task.shards
    ]


@pytest.mark.usefixtures("measured")
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("workload", sorted(WORKLOADS))
@pytest.mark.parametrize("peer", sorted(PEERS))
def test_peer(
    peer: str, workload: str, tmp_path: Path, versus: Callable[..., None], row: Callable[..., None]
) -> None:
    if lacking := missing(peer):
        pytest.skip(f"{peer} needs {', '.join(lacking)}: pip install 'hetsim[bench]'")
    work = WORKLOADS[workload]
    task = Task.of(work, work.scenario(tmp_path))
    theirs: list[tuple[float, ...]] = []
    bare: list[tuple[float, ...]] = []
    for repeat in range(REPEATS):
        watch = loops.plain(task).watch
        bare.append((watch.wall, watch.cpu))
        mark, out = tmp_path / f"mark{repeat}", tmp_path / f"out{repeat}"
        subprocess.run(
            command(peer, workload, mark, out), check=True, env=environment(), timeout=900,
            capture_output=True,
        )  # fmt: skip
        theirs.append(tuple(map(float, out.read_text().split())))
    clocks = ["wall", "CPU"] if peer == "pfl" else ["wall"]  # Flower's actors are other processes
    for place, clock in enumerate(clocks):
        versus(
            f"{workload}: {peer} / plain loop", [run[place] for run in theirs],
            [run[place] for run in bare], note=f"{clock}; under ours is {peer}",
        )  # fmt: skip
    mark, out = tmp_path / "mark", tmp_path / "out"
    first = [
        seconds_until(command(peer, workload, place, out), tmp_path, place.exists)
        for place in (tmp_path / f"first{repeat}" for repeat in range(REPEATS))
    ]
    wall = [seconds for seconds, _ in first]
    row(
        f"{workload}: {peer}, command to first round, s", median(wall),
        spread=(min(wall), max(wall)), note="wall",
    )  # fmt: skip
    if workload == "cnn":
        size = peak_memory(command(peer, workload, mark, out), tmp_path)
        row(f"cnn: {peer}, peak memory of all processes, GB", size / 1e9)
