"""Whatever a server knows of its clients, a policy makes a choice that it can carry out."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.core.registry import SELECTIONS
from hetsim.federation.roster import Candidate, Sightings
from hetsim.testing.selection import known, situation

LOSSES = st.none() | st.floats(0.0, 1e6) | st.sampled_from([0.0, inf, nan])
TIMES = st.floats(0.0, 1e7)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """What may be known of a client, consistent or not."""
    delivered = draw(st.integers(0, 5))
    last = draw(st.integers(0, 200)) if delivered else -1
    seconds = draw(TIMES) if delivered else None
    return {
        "samples": draw(st.integers(0, 1000)),
        "charge": draw(st.none() | st.floats(-0.1, 1.0)),
        "asked": delivered + draw(st.integers(0, 3)),
        "delivered": delivered,
        "last_asked": last + draw(st.integers(0, 3)),
        "last_delivered": last,
        "seconds": seconds,
        "usual": seconds,
        "spent": draw(st.none() | st.floats(0.0, 2.0)) if delivered else None,
        "loss": draw(LOSSES),
        "heard": last,
        "sightings": Sightings(
            here=True, since=0.0, present=draw(TIMES), absent=draw(TIMES),
            departures=draw(st.integers(0, 100)), returns=draw(st.integers(0, 100)),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", SELECTIONS.names())
@given(
    fleet=st.lists(records(), min_size=1, max_size=12),
    count=st.integers(1, 14),
    rounds=st.lists(st.integers(0, 60), min_size=1, max_size=6).map(sorted),
)
def test_a_choice_is_made_of_whoever_is_there(
    name: str, fleet: list[dict[str, Any]], count: int, rounds: list[int]
) -> None:
    chooser = SELECTIONS.load(name)().begin()
    candidates = [known(index, **record) for index, record in enumerate(fleet)]
    for number in rounds:
        present: list[Candidate] = candidates[number % len(candidates) :]
        chosen = chooser.choose(present, count, situation(number))
        assert 0 < len(chosen) <= min(count, len(present))
        if name not in ("battery", "exclusive"):
            assert len(chosen) == min(count, len(present))
        places = [candidate.index for candidate in chosen]
        assert places == sorted(set(places))
        assert set(chosen) <= set(present)
