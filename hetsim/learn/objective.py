"""What a training minimises, where that is not the cross entropy of the model's logits alone.

An objective is plain settings, part of the recipe of what is trained by it; `begin` makes it a
function of a batch, for one module and one shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from torch.nn import functional as F

from hetsim.core.ref import Arg
from hetsim.learn.divergence import divergence

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

        def loss(x: Tensor, y: Tensor) -> Tensor:
            logits = module(x)
            return F.cross_entropy(logits.masked_fill(absent, 0.0) if self.masked else logits, y)

        absent = ~present
        weighty = [each for each in module.modules() if isinstance(each, _WEIGHTY)]
        hidden = weighty[:-1] if self.scale != 1.0 else []
        hooks = [layer.register_forward_hook(scaled) for layer in hidden]
        try:
            yield loss
        finally:
            for hook in hooks:
                hook.remove()


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


_WEIGHTY = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_KINDS: dict[str, type[Sliced | Distilled]] = {kind.name: kind for kind in (Sliced, Distilled)}


def objective(plain: tuple[Any, ...]) -> Objective:
    """The objective that an argument of a Ref names."""
    name, *settings = plain
    return _KINDS[name](*settings)
