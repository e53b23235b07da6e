"""How long clients would take, as a server can tell before it asks them.

It knows their profiles, what links carried when something last passed them, and what it is going to
ask for, so it plays that in a world of its own (`hetsim.sim.forecast`): all begin now and share
links as they would, and nobody else is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import ceil, inf
from typing import TypeVar

from hetsim.core.quantities import Fraction, Seconds
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.sim.forecast import forecast
from hetsim.sim.requests import Compute, Stream, Transfer

Errand = Sequence[Compute | Transfer | Stream]
"""What a client does, in order."""
_MEDIAN: Fraction = 0.5
_DUST = 1e-9
"""Of a client: four fifths of five are four."""

T = TypeVar("T")


def expected(run: Run, errands: Mapping[Client, Errand]) -> dict[Client, Seconds]:
    """In how many seconds each client is through, at its highest clocks."""
    ends = forecast(run.kernel, list(errands.values()), highest=True)
    return {client: acts[-1] if acts else 0.0 for client, acts in zip(errands, ends, strict=True)}


def when_through(seconds: Mapping[Client, Seconds], share: Fraction) -> Seconds:
    """When the last of the fastest `share` of the clients is through."""
    through = sorted(seconds.values())
    return through[max(ceil(share * len(through) - _DUST), 1) - 1]


def in_time(
    run: Run,
    choices: Mapping[Client, Sequence[T]],
    errand: Callable[[Client, T], Errand],
    limit: Seconds | None = None,
) -> dict[Client, T]:
    """Of each client the first choice with which it is through in time; the last, if none is.

    Args:
        run: which knows how much time the pace gives.
        choices: of each client, those that take it longest first.
        errand: what a client does by a choice, alone on its links.
        limit: the time; left out, the pace's deadline, or what the median client takes for its
            first choice.
    """

    @cache
    def takes(client: Client, place: int) -> Seconds:
        return expected(run, {client: errand(client, choices[client][place])})[client]

    known = limit or run.deadline
    if known == inf and choices:
        known = when_through({client: takes(client, 0) for client in choices}, _MEDIAN)
    return {
        client: next((one for n, one in enumerate(given) if takes(client, n) <= known), given[-1])
        for client, given in choices.items()
    }
