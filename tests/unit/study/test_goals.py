"""Goals: what they accept, and by how much they are missed."""

from __future__ import annotations

from math import inf

import pytest

from hetsim.core.errors import SpecError
from hetsim.study.goals import goal, goals


@pytest.mark.parametrize(
    ("text", "column", "limit"),
    [
        ("accuracy>=0.85", "accuracy", 0.85),
        ("accuracy >= 85 %", "accuracy", 0.85),
        ("accuracy≥0.8 in 90 min", "accuracy_5400", 0.8),
        ("time<=4 h", "time", 14400.0),
        ("energy<=50 kJ", "energy", 5e4),
        ("device_energy<=2 Wh", "device_energy", 7200.0),
        ("bytes<=2 GB", "bytes", 2e9),
        ("price<=2000", "price", 2000.0),
        ("battery_end>=20 %", "battery_end", 0.2),
        ("dropouts<=5 %", "dropouts", 0.05),
        ("excluded<=0", "excluded", 0.0),
    ],
)
def test_a_goal_is_read(text: str, column: str, limit: float) -> None:
    found = goal(text)
    assert (found.column, found.limit) == (column, pytest.approx(limit))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accuracy", "not of the form"),
        ("acuracy>=0.8", 'no quantity "acuracy". Did you mean "accuracy"?'),
        ("accuracy<=0.8", 'Write --goal "accuracy>=0.8"'),
        ("time>=4 h", 'Write --goal "time<=4 h"'),
        ("time==4 h", 'Write --goal "time<=4 h"'),
        ("time<=4", "4 has no unit"),
        ("time<=0 s", "not above zero"),
        ("energy<=4 h", '"h" is no unit of energy'),
        ("accuracy>=85", "not between 0 and 1"),
        ("accuracy>=0.8 in 3", "3 has no unit"),
        ("energy<=5 kJ in 3 h", "only accuracy is measured at a time"),
        ("price<=2k", '"2k" is no number'),
    ],
)
def test_a_wrong_goal_is_refused(text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        goal(text)
    assert words in str(caught.value)
    assert caught.value.where == f"--goal {text}"
    assert caught.value.remedy


def test_goals_are_one_a_quantity() -> None:
    assert len(goals(["accuracy>=0.9", "accuracy>=0.5 in 1 h", "time<=2 h"])) == 3
    with pytest.raises(SpecError, match="a second goal on time"):
        goals(["time<=2 h", "time<=1 h"])
    with pytest.raises(SpecError, match="nothing to reach"):
        goals([])


def test_a_miss_is_a_share_of_the_limit_or_a_difference() -> None:
    assert goal("time<=4 h").miss({"time": 18000.0}) == pytest.approx(0.25)
    assert goal("time<=4 h").miss({"time": 7200.0}) == pytest.approx(-0.5)
    assert goal("accuracy>=0.85").miss({"accuracy": 0.8}) == pytest.approx(0.05)
    assert goal("dropouts<=5 %").miss({"dropouts": 0.25}) == pytest.approx(0.2)
    assert goal("excluded<=0").miss({"excluded": 2.0}) == 2.0
    assert goal("accuracy>=0.85").miss({"accuracy": None}) == inf
    assert goal("battery_end>=20 %").miss({"battery_end": None}) == -inf
    told = goal("time<=4 h").missed_by({"time": 18000.0}).replace("\u00a0", " ")
    assert told == "25 % above 4 h"
    told = goal("time<=4 h").missed_by({"time": 10 * 14400.0}).replace("\u00a0", " ")
    assert told == "10 times 4 h"
    told = goal("accuracy>=0.85").missed_by({"accuracy": 0.8})
    assert told == "5.0 points below 0.850"
