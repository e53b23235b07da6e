"""Computes in worker processes that live as long as the run, one thread each.

Values travel through shared memory: the data set is mapped by all workers, a model from which many
tasks start is written once, and what a worker has computed is copied once, out of memory that is
used again. Tasks of one kin gather in a group, which is cut evenly over the workers.

The workers start with the first task, and this process computes until one of them is ready. Tasks
are pure, so those of a worker that died are simply done again.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count
from selectors import EVENT_READ, DefaultSelector
from tempfile import gettempdir
from typing import Any, NamedTuple

from torch import Tensor

from hetsim.core.errors import SpecError, Stuck
from hetsim.core.quantities import Seconds
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.executors import _shared
from hetsim.learn.executors._crew import Crew, Failure, Given, Message
from hetsim.learn.executors.base import STACK
from hetsim.learn.numerics import single_thread, tag
from hetsim.learn.resident import Resident

_AHEAD = 4
"""How far the newest batch may be ahead of the oldest that is under way, in widths: what overtakes
the next input of a mean is kept until it can be added."""
_DEATHS = 3
"""Times in a row that workers may die without a task coming back."""
_BLINK: Seconds = 0.2
"""How long to wait at a time: a Ctrl-C that comes just as a wait begins does not end it."""
_log = logging.getLogger(__name__)

Batch = list[ops.Task]
"""Tasks that are computed together: a stack of one kin, or one alone."""


class Pool:
    """Worker processes; `workers` is their number, by default one for each core."""

    def __init__(self, *, workers: int | None = None) -> None:
        if not hasattr(socket, "send_fds"):
            raise SpecError(
                "needs Linux or macOS", key="executor (pool)", remedy="Take --executor inline."
            )
        if workers is not None and workers < 1:
            raise SpecError(
                f"{workers} workers", key="executor (pool)", remedy="Ask for one or more."
            )
        self._workers = workers or _cores()
        self.width = _shared.QUEUED * self._workers
        self._kin: Hashable | None = None
        self._group: Batch = []
        self._batches: dict[int, Batch] = {}
        self._serials = count()
        self._waiting: deque[int] = deque()
        self._crew: Crew | None = None
        self._at: dict[_shared.Link, deque[int]] = {}
        self._data: int | None = None
        self._files: dict[int, _File] = {}
        self._numbers = count()
        self._deaths = 0

    @property
    def tag(self) -> str:
        """That of this host."""
        return tag()

    def start(self, resident: Resident) -> None:
        """Be ready to compute on this data set."""
        single_thread()
        self._resident = resident

    def takes(self, ref: Ref[Any]) -> bool:
        """Whether it is kin of the open group, or a worker has nothing to do next."""
        if self._group and ops.kin(ref) == self._kin:
            return True
        if self._batches and self._newest - min(self._batches) >= _AHEAD * self.width:
            return False
        return len(self._batches) + min(len(self._group), self._workers) < self.width

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Begin to compute a Ref from the values of its inputs, or let it wait for its kin."""
        kin = ops.kin(ref)
        if kin is None or kin != self._kin:
            self._cut()
        self._kin = kin
        self._group.append((replace(ref, inputs=()), inputs))
        if kin is None or len(self._group) == STACK * self._workers:
            self._cut()
        self._hand_out()

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Keys and values of tasks that have ended since the last call.

        Raises:
            Stuck: workers die again and again.
        """
        if wait or not all(self._at.values()):  # somebody has nothing to do
            self._cut()
            self._hand_out()
        results: list[tuple[str, Any]] = []
        while self._batches:
            results += self._collected(_BLINK if wait and not self._alone else 0)
            if wait and self._alone:
                batch = self._batches.pop(self._waiting.popleft())
                results += _by_key(batch, ops.compute_all(batch, self._resident))
            if results or not wait:
                break
        return results

    def close(self) -> None:
        """Stop the workers, whatever they are doing."""
        self._group.clear()
        self._batches.clear()
        self._waiting.clear()
        self._dismiss()
        self._clear_out()
        if self._data is not None:
            os.close(self._data)
            self._data = None

    @property
    def _alone(self) -> bool:
        """Whether no worker is ready yet, the first time."""
        return not self._at and not self._deaths

    def _cut(self) -> None:
        """Close the group: as many stacks as there are workers."""
        size = len(self._group)
        stacks = min(size, self._workers)
        for place in range(stacks):
            part = slice(place * size // stacks, (place + 1) * size // stacks)
            self._newest = next(self._serials)
            self._batches[self._newest] = self._group[part]
            self._waiting.append(self._newest)
        self._group, self._kin = [], None

    def _hand_out(self) -> None:
        """Give waiting tasks to workers that are ready."""
        if self._waiting and self._crew is None:
            self._employ()
        while self._waiting and self._at:
            link = min(self._at, key=lambda link: len(self._at[link]))
            if len(self._at[link]) == _shared.QUEUED:
                return
            serial = self._waiting.popleft()
            self._at[link].append(serial)
            self._send(link, self._batches[serial])

    def _send(self, link: _shared.Link, batch: Batch) -> None:
        """Models that a single task needs come in files of their own, a stack's in the message."""
        files: dict[int, int] = {}
        if len(batch) == 1:
            [(ref, inputs)] = batch
            inputs = list(inputs)
            for place, value in enumerate(inputs):
                if isinstance(value, Tensor | Mapping):
                    given = self._file(value)
                    files[given.number] = given.file
                    inputs[place] = Given(given.number)
            batch = [(ref, inputs)]
        with suppress(ConnectionError):  # the worker died; its link will say so
            link.send(Message(tuple(files), batch), [*files.values()])

    def _file(self, value: Any) -> _File:
        """The file of a value, written once for all tasks under way that need it."""
        if id(value) not in self._files:
            self._clear_out()
            self._files[id(value)] = _File(next(self._numbers), _shared.write(value), value)
        return self._files[id(value)]

    def _clear_out(self) -> None:
        """Let go of values that no task under way needs."""
        tasks = chain.from_iterable(self._batches.values())
        needed = {id(value) for _, inputs in tasks for value in inputs}
        for identity in self._files.keys() - needed:
            os.close(self._files.pop(identity).file)

    def _collected(self, patience: Seconds) -> list[tuple[str, Any]]:
        """What workers have sent; waits so long for the first of it."""
        results: list[tuple[str, Any]] = []
        for key, _ in self._selector.select(patience):
            link: Any = key.fileobj
            try:
                values, _ = link.receive()
            except ConnectionError:
                self._replace()
                break
            if link not in self._at:  # it says that it is ready
                self._at[link] = deque()
                continue
            self._deaths = 0
            batch = self._batches.pop(self._at[link].popleft())
            if isinstance(values, Failure):
                raise values.error
            results += _by_key(batch, values)
        self._hand_out()
        return results

    def _employ(self) -> None:
        """Start workers; they report for themselves."""
        if self._data is None:
            try:
                self._data = _shared.write(self._resident.dataset)
            except OSError as fault:
                raise Stuck(
                    f"the data set cannot be shared with worker processes: {fault.strerror}\n"
                    f"    Make room in {gettempdir()}, or take --executor inline."
                ) from fault
        self._crew = Crew(self._workers, self._data)
        self._selector = DefaultSelector()
        for link in self._crew.links:
            self._selector.register(link, EVENT_READ)

    def _dismiss(self) -> None:
        if self._crew is not None:
            self._crew.kill()
            self._selector.close()
        self._crew = None
        self._at.clear()

    def _replace(self) -> None:
        """Take new workers, and do every task again that has not come back."""
        self._deaths += 1
        self._dismiss()
        self._waiting = deque(self._batches)
        if self._deaths > _DEATHS:
            raise Stuck(
                f"worker processes died {self._deaths} times without finishing a task\n"
                "    They may lack memory: use fewer workers, a smaller model, or "
                "--executor inline."
            )
        _log.warning("a worker process died; its tasks are computed again")
        self._employ()


class _File(NamedTuple):
    number: int
    file: int
    value: Any


def _by_key(batch: Batch, values: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(ref.key, value) for (ref, _), value in zip(batch, values, strict=True)]


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
