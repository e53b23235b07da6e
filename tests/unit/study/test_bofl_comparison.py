"""BoFL's comparison on a sweep of nobody's: every policy that can be played is, and told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.study.comparisons.bofl import bofl
from tests.unit.study.test_bofl_tasks import grid


def test_a_small_sweep_of_ones_own_is_compared(tmp_path: Path) -> None:
    folder = tmp_path / "measured" / "traces" / "bofl"
    folder.mkdir(parents=True)
    grid(folder / "mine.csv", cpus=10)
    told: list[str] = []
    found = bofl(tmp_path, ratios=[2.0], seeds=1, progress=told.append)
    assert told == ["0 of 1 cells"]

    runs = {row["policy"]: row for row in found["bofl_runs"]}
    assert runs.keys() == {"performant", "best_single", "oracle", "bofl", "feedback_tenth"}
    least = runs["oracle"]["joules"]
    assert least == min(row["joules"] for row in runs.values())
    for row in runs.values():
        assert row["regret_percent"] == pytest.approx(100 * (row["joules"] / least - 1))
    assert runs["bofl"]["misses"] == runs["oracle"]["misses"] == 0
    assert runs["feedback_tenth"]["observed"] == 8

    [fact] = found["bofl_facts"]
    assert (fact["settings"], fact["minibatches"]) == (40, 200)
    rounds = found["bofl_rounds"]
    assert sum(row["joules"] for row in rounds if row["policy"] == "oracle") == pytest.approx(
        least, rel=1e-4
    )
    for row in found["bofl_idle"]:
        if row["rest"] == "0 %" and row["policy"] in runs:
            assert row["joules"] == pytest.approx(runs[row["policy"]]["joules"])
        if row["policy"] == "performant":
            waiting = runs["performant"]["deadlines_s"] - 100 * fact["shortest_s"]
            drawn = runs["performant"]["joules"] + row["rest_w"] * waiting
            assert row["joules"] == pytest.approx(drawn)
