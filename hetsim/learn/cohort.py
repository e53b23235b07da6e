"""Many models of one architecture that are computed as one, on any device of torch's.

Member m has its own parameters w_m and buffers b_m (running statistics), stacked along a first
axis; `torch.func.vmap` turns the module's forward pass into one over all members, so that a layer
of a hundred members is one call. Members do not touch each other, so the gradient of the sum of
their losses holds the gradient of each:

    d/dw_m sum_k loss(w_k; x_k, y_k) = d/dw_m loss(w_m; x_m, y_m)

Batch normalisation in training mode takes the statistics of its member's batch alone and moves that
member's running statistics. The order of sums inside a layer is the device's choice and may depend
on how many members there are, so a member differs by rounding from what it is alone. In a deep
network that is more than the last digits: where rounding lifts an activation over the kink of a
ReLU, a gradient jumps. It jumps as often between a loop in float32 and one in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from hetsim.learn.architecture import Architecture
from hetsim.learn.descent import Descent
from hetsim.learn.net import net
from hetsim.learn.numerics import State, chance


class Cohort:
    """Members that start from given states; stays on the device.

    Args:
        architecture: canonical text.
        states: of each member, on the CPU; one that several share is sent once.
        device: where to compute.
        descent: the rule of every step; None for members that only give outputs.
        apart: of each, what the control variates of its parameters differ by; each names the same.
    """

    def __init__(
        self,
        architecture: str,
        states: Sequence[State],
        device: torch.device,
        descent: Descent | None = None,
        apart: Sequence[State] = (),
    ) -> None:
        self._module = net(architecture).module.train(descent is not None)
        self._descent = descent or Descent(lr=0.0)
        tensors = self._module.state_dict(keep_vars=True)
        first: dict[int, str] = {}
        self._home = {name: first.setdefault(id(t), name) for name, t in tensors.items()}
        names = list(first.values())  # a tensor that has two names is stacked once
        self._trained = [name for name in names if isinstance(tensors[name], nn.Parameter)]
        self._moved = [name for name in names if not isinstance(tensors[name], nn.Parameter)]
        self._fixed = {
            name: buffer.to(device)
            for name, buffer in self._module.named_buffers()
            if name not in tensors
        }
        distinct = {id(state): state for state in states}
        places = {known: place for place, known in enumerate(distinct)}
        index = torch.tensor([places[id(state)] for state in states], device=device)

        def stacked(name: str) -> Tensor:
            sent = torch.stack([state[name] for state in distinct.values()]).to(device)
            return sent.index_select(0, index)

        weights = [stacked(name) for name in self._trained]
        buffers = [stacked(name) for name in self._moved]
        velocity, anchor = self._descent.velocity(weights), self._descent.anchor(weights)
        steered = apart[0] if apart else {}
        differences = [
            torch.stack([each[name] for each in apart]).to(device) if name in steered else None
            for name in self._trained
        ]
        correction = self._descent.correction(weights, differences) if steered else []
        self._columns = weights, buffers, velocity, anchor, correction
        self._size = len(states)

    def step(self, members: Sequence[int], x: Tensor, y: Tensor) -> None:
        """One step of some members.

        Args:
            members: which, each once.
            x: their samples [members, batch, *shape] float32, on the device.
            y: their labels [members, batch] int64, on the device.
        """
        columns, index = self._of(members, x.device)
        weights, buffers, velocity, anchor, correction = columns
        leaves = [weight.detach().requires_grad_() for weight in weights]
        logits = self._outputs(leaves, buffers, x).flatten(0, 1)
        loss = F.cross_entropy(logits, y.flatten(), reduction="sum") / y.shape[1]
        gradient = torch.autograd.grad(loss, leaves)
        self._descent.step(weights, gradient, velocity, anchor, correction)
        if index is not None:
            for column, part in zip(self._columns[:3], columns[:3], strict=True):
                for whole, changed in zip(column, part, strict=True):
                    whole.index_copy_(0, index, changed)

    @torch.no_grad()
    def logits(self, members: Sequence[int], x: Tensor) -> Tensor:
        """Outputs [members, batch, classes] of some members, without a step; `x` as in `step`."""
        (weights, buffers, *_), _ = self._of(members, x.device)
        return self._outputs(weights, buffers, x)

    def states(self) -> list[State]:
        """The states that the members have reached, on the CPU."""
        weights, buffers, *_ = self._columns
        names = (*self._trained, *self._moved)
        stacked = {
            name: column.cpu() for name, column in zip(names, (*weights, *buffers), strict=True)
        }
        return [
            {name: stacked[home][member].clone() for name, home in self._home.items()}
            for member in range(self._size)
        ]

    def _of(
        self, members: Sequence[int], device: torch.device
    ) -> tuple[tuple[list[Tensor], ...], Tensor | None]:
        """The columns of some members; and, unless these are all, which of the whole they are."""
        if len(members) == self._size:
            return self._columns, None
        index = torch.tensor(members, device=device)
        return tuple([t.index_select(0, index) for t in c] for c in self._columns), index

    def _outputs(self, weights: Sequence[Tensor], buffers: Sequence[Tensor], x: Tensor) -> Tensor:
        def member(weights: State, buffers: State, x: Tensor) -> Tensor:
            return functional_call(self._module, (weights, buffers, self._fixed), (x,))

        return vmap(member, randomness="same" if len(x) == 1 else "error")(
            dict(zip(self._trained, weights, strict=True)),
            dict(zip(self._moved, buffers, strict=True)),
            x,
        )


@lru_cache
def draws(architecture: str) -> bool:
    """Whether training a model of this architecture (canonical text) draws random numbers."""
    shape = Architecture.parse(architecture).takes
    with chance(0), torch.no_grad():
        before = torch.default_generator.get_state()
        net(architecture).module.train()(torch.zeros(2, *shape))
        return not torch.equal(before, torch.default_generator.get_state())
