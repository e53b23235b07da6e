"""Averages at gateways: exact bytes and weights, what it costs them, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.core.trace import Participation, Span, Trace
from hetsim.federation.pace.hierarchical import Hierarchical
from hetsim.federation.run import Run
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import CostOnlyLab, Lab
from hetsim.learn.store import MemoryStore
from hetsim.spec.schema import load_topology
from hetsim.spec.world import Scenario, resolve
from hetsim.testing import PaceSuite, Played, check_books, play

GATEWAYS, EACH = 5, 10
CAMPUS = f"""\
fleet: [{
    ", ".join(
        f'{{profile: raspberry_pi_4b, name: g{i}, count: {EACH}, link: {{to: ap-{i}, rate: "40 Mbit/s"}}}}'
        for i in range(GATEWAYS)
    )
}]
network:
  nodes: {{{
    ", ".join(f"ap-{i}: wifi" for i in range(GATEWAYS))
}, switch: ethernet, cloud: ethernet}}
  links:
    - {{between: [switch, cloud], bandwidth: "10 Mbit/s", latency: "15 ms", power: {{idle: 3 W, busy: 5 W}}}}
    - {{between: [ap-0, switch], bandwidth: "1 Gbit/s", latency: "1 ms"}}
    - {{between: [ap-1, switch], bandwidth: "1 Gbit/s", latency: "1 ms"}}
    - {{between: [ap-2, switch], bandwidth: "1 Gbit/s", latency: "1 ms"}}
    - {{between: [ap-3, switch], bandwidth: "1 Gbit/s", latency: "1 ms"}}
    - {{between: [ap-4, switch], bandwidth: "1 Gbit/s", latency: "1 ms"}}
server: {{profile: core_ultra_265k, at: cloud}}
gateways: [{", ".join(f"{{profile: raspberry_pi_5, at: ap-{i}}}" for i in range(GATEWAYS))}]
task:
  data: {{name: digits, train: 1000, test: 100}}
  model: {{name: mlp, hidden: [32]}}
  partition: {{name: dirichlet, alpha: 1}}
method: {{name: fedavg, epochs: 1, batch: 20, lr: 0.1}}
pace: hierarchical
selection: {{name: random, cohort: {GATEWAYS * EACH}}}
stop: {{rounds: 2}}
"""  # noqa: E501
COST = "cost_only=true"
ONE_GATEWAY = ("gateways=[{profile: raspberry_pi_5, at: ap-0}]", f"selection.cohort={2 * EACH}")


@pytest.fixture
def campus(tmp_path: Path) -> Callable[..., Scenario]:
    """A campus of 50 devices at five gateways, with changes."""
    path = tmp_path / "campus.yaml"
    path.write_text(CAMPUS)
    return lambda *overrides: resolve(load_topology(path, overrides=overrides))


def node(trace: Trace, name: str) -> dict[str, Any]:
    [row] = [row for row in trace.devices if row["device"] == name]
    return row


def spans(trace: Trace, kind: str, actor: str = "", number: int = 0) -> list[Span]:
    """Segments of a kind in a round, by default of everybody."""
    return [
        span for span in trace.spans
        if span.kind == kind and span.round == number and actor in ("", span.actor)
    ]  # fmt: skip


def asked(trace: Trace, hub: str, number: int = 0) -> list[Participation]:
    return [one for one in trace.participations if (one.hub, one.round) == (hub, number)]


def state_of(scenario: Scenario) -> dict[str, torch.Tensor]:
    """Tensors of the last model."""
    lab = Lab(Inline(), MemoryStore(), scenario.resident)
    try:
        run = scenario.world(lab, causality=True)
        run.kernel.run(scenario.method().server(run), run.server.id)
        assert run.model
        [state] = lab.settle([run.model])
        return state
    finally:
        lab.close()


def averaged(scenario: Scenario) -> tuple[Run, Ref[Any]]:
    """The model after a cost-only server step, before anybody lets go of what it was made from."""
    run = scenario.world(CostOnlyLab(), causality=True)
    method: Any = scenario.method()
    models: list[Ref[Any]] = []

    async def server() -> None:
        initial = run.initial_model()
        models.append(await run.average(method.client, initial, weigh=method.weigh))

    run.kernel.run(server(), run.server.id)
    return run, models[0]


# --- bytes ----------------------------------------------------------------------------------------


def test_the_server_gets_one_model_a_gateway_in_place_of_one_a_device(
    campus: Callable[..., Scenario],
) -> None:
    flat, tree = (
        play(campus(COST, f"pace.name={pace}")).trace for pace in ("sync", "hierarchical")
    )
    for way in ("bytes_up", "bytes_down"):
        assert node(tree, "server")[way] * EACH == node(flat, "server")[way] > 0.0
    backhaul = "switch--cloud"
    assert node(tree, backhaul)["link_j"] * EACH == pytest.approx(node(flat, backhaul)["link_j"])
    [size] = {span.size for span in tree.spans if span.kind in ("upload", "download")}
    for each in tree.devices:
        if each["role"] == "device":
            assert each["bytes_up"] == each["bytes_down"] == 2 * size
        elif each["role"] == "gateway":
            assert each["bytes_up"] == each["bytes_down"] == 2 * size * (EACH + 1)
    assert tree.summary["simulated_s"] < flat.summary["simulated_s"] / 5


def test_more_aggregations_at_gateways_cost_the_server_nothing(
    campus: Callable[..., Scenario],
) -> None:
    once, twice = (play(campus(COST, f"pace.edge_rounds={times}")).trace for times in (1, 2))
    for name, times in (("server", 1), ("g0-0", 2), ("g4-9", 2)):
        for way in ("bytes_up", "bytes_down"):
            assert node(twice, name)[way] == times * node(once, name)[way]
    assert len(spans(twice, "aggregate", "gateway-3")) == 2
    assert len(spans(twice, "aggregate", "server")) == 1
    assert twice.summary["device_rounds"] == 2 * once.summary["device_rounds"] == 200
    assert {one.used - one.round for one in twice.participations} == {0}


def test_the_books_balance(campus: Callable[..., Scenario]) -> None:
    scenario = campus("pace.edge_rounds=2", "selection.cohort=23")
    played = play(scenario)
    check_books(played.trace, scenario)
    assert play(scenario).hashes == played.hashes


# --- means ----------------------------------------------------------------------------------------


def test_a_mean_of_means_is_the_mean(campus: Callable[..., Scenario]) -> None:
    one = "stop.rounds=1"
    flat, tree = (state_of(campus(one, f"pace.name={pace}")) for pace in ("sync", "hierarchical"))
    for name, tensor in flat.items():
        torch.testing.assert_close(tree[name], tensor, rtol=1e-5, atol=1e-7)
    fresh = state_of(campus(one, "pace.name=sync", "method.lr=1e-9"))
    assert not any(torch.allclose(fresh[name], tensor) for name, tensor in flat.items())


def test_every_client_weighs_what_it_weighs_in_a_flat_mean(
    campus: Callable[..., Scenario],
) -> None:
    run, model = averaged(campus(COST))
    samples = [client.samples for client in run.clients]
    assert len(set(samples)) > 5
    weights = [
        outer * inner
        for branch, outer in zip(model.inputs, model.arg("weights"), strict=True)
        for inner in branch.arg("weights")
    ]
    assert weights == pytest.approx([each / sum(samples) for each in samples], rel=1e-12)


def test_each_aggregation_starts_from_the_one_before(campus: Callable[..., Scenario]) -> None:
    _, model = averaged(campus(COST, "pace.edge_rounds=2"))
    assert len(model.inputs) == GATEWAYS
    for second in model.inputs:
        [first] = {update.inputs[0] for update in second.inputs}
        assert first.op == "mean"
        [start] = {update.inputs[0] for update in first.inputs}
        assert start.op == "initial"
        seeds = [{update.arg("seed") for update in each.inputs} for each in (first, second)]
        assert not seeds[0] & seeds[1], "batches are drawn afresh"


def test_whom_no_gateway_serves_delivers_to_the_server(campus: Callable[..., Scenario]) -> None:
    own = [f"gateways[{i}].serves=[g{i}]" for i in range(GATEWAYS - 1)]
    four = f"gateways=[{', '.join(f'{{profile: raspberry_pi_5, at: ap-{i}}}' for i in range(4))}]"
    changes = (four, *own, "stop.rounds=1")
    trace = play(campus(COST, *changes)).trace
    assert {one.device.partition("-")[0] for one in asked(trace, "server")} == {"g4"}
    [size] = {span.size for span in trace.spans if span.kind == "upload"}
    assert node(trace, "server")["bytes_up"] == (4 + EACH) * size
    assert {one.used for one in trace.participations} == {0}
    flat = state_of(campus(*changes, "pace.name=sync"))
    for name, tensor in state_of(campus(*changes)).items():
        torch.testing.assert_close(tensor, flat[name], rtol=1e-5, atol=1e-7)


# --- what it costs a gateway ----------------------------------------------------------------------


def test_a_gateway_pays_for_its_averages(campus: Callable[..., Scenario]) -> None:
    trace = play(campus(COST)).trace
    row = node(trace, "gateway-2")
    assert (row["role"], row["profile"]) == ("gateway", "raspberry_pi_5")
    assert row["compute_j"] > 0.0
    assert row["active_j"] > 0.0
    assert row["busy_s"] > 0.0
    assert row["peak_memory_b"] > 0.0
    by_role = trace.summary["energy_by_role_j"]
    rows = [each for each in trace.devices if each["role"] == "gateway"]
    assert by_role["gateway"] == pytest.approx(sum(each["energy_j"] for each in rows))
    assert len(rows) == GATEWAYS
    [span] = spans(trace, "aggregate", "gateway-2")
    assert span.t1 > span.t0
    assert span.energy > 0.0
    [sent] = spans(trace, "upload", "gateway-2")
    assert (sent.peer, sent.t0) == ("server", span.t1)


def test_a_gateway_that_cannot_hold_the_updates_fails(campus: Callable[..., Scenario]) -> None:
    small = ("gateways[1].profile=stm32g0b1", "task.model.hidden=[256]")
    trace = play(campus(COST, *small)).trace
    assert {one.waste for one in asked(trace, "gateway-1")} == {"memory"}
    assert {one.outcome for one in asked(trace, "gateway-1")} == {"done"}
    assert {one.waste for one in asked(trace, "gateway-0")} == {""}
    assert "memory" in {note.cause for note in trace.notes if note.actor == "gateway-1"}


def test_reported_losses_come_with_the_gateways_model(campus: Callable[..., Scenario]) -> None:
    trace = play(campus("selection={name: oort, cohort: 50}", "pace.edge_rounds=2")).trace
    plain = play(campus(COST, "pace.edge_rounds=2")).trace
    more = node(trace, "server")["bytes_up"] - node(plain, "server")["bytes_up"]
    assert more == 8 * len(trace.participations)


# --- what goes wrong ------------------------------------------------------------------------------


def crashed(campus: Callable[..., Scenario], at: float, lasts: str, *more: str) -> Played:
    """The campus with a crash of the third gateway."""
    event = f"{{at: {at!r} s, on: gateway-2, what: crash{lasts}}}"
    return play(campus(COST, f"events=[{event}]", *more))


def test_a_crash_loses_what_clients_are_doing(campus: Callable[..., Scenario]) -> None:
    calm = play(campus(COST)).trace
    train = spans(calm, "train", "g2-3")[0]
    at = (train.t0 + train.t1) / 2
    played = crashed(campus, at, ", lasts: 1 ms")
    lost = asked(played.trace, "gateway-2")
    assert len(lost) == EACH
    assert {(one.outcome, one.used, one.waste) for one in lost} == {("churn", -1, "churn")}
    assert {one.t1 for one in lost} == {at}
    [cut] = spans(played.trace, "train", "g2-3")
    assert (cut.outcome, cut.t1) == ("churn", at)
    others = [one for one in played.trace.participations if one.round == 0 and one not in lost]
    assert {one.used for one in others} == {0}
    assert played.trace.rounds[0]["participants"] == 50
    assert played.trace.rounds[0]["dropped"] == EACH
    assert played.summary["dropouts"]["churn"] == EACH
    again = asked(played.trace, "gateway-2", 1)
    assert {one.used for one in again} == {1}
    assert len(again) == EACH


def test_a_crash_loses_what_was_delivered(campus: Callable[..., Scenario]) -> None:
    calm = play(campus(COST)).trace
    [sent] = spans(calm, "upload", "gateway-2")
    [merge] = spans(calm, "aggregate", "gateway-2")
    done = sorted(span.t1 for span in spans(calm, "upload") if span.peer == "gateway-2")
    while_waiting = (done[3] + done[4]) / 2 if done[4] > done[3] else done[-1]
    for at in (while_waiting, (merge.t0 + merge.t1) / 2, (sent.t0 + sent.t1) / 2):
        played = crashed(campus, at, ", lasts: 1 ms", "stop.rounds=1")
        lost = asked(played.trace, "gateway-2")
        assert {one.waste for one in lost} == {"churn"}
        assert "done" in {one.outcome for one in lost}
        delivered = sum(one.outcome == "done" for one in lost)
        rows = [node(played.trace, one.device) for one in lost]
        assert sum(row["rounds_done"] for row in rows) == delivered
        assert sum(row["dropped_churn"] for row in rows) == EACH - delivered


def test_a_crash_before_anybody_is_asked_costs_its_clients_nothing(
    campus: Callable[..., Scenario],
) -> None:
    [sent] = spans(play(campus(COST)).trace, "download", "gateway-2")
    trace = crashed(campus, (sent.t0 + sent.t1) / 2, ", lasts: 1 ms").trace
    assert not asked(trace, "gateway-2")
    assert len(asked(trace, "gateway-2", 1)) == EACH
    [cut] = spans(trace, "download", "gateway-2")
    assert (cut.outcome, cut.peer) == ("churn", "server")


def test_clients_of_a_gateway_that_is_away_are_not_chosen(campus: Callable[..., Scenario]) -> None:
    trace = crashed(campus, 0.0, ", lasts: 1 h").trace
    assert not asked(trace, "gateway-2")
    assert not asked(trace, "gateway-2", 1)
    assert len(trace.participations) == 2 * (50 - EACH)
    assert node(trace, "g2-0")["excluded"] == ""


def test_a_gateway_that_pauses_averages_later(campus: Callable[..., Scenario]) -> None:
    [merge] = spans(play(campus(COST)).trace, "aggregate", "gateway-2")
    at = (merge.t0 + merge.t1) / 2
    event = f"events=[{{at: {at!r} s, on: gateway-2, what: pause, lasts: 3 s}}]"
    [late] = spans(play(campus(COST, event)).trace, "aggregate", "gateway-2")
    assert (late.t0, late.t1) == (merge.t0, pytest.approx(merge.t1 + 3.0))


def test_a_gateway_whose_work_is_called_off_is_asked_again(
    campus: Callable[..., Scenario],
) -> None:
    [merge] = spans(play(campus(COST)).trace, "aggregate", "gateway-2")
    event = f"events=[{{at: {merge.t0!r} s, on: gateway-2, what: cancel}}]"
    trace = play(campus(COST, event)).trace
    assert {one.waste for one in asked(trace, "gateway-2")} == {"deadline"}
    assert {one.waste for one in asked(trace, "gateway-2", 1)} == {""}


def test_the_server_waits_for_the_only_gateway(campus: Callable[..., Scenario]) -> None:
    event = "events=[{at: 0 s, on: gateway-0, what: crash, lasts: 15 s}]"
    trace = play(campus(COST, *ONE_GATEWAY, event)).trace
    assert trace.summary["rounds"] == 2
    assert min(one.t0 for one in trace.participations) >= 20.0


def test_a_gateway_gone_for_good_takes_its_clients_with_it(
    campus: Callable[..., Scenario],
) -> None:
    trace = crashed(campus, 0.0, "").trace
    assert node(trace, "g2-7")["excluded"] == "gateway-2, which serves it, never comes back"
    assert trace.summary["rounds"] == 2
    event = "events=[{at: 0 s, on: gateway-0, what: crash}]"
    over = play(campus(COST, *ONE_GATEWAY, event, "stop.rounds=40"))
    assert over.summary["rounds"] == 1
    assert any(note.text == "no client is left to ask" for note in over.trace.notes)


def test_a_gateway_to_which_nobody_delivered_sends_nothing(
    campus: Callable[..., Scenario],
) -> None:
    calm = play(campus(COST)).trace
    at = min(span.t1 for span in spans(calm, "train") if span.actor.startswith("g1-"))
    event = f"events=[{{at: {at!r} s, on: g1, what: crash, lasts: 1 h}}]"
    trace = play(campus(COST, event, "pace.edge_rounds=2")).trace
    assert {one.outcome for one in asked(trace, "gateway-1")} == {"churn"}
    assert not spans(trace, "upload", "gateway-1")
    assert not spans(trace, "aggregate", "gateway-1")
    assert {span.actor for span in spans(trace, "upload") if span.peer == "server"} == {
        "gateway-0", "gateway-2", "gateway-3", "gateway-4",
    }  # fmt: skip


def test_a_client_that_comes_back_is_asked_at_the_next_aggregation(
    campus: Callable[..., Scenario],
) -> None:
    calm = play(campus(COST)).trace
    [train] = spans(calm, "train", "g1-0")
    event = f"events=[{{at: {(train.t0 + train.t1) / 2!r} s, on: g1-0, what: cancel}}]"
    trace = play(campus(COST, event, "pace.edge_rounds=2", "stop.rounds=1")).trace
    mine = [one for one in asked(trace, "gateway-1") if one.device == "g1-0"]
    assert [(one.outcome, one.used) for one in mine] == [("deadline", -1), ("done", 0)]


def test_a_deadline_is_for_clients_at_their_gateway(campus: Callable[..., Scenario]) -> None:
    slow = ("fleet[3].profile=raspberry_pi_zero_2_w", "method.epochs=20", "stop.rounds=1")
    calm = play(campus(COST, *slow)).trace
    taken = {hub: max(one.t1 - one.t0 for one in asked(calm, hub))
             for hub in (f"gateway-{i}" for i in range(GATEWAYS))}  # fmt: skip
    limit = min(one.t1 - one.t0 for one in asked(calm, "gateway-3"))
    assert max(time for hub, time in taken.items() if hub != "gateway-3") < limit
    deadline = f"pace.deadline={limit * 0.999!r} s"
    trace = play(campus(COST, *slow, deadline)).trace
    for hub in taken:
        expected = "deadline" if hub == "gateway-3" else "done"
        assert {one.outcome for one in asked(trace, hub)} == {expected}


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "what"),
    [({"edge_rounds": 0}, "edge_rounds is 0"), ({"deadline": 0.0}, "the deadline is 0")],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        Hierarchical(**settings)


def test_without_gateways_there_is_nothing_to_average_at(
    campus: Callable[..., Scenario],
) -> None:
    with pytest.raises(
        SpecError, match="hierarchical averages at gateways, and there are none"
    ) as no:
        campus("gateways=[]")
    assert no.value.key == "pace.name"
    assert no.value.where.endswith("campus.yaml:18")
    assert "Add `gateways:" in no.value.remedy


class TestHierarchical(PaceSuite):
    """What every pace promises, with a gateway between the boards and the server."""

    plugin = "hierarchical"
    options: ClassVar[Mapping[str, Any]] = {"edge_rounds": 2}
    world = ("gateways=[{profile: raspberry_pi_5, at: ap, serves: [pi]}]",)
