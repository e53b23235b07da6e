"""DVFS sweeps: a CSV file of clock settings and what a training step took at each of them.

A row is one setting of the CPU, GPU and memory (EMC) clocks:

    cpu_khz,gpu_hz,emc_hz,time_s_per_minibatch,energy_j_per_minibatch

Columns may stand in any order and others may stand beside them. A file with the first three alone
is a grid of settings that nobody has measured yet.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hetsim.core.errors import SpecError, did_you_mean

Floats = NDArray[np.float64]

CLOCKS = {"cpu_khz": 1e3, "gpu_hz": 1.0, "emc_hz": 1.0}
"""Columns of a setting, with the hertz in one of their units."""
MEASURED = ("time_s_per_minibatch", "energy_j_per_minibatch")
_ALL = (*CLOCKS, *MEASURED)
_LARGEST_FILE = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Settings and, where measured, what a minibatch took; arrays of one length.

    Attributes:
        name: the file as the user knows it.
        lines: line of each row in the file.
        cpu, gpu, emc: clocks, hertz.
        time: seconds a minibatch; empty for a grid of settings alone.
        energy: joules a minibatch; empty for a grid of settings alone.
    """

    name: str
    lines: NDArray[np.intp]
    cpu: Floats
    gpu: Floats
    emc: Floats
    time: Floats
    energy: Floats

    def __len__(self) -> int:
        """How many settings."""
        return len(self.cpu)

    @property
    def clocks(self) -> Floats:
        """[rows, 3] hertz: CPU, GPU, memory."""
        return np.column_stack([self.cpu, self.gpu, self.emc])

    @property
    def measured(self) -> bool:
        """Whether time and energy are there."""
        return len(self.time) == len(self.cpu)

    def take(self, rows: NDArray[np.intp]) -> Sweep:
        """The sweep of these rows alone, in this order."""
        return Sweep(
            name=self.name,
            lines=self.lines[rows],
            cpu=self.cpu[rows],
            gpu=self.gpu[rows],
            emc=self.emc[rows],
            time=self.time[rows] if self.measured else self.time,
            energy=self.energy[rows] if self.measured else self.energy,
        )


def read_sweep(path: Path) -> Sweep:
    """Read a sweep, or a grid of settings (a file without the two measured columns).

    Raises:
        SpecError: no such file, a column missing or twice, a cell that is no positive number, or
            one setting on two lines.
    """
    name = str(path)
    rows = list(csv.reader(io.StringIO(_text(path))))
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise SpecError("the file has no header.", where=f"{name}:1", remedy=_remedy())
    header = [cell.strip() for cell in rows[0]]
    columns = _columns(header, name)
    table = np.empty((len(columns), len(rows) - 1))
    lines: list[int] = []
    for line, row in enumerate(rows[1:], start=2):
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        where = f"{name}:{line}"
        if len(row) != len(header):
            what = f"a row has {len(header)} cells, this one {len(row)}."
            raise SpecError(what, where=where, remedy=f"Write {','.join(header)}.")
        for place, (column, index) in enumerate(columns.items()):
            table[place, len(lines)] = _number(row[index], where, column)
        lines.append(line)
    if not lines:
        what = "the file has a header and no rows."
        raise SpecError(what, where=name, remedy="Write a row for each clock setting.")
    table = table[:, : len(lines)]
    cpu, gpu, emc = (
        table[place] * factor for place, factor in enumerate(CLOCKS.values())
    )  # fmt: skip
    measured = len(columns) > len(CLOCKS)
    sweep = Sweep(
        name=name,
        lines=np.array(lines, np.intp),
        cpu=cpu,
        gpu=gpu,
        emc=emc,
        time=table[3] if measured else np.empty(0),
        energy=table[4] if measured else np.empty(0),
    )
    _check_distinct(sweep)
    return sweep


def _text(path: Path) -> str:
    name = str(path)
    if not path.is_file():
        what = "is not a file." if path.exists() else "no such file."
        raise SpecError(what, where=name, remedy="Check the path.")
    try:
        if path.stat().st_size > _LARGEST_FILE:
            what = "the file is larger than 64 MiB."
            raise SpecError(what, where=name, remedy="Leave out settings.")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"the file is not text in UTF-8 (byte {error.start})."
        raise SpecError(what, where=name, remedy="Give a CSV file, saved as UTF-8.") from None
    except OSError as error:
        what = f"cannot be read ({error.strerror})."
        raise SpecError(what, where=name, remedy="Check its permissions.") from None


def _columns(header: list[str], name: str) -> dict[str, int]:
    """Where in a row each column stands: the clocks, and both measured ones or neither."""
    where = f"{name}:1"
    for column in _ALL:
        if header.count(column) > 1:
            what = "the column stands there twice."
            raise SpecError(what, where=where, key=column, remedy="Remove one of them.")
    has_measured = any(column in header for column in MEASURED)
    wanted = _ALL if has_measured else tuple(CLOCKS)
    for column in wanted:
        if column not in header:
            others = [each for each in header if each not in _ALL]
            what = f"no such column.{did_you_mean(column, others)}"
            raise SpecError(what, where=where, key=column, remedy=_remedy())
    return {column: header.index(column) for column in wanted}


def _number(cell: str, where: str, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        what = f'"{cell.strip()[:40]}" is no number.' if cell.strip() else "empty cell."
        remedy = "Write a number, without a unit."
        raise SpecError(what, where=where, key=column, remedy=remedy) from None
    if not isfinite(value) or value <= 0.0:
        what = f"{cell.strip()} is {'not above zero' if isfinite(value) else 'not finite'}."
        remedy = "Remove the row if the measurement failed."
        raise SpecError(what, where=where, key=column, remedy=remedy)
    return value


def _check_distinct(sweep: Sweep) -> None:
    """Refuse one setting on two lines: one could be fitted and the other called held out."""
    first: dict[tuple[float, ...], int] = {}
    for line, setting in zip(sweep.lines.tolist(), sweep.clocks.tolist(), strict=True):
        earlier = first.setdefault(tuple(setting), line)
        if earlier != line:
            what = f"the same clocks as line {earlier}."
            remedy = "Write one row a setting, with the mean of what was measured."
            raise SpecError(what, where=f"{sweep.name}:{line}", remedy=remedy)


def _remedy() -> str:
    return f"The first line names the columns: {','.join(_ALL)}."
