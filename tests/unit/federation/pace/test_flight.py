"""Asynchronous server steps whose weights are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hetsim.core.errors import HetsimError, SpecError
from hetsim.core.ref import Ref
from hetsim.federation.client import Client
from hetsim.federation.pace.fedasync import FedAsync
from hetsim.federation.pace.fedbuff import FedBuff
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.learn.lab import CostOnlyLab
from hetsim.sim.requests import Sleep
from hetsim.testing import check_books, play, tiny

SECONDS = (1.0, 2.5, 7.0, 9.0)
WEIGHTS = (3.0, 1.0, 2.0, 2.0)
AWAY = "{name: windows, on: [[20 s, 900 s]], period: 1000 s}"


class Played:
    """Server steps of a world in which each client takes its seconds.

    Attributes:
        models: the server model before each step, and the last one.
        updates: (client, its update), as they were delivered.
        ends: instants at which steps ended.
    """

    def __init__(self, pace: str, *overrides: str, clients: int, rounds: int) -> None:
        self.run = tiny(
            "cost_only=true", f"pace={pace}", f"selection.cohort={clients}",
            f"stop.rounds={rounds}", *overrides,
        ).world(CostOnlyLab())  # fmt: skip
        for place, client in enumerate(self.run.clients):
            if place >= clients and not overrides:
                client.excluded = "not needed here"
        self.models: list[Ref[Any]] = []
        self.updates: list[tuple[str, Ref[Any]]] = []
        self.ends: list[float] = []
        self._parts: list[list[str]] = []
        end = self.run.kernel.run(self._server(), self.run.server.id)
        self.run.finish(end)
        self.books = self.run.kernel.trace.participations

    async def _server(self) -> None:
        model = self.run.initial_model()
        self.models.append(model)
        while self.run.going:
            model = await self.run.average(
                self._client, model, weigh=lambda client: WEIGHTS[client.index]
            )
            self.models.append(model)
            self._parts.append([ref.key for ref in model.inputs])
            await self.run.report(model)  # after which they are the lab's
            self.ends.append(self.run.now)

    async def _client(self, device: Client, model: Ref[Any]) -> Ref[Any]:
        await device.sleep(SECONDS[device.index])
        number = len(self.updates)
        update = Ref.of("update", model, nbytes=1.0, number=number, arch=model.arg("arch"))
        self.updates.append((device.id, update))
        return update

    def step(self, number: int) -> list[tuple[str, float]]:
        """What a server step is made of: v0, v1 ... of the server, u0, u1 ... of clients."""
        names = {model.key: f"v{place}" for place, model in enumerate(self.models)}
        names |= {update.key: f"u{place}" for place, (_, update) in enumerate(self.updates)}
        inputs = [names[key] for key in self._parts[number]]
        return list(zip(inputs, self.models[number + 1].arg("weights"), strict=True))


def approx(parts: Sequence[tuple[str, float]]) -> list[Any]:
    return [(name, pytest.approx(weight, rel=1e-12)) for name, weight in parts]


def test_fedbuff_moves_by_the_weighted_mean_of_what_clients_moved() -> None:
    """The fast one delivers at 1, 2, 3, ... s, the slow one at 2.5, 5, ... s; two make a step."""
    played = Played("{name: fedbuff, buffer: 2, lr: 0.5}", clients=2, rounds=2)
    assert [name for name, _ in played.updates] == ["pi-0", "pi-0", "pi-1", "pi-0"]
    # at 2 s: twice the fast one, both from v0
    assert played.step(0) == approx([("v0", 0.5), ("u0", 0.25), ("u1", 0.25)])
    # at 3 s: the slow one, one step stale, and the fast one, which is not
    slow, fast = 0.5 * (1 / 4) * 2**-0.5, 0.5 * (3 / 4)
    assert played.step(1) == approx([("v1", 1.0 - fast), ("u2", slow), ("v0", -slow), ("u3", fast)])
    assert [(book.device, book.round, book.used, book.staleness) for book in played.books] == [
        ("pi-0", 0, 0, 0), ("pi-1", 0, 1, 1), ("pi-0", 0, 0, 0), ("pi-0", 1, 1, 0),
        ("pi-1", 1, -1, 0),
    ]  # fmt: skip
    assert played.books[-1].outcome == played.books[-1].waste == "unfinished"


@pytest.mark.parametrize(
    ("weighting", "factors"),
    [
        ("polynomial", (1.0, 1.0, 3.0**-0.5)),
        ("constant", (1.0, 1.0, 1.0)),
        ("hinge, exponent: 3, grace: 1", (1.0, 1.0, 0.25)),
    ],
)
def test_fedasync_mixes_each_update_in_as_it_arrives(
    weighting: str, factors: tuple[float, ...]
) -> None:
    """Steps at 1, 2 and 2.5 s; the last update is two steps stale."""
    played = Played(f"{{name: fedasync, alpha: 0.8, weighting: {weighting}}}", clients=2, rounds=3)
    for number, (name, factor) in enumerate(zip(("u0", "u1", "u2"), factors, strict=True)):
        share = 0.8 * factor
        assert played.step(number) == approx([(f"v{number}", 1.0 - share), (name, share)])
    assert [book.staleness for book in played.books if book.used >= 0] == [0, 2, 0]
    assert played.ends == pytest.approx([1.0, 2.0, 2.5], abs=1e-2)


def test_an_update_that_is_too_old_is_refused_and_its_client_asked_again() -> None:
    """The slow one is asked in step 0 and delivers in step 2, then is asked in step 2."""
    played = Played("{name: fedasync, max_staleness: 1}", clients=2, rounds=4)
    refused = [book for book in played.books if book.waste == "stale"]
    assert [(book.device, book.round, book.used, book.staleness) for book in refused] == [
        ("pi-1", 0, -1, 2)
    ]
    assert refused[0].outcome == "done"
    again = [book for book in played.books if book.device == "pi-1"][1]
    assert again.round == 2
    assert again.t0 == refused[0].t1
    assert [name for name, _ in played.step(2)] == ["v2", "u3"], "the next one makes the step"


def test_who_delivers_is_replaced_by_another() -> None:
    """Two of four are at work at any time."""
    played = Played(
        "{name: fedasync}", "selection={name: round_robin, cohort: 2}", clients=2, rounds=6
    )
    changes = sorted(
        [(book.t0, 1) for book in played.books] + [(book.t1, -1) for book in played.books]
    )
    at_work, most = 0, 0
    for _, change in changes:
        at_work += change
        most = max(most, at_work)
    assert most == 2
    assert [book.device for book in played.books][:4] == ["pi-0", "pi-1", "phone-0", "jetson-0"]


def test_who_is_lost_is_replaced() -> None:
    played = Played(
        "{name: fedasync}", "events=[{at: 500 ms, on: pi-0, what: crash, lasts: 100 s}]",
        "selection={name: round_robin, cohort: 1}", clients=1, rounds=2,
    )  # fmt: skip
    assert [(book.device, book.outcome, book.t0) for book in played.books][:2] == [
        ("pi-0", "churn", 0.0), ("pi-1", "done", 0.5),
    ]  # fmt: skip


def test_waits_for_somebody_and_looks_again_while_too_few_are_there() -> None:
    """One is there from the start; the others come after 20 s and are asked at the next look."""
    played = Played(
        "{name: fedasync}", f"fleet[0].availability={AWAY}", f"fleet[1].availability={AWAY}",
        clients=4, rounds=4,
    )  # fmt: skip
    first = {book.device: book.t0 for book in reversed(played.books)}
    assert first["jetson-0"] == 0.0
    assert 20.0 <= first["pi-0"] <= 30.0


def test_nobody_left_ends_the_step_with_what_is_there() -> None:
    """A buffer of three of which one is filled when the last client has gone for good."""
    run = tiny(
        "cost_only=true", "pace={name: fedbuff, buffer: 3}", "selection.cohort=1", "stop.rounds=5"
    ).world(CostOnlyLab())  # fmt: skip
    delivered: list[str] = []
    models: list[Ref[Any]] = []

    async def client(device: Client, model: Ref[Any]) -> Ref[Any]:
        await device.sleep(1.0)
        if delivered:
            for each in run.clients:
                each.excluded = "gone"
        delivered.append(device.id)
        assert device.shard
        return ops.train(model, device.shard, steps=1, batch=1, lr=0.1, seed=0)

    async def server() -> None:
        models.append(run.initial_model())
        while run.going:
            models.append(await run.average(client, models[-1], weigh=lambda client: 1.0))
            await run.report(models[-1])

    run.kernel.run(server(), run.server.id)
    assert len(delivered) == 2
    assert len(models) == 2
    assert run.kernel.trace.notes[-1].text == "no client is left to ask"


def test_there_are_no_cohorts() -> None:
    run = tiny("cost_only=true", "pace.name=fedasync").world(CostOnlyLab())

    async def client(device: Client) -> None:
        await Sleep(duration=1.0)

    async def server(run: Run) -> None:
        await run.cohort(client)

    with pytest.raises(HetsimError, match=r"no cohorts\n.*such as sync"):
        run.kernel.run(server(run), run.server.id)


@pytest.mark.parametrize(
    ("pace", "wrong", "says"),
    [
        (FedAsync, {"alpha": 0.0}, "alpha is 0"),
        (FedAsync, {"alpha": 1.1}, "alpha is 1.1"),
        (FedAsync, {"exponent": -1.0}, "exponent is -1"),
        (FedBuff, {"buffer": 0}, "buffer is 0"),
        (FedBuff, {"lr": 0.0}, "lr is 0"),
        (FedBuff, {"grace": -1}, "grace is -1"),
        (FedBuff, {"max_staleness": -1.0}, "max_staleness is -1"),
    ],
)
def test_refuses(pace: type[Any], wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        pace(**wrong)


def test_time_that_is_over_ends_a_step_too() -> None:
    """A buffer that would take minutes to fill; what is there at the end is taken in."""
    scenario = tiny(
        "pace={name: fedbuff, buffer: 100000}", "stop={rounds: 5, time: 200 ms}", "cost_only=true"
    )
    played = play(scenario)
    check_books(played.trace, scenario)
    assert played.summary["simulated_s"] == pytest.approx(0.2, abs=0.01)
    assert played.summary["rounds"] == 1
    assert played.summary["device_rounds"] > 5
