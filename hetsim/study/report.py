"""Rebuilds a report: makes the comparisons it needs, keeps their tables, draws the page.

What a comparison found is kept in a working folder under a key of hetsim's version, the scale, the
settings and the measured files, so that a report that was interrupted goes on where it was. A
comparison with a parameter `work` is given a folder in which it may keep what is half done, and one
with a parameter `progress` is given whom to tell how far it is.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.files import placed
from hetsim.core.registry import COMPARISONS, REPORTS
from hetsim.report import binder
from hetsim.report.published.base import SCALES, Need, Report, Row
from hetsim.study.explain import Sheet, Table

_DONE, _HALF_DONE = "done.json", "campaign"
_WATERMARK = "smoke: too small to quote"
_PACKAGES = ("matplotlib", "numpy", "scikit-learn", "scipy", "simpy", "torch")


def rebuild(
    name: str,
    *,
    scale: str = "small",
    out: Path | None = None,
    measured: Path | None = None,
    work: Path | None = None,
    redraw: bool = False,
    fresh: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Path:
    """Build `reports/NAME` and return its folder.

    Args:
        name: of the report.
        scale: one of `SCALES`.
        out: folder to write; by default `reports/NAME`, or `runs/report-NAME-SCALE` for a scale
            that is not the committed one.
        measured: folder of measured data and oracles; by default `$HETSIM_SHARED`, else
            `../shared`.
        work: folder that keeps finished comparisons.
        redraw: make no comparison, draw the page from the tables in the folder.
        fresh: make every comparison, also those that are kept; needed after a change of the code.
        progress: told what is being done.

    Raises:
        SpecError: no such report or scale, or the measured data is not there.
    """
    report: Report = REPORTS.load(name, where="report")()
    if scale not in SCALES:
        raise SpecError(
            f'no scale "{scale}"', where="--scale", remedy=f"One of: {', '.join(SCALES)}."
        )
    work = work or Path("runs") / f"report-{name}-{scale}"
    folder = out or (Path("reports") / name if scale == "small" else work / "page")
    needs = report.needs(scale)
    if redraw and fresh:
        raise SpecError("contradicts --fresh", where="--redraw", remedy="Leave one of them out.")
    if fresh:
        shutil.rmtree(work, ignore_errors=True)
    if redraw:
        names = _provenance(folder)["tables"]
    else:
        data = _measured(measured)
        found = {need.comparison: _compare(need, scale, data, work, progress) for need in needs}
        names = [table for tables in found.values() for table in tables]
        _collect(found, folder)
        _write(folder / "provenance.json", _made_of(name, scale, needs, data, names))
    progress("drawing the page")
    tables = {table: binder.read_table(folder / f"{table}.csv") for table in names}
    mark = _WATERMARK if scale == "smoke" else ""
    binder.write_page(folder, report.build(tables, scale), mark=mark)
    return folder


def list_reports() -> Sheet:
    """Every report with what it shows."""
    rows = [(name, _first_line(REPORTS.load(name))) for name in REPORTS.names()]
    return Sheet("Reports", tables=[Table("", ("name", "what it shows"), rows)])


def _first_line(plugin: Any) -> str:
    return (plugin.__doc__ or "").strip().partition("\n")[0]


def _measured(given: Path | None) -> Path:
    folder = given or Path(os.environ.get("HETSIM_SHARED", "../shared"))
    if not folder.is_dir():
        raise SpecError(
            "is no folder, and a report needs measured data to compare with",
            where=f"--measured {folder}",
            remedy="Give the folder with --measured or $HETSIM_SHARED, or use --redraw.",
        )
    return folder


def _compare(
    need: Need, scale: str, measured: Path, work: Path, progress: Callable[[str], None]
) -> dict[str, Path]:
    """Tables of a comparison, made now or kept from before, as files."""
    folder = work / f"{need.comparison}-{_key(need, scale, measured)}"
    done = folder / _DONE
    if not done.is_file():
        progress(f"comparing: {need.comparison}")
        compare = COMPARISONS.load(need.comparison, where="report")
        offered = {"work": work / _HALF_DONE, "progress": progress}
        taken = offered.keys() & inspect.signature(compare).parameters.keys()
        tables: dict[str, Sequence[Row]] = compare(
            measured, **need.settings, **{name: offered[name] for name in taken}
        )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, table in tables.items():
            binder.write_table(folder / f"{name}.csv", table)
        _write(done, list(tables))
    return {name: folder / f"{name}.csv" for name in json.loads(done.read_text("utf-8"))}


def _collect(found: dict[str, dict[str, Path]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (*folder.glob("*.csv"), *folder.glob("*.svg")):
        stale.unlink()
    for tables in found.values():
        for name, path in tables.items():
            shutil.copyfile(path, folder / f"{name}.csv")


def _key(need: Need, scale: str, measured: Path) -> str:
    parts = [version("hetsim"), scale, need.comparison, dict(need.settings), _digest(measured)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _digest(folder: Path) -> str:
    """SHA-256 over names and bytes of the small files of the measured data."""
    digest = hashlib.sha256()
    for part in ("measured", "oracle"):
        for path in sorted(path for path in (folder / part).rglob("*") if path.is_file()):
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _made_of(
    name: str, scale: str, needs: Sequence[Need], measured: Path, tables: list[str]
) -> dict[str, Any]:
    return {
        "report": name,
        "scale": scale,
        "hetsim": version("hetsim"),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in _PACKAGES},
        "comparisons": [
            {"comparison": need.comparison, "settings": dict(need.settings)} for need in needs
        ],
        "measured": _digest(measured),
        "tables": tables,
    }


def _provenance(folder: Path) -> dict[str, Any]:
    path = folder / "provenance.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SpecError(
            "holds no report to redraw", where=str(folder), remedy="Build it without --redraw."
        ) from None


def _write(path: Path, value: Any) -> None:
    with placed(path) as file:
        file.write((json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())
