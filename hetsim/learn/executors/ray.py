"""Computes on a Ray cluster: a given one, that of $RAY_ADDRESS, or one that is started here.

The data set goes into the cluster's object store once, and each worker keeps it ready for as long
as it lives. A model that tasks begin from goes there once too, for as long as it is held here, and
travels once to a node, not once a task. Tasks of one kin are sent in stacks, cut evenly over the
workers, and only a few stacks are under way, so that memory does not grow with the cohort.

Tasks are pure, so those of a worker or a node that died are simply sent again. A worker whose
hetsim or whose arithmetic (`numerics.tag`) is another one than here refuses to compute.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

from torch import Tensor

from hetsim import __version__
from hetsim.core.errors import HetsimError, SpecError, Stuck
from hetsim.core.quantities import Seconds
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.executors import _ray_worker as worker
from hetsim.learn.executors.base import STACK
from hetsim.learn.numerics import single_thread, tag
from hetsim.learn.resident import Resident

_Object: TypeAlias = Any
"""A `ray.ObjectRef`: the name of a value in the object store, which lives as long as its names."""

_KEY = "executor (ray)"
_QUEUED = 2
"""Stacks under way for each worker: the one it computes and the next."""
_DEATHS = 3
"""Workers that may die of one stack before it is given up."""
_PATIENCE: Seconds = 5.0
"""How long a cluster may take to answer."""
_log = logging.getLogger(__name__)


class Ray:
    """Workers of a Ray cluster, one CPU each.

    Args:
        workers: their number, by default one for each CPU of the cluster.
        address: of a running cluster, or "local" for one that is started here and stopped in the
            end; by default $RAY_ADDRESS, else "local". A program that has connected to a cluster
            itself computes on that one, and stays connected.

    Raises:
        SpecError: Ray is not installed.
    """

    def __init__(self, *, workers: int | None = None, address: str | None = None) -> None:
        if workers is not None and workers < 1:
            raise SpecError(f"{workers} workers", key=_KEY, remedy="Ask for one or more.")
        if find_spec("ray") is None:
            raise SpecError(
                "Ray is not installed", key=_KEY, remedy='Install it: pip install "hetsim[ray]"'
            )
        self._wanted, self._address = workers, address or os.environ.get("RAY_ADDRESS") or "local"
        self._workers = workers or 1
        self.width = _QUEUED * self._workers
        self._ray: Any = None
        self._connected = False
        self._group: list[ops.Task] = []
        self._running: dict[_Object, _Stack] = {}
        self._lent: dict[Hashable, _Object] = {}

    @property
    def tag(self) -> str:
        """That of this host, and of every worker."""
        return tag()

    def start(self, resident: Resident) -> None:
        """Connect to the cluster, or start one, and put the data set into it.

        Raises:
            SpecError: there is no such cluster, or it has fewer CPUs than workers were asked for.
            HetsimError: a cluster cannot be started on this host.
        """
        single_thread()
        self.connect()
        try:
            self._data = self._ray.put(resident.dataset)
        except BaseException:
            self.close()
            raise
        self._context = worker.Context(__version__, tag(), resident.dataset.identity)
        self._compute = self._ray.remote(num_cpus=1, max_retries=0)(worker.compute)

    def connect(self) -> None:
        """Connect to the cluster, or start one; errors as for `start`."""
        self._ray = import_module("ray")
        try:
            if not self._ray.is_initialized():
                self._connect()
            self._workers = self._allowed()
        except BaseException:
            self.close()
            raise

    def spread(
        self, function: Callable[[Any], Any], items: Iterable[Any]
    ) -> Iterator[tuple[Any, Any]]:
        """Each item and what workers make of it, in the order in which they end.

        An item whose worker died is sent again. Of a cluster that is connected.

        Args:
            function: of a module; its errors are raised here.
            items: sent when a worker is free.

        Raises:
            Stuck: workers die again and again, or would compute something else than we.
        """
        call = self._ray.remote(num_cpus=1, max_retries=0)(worker.call)
        context = worker.Context(__version__, tag(), "")
        waiting = deque((item, 0) for item in items)
        away: dict[_Object, tuple[Any, int]] = {}
        try:
            while waiting or away:
                while waiting and len(away) < self._workers:
                    item, deaths = waiting.popleft()
                    away[call.remote(context, function, item)] = item, deaths
                (ended, *_), _ = self._ray.wait(list(away), num_returns=1)
                item, deaths = away.pop(ended)
                try:
                    found = self._ray.get(ended)
                except self._ray.exceptions.RayError as error:
                    fault = self._death(error)
                    if deaths == _DEATHS:
                        raise _hopeless(deaths + 1, fault) from fault
                    _log.warning("a Ray worker died; its task is sent again")
                    waiting.appendleft((item, deaths + 1))
                    continue
                yield item, found
        finally:
            if self._ray.is_initialized():
                for each in away:
                    self._ray.cancel(each, force=True)

    def takes(self, ref: Ref[Any]) -> bool:
        """Whether a worker has nothing to do next, or kin of `ref` waits to be sent."""
        kin = ops.kin(ref)
        if self._group and kin is not None and kin == ops.kin(self._group[0][0]):
            return len(self._group) < STACK * self._workers
        room = self.width - len(self._running) - min(len(self._group), self._workers)
        return room >= (1 if kin is None else self._workers)

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Begin to compute a Ref from the values of its inputs; kin is sent together."""
        kin = ops.kin(ref)
        if self._group and kin != ops.kin(self._group[0][0]):
            self._send_group()
        self._group.append((ref, inputs))
        if kin is None:
            self._send_group()

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Keys and values of tasks that have ended since the last call.

        Raises:
            Stuck: workers die again and again, or would compute something else than we.
        """
        if wait or len(self._running) < self._workers:
            self._send_group()
        results: list[tuple[str, Any]] = []
        while self._running and (ended := self._ended(block=wait and not results)):
            for each in ended:
                results += self._results(each)
        return results

    def close(self) -> None:
        """Give up what is under way; stop the cluster if it was started here."""
        if self._ray is None:
            return
        if self._ray.is_initialized():
            for each in self._running:
                self._ray.cancel(each, force=True)
        self._group.clear()
        self._running.clear()
        self._lent.clear()
        self._data = None
        if self._connected:
            self._connected = False
            self._ray.shutdown()

    # --- the cluster ----------------------------------------------------------------------------

    def _connect(self) -> None:
        here = self._address == "local"
        settings = {"num_cpus": self._wanted, "include_dashboard": False} if here else {}
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            if not here:
                _knock(self._address)
            self._connected = True
            self._ray._private.worker.print_to_stdstream = _logged
            with _signals_unchanged():
                self._ray.init(
                    self._address, log_to_driver=False, configure_logging=False, **settings
                )
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as fault:
            if here:
                raise HetsimError(
                    f"Ray cannot start on this host: {_line(fault)}\n    Use --executor pool."
                ) from fault
            raise SpecError(
                f"cannot connect to the cluster at {self._address}: {_line(fault)}",
                key=_KEY,
                remedy="Mend RAY_ADDRESS (and set RAY_AUTH_MODE=token, if the cluster asks for "
                "one), or unset it: then a cluster is started on this host.",
            ) from fault

    def _allowed(self) -> int:
        """How many workers there will be; sets `width` for so many."""
        cpus = int(self._ray.cluster_resources().get("CPU", 0))
        workers = self._wanted or max(1, cpus)
        if workers > cpus:
            raise SpecError(
                f"{workers} workers, but the cluster has {cpus} CPUs",
                key=_KEY,
                remedy="Ask for fewer workers.",
            )
        # In a larger cluster every stack that is sent has a CPU at once, so none may be queued.
        self.width = workers * (_QUEUED if workers == cpus else 1)
        return workers

    # --- stacks on their way --------------------------------------------------------------------

    def _send_group(self) -> None:
        """Send the tasks that wait, cut evenly over the workers."""
        tasks, self._group = self._group, []
        stacks = min(len(tasks), self._workers)
        for place in range(stacks):
            self._send(self._stack(tasks[place::stacks]))

    def _stack(self, tasks: Sequence[ops.Task]) -> _Stack:
        lent: dict[_Object, int] = {}
        bare: list[ops.Task] = []
        for ref, inputs in tasks:
            values: list[Any] = []
            for value in inputs:
                shared = self._lend(value)
                if shared is not None:
                    value = worker.Lent(lent.setdefault(shared, len(lent)))
                values.append(value)
            bare.append((replace(ref, inputs=()), values))
        return _Stack(bare, list(lent))

    def _lend(self, value: Any) -> _Object | None:
        """The object of a value made of tensors; it is put into the store once while they live."""
        packed = worker.packed(value)
        if not isinstance(packed, worker.Packed):
            return None
        tensors: list[Tensor] = [value] if packed.alone else list(value.values())
        key = (*packed.arrays, *map(id, tensors))
        if key not in self._lent:
            self._lent[key] = self._ray.put(packed)
            for tensor in tensors:
                weakref.finalize(tensor, self._lent.pop, key, None).atexit = False
        return self._lent[key]

    def _send(self, stack: _Stack) -> None:
        each = self._compute.remote(self._context, [self._data], stack.tasks, *stack.lent)
        self._running[each] = stack

    def _ended(self, *, block: bool) -> list[_Object]:
        running = list(self._running)
        if block:
            self._ray.wait(running, num_returns=1)
        ended, _ = self._ray.wait(running, num_returns=len(running), timeout=0)
        return ended

    def _results(self, each: _Object) -> list[tuple[str, Any]]:
        """Keys and values of a stack; none if it had to be sent again."""
        stack = self._running.pop(each)
        try:
            values = self._ray.get(each)
        except self._ray.exceptions.RayError as error:
            self._send_again(stack, self._death(error))
            return []
        return [
            (ref.key, worker.unpacked(value, copy=True))
            for (ref, _), value in zip(stack.tasks, values, strict=True)
        ]

    def _death(self, error: Any) -> Exception:
        """What a worker died of; an error of the task itself is raised."""
        errors = self._ray.exceptions
        fault = error.cause if isinstance(error, errors.RayTaskError) else error
        if isinstance(fault, errors.RaySystemError):
            raise Stuck(
                f"a Ray worker cannot read what it is sent: {_line(fault)}\n"
                f"    Install hetsim {__version__}, with the same Python and packages as here, "
                "on every node of the cluster."
            ) from error
        if not isinstance(fault, errors.RayError):
            raise fault from error
        return fault

    def _send_again(self, stack: _Stack, fault: Exception) -> None:
        stack.deaths += 1
        if stack.deaths > _DEATHS:
            raise _hopeless(stack.deaths, fault) from fault
        _log.warning("a Ray worker died; its tasks are computed again")
        self._send(stack)


@dataclass(slots=True)
class _Stack:
    """Tasks computed together, the objects lent to them, and how many workers died of them."""

    tasks: list[ops.Task]
    lent: list[_Object]
    deaths: int = 0


def _hopeless(deaths: int, fault: Exception) -> Stuck:
    return Stuck(
        f"{deaths} Ray workers died of the same task: {_line(fault)}\n"
        "    They may lack memory: use fewer workers, a smaller model, or --executor inline."
    )


def _line(fault: Exception) -> str:
    """The first line of what an error says."""
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


def _knock(address: str) -> None:
    """See whether anybody listens at host:port, which Ray itself tries for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()


def _logged(data: Mapping[str, Any], **_: Any) -> None:
    """What Ray reports of dead workers, which it would print where the answers of a run go."""
    logging.getLogger("ray").info("%s: %s", data["pid"], "\n".join(data["lines"]))


@contextmanager
def _signals_unchanged() -> Iterator[None]:
    """SIGTERM means afterwards what it meant before."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
