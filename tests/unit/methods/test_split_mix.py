"""Split-Mix in time: which networks go to whom, what they weigh, who trains how many."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.rng import rng
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.meter import measure
from hetsim.learn.numerics import chance
from hetsim.learn.objective import Sliced
from hetsim.methods.split_mix import SplitMix, Turns
from hetsim.spec.world import Scenario
from hetsim.testing import Played, check_books, play, tiny

CNN = "task.model={name: small_cnn, width: 16, hidden: 24}"
WHOLE = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": 16, "hidden": 24})
NETWORK = measure(ops.narrowed(WHOLE, 0.125)).state_bytes
FIXED = "assignment: fixed"
DEVICES = ("pi-0", "pi-1", "phone-0", "jetson-0")
"""With equal proportions they have 8, 4, 2 and 1 of 8 networks."""


def given(options: str, *overrides: str) -> Scenario:
    return tiny(f"method={{name: split_mix, {options}}}", "selection.cohort=4", CNN, *overrides)


def played(options: str, *overrides: str) -> Played:
    scenario = given(options, *overrides)
    run = play(scenario)
    check_books(run.trace, scenario)
    return run


def world(scenario: Scenario) -> tuple[Any, Run]:
    """The levels of a run, and the run."""
    run = scenario.world(CostOnlyLab())
    return scenario.method().levels(run), run  # pyright: ignore[reportAttributeAccessIssue]


# --- which networks -------------------------------------------------------------------------------


def test_nobody_has_a_second_turn_before_all_had_one() -> None:
    turns = Turns(0, 8)
    taken = [turns.next() for _ in range(80)]
    lists = [taken[start : start + 8] for start in range(0, 80, 8)]
    assert all(sorted(each) == list(range(8)) for each in lists)
    assert len({tuple(each) for each in lists}) == 10
    again = Turns(0, 8)
    assert [again.next() for _ in range(80)] == taken


def test_devices_receive_and_return_what_they_train() -> None:
    """And a bit for each network that says which these are, unless they are all."""
    run = played(FIXED, "cost_only=true")
    expected = {"pi-0": 8 * NETWORK, **{
        device: count * NETWORK + 1 for device, count in zip(DEVICES[1:], (4, 2, 1), strict=True)
    }}  # fmt: skip
    rows = {row["device"]: row for row in run.trace.devices}
    for device, size in expected.items():
        assert rows[device]["bytes_down"] == rows[device]["bytes_up"] == 2 * size
    trained = Counter(span.actor for span in run.trace.spans if span.kind == "train")
    assert trained == {"pi-0": 16, "pi-1": 8, "phone-0": 4, "jetson-0": 2}


def test_networks_that_nobody_trains_stay() -> None:
    """With one device of the smallest budget a round, the others wait for their turn."""
    world = ("selection.cohort=1", "stop.rounds=3", "fleet[0].data=none", "fleet[1].data=none")
    run = played(f"{FIXED}, proportions: [1, 0, 0, 9]", *world)
    turns = [int(each) for each in rng(0, "sim/networks", "turns", 0).permutation(8)][:3]
    assert len(set(turns)) == 3
    assert run.executed["pursue"] + run.executed["train"] == 3
    assert run.summary["bytes_up"] == 3 * (NETWORK + 1)


def test_budgets_are_numbers_of_networks() -> None:
    assert SplitMix().counts == [8, 4, 2, 1]
    assert SplitMix(base=0.35, budgets=(3.15, 1.05, 0.7, 0.35)).counts == [9, 3, 2, 1]
    sizes = SplitMix().sizes(WHOLE)
    assert [measure(size).state_bytes for size in sizes] == [
        count * NETWORK for count in (8, 4, 2, 1)
    ]
    assert measure(sizes[0]).state_bytes < 0.4 * measure(WHOLE).state_bytes


# --- who trains how many --------------------------------------------------------------------------


def test_memory_holds_one_network_at_a_time_and_time_is_that_of_all() -> None:
    levels, run = world(given(FIXED))
    costs = [levels.cost(run.clients[0], level) for level in range(4)]
    assert len({cost.memory for cost in costs}) == 1
    assert [cost.flops / costs[3].flops for cost in costs] == [8, 4, 2, 1]
    assert [cost.steps / costs[3].steps for cost in costs] == [8, 4, 2, 1]
    rows = {row["device"]: row for row in played(FIXED, "cost_only=true").trace.devices}
    assert {rows[device]["peak_memory_b"] for device in DEVICES} == {costs[0].memory}


def test_only_who_cannot_train_one_network_is_left_out() -> None:
    levels, run = world(given(FIXED))
    need = levels.cost(run.clients[0], 3).memory
    for memory, left_out in ((need, 0), (need - 1, 2)):
        limited = played(FIXED, f'fleet[0].memory="{memory} B"', "cost_only=true")
        assert limited.summary["dropouts"]["memory"] == left_out


def test_a_slow_device_trains_fewer() -> None:
    run = played("assignment: memory", "stop.rounds=1", "cost_only=true")
    times = {book.device: book.t1 - book.t0 for book in run.trace.participations}
    limit = 0.6 * max(times.values())
    levels, there = world(given(f"round_time: {limit} s"))
    chosen = {client.id: levels.of(client, 0) for client in there.clients}
    for device, taken in times.items():
        assert (chosen[device] > 0) == (taken > limit), device
    faster = played(f"round_time: {limit} s", "stop.rounds=1", "cost_only=true")
    assert max(b.t1 - b.t0 for b in faster.trace.participations) < max(times.values())


def test_each_budget_is_a_view_of_the_first_networks() -> None:
    scenario = given(FIXED, "report.views=true")
    method: Any = scenario.method()
    levels, run = world(scenario)
    model = run.initial_model(levels.sizes[0])
    views = method.views(model, levels)
    assert list(views) == ["budget 1", "budget 0.5", "budget 0.25", "budget 0.125"]
    assert views["budget 1"] is model
    assert [view.nbytes for view in views.values()] == [
        8 * NETWORK,
        4 * NETWORK,
        2 * NETWORK,
        NETWORK,
    ]
    assert [number.arg("number") for number in views["budget 0.25"].inputs] == [0, 1]
    assert play(scenario).hashes == play(given(FIXED)).hashes


def test_late_layers_count() -> None:
    books = played(FIXED, "stop.rounds=1", "cost_only=true").trace.participations
    slowest = max(book.t1 - book.t0 for book in books)
    pace = f"pace={{name: deadline, deadline: {0.999 * slowest} s, late: layers}}"
    shares = sorted(
        book.share for book in played(FIXED, "stop.rounds=1", pace).trace.participations
    )
    assert shares[0] < 1.0 == shares[-1]


# --- the scaler -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistics", "scale", "apart"),
    [("batch", 1.0, 0.0), ("batch", 0.125, 0.0), ("running", 1.0, 0.0), ("running", 0.125, 0.8)],
)
def test_normalisation_by_the_batch_undoes_the_scaler(
    statistics: str, scale: float, apart: float
) -> None:
    """How far answers in use are from those in training; apart by running statistics alone."""
    images = torch.randn(16, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    options = {"width": 0.125, "statistics": statistics}
    with chance(0):
        module = Architecture.of("resnet18", (1, 16, 16), 10, options).build().train()
    with torch.no_grad():
        plain = module(images)
        with Sliced(scale).begin(module, torch.ones(10).bool()):
            for _ in range(60):  # running statistics follow
                module(images)
            trained = module(images)
        used = module.eval()(images)
    assert float((trained - plain).norm() / plain.norm()) < 1e-3
    assert float((used - trained).norm() / trained.norm()) == pytest.approx(apart, abs=0.2)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("base: 0", "base is 0"),
        ("base: 1.5", "base"),
        ("budgets: []", "budgets"),
        ("budgets: [0.5, 1]", "budgets"),
        ("budgets: [1, 0.95]", "budgets"),
        ("budgets: [1, 0.01]", "budgets"),
        (f"{FIXED}, proportions: [1, 1]", "2 proportions are given for 4 budgets"),
        ("assignment: memory, round_time: 3 s", "round_time is given"),
    ],
)
def test_what_makes_no_sense_is_refused(options: str, what: str) -> None:
    with pytest.raises(SpecError, match=what) as refusal:
        play(given(options, "cost_only=true"))
    assert refusal.value.remedy


def test_a_model_without_a_width_is_refused() -> None:
    with pytest.raises(SpecError, match="cannot be made narrower"):
        play(tiny("method.name=split_mix", "task.model=resnet12", "cost_only=true"))


@pytest.mark.parametrize("pace", ["fedasync", "fedbuff", "{name: deadline, late: steps}"])
def test_refuses_paces_whose_demands_it_does_not_meet(pace: str) -> None:
    with pytest.raises(SpecError, match="split_mix cannot"):
        given(FIXED, f"pace={pace}")
