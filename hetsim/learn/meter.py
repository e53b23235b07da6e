"""What a model costs, counted in a dry run of two and of three samples.

Floating-point operations are those of convolutions and matrix products, a multiply-add being two;
normalisation, activations and the loss count zero. The backward pass of a layer takes twice its
forward pass (gradient of the weights, gradient of the input), but once for the first layer with
parameters, whose input needs no gradient. Forward hooks see what each layer really computes, so
grouped convolutions are counted as such.

Saved bytes are what autograd keeps for the backward pass: distinct storages without parameters,
buffers and the input, in training mode, with the loss. Two batch sizes tell what grows with the
batch from what does not (batch statistics); a sample's share is that in a batch of 32. The dry run
is on the CPU: it takes milliseconds, and torch's meta device a second just to be imported.

Main-memory traffic is a model, not a count. With W bytes of parameters, S saved bytes and I input
bytes a sample:

    a training step   6 W (read forward and backward; gradient written and read; weight read and
                      written) + 2 W with momentum + 1 W for each further copy it reads
    a trained sample  I + 4 S (written and read forward; read, and its gradient written, backward)
    a forward batch   W
    a forward sample  I + 2 A, where A are the bytes of all layer outputs
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All counts of an architecture.

    Attributes:
        layers: leaf modules in order of execution.
        parameters: number of trained values.
        buffers: number of values that are kept but not trained (running statistics).
        parameter_bytes: of the parameters, float32.
        state_bytes: of parameters and buffers as they are sent.
        forward, backward: floating-point operations a sample.
        outputs: elements a sample that all leaf modules produce.
        saved: bytes a sample kept for the backward pass.
        input_bytes: of a sample, float32.
        working_bytes: the largest input and output of one layer, a sample.
    """

    layers: tuple[Layer, ...]
    parameters: int
    buffers: int
    parameter_bytes: Bytes
    state_bytes: Bytes
    forward: int
    backward: int
    outputs: int
    saved: Bytes
    input_bytes: Bytes
    working_bytes: Bytes

    @property
    def flops(self) -> int:
        """Of training on one sample, forward and backward."""
        return self.forward + self.backward


@lru_cache(maxsize=256)
def measure(architecture: Architecture) -> Sheet:
    """Count an architecture.

    Raises:
        SpecError: unknown model or option, or samples too small for it.
    """
    single_thread()
    with chance(0):
        module = architecture.build().train()
    with _watched(module) as layers:
        two = _saved(module, architecture, 2)
    growing = _saved(module, architecture, 3) - two
    fixed = two - 2 * growing
    parameters = list(module.parameters())
    buffers = list(module.buffers())
    weights = sum(p.numel() for p in parameters)
    return Sheet(
        layers=tuple(layers),
        parameters=weights,
        buffers=sum(b.numel() for b in buffers),
        parameter_bytes=weights * FLOAT,
        state_bytes=sum(t.numel() * t.element_size() for t in (*parameters, *buffers)),
        forward=sum(layer.forward for layer in layers),
        backward=sum(layer.backward for layer in layers),
        outputs=sum(layer.outputs for layer in layers),
        saved=growing + fixed // _BATCH,
        input_bytes=prod(architecture.shape) * FLOAT,
        working_bytes=max(layer.inputs + layer.outputs for layer in layers) * FLOAT,
    )


def train_cost(
    architecture: Architecture,
    *,
    steps: int,
    batch: int,
    samples: int,
    momentum: bool,
    extra_copies: int = 0,
) -> Cost:
    """Work of `steps` optimizer steps on `samples` samples in batches of `batch`.

    `extra_copies` are model-sized values that every step reads (the anchor of a proximal term, a
    control variate). Peak memory: weights, gradients, optimizer state, copies, buffers, and one
    batch of inputs and saved activations.
    """
    sheet = measure(architecture)
    weights = sheet.parameter_bytes
    copies = 2 + momentum + extra_copies
    return Cost(
        flops=float(sheet.flops * samples),
        traffic=steps * (6 + 2 * momentum + extra_copies) * weights
        + samples * (sheet.input_bytes + 4 * sheet.saved),
        memory=copies * weights
        + (sheet.state_bytes - weights)
        + min(batch, samples) * (sheet.input_bytes + sheet.saved),
        steps=steps,
        samples=samples,
    )


def forward_cost(architecture: Architecture, samples: int, batch: int) -> Cost:
    """Work of a forward pass over `samples` samples; peak memory holds the largest layer."""
    sheet = measure(architecture)
    steps = ceil(samples / batch)
    return Cost(
        flops=float(sheet.forward * samples),
        traffic=steps * sheet.state_bytes
        + samples * (sheet.input_bytes + 2 * FLOAT * sheet.outputs),
        memory=sheet.state_bytes + min(batch, samples) * (sheet.input_bytes + sheet.working_bytes),
        steps=steps,
        samples=samples,
    )


def mean_cost(nbytes: Bytes, count: int) -> Cost:
    """Work of averaging `count` float32 values of `nbytes` each, one after the other.

    Each value is read once and multiplied into a float64 accumulator (read and written); the result
    is read from it and written. Peak memory: the accumulator, one value and the result.
    """
    return Cost(
        flops=2 * count * nbytes / FLOAT,
        traffic=count * 5 * nbytes + 3 * nbytes,
        memory=4 * nbytes,
        steps=1,
    )


@contextmanager
def _watched(module: nn.Module) -> Iterator[list[Layer]]:
    """Layers in order of execution, while the module runs on two samples."""
    layers: list[Layer] = []
    names = {child: name for name, child in module.named_modules()}

    def record(child: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        weights = sum(p.numel() for p in child.parameters())
        first = weights > 0 and not any(layer.parameters for layer in layers)
        forward = _flops(child, out[:1])
        layers.append(
            Layer(
                name=names[child],
                kind=type(child).__name__,
                parameters=weights,
                forward=forward,
                backward=forward if first else 2 * forward,
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


def _saved(module: nn.Module, architecture: Architecture, batch: int) -> int:
    """Bytes that autograd saves in a forward pass, but the module's own and the input.

    Raises:
        SpecError: the module cannot take such samples.
    """
    x = torch.zeros(batch, *architecture.shape)
    y = torch.zeros(batch, dtype=torch.long)
    known = {t.untyped_storage().data_ptr() for t in (*module.state_dict().values(), x)}
    saved: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        try:
            F.cross_entropy(module(x), y)
        except RuntimeError as fault:
            raise SpecError(
                f'model "{architecture.name}" cannot take samples of shape {architecture.shape}: '
                f"{fault}"
            ) from fault
    return sum(
        tensor.untyped_storage().nbytes() for where, tensor in saved.items() if where not in known
    )


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
