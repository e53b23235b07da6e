"""What a timeline can show of a run: a few thousand bars.

Where a run has more segments, those that touch on the screen become one bar, and if that is not
enough the run is cut after a whole number of rounds. What was done is part of the answer, so that
the page can say it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass

from hetsim.core.quantities import Seconds
from hetsim.core.table import Table, unlike
from hetsim.core.trace import Span, Trace
from hetsim.report.cast import cast

_BARS = 2800
"""Bars that a browser draws and moves at ease."""
_SEGMENTS = 20 * _BARS
"""Segments looked at: bars that stand for more on average would show nothing."""
_ACTORS = 200
"""Rows drawn at most."""
_PIXELS = 1600
"""Bars closer than the shown time over this touch on a screen."""
_ORDER = ("server", "gateway", "device", "link")
"""Roles from the top row to the bottom."""


@dataclass(slots=True)
class Bar:
    """One segment, or several of one kind on one node that touch on the screen.

    Attributes:
        round, last: rounds of its first and last segment; -1 outside of any.
        segments: how many it stands for.
        cut: whether the last of them was cut short.
        held: seconds that they took longer than each would have with all it uses to itself.
        moves: whether they are transfers.
    """

    actor: str
    kind: str
    t0: Seconds
    t1: Seconds
    round: int
    last: int
    segments: int
    cut: bool
    held: Seconds = 0.0
    moves: bool = False


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What the timeline shows of a run.

    Attributes:
        bars: by start.
        actors: nodes from top to bottom.
        rounds: how many rounds, from the first.
        end: simulated time up to which.
        gap: segments of one kind on one node closer than this are one bar.
        segments: how many the bars stand for.
    """

    bars: list[Bar]
    actors: list[str]
    rounds: int
    end: Seconds
    gap: Seconds
    segments: int


def excerpt(trace: Trace) -> Excerpt:
    """As many whole rounds from the start as fit into the bars a browser can draw."""
    actors = _actors(trace)
    kept = set(actors)
    spans = sorted((s for s in trace.spans if s.actor in kept), key=lambda s: (s.t0, s.serial))
    everything = max((span.t1 for span in spans), default=0.0)
    ends = [row["t1_s"] for row in trace.rounds]
    rounds, pixels = len(ends), _PIXELS
    starts = [span.t0 for span in spans]
    while True:
        end = everything if rounds == len(ends) else max(ends[:rounds])
        inside = spans if rounds == len(ends) else spans[: bisect_left(starts, end)]
        excess = len(inside) / _SEGMENTS
        for gap in (0.0, end / pixels) if excess <= 1.0 or rounds <= 1 else ():
            bars = _merged(inside, gap, end)
            if len(bars) <= _BARS or pixels == 1:
                return Excerpt(bars, actors, rounds, end, gap, len(inside))
            excess = len(bars) / _BARS
        if rounds > 1:
            rounds = max(1, min(rounds - 1, int(rounds / excess)))
        else:
            pixels //= 2


def _actors(trace: Trace) -> list[str]:
    """Nodes that did something: server first, then gateways, devices and links as in the file."""
    worked: dict[str, Seconds] = defaultdict(float)
    for span in trace.spans:
        worked[span.actor] += span.t1 - span.t0
    rows = trace.devices
    if isinstance(rows, Table):
        rows = unlike(rows, asked=0, role="device")
    ranked = sorted(rows, key=lambda row: _ORDER.index(row["role"]))
    listed = [row["device"] for row in ranked if row["device"] in worked]
    listed += sorted(worked.keys() - set(listed))
    if len(listed) <= _ACTORS:
        return listed
    shown = cast(trace, rows, worked, _ACTORS)
    return [actor for actor in listed if actor in shown]


def _merged(spans: list[Span], gap: Seconds, end: Seconds) -> list[Bar]:
    """Bars of `spans`, which are sorted by start; those nearer than `gap` become one."""
    bars: list[Bar] = []
    last: dict[tuple[str, str], Bar] = {}
    for span in spans:
        key = span.actor, span.kind
        t1, cut = min(span.t1, end), span.outcome != "done"
        own = span.held < 0.0 and span.outcome == "done" and span.alone > 0.0
        held = max(span.t1 - span.t0 - span.alone, 0.0) if own else 0.0
        old = last.get(key)
        if old and span.t0 - old.t1 < gap:
            old.t1, old.last, old.cut = max(old.t1, t1), span.round, cut
            old.segments += 1
            old.held = min(old.held + held, old.t1 - old.t0)
        else:
            last[key] = bar = Bar(
                *key, span.t0, t1, span.round, span.round, 1, cut,
                min(held, t1 - span.t0), bool(span.peer),
            )  # fmt: skip
            bars.append(bar)
    return bars
