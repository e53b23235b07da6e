"""Every method at every pace with every selection: it runs, or `check` says what is missing.

Six devices of three kinds, some of them behind gateways. Every triple that `check` accepts is
played cost-only; few of them, in which every two names meet, are trained; `make conformance` trains
all (`--product`). Names come from the registries: a new plug-in is covered as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import pytest
import yaml

from hetsim.core.errors import SpecError
from hetsim.core.registry import METHODS, PACES, SELECTIONS, Registry
from hetsim.learn.executors.base import Executor
from hetsim.spec.options import make
from hetsim.testing import Played, Shuffled, check_books, play, tiny

ROUNDS = 2
GATEWAYS = "gateways=[{profile: jetson_tx2, at: ap}, {profile: jetson_tx2, at: lte-cell}]"
SIX = (
    "fleet[0].count=3",
    "fleet[1].count=2",
    "task.model={name: mlp, hidden: [16, 16]}",
    f"stop.rounds={ROUNDS}",
)
MORE: Mapping[str, Sequence[str]] = {
    "deadline": (
        "deadline: 18 ms",
        "deadline: 18 ms, late: layers",
        "deadline: 18 ms, late: drop",
    ),
    "fedbuff": ("buffer: 2, max_staleness: 1",),
    "hierarchical": ("edge_rounds: 2",),
    "tifl": ("tiers: 2", "tiers: 2, policy: adaptive, interval: 1"),
    "power_of_choice": ("loss: fresh",),
    "forecast": ("prefer: scarce",),
    "dpfl": ("cut: fastest",),
    "heterofl": ("assignment: dynamic, masked: false",),
    "fednova": ("mu: 0.1, momentum: 0.5",),
    "scaffold": ("where: step, divisor: steps, momentum: 0.5, mean: participants, server_lr: 0.5",),
    "spatl": (
        "selection: greedy, stem: false, zeros: true",
        "selection: agent, episodes: 1, pretraining: 1",
        "assignment: same, keep: 50 %, private: false, control: false",
    ),
    "depthfl": ("exits: [1, 3], distillation: 0.5, rampup: 1",),
    "fedhm": ("assignment: dynamic, temperature: 1, weight_decay: 0.001, decay: both",),
    "fedlp": (
        "unit: tensor, down: true, preserve: 0.3",
        "scheme: heterogeneous, assignment: dynamic, preserve: 0.5",
    ),
    "split_mix": ("base: 0.25, budgets: [1, 0.5, 0.25], assignment: dynamic",),
    "fedstitch": (
        "positions: 2, zoo: [plain_cnn@0.1, wide_cnn@0.1], "
        "winners: [wide_cnn@0.1/1, plain_cnn@0.1/2]",
        "zoo: [plain_cnn@0.1, wide_cnn@0.1], pool: free, weights: samples, stitch: pad",
    ),
}
"""Options with which a plug-in does something else than by default, or asks it of a method."""


TRAININGS = ("train", "pursue", "steer", "fit", "local_loss", "mutual", "scores", "grams")
"""Operations of which every delivered update needs one."""


class Triple(NamedTuple):
    """A method, a pace and a selection, each as `--set` takes it."""

    method: str
    pace: str
    selection: str

    @property
    def covers(self) -> set[Hashable]:
        """What is tried with it: each part, and each two that have no options."""
        plain = [(place, part) for place, part in enumerate(self) if part[0] != "{"]
        return {*enumerate(self), *combinations(plain, 2)}


def choices(registry: Registry) -> list[str]:
    """Each plug-in of a kind with its defaults, and with other options."""
    return [
        text
        for name in registry.names()
        for text in (name, *(f"{{name: {name}, {options}}}" for options in MORE.get(name, ())))
    ]


def made(registry: Registry, text: str) -> Any:
    """The plug-in that this text names."""
    said = yaml.safe_load(text)
    options: dict[str, Any] = {"name": said} if isinstance(said, str) else said
    return make(registry.load(options.pop("name")), options)


def name(text: str) -> str:
    said = yaml.safe_load(text)
    return said if isinstance(said, str) else said["name"]


def covering(triples: Sequence[Triple]) -> list[Triple]:
    """Few of them that cover what all of them cover: greedily, the first of those that add most."""
    missing = set[Hashable]().union(*(triple.covers for triple in triples))
    chosen: list[Triple] = []
    while missing:
        chosen.append(max(triples, key=lambda triple: len(triple.covers & missing)))
        missing -= chosen[-1].covers
    return chosen


def unmet(triple: Triple) -> frozenset[str]:
    """What the pace demands and the method does not meet."""
    accepts = getattr(METHODS.load(name(triple.method)), "accepts", frozenset[str]())
    return made(PACES, triple.pace).demands - accepts


def observing(triple: Triple) -> list[str]:
    """Which of its three go by learned values."""
    plugins = {
        "selection": made(SELECTIONS, triple.selection),
        "pace": made(PACES, triple.pace),
        "method": made(METHODS, triple.method),
    }
    return [key for key, plugin in plugins.items() if getattr(plugin, "observes", False)]


ALL = [Triple(*parts) for parts in product(*map(choices, (METHODS, PACES, SELECTIONS)))]
ACCEPTED = [triple for triple in ALL if not unmet(triple)]
REFUSED = [triple for triple in ALL if unmet(triple)]
BLIND = [triple for triple in ACCEPTED if not observing(triple)]
OBSERVING = [triple for triple in ACCEPTED if observing(triple)]
COVERING = covering(ACCEPTED)


def play_six(triple: Triple, *overrides: str, executor: Executor | None = None) -> Played:
    """Play it in the world of six, and check its books.

    Raises:
        SpecError: the three do not go together.
    """
    scenario = tiny(
        *SIX, GATEWAYS, f"method={triple.method}", f"pace={triple.pace}",
        f"selection={triple.selection}", "selection.cohort=4", *overrides,
    )  # fmt: skip
    played = play(scenario, executor)
    check_books(played.trace, scenario)
    assert played.summary["rounds"] == ROUNDS
    return played


@pytest.mark.parametrize("triple", BLIND, ids=" ".join)
def test_costs(triple: Triple) -> None:
    play_six(triple, "cost_only=true")


def test_training(triple: Triple) -> None:
    """In any order of computing; which triples, `pytest_generate_tests` says."""
    played = play_six(triple)
    books = played.trace.participations
    trained = any(played.executed[operation] for operation in TRAININGS)
    delivered = not books or any(book.outcome == "done" for book in books)
    assert trained == delivered or (trained and "method" in observing(triple))
    again = play_six(triple, executor=Shuffled(seed=1))
    assert again.hashes == played.hashes
    assert again.trace.participations == played.trace.participations


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is test_training:
        triples = ACCEPTED if metafunc.config.getoption("--product") else COVERING
        metafunc.parametrize("triple", triples, ids=" ".join)


@pytest.mark.parametrize(("late", "share"), [("steps", 1 / 2), ("layers", 1 / 3)])
def test_the_deadline_leaves_some_work_undone(late: str, share: float) -> None:
    triple = Triple("fedavg", f"{{name: deadline, deadline: 18 ms, late: {late}}}", "random")
    shares = {book.share for book in play_six(triple).trace.participations if book.used >= 0}
    assert shares == {share, 1.0}


def test_a_covering_array_is_small_and_leaves_no_two_names_apart() -> None:
    everything = set[Hashable]().union(*(triple.covers for triple in ACCEPTED))
    assert set[Hashable]().union(*(triple.covers for triple in COVERING)) == everything
    assert len(COVERING) < len(ACCEPTED) / 3
    assert covering(ACCEPTED) == COVERING


@pytest.mark.parametrize("triple", covering(REFUSED), ids=" ".join)
def test_refuses_what_the_method_cannot_meet(triple: Triple) -> None:
    with pytest.raises(SpecError) as refusal:
        play_six(triple)
    assert name(triple.method) in refusal.value.what
    assert name(triple.pace) in refusal.value.what
    assert refusal.value.key.startswith("pace")
    assert refusal.value.remedy


@pytest.mark.parametrize("triple", covering(OBSERVING), ids=" ".join)
def test_refuses_to_go_by_values_that_are_not_computed(triple: Triple) -> None:
    with pytest.raises(SpecError) as refusal:
        play_six(triple, "cost_only=true")
    key = observing(triple)[0]
    assert name(getattr(triple, key)) in refusal.value.what
    assert refusal.value.key.startswith(key)
    assert refusal.value.remedy


@pytest.mark.parametrize("pace", choices(PACES))
def test_refuses_gateways_that_are_not_there(pace: str) -> None:
    """And nothing else for want of them."""
    cheap = not getattr(made(PACES, pace), "observes", False)
    world = (*SIX, f"pace={pace}", f"cost_only={cheap}".lower())
    if "gateways" not in made(PACES, pace).demands:
        play(tiny(*world))
        return
    with pytest.raises(SpecError) as refusal:
        tiny(*world)
    assert name(pace) in refusal.value.what
    assert "gateways" in refusal.value.what
    assert refusal.value.remedy
