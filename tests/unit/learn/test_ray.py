"""The Ray executor, on one cluster of two workers that is started once for all tests here.

Takes half a minute, most of it for workers to load torch, and is skipped where Ray is missing.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from hetsim.core.errors import HetsimError, SpecError, UnknownName
from hetsim.core.ref import Ref
from hetsim.core.registry import EXECUTORS
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.executors import ray as module
from hetsim.learn.executors.base import STACK
from hetsim.learn.executors.ray import Ray
from hetsim.learn.numerics import model_hash, single_thread
from hetsim.learn.resident import Resident
from hetsim.spec.schema import load_topology
from hetsim.study.simulate import Settings, run
from hetsim.testing.world import TOPOLOGY

REPO = Path(__file__).resolve().parents[3]
WORKERS = 2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("ray"),
]
needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason='Ray is not installed: pip install "hetsim[ray]"'
)
needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")


@pytest.fixture(scope="module")
def cluster(resident: Resident) -> Iterator[Any]:
    """Ray itself, with a cluster running: executors use it and leave it as it is."""
    ray = pytest.importorskip("ray")
    handler = signal.getsignal(signal.SIGTERM)
    first = Ray(workers=WORKERS, address="local")
    first.start(resident)
    assert signal.getsignal(signal.SIGTERM) is handler
    yield ray
    assert ray.is_initialized()
    first.close()
    assert not ray.is_initialized()


@pytest.fixture
def executor(cluster: Any, resident: Resident) -> Iterator[Ray]:
    made = Ray(workers=WORKERS)
    made.start(resident)
    yield made
    made.close()


def small(model: str = "small_cnn") -> Architecture:
    return Architecture.of(model, (1, 8, 8), 10)


def trainings(resident: Resident, model: str, count: int, epochs: int = 1) -> list[ops.Task]:
    """Tasks that begin from one model."""
    start = ops.initial(small(model), 3)
    state = ops.compute(start, (), resident)
    shards = [resident.shard(rows) for rows in np.array_split(np.arange(1000), count)]
    return [
        (
            ops.train(start, shard, epochs=epochs, batch=4, lr=0.1, seed=seed),
            (state, resident.rows(shard)),
        )
        for seed, shard in enumerate(shards)
    ]


def drained(executor: Ray, count: int) -> dict[str, Any]:
    """Values of the tasks that were submitted."""
    values: dict[str, Any] = {}
    while len(values) < count:
        values.update(executor.finished(wait=True))
    return values


def files(folder: Path) -> dict[str, bytes]:
    """Everything that must not depend on who computed it."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "host.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def processes(chosen: Callable[[int, int], bool]) -> list[int]:
    """Workers that are computing, among processes chosen by parent and session."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::compute") and chosen(int(stat[1]), int(stat[3])):
            found.append(int(folder.name))
    return found


@contextmanager
def murder(seen: Callable[[], bool]) -> Iterator[list[int]]:
    """Inside, kill workers of this test at work, one after the other, until the death is seen."""
    own = os.getpid()
    stop, killed = Event(), list[int]()

    def ours(parent: int, session: int) -> bool:
        try:
            line = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return int(line[1]) == own  # the raylet's parent

    def watch() -> None:
        while not stop.wait(0.01) and not seen():
            for pid in processes(ours)[:1]:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
                stop.wait(1)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


# --- on a cluster -------------------------------------------------------------------------------


@needs_ray
@needs_proc
@pytest.mark.parametrize("model", ["logistic", "small_cnn"])
def test_a_run_leaves_the_same_files_as_inline_even_if_a_worker_is_killed(
    cluster: Any,
    model: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    topology = tmp_path / "tiny.yaml"
    topology.write_text(TOPOLOGY)
    spec = load_topology(
        topology, overrides=[f"task.model={model}", "method.epochs=20", "stop.rounds=3"]
    )
    inline = run(spec, out=tmp_path / "inline")
    settings = Settings(executor="ray", workers=WORKERS)
    with murder(lambda: "a Ray worker died" in caplog.text) as killed:
        other = run(spec, out=tmp_path / "ray", settings=settings)
    assert killed
    assert "a Ray worker died; its tasks are computed again" in caplog.text
    for name in ("trace_hash", "model_hash"):
        assert other.summary[name] == inline.summary[name]
    assert other.host["refs"] == inline.host["refs"]
    assert files(tmp_path / "ray") == files(tmp_path / "inline")
    assert len(files(tmp_path / "ray")) > 8
    assert cluster.is_initialized(), "it was not started by the run"
    assert capfd.readouterr() == ("", ""), "what Ray has to say"


@needs_ray
@pytest.mark.parametrize("model", ["logistic", "small_cnn"])
def test_values_are_bitwise_those_of_this_process(
    executor: Ray, resident: Resident, model: str
) -> None:
    tasks = trainings(resident, model, 7)
    values: dict[str, Any] = {}
    for ref, inputs in tasks:
        while not executor.takes(ref):
            values.update(executor.finished(wait=True))
        executor.submit(ref, inputs)
    values.update(drained(executor, len(tasks) - len(values)))
    assert len(values) == len(tasks)
    single_thread()
    for ref, inputs in tasks:
        assert model_hash(values[ref.key]) == model_hash(ops.compute(ref, inputs, resident))
    [state] = {id(state): state for _, (state, _) in tasks}.values()
    for value in (values[tasks[0][0].key], state):
        for tensor in value.values():
            tensor.add_(1)  # it is nobody else's memory


@needs_ray
def test_a_model_is_sent_once_and_let_go_with_its_last_holder(
    executor: Ray, resident: Resident, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts: list[Any] = []
    put = cluster.put
    monkeypatch.setattr(cluster, "put", lambda value: puts.append(type(value)) or put(value))
    tasks = trainings(resident, "small_cnn", 8)
    while tasks:  # nothing is under way in between
        executor.submit(*tasks.pop())
        executor.submit(*tasks.pop())
        assert len(executor._lent) == (1 if tasks else 0), "the cluster alone needs it any longer"
        drained(executor, 2)
    assert len(puts) == 1
    assert not executor._running


@needs_ray
def test_few_stacks_are_under_way(executor: Ray, resident: Resident) -> None:
    assert executor.width == 2 * WORKERS
    lone = trainings(resident, "small_cnn", 1)[0]
    for seed in range(2 * WORKERS):
        assert executor.takes(lone[0])
        executor.submit(ops.initial(small(), seed), ())
    assert not executor.takes(lone[0])
    drained(executor, 2 * WORKERS)
    kin = trainings(resident, "logistic", STACK * WORKERS + 1)
    for ref, inputs in kin[:-1]:
        assert executor.takes(ref)
        executor.submit(ref, inputs)
    assert not executor.takes(kin[-1][0]), "the group is full"
    assert executor.takes(lone[0])
    executor.submit(*lone)
    assert len(executor._running) == WORKERS + 1, "a stack for each worker, and the one after it"
    assert len(drained(executor, len(kin))) == len(kin)


@needs_ray
def test_a_task_that_is_wrong_raises_its_own_error(executor: Ray) -> None:
    executor.submit(Ref.of("initial", arch='["no_such_model",{},[1,8,8],10]', seed=0), ())
    with pytest.raises(UnknownName) as caught:
        executor.finished(wait=True)
    assert type(caught.value) is UnknownName
    assert str(caught.value).startswith('no model "no_such_model".\n')


class Deadly:
    """Kills whoever reads it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)",)


@needs_ray
def test_a_task_that_kills_every_worker_is_an_error_with_a_remedy(
    executor: Ray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_DEATHS", 1)
    executor.submit(ops.initial(small(), 1), (Deadly(),))
    with pytest.raises(HetsimError, match=r"2 Ray workers died of the same task(.|\n)*use fewer"):
        executor.finished(wait=True)
    assert caplog.text.count("a Ray worker died") == 1


class Unknown:
    """Its class is not where the worker looks for it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, ("hetsim.not_in_this_version",)


@needs_ray
def test_a_worker_that_lacks_our_hetsim_is_an_error_that_says_so(executor: Ray) -> None:
    executor.submit(ops.initial(small(), 1), (Unknown(),))
    with pytest.raises(
        HetsimError, match=r"No module named 'hetsim\.not(.|\n)*Install hetsim \d.* on every node"
    ):
        executor.finished(wait=True)


@needs_ray
@pytest.mark.parametrize(
    ("name", "other"), [("tag", lambda: "cpu-f32_of-another-kind"), ("__version__", "0.0.0")]
)
def test_a_worker_that_would_compute_other_numbers_refuses(
    cluster: Any, resident: Resident, monkeypatch: pytest.MonkeyPatch, name: str, other: Any
) -> None:
    monkeypatch.setattr(module, name, other)
    executor = Ray()
    executor.start(resident)
    try:
        executor.submit(ops.initial(small(), 1), ())
        with pytest.raises(HetsimError, match=r"other numbers than this host(.|\n)*same hetsim"):
            executor.finished(wait=True)
    finally:
        executor.close()


@needs_ray
def test_more_workers_than_the_cluster_has_are_refused(cluster: Any, resident: Resident) -> None:
    with pytest.raises(SpecError, match="3 workers, but the cluster has 2 CPUs"):
        Ray(workers=3).start(resident)
    alone = Ray(workers=1)
    alone.start(resident)
    try:
        assert alone.width == 1, "a second stack would find a CPU too"
    finally:
        alone.close()


@needs_ray
@needs_proc
def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(tmp_path: Path) -> None:
    """At a terminal it reaches everybody; this run starts a cluster of its own."""
    folder = tmp_path / "run"
    command = [
        sys.executable, "-m", "hetsim", "run", "iot_mix", "--set", "method.epochs=10000",
        "--executor", "ray", "--out", str(folder),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    environment.pop("RAY_ADDRESS", None)
    parent = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    try:
        busy: list[int] = []
        while not busy and parent.poll() is None:
            time.sleep(0.05)
            busy = processes(lambda _, session: session == parent.pid)
        assert busy
        os.killpg(parent.pid, signal.SIGINT)
        out, err = parent.communicate(timeout=60)
    finally:
        parent.kill()
    line = f"python -m hetsim run --resume {folder}"
    assert (out, err, parent.returncode) == ("", f"hetsim: interrupted. Go on with: {line}\n", 130)
    assert processes(lambda _, session: session == parent.pid) == []


# --- without one --------------------------------------------------------------------------------


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        SpecError, match=r'not installed\n +Install it: pip install "hetsim\[ray\]"'
    ):
        EXECUTORS.load("ray")()


@needs_ray
def test_settings_are_checked() -> None:
    with pytest.raises(SpecError, match="one or more"):
        Ray(workers=0)
    assert Ray(workers=3).width == 6
    Ray().close()


@needs_ray
def test_a_cluster_that_is_not_there_is_named(
    resident: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest.importorskip("ray"), "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(SpecError, match=rf"{address}: .*refused\n +Mend RAY_ADDRESS"):
        Ray().start(resident)
