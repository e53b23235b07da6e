"""What hetsim is held against: federated averaging in a hand-written loop that simulates nothing.

`plain` is what one writes first: a module, `torch.optim.SGD`, `load_state_dict`. `best` is what one
arrives at who wants speed and nothing else: convolution weights channels last, one resident module,
no optimizer object, whole models updated by one call. Both train the clients one after the other in
one thread, on samples that are standardised and in memory before the clock starts, and take the
means in float64; neither stores, evaluates or simulates anything.

Cohorts, batches and first weights are hetsim's, so both sides take the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.rng import entropy, rng
from hetsim.learn import vectors
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import State
from hetsim.learn.store import MemoryStore
from hetsim.spec.world import Scenario
from tests.bench.workloads import WARM, Outcome, Stopwatch, Workload

Shards = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a loop is given.

    Attributes:
        work: batch, epochs, learning rate.
        build: makes a module; its weights do not matter.
        start: the first weights.
        shards: samples [n, *shape] float32 and labels of each client.
        cohorts: of each round, clients and the seeds of their batches.
    """

    work: Workload
    build: Callable[[], nn.Module]
    start: State
    shards: Shards
    cohorts: Sequence[Sequence[tuple[int, int]]]

    @classmethod
    def of(cls, work: Workload, scenario: Scenario) -> Task:
        """The task of a workload, with hetsim's chances."""
        seed, resident = scenario.spec.seed, scenario.resident
        lab = Lab(Inline(), MemoryStore(), resident)
        [start] = lab.settle([scenario.world(lab).initial_model()])
        lab.close()
        names = [member.name for member in scenario.members()]
        cohorts = [
            [
                (client, entropy(seed, "learn/batches", names[client], number))
                for client in sorted(
                    rng(seed, "sim/selection", number)
                    .choice(work.clients, size=work.cohort, replace=False)
                    .tolist()
                )
            ]
            for number in range(work.rounds)
        ]
        shards = [resident.gather("train", torch.from_numpy(rows)) for rows in scenario.shards]
        return cls(
            work=work, build=scenario.architecture.build, start=start, shards=shards,
            cohorts=cohorts,
        )  # fmt: skip

    def batches(self, client: int, seed: int) -> list[Tensor]:
        """Rows of each step of a client."""
        generator = torch.Generator().manual_seed(seed)
        count = len(self.shards[client][1])
        return [
            batch
            for _ in range(self.work.epochs)
            for batch in torch.randperm(count, generator=generator).split(self.work.batch)
        ]


def plain(task: Task) -> Outcome:
    """torch.optim.SGD on a contiguous module."""
    torch.set_num_threads(1)
    module, watch, state = task.build(), Stopwatch(task.work.rounds), task.start
    total = task.work.cohort * task.work.samples
    for number, cohort in enumerate(task.cohorts):
        if number == WARM:
            watch.start()
        sums = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in state.items()}
        for client, seed in cohort:
            x, y = task.shards[client]
            module.load_state_dict(state)
            optimizer = torch.optim.SGD(module.parameters(), lr=task.work.lr)
            for batch in task.batches(client, seed):
                optimizer.zero_grad()
                F.cross_entropy(module(x[batch]), y[batch]).backward()
                optimizer.step()
            for name, value in module.state_dict().items():
                sums[name] += value.double() * (len(y) / total)
        state = {name: value.float() for name, value in sums.items()}
    watch.stop()
    return Outcome(state=state, watch=watch)


def best(task: Task) -> Outcome:
    """Gradients alone, on a channels-last module that stays where it is."""
    torch.set_num_threads(1)
    module, watch = task.build(), Stopwatch(task.work.rounds)
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    names = [name for name, _ in module.named_parameters()]
    parameters = list(module.parameters())
    weights = [parameter.detach() for parameter in parameters]
    total = task.work.cohort * task.work.samples
    state = [task.start[name] for name in names]
    for number, cohort in enumerate(task.cohorts):
        if number == WARM:
            watch.start()
        sums = [torch.zeros_like(value, dtype=torch.float64) for value in state]
        for client, seed in cohort:
            x, y = task.shards[client]
            vectors.copy_(weights, state)
            for batch in task.batches(client, seed):
                loss = F.cross_entropy(module(x[batch]), y[batch])
                vectors.add_(weights, torch.autograd.grad(loss, parameters), alpha=-task.work.lr)
            for value, weight in zip(sums, weights, strict=True):
                value.add_(weight, alpha=len(y) / total)
        state = [value.float() for value in sums]
    watch.stop()
    return Outcome(state=dict(zip(names, state, strict=True)), watch=watch)
