"""Computes in worker processes that live as long as the run, one thread each.

The data set goes to the workers once, as files that all of them map into memory; a task brings its
arguments and the values of its inputs. Tasks are pure, so those of a worker that died are simply
done again. Workers ignore Ctrl-C, which is the parent's to handle, and end with their parent.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.data.base import Dataset
from hetsim.learn.numerics import single_thread
from hetsim.learn.resident import Resident

_QUEUED = 2
"""Tasks submitted for each worker: the one it computes and the next."""
_DEATHS = 3
"""Times in a row that workers may die without a task coming back."""
_log = logging.getLogger(__name__)


class Pool:
    """Worker processes; `workers` is their number, by default one for each core."""

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise SpecError(
                f"{workers} workers", key="executor (pool)", remedy="Ask for one or more."
            )
        self._workers = workers or _cores()
        self.width = _QUEUED * self._workers
        self._tasks: dict[str, _Task] = {}
        self._futures: dict[Future[Any], str] = {}
        self._deaths = 0

    def start(self, resident: Resident) -> None:
        """Share the data set; the workers themselves start with the first task."""
        single_thread()
        self._folder = TemporaryDirectory(prefix="hetsim-")
        self._shared = _share(resident.dataset, Path(self._folder.name))
        self._processes = self._fresh()

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Begin to compute a Ref from the values of its inputs."""
        bare = replace(ref, inputs=())
        self._tasks[ref.key] = _Task(bare, [_packed(value) for value in inputs])
        self._send(ref.key)

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Keys and values of tasks that have ended since the last call.

        Raises:
            HetsimError: workers die again and again.
        """
        results: list[tuple[str, Any]] = []
        while self._futures:
            done = self._ended(wait and not results)
            if not done:
                break
            for future in done:
                key = self._futures.pop(future)
                try:
                    value = _unpacked(future.result())
                except BrokenProcessPool:
                    self._revive()
                    break
                del self._tasks[key]
                self._deaths = 0
                results.append((key, value))
        return results

    def close(self) -> None:
        """Stop the workers, whatever they are doing, and remove the shared files."""
        self._futures.clear()
        self._tasks.clear()
        _kill(self._processes)
        self._folder.cleanup()

    def _ended(self, block: bool) -> list[Future[Any]]:
        if block:
            return list(wait(self._futures, return_when=FIRST_COMPLETED).done)
        return [future for future in self._futures if future.done()]

    def _send(self, key: str) -> None:
        try:
            with _deaf():
                future = self._processes.submit(_compute, self._tasks[key])
        except BrokenProcessPool as broken:
            future = Future()
            future.set_exception(broken)
        self._futures[future] = key

    def _revive(self) -> None:
        """Replace the workers and send every task again that has not come back."""
        self._deaths += 1
        if self._deaths > _DEATHS:
            raise HetsimError(
                f"worker processes died {self._deaths} times without finishing a task\n"
                "    They may lack memory: use fewer workers, a smaller model, or "
                "--executor inline."
            )
        _log.warning("a worker process died; its tasks are computed again")
        _kill(self._processes)
        self._processes = self._fresh()
        self._futures.clear()
        for key in self._tasks:
            self._send(key)

    def _fresh(self) -> ProcessPoolExecutor:
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if forks else "spawn")
        if forks:
            context.set_forkserver_preload(["hetsim.learn.ops"])
        return ProcessPoolExecutor(
            self._workers,
            mp_context=context,
            initializer=_begin,
            initargs=(self._shared, Path(self._folder.name)),
        )


@dataclass(frozen=True, slots=True)
class _Task:
    ref: Ref[Any]
    inputs: list[Any]


@dataclass(frozen=True, slots=True)
class _Packed:
    """Tensors as arrays: the queue copies their bytes and leaves no shared memory behind."""

    arrays: dict[str, np.ndarray]
    alone: bool


def _packed(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _Packed({"": value.numpy()}, alone=True)
    if isinstance(value, Mapping) and all(isinstance(item, Tensor) for item in value.values()):
        return _Packed({name: item.numpy() for name, item in value.items()}, alone=False)
    return value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, _Packed):
        return value
    tensors = {name: torch.from_numpy(array) for name, array in value.arrays.items()}
    return tensors[""] if value.alone else tensors


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started inside never see Ctrl-C; one that comes meanwhile reaches us afterwards.

    They inherit the blocked signal. Blocking alone would not keep it from us: it blocks one thread,
    and numpy's linear algebra has others.
    """
    came: list[tuple[Any, ...]] = []
    handler: Any = None
    blocked: set[Any] = set()
    main = threading.current_thread() is threading.main_thread()
    if main:
        handler = signal.signal(signal.SIGINT, lambda *event: came.append(event))
    if hasattr(signal, "pthread_sigmask"):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if main:
            signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
    if came and callable(handler):
        handler(*came[0])


def _kill(processes: ProcessPoolExecutor) -> None:
    """End an executor and its processes now."""
    running = list((processes._processes or {}).values())
    processes.shutdown(wait=False, cancel_futures=True)
    for process in running:
        process.kill()
    for process in running:
        process.join()


def _share(dataset: Dataset, folder: Path) -> Dataset:
    """The data set with the paths of files in place of its arrays."""
    changes: dict[str, Any] = {}
    for field in fields(dataset):
        value = getattr(dataset, field.name)
        if isinstance(value, np.ndarray):
            path = folder / f"{field.name}.npy"
            np.save(path, value)
            changes[field.name] = path
    return replace(dataset, **changes)


# --- in a worker --------------------------------------------------------------------------------

_resident: Resident
"""The data set of this worker process."""


def _begin(shared: Dataset, folder: Path) -> None:
    """Make this process a worker."""
    global _resident
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent, folder), daemon=True).start()
    single_thread()
    mapped = {
        field.name: np.load(path, mmap_mode="c", allow_pickle=False)
        for field in fields(shared)
        if isinstance(path := getattr(shared, field.name), Path)
    }
    _resident = Resident(replace(shared, **mapped))


def _end_with(parent: Any, folder: Path) -> None:
    """End when the parent has; if it was killed, its files are still there."""
    parent.join()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _compute(task: _Task) -> Any:
    return _packed(ops.compute(task.ref, [_unpacked(value) for value in task.inputs], _resident))
