"""A model of which some blocks are shared, and the others stay with who has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hetsim.core.ref import Ref
from hetsim.learn import ops
from hetsim.methods._sgd import require

_STEM, _PREDICTOR = "stem", "predictor"


@dataclass(frozen=True, slots=True)
class Division:
    """Where a model is divided.

    Attributes:
        first: blocks before the encoder, the stem.
        cut: blocks before the predictor; the encoder ends there.
        private: whether stem and predictor stay where they are; otherwise the whole model is
            shared.
    """

    first: int
    cut: int
    private: bool

    @classmethod
    def of(cls, whole: ops.Architecture, cut: int | None, *, stem: bool, private: bool) -> Division:
        """The division of a model.

        Args:
            whole: the model.
            cut: where the predictor begins; by default it is the last block.
            stem: whether the first block is in the encoder.
            private: see above.

        Raises:
            SpecError: no block is left for the encoder, or none for the predictor.
        """
        at, first = whole.blocks - 1 if cut is None else cut, 0 if stem else 1
        whole.cut(at)
        require(
            at > first,
            f'of model "{whole.name}", cut after block {at}, nothing is left but the stem',
            "Choose a larger cut or a model with more blocks, or let the stem be shared "
            "(`stem: true`).",
        )
        return cls(first, at, private)

    def encoder(self, whole: ops.Architecture) -> ops.Architecture:
        """The blocks between stem and predictor."""
        front, _ = whole.cut(self.cut)
        return front.cut(self.first)[1] if self.first else front

    def parted(self, model: Ref[Any]) -> tuple[Ref[Any], dict[str, Ref[Any]]]:
        """What is shared of a model, and what is not, by name."""
        if not self.private:
            return model, {}
        shared, predictor = ops.split(model, self.cut)
        if not self.first:
            return shared, {_PREDICTOR: predictor}
        stem, shared = ops.split(shared, self.first)
        return shared, {_STEM: stem, _PREDICTOR: predictor}

    def joined(self, shared: Ref[Any], own: Mapping[str, Ref[Any]]) -> Ref[Any]:
        """The model again."""
        if _STEM in own:
            shared = ops.join(own[_STEM], shared)
        return ops.join(shared, own[_PREDICTOR]) if _PREDICTOR in own else shared
