"""Traces of bandwidth and of power: a CSV file of seconds and values.

    seconds,bit/s
    0,12000000
    1,9500000

The second column names its unit; any unit of the quantity will do, and `share` where the topology
says what a share of 1 is. Rows rise in time.
"""

from __future__ import annotations

import hashlib
from math import isfinite
from pathlib import Path
from typing import NoReturn

from hetsim.core.errors import SpecError
from hetsim.sim.bandwidth.base import Points
from hetsim.spec import find, units

_UNITS: dict[units.Dimension, str] = {"rate": "bit/s", "power": "W", "fraction": "share"}
_ROW = "Write a row such as `0,120`."


def find_trace(name: str, beside: Path | None, *, where: str = "", key: str = "") -> Path:
    """The file of a trace: a path, or a name looked up as `hetsim.spec.find` says.

    Args:
        name: path or name.
        beside: the topology's folder.
        where: place that names the trace, for messages.
        key: its key, for messages.

    Raises:
        SpecError: there is no such file.
    """
    path = find.look_up(find.TRACES, name, beside)
    if path is None:
        raise SpecError(
            f'no trace file "{name}".',
            where=where,
            key=key,
            remedy="Give a file beside the topology, or in a folder of $HETSIM_PATH.",
        )
    return path


def trace_hash(path: Path) -> str:
    """SHA-256 of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_trace(path: Path) -> Points:
    """Read a bandwidth trace.

    Raises:
        SpecError: as `read_steps`.
    """
    times, rates = read_steps(path, "rate")
    return Points(times=times, rates=rates)


def read_steps(
    path: Path, dimension: units.Dimension
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Instants and the values from then on, in SI units.

    Args:
        path: the file.
        dimension: rate, power or fraction, of the second column.

    Raises:
        SpecError: with file and line: no header, a row that is not two numbers, time that does not
            rise, a negative value, no value above zero.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        _fail(path, 0, f"cannot be read: {error}.", "Give a CSV file in UTF-8.")
    unit = _unit(path, lines[0] if lines else "", dimension)
    times: list[float] = []
    values: list[float] = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        time, value = _row(path, number, line)
        if times and time <= times[-1]:
            what = f"{time:g} s does not come after {times[-1]:g} s."
            _fail(path, number, what, "Sort the rows by time, one a time.")
        times.append(time)
        values.append(value * unit)
    if not any(values):
        what = "it is never above zero." if values else "there are no rows."
        _fail(path, len(lines), what, _ROW)
    return tuple(times), tuple(values)


def _unit(path: Path, header: str, dimension: units.Dimension) -> float:
    """One unit of the second column in SI units."""
    columns = [column.strip() for column in header.split(",")]
    remedy = f"Begin with `seconds,{_UNITS[dimension]}`."
    if len(columns) != 2 or columns[0] != "seconds":
        _fail(path, 1, f"expected two columns, seconds and a {dimension}.", remedy)
    if dimension == "fraction" and columns[1] == _UNITS[dimension]:
        return 1.0
    try:
        return units.parse(f"1 {columns[1]}", dimension)
    except SpecError as error:
        _fail(path, 1, error.what, remedy)


def _row(path: Path, number: int, line: str) -> tuple[float, float]:
    try:
        time, value = (float(cell) for cell in line.split(","))
    except ValueError:
        _fail(path, number, f'"{line[:40]}" is not two numbers.', _ROW)
    if not isfinite(time) or not isfinite(value):
        _fail(path, number, "is not finite.", "Write a number.")
    if value < 0.0:
        _fail(path, number, f"{value:g} is negative.", "Write 0 where there is nothing.")
    return time, value


def _fail(path: Path, line: int, what: str, remedy: str) -> NoReturn:
    raise SpecError(what, where=f"{path}:{line}" if line else str(path), remedy=remedy)
