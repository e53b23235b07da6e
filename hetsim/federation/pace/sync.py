"""Synchronous rounds: wait for the cohort, up to a deadline, or for the first of a larger one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from hetsim.core.errors import SpecError
from hetsim.core.quantities import Seconds
from hetsim.federation.run import Reply, Run
from hetsim.sim.requests import Script


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
        if self.deadline <= 0.0:
            raise SpecError("the deadline is 0", remedy='Give time to deliver, or "none".')
        if self.over_selection < 1.0:
            raise SpecError(
                f"over_selection is {self.over_selection:g}",
                remedy="Ask at least the cohort: 1 or more.",
            )

    async def collect(
        self, run: Run, script: Callable[..., Script[Any]], args: tuple[Any, ...]
    ) -> list[Reply[Any]]:
        """Ask a cohort and wait for it."""
        wanted = run.selection.cohort
        clients = await run.select(ceil(wanted * self.over_selection))
        first = wanted if len(clients) > wanted else inf
        return await run.gather(script, clients, *args, deadline=self.deadline, first=first)
