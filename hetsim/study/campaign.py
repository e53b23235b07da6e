"""Campaigns: many runs over one store, none of them played twice.

What is asked of a run is kept as JSON under the name of what was run: the hash of its resolved
spec, its seed, the question, and the version and the numerics it was answered with. A campaign that
was killed finds the runs that were finished there; the one that was not replays what its store
holds. Runs are independent of each other, so any number of processes may share them out.
"""

from __future__ import annotations

import gc
import hashlib
import json
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hetsim.core.errors import HetsimError, Interrupted, SpecError, Stuck
from hetsim.core.files import placed
from hetsim.core.quantities import Bytes
from hetsim.core.registry import EXECUTORS
from hetsim.core.trace import Trace
from hetsim.spec.build import Scenario, resolve
from hetsim.spec.schema import load_topology
from hetsim.study import folder as run_folder
from hetsim.study.simulate import Settings, simulate

Question = Callable[[Trace], Any]
"""What is asked of a finished run: a function of a module, whose answer is plain JSON."""

Known = dict[object, Any]
"""The data set that was read last (`hetsim.spec.build.resolve`): runs of a campaign share it."""

_EXECUTOR = "inline"
_STORE, _ANSWERS = "store", "runs"
_ROOM: Bytes = 20e9
"""Of the store: some ten megabytes of server models a run, or hundreds for a large network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A run of a campaign.

    Attributes:
        topology: file, or name of a topology that comes with hetsim.
        overrides: texts such as "method.lr=0.1".
        seed: replaces the file's.
    """

    topology: str | Path
    overrides: tuple[str, ...] = ()
    seed: int | None = None

    def __str__(self) -> str:
        changed = "".join(f" --set '{text}'" for text in self.overrides)
        return f"{self.topology}{changed}{'' if self.seed is None else f' --seed {self.seed}'}"


def campaign(
    variants: Sequence[Variant],
    question: Question,
    *,
    work: Path,
    data: Path | None = None,
    workers: int = 1,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Any]:
    """Play all variants and return what is asked of each, in their order.

    Args:
        variants: of which equal ones are played once.
        question: what to keep of a run.
        work: folder of what is known already and of the store; it may serve many campaigns.
        data: folder of data sets.
        workers: processes to play in; with one, this one.
        progress: told how many runs are done.

    Raises:
        SpecError: a variant is wrong; nothing has been played then.
        HetsimError: a run could not go on; the message names it. What was finished is kept.
        Interrupted: the user stopped it, likewise.
    """
    run_folder.make(work / _ANSWERS, "campaign")
    with run_folder.claimed(work):
        read: Known = {}
        keys = [_key(variant, question, data, read) for variant in variants]
        first = dict(zip(reversed(keys), reversed(variants), strict=True))
        places = {key: work / _ANSWERS / f"{key}.json" for key in reversed(first)}
        missing = deque(
            _Task(variant=first[key], question=question, answer=place, store=work / _STORE,
                  data=data)
            for key, place in places.items() if not place.is_file()
        )  # fmt: skip
        known = len(places) - len(missing)
        _tell(progress, known, len(places))
        done = known
        try:
            for _ in _played(missing, min(workers, len(missing)), read):
                done += 1
                _tell(progress, done, len(places))
        except (KeyboardInterrupt, Interrupted) as stop:
            raise Interrupted(
                f"interrupted: {done} of {len(places)} runs are kept in {work}\n"
                "    The same command goes on with the others."
            ) from stop
        found = {key: json.loads(place.read_text("utf-8")) for key, place in places.items()}
    return [found[key]["answer"] for key in keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A run to be played and where its answer belongs."""

    variant: Variant
    question: Question
    answer: Path
    store: Path
    data: Path | None

    def play(self, known: Known) -> None:
        """Play it and keep the answer, whole or not at all."""
        with _named(self.variant):
            scenario = _scenario(self.variant, self.data, known)
            trace = simulate(scenario, Settings(store=self.store, store_limit=_ROOM), None).trace
        kept = {"run": str(self.variant), "answer": self.question(trace)}
        text = json.dumps(kept, indent=1, sort_keys=True, allow_nan=False) + "\n"
        with placed(self.answer) as file:
            file.write(text.encode())
        learns = not scenario.spec.cost_only
        del scenario, trace
        if learns:
            gc.collect()  # a world is a cycle of a few hundred megabytes, and the next is coming


def _tell(progress: Callable[[str], None], done: int, total: int) -> None:
    progress(f"{done} of {total} runs")


def _scenario(variant: Variant, data: Path | None, known: Known) -> Scenario:
    spec = load_topology(variant.topology, overrides=variant.overrides, seed=variant.seed)
    return resolve(spec, data, known)


def _key(variant: Variant, question: Question, data: Path | None, known: Known) -> str:
    """Names a run, what is asked of it, and what it is answered with."""
    with _named(variant):
        scenario = _scenario(variant, data, known)
    asked = f"{question.__module__}.{question.__qualname__}"
    numerics = EXECUTORS.load(_EXECUTOR)().tag
    parts = [version("hetsim"), numerics, asked, scenario.digest, scenario.spec.seed]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@contextmanager
def _named(variant: Variant) -> Iterator[None]:
    """Errors that say which run they are of."""
    try:
        yield
    except Interrupted:
        raise
    except HetsimError as error:
        text = f"{error}\n    in the run: {variant}"
        if isinstance(error, SpecError):
            raise SpecError(
                error.what, where=error.where, key=error.key,
                remedy=f"{error.remedy}\n    in the run: {variant}".lstrip("\n "),
            ) from error  # fmt: skip
        raise (Stuck if isinstance(error, Stuck) else HetsimError)(text) from error


# --- processes ------------------------------------------------------------------------------------


def _played(tasks: deque[_Task], workers: int, known: Known) -> Iterator[_Task]:
    """Play all tasks; each is yielded when its answer is kept."""
    if workers <= 1:
        while tasks:
            task = tasks.popleft()
            task.play(known)
            yield task
        return
    crew = _Crew(workers)
    try:
        yield from crew.play(tasks)
    finally:
        crew.end()


class _Crew:
    """Processes that play one run at a time; they end with this one, whatever it dies of."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._members: dict[Connection, BaseProcess] = {}
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._members[ours] = process

    def play(self, tasks: deque[_Task]) -> Iterator[_Task]:
        """Hand out the tasks in their order."""
        busy: dict[Connection, _Task] = {}
        for link in self._members:
            _hand_out(link, tasks, busy)
        while busy:
            for link in [link for link in wait(list(busy)) if isinstance(link, Connection)]:
                task = busy.pop(link)
                try:
                    error = link.recv()
                except (EOFError, OSError):
                    error = Stuck(
                        "a worker died, perhaps for want of memory\n    The same command goes on "
                        f"with what is left.\n    in the run: {task.variant}"
                    )
                if error is not None:
                    raise error
                yield task
                _hand_out(link, tasks, busy)

    def end(self) -> None:
        """Stop them, whatever they are doing."""
        for link, process in self._members.items():
            link.close()
            process.terminate()
        for process in self._members.values():
            process.join()
            process.close()


def _hand_out(link: Connection, tasks: deque[_Task], busy: dict[Connection, _Task]) -> None:
    if tasks:
        busy[link] = task = tasks.popleft()
        link.send(task)


def _work(link: Connection) -> None:
    """Play what comes until nobody is there to send it; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    known: Known = {}
    while True:
        try:
            task: _Task = link.recv()
        except (EOFError, OSError):
            return
        error: Exception | None = None
        try:
            task.play(known)
        except Exception as fault:
            error = fault
        link.send(error)
