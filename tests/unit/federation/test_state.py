"""What a client keeps from round to round, delivered or dropped, and what is computed for it."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.run import OnDrop, Run
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import model_hash
from hetsim.learn.store import MemoryStore
from hetsim.testing import tiny

SETTINGS: dict[str, Any] = {"epochs": 1, "batch": 20, "lr": 0.1}


class Personal:
    """Every client trains a model of its own, and delivers nothing but word that it has."""

    def __init__(self, on_drop: OnDrop, late: tuple[int, ...]) -> None:
        self.on_drop, self.late = on_drop, late

    async def server(self, run: Run) -> None:
        model = run.initial_model()
        while run.going:
            late = run.round in self.late
            await run.gather(self.client, run.clients[:1], model, late, deadline=100.0)
            await run.report(model)

    async def client(self, device: Client, model: Ref[Any], late: bool) -> None:
        start = device.state.get("own")
        if start is None:
            await device.download(model)
            start = model
        device.state["own"] = await device.train(start, **SETTINGS)
        if late:
            await device.sleep(1e3)


def played(on_drop: OnDrop, late: tuple[int, ...], rounds: int = 4) -> tuple[Run, Lab]:
    scenario = tiny(f"stop.rounds={rounds}", "report.evaluate_every=100")
    lab = Lab(Inline(), MemoryStore(), scenario.resident)
    run = scenario.world(lab, causality=True)
    run._on_drop = on_drop
    run.kernel.run(Personal(on_drop, late).server(run), run.server.id)
    lab.drain()
    return run, lab


def own(run: Run, lab: Lab) -> str:
    [state] = lab.settle([run.clients[0].state["own"]])
    return model_hash(state)


def test_who_delivers_keeps_it() -> None:
    run, lab = played("rollback", late=())
    assert lab.executed["train"] == 4
    assert len(own(run, lab)) == 64
    assert lab.executed["train"] == 4, "its use was certain, so it was computed long ago"


def test_who_is_dropped_goes_back_to_what_was_delivered() -> None:
    run, lab = played("rollback", late=(1, 3))
    assert run.clients[0].dropped["deadline"] == 2
    assert lab.executed["train"] == 2, "what was dropped is never computed"
    unfailing, other = played("rollback", late=(3,), rounds=4)
    assert unfailing.clients[0].dropped["deadline"] == 1
    assert own(run, lab) != own(unfailing, other)


def test_what_a_dropped_client_keeps_is_computed() -> None:
    kept, lab = played("keep", late=(1, 3))
    assert kept.clients[0].dropped["deadline"] == 2
    assert lab.executed["train"] == 4
    always, other = played("keep", late=())
    assert own(kept, lab) == own(always, other)


@pytest.mark.parametrize(("on_drop", "expected"), [(None, "rollback"), ("keep", "keep")])
def test_the_method_says_which(
    on_drop: OnDrop | None, expected: OnDrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hetsim.methods.fedavg import FedAvg

    if on_drop:
        monkeypatch.setattr(FedAvg, "on_drop", on_drop, raising=False)
    scenario = tiny()
    run = scenario.world(Lab(Inline(), MemoryStore(), scenario.resident))
    assert run._on_drop == expected
