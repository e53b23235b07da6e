from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.ref import Ref
from hetsim.core.registry import EXECUTORS
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors.inline import Inline
from hetsim.learn.executors.pool import Pool
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import model_hash
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def pool(resident: Resident) -> Iterator[Lab]:
    """One pool for all tests, because its workers take seconds to start."""
    lab = Lab(Pool(2), MemoryStore(limit=0), resident)
    yield lab
    lab.close()


def a_run(resident: Resident, seed: int) -> list[Ref]:
    """Two rounds of a network with batch statistics, its score and its outputs."""
    shards = [resident.shard(part) for part in np.array_split(np.arange(100), 5)]
    test = resident.whole("test")
    model = ops.initial(Architecture.of("resnet8", (1, 8, 8), 10), seed)
    for number in range(2):
        model = ops.mean(
            [ops.train(model, shard, epochs=1, batch=8, lr=0.1, seed=number) for shard in shards]
        )
    return [model, ops.evaluate(model, test), ops.forward(model, test)]


def killed(lab: Lab) -> None:
    """Kill every worker, as the kernel does when memory runs out."""
    for pid in list(lab._executor._processes._processes):  # pyright: ignore
        os.kill(pid, signal.SIGKILL)


def test_a_pool_computes_bitwise_what_one_process_does(pool: Lab, resident: Resident) -> None:
    inline = Lab(Inline(), MemoryStore(limit=0), resident)
    state, score, logits = inline.settle(a_run(resident, seed=1))
    other_state, other_score, other_logits = pool.settle(a_run(resident, seed=1))
    assert model_hash(state) == model_hash(other_state)
    assert score == other_score
    assert torch.equal(logits, other_logits)


def test_tasks_of_dead_workers_are_done_again(
    pool: Lab, resident: Resident, caplog: pytest.LogCaptureFixture
) -> None:
    pool.settle([ops.initial(Architecture.of("logistic", (1, 8, 8), 10), 5)])
    killed(pool)
    refs = a_run(resident, seed=2)
    values = pool.settle(refs)
    inline = Lab(Inline(), MemoryStore(limit=0), resident)
    assert model_hash(values[0]) == model_hash(inline.settle(a_run(resident, seed=2))[0])
    assert "a worker process died" in caplog.text


def test_a_task_that_is_wrong_raises_its_own_error(resident: Resident) -> None:
    executor = Pool(1)
    executor.start(resident)
    try:
        executor.submit(Ref.of("forward", arch="[]"), [])
        with pytest.raises((ValueError, IndexError)):
            executor.finished(wait=True)
    finally:
        executor.close()


def test_workers_that_always_die_are_an_error_with_a_remedy(
    resident: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Pool(1)
    executor.start(resident)
    try:
        # The shared files are gone, so that no worker can begin.
        for file in Path(executor._folder.name).iterdir():
            file.unlink()
        executor.submit(Ref.of("initial", arch="[]", seed=0), [])
        with pytest.raises(HetsimError, match="use fewer workers"):
            executor.finished(wait=True)
    finally:
        executor.close()


SCRIPT = """
import numpy as np, sys
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import load
from hetsim.learn.executors.pool import Pool
from hetsim.learn.lab import Lab
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore
if __name__ == "__main__":
    resident = Resident(load("digits", ()))
    lab = Lab(Pool(2), MemoryStore(), resident)
    shard = resident.whole("train")
    model = ops.initial(Architecture.of("small_cnn", (1, 8, 8), 10), 7)
    lab.settle([model])
    folder = lab._executor._folder.name
    try:
        print(*lab._executor._processes._processes, folder, flush=True)
        long = {"epochs": 10_000, "batch": 16, "lr": 0.05}
        lab.settle([ops.train(model, shard, seed=seed, **long) for seed in (1, 2)])
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        lab.close()
"""


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pids: list[int]) -> bool:
    """Wait a while for processes to end."""
    end = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_running, pids))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_survives_its_parent(ending: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C goes to all and is quiet in the workers; a killed parent takes them along."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    assert parent.stdout is not None
    *pids, folder = parent.stdout.readline().split()
    workers = [int(pid) for pid in pids]
    assert len(workers) >= 1
    assert all(map(is_running, workers))
    if ending == signal.SIGINT:
        os.killpg(parent.pid, ending)
    else:
        parent.kill()
    out, err = parent.communicate(timeout=30)
    assert gone(workers)
    if ending == signal.SIGINT:
        assert (out, err, parent.returncode) == ("interrupted\n", "", 0)
    assert not Path(folder).exists()


def test_executors_are_plug_ins_with_sensible_sizes() -> None:
    assert {"inline", "pool"} <= set(EXECUTORS.names())
    assert EXECUTORS.load("pool") is Pool
    assert Pool(3).width == 6
    assert Pool().width >= 2
    with pytest.raises(SpecError, match="one or more"):
        Pool(0)
