"""The same federated averaging on other simulators, each as its documentation says.

    python -c "from tests.bench.peers import main; main()" flower cnn MARK OUT

runs a workload on one of them, touches MARK after the first round and writes the seconds of a
steady round to OUT: on the wall, and of the processor by that process. Samples, steps and batch
sizes are hetsim's; cohorts, batches and first weights are the peer's own, so their models cannot be
compared. Neither simulates devices, and neither evaluates after the first round.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.learn.architecture import Architecture
from hetsim.learn.data.base import load
from hetsim.learn.plugin import options
from tests.bench.workloads import CNN, LR, WARM, Stopwatch, Workload

PEERS = {"flower": ("flwr", "ray"), "pfl": ("pfl",)}
"""What must be installed for each."""
WORKLOADS = {work.name: work for work in (CNN, LR)}
_WORKERS = 2


def missing(peer: str) -> list[str]:
    """Packages that a peer needs and that are not here."""
    return [package for package in PEERS[peer] if find_spec(package) is None]


@lru_cache(maxsize=1)
def samples(work: Workload) -> tuple[Tensor, Tensor]:
    """All samples [n, *shape] float32, standardised, and their labels: client by client."""
    data = load(
        "synthetic",
        options(
            {
                "train": work.clients * work.samples, "test": 100, "source": 1,
                "shape": work.shape, "dtype": work.dtype,
            }
        ),
    )  # fmt: skip
    x = torch.from_numpy(data.x).to(torch.float32).sub_(data.mean[0]).div_(data.std[0])
    return x, torch.from_numpy(data.y)


def shard(work: Workload, client: int) -> tuple[Tensor, Tensor]:
    """A client's samples."""
    x, y = samples(work)
    rows = slice(client * work.samples, (client + 1) * work.samples)
    return x[rows], y[rows]


@lru_cache(maxsize=1)
def network(work: Workload) -> nn.Module:
    """This process's module."""
    torch.set_num_threads(1)
    return Architecture.of(work.model, work.shape, 10).build()


class Rounds:
    """Called after each round."""

    def __init__(self, work: Workload, mark: Path) -> None:
        self.watch, self._rounds, self._mark, self._done = (
            Stopwatch(work.rounds), work.rounds, mark, 0,
        )  # fmt: skip

    def __call__(self) -> None:
        """One more is over."""
        self._done += 1
        if self._done == 1:
            self._mark.touch()
        if self._done == WARM:
            self.watch.start()
        if self._done == self._rounds:
            self.watch.stop()


# --- Flower ---------------------------------------------------------------------------------------


def _train(work: Workload, message: Any, context: Any) -> Any:
    """A client of Flower's: one epoch of SGD."""
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

    module = network(work)
    module.load_state_dict(message.content["arrays"].to_torch_state_dict())
    x, y = shard(work, int(context.node_config["partition-id"]))
    optimizer = torch.optim.SGD(module.parameters(), lr=work.lr)
    for batch in torch.randperm(len(y)).split(work.batch):
        optimizer.zero_grad()
        F.cross_entropy(module(x[batch]), y[batch]).backward()
        optimizer.step()
    content = RecordDict(
        {
            "arrays": ArrayRecord(module.state_dict()),
            "metrics": MetricRecord({"num-examples": len(y)}),
        }
    )
    return Message(content=content, reply_to=message)


def flower(work: Workload, after: Callable[[], None]) -> None:
    """Flower's simulation engine: two Ray actors."""
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    from flwr.app import ArrayRecord, MetricRecord
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    client, server = ClientApp(), ServerApp()
    client.train()(lambda message, context: _train(work, message, context))

    def evaluated(number: int, arrays: Any) -> Any:
        if number:  # 0 is the untrained model
            after()
        return MetricRecord({"round": number})

    @server.main()
    def main(grid: Any, context: Any) -> None:
        strategy = FedAvg(
            fraction_train=work.cohort / work.clients, fraction_evaluate=0.0,
            min_train_nodes=work.cohort, min_available_nodes=work.clients,
        )  # fmt: skip
        strategy.start(
            grid=grid, initial_arrays=ArrayRecord(network(work).state_dict()),
            num_rounds=work.rounds, evaluate_fn=evaluated,
        )  # fmt: skip

    run_simulation(
        server_app=server, client_app=client, num_supernodes=work.clients,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {
                "address": "local", "num_cpus": _WORKERS, "include_dashboard": False,
            },
        },
    )  # fmt: skip


# --- pfl ------------------------------------------------------------------------------------------


class _Trained(nn.Module):
    """A network with the two methods that pfl asks of it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def loss(self, x: Tensor, y: Tensor, is_eval: bool = False) -> Tensor:
        self.train(not is_eval)
        return F.cross_entropy(self.inner(x), y)

    def metrics(self, x: Tensor, y: Tensor, is_eval: bool = True) -> dict[str, Any]:
        from pfl.metrics import Weighted

        return {"loss": Weighted(float(self.loss(x, y, is_eval)) * len(y), len(y))}


def pfl(work: Workload, after: Callable[[], None]) -> None:
    """pfl-research in this process."""
    import numpy as np
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.callback.base import TrainingProcessCallback
    from pfl.data.dataset import Dataset
    from pfl.data.federated_dataset import FederatedDataset
    from pfl.hyperparam.base import NNTrainHyperParams
    from pfl.metrics import Metrics
    from pfl.model.pytorch import PyTorchModel

    class After(TrainingProcessCallback):
        def after_central_iteration(self, *args: Any, **options: Any) -> tuple[bool, Metrics]:
            after()
            return False, Metrics()

    chance = np.random.default_rng(0)
    users = [Dataset(raw_data=list(shard(work, client))) for client in range(work.clients)]
    data = FederatedDataset(users.__getitem__, lambda: int(chance.integers(work.clients)))
    module = _Trained(network(work))
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=work.rounds, evaluation_frequency=work.rounds,
            train_cohort_size=work.cohort, val_cohort_size=None,
        ),
        backend=SimulatedBackend(training_data=data, val_data=data),
        model=PyTorchModel(
            model=module, local_optimizer_create=torch.optim.SGD,
            central_optimizer=torch.optim.SGD(module.parameters(), lr=1.0),
        ),
        model_train_params=NNTrainHyperParams(
            local_num_epochs=work.epochs, local_learning_rate=work.lr, local_batch_size=work.batch
        ),
        callbacks=[After()],
    )  # fmt: skip


def main() -> None:
    """Run what the command line says."""
    peer, workload, mark, out = sys.argv[1:]
    work = WORKLOADS[workload]
    rounds = Rounds(work, Path(mark))
    {"flower": flower, "pfl": pfl}[peer](work, rounds)
    Path(out).write_text(f"{rounds.watch.wall} {rounds.watch.cpu}\n")
