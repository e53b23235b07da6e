"""SCAFFOLD and FedNova in time: what they take, who is in time, what is refused."""

from __future__ import annotations

import pytest

from hetsim.core.errors import SpecError
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.learn import ops
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.meter import measure
from hetsim.methods.fedavg import FedAvg
from hetsim.methods.fednova import FedNova
from hetsim.methods.scaffold import Scaffold
from hetsim.testing import play, tiny

MODEL = "task.model=small_cnn"


def some_client() -> tuple[Client, Ref]:
    """A client of the small world, and the model that it trains."""
    run = tiny(MODEL, "cost_only=true").world(CostOnlyLab())
    return run.clients[0], run.initial_model()


def test_variates_take_memory_and_time() -> None:
    client, model = some_client()
    plain, steered = (method.work(client, model) for method in (FedAvg(), Scaffold()))
    size = measure(ops.model_arch(model)).parameter_bytes
    assert steered.memory == plain.memory + 2 * size
    steps = plain.steps
    assert steered.traffic - plain.traffic == pytest.approx((3 * (steps + 1) + 11) * size)
    assert steered.flops > plain.flops
    assert FedNova().work(client, model) == plain


def test_a_client_that_trains_less_keeps_time_for_its_variate() -> None:
    """The Jetson, next to the server, sends in no time; but first it computes."""
    world = (
        MODEL, "cost_only=true", "selection.cohort=4", "stop.rounds=3", "method.epochs=400",
        "pace={name: deadline, deadline: 2 s}", "method.name=scaffold",
    )  # fmt: skip
    books = play(tiny(*world)).trace.participations
    jetson = [book for book in books if book.device == "jetson-0"]
    assert [book.outcome for book in jetson] == ["done"] * 3
    assert all(0.0 < book.share < 1.0 for book in jetson)


def test_who_is_dropped_keeps_the_variate_it_had() -> None:
    """The Jetson is faster than the boards; of a cohort of four the first two count."""
    scenario = tiny("method.name=scaffold", "selection.cohort=2", "pace.over_selection=2")
    run = scenario.world(CostOnlyLab())
    run.kernel.run(scenario.method().server(run), "server")
    delivered = {client.id for client in run.clients if client.rounds_done}
    assert 2 <= len(delivered) < 4
    assert {client.id for client in run.clients if client.state} == delivered


@pytest.mark.parametrize("option", ["server_lr=0", "strength=-1", "lr=0", "momentum=1"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(SpecError, match=option.split("=")[0]):
        tiny("method.name=scaffold", f"method.{option}")


def test_fednova_refuses_a_pull_past_the_server_model() -> None:
    """Of which a training could be of no length, or of less than none."""
    for mu, momentum in ((40.0, 0.0), (9.0, 0.99)):
        with pytest.raises(SpecError, match=f"mu is {mu:g}") as refusal:
            FedNova(mu=mu, momentum=momentum)
        assert f"Choose {(1.0 - momentum) / 0.05:g}" in (refusal.value.remedy or "")
    FedNova(mu=20.0)
    FedNova(mu=2.0, momentum=0.9)


@pytest.mark.parametrize("method", ["scaffold", "fednova"])
@pytest.mark.parametrize("pace", ["fedasync", "fedbuff", "{name: deadline, late: layers}"])
def test_paces_that_ask_for_more_are_refused(method: str, pace: str) -> None:
    with pytest.raises(SpecError):
        tiny(f"method.name={method}", f"pace={pace}")
