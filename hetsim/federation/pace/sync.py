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
        at_once: clients that the server serves at once: the cohort is asked group by group, each
            when the one before it has delivered. Left out, all together.
    """

    deadline: Seconds = inf
    over_selection: float = 1.0
    at_once: int | None = None

    def __post_init__(self) -> None:
        check(self.deadline, self.over_selection, "over_selection")
        if self.at_once is None:
            return
        if self.at_once < 1:
            raise SpecError(f"at_once is {self.at_once}", remedy="Serve 1 client or more.")
        if self.over_selection > 1.0:
            raise SpecError(
                "at_once and over_selection contradict each other: of a group that is asked after "
                "others nobody can be spared before it has begun",
                remedy="Leave one of them out.",
            )

    @property
    def demands(self) -> frozenset[Demand]:
        """Nothing."""
        return frozenset()

    def updates(self, cohort: int, able: int) -> tuple[int, int]:
        """Of a step: more than are waited for may be asked."""
        return min(larger(cohort, self.over_selection), able), min(cohort, able)

    def begin(self, run: Run) -> Rounds:
        """Rounds of one cohort each."""
        return rounds(run, deadline=self.deadline, factor=self.over_selection, at_once=self.at_once)


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


def larger(cohort: int, factor: float) -> int:
    """How many are asked of `factor` times a cohort.

    >>> larger(100, 1.1), larger(5, 1.3)
    (110, 7)
    """
    return ceil(cohort * factor - _DUST)


def rounds(
    run: Run,
    *,
    deadline: Seconds = inf,
    factor: float = 1.0,
    late: Late = "drop",
    reserve: float = 1.0,
    at_once: int | None = None,
) -> Rounds:
    """Rounds in which `factor` times the cohort is asked and has until the deadline to deliver.

    Where only some are served at once, each group has its own deadline.
    """

    async def ask(script: Asked, args: tuple[Any, ...]) -> list[Reply[Any]]:
        wanted = run.selection.cohort
        clients = await run.select(larger(wanted, factor), deadline=deadline)
        first = wanted if len(clients) > wanted else inf
        size = at_once or max(1, len(clients))
        replies: list[Reply[Any]] = []
        for begin in range(0, len(clients), size):
            replies += await run.gather(
                script, clients[begin : begin + size], *args,
                deadline=deadline, first=first, late=late, reserve=reserve,
            )  # fmt: skip
        return replies

    return Rounds(run, ask, side_by_side=at_once is None)
