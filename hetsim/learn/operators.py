"""Tensor operators that a computation launches, and the bytes they move.

Every operator of torch (ATen) that makes or changes data is one launch; a view of data is none. It
reads its inputs once and writes its outputs once, whatever is fused or cached below: so an
operator's bytes over its arithmetic say how far it depends on memory, and a model's bytes and
launches are the sums over its operators. Gradients are operators like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hetsim.core.cost import Cost


@dataclass(frozen=True, slots=True)
class Tally:
    """Operators launched so far, and bytes they read and wrote."""

    launches: int = 0
    traffic: int = 0

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.launches - other.launches, self.traffic - other.traffic)


def per_batch(two: Tally, three: Tally, *, steps: int, samples: int) -> Cost:
    """Work of so many batches of so many samples in all, from dry runs of two and of three samples.

    >>> per_batch(Tally(5, 50), Tally(5, 60), steps=2, samples=8).traffic
    140
    """
    growing = three.traffic - two.traffic
    return Cost(
        traffic=steps * (two.traffic - 2 * growing) + samples * growing,
        operators=steps * two.launches,
    )


class Operators(TorchDispatchMode):
    """While active, counts what torch launches.

    Attributes:
        tally: so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No compiler need know of it: asking one would import it, a second or two."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operator, and count it unless it only looks at its inputs another way."""
        del types
        out = func(*args, **(kwargs or {}))
        read, written = _tensors((args, kwargs)), _tensors(out)
        known = {_place(tensor) for tensor in read}
        made = any(_place(tensor) not in known for tensor in written)
        moved = sum(_size(tensor) for tensor in (*read, *written))
        if moved and (made or func._schema.is_mutable):
            self.tally = Tally(self.tally.launches + 1, self.tally.traffic + moved)
        return out


def _tensors(values: Any) -> list[Tensor]:
    """Tensors in nested arguments, each once."""
    found = {id(leaf): leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)}
    return list(found.values())


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _size(tensor: Tensor) -> int:
    """Bytes of its data; of one that repeats its storage (an expanded scalar), of the storage."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
