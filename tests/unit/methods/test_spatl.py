"""SPATL in time: who sends what, what stays at clients, and what the variates add up to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.salience.agent import parameters
from hetsim.learn.store import MemoryStore
from hetsim.methods.spatl import Spatl
from hetsim.spec.world import Scenario
from hetsim.testing import Played, check_books, play, tiny

SOURCE = "task.source={samples: 64, epochs: 1}"
RULES = ("none", "uniform", "greedy", "agent")
ENCODER = 4 * (64 * 16 + 16 + 16 * 16 + 16)
PREDICTOR = 4 * (16 * 10 + 10)
BITMAP = 4
"""Of 32 units."""


def given(*overrides: str) -> Scenario:
    """Four devices of 50 samples, all of them asked; a perceptron of two hidden layers of 16."""
    return tiny(
        "method={name: spatl, episodes: 2, pretraining: 2}", "selection.cohort=4", SOURCE,
        *overrides,
    )  # fmt: skip


def spatl(*overrides: str) -> Played:
    """Their run, whose books are in order."""
    scenario = given(*overrides)
    played = play(scenario)
    check_books(played.trace, scenario)
    return played


def sizes(played: Played, kind: str, number: int) -> dict[str, float]:
    """Bytes that each device moved in a round."""
    return {
        span.actor: span.size for span in played.trace.spans
        if span.kind == kind and span.round == number
    }  # fmt: skip


# --- limits ---------------------------------------------------------------------------------------

NEUTRAL = (
    "private=false, selection=none, strength=0",
    "private=false, selection=none, control=false",
    "private=false, assignment=same, keep=1, strength=0",
    "private=false, assignment=same, keep=1, control=false, zeros=true",
)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("model", ["{name: mlp, hidden: [16, 16]}", "small_cnn", "resnet8"])
@pytest.mark.parametrize("neutral", NEUTRAL)
def test_with_all_shared_and_sent_it_is_federated_averaging_bit_for_bit(
    neutral: str, model: str, momentum: float
) -> None:
    common = (
        f"task.model={model}", "task.partition={name: dirichlet, alpha: 0.5}",
        "selection.cohort=3",
    )  # fmt: skip
    settings = f"epochs: 1, batch: 20, lr: 0.1, momentum: {momentum}"
    options = [f"method.{option}" for option in neutral.split(", ")]
    plain = play(tiny(f"method={{name: fedavg, {settings}}}", *common))
    ours = play(tiny(f"method={{name: spatl, {settings}}}", *common, *options))
    assert ours.summary["model_hash"] == plain.summary["model_hash"]
    assert ours.summary["accuracy"] == plain.summary["accuracy"]


@pytest.mark.parametrize("mean", ["clients", "participants"])
@pytest.mark.parametrize("ours", ["selection=none", "assignment=same, keep=1"])
def test_with_all_shared_and_sent_and_corrected_it_is_scaffold(ours: str, mean: str) -> None:
    common = (
        "task.model={name: mlp, hidden: [16, 16]}", "selection.cohort=2", "stop.rounds=4",
        "task.partition={name: dirichlet, alpha: 0.5}",
    )  # fmt: skip
    settings = f"epochs: 2, momentum: 0.5, where: step, strength: 0.5, mean: {mean}"
    options = [f"method.{option}" for option in ours.split(", ")]
    plain = play(tiny(f"method={{name: scaffold, weighting: samples, {settings}}}", *common))
    own = play(tiny(f"method={{name: spatl, private: false, {settings}}}", *common, *options))
    if "none" in ours:
        assert own.summary["model_hash"] == plain.summary["model_hash"]
    assert own.summary["loss"] == pytest.approx(plain.summary["loss"], rel=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_every_choice_of_channels_repeats(rule: str) -> None:
    first, again = (spatl(f"method.selection={rule}", "stop.rounds=3") for _ in range(2))
    assert first.hashes == again.hashes
    assert first.trace.rounds == again.trace.rounds


# --- messages -------------------------------------------------------------------------------------


def test_bytes_of_each_round() -> None:
    """Down: encoder and c, once with the predictor; up: both as they are chosen, and the bitmap."""
    half_of_all = "method.keep=0.5", "method.assignment=same"
    every = spatl("method.selection=none", "stop.rounds=2", "cost_only=true")
    assert set(sizes(every, "download", 0).values()) == {2 * ENCODER + PREDICTOR}
    assert set(sizes(every, "download", 1).values()) == {2 * ENCODER}
    assert set(sizes(every, "upload", 1).values()) == {2 * ENCODER}
    half = spatl(*half_of_all, "stop.rounds=2", "cost_only=true")
    assert set(sizes(half, "download", 1).values()) == {2 * ENCODER}
    assert set(sizes(half, "upload", 1).values()) == {ENCODER + BITMAP}
    plain = spatl(*half_of_all, "method.control=false", "stop.rounds=2", "cost_only=true")
    assert set(sizes(plain, "download", 1).values()) == {ENCODER}
    assert set(sizes(plain, "upload", 1).values()) == {ENCODER / 2 + BITMAP}
    shared = spatl(*half_of_all, "method.private=false", "cost_only=true")
    assert set(sizes(shared, "download", 0).values()) == {2 * (ENCODER + PREDICTOR)}
    assert set(sizes(shared, "upload", 0).values()) == {ENCODER + 2 * PREDICTOR + BITMAP}
    stem = 4 * (64 * 16 + 16)
    inner = spatl("method.stem=false", "method.selection=none", "stop.rounds=2", "cost_only=true")
    assert set(sizes(inner, "download", 0).values()) == {2 * (ENCODER - stem) + stem + PREDICTOR}
    assert set(sizes(inner, "upload", 1).values()) == {2 * (ENCODER - stem)}


def test_by_hardware_a_device_keeps_what_it_can_send_in_time() -> None:
    """The phone is far away, and the Jetson at the switch; a fixed share is the same for all."""
    model = "task.model={name: mlp, hidden: [256, 256]}"
    whole = 2 * 4 * (64 * 256 + 256 + 256 * 256 + 256)

    def up(*overrides: str) -> dict[str, float]:
        """Share of the channels that each device sends."""
        found = sizes(spatl("cost_only=true", model, *overrides), "upload", 1)
        return {name: (size - 2 * BITMAP * 8) / whole for name, size in found.items()}

    most, least = 198 / 256, 26 / 256
    median = up()
    assert median["jetson-0"] == most > median["phone-0"] == least
    assert sorted(median.values())[1] == most
    short = up("method.round_time=250 ms")
    assert most == short["jetson-0"] > short["pi-0"] > short["phone-0"] == least
    assert set(up("method.round_time=1 ms").values()) == {least}
    for enough in ("method.round_time=1 h", "pace.deadline=1 h", "method.assignment=same"):
        assert set(up(enough).values()) == {most}
    assert set(up("method.keep=1", "pace.deadline=1 h").values()) == {1.0}
    assert set(up("method.keep=0.05").values()) == {13 / 256}


def test_how_much_is_kept_is_noted() -> None:
    played = spatl("cost_only=true", "method.round_time=1 ms")
    notes = {note.actor: note.text for note in played.trace.notes if note.cause == "level"}
    assert notes == dict.fromkeys(
        ("pi-0", "pi-1", "phone-0", "jetson-0"), "keeps 10% of the channels"
    )


@pytest.mark.parametrize("rule", ["greedy", "agent"])
def test_what_is_learned_says_how_much_is_sent(rule: str) -> None:
    more = ("method.reduction=0.6", "method.epochs=5", "method.lr=0.2", "stop.rounds=2")
    played = spatl(f"method.selection={rule}", *more)
    sent = {size for number in range(2) for size in sizes(played, "upload", number).values()}
    assert len(sent) > 1
    assert max(sent) < 2 * ENCODER
    with pytest.raises(SpecError, match="goes by learned values"):
        given(f"method.selection={rule}", "cost_only=true")


def test_an_agent_is_received_once_and_only_if_it_is_trained_beforehand() -> None:
    ready = spatl("method.selection=agent")
    assert set(sizes(ready, "download", 0).values()) == {
        2 * ENCODER + PREDICTOR + 4 * parameters(2)
    }
    assert set(sizes(ready, "download", 1).values()) == {2 * ENCODER}
    assert ready.executed["agent"] == 1
    anew = spatl("method.selection=agent", "method.pretraining=0")
    assert set(sizes(anew, "download", 0).values()) == {2 * ENCODER + PREDICTOR}
    assert anew.executed["agent"] == 0


def test_who_is_dropped_keeps_what_it_received_and_nothing_of_what_it_made() -> None:
    """Of all four that are asked, the two that are first count; a board never does."""
    run, lab, method = started(
        "method.selection=agent", "pace.over_selection=2", "selection.cohort=2", "stop.rounds=3"
    )
    played_with(run, lab, method)
    world = method.world(run)
    [late] = [client for client in run.clients if not client.rounds_done]
    assert late.state == world.given
    spans = [span for span in run.kernel.trace.spans if span.kind == "download"]
    assert [span.size for span in spans if span.actor == late.id] == [
        2 * ENCODER + PREDICTOR + 4 * parameters(2), 2 * ENCODER, 2 * ENCODER
    ]  # fmt: skip


def test_a_source_unlike_the_task_is_refused_with_a_remedy() -> None:
    unlike = ("task.data={name: digits, train: 200, test: 100}",
              "task.source={data: {name: synthetic, shape: [1, 9, 9]}, epochs: 1}")  # fmt: skip
    with pytest.raises(SpecError) as refusal:
        given("method.selection=agent", "task.model=resnet8", *unlike)
    assert "pretraining: 0" in (refusal.value.remedy or "")
    assert given("method.selection=agent", "method.pretraining=0", "task.model=resnet8", *unlike)


# --- a device -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_a_device_receives_trains_chooses_and_sends(rule: str) -> None:
    trace = spatl(f"method.selection={rule}", "stop.rounds=1").trace
    kinds = [span.kind for span in trace.spans if span.actor == "jetson-0"]
    heads = list(dict.fromkeys(kind for kind in kinds if kind != "compute"))
    chooses = [] if rule == "none" else ["select"]
    assert heads == ["download", "train", *chooses, "upload"]


def test_choosing_by_an_agent_takes_longest() -> None:
    def chosen(rule: str, *more: str) -> float:
        trace = spatl(f"method.selection={rule}", *more).trace
        return sum(span.t1 - span.t0 for span in trace.spans if span.kind == "select")

    few, many = chosen("agent"), chosen("agent", "method.episodes=4")
    assert chosen("none") == 0.0
    assert 0.0 < chosen("uniform") == pytest.approx(chosen("greedy"))
    assert chosen("greedy") < few < many < chosen("agent", "method.pretraining=0") * 4


def test_a_client_that_trains_less_keeps_time_to_choose() -> None:
    """For which the boards need more than half of the time that there is."""
    played = spatl(
        "method.selection=agent", "method.pretraining=0", "method.episodes=5", "method.epochs=400",
        "task.model=small_cnn", "stop.rounds=1",
        "pace={name: deadline, deadline: 6 s, late: steps}",
    )  # fmt: skip
    books = {book.device: book for book in played.trace.participations}
    assert {book.outcome for book in books.values()} == {"done"}
    assert 0.0 < books["pi-0"].share < 0.5
    choosing = {
        span.actor: span.t1 - span.t0 for span in played.trace.spans if span.kind == "select"
    }
    assert choosing["pi-0"] > 3.0


@pytest.mark.parametrize("rule", RULES)
def test_memory_is_for_training_and_for_choosing(rule: str) -> None:
    """Of each device, the most that any of its work takes."""
    played = spatl(f"method.selection={rule}")
    took = {row["device"]: row["peak_memory_b"] for row in played.trace.devices}
    run, _, method = started(f"method.selection={rule}")
    for client in run.clients:
        assert took[client.id] <= method.work(client, method.world(run).model).memory


# --- what is learned ------------------------------------------------------------------------------


def played_with(run: Run, lab: Any, method: Spatl) -> None:
    run.finish(run.kernel.run(method.server(run), run.server.id))
    lab.drain()


def started(*overrides: str) -> tuple[Run, Lab, Spatl]:
    scenario = given(*overrides)
    lab = Lab(Inline(), MemoryStore(), scenario.resident)
    method = scenario.method()
    assert isinstance(method, Spatl)
    return scenario.world(lab), lab, method


SKEWED = ("task.partition={name: dirichlet, alpha: 0.5}", "selection.cohort=2", "stop.rounds=5")


@pytest.mark.parametrize("rule", ["none", "uniform", "agent"])
@pytest.mark.parametrize("weighting", ["samples", "uniform"])
def test_the_servers_variate_is_the_mean_of_all_clients(
    rule: str, weighting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only some are asked, and channels of them are sent."""
    run, lab, method = started(
        f"method.selection={rule}", f"method.weighting={weighting}", "method.keep=0.5", *SKEWED
    )
    merged, found = Spatl._merged, dict[str, Any]()

    async def watched(*given: Any) -> Any:
        shared, found["c"] = await merged(*given)
        lab.want(found["c"], keep=True)
        return shared, found["c"]

    monkeypatch.setattr(Spatl, "_merged", watched)
    played_with(run, lab, method)
    have = [client for client in run.clients if "variate" in client.state]
    assert len(have) > 2
    common, *own = lab.settle([found["c"], *(client.state["variate"] for client in have)])
    whole = sum(map(method.weigh, run.clients))
    for name, value in common.items():
        wanted = torch.zeros_like(value, dtype=torch.float64)
        for client, variate in zip(have, own, strict=True):
            wanted += method.weigh(client) / whole * variate[name]
        assert wanted.abs().max() > 0.0
        torch.testing.assert_close(value.double(), wanted, rtol=1e-4, atol=1e-6)


def test_the_accuracy_is_the_mean_of_what_clients_have() -> None:
    """Of the server's encoder with their predictors; its own model has the initial one."""
    run, lab, method = started(*SKEWED)
    played_with(run, lab, method)
    world, initial = method.world(run), ops.initial(run.architecture, 0)
    own = [client.state.get("predictor", world.own["predictor"]) for client in run.clients]
    assert len({each.key for each in own}) > 2
    assert run.model is not None
    score, server, untrained, *predictors = lab.settle(
        [run.scores[run.round - 1], run.model, world.own["predictor"], *own]
    )
    rows = lab._resident.rows(run._test)
    accuracies = [
        ops.compute(ops.evaluate(initial, run._test), [{**server, **each}, rows], lab._resident)
        for each in predictors
    ]
    assert score["accuracy"] == pytest.approx(sum(each["accuracy"] for each in accuracies) / 4)
    assert all(torch.equal(server[name], value) for name, value in untrained.items())


def test_stops_at_an_accuracy_of_its_clients() -> None:
    played = spatl("stop.accuracy=0.12", "stop.rounds=40", "method.epochs=5")
    assert 0 < played.summary["rounds"] < 40
    assert played.summary["accuracy"] >= 0.12


@pytest.mark.parametrize("rule", RULES)
def test_clients_learn(rule: str) -> None:
    played = spatl(
        f"method.selection={rule}", "method.epochs=5", "stop.rounds=12", "task.data.train=400",
        "method.lr=0.1",
    )  # fmt: skip
    assert played.summary["accuracy"] > 0.6


def test_private_predictors_are_better_on_their_own_labels() -> None:
    """Of the data that a client holds, after the same rounds."""
    own: dict[str, float] = {}
    for private in ("true", "false"):
        run, lab, method = started(
            f"method.private={private}", "task.partition={name: dirichlet, alpha: 0.1}",
            "stop.rounds=6", "method.epochs=3", "method.lr=0.1",
        )  # fmt: skip
        played_with(run, lab, method)
        assert run.model is not None
        model, world = run.model, method.world(run)
        shared, _ = world.division.parted(model)
        scores = [ops.evaluate(world.model_of(one, shared), one.data) for one in run.clients]
        own[private] = sum(each["accuracy"] for each in lab.settle(scores)) / len(scores)
    assert own["true"] > own["false"]


# --- refusals -------------------------------------------------------------------------------------


def test_refuses_options_that_mean_nothing() -> None:
    for option, word in (
        ({"keep": 0.0}, "keep is 0"), ({"share": 1.5}, "share is 1.5"),
        ({"reduction": 1.0}, "reduction is 1"), ({"strength": -1.0}, "strength is -1"),
        ({"episodes": 0}, "episodes is 0"), ({"pretraining": -1}, "pretraining is -1"),
        ({"round_time": 0.0}, "round_time is 0"),
        ({"round_time": 1.0, "assignment": "same"}, "what is sent does not depend"),
        ({"round_time": 1.0, "selection": "agent"}, "what is sent does not depend"),
        ({"stem": False, "private": False}, "the stem is to stay"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=word):
            Spatl(**option)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (("method.cut=3",), "cannot be cut after block 3"),
        (("method.cut=0",), "cannot be cut after block 0"),
        (("method.cut=1", "method.stem=false"), "nothing is left but the stem"),
    ],
)
def test_refuses_cuts_without_an_encoder(overrides: Sequence[str], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        play(given("cost_only=true", *overrides))


def test_a_model_of_one_block_is_refused_with_others() -> None:
    run = given("cost_only=true").world(CostOnlyLab())
    run.architecture = ops.Architecture.of("logistic", (1, 8, 8), 10)
    with pytest.raises(SpecError) as refusal:
        Spatl().world(run)
    assert "choose a model with more, such as mlp" in (refusal.value.remedy or "")
