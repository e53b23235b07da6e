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
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from hetsim.core.errors import HetsimError, Interrupted, SpecError, Stuck
from hetsim.core.files import placed
from hetsim.core.quantities import Bytes
from hetsim.core.registry import EXECUTORS
from hetsim.core.trace import Trace
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.study import folder as run_folder
from hetsim.study.simulate import Settings, simulate

Question = Callable[[Trace], Any]
"""What is asked of a finished run: a function of a module, whose answer is plain JSON."""

Known = dict[object, Any]
"""The data set that was read last (`hetsim.spec.world.resolve`): runs of a campaign share it."""

_EXECUTOR = "inline"
STORE, _ANSWERS = "store", "runs"
_ROOM: Bytes = 20e9
"""Of the store: some ten megabytes of server models a run, or hundreds for a large network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A run of a campaign.

    Attributes:
        topology: file, or name of a topology that comes with hetsim.
        overrides: texts such as "method.lr=0.1".
        seed: replaces the file's.
        name: what messages call it; by default the options that make it.
    """

    topology: str | Path
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    name: str = ""

    def __str__(self) -> str:
        if self.name:
            return self.name
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
    known: Known = {}
    runs = identified(variants, question, data=data, known=known)
    return answers(
        runs, question, work=work, data=data, workers=workers, known=known,
        progress=lambda done, of: progress(f"{done} of {of} runs"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A run that was found to be right, and what names it.

    Attributes:
        variant: the run.
        title: of its topology.
        digest: hash of its resolved spec.
        seed: of its random streams.
        notes: options that its overrides dropped, in words.
        key: of the run, of what is asked of it, and of what it is answered with.
    """

    variant: Variant
    title: str
    digest: str
    seed: int
    notes: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Instead of an answer: a run that could not go on, and would not if it were played again."""

    why: str


def identified(
    variants: Sequence[Variant], question: Question, *, data: Path | None, known: Known
) -> list[Identified]:
    """Resolve all variants; plays nothing.

    Raises:
        SpecError: a variant is wrong; the message names it.
    """
    return [_identified(variant, question, data, known) for variant in variants]


def answers(
    runs: Sequence[Identified],
    question: Question,
    *,
    work: Path,
    store: Path | None = None,
    data: Path | None = None,
    workers: int | None = None,
    ray: bool = False,
    known: Known,
    failures: bool = False,
    players: Players | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Any]:
    """Play the runs whose answer is not kept in `work` yet; as `campaign` otherwise.

    On a cluster the nodes must see the same files as this host.

    Args:
        runs: of which equal ones are played once.
        question: the one they were identified with.
        work: folder of what is known already.
        store: of learned values; None for one in `work`.
        data: folder of data sets.
        workers: processes to play in; None for this one, or for all of a cluster.
        ray: whether they are those of a Ray cluster: of $RAY_ADDRESS, or one started here.
        known: data that identifying the runs has read.
        failures: whether a run that cannot go on is answered with `Failed`, and kept as such.
        players: who plays in place of `workers` and `ray`; whoever made them ends them.
        progress: told how many runs are done, of how many.
    """
    run_folder.make(work / _ANSWERS, "campaign")
    with run_folder.claimed(work):
        run_folder.tidy(work / _ANSWERS)
        first = {run.key: run.variant for run in reversed(runs)}
        places = {key: work / _ANSWERS / f"{key}.json" for key in reversed(first)}
        found = {key: _kept(place) for key, place in places.items() if place.is_file()}
        missing = deque(
            _Task(variant=first[key], question=question, answer=place, data=data,
                  store=store or work / STORE, failures=failures)
            for key, place in places.items()
            if key not in found or (isinstance(found[key], Failed) and not failures)
        )  # fmt: skip
        done = len(places) - len(missing)
        progress(done, len(places))
        playing = players or Players(workers, ray=ray)
        try:
            for task in playing.play(missing, known):
                found[task.answer.stem] = _kept(task.answer)
                done += 1
                progress(done, len(places))
        except (KeyboardInterrupt, Interrupted) as stop:
            raise Interrupted(
                f"interrupted: {done} of {len(places)} runs are kept in {work}\n"
                "    The same command goes on with the others."
            ) from stop
        finally:
            if players is None:
                playing.end()
    return [found[run.key] for run in runs]


def _kept(place: Path) -> Any:
    """The answer in a file, or `Failed`."""
    kept = json.loads(place.read_text("utf-8"))
    return Failed(kept["failed"]) if "failed" in kept else kept["answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A run to be played and where its answer belongs."""

    variant: Variant
    question: Question
    answer: Path
    store: Path
    data: Path | None
    failures: bool

    def play(self, known: Known) -> None:
        """Play it and keep the answer."""
        self.keep(self.told(known))

    def keep(self, text: bytes) -> None:
        """Write the answer, whole or not at all."""
        with placed(self.answer) as file:
            file.write(text)

    def told(self, known: Known) -> bytes:
        """Play it; returns what its file is to hold."""
        with _named(self.variant):
            scenario = _scenario(self.variant, self.data, known)
            kept = {"run": str(self.variant), **self._told(scenario)}
        text = json.dumps(kept, indent=1, sort_keys=True, allow_nan=False) + "\n"
        learns = not scenario.spec.cost_only
        del scenario
        if learns:
            gc.collect()  # a world is a cycle of a few hundred megabytes, and the next is coming
        return text.encode()

    def _told(self, scenario: Scenario) -> dict[str, Any]:
        """What is asked of it; or why it failed, if that is an answer."""
        try:
            trace = simulate(scenario, Settings(store=self.store, store_limit=_ROOM), None).trace
        except HetsimError as error:
            if not self.failures or isinstance(error, Interrupted | Stuck):
                raise
            return {"failed": str(error)}
        return {"answer": self.question(trace)}


def _scenario(variant: Variant, data: Path | None, known: Known) -> Scenario:
    spec = load_topology(variant.topology, overrides=variant.overrides, seed=variant.seed)
    return resolve(spec, data, known)


def _identified(
    variant: Variant, question: Question, data: Path | None, known: Known
) -> Identified:
    with _named(variant):
        scenario = _scenario(variant, data, known)
        spec, digest = scenario.spec, scenario.digest
    asked = f"{question.__module__}.{question.__qualname__}"
    numerics = EXECUTORS.load(_EXECUTOR)().tag
    parts = [version("hetsim"), numerics, asked, digest, spec.seed]
    return Identified(
        variant=variant, title=spec.name, digest=digest, seed=spec.seed, notes=spec.notes,
        key=hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32],
    )  # fmt: skip


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


class Players:
    """Who plays runs: this process, several, or a cluster; begun when they are first needed.

    They may serve many campaigns, one after the other, until they are ended.

    Args:
        workers: processes; None for this one, or for all of a cluster.
        ray: whether they are those of a Ray cluster.
    """

    def __init__(self, workers: int | None = None, *, ray: bool = False) -> None:
        self._workers, self._ray = workers, ray
        self._crew: _Crew | None = None
        self._cluster: Any = None

    def play(self, tasks: deque[_Task], known: Known) -> Iterator[_Task]:
        """Play all tasks; each is yielded when its answer is kept."""
        if self._ray:
            yield from self._on_cluster(tasks)
        elif self._crew is None and min(self._workers or 1, len(tasks)) <= 1:
            while tasks:
                task = tasks.popleft()
                task.play(known)
                yield task
        else:
            self._crew = self._crew or _Crew(self._workers or 1)
            yield from self._crew.play(tasks)

    def end(self) -> None:
        """Stop them, whatever they are doing."""
        if self._crew is not None:
            self._crew.end()
        if self._cluster is not None:
            self._cluster.close()
        self._crew = self._cluster = None

    def _on_cluster(self, tasks: Sequence[_Task]) -> Iterator[_Task]:
        """Play on a cluster; answers are written here."""
        if not tasks:
            return
        if self._cluster is None:
            self._cluster = EXECUTORS.load("ray")(workers=self._workers)
            self._cluster.connect()
        here = str(Path.cwd())
        sent = [(task, here) for task in tasks]
        for (task, _), text in self._cluster.spread(_play_here, sent):
            task.keep(text)
            yield task


_read_here: Known = {}
"""The data set that a worker of a cluster read last."""


def _play_here(sent: tuple[_Task, str]) -> bytes:
    """Play a run on a worker of a cluster, where the files are found as on the host that asks."""
    task, folder = sent
    try:
        os.chdir(folder)
    except OSError as fault:
        raise Stuck(
            f"a node of the cluster does not see the folder {folder} ({fault.strerror})\n"
            "    Share the folder, the topology and the data with all nodes, or use --executor "
            "pool."
        ) from fault
    return task.told(_read_here)


class _Crew:
    """Processes that play one run at a time; they end with this one, whatever it dies of."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._members: dict[Connection, BaseProcess] = {}

    def play(self, tasks: deque[_Task]) -> Iterator[_Task]:
        """Hand out the tasks in their order, to no more processes than there are tasks."""
        context = multiprocessing.get_context("spawn")
        while len(self._members) < min(self._workers, len(tasks)):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._members[ours] = process
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
    Thread(target=_end_with_parent, daemon=True).start()
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


def _end_with_parent() -> None:
    """Leave a run unfinished when nobody waits for it: whoever goes on plays it from the store."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
