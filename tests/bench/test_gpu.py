"""A cohort of 100 in one batch on a GPU, beside a loop over its members on the same GPU.

Both train the network of the workload `cnn` (215,370 parameters, 100 samples of 1 x 28 x 28 and one
epoch in batches of 20 for each client) from one model, with the same batches, data set resident,
models sent back to the host. The loop has no optimizer object and no simulator. As a test, a small
cohort is compared on the CPU; `make bench` measures where there is a GPU.

`python -m tests.bench.test_gpu` measures too, and needs no more than torch, numpy and a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from hetsim.core.ref import Ref
from hetsim.learn import ops, vectors
from hetsim.learn.architecture import Architecture
from hetsim.learn.data.synthetic import synthetic
from hetsim.learn.executors.base import Executor
from hetsim.learn.executors.gpu import Gpu
from hetsim.learn.executors.inline import Inline
from hetsim.learn.numerics import State
from hetsim.learn.resident import Resident

SHAPE, BATCH, LR = (1, 28, 28), 20, 0.05
REPEATS = 5
CLOSE = 1e-5
"""Of parameters after five steps in float32 on two devices."""


@dataclass(frozen=True, slots=True)
class Work:
    """One model and the trainings that start from it."""

    resident: Resident
    architecture: Architecture
    start: State
    tasks: list[ops.Task]

    @classmethod
    def of(cls, clients: int, samples: int) -> Work:
        resident = Resident(synthetic(None, train=clients * samples, test=1, source=1, shape=SHAPE))
        architecture = Architecture.of("small_cnn", SHAPE, 10)
        model = ops.initial(architecture, 1)
        start: State = ops.compute(model, (), resident)
        tasks: list[ops.Task] = []
        for client, rows in enumerate(np.split(np.arange(clients * samples), clients)):
            shard = resident.shard(rows)
            update: Ref[State] = ops.train(model, shard, epochs=1, batch=BATCH, lr=LR, seed=client)
            tasks.append((update, (start, resident.rows(shard))))
        return cls(resident, architecture, start, tasks)


def together(executor: Executor, work: Work) -> list[State]:
    """hetsim: whatever the executor makes of all tasks at hand."""
    values: dict[str, Any] = {}
    for ref, inputs in work.tasks:
        if not executor.takes(ref):
            values |= dict(executor.finished(wait=True))
        executor.submit(ref, inputs)
    values |= dict(executor.finished(wait=True))
    return [values[ref.key] for ref, _ in work.tasks]


class Loop:
    """One member after the other on a device."""

    def __init__(self, work: Work, device: str) -> None:
        self._work, self._device = work, device
        self._module = work.architecture.build().to(device)
        self._parameters = list(self._module.parameters())
        self._weights = [parameter.detach() for parameter in self._parameters]
        rows = torch.arange(len(work.resident.dataset.y))
        x, y = work.resident.gather("train", rows)
        self._x, self._y = x.to(device), y.to(device)

    def __call__(self) -> list[State]:
        """The states that the members reach; kernels may be chosen by trial, but not TF32."""
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            return self._states()

    def _states(self) -> list[State]:
        start = [value.to(self._device) for value in self._work.start.values()]
        states: list[State] = []
        for ref, (_, rows) in self._work.tasks:
            vectors.copy_(self._weights, start)
            generator = torch.Generator().manual_seed(ref.arg("seed"))
            order = torch.from_numpy(rows.index)[
                torch.randperm(len(rows.index), generator=generator)
            ]
            for batch in order.to(self._device).split(BATCH):
                loss = F.cross_entropy(self._module(self._x[batch]), self._y[batch])
                gradient = torch.autograd.grad(loss, self._parameters)
                vectors.add_(self._weights, gradient, alpha=-LR)
            states.append(
                {
                    name: weight.cpu().clone()
                    for name, weight in zip(self._work.start, self._weights, strict=True)
                }
            )
        return states


def apart(one: list[State], other: list[State]) -> float:
    """The largest difference of two cohorts' parameters."""
    return max(
        float((left[name] - right[name]).abs().max())
        for left, right in zip(one, other, strict=True)
        for name in right
    )


def measure(device: str, clients: int) -> tuple[list[float], list[float], float, float]:
    """Seconds of the cohort and of the loop, in pairs; their difference, and that from a CPU."""
    work = Work.of(clients, 100)
    executor, loop = Gpu(device), Loop(work, device)
    executor.start(work.resident)
    inline = Inline()
    inline.start(work.resident)
    between = apart(together(executor, work), loop())
    from_cpu = apart(together(executor, work), together(inline, work))
    sides: list[tuple[list[float], Callable[[], object]]] = [
        ([], lambda: together(executor, work)), ([], loop),
    ]  # fmt: skip
    for _ in range(REPEATS):
        for times, side in sides:
            begun = perf_counter()
            side()
            times.append(perf_counter() - begun)
    executor.close()
    return sides[0][0], sides[1][0], between, from_cpu


def test_the_loop_trains_what_the_cohort_trains() -> None:
    work = Work.of(3, 50)
    executor = Gpu("cpu")
    executor.start(work.resident)
    ours = together(executor, work)
    assert apart(ours, Loop(work, "cpu")()) < CLOSE
    assert apart(ours, [work.start] * 3) > 100 * CLOSE


def test_a_cohort_of_100(measured: None, versus: Callable[..., None]) -> None:
    import pytest  # only here: `main` does without it

    if not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    ours, theirs, between, from_cpu = measure("cuda", 100)
    assert max(between, from_cpu) < CLOSE
    name = torch.cuda.get_device_name()
    versus("cnn: 100 at once / loop on the same GPU", ours, theirs,
           note=f"{name}; {from_cpu:.1e} from the CPU")  # fmt: skip


def main() -> None:
    """Print the ratio for cohorts of several sizes."""
    print(Gpu().tag)
    for clients in (1, 10, 100):
        ours, theirs, between, from_cpu = measure("cuda", clients)
        print(
            f"{clients:4d} clients: at once {median(ours) * 1e3:.1f} ms, loop "
            f"{median(theirs) * 1e3:.1f} ms, ratio {median(ours) / median(theirs):.3f}; apart from "
            f"the loop {between:.1e}, from the CPU {from_cpu:.1e}"
        )


if __name__ == "__main__":
    main()
