"""A run that is killed at any instant, and resumed, ends as if nothing had happened.

Processes are real and die of SIGKILL: half of them at moments spread over the run by the clock, the
others at the sight of what they are writing just then, or while they start. Every third is a pool,
every second resumption is killed too. `--kills N` says how many; `make torture` takes 20.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hetsim.study.simulate import run

DEVICES = 4
TOPOLOGY = f"""
name: under_fire
fleet:
  - {{profile: raspberry_pi_4b_edpfl, count: {DEVICES}, link: {{rate: "50 Mbit/s"}}}}
network: wifi
server: framework13_amd
task:
  data: digits
  model: {{name: small_cnn, width: 16}}
  partition: {{name: dirichlet, alpha: 0.3}}
method: {{name: fedavg, epochs: 1, batch: 20, lr: 0.01, momentum: 0.9}}
stop: {{rounds: 30, accuracy: 0.9}}
"""
START = 2.0
"""Seconds that a process takes before it begins, more or less."""
SIGHTS = (
    "report.html", "store/*/*/*.part", "", ".beginning.part", ".summary.json.part",
    "spec.yaml", ".spans.parquet.part", "", "journal.jsonl", ".spec.yaml.part",
)  # fmt: skip
"""Files at whose first sight a process is killed; nothing: before there are any."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    count: Any = metafunc.config.getoption("--kills")
    metafunc.parametrize("number", range(count))


@dataclass(frozen=True)
class Life:
    """An undisturbed run.

    Attributes:
        topology: what it ran.
        files: what it left, `host.json` apart.
        models: keys of the model after each round.
        executed: values it computed, by operation.
        seconds: how long it took.
    """

    topology: Path
    files: dict[str, bytes]
    models: list[str]
    executed: dict[str, int]
    seconds: float


def files(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "host.json"}


def refs(folder: Path) -> dict[str, dict[str, int]]:
    return json.loads((folder / "host.json").read_text())["refs"]


@pytest.fixture(scope="module")
def hetsim(repo: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a run in a process of its own."""

    def start(*arguments: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "hetsim", "run", "-q", *map(str, arguments)],
            cwd=repo, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    home = tmp_path_factory.mktemp("undisturbed")
    topology, folder = home / "under_fire.yaml", home / "run"
    topology.write_text(TOPOLOGY)
    begun = time.monotonic()
    run(topology, out=folder)
    seconds = time.monotonic() - begun
    rounds = pq.read_table(folder / "rounds.parquet").to_pylist()
    models = [row["model_version"] for row in rounds]
    assert len(set(models)) > 8
    return Life(topology, files(folder), models, refs(folder)["executed"], seconds)


def ended(process: subprocess.Popen[str]) -> None:
    try:
        _, told = process.communicate(timeout=100)
    finally:
        kill(process)
    assert process.returncode == 0, told


def wait(process: subprocess.Popen[str], now: Callable[[], bool]) -> None:
    """Wait for a moment; or, if that is sooner, for the process to end."""
    while process.poll() is None and not now():
        time.sleep(0.0005)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def kept(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("store/*/*/*.safetensors")}


def test_a_killed_run_goes_on_to_the_same_bytes(
    number: int, kills: int, life: Life, hetsim: Any, tmp_path: Path
) -> None:
    chance = random.Random(number)
    folder = tmp_path / "run"
    how = ("--executor", "pool") if number % 3 == 1 else ()

    def clock(seconds: float) -> Callable[[], bool]:
        end = time.monotonic() + seconds
        return lambda: time.monotonic() > end

    process = hetsim(life.topology, "--out", folder, *how)
    if not number % 2:
        wait(process, (folder / "spec.yaml").exists)
        wait(process, clock((number + 2 * chance.random()) / (kills + 1) * life.seconds))
    elif sight := SIGHTS[number // 2 % len(SIGHTS)]:
        wait(process, lambda: any(folder.glob(sight)))
    else:
        wait(process, clock(chance.random() * START))
    kill(process)
    if number % 4 >= 2:
        process = hetsim(life.topology, "--resume", folder, *how)
        wait(process, clock(chance.random() * (START + life.seconds)))
        kill(process)
    before, done = kept(folder), (folder / "summary.json").exists()
    begun = (folder / "spec.yaml").exists()
    rounds = sum(model in before for model in life.models)
    print(f"{number}: begun {begun}, {rounds} of {len(life.models)} rounds kept, done {done}")
    ended(hetsim("--resume", folder) if begun else hetsim(life.topology, "--resume", folder, *how))
    assert files(folder) == life.files
    assert list(tmp_path.iterdir()) == [folder]
    if not done:
        now = refs(folder)
        assert now["executed"].get("train", 0) == DEVICES * (len(life.models) - rounds)
        assert now["from_store"].get("mean", 0) == rounds
        assert sum(now["executed"].values()) <= sum(life.executed.values())
