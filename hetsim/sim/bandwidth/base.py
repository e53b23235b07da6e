"""What a bandwidth that changes with time provides: a signal, constant between its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hetsim.core.quantities import Rate, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Content of a trace file: `rates[i]` holds from `times[i]` on.

    Attributes:
        times: rising.
        rates: payload rates; zero is an outage.
    """

    times: tuple[Seconds, ...]
    rates: tuple[Rate, ...]


class Signal(Protocol):
    """One bandwidth in the course of time."""

    def at(self, now: Seconds) -> tuple[Rate, Seconds]:
        """The rate at `now` and the instant of its next change (inf if there is none).

        Asked at instants that never fall; the answer does not depend on when it was asked before.
        """
        ...


class Trace(Protocol):
    """A kind of trace with its options.

    Attributes:
        file: the file it plays, "" for none.
    """

    @property
    def file(self) -> str:
        """See above."""
        ...

    def signal(self, points: Points | None, rng: np.random.Generator) -> Signal:
        """A signal of its own for one link.

        Args:
            points: content of the file, if there is one.
            rng: of this link.
        """
        ...
