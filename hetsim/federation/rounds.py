"""Work round by round: a cohort is asked, the server waits, and then there is a new model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hetsim.core.ref import Ref
from hetsim.federation.run import Asked, Reply, Run, Weigh
from hetsim.learn import ops

Ask = Callable[[Asked, tuple[Any, ...]], Awaitable[list[Reply[Any]]]]
"""Asks one cohort to play a script with these arguments; replies of those in time."""


class Rounds:
    """The coordinator of every pace that asks one cohort at a time.

    Args:
        run: whose server steps these are.
        ask: asks one cohort.
        side_by_side: whether it asks all of the cohort at once.
    """

    def __init__(self, run: Run, ask: Ask, *, side_by_side: bool = True) -> None:
        self._run, self._ask, self.side_by_side = run, ask, side_by_side

    async def cohort(self, script: Asked, args: tuple[Any, ...]) -> list[Reply[Any]]:
        """Ask a cohort; all its replies count."""
        replies = await self._ask(script, args)
        self._run.use(replies)
        return replies

    async def average(
        self, script: Asked, model: Ref[Any], args: tuple[Any, ...], weigh: Weigh
    ) -> Ref[Any]:
        """The weighted mean of what a cohort delivered."""
        replies = await self._ask(script, (model, *args))
        if not replies:
            return model
        merged = mean(model, replies, weigh)
        await self._run.server.compute(merged)
        self._run.use(replies)
        return merged


def mean(model: Ref[Any], replies: list[Reply[Any]], weigh: Weigh) -> Ref[Any]:
    """The weighted mean, layer by layer where not all layers have arrived."""
    values, weights = [reply.value for reply in replies], [weigh(r.client) for r in replies]
    if all(reply.layers is None for reply in replies):
        return ops.mean(values, weights=weights)
    whole = ops.layers_of(model)
    layers = [whole if reply.layers is None else reply.layers for reply in replies]
    return ops.layered_mean(model, values, weights, layers)
