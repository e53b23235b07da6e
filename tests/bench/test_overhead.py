"""What the simulator itself costs: 100 clients a round, logistic regression, against a bare loop.

Both sides take the same steps on the same batches; the simulated side has its whole physics on.
`make bench` prints the ratio; as a test it compares the models and counts the trainings.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hetsim.core.rng import entropy
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import single_thread
from hetsim.learn.store import MemoryStore
from hetsim.spec.build import Scenario, resolve
from hetsim.spec.schema import load_topology

ROUNDS, CLIENTS, EPOCHS, BATCH, LR = 20, 100, 1, 4, 0.1

FLEET = """
name: overhead
fleet:
  - {profile: raspberry_pi_4b, count: 40, link: {to: ap, rate: "50 Mbit/s"}}
  - {profile: pixel_6, count: 30, link: {to: ap, rate: "100 Mbit/s"}}
  - {profile: jetson_tx2, count: 30, link: {to: switch, rate: "900 Mbit/s"}}
network:
  nodes: {ap: {technology: wifi}, switch: {technology: ethernet}}
  links: [{between: [ap, switch], bandwidth: "300 Mbit/s", latency: "1 ms"}]
server: {profile: core_ultra_265k, at: switch}
task: {data: digits, model: logistic, partition: iid}
method: {name: fedavg, epochs: 1, batch: 4, lr: 0.1}
selection: {name: random, cohort: 100}
governor: schedutil
stop: {rounds: 20}
report: {evaluate_every: 1000}
"""


def simulated(scenario: Scenario) -> tuple[dict[str, torch.Tensor], int]:
    """hetsim: final model and number of trainings."""
    lab = scenario.lab()
    run = scenario.world(lab)
    method = scenario.method()
    run.kernel.run(method.server(run), "server")
    assert run.model is not None
    [state] = lab.settle([run.model])
    return state, lab.executed["train"]


def bare(scenario: Scenario) -> dict[str, torch.Tensor]:
    """The same federated averaging, written by hand with torch.optim and nothing else."""
    resident, seed = scenario.resident, scenario.spec.seed
    model = scenario.architecture.build()
    lab = Lab(Inline(), MemoryStore(), resident)
    run = scenario.world(lab)
    [start] = lab.settle([run.initial_model()])
    state = {name: value.clone() for name, value in start.items()}
    shards = [resident.gather("train", torch.from_numpy(rows)) for rows in scenario.shards]
    names = [member.name for member in scenario.members()]
    total = sum(len(y) for _, y in shards)
    for number in range(ROUNDS):
        sums = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in state.items()}
        for name, (x, y) in zip(names, shards, strict=True):
            model.load_state_dict(state)
            optimizer = torch.optim.SGD(model.parameters(), lr=LR)
            generator = torch.Generator().manual_seed(entropy(seed, "learn/batches", name, number))
            for batch in torch.randperm(len(y), generator=generator).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step()
            for key, value in model.state_dict().items():
                sums[key] += value.double() * (len(y) / total)
        state = {key: value.float() for key, value in sums.items()}
    return state


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    path = tmp_path_factory.mktemp("bench") / "overhead.yaml"
    path.write_text(FLEET)
    single_thread()
    return resolve(load_topology(path))


def test_same_model_same_trainings(scenario: Scenario) -> None:
    state, trained = simulated(scenario)
    assert trained == ROUNDS * CLIENTS
    for name, value in bare(scenario).items():
        np.testing.assert_allclose(state[name].numpy(), value.numpy(), atol=1e-5)


def test_overhead(
    scenario: Scenario, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints the ratio of median seconds, five alternating repeats."""
    if not request.config.getoption("--benchmark-enable"):
        pytest.skip("seconds are measured by `make bench`")
    ours, theirs = [], []
    for _ in range(5):
        for times, side in ((theirs, bare), (ours, simulated)):
            begun = time.perf_counter()
            side(scenario)
            times.append(time.perf_counter() - begun)
    ratio = median(ours) / median(theirs)
    with capsys.disabled():
        each = median(ours) / ROUNDS / CLIENTS
        print(
            f"\nlr, {CLIENTS} clients a round: hetsim / bare loop = {ratio:.2f} "
            f"(medians of 5; {min(ours):.2f}-{max(ours):.2f} s over "
            f"{min(theirs):.2f}-{max(theirs):.2f} s; {each * 1e3:.2f} ms a client-round)"
        )
    assert ratio > 0
