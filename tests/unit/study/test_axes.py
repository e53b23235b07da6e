"""Axes of a sweep: how they are read, crossed and drawn."""

from __future__ import annotations

import math

import pytest

from hetsim.core.errors import SpecError
from hetsim.study.axes import Axes, Axis, Range, columns, grid, heads, sample


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=0,1,2", ("0", "1", "2")),
        ("fleet[0].link.rate= 5 Mbit/s , 20 Mbit/s", ("5 Mbit/s", "20 Mbit/s")),
        ("pace={name: sync},{name: semi_sync, n: 3}", ("{name: sync}", "{name: semi_sync, n: 3}")),
        ("task.model.hidden=[16, 16],[32]", ("[16, 16]", "[32]")),
        ('name="a,b",c', ('"a,b"', "c")),
        ("fleet[0].count=2..4", ("2", "3", "4")),
    ],
)
def test_commas_inside_a_value_do_not_part_it(text: str, values: tuple[str, ...]) -> None:
    assert grid(text).values == values


@pytest.mark.parametrize("text", ["seed", "seed=", "=1,2", "seed=1,,2", "seed=1,1", "seed=[1,2"])
def test_a_grid_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--grid"):
        grid(text)


@pytest.mark.parametrize("text", ["a=0.1..0.5", "a=1..5 s", "a=1..2000", "a=1..9 log"])
def test_a_grid_has_no_range_but_of_some_whole_numbers(text: str) -> None:
    with pytest.raises(SpecError, match="this range has no list") as caught:
        grid(text)
    assert "--sample a=LOW..HIGH --points N" in caught.value.remedy


def test_heads_are_short_and_stay_apart() -> None:
    keys = ["fleet[pi].count", "network.nodes.pi.count", "governor", "fleet[pi].link.technology"]
    assert heads(keys) == [
        "fleet[pi].count", "network.nodes\n.pi.count", "governor", "fleet[pi].link\n.technology",
    ]  # fmt: skip
    assert heads(keys[:1]) == ["pi"]


def test_a_range_is_read_with_its_unit_and_its_scale() -> None:
    assert sample("a=0.001..0.1 log") == Range(key="a", low=0.001, high=0.1, log=True)
    assert sample("a=5..50 Mbit/s") == Range(key="a", low=5, high=50, unit="Mbit/s")
    assert sample("a=5 Mbit/s..50 Mbit/s log") == Range(
        key="a", low=5, high=50, unit="Mbit/s", log=True
    )
    assert sample("a=1..9") == Range(key="a", low=1, high=9, whole=True)
    assert sample("a=-5..5.0 degC") == Range(key="a", low=-5, high=5, unit="degC")
    assert sample("a=sync,async") == Axis("a", ("sync", "async"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a=9..1", "empty"),
        ("a=0..1 log", "above zero"),
        ("a=1 s..2 min", 'begins in "s" and ends in "min"'),
    ],
)
def test_a_range_without_values_is_refused(text: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        sample(text)


def test_grids_are_crossed_and_the_last_changes_first() -> None:
    axes = Axes(grids=(grid("a=1,2"), grid("b=x,y,z")))
    assert axes.points() == [
        ("1", "x"), ("1", "y"), ("1", "z"), ("2", "x"), ("2", "y"), ("2", "z"),
    ]  # fmt: skip


def drawn(draws: int, seed: int, *texts: str) -> list[tuple[str, ...]]:
    return Axes(samples=tuple(map(sample, texts)), draws=draws, seed=seed).points()


def test_draws_depend_on_seed_and_key_alone() -> None:
    few, many = drawn(5, 0, "a=0..1.0"), drawn(50, 0, "a=0..1.0")
    assert many[:5] == few
    assert [(a,) for a, _ in drawn(50, 0, "a=0..1.0", "b=0..1.0")] == many
    assert drawn(50, 1, "a=0..1.0") != many
    assert drawn(50, 0, "b=0..1.0") != many


def test_draws_fill_their_range() -> None:
    whole = [int(value) for (value,) in drawn(400, 0, "a=1..4")]
    assert set(whole) == {1, 2, 3, 4}
    logs = [math.log10(float(value)) for (value,) in drawn(400, 0, "a=0.001..0.1 log")]
    assert -3.0 <= min(logs) < -2.9
    assert -1.1 < max(logs) <= -1.0
    assert abs(sum(logs) / len(logs) + 2.0) < 0.1
    assert {value for (value,) in drawn(50, 0, "a=x,y")} == {"x", "y"}
    rates = drawn(3, 0, "a=5..50 Mbit/s")
    assert all(value.endswith(" Mbit/s") for (value,) in rates)


def test_each_draw_is_crossed_with_the_grid() -> None:
    axes = Axes(grids=(grid("seed=0,1"),), samples=(sample("a=0..1.0"),), draws=3)
    points = axes.points()
    assert axes.keys == ("a", "seed")
    assert [seed for _, seed in points] == ["0", "1"] * 3
    assert [value for value, _ in points[::2]] == [value for value, _ in points[1::2]]


def test_axes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SpecError, match="no axis"):
        Axes()
    with pytest.raises(SpecError, match="an axis twice"):
        Axes(grids=(grid("a=1"), grid("a=2")))
    with pytest.raises(SpecError, match="--points N"):
        Axes(samples=(sample("a=1..2"),))
    with pytest.raises(SpecError, match="nothing is drawn"):
        Axes(grids=(grid("a=1"),), draws=3)
    numbers = ",".join(map(str, range(400)))
    with pytest.raises(SpecError, match="160,000 points"):
        Axes(grids=(grid(f"a={numbers}"), grid(f"b={numbers}")))


def test_columns_are_numbers_where_all_values_are() -> None:
    points = [("1", "1", "true", "5 s"), ("2", "0.5", "false", "6 s")]
    found = columns(["a", "b", "c", "d"], points)
    assert found == {"a": [1, 2], "b": [1.0, 0.5], "c": [True, False], "d": ["5 s", "6 s"]}
    assert [type(value) for value in found["b"]] == [float, float]
