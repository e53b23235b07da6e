"""One simulation, from a topology to a run folder.

The scenario is resolved before anything is written, so that bad input leaves nothing behind. The
run itself is a pure function of spec and seed; host times, paths and the executor go into
`host.json` alone.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from html import escape
from pathlib import Path
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, get_args

from hetsim.core.errors import HetsimError, Interrupted, SpecError, Stuck, UnknownName
from hetsim.core.quantities import Bytes
from hetsim.core.registry import EXECUTORS
from hetsim.core.trace import Progress, Trace
from hetsim.report import accuracy, files, flows, frames, timeline
from hetsim.report.answers import answers, unscored
from hetsim.report.drawn import Theme, drawn
from hetsim.spec.schema import Spec, load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.study import folder as run_folder
from hetsim.study.footprint import peaks

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Against = Literal["time", "joules"]
"""What accuracy can be drawn against."""
_HOST, _PROVENANCE = "host.json", "provenance.json"
_EXECUTOR = "inline"
"""Who computes unless somebody else is named."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to run a spec on this host; nothing here changes a result.

    Attributes:
        data: folder of data sets.
        executor: name of the executor; None for inline, or that of a run which is resumed.
        workers: of a pool or of Ray; None for one a core.
        store: folder of the store; None for one inside the run folder.
        no_store: keep nothing.
        store_limit: bytes that the store may take; None for 2 GB.
        report: write `report.html`.
        causality: check that no script uses a value that never reached its node.
        progress: called after each round, and whenever something has been learned.
    """

    data: Path | None = None
    executor: str | None = None
    workers: int | None = None
    store: Path | None = None
    no_store: bool = False
    store_limit: Bytes | None = None
    report: bool = True
    causality: bool = False
    progress: Callable[[Progress], None] = field(default=lambda progress: None)


@dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """A finished simulation, and what a notebook asks it.

    Its tables are made when they are first asked for, and once.

    Attributes:
        trace: all that happened.
        folder: where it was written, or None.
        host: what `host.json` says.
    """

    trace: Trace
    folder: Path | None = None
    host: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def summary(self) -> dict[str, Any]:
        """Content of `summary.json`."""
        return self.trace.summary

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """One row a round or server step; columns of `rounds.parquet`."""
        return frames.rounds(self.trace)

    @cached_property
    def devices(self) -> pd.DataFrame:
        """One row a node that draws power, by its name; columns of `devices.parquet`."""
        return frames.devices(self.trace)

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row a segment of work; columns of `spans.parquet`."""
        return frames.spans(self.trace)

    @cached_property
    def critical(self) -> pd.DataFrame:
        """One row a segment of a round's critical path; columns of `critical.parquet`."""
        return frames.critical(self.trace)

    @cached_property
    def notes(self) -> pd.DataFrame:
        """One row an exclusion, a death, a refusal; columns of `notes.parquet`."""
        return frames.notes(self.trace)

    def energy(self, by: frames.By = "kind", account: frames.Account = "total") -> pd.Series:
        """Joules added up, the largest part first (`hetsim.report.frames.energy`).

        Args:
            by: "kind" of work, or "role", "profile", "device".
            account: "total", "active" (above base power) or "participant" (of who took part).

        Raises:
            SpecError: no such way of adding up, or participant joules by kind.
        """
        return frames.energy(self.trace, by, account)

    def plot_timeline(self, theme: Theme = "light") -> go.Figure:
        """Who did what when, as on the page.

        Raises:
            SpecError: no node did any work.
        """
        if not self.trace.spans:
            raise SpecError("no node did any work", remedy="Look at `notes` for the reasons.")
        return drawn(timeline.figure(self.trace), theme)

    def plot_accuracy(self, against: Against = "time", theme: Theme = "light") -> go.Figure:
        """Accuracy against simulated time, or against the energy of all nodes, as on the page.

        Raises:
            SpecError: the model was not evaluated, or it is to be drawn against something else.
        """
        if against not in (known := get_args(Against)):
            raise UnknownName("axis", against, known, where="plot_accuracy")
        if all(row["accuracy"] is None for row in self.trace.rounds):
            raise SpecError(
                f"no accuracy: {unscored(self.summary)}",
                remedy="Run it without cost_only, and with report.evaluate_every above zero.",
            )
        return drawn(accuracy.figure(self.trace, against), theme)

    def plot_joules(self, theme: Theme = "light") -> go.Figure:
        """Where the joules came from, who drew them and for what, as on the page.

        Raises:
            SpecError: no node drew any power.
        """
        figure = flows.figure(self.trace)
        if figure is None:
            raise SpecError("no node drew any power", remedy="Look at `devices` and `notes`.")
        return drawn(figure, theme)

    def __repr__(self) -> str:
        where = f" in {self.folder}" if self.folder else ""
        told = "; ".join(said for _, said in answers(self.summary))
        return f"<run {self.summary['name']}{where}: {told}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the four answers."""
        rows = "".join(
            f"<tr><th>{escape(asked)}</th><td>{escape(said)}</td></tr>"
            for asked, said in answers(self.summary)
        )
        return f"<table><caption>{escape(self.summary['name'])}</caption>{rows}</table>"


def run(
    topology: str | Path | Spec,
    *,
    out: Path | str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    settings: Settings | None = None,
) -> Result:
    """Simulate a topology and write its run folder.

    Args:
        topology: file, name of a packaged topology, or a loaded spec.
        out: run folder; by default `runs/<name>-<hash>-s<seed>`.
        seed: replaces the file's.
        overrides: texts such as "method.lr=0.1", for a file.
        force: replace whatever is in the folder.
        settings: how to run on this host.

    Raises:
        TypeError: overrides or a seed for a loaded spec.
        SpecError: the input is wrong, or the folder is taken.
        HetsimError: the simulation could not go on.
    """
    settings = settings or Settings()
    if not isinstance(topology, Spec):
        spec = load_topology(topology, overrides=overrides, seed=seed)
    elif overrides or seed is not None:
        raise TypeError("overrides and seed belong to `hetsim.load` when it has loaded the spec")
    else:
        spec = topology
    EXECUTORS.load(settings.executor or _EXECUTOR, where="--executor")
    scenario = resolve(spec, settings.data)
    if settings.store and not settings.no_store:
        run_folder.make(settings.store, "--store")
    folder = Path(out) if out else default_folder(scenario)
    with run_folder.claimed(folder):
        work = run_folder.open_folder(
            folder, scenario.text(), force=force, fill=partial(_note_beginning, scenario, settings)
        )
        try:
            result = simulate(scenario, settings, work)
        except HetsimError as error:
            if not isinstance(error, Interrupted | Stuck):  # a replay would fail in the same way
                run_folder.discard(work)
            raise
        run_folder.close_folder(work, folder)
    return replace(result, folder=folder)


def read(folder: Path | str) -> Result:
    """A finished run, from its folder.

    Raises:
        HetsimError: the folder is unfinished or a file of it is damaged.
    """
    folder = Path(folder)
    return Result(trace=files.read(folder), folder=folder, host=_host(folder))


def resume(
    folder: Path,
    *,
    topology: str | Path | Spec | None = None,
    settings: Settings | None = None,
) -> Result:
    """Go on with an unfinished run by replaying it over its store.

    Data folder, store and executor are those it was begun with, where `settings` name no others. A
    complete folder is read and returned as it is, unless a run that is to replace it has begun; one
    without a spec is begun with `topology`.

    Raises:
        SpecError: the folder holds no spec, or another one than `topology`.
        HetsimError: what the run is made of has changed since.
    """
    with run_folder.claimed(folder):
        run_folder.recover(folder)
        work = run_folder.pending(folder)
        settings = _as_begun(work, settings or Settings())
        if (work / run_folder.SPEC).is_file():
            result = _go_on(work, topology, settings)
            run_folder.close_folder(work, folder)
            return replace(result, folder=folder)
    if topology is None:
        raise SpecError(
            "no run to resume: there is no spec.yaml",
            where=str(folder),
            remedy="Give the topology too: hetsim run TOPOLOGY --resume DIR",
        )
    return run(topology, out=folder, settings=settings)


def _go_on(work: Path, topology: str | Path | Spec | None, settings: Settings) -> Result:
    """Read what is complete; simulate again what is not."""
    scenario = resolve(load_topology(work / run_folder.SPEC), settings.data)
    if topology is not None:
        spec = topology if isinstance(topology, Spec) else load_topology(topology)
        given = resolve(spec, settings.data)
        if given.digest != scenario.digest or spec.seed != scenario.spec.seed:
            raise SpecError(
                "holds a run of another spec than this topology",
                where=str(work),
                remedy="Leave the topology out, or give another folder.",
            )
    if run_folder.is_complete(work):
        return read(work)
    _refuse_what_has_changed(scenario, work)
    run_folder.tidy(work)
    run_folder.write(work / _HOST, _json(_how(settings)))
    return simulate(scenario, settings, work)


def simulate(scenario: Scenario, settings: Settings, folder: Path | None) -> Result:
    """Play a scenario; write its results into `folder`, if one is given.

    Raises:
        Interrupted: the user stopped it; the message says how to go on.
        Stuck: a file could not be written, or workers died, likewise.
    """
    line = run_folder.resume_line(folder) if folder else ""
    try:
        return _simulate(scenario, settings, folder)
    except KeyboardInterrupt as stop:
        raise Interrupted(f"interrupted. Go on with: {line}" if line else "interrupted") from stop
    except (OSError, MemoryError, Stuck) as fault:
        what = str(fault) or "the memory of this host is full"
        if isinstance(fault, OSError):
            what = f"{fault.filename or folder}: {fault.strerror or fault}"
        remedy = f"\n    When that is mended, go on with: {line}" if line else ""
        raise Stuck(what + remedy) from fault


def _simulate(scenario: Scenario, settings: Settings, folder: Path | None) -> Result:
    begun, started = datetime.now(UTC), monotonic()
    store = settings.store or (folder / "store" if folder else None)
    lab = scenario.lab(
        executor=settings.executor or _EXECUTOR,
        workers=settings.workers,
        store=None if settings.no_store else store,
        limit=settings.store_limit,
    )
    try:
        with _ctrl_c(settings.progress) as progress:
            trace = scenario.play(
                lab,
                journal=folder / "journal.jsonl" if folder else None,
                causality=settings.causality,
                progress=progress,
            )
        played = monotonic()
        host = {
            **_how(settings),
            "started": begun.isoformat(),
            "simulation_s": played - started,
            "host": platform.node(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "memory": peaks(),
            "played": trace.played,
            "numerics": lab.tag,
            "python": sys.version,
            "refs": {
                "executed": dict(sorted(lab.executed.items())),
                "from_store": dict(sorted(lab.from_store.items())),
                "never_needed": lab.never_needed(trace.made),
            },
        }
    finally:
        lab.close()
    if folder:
        run_folder.write(folder / _HOST, _json(host))
        files.write(trace, folder, page=settings.report)
    return Result(trace=trace, folder=folder, host=host)


@contextmanager
def _ctrl_c(progress: Callable[[Progress], None]) -> Iterator[Callable[[Progress], None]]:
    """Progress that ends a run whose Ctrl-C was lost.

    The interpreter raises it wherever the program is just then, and drops it where nothing can be
    raised: in a finaliser, or in the callback of a weak reference.
    """
    before, came = signal.getsignal(signal.SIGINT), False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        if callable(before):
            before(number, frame)

    def show(now: Progress) -> None:
        progress(now)
        if came:
            raise KeyboardInterrupt

    if not callable(before) or current_thread() is not main_thread():
        yield progress
        return
    signal.signal(signal.SIGINT, hear)
    try:
        yield show
    finally:
        signal.signal(signal.SIGINT, before)


def _note_beginning(scenario: Scenario, settings: Settings, beginning: Path) -> None:
    """Write down what the run is made of and how it is run, for whoever goes on with it."""
    scenario.copy_files(beginning)
    (beginning / _PROVENANCE).write_text(_json(scenario.provenance()), encoding="utf-8")
    (beginning / _HOST).write_text(_json(_how(settings)), encoding="utf-8")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def _how(settings: Settings) -> dict[str, Any]:
    """Settings that a resumed run takes over."""
    return {
        "executor": settings.executor or _EXECUTOR,
        "workers": settings.workers,
        "data": str(settings.data.resolve()) if settings.data else None,
        "store": str(settings.store.resolve()) if settings.store else None,
        "no_store": settings.no_store,
        "report": settings.report,
    }


def _as_begun(folder: Path, settings: Settings) -> Settings:
    """`settings`, completed by those the run in `folder` was begun with."""
    begun = _host(folder)
    executor, workers = settings.executor or begun.get("executor"), settings.workers
    if executor == begun.get("executor"):
        workers = workers or begun.get("workers")
    return replace(
        settings,
        executor=executor,
        workers=workers,
        data=settings.data or (Path(begun["data"]) if begun.get("data") else None),
        store=settings.store or (Path(begun["store"]) if begun.get("store") else None),
        no_store=settings.no_store or (not settings.store and begun.get("no_store", False)),
        report=settings.report and begun.get("report", True),
    )


def _host(folder: Path) -> dict[str, Any]:
    """What `host.json` says; nothing if it cannot be read, for no result hangs on it."""
    try:
        told = json.loads((folder / _HOST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _refuse_what_has_changed(scenario: Scenario, folder: Path) -> None:
    """Hold a replay to the profiles, the data and the spec that the run was begun with."""
    try:
        begun = json.loads((folder / _PROVENANCE).read_text(encoding="utf-8"))
        _ = begun["spec_hash"], begun["seed"], begun["hashes"].items()
    except FileNotFoundError:
        return
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as fault:
        raise HetsimError(
            f"{folder / _PROVENANCE}: what the run is made of cannot be read ({fault})\n"
            "    Put the file back, or start again with --force."
        ) from fault
    now = scenario.provenance()
    if begun["spec_hash"] == now["spec_hash"] and begun["seed"] == now["seed"]:
        return
    names = {*begun["hashes"], *now["hashes"]}
    changed = [
        name for name in sorted(names) if begun["hashes"].get(name) != now["hashes"].get(name)
    ]
    raise HetsimError(
        f"{folder}: {', '.join(changed) or run_folder.SPEC} changed since the run was begun\n"
        "    Put it back as it was, or start again with --force."
    )


def default_folder(scenario: Scenario) -> Path:
    """`runs/<name>-<first 8 of spec hash>-s<seed>`."""
    spec = scenario.spec
    return Path("runs") / f"{spec.name}-{scenario.digest[:8]}-s{spec.seed}"
