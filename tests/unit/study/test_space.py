"""The space of a plan: its points, their steps and what `--set` would say of them."""

from __future__ import annotations

from math import inf

import pytest

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.study.space import space


def test_amounts_are_ordered_and_names_are_not() -> None:
    found = space(["fleet[pi].count=8,0,2", "fleet[pi].link.rate=50 Mbit/s,5 Mbit/s", "pace=a,b,c"])
    count, rate, pace = found.dimensions
    assert count.beside("2") == ["0", "8"]
    assert rate.beside("5 Mbit/s") == ["50 Mbit/s"]
    assert pace.beside("b") == ["a", "c"]
    assert found.size == len(list(found.points())) == 18
    point = ("2", "5 Mbit/s", "a")
    assert [moved[place] for place, moved in found.beside(point)] == [
        "0",
        "8",
        "50 Mbit/s",
        "b",
        "c",
    ]


def test_ranges_have_steps_of_a_tenth() -> None:
    found = space(["fleet[0].count=1..4", "method.lr=0.01..1 log", "fleet[0].link.rate=0..50 kB/s"])
    count, lr, rate = found.dimensions
    assert found.size == inf
    assert count.beside("1") == ["2"]
    assert lr.beside("0.1") == ["0.0630957", "0.158489"]
    assert rate.beside("50 kB/s") == ["45 kB/s"]
    assert rate.beside("48 kB/s") == ["43 kB/s", "50 kB/s"]
    for value, each in zip(found.drawn(rng(0, "sim/test")), found.dimensions, strict=True):
        assert each.beside(value)


def test_none_of_a_group_leaves_it_out_and_gateways_are_the_first_ones() -> None:
    found = space(["fleet[pi].count=0,3", "gateways.count=0..2", "governor=powersave"], gateways=2)
    assert found.assignments(("0", "1", "powersave")) == (
        "fleet[pi]=none", "gateways[1]=none", "governor=powersave",
    )  # fmt: skip
    assert found.assignments(("3", "2", "powersave")) == (
        "fleet[pi].count=3", "governor=powersave",
    )  # fmt: skip
    assert found.words(("3", "2", "powersave")) == (
        "fleet[pi].count=3, gateways.count=2, governor=powersave"
    )


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "nothing to choose"),
        (["pace"], "not of the form"),
        (["pace=a,a"], "given twice"),
        (["pace=a,b", "pace=c"], "varied twice"),
        (["seed=0,1"], "--seeds 0,1,2"),
        (["gateways.count=1,3"], "lists 2 gateways, and 3 of them"),
        (["fleet[0].count=4..1"], "the range is empty"),
    ],
)
def test_a_wrong_space_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        space(texts, gateways=2)
    assert words in str(caught.value)
    assert caught.value.where.startswith("--vary")
