"""The processes of a pool: workers, each with a link to the parent.

The first one loads everything, which takes a second or two, and forks the others. All are a process
group of their own, so that Ctrl-C at a terminal, which is the parent's to handle, reaches none of
them, and one signal ends them all. Each ends by itself when the parent is gone, whatever the parent
died of.

A worker first takes the data set, says that it is ready, and then answers messages in their order.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hetsim.core.errors import Stuck
from hetsim.learn import ops
from hetsim.learn.executors import _shared
from hetsim.learn.numerics import single_thread
from hetsim.learn.resident import Resident

_KNOWN = 4
"""Models that a worker keeps, in case the next task needs one of them."""


@dataclass(frozen=True, slots=True)
class Given:
    """An input that comes in a file of its own; the number stands for the value."""

    number: int


@dataclass(frozen=True, slots=True)
class Message:
    """Tasks to be computed together; the files of `given` come with it, in this order."""

    given: tuple[int, ...]
    tasks: list[ops.Task]


@dataclass(frozen=True, slots=True)
class Failure:
    """What a task raised, in place of values."""

    error: Exception


class Crew:
    """Worker processes.

    Attributes:
        links: one to each worker.
        group: process group of the workers.
    """

    def __init__(self, workers: int, data: int) -> None:
        """Start them, with the open file of the data set; returns before they are ready."""
        pairs = [socket.socketpair() for _ in range(workers)]
        theirs = [end.fileno() for _, end in pairs]
        self._first = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import begin; begin({theirs})"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=theirs,
            process_group=0,
            env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(_absolute(sys.path))},
        )
        self.group = self._first.pid
        for _, end in pairs:
            end.close()
        self.links = [_shared.Link(link) for link, _ in pairs]
        for link in self.links:
            with contextlib.suppress(ConnectionError):  # it is gone, and its link will say so
                link.send(None, [data])

    def kill(self) -> None:
        """End all processes, whatever they are doing."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # they are gone already
            os.killpg(self.group, signal.SIGKILL)
        self._first.wait()
        for link in self.links:
            link.outlast()
            link.close()


_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Threads that would only be in the way of a fork."""


def _absolute(places: Sequence[str]) -> list[str]:
    return [os.path.abspath(place) for place in places]


# --- in the processes ---------------------------------------------------------------------------


def begin(ends: Sequence[int]) -> None:
    """Become as many workers as there are sockets to the parent."""
    single_thread()
    mine = ends[-1]
    for end in ends[:-1]:
        if os.fork() == 0:
            mine = end
            break
    for end in ends:
        if end != mine:
            os.close(end)
    try:
        work(_shared.Link(socket.socket(fileno=mine)))
    except ConnectionError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def work(link: _shared.Link) -> None:
    """Answer every message with the values of its tasks, for good."""
    threading.Thread(target=_end_with, args=(link,), daemon=True).start()
    _, [data] = link.receive()
    resident = Resident(_shared.read(data, mapped=True))
    link.send(None)
    known: dict[int, Any] = {}
    while True:
        try:
            values = _computed(*link.receive(), known, resident)
            link.send(values, beside=len(values) == 1)
            del values
        except ConnectionError:
            raise
        except Exception as error:
            link.send(Failure(_portable(error)))


def _end_with(link: _shared.Link) -> None:
    """End this process when the other end is gone, whatever it is doing."""
    watch = select.poll()
    watch.register(link, 0)  # a broken connection is always told
    watch.poll()
    os._exit(1)


def _computed(
    message: Message, files: list[int], known: dict[int, Any], resident: Resident
) -> list[Any]:
    for number, file in zip(message.given, files, strict=True):
        if number in known:
            os.close(file)
        else:
            known[number] = _shared.read(file)
    tasks = [
        (ref, [known[value.number] if isinstance(value, Given) else value for value in inputs])
        for ref, inputs in message.tasks
    ]
    while len(known) > _KNOWN:
        del known[next(iter(known))]
    return ops.compute_all(tasks, resident)


def _portable(error: Exception) -> Exception:
    """The error with where it came from, as far as it can travel."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        return _shared.read(_shared.write(error))
    except Exception:
        return Stuck("".join(traceback.format_exception(error)))
