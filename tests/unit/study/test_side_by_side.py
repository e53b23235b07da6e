"""Ways to train, side by side: rows of every run, and what a goal takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hetsim.study.comparisons.side_by_side import side_by_side
from hetsim.testing.world import TOPOLOGY

SEEDS = (0, 1)
WAYS = {
    "plain": ["method={name: fedavg, lr: 0.1}"],
    "levels": ["method={name: heterofl, assignment: fixed, lr: 0.1}"],
}
MODEL = "task.model={name: mlp, hidden: [16]}"


def told(tmp_path: Path, **scene: Any) -> dict[str, Sequence[Any]]:
    topology = tmp_path / "world.yaml"
    topology.write_text(TOPOLOGY)
    scenes = {
        "small": {
            "topology": str(topology), "changes": [MODEL, "report.views=true", "stop.rounds=3"],
            "ways": WAYS, "seeds": SEEDS, **scene,
        }
    }  # fmt: skip
    return dict(
        side_by_side(
            tmp_path, work=tmp_path / "work", progress=lambda text: None, scenes=scenes, workers=1
        )
    )


def test_every_run_has_its_rows(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    tables = told(tmp_path)
    runs = [(row["way"], row["seed"]) for row in tables["runs"]]
    assert runs == [(way, seed) for way in WAYS for seed in SEEDS]
    assert not tables["goals"]
    for row in tables["runs"]:
        mine = {
            name: [
                each for each in rows if (each["way"], each["seed"]) == (row["way"], row["seed"])
            ]
            for name, rows in tables.items()
        }
        assert row["scene"] == "small"
        assert [score["round"] for score in mine["scores"]] == [1, 2, 3]
        assert mine["scores"][-1]["accuracy"] == row["final"]
        assert sum(each["devices"] for each in mine["classes"]) == 4
        assert {each["profile"] for each in mine["classes"]} == {
            "raspberry_pi_4b", "pixel_6", "jetson_tx2"
        }  # fmt: skip
        for account in ("energy_j", "active_j", "participant_j"):
            name = "device_j" if account == "energy_j" else f"device_{account}"
            total = sum(each[account] for each in mine["classes"])
            assert total == pytest.approx(row[name], rel=1e-9)
        assert row["peak_memory_b"] == max(each["peak_memory_b"] for each in mine["classes"])
        leveled = row["way"] == "levels"
        assert len(mine["levels"]) == (4 if leveled else 0)
        assert {each["round"] for each in mine["views"]} == ({1, 2, 3} if leveled else set())


def test_a_run_to_the_goal_ends_where_it_is_first_reached(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    tables = told(tmp_path, goal="common")
    [goal] = {row["goal"] for row in tables["goals"]}
    best = [
        max(
            each["accuracy"] for each in tables["scores"]
            if (each["way"], each["seed"]) == (row["way"], row["seed"])
        )
        for row in tables["goals"]
    ]  # fmt: skip
    assert min(best) >= goal > min(best) - 0.01
    for row in tables["goals"]:
        [*before, last] = [
            each for each in tables["scores"]
            if (each["way"], each["seed"]) == (row["way"], row["seed"])
            and each["round"] <= row["rounds"]
        ]  # fmt: skip
        assert row["reached"]
        assert last["accuracy"] >= goal > max((each["accuracy"] for each in before), default=0.0)
        assert row["simulated_s"] == last["t_s"]
        assert row["energy_j"] == pytest.approx(last["energy_j"], rel=1e-9)


def test_a_goal_that_nobody_reaches_is_told_as_missed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    tables = told(tmp_path, goal=1.0)
    for row in tables["goals"]:
        assert (row["goal"], row["reached"], row["rounds"]) == (1.0, False, None)
        assert row["energy_j"] is None


@pytest.mark.parametrize("goal", ["all", 0.0, 80.0])
def test_a_goal_that_is_none_is_refused_before_anything_is_played(
    goal: str | float, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="must be an accuracy"):
        told(tmp_path, goal=goal)
    assert not (tmp_path / "work").exists()
