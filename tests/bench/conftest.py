"""One table at the end of `make bench`: what was measured, beside what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One check.

    Attributes:
        check: what was measured.
        ours, theirs: the two sides, in words; empty where there is one number only.
        value: what the target is for: a ratio, seconds, bytes.
        spread: lowest and highest value of the repeats.
        target: at most this, or at least, or nothing.
        at_least: whether more is better.
        note: whatever else one must know.
    """

    check: str
    value: float
    target: float | None = None
    spread: tuple[float, float] | None = None
    ours: str = ""
    theirs: str = ""
    at_least: bool = False
    note: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """As printed."""
        spread = f"{self.spread[0]:.3g} - {self.spread[1]:.3g}" if self.spread else ""
        if self.target is None:
            target = ""
        else:
            met = self.value >= self.target if self.at_least else self.value <= self.target
            sign = ">=" if self.at_least else "<="
            target = f"{sign} {self.target:g} {'met' if met else 'MISSED'}"
        return self.check, self.ours, self.theirs, f"{self.value:.3g}", spread, target, self.note


_HEADS = ("check", "ours", "theirs", "value", "spread", "target", "")
_ROWS = pytest.StashKey[list[Row]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Adds a line to the table: `row("check", value, target)`, or any fields of `Row`."""
    rows = request.config.stash[_ROWS]

    def add(check: str, value: float, target: float | None = None, **fields: object) -> None:
        rows.append(Row(check=check, value=value, target=target, **fields))  # pyright: ignore

    return add


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> None:
    """Skips a test that is about seconds or bytes unless these are to be measured."""
    if not request.config.getoption("--benchmark-enable"):
        pytest.skip("seconds and bytes are measured by `make bench`")


@pytest.fixture
def versus(row: Callable[..., None]) -> Callable[..., None]:
    """Adds a ratio: `versus("check", ours, theirs, target)` of repeats in seconds, in pairs."""

    def add(
        check: str, ours: Sequence[float], theirs: Sequence[float], target: float | None = None,
        note: str = "",
    ) -> None:  # fmt: skip
        pairs = [one / other for one, other in zip(ours, theirs, strict=True)]
        row(
            check, median(ours) / median(theirs), target, spread=(min(pairs), max(pairs)),
            ours=f"{median(ours) * 1e3:.4g} ms", theirs=f"{median(theirs) * 1e3:.4g} ms", note=note,
        )  # fmt: skip

    return add


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = [_HEADS, *(each.cells for each in config.stash[_ROWS])]
    if len(rows) == 1 or not config.getoption("--benchmark-enable"):
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section("measured")
    for cells in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        terminalreporter.write_line(line.rstrip())
