"""Work without rounds: a number of clients is always in flight, and the server never waits for all.

Whoever delivers or is lost is replaced at once by another client, which starts from the newest
model. Updates are kept until there are enough for a server step; one that started from too old a
model is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from hetsim.core.errors import HetsimError
from hetsim.core.quantities import Seconds
from hetsim.core.ref import Ref
from hetsim.federation.run import Asked, Reply, Run, Weigh
from hetsim.sim.requests import Inbox, Launch, Receive

Merge = Callable[[Ref[Any], list[Reply[Any]], Weigh], Ref[Any]]
"""The next server model from the present one and the updates of a step."""


class Flight:
    """The coordinator of every pace that keeps clients in flight."""

    side_by_side = False

    def __init__(self, run: Run, merge: Merge, *, buffer: int, bound: float = inf) -> None:
        self._run, self._merge, self._buffer, self._bound = run, merge, buffer, bound
        self._inbox = Inbox()

    async def cohort(self, script: Asked, args: tuple[Any, ...]) -> list[Reply[Any]]:
        """Refuse: there are no cohorts.

        Raises:
            HetsimError: always.
        """
        raise HetsimError(
            "this method averages by rules of its own, and at this pace there are no cohorts\n"
            "    Choose a pace of rounds, such as sync."
        )

    async def average(
        self, script: Asked, model: Ref[Any], args: tuple[Any, ...], weigh: Weigh
    ) -> Ref[Any]:
        """The next server model, once there are enough updates for it."""
        run, replies = self._run, list[Reply[Any]]()
        while len(replies) < self._buffer:
            short = await self._fill(script, (model, *args))
            left = max(run.stop.time - run.now, 0.0)
            if not left and not self._inbox.outcomes:
                break
            if self._inbox.playing or self._inbox.outcomes:
                patience = min(_LOOK, left) if short else left
                outcomes = await Receive(inbox=self._inbox, patience=patience)
                replies += [reply for reply in run.take(outcomes) if self._fresh(reply)]
            elif run.hope():
                await run.wait()
            else:
                break
        if not replies:
            return model
        merged = self._merge(model, replies, weigh)
        await run.server.compute(merged)
        run.use(replies)
        return merged

    async def _fill(self, script: Asked, args: tuple[Any, ...]) -> bool:
        """Ask clients until enough are in flight; whether too few are there."""
        if self._run.now >= self._run.stop.time:
            return False
        missing = self._run.selection.cohort - self._inbox.playing
        clients = await self._run.choose(missing)
        if clients:
            children = tuple(self._run.ask(script, client, args) for client in clients)
            await Launch(children=children, inbox=self._inbox)
        return len(clients) < missing

    def _fresh(self, reply: Reply[Any]) -> bool:
        """Whether it started from a model that is new enough; refuses it otherwise."""
        if self._run.round - reply.participation.round <= self._bound:
            return True
        self._run.refuse(reply)
        return False


_LOOK: Seconds = 10.0
"""How long the server waits for a delivery, while too few are in flight, until it looks again."""
