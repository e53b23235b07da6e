"""Computes on a GPU: all tasks of one kind that are ready are one batch there.

The models of a federation are small: to start a kernel takes longer than to run it on one client's
batch. So the members of a cohort are stacked (`hetsim.learn.cohort`) and step together; at each
turn those whose batches are of one size. The data set is on the device once; samples are picked and
normalised there, in the order that the CPU's generators say, so every training sees the batches
that it sees on a CPU. Values come back as CPU tensors. Operations other than training,
forward pass and evaluation are computed on the CPU.

Numbers. Float32 throughout, TF32 off, deterministic kernels and no autotuning, set while this
executor computes and put back afterwards. The same groups of tasks give the same bits on one device
with one set of versions, which the tag names. The last bits may depend on which tasks share a
group, so a value that has to be computed again in other company may differ in them. From what a CPU
gives, values differ by rounding (tests/unit/learn/test_gpu.py holds them to it), which a long
training multiplies as it does any difference. A model that draws random numbers (dropout) is
trained alone, so that its draws are its own; they come from the device's generator, and on a GPU
they are not the CPU's.

Memory. A group grows while what its tasks need by their shapes (`Cost.memory`, doubled for what
kernels use beside it) fits into the memory that was free at the start. Where the device runs out
all the same, the group is halved, down to a single task, and later groups keep to the half.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hetsim.core.errors import HetsimError, Stuck, si
from hetsim.core.quantities import Bytes
from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.learn.accelerator import Accelerator
from hetsim.learn.cohort import Cohort, draws
from hetsim.learn.data.base import Dataset
from hetsim.learn.descent import Descent
from hetsim.learn.numerics import State, single_thread
from hetsim.learn.ops.train import apart, steps_of
from hetsim.learn.resident import Resident
from hetsim.learn.turns import turns

GROUP = 256
"""Tasks computed together, at most."""
_BESIDE = 2.0
"""Memory that a task takes, for each byte that it needs by its shapes: batched layers copy what
passes between them (1.0 to 1.6 measured on models here), and kernels need room to work."""
_SHARE = 0.8
"""Of the memory that is free at the start, what groups may take."""


class Gpu:
    """One device; `device` is torch's name for it ("cuda:1"), by default the first GPU.

    Raises:
        SpecError: torch can use no such device.
    """

    width = 1

    def __init__(self, device: str | None = None) -> None:
        self._accelerator = Accelerator(device)
        self._device = self._accelerator.device
        self._tasks: list[ops.Task] = []
        self._samples: _Samples | None = None

    @property
    def tag(self) -> str:
        """That of the device."""
        return self._accelerator.tag

    def start(self, resident: Resident) -> None:
        """Be ready to compute on this data set; it goes to the device when it is first needed."""
        single_thread()
        self._resident = resident
        self._samples = _Samples(resident.dataset, self._device)
        self._budget = _SHARE * self._accelerator.free()

    def takes(self, ref: Ref[Any]) -> bool:
        """Whether nothing waits to be computed, or only kin of `ref` that leave room for it."""
        if not self._tasks:
            return True
        kin = _kin(ref)
        return (
            kin is not None
            and kin == _kin(self._tasks[0][0])
            and len(self._tasks) < GROUP
            and _need(self._tasks) + _BESIDE * ref.cost.memory <= self._budget
        )

    def submit(self, ref: Ref[Any], inputs: Sequence[Any]) -> None:
        """Have a Ref computed from the values of its inputs when somebody waits."""
        self._tasks.append((ref, inputs))

    def finished(self, *, wait: bool) -> Iterable[tuple[str, Any]]:
        """Keys and values of all tasks, if somebody waits for them.

        Raises:
            HetsimError: the device has too little memory for a single task, or cannot compute it.
        """
        if not wait or not self._tasks:
            return []
        waiting, self._tasks = [self._tasks], []
        results: list[tuple[str, Any]] = []
        with self._accelerator.repeatable():
            while waiting:
                tasks = waiting.pop()
                values = self._fitting(tasks)
                if values is None:
                    waiting += self._halves(tasks)
                    continue
                results += [(ref.key, value) for (ref, _), value in zip(tasks, values, strict=True)]
        return results

    def close(self) -> None:
        """Forget what was not computed, and leave the device."""
        self._tasks.clear()
        self._samples = None
        self._accelerator.release()

    def _fitting(self, tasks: Sequence[ops.Task]) -> list[Any] | None:
        """The values of tasks of one kin; None if the device's memory is too small for them."""
        ways: dict[str, Callable[[Sequence[ops.Task]], list[Any]]] = {
            "train": self._train, "steer": self._train, "pretrain": self._pretrain,
            "forward": self._forward, "evaluate": self._evaluate,
        }  # fmt: skip
        ref = tasks[0][0]
        way = ways.get(ref.op)
        if way is None or "towards" in dict(ref.args):
            return ops.compute_all(tasks, self._resident)
        try:
            return way(tasks)
        except torch.OutOfMemoryError:
            return None
        except RuntimeError as fault:
            raise HetsimError(
                f"{self._device}: {ref.op} of {ref.arg('arch')} cannot be computed in a batch of "
                f"models: {str(fault).splitlines()[0]}\n    Use --executor inline or pool."
            ) from fault

    def _halves(self, tasks: list[ops.Task]) -> list[list[ops.Task]]:
        """Two smaller groups, the first one last; later groups need no more than half of this."""
        self._accelerator.release()
        if len(tasks) == 1:
            ref = tasks[0][0]
            raise Stuck(
                f"{self._device}: out of memory in a single {ref.op} of {ref.arg('arch')} with "
                f"batches of {ref.arg('batch')} (needs {si(ref.cost.memory)}B and the data set)\n"
                "    Free the device; or begin anew with smaller batches, another model or another "
                "executor."
            )
        self._budget = min(self._budget, _need(tasks) / 2)
        middle = len(tasks) // 2
        return [tasks[middle:], tasks[:middle]]

    def _train(self, tasks: Sequence[ops.Task]) -> list[State]:
        ref = tasks[0][0]
        states, differences = zip(*((inputs[0], apart(inputs)) for _, inputs in tasks), strict=True)
        cohort = Cohort(ref.arg("arch"), states, self._device, Descent.of(ref), differences)
        streams = [(inputs[1].split, steps_of(task, inputs[1])) for task, inputs in tasks]
        seeded = self._accelerator.chance(ref.arg("seed"))
        with seeded if draws(ref.arg("arch")) else nullcontext():
            for split, members, rows in turns(streams):
                cohort.step(members, *self._batches(split, rows))
        return cohort.states()

    def _pretrain(self, tasks: Sequence[ops.Task]) -> list[State]:
        [(ref, (state, rows))] = tasks
        for part in ops.trainings(ref, len(rows.index)):
            [state] = self._train([(part, [state, rows])])
        return [state]

    def _forward(self, tasks: Sequence[ops.Task]) -> list[Tensor]:
        return [logits for logits, _ in self._outputs(tasks)]

    def _evaluate(self, tasks: Sequence[ops.Task]) -> list[ops.Score]:
        return [
            ops.Score(
                accuracy=int((logits.argmax(1) == y).sum()) / len(y),
                loss=float(F.cross_entropy(logits, y, reduction="sum")) / len(y),
                samples=len(y),
            )
            for logits, y in self._outputs(tasks)
        ]

    def _outputs(self, tasks: Sequence[ops.Task]) -> list[tuple[Tensor, Tensor]]:
        """Logits and labels of each task, on the CPU."""
        ref = tasks[0][0]
        cohort = Cohort(ref.arg("arch"), [inputs[0] for _, inputs in tasks], self._device)
        streams = [
            (rows.split, iter(torch.from_numpy(rows.index).split(ref.arg("batch"))))
            for _, (_, rows) in tasks
        ]
        parts: list[list[tuple[Tensor, Tensor]]] = [[] for _ in tasks]
        for split, members, rows in turns(streams):
            x, y = self._batches(split, rows)
            for member, *part in zip(members, cohort.logits(members, x), y, strict=True):
                parts[member].append((part[0], part[1]))
        return [
            (torch.cat([z for z, _ in part]).cpu(), torch.cat([y for _, y in part]).cpu())
            for part in parts
        ]

    def _batches(self, split: str, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [members, batch, *shape] and labels [members, batch], on the device."""
        assert self._samples is not None, "started and not closed"
        x, y = self._samples.gather(split, rows.flatten().to(self._device))
        return x.unflatten(0, rows.shape), y.unflatten(0, rows.shape)


class _Samples(Resident):
    """The data set on a device; rows are asked for there too."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        super().__init__(dataset)
        self._device = device

    def _split(self, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if name not in self._tensors:
            x, y, mean, std = (tensor.to(self._device) for tensor in super()._split(name))
            self._tensors[name] = x, y, mean, std
        return self._tensors[name]


def _kin(ref: Ref[Any]) -> Hashable | None:
    """One key for all tasks that can be computed together; None for a task that cannot."""
    settings = dict(ref.args)
    if ref.op not in ("train", "steer", "forward", "evaluate") or "towards" in settings:
        return None
    if draws(ref.arg("arch")):
        return None
    rule = Descent.of(ref) if ref.op in ("train", "steer") else None
    return ref.op, settings["arch"], settings["batch"], rule, settings.get("steered")


def _need(tasks: Sequence[ops.Task]) -> Bytes:
    return sum(_BESIDE * ref.cost.memory for ref, _ in tasks)
