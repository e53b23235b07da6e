"""Synchronous rounds."""

from __future__ import annotations

from math import inf

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.pace.sync import Sync


@pytest.mark.parametrize("deadline", [0.0, -1.0])
def test_sync_gives_time(deadline: float) -> None:
    with pytest.raises(SpecError, match="deadline"):
        Sync(deadline=deadline)


@pytest.mark.parametrize("times", [0.0, 0.99, -1.0])
def test_sync_asks_at_least_the_cohort(times: float) -> None:
    with pytest.raises(SpecError, match="over_selection"):
        Sync(over_selection=times)


def test_sync_waits_for_ever_by_default() -> None:
    assert Sync().deadline == inf
