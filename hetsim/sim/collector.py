"""The garbage collector during a run: it leaves alone what was there before, and looks less often.

A world of ten thousand devices is half a million objects that live as long as the run. Whenever a
quarter as many have come, the collector would look at all of them again, and find nothing; what a
run is done with holds few cycles, and goes at once where there is none.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

_OFTEN = 500_000
"""Objects that come, less those that go, until the collector looks at the young ones."""


@contextmanager
def at_rest() -> Generator[None]:
    """Keep what exists now out of the collector's way; afterwards all is as before.

    What someone else has frozen stays so, and then nothing is done.

    >>> with at_rest():
    ...     gc.get_freeze_count() > 0
    True
    >>> gc.get_freeze_count()
    0
    """
    if gc.get_freeze_count():
        yield
        return
    often, *rest = gc.get_threshold()
    gc.freeze()
    if often:  # 0: switched off
        gc.set_threshold(max(often, _OFTEN), *rest)
    try:
        yield
    finally:
        gc.set_threshold(often, *rest)
        gc.freeze()  # what it leaves is old, too
        gc.unfreeze()
