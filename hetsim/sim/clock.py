"""Calls on SimPy's event queue: later, or at the end of the present instant.

The one `simpy.Environment` of a run owns its clock; everything that happens is an event of it. A
cancelled call stays in SimPy's queue and still moves `now`, so nothing reads the end of a run from
the clock.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from hetsim.core.quantities import Seconds

CUT, DEADLINE, SOLVE, OBSERVE = 2, 3, 4, 5
"""Priorities behind all ordinary events of an instant: what ends at a deadline is in time, and so
is what a script has set to be cut then; after that rates are solved, then values are observed."""


class Call(simpy.Event):
    """An event that calls a function, unless it was cancelled by then.

    Raises:
        ValueError: `delay` is negative or no number.
    """

    __slots__ = ("_function",)
    _ok, _value = True, None
    callbacks: list[Callable[[Call], None]]

    def __init__(
        self,
        env: simpy.Environment,
        function: Callable[[], None],
        delay: Seconds = 0.0,
        priority: int = 1,
    ) -> None:
        if not delay >= 0.0:
            raise ValueError(f"time does not run backwards: a delay of {delay} s")
        self.env = env
        self._function: Callable[[], None] | None = function
        self.callbacks = [_run]
        env.schedule(self, priority, delay)  # pyright: ignore[reportArgumentType]

    def again(self, delay: Seconds) -> None:
        """Call once more, `delay` after it was called."""
        self.callbacks = [_run]
        self.env.schedule(self, delay=delay)

    def cancel(self) -> None:
        """Call nothing; let go at once of what the function holds."""
        self._function = None

    @staticmethod
    def run(call: Call) -> None:
        """Call the function of `call`, if there is still one."""
        if call._function:
            call._function()


_run = Call.run
