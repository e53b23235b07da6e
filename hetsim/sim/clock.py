"""Calls on SimPy's event queue: later, or at the end of the present instant.

The one `simpy.Environment` of a run owns its clock; everything that happens is an event of it. A
cancelled call stays in SimPy's queue and still moves `now`, so nothing reads the end of a run from
the clock.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from hetsim.core.quantities import Seconds

DEADLINE, SOLVE, OBSERVE = 2, 3, 4
"""Priorities behind all ordinary events of an instant: what ends at a deadline is in time, then
rates are solved, then values are observed."""


class Call(simpy.Event):
    """An event that calls a function, unless it was cancelled by then.

    Raises:
        ValueError: `delay` is negative or no number.
    """

    __slots__ = ("_function",)
    callbacks: list[Callable[[simpy.Event], None]]

    def __init__(
        self,
        env: simpy.Environment,
        function: Callable[[], None],
        delay: Seconds = 0.0,
        priority: int = 1,
    ) -> None:
        if not delay >= 0.0:
            raise ValueError(f"time does not run backwards: a delay of {delay} s")
        super().__init__(env)
        self._function: Callable[[], None] | None = function
        self._ok, self._value = True, None
        self.callbacks.append(_run)
        env.schedule(self, priority, delay)  # pyright: ignore[reportArgumentType]

    def cancel(self) -> None:
        """Call nothing; let go at once of what the function holds."""
        self._function = None

    def call(self) -> None:
        """Call the function, if there is still one."""
        if self._function:
            self._function()


def _run(event: simpy.Event) -> None:
    assert isinstance(event, Call)
    event.call()
