"""The misfortunes of the method suite do hit somebody, and never everybody."""

from __future__ import annotations

import pytest

from hetsim.testing import play, tiny
from hetsim.testing.method import MISFORTUNES


@pytest.mark.parametrize("cause", sorted(MISFORTUNES.keys() - {"data"}))
def test_some_are_dropped_for_this_cause_alone(cause: str) -> None:
    summary = play(tiny("stop.rounds=4", "cost_only=true", *MISFORTUNES[cause])).summary
    assert summary["dropouts"][cause] > 0
    assert sum(summary["dropouts"].values()) == summary["dropouts"][cause]
    assert summary["device_rounds"] > 0


def test_who_holds_no_data_is_never_asked() -> None:
    trace = play(tiny("cost_only=true", *MISFORTUNES["data"])).trace
    boards = [row for row in trace.devices if row["device"].startswith("pi")]
    assert [row["excluded"] for row in boards] == ["holds no data"] * 2
    assert not [span for span in trace.spans if span.actor.startswith("pi")]
