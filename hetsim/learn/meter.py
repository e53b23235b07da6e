"""What a model costs, counted in a dry run of two and of three samples.

Floating-point operations are those of convolutions and matrix products, a multiply-add being two;
normalisation, activations and the loss count zero. The backward pass of a layer takes its forward
pass once for the gradient of the weights and once for that of its input, if that needs one: the
samples need none. Forward hooks see what each layer really computes, so grouped convolutions are
counted as such.

A part of a model is measured like a whole one, on activations in place of samples. Where it gives
no logits there is no loss: the gradient of what it gives arrives. Where the gradient of what it
takes is sent back (`gradient`), its first layers compute that too; so the two parts of a model that
are trained by an exchange of activations and gradients take exactly the operations of the whole.
What is minimised is the cross entropy of the logits, or another `Objective`, dry-run as it is; it
says which matrix products it takes beside those of layers.

Saved bytes are what autograd keeps for the backward pass: distinct storages without parameters,
buffers and the input, in training mode, with the loss. Two batch sizes tell what grows with the
batch from what does not (batch statistics); a sample's share is that in a batch of 32. The dry run
is on the CPU: it takes milliseconds, and torch's meta device a second just to be imported.

Bytes and launches are those of every tensor operator of a real forward and backward pass
(`hetsim.learn.operators`); two batch sizes tell what a batch costs whatever its size (the weights)
from what a sample costs. The update launches an operator for each term of the rule and each tensor
and reads and writes W bytes of parameters for each value it touches: 3 W for the step itself, 5 W
with momentum, 3 W with weight decay, 6 W for an anchor (a model that it is pulled towards).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.cost import Cost
from hetsim.core.errors import SpecError
from hetsim.core.quantities import Bytes
from hetsim.learn.architecture import Architecture
from hetsim.learn.numerics import chance, single_thread
from hetsim.learn.objective import Objective
from hetsim.learn.operators import Operators, Tally

FLOAT: Bytes = 4
"""Bytes of a float32."""
_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One leaf module, in order of execution; everything but `parameters` is a sample's.

    Attributes:
        name: path in the module ("layer1.0.conv1").
        kind: class of the module ("Conv2d").
        parameters: number of trained values.
        forward, backward: floating-point operations.
        inputs, outputs: elements read and produced.
    """

    name: str
    kind: str
    parameters: int
    forward: int
    backward: int
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Pass:
    """What one batch launches and moves.

    Attributes:
        operators: tensor operators launched.
        fixed: bytes that they move whatever the batch.
        growing: bytes a sample.
    """

    operators: int
    fixed: Bytes
    growing: Bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All counts of an architecture.

    Attributes:
        layers: leaf modules in order of execution.
        parameters: number of trained values.
        tensors: number of tensors they are in.
        buffers: number of values that are kept but not trained (running statistics).
        parameter_bytes: of the parameters, float32.
        state_bytes: of parameters and buffers as they are sent.
        forward, backward: floating-point operations a sample.
        fixed: floating-point operations of a step, whatever the batch, of what is minimised.
        inference: operators and bytes of a forward pass.
        training: operators and bytes of a forward and backward pass.
        outputs: elements a sample that all leaf modules produce.
        saved: bytes a sample kept for the backward pass.
        input_bytes: of what it takes for a sample, float32.
        output_bytes: of what it gives for a sample, float32.
        gradient: whether training computes the gradient of what it takes.
        working_bytes: the largest input and output of one layer, a sample.
    """

    layers: tuple[Layer, ...]
    parameters: int
    tensors: int
    buffers: int
    parameter_bytes: Bytes
    state_bytes: Bytes
    forward: int
    backward: int
    fixed: int
    inference: Pass
    training: Pass
    outputs: int
    saved: Bytes
    input_bytes: Bytes
    output_bytes: Bytes
    gradient: bool
    working_bytes: Bytes

    @property
    def flops(self) -> int:
        """Of training on one sample, forward and backward."""
        return self.forward + self.backward


def measure(
    architecture: Architecture, *, gradient: bool = False, objective: Objective | None = None
) -> Sheet:
    """Count an architecture.

    Args:
        architecture: a model or a part of one.
        gradient: whether training also computes the gradient of what it takes, to be sent back.
        objective: what the training of a whole model minimises; by default the cross entropy.

    Raises:
        SpecError: unknown model or option, or samples too small for it.
    """
    return _measured(architecture, gradient, objective)


@lru_cache(maxsize=256)
def _measured(architecture: Architecture, gradient: bool, objective: Objective | None) -> Sheet:
    single_thread()
    with chance(0):
        module = architecture.build().train()
        with _watched(module) as layers:
            two = _dry_run(module, architecture, 2, gradient, objective)
        three = _dry_run(module, architecture, 3, gradient, objective)
    growing = three.saved - two.saved
    fixed = two.saved - 2 * growing
    parameters = list(module.parameters())
    buffers = list(module.buffers())
    weights = sum(p.numel() for p in parameters)
    return Sheet(
        layers=tuple(layers),
        parameters=weights,
        tensors=len(parameters),
        buffers=sum(b.numel() for b in buffers),
        parameter_bytes=weights * FLOAT,
        state_bytes=sum(t.numel() * t.element_size() for t in (*parameters, *buffers)),
        forward=sum(layer.forward for layer in layers),
        backward=sum(layer.backward for layer in layers),
        fixed=objective.flops(module) if objective else 0,
        inference=_pass(two.inference, three.inference),
        training=_pass(two.training, three.training),
        outputs=sum(layer.outputs for layer in layers),
        saved=growing + fixed // _BATCH,
        input_bytes=prod(architecture.takes) * FLOAT,
        output_bytes=prod(architecture.gives) * FLOAT,
        gradient=gradient,
        working_bytes=max(layer.inputs + layer.outputs for layer in layers) * FLOAT,
    )


@lru_cache(maxsize=4096)
def train_cost(
    architecture: Architecture,
    *,
    steps: int,
    batch: int,
    samples: int,
    momentum: bool,
    decay: bool = False,
    anchors: int = 0,
    gradient: bool = False,
    objective: Objective | None = None,
    steered: Architecture | None = None,
) -> Cost:
    """Work of `steps` optimizer steps on `samples` samples in batches of `batch`.

    `anchors` are models that every step is pulled towards; `gradient` says that the gradient of
    what the part takes is computed too; `objective` is what is minimised; `steered` is the model,
    or the part of it, whose parameters control variates correct. Peak memory: weights, gradients,
    optimizer state, anchors, buffers, and one batch of inputs, saved activations, and gradients
    that arrive and leave. Control variates of C bytes in T tensors need 2 C more, for their
    difference and for the starting values, from which new ones follow (assumed: a client's own is
    stored meanwhile); 3 C of traffic and T launches to form the difference, and as much in every
    step to add it.
    """
    sheet = measure(architecture, gradient=gradient, objective=objective)
    weights = sheet.parameter_bytes
    exchanged = sheet.input_bytes * gradient + sheet.output_bytes * (not architecture.decides)
    copies = 2 + momentum + anchors
    terms = 1 + 2 * momentum + decay + 2 * anchors
    touched = 3 + 5 * momentum + 3 * decay + 6 * anchors
    variates = measure(steered) if steered else None
    added = variates.parameter_bytes if variates else 0.0
    more = variates.tensors if variates else 0
    return Cost(
        flops=float(sheet.flops * samples + sheet.fixed * steps),
        traffic=steps * (sheet.training.fixed + touched * weights)
        + samples * sheet.training.growing
        + (steps + 1) * 3 * added,
        memory=copies * weights
        + 2 * added
        + (sheet.state_bytes - weights)
        + min(batch, samples) * (sheet.input_bytes + sheet.saved + exchanged),
        steps=steps,
        samples=samples,
        operators=steps * (sheet.training.operators + terms * sheet.tensors) + (steps + 1) * more,
    )


def exchange_cost(
    architecture: Architecture,
    *,
    steps: int,
    batch: int,
    samples: int,
    momentum: bool,
    decay: bool = False,
) -> tuple[Cost, Cost]:
    """Work of training a part by the gradients that arrive: up to what it gives, and from then on.

    Both together are `train_cost`. Memory is held from the first to the second, so the peak is the
    first one's, like steps and samples.
    """
    sheet = measure(architecture)
    whole = train_cost(
        architecture, steps=steps, batch=batch, samples=samples, momentum=momentum, decay=decay
    )
    ahead = Cost(
        flops=float(sheet.forward * samples),
        traffic=steps * sheet.inference.fixed + samples * sheet.inference.growing,
        memory=whole.memory,
        steps=steps,
        samples=samples,
        operators=steps * sheet.inference.operators,
    )
    back = Cost(
        flops=whole.flops - ahead.flops,
        traffic=whole.traffic - ahead.traffic,
        operators=whole.operators - ahead.operators,
    )
    return ahead, back


def forward_cost(architecture: Architecture, samples: int, batch: int) -> Cost:
    """Work of a forward pass over `samples` samples.

    Nothing is kept for a backward pass: peak memory holds weights, a batch and the largest layer.
    """
    sheet = measure(architecture)
    steps = ceil(samples / batch)
    return Cost(
        flops=float(sheet.forward * samples),
        traffic=steps * sheet.inference.fixed + samples * sheet.inference.growing,
        memory=sheet.state_bytes + min(batch, samples) * (sheet.input_bytes + sheet.working_bytes),
        steps=steps,
        samples=samples,
        operators=steps * sheet.inference.operators,
    )


def mean_cost(nbytes: Bytes, count: int, tensors: int) -> Cost:
    """Work of averaging `count` float32 values of `nbytes` in `tensors` tensors, one by one.

    Each value is read once and multiplied into a float64 accumulator (read and written); the result
    is read from it and written. Peak memory: the accumulator, one value and the result.
    """
    return Cost(
        flops=2 * count * nbytes / FLOAT,
        traffic=count * 5 * nbytes + 3 * nbytes,
        memory=4 * nbytes,
        steps=1,
        operators=(count + 1) * tensors,
    )


@contextmanager
def _watched(module: nn.Module) -> Iterator[list[Layer]]:
    """Layers in order of execution, while the module runs on two samples."""
    layers: list[Layer] = []
    names = {child: name for name, child in module.named_modules()}

    def record(child: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        weights = sum(p.numel() for p in child.parameters())
        forward = _flops(child, out[:1])
        layers.append(
            Layer(
                name=names[child],
                kind=type(child).__name__,
                parameters=weights,
                forward=forward,
                backward=2 * forward if given[0].requires_grad else forward,
                inputs=given[0][0].numel(),
                outputs=out[0].numel(),
            )
        )

    leaves = [child for child in module.modules() if not list(child.children())]
    hooks = [child.register_forward_hook(record) for child in leaves]
    try:
        yield layers
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True, slots=True)
class _DryRun:
    """Of one batch: bytes autograd saved; operators of the forward pass, and of both passes."""

    saved: Bytes
    inference: Tally
    training: Tally


def _pass(two: Tally, three: Tally) -> Pass:
    """What a batch costs, from those of two and three samples."""
    growing = three.traffic - two.traffic
    return Pass(two.launches, two.traffic - 2 * growing, growing)


def _dry_run(
    module: nn.Module,
    architecture: Architecture,
    batch: int,
    gradient: bool,
    objective: Objective | None,
) -> _DryRun:
    """Train on one batch of zeros; the module's own tensors and the input count as not saved.

    Raises:
        SpecError: the module cannot take such samples.
    """
    x = torch.zeros(batch, *architecture.takes, requires_grad=gradient)
    y = torch.zeros(batch, dtype=torch.long)
    arriving = None if architecture.decides else torch.zeros(batch, *architecture.gives)
    known = {t.untyped_storage().data_ptr() for t in (*module.state_dict().values(), x)}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with ExitStack() as stack:
        loss = None
        if objective is not None:
            known_classes = torch.ones(architecture.classes, dtype=torch.bool)
            loss = stack.enter_context(objective.begin(module, known_classes))
        operators = stack.enter_context(Operators())
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            try:
                given = loss(x, y) if loss else module(x)
                inference = operators.tally
                if arriving is None and loss is None:
                    given = F.cross_entropy(given, y)
            except RuntimeError as fault:
                raise SpecError(
                    f'model "{architecture.name}" cannot take samples of shape '
                    f"{architecture.shape}: {fault}"
                ) from fault
        wanted = [*module.parameters(), *([x] if gradient else [])]
        torch.autograd.grad(given, wanted, arriving)
    nbytes = sum(
        tensor.untyped_storage().nbytes() for where, tensor in saved.items() if where not in known
    )
    return _DryRun(nbytes, inference, operators.tally)


def _flops(layer: nn.Module, out: Tensor) -> int:
    """Floating-point operations of a layer that produced `out`."""
    match layer:
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            taps = prod(layer.kernel_size) * layer.in_channels // layer.groups
            return 2 * taps * out.numel()
        case nn.Linear():
            return 2 * layer.in_features * out.numel()
        case _:
            return 0
