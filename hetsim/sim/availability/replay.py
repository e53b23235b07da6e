"""Comes and goes as a recorded trace says.

The file is a CSV with the columns `seconds` and `share`: the device is there where the share is at
least one half (1 and 0 in a trace of one device). Each row holds until the next; time counts from
the first row. After the last row the trace starts again, that row having held as long as the one
before it, or the device stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hetsim.sim.availability.base import Away, Changes, Circumstances

_THERE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A trace file.

    Attributes:
        file: path of the CSV file, looked up beside the topology first.
        end: loop to start again after the last row, clamp to stay as it says.
        start: same for every device from the first row, random for each from a place of its own in
            the loop.
        away: what it is while away: off, asleep, or idle.
    """

    file: str
    end: Literal["loop", "clamp"] = "loop"
    start: Literal["same", "random"] = "same"
    away: Away = "off"

    def __post_init__(self) -> None:
        """Refuse what no trace can do."""
        if not self.file:
            raise ValueError("file is empty")
        if self.start == "random" and self.end == "clamp":
            raise ValueError("a trace that does not loop cannot start anywhere: use `end: loop`")

    def changes(self, about: Circumstances) -> Changes:
        """The rows at which the device changes sides."""
        first = about.steps[0][0]
        rows = [(when - first, share >= _THERE) for when, share in about.steps]
        loops = self.end == "loop" and len({there for _, there in rows}) > 1
        period = 2.0 * rows[-1][0] - rows[-2][0] if loops else 0.0
        offset = float(about.rng.random()) * period if self.start == "random" else 0.0
        present, start = True, -offset
        now = [there for when, there in rows if start + when <= 0.0][-1]
        if now is not present:
            present = now
            yield 0.0, now
        while True:
            for when, there in rows:
                if start + when > 0.0 and there is not present:
                    present = there
                    yield start + when, there
            if not loops:
                return
            start += period
