"""Synchronous rounds: wait for the cohort, up to a deadline, or for the first of a larger one."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Seconds
from hetsim.federation.client import Late
from hetsim.federation.rounds import Rounds
from hetsim.federation.run import Asked, Demand, Reply, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """One cohort at a time.

    Attributes:
        deadline: seconds after which whoever has not delivered is dropped.
        over_selection: how many times the cohort is asked; the first cohort's worth to deliver
            counts and the rest is dropped.
    """

    deadline: Seconds = inf
    over_selection: float = 1.0

    def __post_init__(self) -> None:
        check(self.deadline, self.over_selection, "over_selection")

    @property
    def demands(self) -> frozenset[Demand]:
        """Nothing."""
        return frozenset()

    def begin(self, run: Run) -> Rounds:
        """Rounds of one cohort each."""
        return rounds(run, deadline=self.deadline, factor=self.over_selection)


_DUST = 1e-9
"""Of a client: 1.1 times 100 are 110."""


def check(deadline: Seconds, factor: float, name: str) -> None:
    """Refuse a round that cannot end well.

    Raises:
        SpecError: no time to deliver, or a cohort that is not asked whole.
    """
    if deadline <= 0.0:
        raise SpecError("the deadline is 0", remedy='Give time to deliver, or "none".')
    if factor < 1.0:
        raise SpecError(f"{name} is {factor:g}", remedy="Ask at least the cohort: 1 or more.")


def rounds(
    run: Run,
    *,
    deadline: Seconds = inf,
    factor: float = 1.0,
    late: Late = "drop",
    reserve: float = 1.0,
) -> Rounds:
    """Rounds in which `factor` times the cohort is asked and has until the deadline to deliver."""

    async def ask(script: Asked, args: tuple[Any, ...]) -> list[Reply[Any]]:
        wanted = run.selection.cohort
        clients = await run.select(ceil(wanted * factor - _DUST), deadline=deadline)
        first = wanted if len(clients) > wanted else inf
        return await run.gather(
            script, clients, *args, deadline=deadline, first=first, late=late, reserve=reserve
        )

    return Rounds(run, ask)
