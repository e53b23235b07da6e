"""The blocks that may still be stitched, and which of them are worth scoring.

P models cut into L parts make P L blocks. At a position the candidates are the parts of that number
(`locked`), or any part between the first and the last that is not used yet (`free`; the first and
the last position are locked all the same).

The search-space optimizer leaves out blocks from what was learned at earlier positions
(reconstructed; established of Zhan et al., "FedStitch", arXiv 2409.07202, is that candidates' CKA
scores shrink the pool as stitching goes on):

1. of the blocks that serve a position to come, those in the lowest `phi` by their mean score;
2. those that were scored at `patience` positions or more and never among anybody's best;
3. of two that gave the same (CKA of `same` or more), the costlier one.

A block that has not been scored itself goes by the scores, proposals and twins of its model (a
model bad at one position is bad at the next). A block is in the lowest `phi` if the middle of its
rank is: of four the first one, whose rank spans 0 to 1/4, for phi = 0.3. Every position to come
keeps two candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Literal

from hetsim.core.quantities import Flops, Fraction

Choice = Literal["locked", "free"]
"""Which blocks may stand at a position: parts of its number, or any part in the middle."""
_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was learned of the candidates at a position.

    Attributes:
        values: weighted score of each.
        proposed: those that somebody proposed.
        alike: CKA of what two of them gave, by the pair in rising order.
        winner: which is used from now on.
    """

    values: Mapping[int, float]
    proposed: frozenset[int]
    alike: Mapping[tuple[int, int], float]
    winner: int


class Pool:
    """The blocks of one run, numbered model by model.

    Args:
        models: how many.
        positions: into how many parts each is cut.
        choice: which blocks may stand at a position.
        prune: whether any are left out.
        prices: what it takes to run each block once.
        phi: lowest share that is left out.
        patience: positions after which a block must have been proposed.
        same: CKA from which two blocks are one.
    """

    def __init__(
        self,
        models: int,
        positions: int,
        *,
        choice: Choice = "locked",
        prune: bool = True,
        prices: Sequence[Flops],
        phi: Fraction = 0.3,
        patience: int = 2,
        same: Fraction = 0.95,
    ) -> None:
        self._positions, self._prune = positions, prune
        self._choice: Choice = choice
        self._prices, self._phi, self._patience, self._same = prices, phi, patience, same
        self.left = set(range(models * positions))
        self._past: list[Findings] = []

    def candidates(self, position: int) -> tuple[int, ...]:
        """The blocks that may stand at a position, from 0."""
        return tuple(sorted(block for block in self.left if position in self._serves(block)))

    def learn(self, findings: Findings) -> None:
        """The next position is decided: leave out what is not needed."""
        self._past.append(findings)
        self.left.discard(findings.winner)
        if not self._prune:
            return
        for group in self._groups():
            for block in self._lowest(group):
                self._drop(block, group)
            for block in sorted(group):
                if self._overlooked(block):
                    self._drop(block, group)
            for block in sorted(group, key=self._dear, reverse=True):
                if any(self._twins(block, other) for other in group if other != block):
                    self._drop(block, group)

    # --- which blocks may stand where -----------------------------------------------------------

    def _model(self, block: int) -> int:
        return block // self._positions

    def _serves(self, block: int) -> range:
        return places(block, self._positions, self._choice)

    def _open(self, block: int) -> int:
        """At how many positions to come it may stand."""
        return sum(position >= len(self._past) for position in self._serves(block))

    def _groups(self) -> list[set[int]]:
        """Blocks that may stand at the same positions, of those to come."""
        groups: dict[range, set[int]] = {}
        for block in sorted(self.left):
            if self._open(block):
                groups.setdefault(self._serves(block), set()).add(block)
        return list(groups.values())

    # --- what is left out -----------------------------------------------------------------------

    def _drop(self, block: int, group: set[int]) -> None:
        """Leave it out, unless a position would be left with too few candidates."""
        if len(group) >= self._open(block) + _LEAST:
            group.discard(block)
            self.left.discard(block)

    def _lowest(self, group: Iterable[int]) -> list[int]:
        """Those in the lowest share, the worst first; of equals the dearest."""
        known = [block for block in group if self._kin(block)]
        dear = sorted(known, key=self._dear, reverse=True)
        ranked = sorted(dear, key=self._mean)
        return [block for rank, block in enumerate(ranked) if rank + 0.5 <= self._phi * len(known)]

    def _overlooked(self, block: int) -> bool:
        """Whether it was scored often enough to be proposed, and never was."""
        kin = self._kin(block)
        seen = sum(not kin.isdisjoint(past.values) for past in self._past)
        return seen >= self._patience and all(kin.isdisjoint(past.proposed) for past in self._past)

    def _twins(self, block: int, cheaper: int) -> bool:
        """Whether it gave the same as another one, and is dearer."""
        if self._dear(block) < self._dear(cheaper):
            return False
        pairs = {
            (min(pair), max(pair)) for pair in product(self._kin(block), self._kin(cheaper))
        }  # fmt: skip
        return any(past.alike.get(pair, 0.0) >= self._same for past in self._past for pair in pairs)

    def _mean(self, block: int) -> float:
        kin = self._kin(block)
        return fmean(
            value for past in self._past for each, value in past.values.items() if each in kin
        )

    def _kin(self, block: int) -> frozenset[int]:
        """The scored blocks whose findings are its own: itself, or else those of its model."""
        scored = frozenset[int]().union(*(past.values for past in self._past))
        if block in scored:
            return frozenset((block,))
        return frozenset(each for each in scored if self._model(each) == self._model(block))

    def _dear(self, block: int) -> tuple[Flops, int]:
        return self._prices[block], block


def places(block: int, positions: int, choice: Choice) -> range:
    """The positions, from 0, at which a block may stand.

    >>> places(6, 4, "locked"), places(6, 4, "free"), places(4, 4, "free")
    (range(2, 3), range(1, 3), range(0, 1))
    """
    part, last = block % positions, positions - 1
    middle = choice == "free" and 0 < part < last
    return range(1, last) if middle else range(part, part + 1)
