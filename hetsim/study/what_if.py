"""Sweeps: one topology at many points, in one folder that a killed sweep goes on in.

`sweep.yaml` says what was asked and is the first file; each point that was played is kept at once;
`points.parquet` and `sweep.html` are made of what is kept when all points are. Nothing in the table
or the page depends on who played the points, in which order, or how often the sweep was killed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.core.errors import Interrupted, SpecError
from hetsim.core.files import placed
from hetsim.report import sweep_page
from hetsim.report.numbers import SPACE, count
from hetsim.report.parallel import brief
from hetsim.study import axes as _axes
from hetsim.study import folder as run_folder
from hetsim.study import outcome as _outcome
from hetsim.study import rows as _rows
from hetsim.study.axes import Axes
from hetsim.study.campaign import Identified, Known, Variant, answers, identified
from hetsim.study.errand import Errand, Means
from hetsim.study.explain import Sheet, Table

if TYPE_CHECKING:
    import pandas as pd

POINTS, PAGE = "points.parquet", "sweep.html"
_ERRAND = Errand("sweep", "sweep.yaml", "hetsim sweep TOPOLOGY --grid KEY=A,B --out DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a sweep is of.

    Attributes:
        topology: file, or name of a topology that comes with hetsim.
        grid: texts such as "method.lr=0.01,0.1".
        sample: texts such as "method.lr=0.001..0.1".
        points: how many are drawn of the samples.
        sweep_seed: of the draws.
        overrides: of all points, texts as of `--set`.
    """

    topology: str
    grid: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()
    points: int = 0
    sweep_seed: int = 0
    overrides: tuple[str, ...] = ()

    @property
    def axes(self) -> Axes:
        """Its axes.

        Raises:
            SpecError: one is wrong.
        """
        return Axes(
            grids=tuple(_axes.grid(text) for text in self.grid),
            samples=tuple(_axes.sample(text) for text in self.sample),
            draws=self.points,
            seed=self.sweep_seed,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Swept:
    """A finished sweep.

    Its frame is made when it is first asked for, and once.

    Attributes:
        name: of the topology.
        folder: where it is.
        axes: keys of the axes.
        rows: of `points.parquet`.
        played: runs that were played this time.
        kept: runs that were kept from before.
    """

    name: str
    folder: Path
    axes: tuple[str, ...]
    rows: list[dict[str, Any]]
    played: int
    kept: int

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row a point: its axes, then its results; columns of `points.parquet`."""
        return _rows.frame(self.rows, ("point", *self.axes), _outcome.TYPES)

    @property
    def failed(self) -> int:
        """Points that could not go on."""
        return sum(row["failed"] is not None for row in self.rows)

    def best(self, column: str, *, highest: bool = False) -> dict[str, Any] | None:
        """The row of the lowest value, the first of equal ones; None if no point has one."""
        having = [row for row in self.rows if row[column] is not None]
        sign = -1.0 if highest else 1.0
        return min(having, key=lambda row: sign * row[column], default=None)

    def __repr__(self) -> str:
        over = ", ".join(self.axes)
        return f"<sweep {self.name} in {self.folder}: {len(self.rows)} points over {over}>"

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "name": self.name, "folder": str(self.folder), "axes": list(self.axes),
            "points": len(self.rows), "played": self.played, "failed": self.failed,
            "table": str(self.folder / POINTS), "page": str(self.folder / PAGE),
            "fastest": self.best("simulated_s"), "cheapest": self.best("energy_j"),
            "most_accurate": self.best("best_accuracy", highest=True),
        }  # fmt: skip

    def sheet(self) -> Sheet:
        """What a person reads at the end."""
        found = {
            "fastest": self.best("simulated_s"),
            "fewest joules": self.best("energy_j"),
            "most accurate": self.best("best_accuracy", highest=True),
        }
        shown = {"simulated_s": "time", "energy_j": "energy", "best_accuracy": "best accuracy"}
        if found["most accurate"] is None:
            del shown["best_accuracy"]
        table = [
            (
                title, str(row["point"]), *(brief(str(row[key])) for key in self.axes),
                *(sweep_page.shown(column, row[column]) for column in shown),
            )
            for title, row in found.items() if row is not None
        ]  # fmt: skip
        text = [f"{count(len(self.rows), 'point')}; {count(self.played, 'run')} played now"
                f"{f', {count(self.kept)} kept from before' if self.kept else ''}."]  # fmt: skip
        if self.failed:
            failed = count(self.failed, "point")
            text.append(f"{failed} could not go on: column `failed` says why.")
        text += [f"Written to {self.folder}: {POINTS}, {PAGE}", _ERRAND.left(self.folder)]
        columns = ("", "point", *_axes.heads(self.axes), *shown.values())
        text = [line.replace(SPACE, " ") for line in text if line]
        return Sheet(f"Sweep of {self.name}", text, [Table("", columns, table)] if table else [])


def sweep(asked: Asked, *, out: Path | None = None, means: Means | None = None) -> Swept:
    """Play all points that are not kept yet; write the table and the page.

    Args:
        asked: what to sweep.
        out: the folder; by default `runs/sweep-<name>-<hash>`.
        means: how to play it on this host.

    Raises:
        SpecError: a point is wrong, or the folder is another sweep's; nothing has been played then.
        Interrupted: the user stopped it; the message says how to go on.
        HetsimError: this host cannot go on.
    """
    return _sweep(asked, out, means or Means(), None)


def resume(folder: Path, *, topology: str | None = None, means: Means | None = None) -> Swept:
    """Go on with the sweep in `folder`.

    Args:
        folder: of a sweep.
        topology: where its topology is now, if it was moved.
        means: how to play it; data and store are those it was begun with where it names none.

    Raises:
        SpecError: there is no sweep in the folder.
        HetsimError: what it is made of has changed since.
    """
    asked, digest = _asked(folder)
    begun = _ERRAND.begun(folder)
    asked = replace(asked, topology=topology or begun.get("topology") or asked.topology)
    return _sweep(asked, folder, (means or Means()).after(begun), digest)


def _sweep(asked: Asked, out: Path | None, means: Means, begun: str | None) -> Swept:
    """Play `asked` in `out`; `begun` is the hash of the sweep that it must be."""
    axes = asked.axes
    points = axes.points()
    known: Known = {}
    try:
        runs = _identified(asked, axes, points, means, known)
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted: no point had been played yet") from stop
    for text in dict.fromkeys(note for run in runs for note in run.notes):
        means.note(text)
    digest = _digest(axes, points, runs)
    _ERRAND.check_same(out, begun, digest)
    name = runs[0].title
    folder = out or Path("runs") / f"sweep-{name}-{digest[:8]}"
    _ERRAND.begin(
        folder, _plain(asked), digest,
        topology=asked.topology, data=means.data, store=means.store,
    )  # fmt: skip
    first, done = -1, 0

    def count(now: int, of: int) -> None:
        nonlocal first, done
        first, done = now if first < 0 else first, now
        means.progress(now, of)

    different = len({run.key for run in runs})
    with _ERRAND.under_way(folder, lambda: f"{done} of {different} runs are kept"):
        found = answers(
            runs, _outcome.outcome, work=folder, store=means.store, data=means.data,
            workers=means.jobs, ray=means.ray, known=known, failures=True, progress=count,
        )  # fmt: skip
        rows = _outcome.rows(_axes.columns(axes.keys, points), runs, found)
        with placed(folder / POINTS) as file:
            _rows.write(file, rows, ("point", *axes.keys), _outcome.TYPES)
        told = (folder / _ERRAND.file).read_text("utf-8")
        run_folder.write(folder / PAGE, sweep_page.render(name, axes.keys, rows, asked=told))
    return Swept(name=name, folder=folder, axes=axes.keys, rows=rows, played=done - first,
                 kept=first)  # fmt: skip


def _identified(
    asked: Asked, axes: Axes, points: Sequence[Sequence[str]], means: Means, known: Known
) -> list[Identified]:
    """The runs of all points; a wrong one is refused by its number and its axes."""
    keys = axes.keys
    chosen = [tuple(map("=".join, zip(keys, point, strict=True))) for point in points]
    variants = [
        Variant(
            topology=asked.topology,
            overrides=(*asked.overrides, *texts),
            name=f"point {index} ({', '.join(texts)})",
        )
        for index, texts in enumerate(chosen)
    ]
    try:
        return identified(variants, _outcome.outcome, data=means.data, known=known)
    except SpecError as error:
        for key in keys:
            if error.where.startswith(f"--set {key}="):
                where = f"{axes.option(key)} {error.where.removeprefix('--set ')}"
                raise SpecError(
                    error.what, where=where, key=error.key, remedy=error.remedy
                ) from error
        raise


def _digest(axes: Axes, points: Sequence[Sequence[str]], runs: Sequence[Identified]) -> str:
    """Names the sweep by what it plays and by its axes."""
    content = [list(axes.keys), [list(point) for point in points],
               [[run.digest, run.seed] for run in runs]]  # fmt: skip
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


# --- the folder -----------------------------------------------------------------------------------


def _plain(asked: Asked) -> dict[str, Any]:
    plain: dict[str, Any] = {"topology": asked.topology, "set": list(asked.overrides)}
    plain |= {"grid": list(asked.grid), "sample": list(asked.sample)}
    return plain | {"points": asked.points, "sweep_seed": asked.sweep_seed}


def _asked(folder: Path) -> tuple[Asked, str]:
    """What the sweep in `folder` is of, and its hash."""
    data, digest = _ERRAND.asked(folder)
    try:
        return Asked(
            topology=str(data["topology"]), grid=tuple(data["grid"]), sample=tuple(data["sample"]),
            points=data["points"], sweep_seed=data["sweep_seed"], overrides=tuple(data["set"]),
        ), digest  # fmt: skip
    except (LookupError, TypeError) as fault:
        raise _ERRAND.spoilt(folder, fault) from fault
