"""Intervals over seeds are of runs, not of points."""

from __future__ import annotations

from typing import Any

from hetsim.report.sweep_page import _seeds


def row(point: int, seed: int) -> dict[str, Any]:
    return {"point": point, "method.lr": 0.1, "seed": seed, "simulated_s": 10.0 + seed}


def test_a_point_that_was_drawn_twice_is_one_run() -> None:
    once = [row(seed, seed) for seed in range(3)]
    twice = [*once, *(row(3 + seed, seed) for seed in range(3))]
    told = [_seeds(("method.lr", "seed"), rows, ["simulated_s"]) for rows in (once, twice)]
    assert told[0] is not None
    assert told[0] == told[1]
    assert "2.484" in told[0].body
