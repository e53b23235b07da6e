"""Calls on SimPy's event queue: later, or at the end of the present instant.

The one `simpy.Environment` of a run owns its clock; everything that happens is an event of it. A
cancelled timeout stays in SimPy's queue and still moves `now`, so nothing reads the end of a run
from the clock.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from hetsim.core.quantities import Seconds

SOLVE, OBSERVE = 2, 3
"""Priorities behind all ordinary events of an instant: first rates, then observations."""


class Call(simpy.Event):
    """An event that calls a function, unless `cancelled` by then."""

    __slots__ = ("cancelled", "function")
    callbacks: list[Callable[[simpy.Event], None]]

    def __init__(
        self,
        env: simpy.Environment,
        function: Callable[[], None],
        delay: Seconds = 0.0,
        priority: int = 1,
    ) -> None:
        super().__init__(env)
        self.function, self.cancelled = function, False
        self._ok, self._value = True, None
        self.callbacks.append(_run)
        env.schedule(self, priority, delay)  # pyright: ignore[reportArgumentType]


def _run(event: simpy.Event) -> None:
    assert isinstance(event, Call)
    if not event.cancelled:
        event.function()
