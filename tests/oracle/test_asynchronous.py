"""FedAsync and FedBuff against a loop over a heap, which knows neither the kernel nor a Ref's key.

Clients hang on lines of their own, so that each always takes the same time; a synchronous run
without training measures it. The loop then trains and mixes eagerly, in the order of the heap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, cycle
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hetsim.core.ref import Ref
from hetsim.core.rng import entropy
from hetsim.core.trace import Participation
from hetsim.federation.client import Client
from hetsim.federation.run import Run
from hetsim.learn import ops
from hetsim.learn.lab import CostOnlyLab
from hetsim.learn.numerics import model_hash
from hetsim.spec.world import Scenario
from hetsim.testing import play, tiny

State = dict[str, Tensor]
FLEET = 8
STEPS = 16
TOLERANCE = 1e-12


def line(number: int) -> str:
    """One client on a line of its own, none as fast as another."""
    profile = ("raspberry_pi_4b", "jetson_tx2")[number % 2]
    rate = 10 + 7 * number
    return f'{{profile: {profile}, name: c{number}, link: {{to: switch, rate: "{rate} Mbit/s"}}}}'


WORLD = (
    f"fleet=[{', '.join(line(number) for number in range(FLEET))}]",
    "network={nodes: {switch: {technology: ethernet}}, links: []}",
    "task.data.train=400",
    "task.partition={name: dirichlet, alpha: 1}",
    "method={name: fedavg, epochs: 2, batch: 16, lr: 0.1}",
)


def world(*overrides: str, seed: int = 0, concurrency: int = FLEET) -> Scenario:
    return tiny(
        *WORLD, f"selection={{name: round_robin, cohort: {concurrency}}}", *overrides, seed=seed
    )


# --- the loop -------------------------------------------------------------------------------------


@dataclass
class Eager:
    """What the loop answers: the end and the loss of every step, the last model, who was used.

    Attributes:
        asked: (client, instant, step in which it was asked), in order.
        used: (client, step in which it was asked, step that took it; -1 if refused), in order.
    """

    ends: list[float] = field(default_factory=list[float])
    losses: list[float] = field(default_factory=list[float])
    asked: list[tuple[str, float, int]] = field(default_factory=list[tuple[str, float, int]])
    used: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    model: State = field(default_factory=State)


def eager(
    scenario: Scenario, mix: Callable[..., State], *, concurrency: int, buffer: int, bound: float
) -> Eager:
    """Play `STEPS` server steps; `mix(model, [(samples, staleness, update, start), ...])`."""
    run, seconds, step_takes = measured(scenario, buffer)
    values, answer, serial = Values(scenario), Eager(), count()
    now, step, model = 0.0, 0, values.initial()
    heap: list[Any] = []
    taken: list[Any] = []
    turn, times = dict.fromkeys(run.clients, -1), Counter[tuple[Client, int]]()
    free = set(run.clients)
    while step < STEPS:
        wanted = concurrency - sum(entry[0] > now for entry in heap)
        for client in sorted(free, key=lambda one: (turn[one], one.index))[: max(wanted, 0)]:
            free.remove(client)
            again, turn[client] = times[client, step], step
            times[client, step] += 1
            answer.asked.append((client.id, now, step))
            heappush(heap, (now + seconds[client], next(serial), client, step, again, model))
        end, _, client, start, again, old = heappop(heap)
        now = max(now, end)
        free.add(client)
        stale = step - start
        answer.used.append((client.id, start, step if stale <= bound else -1))
        if stale <= bound:
            update = values.trained(client, old, start, again)
            taken.append((client.samples, stale, update, old))
        if len(taken) == buffer:
            model, taken, now, step = mix(model, taken), [], now + step_takes, step + 1
            answer.ends.append(now)
            answer.losses.append(values.loss(model))
    answer.model = model
    return answer


def measured(scenario: Scenario, buffer: int) -> tuple[Run, dict[Client, float], float]:
    """A world to look at, what each client takes when it is asked, and what a server step takes."""
    everybody = tiny(*WORLD, "selection.cohort=99", "cost_only=true", seed=scenario.spec.seed)
    took: dict[str, float] = {
        book.device: book.t1 - book.t0 for book in play(everybody).trace.participations
    }
    run = scenario.world(CostOnlyLab())
    model = run.initial_model()
    cost = ops.mean([model] * (buffer + 1)).cost
    step = run.server.node.effort(cost).duration
    return run, {client: took[client.id] for client in run.clients}, step


class Values:
    """Tensors, computed at once by the operations that the executors use."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario, self._seed = scenario, scenario.spec.seed
        self._first = ops.initial(
            scenario.architecture, entropy(self._seed, "learn/initial") % 2**63
        )
        self._test = scenario.resident.whole("test")

    def initial(self) -> State:
        return self._value(self._first)

    def trained(self, client: Client, start: State, step: int, again: int) -> State:
        """The first training that was asked for in a step has no number."""
        name = (step, again) if again else (step,)
        options = self._scenario.spec.method.options
        assert client.shard
        ref = ops.train(
            self._first, client.shard, epochs=options["epochs"], batch=options["batch"],
            lr=options["lr"], seed=entropy(self._seed, "learn/batches", client.id, *name),
        )  # fmt: skip
        return self._value(ref, start, self._value(client.shard))

    def loss(self, model: State) -> float:
        score = ops.evaluate(self._first, self._test)
        return self._value(score, model, self._value(self._test))["loss"]

    def _value(self, ref: Ref[Any], *inputs: Any) -> Any:
        return ops.compute(ref, inputs, self._scenario.resident)


def moved(model: State, updates: list[tuple[float, State, State]]) -> State:
    """The model, moved by shares of what each update moved away from its start.

    In float64 and rounded once, factor by factor: a start that is the model itself has no share of
    its own. Shares such as 0.3 meet ties of float32, so another order of the sum is another model.
    """
    kept = 1.0
    for share, _, start in updates:
        kept -= share if start is model else 0.0
    new: State = {}
    for name, old in model.items():
        total = old.double() * kept
        for share, update, start in updates:
            total.add_(update[name], alpha=share)
            if start is not model:
                total.add_(start[name], alpha=-share)
        new[name] = total.float()
    return new


def compare(scenario: Scenario, loop: Eager) -> None:
    """Assert that the run is what the loop says, bit for bit and instant by instant."""
    played = play(scenario)
    rows, books = played.trace.rounds, played.trace.participations
    assert [row["t1_s"] for row in rows] == pytest.approx(loop.ends, rel=TOLERANCE)
    assert [(book.device, book.round) for book in books] == [
        (client, step) for client, _, step in loop.asked
    ]
    assert [book.t0 for book in books] == pytest.approx(
        [when for _, when, _ in loop.asked], rel=TOLERANCE, abs=TOLERANCE
    )
    taken = [(book.device, book.round, book.used) for book in books if book.used >= 0]
    assert sorted(taken) == sorted(each for each in loop.used if each[2] >= 0)
    refused = [(book.device, book.round, -1) for book in books if book.waste == "stale"]
    assert sorted(refused) == sorted(each for each in loop.used if each[2] < 0)
    assert [row["loss"] for row in rows] == loop.losses
    assert played.summary["model_hash"] == model_hash(loop.model)


# --- the two paces --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "concurrency", "alpha", "exponent", "bound"),
    [(0, 8, 0.6, 0.5, inf), (1, 6, 0.9, 1.0, inf), (2, 4, 1.0, 0.0, inf), (3, 8, 0.5, 0.5, 6)],
)
def test_fedasync_is_a_heap(
    seed: int, concurrency: int, alpha: float, exponent: float, bound: float
) -> None:
    def mix(model: State, taken: list[tuple[int, int, State, State]]) -> State:
        [(_, stale, update, _)] = taken
        share = alpha * (1.0 + stale) ** -exponent
        return moved(model, [(share, update, model)])

    limit = "none" if bound == inf else bound
    scenario = world(
        f"stop.rounds={STEPS}",
        f"pace={{name: fedasync, alpha: {alpha}, exponent: {exponent}, max_staleness: {limit}}}",
        seed=seed, concurrency=concurrency,
    )  # fmt: skip
    loop = eager(scenario, mix, concurrency=concurrency, buffer=1, bound=bound)
    compare(scenario, loop)
    assert any(step < 0 for *_, step in loop.used) is (bound < inf)


@pytest.mark.parametrize(
    ("seed", "concurrency", "buffer", "exponent", "bound"),
    [
        (0, 8, 1, 0.5, inf), (1, 8, 2, 0.5, inf), (2, 6, 3, 0.5, inf), (3, 4, 4, 1.0, inf),
        (4, 5, 3, 0.0, inf), (5, 8, 2, 0.5, 2), (6, 8, 1, 0.5, 5),
    ],
)  # fmt: skip
def test_fedbuff_is_a_heap(
    seed: int, concurrency: int, buffer: int, exponent: float, bound: float
) -> None:
    lr = 0.8

    def mix(model: State, taken: list[tuple[int, int, State, State]]) -> State:
        whole = sum(samples for samples, *_ in taken)
        return moved(
            model,
            [
                (lr * samples / whole * (1.0 + stale) ** -exponent, update, start)
                for samples, stale, update, start in taken
            ],
        )

    limit = "none" if bound == inf else bound
    scenario = world(
        f"stop.rounds={STEPS}",
        f"pace={{name: fedbuff, buffer: {buffer}, lr: {lr}, exponent: {exponent},"
        f" max_staleness: {limit}}}",
        seed=seed, concurrency=concurrency,
    )  # fmt: skip
    loop = eager(scenario, mix, concurrency=concurrency, buffer=buffer, bound=bound)
    compare(scenario, loop)
    assert any(step < 0 for *_, step in loop.used) is (bound < inf)


# --- which version --------------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    delays=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60),
    concurrency=st.integers(1, FLEET),
    buffer=st.integers(1, 4),
    bound=st.sampled_from([inf, 0, 1, 4]),
)
def test_a_client_trains_from_the_version_that_it_downloaded(
    delays: list[float], concurrency: int, buffer: int, bound: float
) -> None:
    limit = "none" if bound == inf else bound
    run = world(
        "cost_only=true", f"stop.rounds={STEPS}",
        f"pace={{name: fedbuff, buffer: {buffer}, max_staleness: {limit}}}",
        concurrency=concurrency,
    ).world(CostOnlyLab(), causality=True)  # fmt: skip
    delay = cycle(delays)
    starts: list[tuple[Participation, str, str]] = []
    versions: list[str] = []
    merged: list[set[str]] = []
    updates: dict[int, str] = {}

    async def client(device: Client, model: Ref[Any]) -> Ref[Any]:
        assert device.errand
        book = device.errand.participation
        await device.sleep(next(delay))
        await device.download(model)
        await device.sleep(next(delay))
        update = await device.train(model, steps=1, batch=4, lr=0.1)
        starts.append((book, model.key, update.inputs[0].key))
        await device.sleep(next(delay))
        await device.upload(update)
        updates[id(book)] = update.key
        return update

    async def server() -> None:
        model = run.initial_model()
        while run.going:
            versions.append(model.key)
            model = await run.average(client, model, weigh=lambda client: 1.0)
            merged.append({ref.key for ref in model.inputs})
            await run.report(model)

    run.kernel.run(server(), run.server.id)
    assert len(versions) == len(set(versions)) == STEPS
    for book, given_key, trained in starts:
        assert given_key == trained == versions[book.round]
    downloads = [span for span in run.kernel.trace.spans if span.kind == "download"]
    assert {span.key for span in downloads} <= set(versions)
    for book in run.kernel.trace.participations:
        if book.used >= 0:
            assert book.staleness == book.used - book.round <= bound
            assert updates[id(book)] in merged[book.used]
        elif book.waste == "stale":
            assert book.staleness > bound
            assert not any(updates[id(book)] in inputs for inputs in merged)
    assert all(len(used) == buffer for used in _by_step(run.kernel.trace.participations).values())


def _by_step(books: list[Participation]) -> dict[int, list[Participation]]:
    steps: dict[int, list[Participation]] = {}
    for book in books:
        if book.used >= 0:
            steps.setdefault(book.used, []).append(book)
    return steps
