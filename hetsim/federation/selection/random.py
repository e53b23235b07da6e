"""A cohort drawn uniformly without replacement from the clients that are present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hetsim.core.errors import SpecError
from hetsim.federation.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Uniform selection.

    Attributes:
        cohort: clients a round.
    """

    cohort: int = 10

    def __post_init__(self) -> None:
        if self.cohort < 1:
            raise SpecError(f"cohort is {self.cohort}", remedy="Ask at least one client a round.")

    def choose(
        self, candidates: Sequence[Client], count: int, rng: np.random.Generator
    ) -> list[Client]:
        """`count` of them in fleet order, or all if there are fewer."""
        if count >= len(candidates):
            return list(candidates)
        picks = rng.choice(len(candidates), size=count, replace=False)
        return [candidates[pick] for pick in sorted(picks.tolist())]
