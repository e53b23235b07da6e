from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hetsim.core.errors import HetsimError, SpecError, Stuck, UnknownName
from hetsim.core.ref import Ref
from hetsim.core.registry import EXECUTORS
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors import _crew, _shared
from hetsim.learn.executors.base import STACK
from hetsim.learn.executors.inline import Inline
from hetsim.learn.executors.pool import Pool
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import model_hash
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore

REPO = Path(__file__).resolve().parents[3]
SHAPE = (1, 8, 8)
NETWORK = Architecture.of("resnet8", SHAPE, 10)
LOGISTIC = Architecture.of("logistic", SHAPE, 10)
in_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")


class Around:
    """A pool, seen and handled from outside."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


class Reordered(Around):
    """Gives values back one by one, in any order."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._kept: list[tuple[str, Any]] = []
        self._chance = random.Random(0)

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        self._kept += self._pool.finished(wait=wait and not self._kept)
        if not self._kept or not wait:
            return []
        return [self._kept.pop(self._chance.randrange(len(self._kept)))]


class Counting(Around):
    """Counts the models that it gives back, and how many of them are alive."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.given = self.alive = self.peak = 0

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        for key, value in self._pool.finished(wait=wait):
            self.given += 1
            self.alive += 1
            self.peak = max(self.peak, self.alive)
            weakref.finalize(next(iter(value.values())), self._forget)
            yield key, value

    def _forget(self) -> None:
        self.alive -= 1


def started(workers: int, resident: Resident) -> Pool:
    """A pool that leaves all computing to its workers."""
    pool = Pool(workers=workers)
    pool.start(resident)
    pool._employ()
    return ready(pool)


def ready(pool: Pool) -> Pool:
    """Wait until all workers are."""
    while len(pool._at) < pool._workers:
        assert pool._collected(1.0) == []
    return pool


def a_lab(executor: Any, resident: Resident) -> Lab:
    """A lab that keeps nothing."""
    return Lab(executor, MemoryStore(limit=0), resident)


@pytest.fixture(scope="module")
def pool(resident: Resident) -> Iterator[Pool]:
    """One pool for most tests, because its workers take seconds to start."""
    pool = started(2, resident)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def inline(resident: Resident) -> Lab:
    """What is right."""
    return a_lab(Inline(), resident)


def a_run(resident: Resident, seed: int, architecture: Architecture = NETWORK) -> list[Ref]:
    """Two rounds with shards of uneven size, the score and the outputs of the last model."""
    shards = [resident.shard(part) for part in np.split(np.arange(140), [3, 20, 60, 61, 100])]
    test = resident.whole("test")
    model = ops.initial(architecture, seed)
    for number in range(2):
        model = ops.mean(
            [ops.train(model, shard, epochs=1, batch=8, lr=0.1, seed=number) for shard in shards]
        )
    return [model, ops.evaluate(model, test), ops.forward(model, test)]


def a_cohort(resident: Resident) -> list[Ref]:
    """Four trainings that take a while."""
    start = ops.initial(NETWORK, 4)
    shards = [resident.shard(part) for part in np.array_split(np.arange(1000), 4)]
    return [ops.train(start, shard, epochs=1, batch=8, lr=0.1, seed=0) for shard in shards]


def outcome(lab: Lab, refs: list[Ref]) -> tuple[str, Any, str]:
    """Model, score and outputs as values that can be compared."""
    state, score, logits = lab.settle(refs)
    return model_hash(state), score, model_hash({"": logits})


def group(number: int) -> list[int]:
    """Processes of a process group."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == number and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_pool_computes_bitwise_what_one_process_does(
    count: int, resident: Resident, pool: Pool, inline: Lab
) -> None:
    """Alone and in stacks, with any number of workers, in any order of completion.

    When the pool is closed, all its files are.
    """
    before = open_files()
    chosen = pool if count == 2 else started(count, resident)
    lab = a_lab(Reordered(chosen), resident)
    for architecture in (NETWORK, LOGISTIC):
        right = outcome(inline, a_run(resident, 1, architecture))
        assert outcome(lab, a_run(resident, 1, architecture)) == right
    if chosen is not pool:
        assert open_files() > before
        chosen.close()
        assert open_files() == before


def test_until_workers_are_ready_the_parent_computes(
    resident: Resident, inline: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    idle = tmp_path / "idle"
    idle.write_text("#!/bin/sh\nexec sleep 1000\n")
    idle.chmod(0o700)
    monkeypatch.setattr(_crew.sys, "executable", str(idle))
    lab = a_lab(Pool(workers=2), resident)
    try:
        assert outcome(lab, a_run(resident, 2)) == outcome(inline, a_run(resident, 2))
    finally:
        lab.close()


def test_nothing_is_started_for_nothing(resident: Resident) -> None:
    lab = Lab(Pool(workers=2), MemoryStore(), resident)
    lab.settle([])
    assert lab._executor._crew is None  # pyright: ignore
    lab.close()


def test_kin_travel_in_stacks_cut_evenly(
    resident: Resident, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    send = pool._send
    monkeypatch.setattr(
        pool, "_send", lambda link, batch: (sent.append(len(batch)), send(link, batch))
    )
    lab = a_lab(pool, resident)
    shards = [resident.shard(part) for part in np.array_split(np.arange(1000), 300)]
    start = ops.initial(LOGISTIC, 0)
    lab.settle([start])
    for count, stacks in ((100, [50, 50]), (3, [1, 2]), (300, [*4 * [STACK], 22, 22])):
        sent.clear()
        lab.settle(
            [ops.train(start, shard, steps=1, batch=4, lr=0.1, seed=0) for shard in shards[:count]]
        )
        assert sent == stacks


def test_parent_holds_a_window_of_a_large_cohort(resident: Resident, pool: Pool) -> None:
    """Values and open files of 200 updates of 1.2 MB each; their start is written once."""
    executor = Counting(pool)
    lab = a_lab(executor, resident)
    shard = resident.shard(np.arange(4))
    start = ops.initial(Architecture.of("mlp", SHAPE, 10, {"hidden": [4096]}), 0)
    lab.settle([start])
    files, written = open_files(), next(pool._numbers)
    updates = [ops.train(start, shard, steps=1, batch=4, lr=0.1, seed=i) for i in range(200)]
    model = ops.mean(updates)
    del updates
    lab.settle([model])
    assert executor.given == 1 + 200
    assert 1 < executor.peak <= 5 * pool.width + 1
    assert executor.alive == 1  # the start
    assert next(pool._numbers) == written + 2
    assert open_files() <= files + 1  # that of the start


def open_files() -> int:
    """Of this process."""
    return len(os.listdir("/dev/fd"))


@in_proc
@pytest.mark.parametrize("victims", [slice(0, 2), slice(1, 2)], ids=["all", "one"])
def test_tasks_of_dead_workers_are_done_again(
    victims: slice,
    resident: Resident,
    pool: Pool,
    inline: Lab,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Killed in the middle of a task, as the kernel does when memory runs out."""
    workers = group(ready(pool)._crew.group)  # pyright: ignore
    assert len(workers) == 2
    lab = a_lab(pool, resident)
    refs = a_cohort(resident)
    for ref in refs:
        lab.want(ref)
    while not all(pool._at.values()):
        lab._dispatch()
    for pid in workers[victims]:
        os.kill(pid, signal.SIGKILL)
    values = lab.settle(refs)
    right = inline.settle(a_cohort(resident))
    assert list(map(model_hash, values)) == list(map(model_hash, right))
    assert "a worker process died" in caplog.text
    assert not set(workers) & set(group(pool._crew.group))  # pyright: ignore


@in_proc
def test_a_slow_worker_holds_the_others_back(resident: Resident, pool: Pool) -> None:
    """What overtakes it is kept by somebody, so there is a limit to it."""
    asleep = group(ready(pool)._crew.group)[0]  # pyright: ignore
    [start] = a_lab(pool, resident).settle([ops.initial(NETWORK, 0)])
    shard = resident.shard(np.arange(8))
    refs = [
        ops.train(ops.initial(NETWORK, 0), shard, steps=1, batch=8, lr=0.1, seed=seed)
        for seed in range(100)
    ]
    done: list[str] = []
    os.kill(asleep, signal.SIGSTOP)
    try:
        while True:
            while refs and pool.takes(refs[-1]):
                pool.submit(refs.pop(), [start, resident.rows(shard)])
            if sorted(map(len, pool._at.values())) == [0, 2]:
                break
            done += [key for key, _ in pool.finished(wait=True)]
    finally:
        os.kill(asleep, signal.SIGCONT)
    assert pool.width < len(done) < 5 * pool.width
    while pool._batches:
        done += [key for key, _ in pool.finished(wait=True)]
    assert len(set(done)) == len(done) == 100 - len(refs)


def test_a_task_that_is_wrong_raises_its_own_error(resident: Resident, pool: Pool) -> None:
    """With where in the worker it came from; the next task is computed as if nothing were."""
    ready(pool).submit(Ref.of("initial", arch='["no_such",{},[1,8,8],10]', seed=0), [])
    with pytest.raises(UnknownName, match="no_such") as failure:
        pool.finished(wait=True)
    assert "_computed" in "".join(failure.value.__notes__)
    assert a_lab(pool, resident).settle([ops.initial(NETWORK, 0)])


def test_an_error_that_cannot_travel_comes_as_text() -> None:
    class Local(Exception):
        """Nobody else can import it."""

    error = _crew._portable(Local("here"))
    assert type(error) is Stuck
    assert "Local: here" in str(error)


def test_workers_that_always_die_are_an_error_with_a_remedy(
    resident: Resident, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_crew.sys, "executable", shutil.which("false"))
    executor = Pool(workers=1)
    executor.start(resident)
    try:
        executor._employ()
        with pytest.raises(HetsimError, match="use fewer workers"):
            [executor._collected(1.0) for _ in range(100)]
        assert caplog.text.count("a worker process died") == 3
    finally:
        executor.close()


def test_shared_values_come_out_as_they_went_in() -> None:
    value = {
        "empty": np.zeros((0, 3)),
        "scalar": torch.tensor(3),
        "rows": np.arange(5),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "text": ("a", 1.5, None),
    }
    for mapped in (False, True):
        file = _shared.write(value)
        again = _shared.read(os.dup(file), mapped=mapped)
        assert again.keys() == value.keys()
        assert np.array_equal(again["empty"], value["empty"])
        assert again["scalar"].shape == ()
        assert again["scalar"] == 3
        assert torch.equal(again["turned"], value["turned"])
        assert again["text"] == value["text"]
        again["rows"][0] = 7  # is the reader's own
        assert np.array_equal(_shared.read(file, mapped=mapped)["rows"], value["rows"])


def test_memory_of_messages_is_used_again() -> None:
    here, there = map(_shared.Link, socket.socketpair())
    sizes: list[int] = []
    for count in (10_000, 10_000, 10, 5_000, 10_000):
        here.send(np.arange(count), beside=True)
        value, files = there.receive()
        assert np.array_equal(value, np.arange(count))
        assert files == []
        sizes.append(sum(os.fstat(file).st_size for file in here._files))
    assert sizes[1] == 2 * sizes[0]
    assert sizes[1:] == [sizes[1]] * 4
    there.close()
    with pytest.raises(ConnectionError):
        here.receive()
    here.close()


SCRIPT = """
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import load
from hetsim.learn.executors.pool import Pool
from hetsim.learn.lab import Lab
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore
if __name__ == "__main__":
    resident = Resident(load("digits", ()))
    pool = Pool(workers=2)
    lab = Lab(pool, MemoryStore(), resident)
    shard = resident.whole("train")
    model = ops.initial(Architecture.of("small_cnn", (1, 8, 8), 10), 7)
    lab.settle([model])
    while len(pool._at) < 2:
        pool._collected(1.0)
    long = {"epochs": 10_000, "batch": 16, "lr": 0.05}
    try:
        for seed in range(4):
            lab.want(ops.train(model, shard, seed=seed, **long))
        print(pool._crew.group, flush=True)
        lab.drain()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    finally:
        lab.close()
"""


def gone(pids: list[int]) -> bool:
    """Wait a while for processes to end."""
    end = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@in_proc
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_survives_its_parent(ending: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C is the parent's alone; a killed parent takes workers along, busy as they are.

    Neither leaves a file behind: there never was one.
    """
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert parent.stdout is not None
    workers = group(int(parent.stdout.readline()))
    assert len(workers) == 2
    if ending == signal.SIGINT:
        os.killpg(parent.pid, ending)
    else:
        parent.kill()
    try:
        out, err = parent.communicate(timeout=30)
    finally:
        parent.kill()
        parent.communicate()
    assert gone(workers)
    if ending == signal.SIGINT:
        assert (out, err, parent.returncode) == ("interrupted\n", "", 0)
    assert list(tmp_path.iterdir()) == [script]


def test_executors_are_plug_ins_with_sensible_sizes() -> None:
    assert {"inline", "pool"} <= set(EXECUTORS.names())
    assert EXECUTORS.load("pool") is Pool
    assert Pool(workers=3).width == 6
    assert Pool().width >= 2
    with pytest.raises(SpecError, match="one or more"):
        Pool(workers=0)
