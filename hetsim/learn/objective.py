"""What a training minimises, where that is not the cross entropy of the model's logits alone.

An objective is plain settings, part of the recipe of what is trained by it; `begin` makes it a
function of a batch, for one module and one shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.ref import Arg
from hetsim.learn.divergence import divergence
from hetsim.learn.models.low_rank import Factors

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of a batch of samples [batch, *shape] and labels [batch]."""


class Objective(Protocol):
    """Settings; equal ones are equal."""

    @property
    def plain(self) -> tuple[Arg, ...]:
        """Itself as an argument of a Ref; `objective` reads it back."""
        ...

    def begin(self, module: nn.Module, present: Tensor) -> AbstractContextManager[Loss]:
        """The loss while a module is trained.

        Args:
            module: what is trained.
            present: of each class, whether the shard holds it [classes] bool.
        """
        ...

    def flops(self, module: nn.Module) -> int:
        """Operations of matrix products in a step, whatever the batch, beside those of layers."""
        ...


@dataclass(frozen=True, slots=True)
class Sliced:
    """Cross entropy of a model that has the first channels of a wider one.

    Attributes:
        scale: share of the wider model's channels; what each layer but the classifier gives is
            divided by it in training, for it sums over that share of channels. 1 changes nothing.
        masked: whether the logits of classes that the shard does not hold are set to 0, so that
            nothing pushes them down.
    """

    name: ClassVar[str] = "sliced"
    scale: float = 1.0
    masked: bool = False

    @property
    def plain(self) -> tuple[Arg, ...]:
        """See `Objective`."""
        return self.name, *astuple(self)

    @contextmanager
    def begin(self, module: nn.Module, present: Tensor) -> Iterator[Loss]:
        """See `Objective`."""

        def scaled(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
            del layer, given
            return out / self.scale

        weighty = [each for each in module.modules() if isinstance(each, _WEIGHTY)]
        hidden = weighty[:-1] if self.scale != 1.0 else []
        hooks = [layer.register_forward_hook(scaled) for layer in hidden]
        try:
            yield _entropy(module, present, self.masked)
        finally:
            for hook in hooks:
                hook.remove()

    def flops(self, module: nn.Module) -> int:
        """See `Objective`."""
        return 0


@dataclass(frozen=True, slots=True)
class Distilled:
    """All exits of a model (`hetsim.learn.models.multi_exit`), which also teach one another.

    With the logits z_1 ... z_n of n exits and K of `hetsim.learn.divergence`, whose teacher z_j is
    taken as it is,

        sum_i CE(z_i, y) + weight / (n - 1) * sum_(i, j != i) K(z_j, z_i)

    Attributes:
        weight: of what exits learn from each other; 0 for cross entropy alone.
        temperature: of what they learn from.
    """

    name: ClassVar[str] = "distilled"
    weight: float = 1.0
    temperature: float = 1.0

    @property
    def plain(self) -> tuple[Arg, ...]:
        """See `Objective`."""
        return self.name, *astuple(self)

    @contextmanager
    def begin(self, module: nn.Module, present: Tensor) -> Iterator[Loss]:
        """See `Objective`."""
        exits: Any = module

        def loss(x: Tensor, y: Tensor) -> Tensor:
            logits: list[Tensor] = exits.logits(x)
            total = F.cross_entropy(logits[0], y)
            for z in logits[1:]:
                total = total + F.cross_entropy(z, y)
            if not self.weight:
                return total
            for place, z in enumerate(logits):
                for teacher in (*logits[:place], *logits[place + 1 :]):
                    apart = divergence(z, teacher.detach(), self.temperature)
                    total = total + self.weight / (len(logits) - 1) * apart
            return total

        yield loss

    def flops(self, module: nn.Module) -> int:
        """See `Objective`."""
        return 0


@dataclass(frozen=True, slots=True)
class LowRank:
    """Cross entropy of a model with factors (`hetsim.learn.models.low_rank`), and their decay.

    With the factors U, V of each layer and the decay d, as "Frobenius decay",

        CE(z, y) + d / 2 sum |U V|^2

    whose gradients are d U (V V') and d (U' U) V: no product of the size of the layer is formed.
    The descent's weight decay knows no factors; where it is d too and is to leave them alone
    (`instead`), d / 2 sum (|U|^2 + |V|^2) is taken off here, and I from V V' and U' U.

    Source: Khodak, Tenenholtz, Mackey, Fusi, "Initialization and Regularization of Factorized
    Neural Layers", ICLR 2021; as Yao et al. use it, arXiv 2111.14655.

    Attributes:
        decay: of the products.
        instead: whether factors decay by their product alone, and not by the descent's rule.
        masked: as in `Sliced`.
    """

    name: ClassVar[str] = "low_rank"
    decay: float = 0.0
    instead: bool = True
    masked: bool = False

    @property
    def plain(self) -> tuple[Arg, ...]:
        """See `Objective`."""
        return self.name, *astuple(self)

    @contextmanager
    def begin(self, module: nn.Module, present: Tensor) -> Iterator[Loss]:
        """See `Objective`."""

        def loss(x: Tensor, y: Tensor) -> Tensor:
            total = entropy(x, y)
            for each in factors:
                total = total + _product(each, self.decay, self.instead)
            return total

        entropy, factors = _entropy(module, present, self.masked), _factors(module)
        yield loss

    def flops(self, module: nn.Module) -> int:
        """Of U' U, V V' and of both with the factors: 4 r^2 (m + n), of layers of m x n."""
        ranks = [(each.u.weight.shape[1], each) for each in _factors(module)]
        return sum(4 * r * (each.u.weight.numel() + each.v.weight.numel()) for r, each in ranks)


def _entropy(module: nn.Module, present: Tensor, masked: bool) -> Loss:
    """Cross entropy; masked, with the logits of classes that are not present set to 0."""
    absent = ~present

    def loss(x: Tensor, y: Tensor) -> Tensor:
        logits = module(x)
        return F.cross_entropy(logits.masked_fill(absent, 0.0) if masked else logits, y)

    return loss


def _factors(module: nn.Module) -> list[Factors]:
    return [each for each in module.modules() if isinstance(each, Factors)]


def _product(factors: Factors, decay: float, instead: bool) -> Tensor:
    """Half the decay times |U V|^2, less |U|^2 + |V|^2 if it stands instead of them."""
    u, v = factors.u.weight.movedim(1, -1), factors.v.weight.movedim(1, -1)
    parts = u.reshape(-1, u.shape[-1]), v.reshape(len(v), -1)
    return cast("Tensor", _Product.apply(*parts, decay, instead))


class _Product(torch.autograd.Function):
    """With A = U' U and B = V V', |U V|^2 = sum of A * B, |U|^2 = tr A and |V|^2 = tr B."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, decay: float, instead: bool) -> Tensor:
        a, b = u.T @ u, v @ v.T
        total = (a * b).sum()
        if instead:
            total = total - a.trace() - b.trace()
            a.diagonal().sub_(1.0)
            b.diagonal().sub_(1.0)
        ctx.save_for_backward(u, v, a.mul_(decay), b.mul_(decay))
        return total * (decay / 2.0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        [given], (u, v, a, b) = grad_outputs, ctx.saved_tensors
        return u @ (b * given), (a * given) @ v, None, None


_WEIGHTY = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_KINDS: dict[str, type[Sliced | Distilled | LowRank]] = {
    kind.name: kind for kind in (Sliced, Distilled, LowRank)
}


def objective(plain: tuple[Any, ...]) -> Objective:
    """The objective that an argument of a Ref names."""
    name, *settings = plain
    return _KINDS[name](*settings)
