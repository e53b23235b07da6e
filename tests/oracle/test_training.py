"""Local training and averaging against hand-written PyTorch, bit for bit where nothing is rounded
differently, and against the limits that algebra knows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import load
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import State, model_hash, single_thread
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore

REPO = Path(__file__).resolve().parents[2]
SAMPLES, BATCH = 90, 16
SETTINGS = {"batch": BATCH, "lr": 0.05}
NETWORKS = ["logistic", "small_cnn", "resnet8"]


@pytest.fixture(scope="module")
def resident() -> Resident:
    single_thread()
    return Resident(load("digits", ()))


@pytest.fixture(scope="module")
def shard(resident: Resident) -> Ref:
    return resident.shard(np.arange(SAMPLES))


@pytest.fixture
def lab(resident: Resident) -> Lab:
    return Lab(Inline(), MemoryStore(limit=0), resident)


def model(name: str, **options: object) -> Ref:
    return ops.initial(Architecture.of(name, (1, 8, 8), 10, options), 7)


def value(lab: Lab, ref: Ref) -> State:
    [state] = lab.settle([ref])
    return state


def equal(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def distance(a: State, b: State) -> float:
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def agree(name: str, a: State, b: State) -> bool:
    """Bit for bit, or to rounding for a model that is trained in a stack, by other products."""
    return distance(a, b) < 1e-6 if name == "logistic" else equal(a, b)


def sgd(
    name: str, start: State, resident: Resident, seeds: Sequence[int], epochs: int,
    momentum: float = 0.0, weight_decay: float = 0.0,
) -> State:  # fmt: skip
    """The loop that everybody writes: one optimizer for each seed, shuffled epochs."""
    x, y = resident.gather("train", torch.arange(SAMPLES))
    net = Architecture.of(name, (1, 8, 8), 10).build().to(memory_format=torch.channels_last)  # pyright: ignore
    net.load_state_dict(start)
    net.train()
    for seed in seeds:
        optimizer = torch.optim.SGD(
            net.parameters(), lr=SETTINGS["lr"], momentum=momentum, weight_decay=weight_decay
        )
        generator = torch.Generator().manual_seed(seed)
        for _ in range(epochs):
            for rows in torch.randperm(SAMPLES, generator=generator).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(net(x[rows]), y[rows]).backward()
                optimizer.step()
    return {key: tensor.contiguous() for key, tensor in net.state_dict().items()}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.0, 0.0), (0.9, 1e-3)])
def test_one_local_training_is_the_optimizer_of_torch(
    name: str, momentum: float, weight_decay: float, lab: Lab, resident: Resident, shard: Ref
) -> None:
    start = model(name)
    update = ops.train(
        start, shard, epochs=2, seed=3, momentum=momentum, weight_decay=weight_decay, **SETTINGS
    )
    by_hand = sgd(name, value(lab, start), resident, [3], 2, momentum, weight_decay)
    assert agree(name, value(lab, update), by_hand)


@pytest.mark.parametrize("name", NETWORKS)
def test_federated_averaging_with_one_client_is_sgd(
    name: str, lab: Lab, resident: Resident, shard: Ref
) -> None:
    start = server = model(name)
    for seed in (1, 2, 3):
        server = ops.mean([ops.train(server, shard, epochs=1, seed=seed, **SETTINGS)], [SAMPLES])
    by_hand = sgd(name, value(lab, start), resident, [1, 2, 3], 1)
    assert agree(name, value(lab, server), by_hand)


def test_a_proximal_weight_of_zero_is_plain_training(lab: Lab, shard: Ref) -> None:
    """Zero is the same recipe; a weight too small to move a float32 is the same model."""
    start = model("logistic")
    plain = ops.train(start, shard, epochs=2, seed=3, **SETTINGS)
    zero = ops.train(start, shard, epochs=2, seed=3, proximal=0.0, **SETTINGS)
    tiny = ops.train(start, shard, epochs=2, seed=3, proximal=1e-30, **SETTINGS)
    assert zero.key == plain.key != tiny.key
    assert equal(value(lab, tiny), value(lab, plain))


def test_proximal_training_descends_the_penalised_loss(
    lab: Lab, resident: Resident, shard: Ref
) -> None:
    """Against autograd on cross entropy + mu / 2 |w - w0|^2."""
    mu, start = 0.3, model("mlp", hidden=(16,))
    update = ops.train(start, shard, steps=4, seed=3, proximal=mu, **SETTINGS)
    anchor = value(lab, start)
    net = Architecture.of("mlp", (1, 8, 8), 10, {"hidden": (16,)}).build()
    net.load_state_dict(anchor)
    x, y = resident.gather("train", torch.arange(SAMPLES))
    order = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(3))
    for rows in order.split(BATCH)[:4]:
        loss = F.cross_entropy(net(x[rows]), y[rows])
        for key, weight in net.named_parameters():
            loss = loss + mu / 2 * (weight - anchor[key]).square().sum()
        gradient = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for weight, slope in zip(net.parameters(), gradient, strict=True):
                weight -= SETTINGS["lr"] * slope
    by_hand = {key: weight.detach() for key, weight in net.named_parameters()}
    plain = ops.train(start, shard, steps=4, seed=3, **SETTINGS)
    assert distance(value(lab, update), by_hand) < 1e-6
    assert distance(value(lab, plain), by_hand) > 1e-4


def test_the_mean_of_full_batch_steps_is_a_step_on_the_union(
    lab: Lab, resident: Resident, shard: Ref
) -> None:
    """FedSGD: gradients are linear, so weighting by shard size gives the gradient of the union."""
    start, sizes = model("logistic"), (13, 27, 50)
    parts = np.split(np.arange(SAMPLES), np.cumsum(sizes)[:-1])
    settings = {"steps": 1, "batch": SAMPLES, "lr": 0.5, "seed": 1}
    updates = [ops.train(start, resident.shard(part), **settings) for part in parts]
    whole = ops.train(start, shard, **settings)
    mean = value(lab, ops.mean(updates, sizes))
    assert distance(mean, value(lab, whole)) < 1e-6
    assert distance(value(lab, ops.mean(updates)), value(lab, whole)) > 1e-4


@pytest.mark.parametrize("steps", [1, 5, 6, 7, 11])
def test_a_training_cut_short_is_the_training_of_fewer_steps(
    steps: int, lab: Lab, resident: Resident, shard: Ref
) -> None:
    """The last of six steps an epoch is smaller; cut inside, at and after an epoch's end."""
    assert ceil(SAMPLES / BATCH) == 6
    start = model("small_cnn")
    whole = ops.train(start, shard, epochs=2, seed=3, **SETTINGS)
    cut = ops.truncate(whole, steps)
    direct = ops.train(start, shard, steps=steps, seed=3, **SETTINGS)
    assert cut.key == direct.key
    assert cut.cost == direct.cost
    if steps % 6 == 0:
        by_hand = sgd("small_cnn", value(lab, start), resident, [3], steps // 6)
        assert equal(value(lab, cut), by_hand)


def test_training_learns_the_digits(lab: Lab, resident: Resident) -> None:
    everything = resident.whole("train")
    update = ops.train(model("logistic"), everything, epochs=20, batch=32, lr=0.1, seed=0)
    score = ops.evaluate(update, resident.whole("test"))
    before = ops.evaluate(model("logistic"), resident.whole("test"))
    late, early = lab.settle([score, before])
    assert late["accuracy"] > 0.94
    assert early["accuracy"] < 0.3
    assert late["loss"] < 0.25 < early["loss"]


def test_evaluation_agrees_with_its_definition(lab: Lab, resident: Resident) -> None:
    start, test = model("small_cnn"), resident.whole("test")
    [score] = lab.settle([ops.evaluate(start, test, batch=50)])
    [logits] = lab.settle([ops.forward(start, test, batch=50)])
    _, y = resident.gather("test", torch.arange(len(resident.dataset.test_y)))
    assert score["samples"] == len(y) == len(logits)
    assert score["accuracy"] == pytest.approx(float((logits.argmax(1) == y).double().mean()))
    assert score["loss"] == pytest.approx(float(F.cross_entropy(logits.double(), y)), rel=1e-6)


def test_the_mean_is_taken_in_double_precision(lab: Lab, resident: Resident) -> None:
    """Ten thousand numbers that float32 sums would lose digits of."""
    many = [1.0 + 1e-7 * index for index in range(1000)]
    states: list[State] = [{"w": torch.tensor([item], dtype=torch.float32)} for item in many]
    arch = model("logistic").arg("arch")
    refs = [Ref.of("initial", arch=arch, number=index) for index in range(len(states))]
    mean = ops.compute(ops.mean(refs), states, resident)["w"]
    exact = np.mean([float(state["w"]) for state in states])
    assert float(mean) == float(np.float32(exact))


def test_batch_statistics_are_averaged_and_counters_take_the_largest(
    lab: Lab, resident: Resident, shard: Ref
) -> None:
    start = model("resnet8")
    long = ops.train(start, shard, epochs=2, seed=1, **SETTINGS)
    short = ops.train(start, shard, epochs=1, seed=2, **SETTINGS)
    one, two, mean = lab.settle([long, short, ops.mean([long, short], [1, 3])])
    expected: Tensor = 0.25 * one["bn1.running_var"] + 0.75 * two["bn1.running_var"]
    assert torch.allclose(mean["bn1.running_var"], expected, rtol=1e-6)
    assert int(mean["bn1.num_batches_tracked"]) == 12
    assert not equal(one, two)


SCRIPT = """
import numpy as np
from hetsim.learn import ops
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import load
from hetsim.learn.executors.inline import Inline
from hetsim.learn.lab import Lab
from hetsim.learn.numerics import model_hash
from hetsim.learn.resident import Resident
from hetsim.learn.store import MemoryStore
resident = Resident(load("digits", ()))
lab = Lab(Inline(), MemoryStore(), resident)
start = ops.initial(Architecture.of("small_cnn", (1, 8, 8), 10), 7)
parts = [resident.shard(np.arange(90)), resident.shard(np.arange(90, 200))]
server = ops.mean([ops.train(start, part, epochs=2, batch=16, lr=.05, seed=3) for part in parts])
print(model_hash(lab.settle([server])[0]), server.key)
"""


def test_neither_threads_nor_hash_seeds_of_the_environment_matter(
    lab: Lab, resident: Resident
) -> None:
    answers = set[str]()
    for threads, hash_seed in (("4", "1"), ("2", "77")):
        environment = {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True, check=True, text=True, env=environment, cwd=REPO,
        )  # fmt: skip
        answers.add(done.stdout.strip())
    start = model("small_cnn")
    parts = [resident.shard(np.arange(90)), resident.shard(np.arange(90, 200))]
    server = ops.mean([ops.train(start, part, epochs=2, seed=3, **SETTINGS) for part in parts])
    answers.add(f"{model_hash(value(lab, server))} {server.key}")
    assert len(answers) == 1
