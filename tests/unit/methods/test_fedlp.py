"""FedLP in time: which layers are sent, by whom, what they weigh, and who holds how many."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import pytest

from hetsim.core.errors import SpecError
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.meter import measure
from hetsim.learn.ops.part import trained
from hetsim.methods.fedlp import FedLP, preserved
from hetsim.spec.world import Scenario
from hetsim.testing import Played, check_books, play, tiny

FEDLP = Architecture.of("fedlp_cnn", (3, 32, 32), 10)
VALUES = 551_466
WIDTH, HIDDEN = 8, 12
CNN = f"task.model={{name: small_cnn, width: {WIDTH}, hidden: {HIDDEN}}}"
WHOLE = Architecture.of("small_cnn", (1, 8, 8), 10, {"width": WIDTH, "hidden": HIDDEN})


def given(options: str, *overrides: str) -> Scenario:
    """Four devices, all of them asked."""
    return tiny(f"method={{name: fedlp, {options}}}", "selection.cohort=4", CNN, *overrides)


def played(options: str, *overrides: str) -> Played:
    """Their run, whose books are in order."""
    scenario = given(options, "cost_only=true", *overrides)
    run = play(scenario)
    check_books(run.trace, scenario)
    return run


def sizes(run: Played, kind: str) -> list[float]:
    return [span.size for span in run.trace.spans if span.kind == kind]


# --- what is drawn --------------------------------------------------------------------------------


def test_a_draw_depends_on_the_message_alone() -> None:
    drawn = preserved(0, ("up", "pi-0", 3, 0), 40, 0.5)
    assert drawn == preserved(0, ("up", "pi-0", 3, 0), 40, 0.5)
    others = [
        preserved(1, ("up", "pi-0", 3, 0), 40, 0.5),
        *(
            preserved(0, message, 40, 0.5)
            for message in (
                ("down", "pi-0", 3, 0), ("up", "pi-1", 3, 0), ("up", "pi-0", 4, 0),
                ("up", "pi-0", 3, 1),
            )
        ),
    ]  # fmt: skip
    assert len({drawn, *others}) == 6
    assert preserved(0, ("up", "pi-0", 3, 0), 40, 1.0) == tuple(range(40))
    assert set(preserved(0, ("up", "pi-0", 3, 0), 40, 0.2)) <= set(drawn), "the same draws"


@pytest.mark.parametrize(("rate", "published"), [(0.1, 0.349), (0.3, 0.028), (0.5, 0.0010)])
def test_how_often_a_layer_is_sent_by_nobody(rate: float, published: float) -> None:
    """Of ten devices, (1 - rate)^10."""
    units, rounds = 50_000, 20
    missing = 0
    for number in range(rounds):
        there: set[int] = set()
        for device in range(10):
            there.update(preserved(0, ("up", f"pi-{device}", number, 0), units, rate))
        missing += units - len(there)
    expected = (1.0 - rate) ** 10
    spread = sqrt(expected * (1.0 - expected) / (units * rounds))
    assert missing / (units * rounds) == pytest.approx(expected, abs=3.5 * spread)
    assert 3.5 * spread < 0.01
    assert expected == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize(
    ("rate", "published"), [(0.1, 606.61), (0.3, 716.91), (0.5, 827.20), (0.7, 937.49)]
)
def test_values_sent_are_those_of_the_paper(rate: float, published: float) -> None:
    """Down and up, in thousands, of 10 devices in 200 rounds (Zhu et al., arXiv 2303.06360)."""
    assert round(VALUES * (1.0 + rate) / 1e3, 2) == published
    there = trained(FEDLP)
    layers = [sum(prod(there[name]) for name in unit if name in there) for unit in ops.units(FEDLP)]
    assert sum(layers) == VALUES
    sent = 0
    for number in range(200):
        for device in range(10):
            drawn = preserved(0, ("up", f"pi-{device}", number, 0), len(layers), rate)
            sent += sum(layers[unit] for unit in drawn)
    assert (VALUES + sent / 2000) / 1e3 == pytest.approx(published, rel=0.01)
    assert ops.kept(ops.initial(FEDLP, 0), (7,)).nbytes == 4 * layers[7] + 1


@pytest.mark.parametrize(
    ("favoured", "published"), [(1, 169.60), (2, 188.23), (3, 225.28), (4, 299.39), (5, 710.80)]
)
def test_values_shared_are_those_of_the_paper(favoured: int, published: float) -> None:
    """Down and up, in thousands, if 60 % of devices are at a level and 10 % at each other one."""
    method = FedLP(scheme="heterogeneous")
    shared = [measure(method.sent(size)).parameters for size in method.sizes(FEDLP)]
    assert shared == [VALUES, 140_064, 65_952, 28_896, 10_272]
    weights = [0.6 if level == 5 - favoured else 0.1 for level in range(5)]
    mean = sum(2 * weight * size for weight, size in zip(weights, shared, strict=True))
    assert round(mean / 1e3, 2) == published
    assert round(2 * sum(shared) / 5e3, 2) == 318.66


# --- what is sent ---------------------------------------------------------------------------------


def test_messages_are_what_is_drawn_and_a_byte() -> None:
    run = played("preserve: 0.5")
    whole = measure(WHOLE).state_bytes
    assert set(sizes(run, "download")) == {whole}
    model = ops.initial(WHOLE, 0)
    expected = [
        ops.kept(model, preserved(0, ("up", book.device, book.round, 0), 4, 0.5)).nbytes
        for book in sorted(run.trace.participations, key=lambda book: book.t1)
    ]
    uploads = sorted((s for s in run.trace.spans if s.kind == "upload"), key=lambda span: span.t1)
    assert [span.size for span in uploads] == expected
    assert len(set(expected)) > 3


def test_by_tensor_it_is_a_byte_for_eight_of_them() -> None:
    model = ops.initial(WHOLE, 0)
    expected = sorted(
        ops.kept(model, preserved(0, ("up", device, number, 0), 8, 0.3), "tensor").nbytes
        for device in ("pi-0", "pi-1", "phone-0", "jetson-0")
        for number in range(2)
    )
    assert sorted(sizes(played("preserve: 0.3, unit: tensor"), "upload")) == expected


def test_nothing_at_all_may_be_sent() -> None:
    scenario = given("preserve: 1e-12", "stop.rounds=1")
    run = play(scenario)
    check_books(run.trace, scenario)
    assert sizes(run, "upload") == [1.0] * 4
    untrained = play(given("preserve: 1e-12", "stop.rounds=1", "method.lr=0.9"))
    assert run.summary["model_hash"] == untrained.summary["model_hash"]


def test_down_too_once_a_device_has_a_model() -> None:
    plain, less = (
        played(f"preserve: 0.3, down: {down}", "stop.rounds=3") for down in ("false", "true")
    )
    whole = measure(WHOLE).state_bytes
    assert sizes(less, "download").count(whole) == 4
    assert len(sizes(less, "download")) == 12
    assert less.summary["bytes_down"] < 0.8 * plain.summary["bytes_down"]
    assert less.summary["bytes_up"] == plain.summary["bytes_up"]


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_rounds_are_shorter_by_what_is_not_sent(rate: float) -> None:
    """Over an uplink a tenth as fast as the downlink, (0.1 + rate) / 1.1 of the time."""
    world = (
        "task.model={name: mlp, hidden: [200, 200, 200, 200]}",
        "fleet[0].data=none", "fleet[1].data=none",
        'fleet[2].link={to: switch, up: "10 Mbit/s", down: "100 Mbit/s"}',
        "selection.cohort=1", "stop.rounds=300", "cost_only=true",
    )  # fmt: skip
    plain, less = (
        play(tiny(f"method={{{method}}}", *world))
        for method in ("name: fedavg", f"name: fedlp, preserve: {rate}")
    )
    times = [
        sum(span.t1 - span.t0 for span in run.trace.spans if span.kind in ("upload", "download"))
        for run in (plain, less)
    ]
    up, down = less.summary["bytes_up"], less.summary["bytes_down"]
    drawn = (0.1 * down + up) / (1.1 * plain.summary["bytes_up"])
    assert times[1] / times[0] == pytest.approx(drawn, rel=0.005)
    assert drawn == pytest.approx((0.1 + rate) / 1.1, rel=0.1)


def test_late_layers_count() -> None:
    books = played("preserve: 0.9", "stop.rounds=1").trace.participations
    slowest = max(book.t1 - book.t0 for book in books)
    pace = f"pace={{name: deadline, deadline: {0.96 * slowest} s, late: layers}}"
    scenario = given("preserve: 0.9", "stop.rounds=1", pace)
    run = play(scenario)
    check_books(run.trace, scenario)
    shares = sorted(book.share for book in run.trace.participations)
    assert shares[0] < 1.0 == shares[-1]


# --- who holds what -------------------------------------------------------------------------------

DEEP = "scheme: heterogeneous, depths: [4, 2, 1], hidden: 400"


def world(scenario: Scenario) -> tuple[Any, Run]:
    """The levels of a run, and the run."""
    run = scenario.world(CostOnlyLab())
    return scenario.method().levels(run), run  # pyright: ignore[reportAttributeAccessIssue]


def taken(scenario: Scenario) -> list[int]:
    levels, run = world(scenario)
    return [levels.of(client, 0) for client in run.clients]


def test_the_shallowest_model_needs_most_memory() -> None:
    levels, run = world(given(DEEP))
    asked = [levels.cost(run.clients[0], level).memory for level in range(3)]
    assert asked == sorted(asked)
    assert measure(levels.sizes[2]).parameters > measure(levels.sizes[0]).parameters
    assert all(
        measure(FedLP(scheme="heterogeneous").sent(size)).parameters < measure(WHOLE).parameters
        for size in levels.sizes[1:]
    )


def test_who_cannot_hold_its_head_holds_more_blocks() -> None:
    """Assigned to the last level, which does not fit, a device takes the one that does."""
    options = f"{DEEP}, assignment: fixed, proportions: [1, 0, 3]"
    levels, run = world(given(options))
    assert taken(given(options)) == [0, 2, 2, 2]
    memory = levels.cost(run.clients[3], 2).memory - 1
    assert taken(given(options, f'fleet[2].memory="{memory} B"')) == [0, 2, 2, 1]
    memory = levels.cost(run.clients[3], 1).memory - 1
    assert taken(given(options, f'fleet[2].memory="{memory} B"')) == [0, 2, 2, 0]


def test_heads_stay_where_they_are() -> None:
    """A device sends and receives the blocks that it shares, and pays for training its head."""
    run = played(f"{DEEP}, assignment: fixed, proportions: [2, 1, 1]")
    method = FedLP(scheme="heterogeneous", depths=(4, 2, 1), hidden=400)
    levels = method.sizes(WHOLE)
    shared = [measure(method.sent(size)).state_bytes for size in levels]
    assert shared[0] > shared[1] > shared[2] == 4 * (25 * WIDTH + WIDTH)
    for kind in ("upload", "download"):
        assert sorted(sizes(run, kind)) == sorted([*shared, shared[0]] * 2)
    rows = {row["device"]: row for row in run.trace.devices}
    assert rows["jetson-0"]["peak_memory_b"] > 4 * measure(levels[2]).parameters


@pytest.mark.parametrize(
    "options", ["scheme: heterogeneous", "scheme: heterogeneous, preserve: 0.5"]
)
def test_a_slow_device_holds_less(options: str) -> None:
    """Two thirds of the time of the fastest let the others be."""
    books = played("preserve: 1", "stop.rounds=1").trace.participations
    times = {book.device: book.t1 - book.t0 for book in books}
    slow = max(times, key=times.__getitem__)
    limit = 0.9 * times[slow]
    chosen = taken(given(f"{options}, round_time: {limit} s"))
    names = ["pi-0", "pi-1", "phone-0", "jetson-0"]
    assert chosen[names.index(slow)] > 0
    assert 0 in chosen


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("preserve: 0", "preserve is 0"),
        ("preserve: [0.5, 0]", "preserve is"),
        ("preserve: []", "preserve is"),
        ("preserve: [0.5, 1.5]", "1.5 is not between 0 and 1"),
        ("hidden: 0", "hidden is 0"),
        ("scheme: heterogeneous, down: true", "down is on"),
        ("depths: [4, 1]", "homogeneous, and knows no depths"),
        ("hidden: 7", "homogeneous, and knows no hidden"),
        ("head: fresh, round_time: 30 s", "homogeneous, and knows no head, round_time"),
        ("preserve: [0.5, 0.5]", "another length than the fleet, which has 4 devices"),
        ("scheme: heterogeneous, depths: [3, 1]", "has 4 blocks"),
        ("scheme: heterogeneous, depths: [4, 1, 2]", "has 4 blocks"),
        ("scheme: heterogeneous, depths: [4, 0]", "has 4 blocks"),
        ("scheme: heterogeneous, assignment: fixed, proportions: [1]", "1 proportions"),
        ("scheme: heterogeneous, assignment: fixed, proportions: [0, 1]", "no device trains"),
    ],
)
def test_what_makes_no_sense_is_refused(options: str, what: str) -> None:
    with pytest.raises(SpecError, match=what) as refusal:
        play(given(options, "cost_only=true"))
    assert refusal.value.remedy


@pytest.mark.parametrize("model", ["logistic", "headed"])
def test_a_model_that_has_no_blocks_to_leave_out_is_refused(model: str) -> None:
    overrides = f"task.model={model}"
    play(given("", overrides, "cost_only=true"))
    with pytest.raises(SpecError, match=f'model "{model}" has no blocks') as refusal:
        play(given("scheme: heterogeneous", overrides, "cost_only=true"))
    assert refusal.value.remedy


def test_each_device_may_have_a_probability_of_its_own() -> None:
    rates: Sequence[float] = (1.0, 1e-9, 1.0, 1e-9)
    run = played(f"preserve: {list(rates)}")
    whole = measure(WHOLE).state_bytes
    for book in run.trace.devices:
        if book["role"] == "device":
            one = book["device"] in ("pi-0", "phone-0")
            assert book["bytes_up"] == (2 * whole if one else 2.0)
